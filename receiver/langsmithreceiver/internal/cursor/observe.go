package cursor

import (
	"math"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Action is what to do with a row.
type Action uint8

const (
	// Ignore means that the row is of no interest: known, or not asked for.
	Ignore Action = iota
	// Emit means that the run goes out.
	Emit
	// EmitUnfinished means that the run goes out although it did not end: it is given up.
	EmitUnfinished
	// Wait means that the run is not ready and will be read again.
	Wait
	// Duplicate means that the run went out before.
	Duplicate
	// Updated means that the run went out before and changed since.
	Updated
	// EmitUpdated means that the run went out before, changed since, and goes out again.
	EmitUpdated
	// NoID and NoStart mean that the row cannot be used.
	NoID
	// NoStart see NoID.
	NoStart
)

// Decision says what to do with a row.
type Decision struct {
	Action Action
	// Late says that the run arrived after its time had been read.
	Late bool
	// Recovered says that only the comparison with LangSmith found the run; only of Emit and EmitUnfinished.
	Recovered bool
	// Entry is to be handed back when the run was accepted or abandoned; only of Emit, EmitUnfinished and EmitUpdated.
	Entry Entry
}

// Entry identifies a run that is on its way out.
type Entry struct {
	ID       langsmith.UUID
	Start    langsmith.Time
	hash     uint64
	revision uint32
	usage    usage
	was      previous
}

// Observe decides about a row of a task. The run is not kept. A run that is to be emitted counts as known from
// then on, and has to be handed to [Project.Accept] or [Project.Abandon].
func (p *Project) Observe(t *Task, run *langsmith.Run, now langsmith.Time) Decision {
	if run.ID.IsZero() {
		return Decision{Action: NoID}
	}
	if run.Start == 0 {
		return Decision{Action: NoStart}
	}
	if t.Kind == KindRecheck {
		if t.answered == nil {
			t.answered = make(map[langsmith.UUID]bool, len(t.IDs))
		}
		t.answered[run.ID] = true
	} else {
		if !t.Window.Contains(run.Start) {
			t.outside(run.Start)
			return Decision{}
		}
		t.row(run.Start)
	}
	w, hash := p.wait(run.ID, run.Start), p.hash(run.ID)
	if t.Kind == KindSweep || t.Kind == KindReconcile {
		return p.observeIdentity(t, run, hash, w, now)
	}
	if _, ok := p.inFlight[run.ID]; ok {
		return Decision{Action: Duplicate}
	}
	have, ok, away := p.known(hash, run.Start)
	if ok && !(have.lost && p.owed(run, w)) {
		return p.observeKnown(run, hash, have)
	}
	if away && t.Kind != KindRecheck { // the next task that reads its time will know
		return Decision{}
	}
	if w == nil {
		if t.Kind == KindRecheck || !p.retained(run.Start) {
			return Decision{}
		}
	}
	if w != nil && w.changed && run.Finished() { // what it was like before is away, or forgotten already
		p.inFlight[run.ID] = struct{}{}
		return Decision{Action: EmitUpdated, Entry: p.entry(run, hash, w.was)}
	}
	late := w == nil && t.Kind == KindLive && run.Start < t.head && !p.gaps.contains(run.Start)
	action, deadline := p.ready(run, w, now)
	if action == Wait {
		next := Waiting{ID: run.ID, Start: run.Start, Deadline: deadline}
		if w != nil {
			next.missed, next.asked, next.changed, next.was = w.missed, w.asked, w.changed, w.was
		}
		if p.lacksMore(run) {
			next.root = run.TraceID
			next.late = deadline != 0 && now >= deadline
		}
		next.due = p.nextLook(&next, now)
		if deadline != 0 {
			next.due = min(next.due, max(deadline, now))
		}
		p.putWaiting(next)
		return Decision{Action: Wait, Late: late}
	}
	p.inFlight[run.ID] = struct{}{}
	decision := Decision{Action: action, Late: late, Entry: p.entry(run, hash, previous{})}
	if w != nil {
		decision.Recovered, decision.Entry.was = w.missed, w.was
	}
	return decision
}

// owed reports whether a run is still to go out, whatever is known of its bucket.
func (p *Project) owed(run *langsmith.Run, w *Waiting) bool {
	return w != nil || p.gaps.contains(run.Start)
}

func (p *Project) entry(run *langsmith.Run, hash uint64, was previous) Entry {
	return Entry{run.ID, run.Start, hash, revisionOf(run), usageOf(run), was}
}

// observeKnown decides about a run that went out before.
func (p *Project) observeKnown(run *langsmith.Run, hash uint64, have known) Decision {
	p.prices.learn(run)
	if have.is(revisionOf(run)) {
		p.dropWaiting(run.ID, run.Start) // a sweep may have thought otherwise
		return Decision{Action: Duplicate}
	}
	was := p.previous(hash, run.Start)
	if p.cfg.EmitUpdates && run.Finished() {
		// The revision is noted when the run has gone out.
		p.inFlight[run.ID] = struct{}{}
		return Decision{Action: EmitUpdated, Entry: p.entry(run, hash, was)}
	}
	p.dropWaiting(run.ID, run.Start)
	p.remember(hash, run.Start, revisionOf(run), usageOf(run), was)
	return Decision{Action: Updated}
}

// Revises reports whether a task looks for changes of runs that went out: its rows must have what makes a revision.
func (p *Project) Revises(t *Task) bool {
	return t.Kind == KindSweep || t.Kind == KindReconcile && (t.measures || p.cfg.EmitUpdates)
}

// observeIdentity decides about a row of a sweep or a comparison, which has no more than identity, times and status, and
// what makes the revision if the task revises.
func (p *Project) observeIdentity(t *Task, run *langsmith.Run, hash uint64, w *Waiting, now langsmith.Time) Decision {
	_, out := p.inFlight[run.ID]
	have, known, away := p.known(hash, run.Start)
	if away { // the next task that reads its time will know
		return Decision{}
	}
	known = known && !(have.lost && p.owed(run, w))
	if t.measures {
		t.measure(run, !known && (out || w != nil))
	}
	if w != nil {
		if run.Finished() && w.Deadline == 0 {
			w.due = min(w.due, now)
		}
		return Decision{}
	}
	switch {
	case out:
		return Decision{}
	case known && p.cfg.EmitUpdates && run.Finished():
		if !have.is(revisionOf(run)) {
			p.askFor(run, now)
			asked := p.wait(run.ID, run.Start)
			asked.changed, asked.was = true, p.previous(hash, run.Start)
		}
		return Decision{}
	case known && p.Revises(t) && !have.is(revisionOf(run)):
		p.remember(hash, run.Start, revisionOf(run), usageOf(run), previous{})
		return Decision{Action: Updated}
	case known:
		if t.measures && have.sealed {
			t.unchanged(run)
		}
		return Decision{}
	}
	// Below the floor ids are forgotten, and a gap will be read anyway.
	if run.Start < p.floor || p.gaps.contains(run.Start) {
		return Decision{}
	}
	t.found++
	p.askFor(run, now)
	p.wait(run.ID, run.Start).missed = t.Kind == KindReconcile
	return Decision{Action: Wait, Late: t.Kind == KindSweep}
}

// askFor lets a run be read in full.
func (p *Project) askFor(run *langsmith.Run, now langsmith.Time) {
	p.putWaiting(Waiting{ID: run.ID, Start: run.Start, due: now, late: true})
	p.queueDue = min(p.queueDue, now)
}

// ready decides whether a run goes out, and else until when it waits.
func (p *Project) ready(run *langsmith.Run, w *Waiting, now langsmith.Time) (Action, langsmith.Time) {
	if !run.Finished() {
		if time.Duration(now-run.Start) >= p.cfg.PendingTimeout {
			return EmitUnfinished, 0
		}
		return Wait, 0
	}
	p.prices.learn(run)
	if p.complete(run, now) {
		return Emit, 0
	}
	deadline := langsmith.Time(0)
	if w != nil {
		deadline = w.Deadline
	}
	if deadline == 0 {
		end := now
		if run.End != 0 && !p.lacksMore(run) {
			end = min(run.End, now) // the end is by the clock of somebody else
		}
		deadline = end.Add(p.cfg.Settle)
	}
	// A root that went out before a restart does not come again by itself.
	if now < deadline || p.lacksMore(run) && !run.TraceID.IsZero() && (w == nil || !w.asked) {
		return Wait, deadline
	}
	if hasTokens(run) && !hasCost(run) {
		p.prices.unpriced(run, now)
	}
	return Emit, 0
}

// WaitFor makes finished runs wait for something besides tokens and cost, which the root of their trace tells: as long
// as incomplete says so, and at most the settle delay from when they were first read. Then the root is asked for once.
func (p *Project) WaitFor(incomplete func(*langsmith.Run) bool) { p.incomplete = incomplete }

func (p *Project) lacksMore(run *langsmith.Run) bool { return p.incomplete != nil && p.incomplete(run) }

// complete reports whether LangSmith has nothing more to fill in: only calls of models have tokens and cost, and
// a failed one may never get them.
func (p *Project) complete(run *langsmith.Run, now langsmith.Time) bool {
	if p.lacksMore(run) {
		return false
	}
	if !callsModel(run) {
		return true
	}
	if run.Status == langsmith.StatusError || run.Status == langsmith.StatusInterrupted {
		return true
	}
	return hasTokens(run) && (hasCost(run) || p.prices.isUnpriced(run, now))
}

// Accept notes that runs were taken over by the pipeline, or dropped for good.
func (p *Project) Accept(entries []Entry) {
	for _, e := range entries {
		delete(p.inFlight, e.ID)
		p.dropWaiting(e.ID, e.Start)
		if p.retained(e.Start) {
			p.remember(e.hash, e.Start, e.revision, e.usage, e.was)
		}
	}
}

// Abandon notes that runs did not go out: they will be read again.
func (p *Project) Abandon(entries []Entry) {
	for _, e := range entries {
		delete(p.inFlight, e.ID)
	}
}

func hasTokens(run *langsmith.Run) bool {
	return run.TotalTokens.Value > 0 || run.PromptTokens.Value > 0 || run.CompletionTokens.Value > 0
}

func hasCost(run *langsmith.Run) bool {
	return run.TotalCost.Value > 0 || run.PromptCost.Value > 0 || run.CompletionCost.Value > 0
}

// revisionOf is a hash of what LangSmith may change after a run has ended. Tokens and cost of a step are sums over
// its children, which are filled in as those are priced: that is no change of the run.
func revisionOf(run *langsmith.Run) uint32 {
	h := uint64(fnvOffset)
	mix := func(v uint64) {
		h = (h ^ v) * fnvPrime
		h ^= h >> 29
	}
	mix(uint64(run.Status))
	mix(uint64(run.End))
	if callsModel(run) {
		for _, c := range [...]langsmith.Count{run.PromptTokens, run.CompletionTokens, run.TotalTokens} {
			mix(uint64(c.Value))
		}
		for _, n := range [...]langsmith.Number{run.PromptCost, run.CompletionCost, run.TotalCost} {
			mix(math.Float64bits(n.Value))
		}
	}
	h = fnv(h, run.Tags)
	return uint32(h ^ h>>32)
}

func callsModel(run *langsmith.Run) bool {
	return run.RunType == langsmith.RunTypeLLM || run.RunType == langsmith.RunTypeEmbedding
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func fnv(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}
