package traffic

import (
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

var complaints = []string{"did not answer", "wrong part number", "too long", "answered in the wrong language", "made up a source", "did not help, I had to call"}

// judge adds feedback and queue items of a trace. settledBy is the time before which everything has happened,
// for history.
func (g *Generator) judge(t *trace, b *batch, settledBy int64) {
	root := b.runs[0]
	if root.End == 0 {
		return
	}
	when := func(after int64) int64 {
		at := max(root.Done, root.End) + after
		if settledBy != 0 {
			at = max(min(at, settledBy-1000), root.End)
		}
		return at
	}
	entry := func(key, source string, after int64) *store.Feedback {
		f := &store.Feedback{ID: t.uuid7(root.Start), RunID: root.ID, TraceID: root.TraceID, ProjectID: root.ProjectID, Key: key, SourceType: source, RunStart: root.Start, Root: true}
		f.Created = when(after)
		f.Modified = f.Created
		f.Source = `{"type":"` + source + `","metadata":null,"user_id":null,"ls_user_id":null,"user_name":null}`
		b.feedback = append(b.feedback, f)
		return f
	}
	if t.threadBy != "" && t.chance(0.08) {
		f := entry("user_thumbs", "app", t.between(2_000_000, 90_000_000))
		f.Score = "1"
		if t.chance(0.3) {
			f.Score = "0"
			if t.chance(0.6) {
				f.Comment = pick(t.rng, complaints)
			}
			g.enqueue(t, b, 0, f.Created)
		}
		if t.chance(0.1) {
			edited := *f
			edited.Modified = f.Created + t.between(10_000_000, 60_000_000)
			edited.Score = map[string]string{"0": "1", "1": "0"}[f.Score]
			f.Edit = &edited
		}
	}
	if t.chance(0.12) {
		f := entry("correctness", "auto_eval", t.between(3_000_000, 40_000_000))
		f.Score = strconv.FormatFloat(float64(t.between(40, 100))/100, 'f', -1, 64)
		f.Comment = "The answer agrees with the documents."
		evaluator := t.uuid4()
		f.Source = `{"type":"auto_eval","metadata":{"__run":{"run_id":"` + evaluator.String() + `"}},"user_id":null,"ls_user_id":null,"user_name":null}`
	}
	if t.chance(0.05) {
		f := entry("tone", "model", t.between(3_000_000, 40_000_000))
		f.Value = `"` + pick(t.rng, []string{"friendly", "neutral", "curt"}) + `"`
	}
	if t.chance(0.02) {
		f := entry("hallucination", "api", t.between(1_000_000, 30_000_000))
		f.Score = strconv.FormatBool(t.chance(0.2))
	}
	if t.threadBy != "" && t.chance(0.01) {
		f := entry("resolved", "app", t.between(60_000_000, 400_000_000))
		f.RunID, f.TraceID, f.RunStart, f.Root = store.UUID{}, store.UUID{}, 0, false // about the whole conversation
		f.Thread, f.Score = t.thread, strconv.Itoa(t.IntN(2))
	}
	if !t.example.IsZero() {
		f := entry("exact_match", "api", t.between(500_000, 5_000_000))
		f.Score = strconv.Itoa(t.IntN(2))
		f.Correction = `{"expected":"see the handbook"}`
	}
	if t.chance(0.01) {
		g.enqueue(t, b, 1, when(t.between(1_000_000, 10_000_000)))
	}
}

func (g *Generator) enqueue(t *trace, b *batch, queue int, at int64) {
	root := b.runs[0]
	item := &store.QueueItem{ID: t.uuid4(), Queue: g.queues[queue], Run: root.ID, Project: root.ProjectID, RunStart: root.Start, Added: at}
	if t.chance(0.6) {
		item.Reviewed = at + t.between(20_000_000, 900_000_000)
		item.Archived = item.Reviewed + int64(queue^1)*t.between(10_000_000, 300_000_000)
	}
	b.items = append(b.items, item)
}
