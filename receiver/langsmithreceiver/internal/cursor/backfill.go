package cursor

import (
	"slices"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// leastPages is how many pages a window must still have for a part of it to be worth a task of its own.
const leastPages = 2

// backfill takes a window out of the gaps that no other backfill is reading.
//
// A page cursor is sequential, so one window is read as fast as the answers come. How many windows are read side by
// side is decided by what they turn out to hold: another one begins only when as many have got past their first page
// as have not, and when all gaps are taken, the largest rest is halved. So a quiet project costs one request after
// the other, and a busy one is soon read by all that are free to do it.
func (p *Project) backfill(now langsmith.Time) *Task {
	fresh := 0
	for _, t := range p.running {
		if t.pages == 0 {
			fresh++
		}
	}
	if 2*fresh > len(p.running) {
		return nil
	}
	open := p.gaps
	for _, t := range p.running {
		open = open.remove(t.Window)
	}
	var t *Task
	if len(open) > 0 {
		w := open[p.turn%len(open)]
		w.To = min(w.To, w.From.Add(p.step))
		t = newTask(KindBackfill, w, now)
	} else if t = p.halve(now); t == nil {
		return nil
	}
	p.running = append(p.running, t)
	return t
}

// halve takes the far half of what a running backfill has not read yet.
func (p *Project) halve(now langsmith.Time) *Task {
	var longest *Task
	most := float64(leastPages)
	for _, t := range p.running {
		if pages := t.pagesLeft(); pages >= most {
			longest, most = t, pages
		}
	}
	if longest == nil {
		return nil
	}
	rest := longest.rest()
	middle := floorMicrosecond(rest.From + (rest.To-rest.From)/2)
	half := Window{rest.From, middle}
	if longest.up {
		half = Window{middle, rest.To}
		longest.Window.To = middle
	} else {
		longest.Window.From = middle
	}
	longest.part = true
	t := newTask(KindBackfill, half, now)
	t.part = true
	return t
}

// ended takes a task off those that run.
func (p *Project) ended(t *Task) {
	p.running = slices.DeleteFunc(p.running, func(have *Task) bool { return have == t })
}

// PageDone notes that all runs of a page went out or are remembered as waiting. What a backfill has read by then need
// not be read again after a restart.
func (p *Project) PageDone(t *Task) {
	t.PageDone()
	if t.Kind != KindBackfill {
		return
	}
	if read := t.read(); !read.Empty() {
		p.gaps = p.gaps.remove(read)
		p.dirty = true
		p.prune()
	}
}
