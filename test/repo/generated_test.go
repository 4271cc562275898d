package repo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGeneratedFilesAreCurrent generates everything in a copy of the checkout and compares.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	dir := root(t)
	dst := t.TempDir()
	files := tracked(t, dir)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dst, f)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dst, f), data, 0o644))
	}

	run := func(in string, args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = filepath.Join(dst, in)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", strings.Join(args, " "), out)
	}
	tool := "-modfile=" + filepath.Join(dst, "tools", "go.mod")
	for _, f := range files {
		if filepath.Base(f) == "metadata.yaml" {
			run(filepath.Dir(f), "go", "tool", tool, "mdatagen", "metadata.yaml")
		}
	}
	run("connector/llmmetricsconnector", "go", "run", "./internal/metricsdoc")
	run(".", "go", "tool", tool, "builder", "--config", "builder-config.yaml", "--skip-get-modules", "--skip-compilation")
	run("cmd/otelcol-langsmith", "gofmt", "-w", ".") // as the script does: the builder leaves its imports unsorted

	for _, f := range tracked(t, dir) {
		before, err := os.ReadFile(filepath.Join(dir, f))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		after, err := os.ReadFile(filepath.Join(dst, f))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(before, after), "%s is stale: run make generate", f)
	}
	// A generator may also have written a file that nobody committed.
	known := map[string]bool{}
	for _, f := range files {
		known[f] = true
	}
	require.NoError(t, filepath.WalkDir(dst, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dst, path)
			assert.True(t, known[rel], "%s is generated but not committed: run make generate", rel)
		}
		return err
	}))
}

func tracked(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}
