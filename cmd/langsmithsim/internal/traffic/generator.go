// Package traffic makes believable traces of agents at work. Everything it makes is a function of the seed and
// of the time at which a trace is laid.
package traffic

import (
	"fmt"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// Config says how the traffic looks.
type Config struct {
	Seed uint64
	// LateShare is the share of live traces that reach the server LateBy after their start, whole.
	LateShare float64
	LateBy    time.Duration
	// StuckShare is the share of traces whose root never ends.
	StuckShare float64
}

// DefaultConfig is the traffic of a healthy service.
func DefaultConfig() Config {
	return Config{Seed: 1, LateShare: 0.02, LateBy: 3 * time.Minute, StuckShare: 0.003}
}

// Generator makes traces. It is not safe for concurrent use.
type Generator struct {
	cfg      Config
	store    *store.Store
	projects []*store.Project
	weights  int
	queues   []store.UUID
	dataset  store.UUID
	next     uint64
	clock    rng
}

// New puts the projects and queues of the traffic into the store, created at the time given.
func New(cfg Config, st *store.Store, created int64) *Generator {
	r := newRNG(cfg.Seed, 1<<50)
	g := &Generator{cfg: cfg, store: st, clock: newRNG(cfg.Seed, 1<<51)}
	g.dataset = r.uuid4()
	for i, a := range agents {
		g.weights += a.weight
		p := store.Project{ID: r.uuid4(), Name: a.project, Created: created - int64(len(agents)-i)*3_600_000_000}
		if a.dataset {
			p.Dataset = g.dataset
		}
		g.projects = append(g.projects, st.AddProject(p))
	}
	for i, q := range []store.Queue{
		{Name: "weekly-review", Description: "Answers that users did not like", Type: "single", Reviewers: 2},
		{Name: "quality-sample", Description: "A random sample of all traffic", Type: "single", Reviewers: 1},
		{Name: "prompt-comparison", Type: "pairwise", Reviewers: 1},
	} {
		q.ID, q.Created = r.uuid4(), created-int64(i+1)*86_400_000_000
		g.queues = append(g.queues, q.ID)
		st.AddQueue(q)
	}
	return g
}

// batch is one trace with what people and evaluators said about it.
type batch struct {
	runs     []*store.Run
	feedback []*store.Feedback
	items    []*store.QueueItem
}

// make builds trace number n. start is asked once for the time at which it begins, given how long it takes.
func (g *Generator) make(n uint64, settledBy int64, start func(length int64) int64) batch {
	r := newRNG(g.cfg.Seed, n)
	i, x := 0, r.IntN(g.weights)
	for ; x >= agents[i].weight; i++ {
		x -= agents[i].weight
	}
	a := &agents[i]
	t := &trace{rng: r, seed: r.Uint64(), project: g.projects[i], domain: a.domain, threadBy: a.thread}
	t.question = a.domain.question(r)
	conversation := newRNG(g.cfg.Seed+uint64(i)<<32, n/24)
	t.user = fmt.Sprintf("u-%04d", conversation.IntN(2000))
	if a.thread != "" {
		t.thread = conversation.uuid4().String()
		if conversation.chance(0.5) {
			t.thread = fmt.Sprintf("conv-%d", conversation.between(1000, 99_999))
		}
	}
	t.env = "prod"
	if r.chance(0.1) {
		t.env = "staging"
	}
	if a.dataset {
		example := newRNG(g.cfg.Seed, 1<<52+uint64(r.IntN(40)))
		t.example = example.uuid4()
	}
	settled := settledBy != 0
	if !settled && r.chance(g.cfg.LateShare) {
		t.late = int64(float64(g.cfg.LateBy.Microseconds()) * (0.7 + 0.6*r.Float64()))
	}
	stuck := r.chance(g.cfg.StuckShare)
	a.build(t)
	if stuck {
		t.nodes[0].stuck = true
		for last := t.nodes[len(t.nodes)-1]; last != nil; last = last.parent {
			last.stuck = true
		}
	}
	b := batch{runs: t.lay(start(t.at), settled)}
	g.judge(t, &b, settledBy)
	return b
}

func (g *Generator) put(b batch) {
	g.store.Insert(b.runs...)
	g.store.AddFeedback(b.feedback...)
	g.store.Enqueue(b.items...)
}

// History says how much happened before the start: for a duration, or a number of runs, which are spread over
// Span when that is set and follow each other at the rate otherwise.
type History struct {
	Duration time.Duration
	Runs     int
	Span     time.Duration
}

// meanRuns is about how many runs a trace has.
const meanRuns = 10

// History fills the store with what ended before now and returns the number of runs.
func (g *Generator) History(h History, rate float64, now int64) int {
	if rate <= 0 {
		rate = 5
	}
	gap := 1e6 / rate
	if h.Runs > 0 && h.Span > 0 {
		gap = float64(h.Span.Microseconds()) / (float64(h.Runs) / meanRuns)
	}
	clock := newRNG(g.cfg.Seed, 1<<53)
	var batches []batch
	runs := 0
	for at, n := float64(now), uint64(1)<<40; ; n++ {
		at -= clock.ExpFloat64() * gap
		if h.Runs > 0 && runs >= h.Runs || h.Runs == 0 && float64(now)-at > float64(h.Duration.Microseconds()) {
			break
		}
		b := g.make(n, now, func(length int64) int64 { return min(int64(at), now-length-1_000_000) })
		batches = append(batches, b)
		runs += len(b.runs)
	}
	for i := range batches {
		g.put(batches[len(batches)-1-i])
	}
	return runs
}

// Live adds the next trace of the live traffic, which starts at the time given, and returns the number of
// microseconds until the one after it.
func (g *Generator) Live(at int64, rate float64) (gap int64) {
	g.next++
	g.put(g.make(g.next, 0, func(int64) int64 { return at }))
	return max(int64(g.clock.ExpFloat64()*1e6/rate), 1)
}
