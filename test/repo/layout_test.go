// Package repo holds what the repository promises about itself: its layout, its generated files, its manifest.
package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/otelcol-langsmith/otelcol-langsmith"

// root is the checkout's top folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "builder-config.yaml"))
	return dir
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var list []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module+"/")
		list = append(list, p)
	}
	require.NotEmpty(t, list)
	return list
}

// room is the unit of the import rule: a component, a shared package, a command.
func room(path string) string {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 {
		return path
	}
	return parts[0] + "/" + parts[1]
}

// forbidden says why a package of one room may not import one of another, or is empty.
func forbidden(from, to string) string {
	if from == to {
		return ""
	}
	kind := func(room string) string { return strings.SplitN(room, "/", 2)[0] }
	component := func(room string) bool {
		switch kind(room) {
		case "receiver", "processor", "connector", "exporter":
			return true
		}
		return false
	}
	switch {
	case component(from) && component(to):
		return "components never import each other"
	case kind(from) == "internal" && kind(to) == "internal":
		return "shared packages do not import each other"
	case kind(from) == "internal" && (component(to) || kind(to) == "cmd"):
		return "shared packages do not know components or commands"
	case component(from) && kind(to) == "cmd":
		return "components do not import commands"
	case from == "cmd/langsmithsim":
		return "the simulator is an independent witness"
	}
	return ""
}

func TestImportRule(t *testing.T) {
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		for _, list := range [][]string{p.Imports, p.TestImports, p.XTestImports} {
			for _, imported := range list {
				to, ours := strings.CutPrefix(imported, module+"/")
				if !ours {
					continue
				}
				assert.Empty(t, forbidden(from, room(to)), "%s imports %s", p.ImportPath, to)
			}
		}
	}
}

func TestImportRuleForbids(t *testing.T) {
	assert.NotEmpty(t, forbidden("receiver/langsmithreceiver", "connector/llmmetricsconnector"))
	assert.NotEmpty(t, forbidden("internal/llmmetrics", "internal/genai"))
	assert.NotEmpty(t, forbidden("internal/genai", "processor/llmmetricsprocessor"))
	assert.NotEmpty(t, forbidden("cmd/langsmithsim", "internal/langsmith"))
	assert.Empty(t, forbidden("receiver/langsmithreceiver", "internal/langsmith"))
	assert.Empty(t, forbidden("receiver/langsmithreceiver", "receiver/langsmithreceiver"))
}
