package cursor

import (
	"slices"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// microsecond is the resolution of LangSmith's clock, in nanoseconds.
const microsecond = langsmith.Time(time.Microsecond)

// Window is a half-open range of start times: From belongs to it, To does not.
type Window struct {
	From, To langsmith.Time
}

// Empty reports whether no time is inside.
func (w Window) Empty() bool { return w.To <= w.From }

// Contains reports whether t is inside.
func (w Window) Contains(t langsmith.Time) bool { return w.From <= t && t < w.To }

// Length is the time that the window spans.
func (w Window) Length() time.Duration { return time.Duration(w.To - w.From) }

// ranges is a set of times: windows that are sorted, not empty, and neither overlap nor touch.
type ranges []Window

// add unites the set with w.
func (r ranges) add(w Window) ranges {
	if w.Empty() {
		return r
	}
	first, _ := slices.BinarySearchFunc(r, w.From, func(have Window, from langsmith.Time) int {
		if have.To < from {
			return -1
		}
		return 1
	})
	last := first
	for ; last < len(r) && r[last].From <= w.To; last++ {
		w.From, w.To = min(w.From, r[last].From), max(w.To, r[last].To)
	}
	return slices.Replace(r, first, last, w)
}

// remove takes w out of the set.
func (r ranges) remove(w Window) ranges {
	if w.Empty() {
		return r
	}
	var kept ranges
	for _, have := range r {
		if left := (Window{have.From, min(have.To, w.From)}); !left.Empty() {
			kept = append(kept, left)
		}
		if right := (Window{max(have.From, w.To), have.To}); !right.Empty() {
			kept = append(kept, right)
		}
	}
	return kept
}

func (r ranges) contains(t langsmith.Time) bool {
	for _, w := range r {
		if w.Contains(t) {
			return true
		}
	}
	return false
}

func (r ranges) overlaps(w Window) bool {
	for _, have := range r {
		if have.From < w.To && w.From < have.To {
			return true
		}
	}
	return false
}

// floorMicrosecond is t without what LangSmith's clock cannot express.
func floorMicrosecond(t langsmith.Time) langsmith.Time { return t - t%microsecond }
