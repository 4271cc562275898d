package translate

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

var update = flag.Bool("update", false, "write the golden files anew")

const uiBase = "https://eu.smith.langchain.com"

// levels are the settings that every golden case is translated with.
var levels = []struct {
	name     string
	settings Settings
}{
	{"none", Settings{UIBase: uiBase}},
	{"details", Settings{UIBase: uiBase, ResponseDetails: true}},
	{"preview", Settings{UIBase: uiBase, Capture: CapturePreview}},
	{"full", Settings{UIBase: uiBase, Capture: CaptureFull}},
}

// TestGolden translates the runs of every case at every level. A case is a directory with runs.json, the runs
// as the API sends them; its name ends in _v2 when they are of that version and begins with "unfinished" when
// they are given up.
func TestGolden(t *testing.T) {
	for _, dir := range goldenCases(t) {
		name := filepath.Base(dir)
		for _, level := range levels {
			t.Run(name+"/"+level.name, func(t *testing.T) {
				got := goldenText(t, dir, level.settings)
				file := filepath.Join(dir, level.name+".txt")
				if *update {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				assert.Equal(t, string(want), got)
			})
		}
	}
}

// TestNoContent holds that at the lowest levels no text of inputs, outputs, previews, events or errors gets out.
func TestNoContent(t *testing.T) {
	for _, dir := range goldenCases(t) {
		texts := contentTexts(t, dir)
		for _, level := range levels[:2] {
			t.Run(filepath.Base(dir)+"/"+level.name, func(t *testing.T) {
				got := goldenText(t, dir, level.settings)
				for _, text := range texts {
					assert.NotContains(t, got, text)
				}
			})
		}
	}
}

// TestVersionsAgree holds that a run becomes the same span whichever version of the API it was read with.
func TestVersionsAgree(t *testing.T) {
	for _, level := range levels {
		v1 := goldenText(t, filepath.Join("testdata", "langchain_py_chat"), level.settings)
		v2 := goldenText(t, filepath.Join("testdata", "langchain_py_chat_v2"), level.settings)
		assert.Equal(t, v1, v2, level.name)
	}
}

func goldenCases(t testing.TB) []string {
	dirs, err := filepath.Glob(filepath.Join("testdata", "*", "runs.json"))
	require.NoError(t, err)
	require.Greater(t, len(dirs), 15)
	for i := range dirs {
		dirs[i] = filepath.Dir(dirs[i])
	}
	return dirs
}

// goldenText translates the runs of a case and writes the spans down.
func goldenText(t testing.TB, dir string, settings Settings) string {
	body, err := os.ReadFile(filepath.Join(dir, "runs.json"))
	require.NoError(t, err)
	settings.Metadata, err = NewGlobSet([]string{"env", "team_*"})
	require.NoError(t, err)
	tr := New(settings)
	spans := ptrace.NewSpanSlice()
	lineage := &Lineage{}
	name := filepath.Base(dir)
	var notes []string
	decode(t, body, strings.HasSuffix(name, "_v2"), func(run *langsmith.Run) {
		target := Target{ProjectID: run.ProjectID, ProjectName: "harbour", Lineage: lineage}
		translate := tr.Append
		if strings.HasPrefix(name, "unfinished") {
			translate = tr.Unfinished
		}
		var reasons []string
		for reason := range translate(run, target, spans).Reasons {
			reasons = append(reasons, reason)
		}
		notes = append(notes, strings.Join(reasons, " "))
	})
	lineage.Relink(spans)
	require.Equal(t, len(notes), spans.Len())
	var b strings.Builder
	for i, span := range spans.All() {
		dump(&b, span, notes[i])
	}
	return b.String()
}

// decode reads a list of runs as a page of the API.
func decode(t testing.TB, runs []byte, v2 bool, yield func(*langsmith.Run)) {
	page := fmt.Sprintf(`{"runs":%s,"cursors":{"next":null}}`, runs)
	if v2 {
		page = fmt.Sprintf(`{"items":%s,"next_cursor":null}`, runs)
	}
	result, err := langsmith.NewDecoder(0).Decode(strings.NewReader(page), func(run *langsmith.Run) error {
		yield(run)
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, result.Skipped)
}

// dump writes a span in a form that is easy to review. Text that holds JSON is spread over lines.
func dump(b *strings.Builder, span ptrace.Span, notes string) {
	fmt.Fprintf(b, "span %q %s\n", span.Name(), span.Kind())
	fmt.Fprintf(b, "  trace %s span %s parent %q\n", span.TraceID(), span.SpanID(), span.ParentSpanID())
	fmt.Fprintf(b, "  from %s to %s\n", span.StartTimestamp().AsTime().Format(time.RFC3339Nano), span.EndTimestamp().AsTime().Format(time.RFC3339Nano))
	fmt.Fprintf(b, "  status %s %q\n", span.Status().Code(), span.Status().Message())
	if notes != "" {
		fmt.Fprintf(b, "  notes %s\n", notes)
	}
	dumpAttributes(b, span.Attributes(), "  ")
	for _, event := range span.Events().All() {
		fmt.Fprintf(b, "  event %q at %s\n", event.Name(), event.Timestamp().AsTime().Format(time.RFC3339Nano))
		dumpAttributes(b, event.Attributes(), "    ")
	}
	b.WriteByte('\n')
}

func dumpAttributes(b *strings.Builder, attrs pcommon.Map, indent string) {
	keys := make([]string, 0, attrs.Len())
	for k := range attrs.All() {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		v, _ := attrs.Get(k)
		if text := v.AsString(); v.Type() == pcommon.ValueTypeStr && (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) && json.Valid([]byte(text)) {
			var pretty bytes.Buffer
			_ = json.Indent(&pretty, []byte(text), indent, "  ")
			fmt.Fprintf(b, "%s%s json %s\n", indent, k, pretty.String())
			continue
		}
		if v.Type() == pcommon.ValueTypeStr {
			fmt.Fprintf(b, "%s%s str %q\n", indent, k, v.Str())
			continue
		}
		fmt.Fprintf(b, "%s%s %s %s\n", indent, k, strings.ToLower(v.Type().String()), v.AsString())
	}
}

// contentTexts are the strings in the content of a case's runs that consist of several words: those that could
// not be anything but content.
func contentTexts(t testing.TB, dir string) []string {
	body, err := os.ReadFile(filepath.Join(dir, "runs.json"))
	require.NoError(t, err)
	var runs []map[string]any
	require.NoError(t, json.Unmarshal(body, &runs))
	var texts []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			for _, line := range strings.Split(v, "\n") {
				if line = strings.TrimSpace(line); strings.Count(line, " ") > 1 {
					texts = append(texts, line)
				}
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	for _, run := range runs {
		for _, key := range []string{"inputs", "outputs", "inputs_preview", "outputs_preview", "error", "events"} {
			walk(run[key])
		}
	}
	return texts
}
