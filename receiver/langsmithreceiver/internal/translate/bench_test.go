package translate

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

const benchRuns = 100

// BenchmarkPage reads a page and translates it; ns/run and B/run are what counts. The peers unmarshal the same
// spans from OTLP, which a Collector would have to do if LangSmith spoke it.
func BenchmarkPage(b *testing.B) {
	for _, class := range []string{"1k", "5k", "50k", "cjk", "esc"} {
		page := langsmithtest.PageV2(class, 1, benchRuns)
		for _, level := range levels {
			b.Run(class+"/"+level.name, func(b *testing.B) {
				decoder, tr := langsmith.NewDecoder(0), New(level.settings)
				b.ReportAllocs()
				b.SetBytes(int64(len(page)))
				for b.Loop() {
					translatePage(b, decoder, tr, page)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRuns, "ns/run")
			})
		}
		b.Run(class+"/decode", func(b *testing.B) {
			decoder := langsmith.NewDecoder(0)
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				_, err := decoder.Decode(bytes.NewReader(page), func(*langsmith.Run) error { return nil })
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRuns, "ns/run")
		})
		b.Run(class+"/peer-encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				require.Equal(b, benchRuns, plainTranslate(b, page).SpanCount())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRuns, "ns/run")
		})
		for _, level := range []int{0, len(levels) - 1} {
			traces := translatePage(b, langsmith.NewDecoder(0), New(levels[level].settings), page)
			text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
			require.NoError(b, err)
			proto, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
			require.NoError(b, err)
			b.Run(class+"/peer-otlp-json-"+levels[level].name, func(b *testing.B) {
				for b.Loop() {
					_, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
					require.NoError(b, err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRuns, "ns/run")
			})
			b.Run(class+"/peer-otlp-proto-"+levels[level].name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(proto)
					require.NoError(b, err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRuns, "ns/run")
			})
		}
	}
}

// TestAllocations bounds what translation allocates for a run, content left out.
func TestAllocations(t *testing.T) {
	page := langsmithtest.PageV2("5k", 1, benchRuns)
	decoder, tr := langsmith.NewDecoder(0), New(Settings{})
	allocs := testing.AllocsPerRun(10, func() { translatePage(t, decoder, tr, page) })
	require.LessOrEqual(t, allocs/benchRuns, 60.0)
}

func translatePage(t testing.TB, decoder *langsmith.Decoder, tr *Translator, page []byte) ptrace.Traces {
	traces := ptrace.NewTraces()
	resource := traces.ResourceSpans().AppendEmpty()
	spans := resource.ScopeSpans().AppendEmpty().Spans()
	spans.EnsureCapacity(benchRuns)
	target := Target{ProjectName: "bench"}
	tr.Resource(target, resource.Resource())
	_, err := decoder.Decode(bytes.NewReader(page), func(run *langsmith.Run) error {
		tr.Append(run, target, spans)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, benchRuns, spans.Len())
	return traces
}
