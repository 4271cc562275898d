package llmmetricsconnector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// memory is a storage extension whose content outlasts its clients.
type memory struct {
	component.StartFunc
	component.ShutdownFunc

	mu     sync.Mutex
	values map[string][]byte
	fail   func() bool // whether to refuse
	lie    func() bool // whether to say so after it was done, as a time that ran out does
	closed int
}

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (m *memory) Batch(_ context.Context, operations ...*storage.Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil && m.fail() {
		return errors.New("disk full")
	}
	for _, o := range operations {
		switch o.Type {
		case storage.Set:
			m.values[o.Key] = bytes.Clone(o.Value)
		case storage.Delete:
			delete(m.values, o.Key)
		}
	}
	if m.lie != nil && m.lie() {
		return errors.New("timed out")
	}
	return nil
}

func (m *memory) Close(context.Context) error {
	m.closed++
	return nil
}

// requireTidy expects the totals of one save and nothing else.
func (m *memory) requireTidy(t *testing.T) {
	t.Helper()
	require.Contains(t, m.values, stateKey)
	numbers := map[string]bool{}
	for key := range m.values {
		if key != stateKey {
			parts := strings.Split(key, "/")
			require.Equal(t, stateKey, parts[0], "notes are deleted")
			numbers[parts[1]] = true
		}
	}
	require.Len(t, numbers, 1, "former totals are deleted")
}

// slowSave is a save that goes on bit by bit between other things. A flush must wait until it is over.
type slowSave struct{ under *saving }

func (s *slowSave) goOn(t *testing.T, rng *rand.Rand, c *shell, store *memory) {
	switch {
	case s.under == nil:
		s.under = c.keeper.begin(c.metrics.single)
	case rng.IntN(3) > 0:
		s.under.step()
		s.under.totals.Step(rng.IntN(3))
	default:
		s.end(t, rng, store)
	}
}

// end lets the storage fail now and then: a save has many writes.
func (s *slowSave) end(t *testing.T, rng *rand.Rand, store *memory) {
	if s.under == nil {
		return
	}
	fail, lie := store.fail, store.lie
	store.fail = func() bool { return rng.IntN(20) == 0 }
	store.lie = store.fail
	for !s.under.step() {
	}
	_ = s.under.commit(t.Context())
	s.under = nil
	store.fail, store.lie = fail, lie
}

type storageHost map[component.ID]component.Component

func (h storageHost) GetExtensions() map[component.ID]component.Component { return h }

// storing returns a configuration whose storage is the memory, and the host that has it.
func storing(m component.Component) (*Config, component.Host) {
	id := component.MustNewID("memory")
	cfg := createDefaultConfig().(*Config)
	cfg.StorageID = &id
	cfg.FlushInterval = 1000 * time.Hour // tests flush
	return cfg, storageHost{id: m}
}

// started returns a connector that has started, with what the storage of the host has.
func started(t testing.TB, cfg *Config, host component.Host, next consumer.Metrics) *tracesToMetrics {
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), host))
	return c
}

// TestTotalsSurviveKills kills the connector at random moments: before a batch comes, after it was counted but not
// acknowledged, while the storage fails, before and after a flush, while totals are saved and batches come. The batch that was not acknowledged comes again.
func TestTotalsSurviveKills(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(31, seed))
		store := &memory{values: map[string][]byte{}}
		cfg, host := storing(store)
		cfg.InitialZero = []InitialZero{InitialZeroHold, InitialZeroInline, InitialZeroOff}[seed%3]
		if seed%2 == 0 {
			cfg.Histogram.Type = HistogramExponential
		}
		sink := &consumertest.MetricsSink{}
		start := func() *tracesToMetrics { return started(t, cfg, host, sink) }
		kill := func(c *tracesToMetrics) {
			c.stop()
			<-c.stopped
			c.telemetry.builder.Shutdown()
		}
		c := start()
		var save slowSave
		var calls, tools, tokens, id uint64
		for range 60 {
			td := ptrace.NewTraces()
			spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
			for range rng.IntN(30) {
				id++
				span := spans.AppendEmpty()
				span.SetTraceID(pcommon.TraceID{byte(id % 7), 1})
				span.SetSpanID(scriptID(id))
				span.SetStartTimestamp(1)
				span.SetEndTimestamp(1e9 + 1)
				if rng.IntN(3) == 0 {
					span.Attributes().PutStr(genai.AttrOperationName, "execute_tool")
					tools++
					continue
				}
				span.Attributes().PutStr(genai.AttrOperationName, "chat")
				span.Attributes().PutStr(genai.AttrRequestModel, []string{"a", "b", "c"}[rng.IntN(3)])
				span.Attributes().PutInt(genai.AttrInputTokens, 1000)
				calls++
				tokens += 1000
			}
			for acknowledged := false; !acknowledged; {
				store.fail = func() bool { return rng.IntN(3) == 0 }
				store.lie = func() bool { return rng.IntN(3) == 0 }
				err := c.ConsumeTraces(t.Context(), td)
				acknowledged = err == nil && rng.IntN(3) > 0
				if rng.IntN(2) == 0 {
					save.goOn(t, rng, c.shell, store)
				}
				flush := rng.IntN(8) == 0
				if flush {
					save.end(t, rng, store)
				}
				store.fail, store.lie = nil, nil
				if flush {
					_ = c.flush(t.Context(), false)
				}
				if rng.IntN(8) == 0 {
					kill(c)
					c, save = start(), slowSave{}
				}
			}
		}
		save.end(t, rng, store)
		require.NoError(t, c.Shutdown(t.Context()))
		store.requireTidy(t)
		require.Equal(t, 1, store.closed)

		all := sink.AllMetrics()
		totals := func(i int) map[string]uint64 {
			got := map[string]uint64{}
			for _, rm := range all[i].ResourceMetrics().All() {
				for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
					if cfg.Histogram.Type == HistogramExponential {
						for _, dp := range m.ExponentialHistogram().DataPoints().All() {
							got[m.Name()] += dp.Count()
							if m.Name() == llmmetrics.MetricTokenUsage {
								got["tokens"] += uint64(dp.Sum())
							}
						}
						continue
					}
					for _, dp := range m.Histogram().DataPoints().All() {
						got[m.Name()] += dp.Count()
						if m.Name() == llmmetrics.MetricTokenUsage {
							got["tokens"] += uint64(dp.Sum())
						}
					}
				}
			}
			return got
		}
		assert.Equal(t, map[string]uint64{
			llmmetrics.MetricOperationDuration: calls, llmmetrics.MetricToolDuration: tools,
			llmmetrics.MetricTokenUsage: calls, "tokens": tokens,
		}, totals(len(all)-1))
		if cfg.InitialZero != InitialZeroInline { // which tells zeros beside values
			for i := 1; i < len(all); i++ {
				for name, before := range totals(i - 1) {
					require.GreaterOrEqual(t, totals(i)[name], before, "%s: totals never go back", name)
				}
			}
		}
	}
}

// TestStorageFailsAtEachWrite goes through a history of batches, of which those that were not acknowledged come again, and
// flushes that save, then a kill. At each write in turn the storage does what it is asked to and says that it failed, as when
// the time runs out; or the kill comes before that write, or after it and before anything else is done.
func TestStorageFailsAtEachWrite(t *testing.T) {
	for _, fault := range []string{"done but failed", "kill before", "kill after"} {
		t.Run(fault, func(t *testing.T) {
			writes := testStorageFailsAt(t, "", 0)
			require.Greater(t, writes, 20)
			for at := range writes {
				testStorageFailsAt(t, fault, at+1)
			}
		})
	}
}

func testStorageFailsAt(t *testing.T, fault string, at int) (writes int) {
	const batches = 3
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	cfg.InitialZero = InitialZeroOff
	sink := &consumertest.MetricsSink{}
	start := func() *tracesToMetrics { return started(t, cfg, host, sink) }
	c := start()
	dead := false
	store.fail = func() bool {
		writes++
		dead = dead || fault == "kill before" && writes == at
		if fault == "kill after" && writes == at+1 {
			dead = true
		}
		return dead
	}
	store.lie = func() bool { return fault == "done but failed" && writes == at }
	heal := func() {
		if dead {
			store.fail, store.lie = nil, nil
			die(c.shell)
			c, dead = start(), false
		}
	}
	for n := range batches {
		td := chat(fmt.Sprint("model ", n)) // each is born, so each flush saves
		span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		span.SetTraceID(pcommon.TraceID{1})
		span.SetSpanID(scriptID(uint64(n + 1)))
		for c.ConsumeTraces(t.Context(), td) != nil {
			heal()
			if n == 0 { // a save comes in between
				require.NoError(t, c.flush(t.Context(), false))
			}
		}
		if n > 0 {
			require.NoError(t, c.flush(t.Context(), false))
			heal()
		}
	}
	store.fail, store.lie = nil, nil
	for range 2 {
		die(c.shell)
		c = start()
	}
	require.NoError(t, c.Shutdown(t.Context()))
	store.requireTidy(t)
	count, _, _ := histogramOf(sink.AllMetrics()[len(sink.AllMetrics())-1], llmmetrics.MetricOperationDuration)
	require.EqualValues(t, batches, count, "write %d", at)
	return writes
}

// TestHalvesOfCallsInConcurrentBatchesSurviveKills sends the two spans of each call in batches of their own, at the same
// time. A kill falls between the notes of some, and what was not acknowledged comes again.
func TestHalvesOfCallsInConcurrentBatchesSurviveKills(t *testing.T) {
	const calls, lives = 100, 20
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	cfg.InitialZero = InitialZeroOff
	sink := &consumertest.MetricsSink{}
	start := func() *tracesToMetrics {
		store.fail = nil
		return started(t, cfg, host, sink)
	}
	half := func(life, call, half int) ptrace.Traces {
		td := chat("gpt")
		span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		span.SetTraceID(pcommon.TraceID{1, byte(life), byte(call)})
		span.SetSpanID(pcommon.SpanID{byte(half + 1)})
		span.SetParentSpanID(pcommon.SpanID{byte(half)}) // the outermost has none
		return td
	}
	c := start()
	for life := range lives {
		killAt, notes := (life*37)%(2*calls), 0 // store calls fail one after another
		store.fail = func() bool { notes++; return notes > killAt }
		var lost sync.Map
		for call := range calls {
			var halves sync.WaitGroup
			for h := range 2 {
				halves.Go(func() {
					if c.ConsumeTraces(t.Context(), half(life, call, h)) != nil {
						lost.Store([2]int{call, h}, true)
					}
				})
			}
			halves.Wait()
		}
		die(c.shell)
		c = start()
		for call := range calls {
			for h := range 2 {
				if _, again := lost.Load([2]int{call, h}); again {
					require.NoError(t, c.ConsumeTraces(t.Context(), half(life, call, h)))
				}
			}
		}
	}
	require.NoError(t, c.Shutdown(t.Context()))
	count, _, _ := histogramOf(sink.AllMetrics()[0], llmmetrics.MetricOperationDuration)
	assert.EqualValues(t, lives*calls, count)
}

// TestSavesWhileBatchesCome saves again and again while several goroutines send batches, then kills.
func TestSavesWhileBatchesCome(t *testing.T) {
	const senders, batches, size = 3, 40, 20
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	cfg.InitialZero = InitialZeroOff
	cfg.Traces.Enabled, cfg.Threads.Enabled, cfg.Traces.MaxOpen = true, true, 30
	sink := &consumertest.MetricsSink{}
	start := func() *tracesToMetrics { return started(t, cfg, host, sink) }
	batch := func(sender, n int) ptrace.Traces {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for i := range size {
			chat(fmt.Sprint(sender, n%7, i)).ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).CopyTo(spans.AppendEmpty())
			spans.At(i).SetTraceID(pcommon.TraceID{1, byte(sender), byte(n), byte(i / 3)})
			spans.At(i).SetSpanID(scriptID(uint64(i + 1)))
		}
		return td
	}
	c := start()
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := range batches {
				assert.NoError(t, c.ConsumeTraces(context.Background(), batch(sender, n)))
			}
		})
	}
	sent := make(chan struct{})
	go func() { sending.Wait(); close(sent) }()
	for over := false; !over; {
		select {
		case <-sent:
			over = true
		default:
		}
		require.NoError(t, c.keeper.save(t.Context(), c.metrics.single))
	}
	for sender := range senders {
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(sender, batches)))
	}
	die(c.shell)
	c = start()
	for sender := range senders { // the last ones come again
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(sender, batches)))
	}
	require.NoError(t, c.Shutdown(t.Context()))
	md := sink.AllMetrics()[len(sink.AllMetrics())-1]
	count, _, _ := histogramOf(md, llmmetrics.MetricOperationDuration)
	assert.EqualValues(t, senders*(batches+1)*size, count)
}

// TestFailingStorageDoesNotFillMemory lets the storage fail for as long as it takes many batches to come that nobody sends
// again.
func TestFailingStorageDoesNotFillMemory(t *testing.T) {
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	cfg.InitialZero = InitialZeroOff
	sink := &flaky{}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), host))
	const calls = 10_000
	batch := func(n int) ptrace.Traces {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for i := range calls {
			span := spans.AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(scriptID(uint64(n*calls + i + 1)))
			span.SetStartTimestamp(1)
			span.SetEndTimestamp(1e9 + 1)
			span.Attributes().PutStr(genai.AttrOperationName, "chat")
		}
		return td
	}

	store.fail = func() bool { return true }
	last := 0
	for n := range 100 {
		before := c.keeper.unwrittenSize()
		require.Error(t, c.ConsumeTraces(t.Context(), batch(n)))
		if c.keeper.unwrittenSize() == before {
			last = n // refused without being counted
			break
		}
	}
	require.Positive(t, last, "what could not be noted grew to %d bytes", c.keeper.unwrittenSize())

	store.fail = nil
	for n := range last + 1 {
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(n)), "all of it comes again")
	}
	require.NoError(t, c.Shutdown(t.Context()))
	require.EqualValues(t, (last+1)*calls, sink.lastCount())
}

func TestStorageErrors(t *testing.T) {
	start := func(cfg *Config, host component.Host) error {
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		err = c.Start(t.Context(), host)
		require.NoError(t, c.Shutdown(t.Context()))
		return err
	}
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	require.EqualError(t, start(cfg, storageHost{}),
		`storage: there is no extension "memory": define it under extensions and list it in service::extensions`)
	_, other := storing(struct {
		component.StartFunc
		component.ShutdownFunc
	}{})
	require.EqualError(t, start(cfg, other), `storage: extension "memory" does not store anything: use one such as file_storage`)

	require.NoError(t, start(cfg, host))
	sound := maps.Clone(store.values)
	head, last := sound[stateKey], ""
	for key := range sound {
		if key != stateKey && len(sound[key]) < pieceSize {
			last = key
		}
	}
	for name, damaged := range map[string][]byte{
		"cut": head[:len(head)-1], "longer": append(bytes.Clone(head), 1), "short": head[:1], "empty": {}, "version": append([]byte{9}, head[1:]...),
	} {
		store.values[stateKey] = damaged
		require.Error(t, start(cfg, host), name)
	}
	store.values[stateKey] = head
	for name, damaged := range map[string][]byte{
		"gone": nil, "cut": sound[last][1:], "longer": append(bytes.Clone(sound[last]), 1), "other": make([]byte, len(sound[last])),
	} {
		store.values[last] = damaged
		require.Error(t, start(cfg, host), name)
	}
	store.values = sound
	require.NoError(t, start(cfg, host))

	cfg.Dimensions = []Dimension{{Name: "tenant"}}
	require.NoError(t, start(cfg, host), "totals of another configuration begin anew")
	require.NoError(t, start(cfg, host))
}

func TestStorageOfDefaultIsNone(t *testing.T) {
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), createDefaultConfig().(*Config), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	require.Nil(t, c.keeper)
	require.NoError(t, c.Shutdown(t.Context()))
}
