package llmmetricsconnector

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

// die ends a shell as a kill does: nothing is flushed or saved.
func die(c *shell) {
	c.stop()
	<-c.stopped
	c.telemetry.builder.Shutdown()
}

// withoutTimes are metrics as text, without the times of points.
func withoutTimes(md pmetric.Metrics) string {
	return regexp.MustCompile(`\} \S+ `).ReplaceAllString(metricstext.String(md, time.Now()), "} ")
}

// TestOpenTracesAndThreadsSurviveKills runs the same spans through a connector that is killed at random moments while its
// storage now and then fails, and through one that is left in peace. In the end both have told the same.
func TestOpenTracesAndThreadsSurviveKills(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) { testOpenTracesSurviveKills(t, seed) })
	}
}

func testOpenTracesSurviveKills(t *testing.T, seed uint64) {
	g := conversations{rng: rand.New(rand.NewPCG(32, seed))}
	rng := g.rng
	if seed%4 > 0 {
		// A span that is no operation is not known when it comes again. That its trace then seems fresher only matters
		// when there are too many.
		g.step = "plan"
	}
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	cfg.InitialZero, cfg.Exemplars.MaxPerDataPoint = InitialZeroOff, 0
	cfg.Traces = TracesConfig{Enabled: seed%3 > 0, Idle: time.Minute, Timeout: 5 * time.Minute, MaxOpen: []int{1000, 5}[seed%2]}
	cfg.Threads = ThreadsConfig{Enabled: seed%3 < 2, IdleTimeout: 10 * time.Minute, MaxOpen: []int{1000, 3}[seed/2%2]}
	cfg.Dimensions = []Dimension{{Name: "tenant", Default: "none"}}
	start := func(cfg *Config, sink *consumertest.MetricsSink) *tracesToMetrics {
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), host))
		return c
	}
	peaceful := *cfg
	peaceful.StorageID = nil
	want, got := &consumertest.MetricsSink{}, &consumertest.MetricsSink{}
	reference, killed := start(&peaceful, want), start(cfg, got)

	kills := 0
	var save slowSave
	var waiting []ptrace.Span
	for range 50 {
		time.Sleep(time.Duration(rng.IntN(40)) * time.Second)
		// What is noted last is the time up to which the connector was there.
		require.NoError(t, reference.flush(t.Context(), false))
		save.goOn(t, rng, killed.shell, store)
		killed.finish(t.Context(), now(), false)
		if save.under == nil || rng.IntN(4) == 0 {
			save.end(t, rng, store)
			require.NoError(t, killed.flush(t.Context(), false))
		}
		spans, _, _ := g.turn([]string{"", "a", "b", "c", "d"}[rng.IntN(5)], time.Now())
		waiting = append(waiting, spans...)
		rng.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
		n := rng.IntN(len(waiting) + 1)
		td := tracesOf(waiting[:n])
		waiting = waiting[n:]
		require.NoError(t, reference.ConsumeTraces(t.Context(), td))
		for acknowledged := false; !acknowledged; {
			store.fail = func() bool { return rng.IntN(3) == 0 }
			store.lie = store.fail
			err := killed.ConsumeTraces(t.Context(), td)
			acknowledged = err == nil && rng.IntN(3) > 0
			save.goOn(t, rng, killed.shell, store)
			store.fail, store.lie = nil, nil
			if rng.IntN(4) == 0 {
				die(killed.shell)
				killed, save = start(cfg, got), slowSave{}
				kills++
			}
		}
	}
	save.end(t, rng, store)
	// Whatever is left becomes complete.
	require.NoError(t, reference.ConsumeTraces(t.Context(), tracesOf(waiting)))
	require.NoError(t, killed.ConsumeTraces(t.Context(), tracesOf(waiting)))
	for range 3 {
		time.Sleep(30 * time.Minute)
		require.NoError(t, reference.flush(t.Context(), false))
		require.NoError(t, killed.flush(t.Context(), false))
	}
	require.Positive(t, kills)
	last := func(s *consumertest.MetricsSink) string { return withoutTimes(s.AllMetrics()[len(s.AllMetrics())-1]) }
	require.NoError(t, reference.Shutdown(t.Context()))
	require.NoError(t, killed.Shutdown(t.Context()))
	require.Equal(t, last(want), last(got), "seed %d", seed)
}

// TestTimeInBetweenIsNotIdle holds that what was open at a stop waits for the rest as long as it would have.
func TestTimeInBetweenIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{values: map[string][]byte{}}
		cfg, host := storing(store)
		cfg.Traces.Enabled, cfg.Threads.Enabled = true, true
		open := func(c *tracesToMetrics, traces, threads int64) {
			t.Helper()
			gotTraces, gotThreads := c.spans.traces.size()
			assert.Equal(t, []int64{traces, threads}, []int64{gotTraces, gotThreads})
		}
		start := func() *tracesToMetrics { return started(t, cfg, host, consumertest.NewNop()) }
		g := conversations{rng: rand.New(rand.NewPCG(1, 1))}
		done, _, _ := g.turn("a", time.Now())
		half, _, _ := g.turn("b", time.Now())

		c := start()
		require.NoError(t, c.ConsumeTraces(t.Context(), tracesOf(done)))
		time.Sleep(time.Minute)
		require.NoError(t, c.ConsumeTraces(t.Context(), tracesOf(half[:1])))
		require.NoError(t, c.flush(t.Context(), false))
		open(c, 1, 1)
		for _, end := range []func(){func() { require.NoError(t, c.Shutdown(t.Context())) }, func() { die(c.shell) }} {
			end()
			time.Sleep(24 * time.Hour)
			c = start()
			open(c, 1, 1)
			require.NoError(t, c.flush(t.Context(), false))
			open(c, 1, 1)
		}
		time.Sleep(30 * time.Second)
		require.NoError(t, c.ConsumeTraces(t.Context(), tracesOf(half[1:])))
		time.Sleep(time.Minute)
		require.NoError(t, c.flush(t.Context(), false))
		open(c, 0, 2)
		require.NoError(t, c.Shutdown(t.Context()))

		// With other dimensions what was open begins anew; without traces it is forgotten.
		cfg.Dimensions = []Dimension{{Name: "tenant"}}
		c = start()
		open(c, 0, 0)
		require.NoError(t, c.ConsumeTraces(t.Context(), tracesOf(half)))
		die(c.shell)
		cfg.Traces.Enabled, cfg.Threads.Enabled = false, false
		c = start()
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

// TestTwinsAreKnownAcrossKills sends the two spans of a call, one before a save and two kills, one after.
func TestTwinsAreKnownAcrossKills(t *testing.T) {
	for first := range 2 {
		store := &memory{values: map[string][]byte{}}
		cfg, host := storing(store)
		cfg.InitialZero = InitialZeroOff
		sink := &consumertest.MetricsSink{}
		start := func() *tracesToMetrics { return started(t, cfg, host, sink) }
		half := func(n int) ptrace.Traces {
			td := chat("gpt")
			span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(pcommon.SpanID{byte(n + 1)})
			span.SetParentSpanID(pcommon.SpanID{byte(n)}) // the outer one has none
			return td
		}
		c := start()
		require.NoError(t, c.ConsumeTraces(t.Context(), half(first)))
		for range 2 {
			require.NoError(t, c.flush(t.Context(), false))
			die(c.shell)
			c = start()
		}
		require.NoError(t, c.ConsumeTraces(t.Context(), half(1-first)))
		require.NoError(t, c.Shutdown(t.Context()))
		count, _, _ := histogramOf(sink.AllMetrics()[len(sink.AllMetrics())-1], llmmetrics.MetricOperationDuration)
		assert.EqualValues(t, 1, count)
	}
}

// TestScoresSurviveKills is TestTotalsSurviveKills for the results of evaluations.
func TestScoresSurviveKills(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(33, seed))
		store := &memory{values: map[string][]byte{}}
		cfg, host := storing(store)
		cfg.InitialZero = InitialZeroOff
		sink := &consumertest.MetricsSink{}
		start := func() *logsToMetrics {
			c, err := newLogsToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
			require.NoError(t, err)
			require.NoError(t, c.Start(t.Context(), host))
			return c
		}
		c := start()
		var save slowSave
		results, sum := 0, 0.0
		for i := range 30 {
			ld := plog.NewLogs()
			for j := range rng.IntN(10) {
				attrs := map[string]any{"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 0.25}
				if rng.IntN(2) == 0 {
					attrs["langsmith.feedback.id"] = fmt.Sprint(i, "/", j)
				}
				evaluation(t, ld, time.Unix(int64(i+1), int64(j)), attrs).SetTraceID(pcommon.TraceID{1})
				results++
				sum += 0.25
				if attrs["langsmith.feedback.id"] != nil && rng.IntN(3) == 0 { // an edit
					attrs["gen_ai.evaluation.score.value"] = 1.0
					evaluation(t, ld, time.Unix(int64(i+1), int64(j)), attrs)
				}
			}
			for acknowledged := false; !acknowledged; {
				store.fail = func() bool { return rng.IntN(3) == 0 }
				store.lie = store.fail
				err := c.ConsumeLogs(t.Context(), ld)
				acknowledged = err == nil && rng.IntN(3) > 0
				save.goOn(t, rng, c.shell, store)
				store.fail, store.lie = nil, nil
				if rng.IntN(4) == 0 {
					save.end(t, rng, store)
					_ = c.flush(t.Context(), false)
				}
				if rng.IntN(4) == 0 {
					die(c.shell)
					c, save = start(), slowSave{}
				}
			}
		}
		save.end(t, rng, store)
		require.NoError(t, c.Shutdown(t.Context()))
		store.requireTidy(t)
		md := sink.AllMetrics()[len(sink.AllMetrics())-1]
		count, got, _ := histogramOf(md, "gen_ai.evaluation.score")
		assert.Equal(t, uint64(results), count)
		assert.InDelta(t, sum, got, 0)
		assert.Contains(t, withoutTimes(md), fmt.Sprintf("value=%d\n", results))
	}
}

// TestSignalsDoNotShareWhatIsStored holds that the two roles of one connector use stores of their own.
func TestSignalsDoNotShareWhatIsStored(t *testing.T) {
	var names []string
	cfg, host := storing(storeNames{&names})
	traces, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	logs, err := newLogsToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	for _, c := range []component.Component{traces, logs} {
		require.NoError(t, c.Start(t.Context(), host))
		require.NoError(t, c.Shutdown(t.Context()))
	}
	assert.Equal(t, []string{"", "logs"}, names)
}

// openIn is a copy of all that is open.
func openIn(t *traceTable) []byte {
	c := codec{}
	t.cut(&c)
	for !t.step() {
	}
	return c.buf
}

func FuzzMemory(f *testing.F) {
	cfg := createDefaultConfig().(*Config)
	cfg.Traces.Enabled, cfg.Threads.Enabled = true, true
	cfg.Traces.MaxOpen = 2
	fresh := func() *spanMemory {
		return &spanMemory{nesting: newNesting(), suspects: &suspects{}, traces: newTraceTable(cfg)}
	}
	g := conversations{rng: rand.New(rand.NewPCG(1, 1))}
	var spans []ptrace.Span
	for range 4 {
		more, _, _ := g.turn("a", time.Unix(0, 0))
		spans = append(spans, more...)
	}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(f, err)
	m := c.memory.(*spanMemory)
	add := func(n *note) {
		f.Add(openIn(m.traces), n.memory.buf)
	}
	var batch, end note
	c.spans.read(tracesOf(spans), 1, &batch)
	add(&batch)
	c.spans.finishTraces(1<<62, true, &end)
	add(&end)
	f.Fuzz(func(t *testing.T, traces, note []byte) {
		m := fresh()
		state := codec{buf: traces, reading: true}
		m.traces.restore(&state)
		if state.failed {
			m = fresh()
		}
		_ = m.replay(note)
		m.resume(1 << 60)
		back := fresh()
		state = codec{buf: openIn(m.traces), reading: true}
		back.traces.restore(&state)
		require.False(t, state.failed)
		var obs llmmetrics.Observation
		done := m.traces.take(1<<60, true)
		for _, tr := range done.traces {
			tr.observe(&obs)
		}
		for _, th := range done.threads {
			th.observe(&obs)
		}
		require.False(t, done.open)
		require.Empty(t, m.traces.threads.waiting)
		var feedback feedbackMemory
		_ = feedback.restore(note)
		_ = feedback.replay(note)
	})
}

// BenchmarkNotes measures what keeping totals costs: bytes per batch of 1000 spans, and time beside reading alone.
func BenchmarkNotes(b *testing.B) {
	for _, traces := range []bool{false, true} {
		for _, notes := range []bool{false, true} {
			b.Run(fmt.Sprintf("traces=%t/notes=%t", traces, notes), func(b *testing.B) {
				cfg := createDefaultConfig().(*Config)
				cfg.Traces.Enabled, cfg.Threads.Enabled = traces, traces
				c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
				require.NoError(b, err)
				require.NoError(b, c.shell.halt(b.Context()))
				g := conversations{rng: rand.New(rand.NewPCG(1, 1))}
				var batches []ptrace.Traces
				for range 50 {
					var spans []ptrace.Span
					for len(spans) < 1000 {
						more, _, _ := g.turn(fmt.Sprint(g.rng.IntN(100)), time.Unix(1_700_000_000, 0))
						spans = append(spans, more...)
					}
					batches = append(batches, tracesOf(spans[:1000]))
				}
				size, n := 0, 0
				b.ResetTimer()
				for i := range b.N {
					td := batches[i%len(batches)]
					if i%len(batches) == 0 { // spans come only once
						*c.spans.nesting = nesting{}
						if traces {
							c.spans.traces = newTraceTable(cfg)
						}
					}
					if !notes {
						c.spans.read(td, 1, nil)
						continue
					}
					var note note
					c.spans.read(td, 1, &note)
					size += len(note.appendTo(nil))
					n++
				}
				if n > 0 {
					b.ReportMetric(float64(size)/float64(n), "B/batch")
				}
			})
		}
	}
}

// BenchmarkOpenTraces measures what a save of all that is open costs: bytes a trace, of five or six spans.
func BenchmarkOpenTraces(b *testing.B) {
	cfg := createDefaultConfig().(*Config)
	cfg.Traces.Enabled, cfg.Threads.Enabled = true, true
	m := &spanMemory{nesting: newNesting(), suspects: &suspects{}, traces: newTraceTable(cfg)}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(b, err)
	c.spans.traces = m.traces
	g := conversations{rng: rand.New(rand.NewPCG(1, 1))}
	for range cfg.Traces.MaxOpen {
		spans, _, _ := g.turn(fmt.Sprint(g.rng.IntN(100)), time.Unix(1_700_000_000, 0))
		c.spans.read(tracesOf(spans), 1, nil)
	}
	size := 0
	for b.Loop() {
		size = len(openIn(m.traces))
	}
	b.ReportMetric(float64(size)/float64(cfg.Traces.MaxOpen), "B/trace")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*cfg.Traces.MaxOpen), "ns/trace")
}

// storeNames is a storage extension that notes the names of its clients.
type storeNames struct{ names *[]string }

func (storeNames) Start(context.Context, component.Host) error { return nil }
func (storeNames) Shutdown(context.Context) error              { return nil }

func (s storeNames) GetClient(_ context.Context, _ component.Kind, _ component.ID, name string) (storage.Client, error) {
	*s.names = append(*s.names, name)
	return storage.NewNopClient(), nil
}
