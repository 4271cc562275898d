package poller

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/multierr"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

const (
	// batchSpans and batchBytes bound what is handed to the pipeline at once, and so what a crash may repeat. Exporters have
	// it in memory once more when they encode it.
	batchSpans = 1000
	batchBytes = 1 << 20
	// spanBytes is about what a span takes beside its content.
	spanBytes = 1 << 10
)

// batch collects spans of one project on their way to the pipeline.
type batch struct {
	// keep says that the pipeline changes what it gets, so that another attempt needs a copy.
	keep bool

	traces  ptrace.Traces
	spans   ptrace.SpanSlice
	entries []cursor.Entry
	bytes   int
	// ends are the ends of the runs whose delay is measured.
	ends []langsmith.Time
}

// add translates a run; it needs the worker's lock.
func (l *lane) add(run *langsmith.Run, entry cursor.Entry) {
	l.open(run, entry)
	l.note(l.translator.Append(run, l.target(), l.batch.spans))
}

// addUnfinished translates a run that is given up; it needs the worker's lock.
func (l *lane) addUnfinished(run *langsmith.Run, entry cursor.Entry) {
	l.open(run, entry)
	l.note(l.translator.Unfinished(run, l.target(), l.batch.spans))
}

func (l *lane) open(run *langsmith.Run, entry cursor.Entry) {
	b := &l.batch
	if len(b.entries) == 0 {
		b.traces = ptrace.NewTraces()
		rs := b.traces.ResourceSpans().AppendEmpty()
		l.translator.Resource(l.target(), rs.Resource())
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName(metadata.ScopeName)
		b.spans = ss.Spans()
	}
	b.entries = append(b.entries, entry)
	b.bytes += spanBytes + len(run.Inputs) + len(run.Outputs)
}

func (l *lane) note(notes translate.Notes) {
	for reason := range notes.Reasons {
		l.Meters.addWith(l.Meters.builder.ReceiverLangsmithRunsOdd, 1, "note", reason)
	}
}

func (b *batch) full() bool { return len(b.entries) >= batchSpans || b.bytes >= batchBytes }

// flush hands the batch to the pipeline, however long that takes, and marks its runs as gone out. It fails only
// when the context ends.
func (l *lane) flush(ctx context.Context) error {
	b := &l.batch
	if len(b.entries) == 0 {
		return ctx.Err()
	}
	traces, entries, ends := b.traces, b.entries, b.ends
	b.traces, b.spans, b.entries, b.bytes, b.ends = ptrace.Traces{}, ptrace.SpanSlice{}, nil, 0, nil
	spans := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	l.mu.Lock()
	l.lineage.Relink(spans)
	l.mu.Unlock()
	spans.Sort(func(a, b ptrace.Span) bool { return a.StartTimestamp() < b.StartTimestamp() })

	// One batch of a project is on its way at a time, so that a crash repeats no more than one.
	if !enter(ctx, l.delivery) {
		l.abandon(entries)
		return ctx.Err()
	}
	defer leave(l.delivery)
	if !l.owns(ctx) {
		l.abandon(entries)
		return errSuperseded
	}
	dropped, err := l.deliver(ctx, traces)
	if err != nil {
		l.abandon(entries)
		return err
	}
	l.mu.Lock()
	l.cursor.Accept(entries)
	l.mu.Unlock()
	l.Meters.add(l.Meters.builder.ReceiverLangsmithRunsDropped, dropped)
	l.Meters.add(l.Meters.builder.ReceiverLangsmithRunsEmitted, len(entries)-dropped)
	if dropped == 0 {
		l.Meters.delays(ends, l.now())
	}
	l.save(ctx)
	return nil
}

func (l *lane) abandon(entries []cursor.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursor.Abandon(entries)
}

// deliver repeats until the pipeline has taken all spans, or refused them for good. Meanwhile nothing else is
// read: that is how a pipeline that cannot follow slows the reading down.
func (l *lane) deliver(ctx context.Context, traces ptrace.Traces) (dropped int, err error) {
	retry := backoff{first: time.Second, most: 30 * time.Second}
	blocked := false
	defer func() {
		if blocked {
			l.pipeline.unblock()
		}
	}()
	if !l.batch.keep {
		traces.MarkReadOnly()
	}
	for {
		attempt := traces
		if l.batch.keep {
			attempt = ptrace.NewTraces()
			traces.CopyTo(attempt)
		}
		err := l.Consumer.ConsumeTraces(ctx, attempt)
		if err == nil {
			l.health.resolved("pipeline/"+l.id.String(), "the pipeline takes spans again")
			l.health.resolved("refused/"+l.id.String(), "the pipeline takes spans again")
			return 0, nil
		}
		if permanent(err) {
			n := traces.SpanCount()
			l.health.problem("refused/"+l.id.String(), "the pipeline refused spans for good; they are dropped", err, false, zap.Int("spans", n))
			return n, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if rest, ok := refusedPart(err); ok {
			traces = rest
			if !l.batch.keep {
				traces.MarkReadOnly()
			}
		}
		l.health.problem("pipeline/"+l.id.String(), "the pipeline does not take spans; trying again until it does", err, false,
			zap.Int("spans", traces.SpanCount()))
		if !blocked {
			blocked = true
			l.pipeline.block()
		}
		if !sleep(ctx, retry.next(0, l.chance())) {
			return 0, ctx.Err()
		}
	}
}

// refusedPart returns what a component did not take of a batch, if it took the rest and no other component failed: that
// one may have taken nothing.
func refusedPart(err error) (rest ptrace.Traces, ok bool) {
	var partial consumererror.Traces
	if len(multierr.Errors(err)) != 1 || !errors.As(err, &partial) || partial.Data().SpanCount() == 0 {
		return ptrace.Traces{}, false
	}
	rest = ptrace.NewTraces()
	partial.Data().CopyTo(rest)
	return rest, true
}

// permanent reports whether every component that refused the batch did so for good. As long as one of them may take it
// later, all of them get it again.
func permanent(err error) bool {
	for _, e := range multierr.Errors(err) {
		if !consumererror.IsPermanent(e) {
			return false
		}
	}
	return true
}
