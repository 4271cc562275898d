package cursor

import (
	"slices"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Kind is why something is read.
type Kind uint8

const (
	// KindLive reads what started since the last time, and a little before.
	KindLive Kind = iota + 1
	// KindBackfill reads a window behind the head.
	KindBackfill
	// KindSweep reads only the identity of runs, to find those that arrived late.
	KindSweep
	// KindRecheck reads runs by id that were not ready before.
	KindRecheck
	// KindReconcile compares a window with LangSmith's own count, and reads the identity of its runs if they differ.
	KindReconcile
)

// String is the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case KindLive:
		return "live"
	case KindBackfill:
		return "backfill"
	case KindSweep:
		return "sweep"
	case KindRecheck:
		return "recheck"
	case KindReconcile:
		return "reconcile"
	}
	return "unknown"
}

// Task is one thing to read, page by page, to its end.
type Task struct {
	Kind Kind
	// Window is the range of start times to ask for.
	Window Window
	// IDs are the runs to ask for, at most [RecheckSize]; only of a recheck.
	IDs []langsmith.UUID

	began    langsmith.Time
	head     langsmith.Time
	asked    []Waiting
	answered map[langsmith.UUID]bool
	recalled Window // what was recalled for it

	// found is how many runs were not known.
	found int
	tally

	pages, rows int
	// Lowest and highest start of all rows, and of those whose page was read in full.
	low, high         langsmith.Time
	readLow, readHigh langsmith.Time
	last              langsmith.Time
	// up and down say that some row started after, or before, the one that came before it.
	up, down bool

	// part says that the window is not all that was asked for, or was to be: another task has taken a half.
	part bool
	// past says that a row came from behind the far end of the window.
	past bool
}

func newTask(k Kind, w Window, now langsmith.Time) *Task {
	return &Task{Kind: k, Window: w, began: now}
}

// ask adds a run to those that a recheck asks for.
func (t *Task) ask(id langsmith.UUID) {
	if !slices.Contains(t.IDs, id) {
		t.IDs = append(t.IDs, id)
	}
}

// Rows is how many rows were observed.
func (t *Task) Rows() int { return t.rows }

// Found is how many runs a task that reads identities found that were not known.
func (t *Task) Found() int { return t.found }

// Advanced reports whether stopping the task now would keep something of what was read.
func (t *Task) Advanced() bool { return !t.read().Empty() }

// outside notes a row that the window does not contain, which is what comes when it was made smaller.
func (t *Task) outside(start langsmith.Time) {
	switch {
	case !t.part || t.up == t.down:
	case t.down && start < t.Window.From, t.up && start >= t.Window.To:
		t.past = true
	}
}

// Complete reports whether the pages so far hold the whole window, although more pages follow.
func (t *Task) Complete() bool { return t.past && t.up != t.down }

// rest is the part of the window that holds none of the rows so far, empty when that is not known.
func (t *Task) rest() Window {
	switch {
	case t.pages == 0 || t.up == t.down || t.past:
		return Window{}
	case t.down:
		return Window{t.Window.From, min(floorMicrosecond(t.low), t.Window.To)}
	}
	return Window{max(floorMicrosecond(t.high)+microsecond, t.Window.From), t.Window.To}
}

// pagesLeft is about how many pages the rest has, if runs are as frequent there.
func (t *Task) pagesLeft() float64 {
	rest := t.rest()
	if rest.Length() < 2*minStep {
		return 0
	}
	return rest.Length().Seconds() / max(time.Duration(t.high-t.low).Seconds(), 0.001) * float64(t.pages)
}

func (t *Task) row(start langsmith.Time) {
	if t.past { // the order is none after all
		t.up, t.down = true, true
	}
	if t.rows == 0 {
		t.low, t.high = start, start
	} else {
		t.up = t.up || start > t.last
		t.down = t.down || start < t.last
		t.low, t.high = min(t.low, start), max(t.high, start)
	}
	t.last = start
	t.rows++
}

// PageDone notes that a page was read in full.
func (t *Task) PageDone() {
	t.pages++
	t.readLow, t.readHigh = t.low, t.high
}

// read is the part of the window that was read in full by the pages so far. Only the order in which the rows
// came tells, so it is empty unless all of them came newest first, or all oldest first. Rows with the same start
// as the last one may still be on the next page: their time is not part of it.
func (t *Task) read() Window {
	if t.pages == 0 || t.up == t.down {
		return Window{}
	}
	if t.down {
		return Window{max(floorMicrosecond(t.readLow)+microsecond, t.Window.From), t.Window.To}
	}
	return Window{t.Window.From, min(floorMicrosecond(t.readHigh), t.Window.To)}
}
