package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestComponentsBuildIntoAnotherDistribution takes the manifest that the README shows, adds what any distribution has,
// builds it with the builder, and lets the result validate a configuration.
func TestComponentsBuildIntoAnotherDistribution(t *testing.T) {
	dir := root(t)
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)```yaml\n# builder-config.yaml of your distribution\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, shown, "the README shows a manifest")

	out := t.TempDir()
	manifest := `dist:
  name: mycollector
  module: example.com/mycollector
  output_path: ` + out + `
` + string(shown[1]) + `exporters:
  - gomod: go.opentelemetry.io/collector/exporter/debugexporter v0.155.0
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v1.61.0
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider v1.61.0
replaces:
  - ` + module + ` => ` + dir + "\n"
	path := filepath.Join(out, "builder-config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(manifest), 0o600))
	build := exec.Command("go", "tool", "-modfile="+filepath.Join(dir, "tools", "go.mod"), "builder", "--config", path)
	build.Dir = dir
	log, err := build.CombinedOutput()
	require.NoError(t, err, "%s", log)

	components, err := exec.Command(filepath.Join(out, "mycollector"), "components").Output()
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(string(components), "module: "+module+" "), "%s", components)

	config := filepath.Join(out, "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte(`
receivers: {langsmith: {api_key: k}}
processors: {llm_metrics: }
connectors: {llm_metrics: }
exporters: {debug: }
service:
  pipelines:
    traces: {receivers: [langsmith], processors: [llm_metrics], exporters: [llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [debug]}
`), 0o600))
	log, err = exec.Command(filepath.Join(out, "mycollector"), "validate", "--config", config).CombinedOutput()
	assert.NoError(t, err, "%s", log)
}
