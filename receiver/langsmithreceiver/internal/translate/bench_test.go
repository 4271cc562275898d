package translate

import (
	"bytes"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

const benchRuns = 100

// benchPages is over how many pages a benchmark goes, so that the processor cannot learn one by heart.
const benchPages = 4

// benchLevels are no content, all content, and all metadata besides.
var benchLevels = []struct {
	name     string
	settings Settings
}{
	{"none", Settings{UIBase: uiBase}},
	{"full", Settings{UIBase: uiBase, Capture: CaptureFull}},
	{"all", Settings{UIBase: uiBase, Capture: CaptureFull, Metadata: everyKey}},
}

var everyKey = func() *GlobSet {
	set, err := NewGlobSet([]string{"*"})
	if err != nil {
		panic(err)
	}
	return set
}()

// workload is pages of one class, and the spans of them in OTLP: what a Collector would have to read if
// LangSmith spoke it.
type workload struct {
	pages       [][]byte
	json, proto [][]byte
	settings    Settings
}

func newWorkload(t testing.TB, class string, v2 bool, settings Settings) *workload {
	w := &workload{settings: settings}
	for seed := range int64(benchPages) {
		page := langsmithtest.Page(class, seed, benchRuns)
		if v2 {
			page = langsmithtest.PageV2(class, seed, benchRuns)
		}
		traces := translatePage(t, langsmith.NewDecoder(0), New(settings), page)
		text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
		require.NoError(t, err)
		proto, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
		require.NoError(t, err)
		w.pages, w.json, w.proto = append(w.pages, page), append(w.json, text), append(w.proto, proto)
	}
	return w
}

// way is one way from bytes to spans.
type way struct {
	name string
	read func(page int)
}

// ways begins with ours.
func (w *workload) ways(t testing.TB) []way {
	decoder, tr := langsmith.NewDecoder(0), New(w.settings)
	full, metadata := w.settings.Capture == CaptureFull, w.settings.Metadata != nil
	check := func(traces ptrace.Traces, err error) {
		if err != nil || traces.SpanCount() != benchRuns {
			t.Fatal(traces.SpanCount(), err)
		}
	}
	return []way{
		{"ours", func(i int) { check(translatePage(t, decoder, tr, w.pages[i]), nil) }},
		{"encoding-json", func(i int) { check(plainTranslate(w.pages[i], full, metadata)) }},
		{"otlp-json", func(i int) { check((&ptrace.JSONUnmarshaler{}).UnmarshalTraces(w.json[i])) }},
		{"otlp-proto", func(i int) { check((&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(w.proto[i])) }},
	}
}

// eachWorkload runs f for every class, version of the API and level of capture.
func eachWorkload(b *testing.B, f func(*testing.B, *workload)) {
	for _, class := range langsmithtest.Classes {
		for _, version := range []string{"v1", "v2"} {
			for _, level := range benchLevels {
				b.Run(class+"/"+version+"/"+level.name, func(b *testing.B) {
					f(b, newWorkload(b, class, version == "v2", level.settings))
				})
			}
		}
	}
}

// BenchmarkPage reads a page and translates it; ns/run and B/run are what counts.
func BenchmarkPage(b *testing.B) {
	eachWorkload(b, func(b *testing.B, w *workload) {
		for _, way := range w.ways(b) {
			b.Run(way.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(w.pages[0])))
				for i := 0; b.Loop(); i++ {
					way.read(i % benchPages)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRuns, "ns/run")
			})
		}
	})
}

// BenchmarkRatios compares the ways side by side: every iteration is a round in which each of them has its
// turn, and what counts is the median over the rounds of how many times longer a peer was at work than we. A turn begins
// without the garbage of the one before, and is long enough for several rounds of the garbage collector, so that each
// pays for its own. Run it with -benchtime 21x on one processor.
func BenchmarkRatios(b *testing.B) {
	const turn = 50 * time.Millisecond
	eachWorkload(b, func(b *testing.B, w *workload) {
		ways := w.ways(b)
		times := make([][]float64, len(ways))
		for b.Loop() {
			for k, way := range ways {
				runtime.GC()
				n, start, spent := 0, cpuTime(), time.Duration(0)
				for ; spent < turn; spent = cpuTime() - start {
					way.read(n % benchPages)
					n++
				}
				times[k] = append(times[k], float64(spent.Nanoseconds())/float64(n*benchRuns))
			}
		}
		ours := slices.Clone(times[0])
		slices.Sort(ours)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(ours[len(ours)/2], "ns/run")
		b.ReportMetric(testing.AllocsPerRun(10, func() { ways[0].read(0) })/benchRuns, "allocs/run")
		b.ReportMetric(float64(len(w.pages[0]))/benchRuns, "page-B/run")
		b.ReportMetric(float64(len(w.json[0]))/benchRuns, "otlp-B/run")
		for k, way := range ways[1:] {
			ratios := times[k+1]
			for i := range ratios {
				ratios[i] /= times[0][i]
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-"+way.name)
		}
	})
}

// TestAllocations bounds what reading and translating a run allocates.
func TestAllocations(t *testing.T) {
	for _, class := range langsmithtest.Classes {
		page := langsmithtest.PageV2(class, 1, benchRuns)
		for _, level := range benchLevels {
			decoder, tr := langsmith.NewDecoder(0), New(level.settings)
			allocs := testing.AllocsPerRun(10, func() { translatePage(t, decoder, tr, page) })
			require.LessOrEqual(t, allocs/benchRuns, 50.0, "%s %s", class, level.name)
		}
	}
}

// TestPeer holds that the peer of the benchmarks writes what we write, so that the comparison is fair.
func TestPeer(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		w := newWorkload(t, "5k", v2, Settings{UIBase: uiBase, Metadata: everyKey})
		ours := translatePage(t, langsmith.NewDecoder(0), New(w.settings), w.pages[0])
		theirs, err := plainTranslate(w.pages[0], false, true)
		require.NoError(t, err)
		want, got := spansIn(ours), spansIn(theirs)
		for i := range want.Len() {
			require.Equal(t, want.At(i).Attributes().AsRaw(), got.At(i).Attributes().AsRaw())
			require.Equal(t, want.At(i).Name(), got.At(i).Name())
			require.Equal(t, want.At(i).StartTimestamp(), got.At(i).StartTimestamp())
			require.Equal(t, want.At(i).EndTimestamp(), got.At(i).EndTimestamp())
			require.Equal(t, want.At(i).ParentSpanID(), got.At(i).ParentSpanID())
			require.Equal(t, want.At(i).Events().Len(), got.At(i).Events().Len())
		}
	}
}

func spansIn(traces ptrace.Traces) ptrace.SpanSlice {
	return traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
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
	return traces
}
