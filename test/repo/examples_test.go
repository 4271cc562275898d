package repo

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func configurations(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root(t), "examples", "*", "config.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return append(paths, filepath.Join(root(t), "otelcol-config.yaml"))
}

// TestTotalsOutlastRestarts holds that every connector that can keep its totals does, where there is a storage that is its
// collector's own: so that no call is counted twice or not at all when a collector is killed.
func TestTotalsOutlastRestarts(t *testing.T) {
	kept := 0
	for _, path := range configurations(t) {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		var config struct {
			Extensions map[string]any
			Connectors map[string]struct{ Temporality, Timestamps, Storage string }
		}
		require.NoError(t, yaml.Unmarshal(content, &config))
		_, own := config.Extensions["file_storage"]
		if _, shared := config.Extensions["k8s_leader_elector"]; shared {
			own = false // the replica that reads has it open
		}
		for id, connector := range config.Connectors {
			if !strings.HasPrefix(id, "llm_metrics") {
				continue
			}
			want := ""
			if own && connector.Temporality != "delta" && connector.Timestamps != "span" {
				want = "file_storage"
				kept++
			}
			assert.Equal(t, want, connector.Storage, "%s of %s", id, path)
		}
	}
	assert.Greater(t, kept, 10)
}

// TestExamplesSayWhatTheyNeed holds that the first lines of an example name every variable without a value of its own, and
// no other ones than it has.
func TestExamplesSayWhatTheyNeed(t *testing.T) {
	for _, path := range configurations(t) {
		if filepath.Base(path) != "config.yaml" {
			continue
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		head, body, ok := strings.Cut(string(content), "\n\n")
		require.True(t, ok, path)
		for _, m := range regexp.MustCompile(`\$\{env:([A-Z_]+)(:-\w+ is not set)?\}`).FindAllStringSubmatch(body, -1) {
			assert.Regexp(t, `(?m)^#   export .*\b`+m[1]+"=", head, path)
		}
		for _, m := range regexp.MustCompile(`\b([A-Z_]+)=`).FindAllStringSubmatch(head, -1) {
			assert.Contains(t, body, "${env:"+m[1], path)
		}
	}
}

func TestReadmeNamesTheVersionOfGo(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))
	require.NotNil(t, version)
	readme, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	require.NoError(t, err)
	assert.Contains(t, string(readme), "needs Go "+version[1]+" or later")
}
