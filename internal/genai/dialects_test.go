package genai

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestDialects reads and writes the spans of every dialect in testdata/dialects: <dialect>.json holds the spans
// as the instrumentation writes them, <dialect>.calls.json what they are read as, <dialect>.written.json the
// spans after Write.
func TestDialects(t *testing.T) {
	files, err := filepath.Glob("testdata/dialects/*.json")
	require.NoError(t, err)
	tested := 0
	for _, file := range files {
		base := strings.TrimSuffix(file, ".json")
		if strings.Contains(filepath.Base(base), ".") {
			continue
		}
		tested++
		t.Run(filepath.Base(base), func(t *testing.T) {
			traces := readTraces(t, file)
			calls := describeAll(traces)
			golden(t, base+".calls.json", indent(t, calls))

			eachSpan(traces, func(span ptrace.Span, scope string, resource pcommon.Map) {
				var call Call
				NewReader(ReaderConfig{}).Read(span, scope, resource, &call)
				Write(&call, span)
			})
			written := marshal(t, traces)
			golden(t, base+".written.json", written)

			assert.Equal(t, calls, describeAll(traces), "what was written must read as the same calls")
			eachSpan(traces, func(span ptrace.Span, scope string, resource pcommon.Map) {
				var call Call
				NewReader(ReaderConfig{}).Read(span, scope, resource, &call)
				assert.Zero(t, Write(&call, span), "writing again must add nothing: %s", span.Name())
			})
			assert.Equal(t, string(written), string(marshal(t, traces)))
		})
	}
	assert.Equal(t, int(dialects)-1, tested, "every dialect but the unknown one has spans to test")
}

// TestWriteOnlyAdds compares the attributes before and after Write: none may be changed or lost.
func TestWriteOnlyAdds(t *testing.T) {
	files, err := filepath.Glob("testdata/dialects/*.json")
	require.NoError(t, err)
	for _, file := range files {
		eachSpan(readTraces(t, file), func(span ptrace.Span, scope string, resource pcommon.Map) {
			before := pcommon.NewMap()
			span.Attributes().CopyTo(before)
			var call Call
			NewReader(ReaderConfig{}).Read(span, scope, resource, &call)
			added := WriteOptions{CacheName: CacheBoth, System: true}.Write(&call, span)
			assert.Equal(t, before.Len()+added, span.Attributes().Len(), span.Name())
			for key, value := range before.All() {
				after, ok := span.Attributes().Get(key)
				require.True(t, ok, key)
				assert.True(t, value.Equal(after), key)
			}
		})
	}
}

func eachSpan(traces ptrace.Traces, f func(span ptrace.Span, scope string, resource pcommon.Map)) {
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				f(span, ss.Scope().Name(), rs.Resource().Attributes())
			}
		}
	}
}

func describeAll(traces ptrace.Traces) []map[string]any {
	var all []map[string]any
	eachSpan(traces, func(span ptrace.Span, scope string, resource pcommon.Map) {
		var call Call
		NewReader(ReaderConfig{}).Read(span, scope, resource, &call)
		described := describe(&call)
		described["span"] = span.Name()
		all = append(all, described)
	})
	return all
}

// describe lists what a call tells; what it does not tell is left out.
func describe(call *Call) map[string]any {
	m := map[string]any{"kind": call.Kind.String(), "dialect": call.Dialect.String()}
	for key, value := range map[string]string{
		"operation": call.Operation, "provider": call.Provider, "request_model": call.RequestModel,
		"response_model": call.ResponseModel, "agent": call.AgentName, "tool": call.ToolName,
		"workflow": call.WorkflowName, "data_source": call.DataSource, "conversation": call.ConversationID, "response_id": call.ResponseID,
		"error": call.ErrorType, "cost_source": call.CostSource.String(),
	} {
		if value != "" {
			m[key] = value
		}
	}
	for key, value := range map[string]int64{
		"input_tokens": call.InputTokens, "output_tokens": call.OutputTokens,
		"cache_read_tokens": call.CacheReadTokens, "cache_write_tokens": call.CacheWriteTokens,
		"reasoning_tokens": call.ReasoningTokens,
	} {
		if value != Absent {
			m[key] = value
		}
	}
	if call.CostSource != CostNone {
		m["cost"] = call.Cost
	}
	if call.TimeToFirstChunk != 0 {
		m["time_to_first_chunk"] = call.TimeToFirstChunk
	}
	if call.Streaming {
		m["streaming"] = true
	}
	if d, ok := call.Duration(); ok {
		m["duration"] = d
	}
	if math.IsNaN(call.Cost) {
		panic("a cost that is not a number")
	}
	return m
}

func readTraces(t *testing.T, file string) ptrace.Traces {
	t.Helper()
	if strings.HasSuffix(file, ".calls.json") {
		return ptrace.NewTraces()
	}
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(content)
	require.NoError(t, err)
	return traces
}

func marshal(t *testing.T, traces ptrace.Traces) []byte {
	t.Helper()
	content, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, content, "", "  "))
	out.WriteByte('\n')
	return out.Bytes()
}

func indent(t *testing.T, value any) []byte {
	t.Helper()
	content, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	return append(content, '\n')
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run the test with -update when the change is meant")
}
