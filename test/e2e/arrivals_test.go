package e2e

import (
	"sync"
	"time"
)

// arrivals is what a sink remembers of each run. It is safe for concurrent use.
type arrivals struct {
	mu      sync.Mutex
	runs    map[string]*arrival
	limit   int // of distinct runs; 0 for none
	waiting []waiter
}

// arrival is the span of a run, as often as it came.
type arrival struct {
	at    time.Time // of the first one
	times int
	ids   string // of trace, span and parent
	other bool   // a later one had other ids
}

type waiter struct {
	distinct int
	reached  chan struct{}
}

// note remembers spans, or none of them when there would be more distinct runs than the limit.
func (a *arrivals) note(spans []span) bool {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limit > 0 && len(a.runs)+len(spans) > a.limit {
		return false
	}
	if a.runs == nil {
		a.runs = map[string]*arrival{}
	}
	for _, s := range spans {
		id, ids := s.str("langsmith.run.id"), s.TraceID().String()+s.SpanID().String()+s.ParentSpanID().String()
		if r := a.runs[id]; r != nil {
			r.times++
			r.other = r.other || r.ids != ids
			continue
		}
		a.runs[id] = &arrival{at: now, times: 1, ids: ids}
	}
	for i := 0; i < len(a.waiting); i++ {
		if w := a.waiting[i]; len(a.runs) >= w.distinct {
			close(w.reached)
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			i--
		}
	}
	return true
}

// distinct is how many runs came.
func (a *arrivals) distinct() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.runs)
}

// reached is closed once so many distinct runs came.
func (a *arrivals) reached(distinct int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := waiter{distinct, make(chan struct{})}
	if len(a.runs) >= distinct {
		close(w.reached)
	} else {
		a.waiting = append(a.waiting, w)
	}
	return w.reached
}

// take at most so many distinct runs from now on, and refuse the rest; 0 takes all.
func (a *arrivals) take(limit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limit = limit
}

// repeated is how often spans came that were there already.
func (a *arrivals) repeated() (times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		times += r.times - 1
	}
	return times
}

// snapshot is every arrival by run id.
func (a *arrivals) snapshot() map[string]arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]arrival, len(a.runs))
	for id, r := range a.runs {
		out[id] = *r
	}
	return out
}
