package cursor

import (
	"slices"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// RecheckSize is how many runs one task asks for by id.
	RecheckSize = 100

	firstStep = time.Hour
	// maxStep keeps a window inside LangSmith's cheap rate tier.
	maxStep = 7 * 24 * time.Hour
	minStep = time.Second

	// rootReach is how much earlier than a run its root is looked for.
	rootReach = time.Hour

	minOverlap = 5 * time.Second
	minSweep   = time.Minute
	// sweepRuns is how many remembered runs are looked at again at a time: what is remembered of them has to be in memory.
	sweepRuns = 100_000
)

// Config is what the reading of a project goes by. All durations may be zero, none negative.
type Config struct {
	// Interval is the time between two reads of the live window.
	Interval time.Duration
	// Lookback is how much later than its start a run may arrive and still be found.
	Lookback time.Duration
	// Settle is how long a finished run waits for tokens and cost.
	Settle time.Duration
	// PendingTimeout is the age at which a run that does not finish is given up.
	PendingTimeout time.Duration
	// EmitUpdates lets runs go out again that changed after they went out.
	EmitUpdates bool
	// Reconcile makes [KindReconcile] tasks, and remembers ids until then.
	Reconcile bool
	// ReconcileRuns is after how many runs a window is compared even if it is not an hour long; 0 means 100 000.
	ReconcileRuns int
	// WindowPages is after how many pages a window is cut, if it can be; 0 means 50.
	WindowPages int
	// SealRuns is how many runs of 30 seconds are sealed although more are expected; 0 means 8192.
	SealRuns int
	// ResidentBytes is how much of what is sealed and stored of 30 seconds stays in memory all the same; 0 means 32 KiB, a
	// negative number none.
	ResidentBytes int
	// OverlapRows is how many rows that were read before a live window may repeat; 0 means 1000.
	OverlapRows int
	// HashKey is for projects that do not have one yet.
	HashKey HashKey
}

// Project is the state of reading one project.
type Project struct {
	cfg Config

	// head is the time up to which start times were read, but for the gaps.
	head langsmith.Time
	// floor is the time from which on emitted ids are remembered; below it they are only inside of gaps.
	floor langsmith.Time
	// swept is the head at the last full sweep: what started more than the lookback before it is done with.
	// Zero before the first read.
	swept langsmith.Time
	// checked is the time up to which was compared with LangSmith. Zero before the first read, and without
	// reconciliation. Always the start of a bucket.
	checked langsmith.Time
	// backlog is what was read as one, behind checked, and will not be compared.
	backlog Window
	gaps    ranges
	memory
	dirty bool // head, floor, swept, checked, backlog or gaps are not stored

	inFlight map[langsmith.UUID]struct{}
	prices   prices
	// holding are the tasks under way for which something was recalled.
	holding []*Task
	// incomplete is set by [Project.WaitFor].
	incomplete func(*langsmith.Run) bool

	// What follows is not stored.
	liveDue  langsmith.Time
	liveRate float64 // rows a second
	step     time.Duration
	// turn is the gap to read next, usually the oldest: one that fails lets the others go first.
	turn int
	// running are the backfills under way. Their windows are disjoint.
	running []*Task
	// sweeping is what the sweep under way still has to read, and sweptNext the head when it began.
	sweeping  ranges
	sweptNext langsmith.Time
	// lookedBack is when the last sweep began that went over all.
	lookedBack   langsmith.Time
	sweepDue     langsmith.Time
	sweepRunning bool
	// comparing is the end of the window that is being compared, zero when there is none.
	comparing    langsmith.Time
	reconcileDue langsmith.Time
	// queue holds waiting runs to be read again, oldest start first.
	queue    []Waiting
	queueDue langsmith.Time
}

// New starts to read a project from a start time on.
func New(cfg Config, from langsmith.Time) *Project {
	from = floorMicrosecond(from)
	return newProject(cfg, cfg.HashKey, from, from)
}

func newProject(cfg Config, key HashKey, head, floor langsmith.Time) *Project {
	if cfg.WindowPages <= 0 {
		cfg.WindowPages = 50
	}
	if cfg.OverlapRows <= 0 {
		cfg.OverlapRows = 1000
	}
	if cfg.SealRuns <= 0 {
		cfg.SealRuns = 8192
	}
	if cfg.ResidentBytes == 0 {
		cfg.ResidentBytes = largeBlock
	}
	if cfg.ReconcileRuns <= 0 {
		cfg.ReconcileRuns = 100_000
	}
	return &Project{
		cfg: cfg, head: head, floor: floor, memory: memory{hasher: newHasher(key)}, dirty: true,
		inFlight: map[langsmith.UUID]struct{}{}, step: firstStep,
	}
}

// Safe is the watermark: every run that started before it and was visible when its time was read has been read.
func (p *Project) Safe() langsmith.Time {
	if len(p.gaps) > 0 {
		return min(p.gaps[0].From, p.head)
	}
	return p.head
}

// Behind is how many windows still have to be read behind the head, and how much time they span.
func (p *Project) Behind() (windows int, length time.Duration) {
	for _, w := range p.gaps {
		length += w.Length()
	}
	return len(p.gaps), length
}

// Waiting is the number of runs that were read and did not go out yet.
func (p *Project) Waiting() int { return p.waiting }

// Remembered is the number of ids that are kept against repeats.
func (p *Project) Remembered() int { return p.seen }

// Next is what to read now, nil when nothing is due.
func (p *Project) Next(now langsmith.Time) *Task {
	if t := p.Urgent(now); t != nil {
		return t
	}
	return p.Background(now)
}

// Background is what can be read now beside all that is being read already, nil when there is nothing.
func (p *Project) Background(now langsmith.Time) *Task {
	if t := p.sweep(now); t != nil {
		return t
	}
	if t := p.backfill(now); t != nil {
		return t
	}
	return p.reconcile(now)
}

// Urgent is what has to be read now even while a backfill or a sweep is under way, nil when nothing is due.
func (p *Project) Urgent(now langsmith.Time) *Task {
	if p.head > now.Add(clockStep) {
		p.rewind(floorMicrosecond(now))
	}
	if now >= p.liveDue {
		if t := p.live(now); !t.Window.Empty() {
			return t
		}
		p.liveDue = now.Add(max(p.cfg.Interval, time.Second))
	}
	return p.recheck(now)
}

// Due is when [Project.Next] has something to read.
func (p *Project) Due(now langsmith.Time) langsmith.Time {
	if len(p.gaps) > 0 {
		return now
	}
	return max(min(p.UrgentDue(now), p.sweepDue), now)
}

// UrgentDue is when [Project.Urgent] has something to read.
func (p *Project) UrgentDue(now langsmith.Time) langsmith.Time {
	due := p.liveDue
	if len(p.queue) > 0 {
		due = now
	} else if p.waiting > 0 {
		due = min(due, p.queueDue)
	}
	return max(due, now)
}

// SweepDue is when [Project.Background] looks for late runs again.
func (p *Project) SweepDue(now langsmith.Time) langsmith.Time {
	if p.cfg.Lookback == 0 || p.swept == 0 || p.sweepRunning {
		return now.Add(time.Hour)
	}
	return max(p.sweepDue, now)
}

func (p *Project) live(now langsmith.Time) *Task {
	now = floorMicrosecond(now)
	// A head that stayed behind (first start, outage) is not caught up in one window: that would keep new runs
	// waiting for the old ones.
	if behind := time.Duration(now - p.head); behind > max(4*p.cfg.Interval, 2*time.Minute) {
		to := now.Add(-max(2*p.cfg.Interval, time.Minute))
		from := p.liveFrom()
		p.gaps = p.gaps.add(Window{from, to})
		p.head = to
		p.dirty = true
		if behind > time.Duration(reconcileLength) { // all its ids would have to be remembered
			p.skipBacklog(Window{from, to})
		}
	}
	if p.swept == 0 {
		p.swept, p.dirty = p.head, true
	}
	if p.checked == 0 {
		p.skipReconcile(p.head)
	}
	t := newTask(KindLive, Window{p.liveFrom(), max(now, p.head)}, now)
	t.head = p.head
	return t
}

// liveFrom is where the next live window begins: a little before the head, but not inside of a gap, which will be
// read anyway.
func (p *Project) liveFrom() langsmith.Time {
	overlap := min(max(2*p.cfg.Interval, time.Minute), p.cfg.Lookback)
	if p.liveRate > 0 {
		// A busy project cannot afford to read everything several times; its sweeps find what comes late.
		affordable := time.Duration(float64(p.cfg.OverlapRows) / p.liveRate * float64(time.Second))
		overlap = min(overlap, max(affordable, minOverlap))
	}
	from := max(p.floor, floorMicrosecond(p.head.Add(-overlap)))
	if n := len(p.gaps); n > 0 {
		from = max(from, min(p.gaps[n-1].To, p.head))
	}
	return from
}

// sweep looks for runs that arrived late. A sweep goes over all that is not done with, but for the gaps, which
// will be read anyway. In between, those go only over what is done with then, so that a busy project can forget it.
func (p *Project) sweep(now langsmith.Time) *Task {
	if p.cfg.Lookback == 0 || now < p.sweepDue || p.swept == 0 || p.sweepRunning {
		return nil
	}
	if len(p.sweeping) == 0 && !p.beginSweep(now) {
		return nil
	}
	for _, gap := range p.gaps {
		p.sweeping = p.sweeping.remove(gap)
	}
	if len(p.sweeping) == 0 {
		p.sweepDone(now)
		return nil
	}
	p.sweepRunning = true
	return newTask(KindSweep, p.sweepWindow(), now)
}

// beginSweep reports whether it is time for one, and decides what it goes over.
func (p *Project) beginSweep(now langsmith.Time) bool {
	from := max(p.floor, p.settled())
	if now >= p.sweepAll() {
		p.sweptNext, p.lookedBack = p.head, now
		p.sweeping = p.sweeping.add(Window{from, p.liveFrom()})
		return true
	}
	to := bucketStart(p.head.Add(-p.cfg.Lookback))
	if !p.crowded(Window{from, to}) {
		p.scheduleSweep(now)
		return false
	}
	p.sweptNext = to.Add(p.cfg.Lookback)
	p.sweeping = p.sweeping.add(Window{from, to})
	return true
}

// sweepAll is when the next sweep goes over all.
func (p *Project) sweepAll() langsmith.Time {
	last := p.lookedBack
	if last == 0 {
		last = p.swept
	}
	return last.Add(p.sweepInterval())
}

// crowded reports whether so many runs are remembered of a window that it is worth requests of its own to forget them.
func (p *Project) crowded(w Window) bool {
	runs := 0
	for at := bucketStart(w.From); at < w.To && runs < sweepRuns; at += bucketLength {
		if b := p.buckets[at]; b != nil {
			runs += b.count()
		}
	}
	return runs >= sweepRuns
}

// sweepWindow is what to read next of a sweep.
func (p *Project) sweepWindow() Window {
	w := p.sweeping[0]
	runs := 0
	for at := bucketStart(w.From); at < w.To; at += bucketLength {
		if b := p.buckets[at]; b != nil {
			if runs += b.count(); runs >= sweepRuns {
				w.To = min(w.To, at+bucketLength)
			}
		}
	}
	return w
}

// sweepDone notes that a sweep has read all that it goes over.
func (p *Project) sweepDone(now langsmith.Time) {
	p.swept, p.dirty = p.sweptNext, true
	p.scheduleSweep(now)
	p.prune()
}

func (p *Project) scheduleSweep(now langsmith.Time) {
	p.sweepDue = min(p.sweepAll(), now.Add(minSweep))
}

func (p *Project) sweepInterval() time.Duration {
	return max(p.cfg.Lookback/3, minSweep, p.cfg.Interval)
}

// recheck asks for waiting runs that the live window does not reach any more.
func (p *Project) recheck(now langsmith.Time) *Task {
	if len(p.queue) == 0 && p.waiting > 0 && now >= p.queueDue {
		p.fillQueue(now)
	}
	t := newTask(KindRecheck, Window{}, now)
	for len(p.queue) > 0 && len(t.IDs) < RecheckSize-1 {
		next := p.queue[0]
		w := p.wait(next.ID, next.Start)
		if w == nil || w.due > now { // went out or was read meanwhile
			p.queue = p.queue[1:]
			continue
		}
		// A chunk stays inside LangSmith's cheap rate tier.
		if len(t.IDs) > 0 && time.Duration(next.Start-t.Window.From) > maxStep {
			break
		}
		p.queue = p.queue[1:]
		w.due = p.nextLook(w, now)
		if len(t.IDs) == 0 {
			t.Window.From = floorMicrosecond(w.Start)
		}
		t.Window.To = floorMicrosecond(w.Start) + microsecond
		t.ask(w.ID)
		if !w.root.IsZero() {
			t.ask(w.root)
			t.Window.From = min(t.Window.From, floorMicrosecond(w.Start.Add(-rootReach)))
			w.asked = true
		}
		t.asked = append(t.asked, *w)
	}
	if len(t.IDs) == 0 {
		return nil
	}
	return t
}

func (p *Project) fillQueue(now langsmith.Time) {
	p.queueDue = now.Add(max(p.cfg.Interval, time.Second))
	from := p.liveFrom()
	for _, b := range p.buckets {
		for _, w := range b.waiting {
			if w.due <= now && (w.late || w.Start < from) {
				p.queue = append(p.queue, *w)
			}
		}
	}
	slices.SortFunc(p.queue, func(a, b Waiting) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
}

// nextLook spaces the looks at a run by its age: what has been running for hours need not be asked for every
// few seconds.
func (p *Project) nextLook(w *Waiting, now langsmith.Time) langsmith.Time {
	wait := p.cfg.Interval
	if w.Deadline == 0 {
		wait = max(wait, time.Duration(now-w.Start)/50)
	}
	// Looks follow the live windows; one that takes a little longer must not push the next look behind another.
	return now.Add(wait - p.cfg.Interval/4)
}

// Finish ends a task of which every page was read. It returns how many runs were given up because LangSmith
// does not know them any more.
func (p *Project) Finish(t *Task, now langsmith.Time) (gone int) {
	defer p.letGo(t)
	switch t.Kind {
	case KindLive:
		if length := t.Window.Length().Seconds(); length > 0 {
			p.liveRate = float64(t.rows) / length
		}
		p.advance(t)
	case KindBackfill:
		p.ended(t)
		p.gaps = p.gaps.remove(t.Window)
		p.turn, p.dirty = 0, true
		switch {
		case t.part: // says nothing about whole windows
		case t.rows == 0:
			p.step = min(4*p.step, maxStep)
		case t.pages*4 <= p.cfg.WindowPages:
			p.step = min(2*p.step, maxStep)
		}
		p.prune()
	case KindSweep:
		p.sweepRunning = false
		if p.sweeping = p.sweeping.remove(t.Window); len(p.sweeping) == 0 {
			p.sweepDone(now)
		}
	case KindRecheck:
		gone = p.missing(t, now)
	case KindReconcile:
		p.reconciled(t)
	}
	return gone
}

// Stop ends a task early: because it is [Project.Long], or because it failed. What was read in full is kept, so
// that it need not be read again; the rest stays to be read.
func (p *Project) Stop(t *Task, now langsmith.Time) {
	defer p.letGo(t)
	read := t.read()
	switch t.Kind {
	case KindLive:
		if !read.Empty() {
			for _, rest := range (ranges{t.Window}).remove(read) {
				p.gaps = p.gaps.add(rest)
			}
			p.liveRate = float64(t.rows) / max(read.Length().Seconds(), 0.001)
			p.advance(t)
		}
	case KindBackfill:
		p.ended(t)
		if read.Empty() {
			p.step = max(t.Window.Length()/2, minStep)
			p.turn++
			return
		}
		p.gaps = p.gaps.remove(read)
		p.dirty = true
		p.prune()
	case KindSweep:
		p.sweepRunning = false
		p.sweeping = p.sweeping.remove(read)
	case KindRecheck:
		for _, asked := range t.asked {
			if w := p.wait(asked.ID, asked.Start); w != nil {
				w.due, w.asked = now, false
			}
		}
		p.queueDue = now
	case KindReconcile:
		p.notReconciled(t, now)
	}
}

// Long reports whether a window took so many pages that it should be stopped and its rest be read as a window
// of its own. No window is ever given up: one that cannot be cut is never too long.
func (p *Project) Long(t *Task) bool {
	if t.pages < p.cfg.WindowPages {
		return false
	}
	switch t.Kind {
	case KindLive:
		return t.Advanced()
	case KindBackfill:
		return t.Advanced() || t.Window.Length() > minStep
	}
	return false
}

// advance moves the head to the end of a live window.
func (p *Project) advance(t *Task) {
	p.head = max(p.head, t.Window.To)
	p.dirty = true
	p.liveDue = t.began.Add(p.cfg.Interval)
	p.queueDue = min(p.queueDue, t.began)
	p.prune()
}

// prune forgets ids that no window can meet again, and seals those that only late runs can join. Of a backlog, which is
// read at many places at a time, it seals many at once before that.
func (p *Project) prune() {
	done := p.settled()
	if p.checked != 0 {
		done = min(done, p.checked)
	}
	if floor := bucketStart(done); floor > p.floor {
		p.floor, p.dirty = floor, true
	}
	settled := p.settled()
	p.forget(func(w Window) bool {
		if p.gaps.overlaps(w) {
			return true
		}
		return w.To > p.floor && (w.To > settled || w.From < p.backlog.From || w.To > p.backlog.To)
	})
	width := narrow
	if p.cfg.EmitUpdates { // the usage that a run had changes with it
		width = wide
	}
	from := p.liveFrom()
	p.seal(width, p.cfg.SealRuns, func(w Window, many bool) bool {
		return w.To <= from && w.From >= p.comparing && (many || !p.gaps.overlaps(w))
	})
}

// retained reports whether an emitted run that started at this time could be met again.
func (p *Project) retained(start langsmith.Time) bool {
	return start >= p.floor || p.gaps.contains(start)
}

// missing ends a recheck: runs that LangSmith does not return any more are asked for until they are too old.
func (p *Project) missing(t *Task, now langsmith.Time) (gone int) {
	for _, asked := range t.asked {
		if t.answered[asked.ID] {
			continue
		}
		if w := p.wait(asked.ID, asked.Start); w != nil && time.Duration(now-w.Start) >= p.cfg.PendingTimeout {
			p.dropWaiting(asked.ID, asked.Start)
			gone++
		}
	}
	return gone
}
