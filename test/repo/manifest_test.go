package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// TestManifestIsWhatTheBinaryHolds compares builder-config.yaml with the components that the built binary names.
func TestManifestIsWhatTheBinaryHolds(t *testing.T) {
	dir := root(t)
	build := exec.Command("make", "-s", "bin/otelcol-langsmith")
	build.Dir = dir
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	type entry struct {
		Gomod  string `yaml:"gomod"`
		Import string `yaml:"import"`
	}
	var manifest map[string]yaml.Node
	data, err := os.ReadFile(filepath.Join(dir, "builder-config.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &manifest))

	listing, err := exec.Command(filepath.Join(dir, "bin", "otelcol-langsmith"), "components").Output()
	require.NoError(t, err)
	var registered map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal(listing, &registered))

	for _, kind := range []string{"receivers", "processors", "connectors", "exporters", "extensions", "providers"} {
		var want []string
		var entries []entry
		node := manifest[kind]
		require.NoError(t, node.Decode(&entries), kind)
		for _, e := range entries {
			want = append(want, e.Gomod)
		}

		var got []string
		var held []struct {
			Module string `yaml:"module"`
		}
		node = registered[kind]
		if err := node.Decode(&held); err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, listing)
		}
		for _, h := range held {
			got = append(got, strings.TrimSpace(h.Module))
		}
		sort.Strings(want)
		sort.Strings(got)
		require.NotEmpty(t, want, kind)
		assert.Equal(t, want, got, kind)
	}
}

// outOfStep are modules that have no release of the collector's version. Each entry is to go as soon as there is one.
var outOfStep = map[string]string{
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/k8sleaderelector": "v0.149.0",
}

// TestVersionsAreInStep holds that the collector's modules have one version in the manifest and in every go.mod.
func TestVersionsAreInStep(t *testing.T) {
	dir := root(t)
	versions := map[string]string{} // module -> version, from the manifest
	data, err := os.ReadFile(filepath.Join(dir, "builder-config.yaml"))
	require.NoError(t, err)
	for _, line := range strings.Split(string(data), "\n") {
		if mod, ok := strings.CutPrefix(strings.TrimSpace(line), "- gomod: "); ok {
			name, version, found := strings.Cut(mod, " ")
			require.True(t, found, line)
			versions[name] = version
		}
	}
	require.NotEmpty(t, versions)

	slim, err := os.ReadFile(filepath.Join(dir, "bench", "collector", "builder-config.yaml"))
	require.NoError(t, err)
	held := 0
	for line := range strings.Lines(string(slim)) {
		if mod, ok := strings.CutPrefix(strings.TrimSpace(line), "- gomod: "); ok {
			name, version, _ := strings.Cut(mod, " ")
			assert.Equal(t, versions[name], version, "%s in the manifest of the benchmark", name)
			held++
		}
	}
	require.NotZero(t, held)

	for _, file := range []string{"go.mod", "cmd/otelcol-langsmith/go.mod", "bench/go.mod"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		for _, line := range strings.Split(string(data), "\n") {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] == module {
				continue
			}
			name, version := fields[0], fields[1]
			if want, ok := versions[name]; ok {
				assert.Equal(t, want, version, "%s in %s", name, file)
			}
			if want, ok := outOfStep[name]; ok {
				assert.Equal(t, want, version, "%s in %s", name, file)
				continue
			}
			if strings.HasPrefix(name, "go.opentelemetry.io/collector/") ||
				strings.HasPrefix(name, "github.com/open-telemetry/opentelemetry-collector-contrib/") {
				assert.Contains(t, []string{"v0.155.0", "v1.61.0"}, version, "%s in %s", name, file)
			}
		}
	}
}
