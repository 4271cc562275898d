package translate

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// FuzzAppend holds, for any run that the decoder lets through: no panic, one span, no key twice, valid UTF-8 everywhere, JSON
// where JSON is promised, names on one line, content within its limit, and the same span every time.
func FuzzAppend(f *testing.F) {
	for _, dir := range goldenCases(f) {
		body, err := os.ReadFile(filepath.Join(dir, "runs.json"))
		require.NoError(f, err)
		var runs []json.RawMessage
		require.NoError(f, json.Unmarshal(body, &runs))
		for _, run := range runs {
			f.Add([]byte(run))
		}
	}
	metadata, err := NewGlobSet([]string{"*"})
	require.NoError(f, err)
	var translators []*Translator
	for _, level := range levels {
		level.settings.Metadata = metadata
		level.settings.ContentLimit = 2 << 10
		translators = append(translators, New(level.settings))
	}
	decoder := langsmith.NewDecoder(0)
	f.Fuzz(func(t *testing.T, run []byte) {
		page := append(append([]byte(`{"runs":[`), run...), `],"cursors":null}`...)
		_, _ = decoder.Decode(bytes.NewReader(page), func(run *langsmith.Run) error {
			for _, tr := range translators {
				spans := ptrace.NewSpanSlice()
				target := Target{ProjectID: run.ProjectID, Lineage: &Lineage{}}
				notes := tr.Append(run, target, spans)
				require.Equal(t, 1, spans.Len())
				checkSpan(t, spans.At(0), 2<<10)
				require.Equal(t, notes, tr.Append(run, Target{}, spans))
				tr.Unfinished(run, target, spans)
				checkSpan(t, spans.At(2), 2<<10)
				target.Lineage.Relink(spans)
			}
			return nil
		})
	})
}

func checkSpan(t *testing.T, span ptrace.Span, limit int) {
	require.NotEmpty(t, span.Name())
	require.LessOrEqual(t, len(span.Name()), 20+maxSpanName)
	require.NotContains(t, span.Name(), "\n")
	require.True(t, utf8.ValidString(span.Name()))
	require.False(t, span.SpanID().IsEmpty())
	require.GreaterOrEqual(t, span.EndTimestamp(), span.StartTimestamp())
	require.NotEqual(t, ptrace.StatusCodeOk, span.Status().Code())
	require.True(t, utf8.ValidString(span.Status().Message()))
	checkAttributes(t, span.Attributes(), limit)
	for _, event := range span.Events().All() {
		checkAttributes(t, event.Attributes(), limit)
	}
}

func checkAttributes(t *testing.T, attrs pcommon.Map, limit int) {
	seen := make(map[string]bool, attrs.Len())
	for k, v := range attrs.All() {
		require.False(t, seen[k], k)
		seen[k] = true
		require.True(t, utf8.ValidString(k))
		require.True(t, utf8.ValidString(v.AsString()), k)
		switch k {
		case keyInputMessages, keyOutputMessages, keySystemInstructions, keyToolDefinitions, keyRetrievalDocuments, keyInputs, keyOutputs:
			require.True(t, json.Valid([]byte(v.Str())), "%s: %s", k, v.Str())
			fallthrough
		case keyToolCallArguments, keyToolCallResult, keyRetrievalQuery, keyInputsPreview, keyOutputsPreview, keyExceptionMessage, keyExceptionStacktrace:
			require.LessOrEqual(t, len(v.Str()), limit+limit/8, k)
		case keyErrorType:
			require.LessOrEqual(t, len(v.Str()), 64)
			require.False(t, strings.ContainsAny(v.Str(), " \n'\""))
		case keyInputTokens, keyOutputTokens, keyCacheReadTokens, keyReasoningTokens:
			require.GreaterOrEqual(t, v.Int(), int64(0))
		case keyUsageCost, keyCostTotal, keyTimeToFirstChunk:
			require.GreaterOrEqual(t, v.Double(), 0.0)
		}
	}
}

// FuzzBounded holds that shortened JSON stays valid and within its limit.
func FuzzBounded(f *testing.F) {
	f.Add([]byte(`{"a":["one \\ two","\ud83d\ude00 \u00e9 end"],"b":{"c":12345.678}}`))
	f.Add([]byte(`["` + strings.Repeat(`\\\"`, 900) + `"]`))
	f.Add([]byte(strings.Repeat(`[`, 300) + strings.Repeat(`]`, 300)))
	f.Fuzz(func(t *testing.T, v []byte) {
		if !json.Valid(v) || !utf8.Valid(v) {
			return
		}
		v = bytes.TrimSpace(v)
		for _, limit := range []int{1 << 10, 2000} {
			got := appendBounded(nil, langsmith.Raw(v), limit)
			require.True(t, json.Valid(got), "%s", got)
			require.True(t, utf8.Valid(got))
			require.LessOrEqual(t, len(got), limit+limit/8+256)
		}
		if text := langsmith.Raw(v).Text(); text != nil {
			for limit := range min(len(text), 40) {
				cut := clipText(text, limit)
				require.LessOrEqual(t, len(cut), limit)
				require.True(t, json.Valid([]byte(`"`+string(cut)+`"`)), "%q", cut)
				require.True(t, strings.HasPrefix(text.String(), cut.String()), "%q", cut)
			}
		}
	})
}

// FuzzContent gives any JSON to a run of each type as inputs, outputs and metadata.
func FuzzContent(f *testing.F) {
	for _, dir := range goldenCases(f) {
		body, err := os.ReadFile(filepath.Join(dir, "runs.json"))
		require.NoError(f, err)
		var runs []struct {
			Inputs, Outputs json.RawMessage
			Extra           struct {
				InvocationParams json.RawMessage `json:"invocation_params"`
			}
			Error string
		}
		require.NoError(f, json.Unmarshal(body, &runs))
		for _, run := range runs {
			f.Add([]byte(run.Inputs), []byte(run.Outputs), []byte(run.Extra.InvocationParams), run.Error)
		}
	}
	tr := New(Settings{Capture: CaptureFull, ContentLimit: 1 << 10})
	f.Fuzz(func(t *testing.T, inputs, outputs, params []byte, failure string) {
		for _, b := range [][]byte{inputs, outputs, params} {
			if len(b) > 0 && (!json.Valid(b) || !utf8.Valid(b)) {
				return
			}
		}
		text, err := json.Marshal(failure)
		require.NoError(t, err)
		run := &langsmith.Run{
			ID: langsmith.UUID{15: 1}, Start: minTime, End: minTime, Status: langsmith.StatusError, Error: langsmith.Raw(text).Text(),
			Inputs: bytes.TrimSpace(inputs), Outputs: bytes.TrimSpace(outputs), InvocationParams: bytes.TrimSpace(params),
		}
		for run.RunType = langsmith.RunTypeUnknown; run.RunType <= langsmith.RunTypeOther; run.RunType++ {
			spans := ptrace.NewSpanSlice()
			tr.Append(run, Target{}, spans)
			checkSpan(t, spans.At(0), 1<<10)
		}
	})
}
