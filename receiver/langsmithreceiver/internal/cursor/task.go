package cursor

import "github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"

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

	pages, rows int
	// Lowest and highest start of all rows, and of those whose page was read in full.
	low, high         langsmith.Time
	readLow, readHigh langsmith.Time
	last              langsmith.Time
	// up and down say that some row started after, or before, the one that came before it.
	up, down bool
}

func newTask(k Kind, w Window, now langsmith.Time) *Task {
	return &Task{Kind: k, Window: w, began: now}
}

// Rows is how many rows were observed.
func (t *Task) Rows() int { return t.rows }

// Advanced reports whether stopping the task now would keep something of what was read.
func (t *Task) Advanced() bool { return !t.read().Empty() }

func (t *Task) row(start langsmith.Time) {
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
