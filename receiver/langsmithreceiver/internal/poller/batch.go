package poller

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

const (
	// batchSpans and batchBytes bound what is handed to the pipeline at once, and so what a crash may repeat.
	batchSpans = 1000
	batchBytes = 4 << 20
	// spanBytes is about what a span takes beside its content.
	spanBytes = 1 << 10
)

// batch collects the spans of one project.
type batch struct {
	translator *translate.Translator
	lineage    translate.Lineage
	// keep says that the pipeline changes what it gets, so that another attempt needs a copy.
	keep bool

	traces  ptrace.Traces
	spans   ptrace.SpanSlice
	entries []cursor.Entry
	bytes   int
}

func newBatch(t *translate.Translator, keep bool) batch {
	return batch{translator: t, keep: keep}
}

func (b *batch) add(run *langsmith.Run, target translate.Target, entry cursor.Entry, m *Meters) {
	b.open(run, target, entry)
	b.note(b.translator.Append(run, target, b.spans), m)
}

func (b *batch) addUnfinished(run *langsmith.Run, target translate.Target, entry cursor.Entry, m *Meters) {
	b.open(run, target, entry)
	b.note(b.translator.Unfinished(run, target, b.spans), m)
}

func (b *batch) open(run *langsmith.Run, target translate.Target, entry cursor.Entry) {
	if len(b.entries) == 0 {
		b.traces = ptrace.NewTraces()
		rs := b.traces.ResourceSpans().AppendEmpty()
		b.translator.Resource(target, rs.Resource())
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName(metadata.ScopeName)
		b.spans = ss.Spans()
	}
	b.entries = append(b.entries, entry)
	b.bytes += spanBytes + len(run.Inputs) + len(run.Outputs)
}

func (b *batch) note(notes translate.Notes, m *Meters) {
	for reason := range notes.Reasons {
		m.addWith(m.builder.LangsmithReceiverRunsOdd, 1, "note", reason)
	}
}

func (b *batch) full() bool { return len(b.entries) >= batchSpans || b.bytes >= batchBytes }

// flush hands the batch to the pipeline, however long that takes, and marks its runs as gone out. It fails only
// when the context ends.
func (w *worker) flush(ctx context.Context) error {
	b := &w.batch
	if len(b.entries) == 0 {
		return ctx.Err()
	}
	traces, entries := b.traces, b.entries
	b.traces, b.spans, b.entries, b.bytes = ptrace.Traces{}, ptrace.SpanSlice{}, nil, 0
	spans := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	b.lineage.Relink(spans)
	spans.Sort(func(a, b ptrace.Span) bool { return a.StartTimestamp() < b.StartTimestamp() })

	dropped, err := w.deliver(ctx, traces)
	if err != nil {
		w.cursor.Abandon(entries)
		return err
	}
	w.cursor.Accept(entries)
	w.Meters.add(w.Meters.builder.LangsmithReceiverRunsDropped, dropped)
	w.Meters.add(w.Meters.builder.LangsmithReceiverRunsEmitted, len(entries)-dropped)
	w.save(ctx)
	return nil
}

// deliver repeats until the pipeline has taken all spans, or refused them for good. Meanwhile nothing else is
// read of the project: that is how a pipeline that cannot follow slows the reading down.
func (w *worker) deliver(ctx context.Context, traces ptrace.Traces) (dropped int, err error) {
	retry := backoff{first: time.Second, most: 30 * time.Second}
	if !w.batch.keep {
		traces.MarkReadOnly()
	}
	for {
		attempt := traces
		if w.batch.keep {
			attempt = ptrace.NewTraces()
			traces.CopyTo(attempt)
		}
		err := w.Consumer.ConsumeTraces(ctx, attempt)
		if err == nil {
			w.health.resolved("pipeline", "the pipeline takes spans again")
			w.health.resolved("refused", "the pipeline takes spans again")
			return 0, nil
		}
		if consumererror.IsPermanent(err) {
			n := traces.SpanCount()
			w.health.problem("refused", "the pipeline refused spans for good; they are dropped", err, false, zap.Int("spans", n))
			return n, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		var partial consumererror.Traces
		if errors.As(err, &partial) && partial.Data().SpanCount() > 0 {
			rest := ptrace.NewTraces()
			partial.Data().CopyTo(rest)
			traces = rest
			if !w.batch.keep {
				traces.MarkReadOnly()
			}
		}
		w.health.problem("pipeline", "the pipeline does not take spans; trying again until it does", err, false,
			zap.Int("spans", traces.SpanCount()))
		if !sleep(ctx, retry.next(0)) {
			return 0, ctx.Err()
		}
	}
}
