package e2e

import (
	"sync"
	"time"
)

// arrivals is what a sink remembers of each run. It is safe for concurrent use.
type arrivals struct {
	mu       sync.Mutex
	runs     map[string]*arrival
	repeats  int
	limit    int // of distinct runs; 0 for none
	awaiting []awaiting
}

// arrival is the span of a run, as often as it came.
type arrival struct {
	at    time.Time // of the first one
	lives []string  // of the collectors that sent it, one each time
	ids   string    // of trace, span and parent
	other bool      // a later one had other ids
}

type awaiting struct {
	distinct int
	reached  chan struct{}
}

// note remembers spans that a life of the collector sent, or none of them when there would be more distinct runs than
// the limit.
func (a *arrivals) note(spans []span, life string) bool {
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
			r.lives = append(r.lives, life)
			r.other = r.other || r.ids != ids
			a.repeats++
			continue
		}
		a.runs[id] = &arrival{at: now, lives: []string{life}, ids: ids}
	}
	still := a.awaiting[:0]
	for _, w := range a.awaiting {
		if len(a.runs) >= w.distinct {
			close(w.reached)
		} else {
			still = append(still, w)
		}
	}
	a.awaiting = still
	return true
}

// distinct is how many runs came.
func (a *arrivals) distinct() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.runs)
}

// repeated is how often spans came that were there already.
func (a *arrivals) repeated() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.repeats
}

// reached is closed once so many distinct runs came.
func (a *arrivals) reached(distinct int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := awaiting{distinct, make(chan struct{})}
	if len(a.runs) >= distinct {
		close(w.reached)
	} else {
		a.awaiting = append(a.awaiting, w)
	}
	return w.reached
}

// take at most so many distinct runs from now on, and refuse the rest; 0 takes all.
func (a *arrivals) take(limit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limit = limit
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
