package llmmetricsconnector

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// callBatches makes batches of that many model calls, each call once.
func callBatches(size int) func() ptrace.Traces {
	id := uint64(0)
	return func() ptrace.Traces {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for range size {
			id++
			span := spans.AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(scriptID(id))
			span.SetStartTimestamp(1)
			span.SetEndTimestamp(1e9 + 1)
			span.Attributes().PutStr(genai.AttrOperationName, "chat")
		}
		return td
	}
}

// notesIn is the size of all notes.
func (m *memory) notesIn() (size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, value := range m.values {
		if strings.HasPrefix(key, "note/") {
			size += len(value)
		}
	}
	return size
}

// stuck is a component that keeps metrics waiting until it is let go.
type stuck struct{ let chan struct{} }

func (*stuck) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *stuck) ConsumeMetrics(ctx context.Context, _ pmetric.Metrics) error {
	select {
	case <-s.let:
	case <-ctx.Done():
	}
	return nil
}

// TestNotesStaySmallBetweenFlushes sends more than room for notes several times over, between two flushes and while a flush
// waits for the next component.
func TestNotesStaySmallBetweenFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{values: map[string][]byte{}}
		cfg, host := storing(store)
		cfg.InitialZero = InitialZeroOff
		next := &stuck{let: make(chan struct{})}
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), host))
		const size = 2000
		batch := callBatches(size)
		require.NoError(t, c.ConsumeTraces(t.Context(), batch()))
		one := store.notesIn()
		require.Positive(t, one)
		calls := size
		send := func() {
			for range 3 * minRoom / one {
				require.NoError(t, c.ConsumeTraces(t.Context(), batch()))
				calls += size
				synctest.Wait()
				require.Less(t, store.notesIn(), 2*minRoom+one)
			}
		}
		send()
		time.Sleep(cfg.FlushInterval) // the flush now waits
		send()

		// What was saved in between is what was counted.
		close(next.let)
		synctest.Wait()
		die(c.shell)
		sink := &lastMetrics{}
		again := started(t, cfg, host, sink)
		require.NoError(t, again.Shutdown(t.Context()))
		count, _, _ := histogramOf(sink.last, llmmetrics.MetricOperationDuration)
		require.EqualValues(t, calls, count)
	})
}

type lastMetrics struct{ last pmetric.Metrics }

func (*lastMetrics) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (l *lastMetrics) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	l.last = md
	return nil
}

// TestFailingSavesPause lets the storage take notes and refuse totals, while so much comes that each batch asks for a save.
func TestFailingSavesPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refusesTotals{memory: &memory{values: map[string][]byte{}}}
		store.take.Store(true)
		cfg, host := storing(store)
		c := started(t, cfg, host, &lastMetrics{})
		store.take.Store(false)
		batch := callBatches(2000)
		for store.notesIn() < 2*minRoom {
			require.NoError(t, c.ConsumeTraces(t.Context(), batch()))
			synctest.Wait()
		}
		assert.EqualValues(t, 1, store.refused.Load())
		for range 10 {
			time.Sleep(savePause / 2)
			require.NoError(t, c.ConsumeTraces(t.Context(), batch()))
			synctest.Wait()
		}
		assert.EqualValues(t, 6, store.refused.Load(), "one for each pause")

		store.take.Store(true)
		time.Sleep(savePause)
		synctest.Wait()
		assert.Less(t, store.notesIn(), minRoom, "saved without a batch or a flush")

		store.take.Store(false)
		for store.refused.Load() < 7 {
			require.NoError(t, c.ConsumeTraces(t.Context(), batch()))
			synctest.Wait()
		}
		before := time.Now()
		die(c.shell)
		assert.Zero(t, time.Since(before), "the end does not wait for the pause")
	})
}

// refusesTotals is a memory that takes notes, and totals only when it is told to.
type refusesTotals struct {
	*memory
	take    atomic.Bool
	refused atomic.Int32
}

func (r *refusesTotals) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return r, nil
}

func (r *refusesTotals) Set(ctx context.Context, key string, value []byte) error {
	if !r.take.Load() && strings.HasPrefix(key, stateKey) {
		r.refused.Add(1)
		return context.DeadlineExceeded
	}
	return r.memory.Set(ctx, key, value)
}
