package llmmetricsconnector

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// windowLength is the length of a window of event time.
const windowLength = pcommon.Timestamp(time.Minute)

const (
	// maxWindows bounds the windows that are held: a day of them. Beyond, some are told early, and where the backend
	// refuses them, no more spans are taken.
	maxWindows = 24 * 60
	// maxPast bounds those whose totals are to run along event time: a week and what is new.
	maxPast = 8 * maxWindows
	// maxTold bounds the windows that are remembered as told.
	maxTold = 7 * maxWindows
	// maxPoints is about how many data points of totals are delivered at once.
	maxPoints = 5000
)

// aggregation is what spans are counted in: one engine, or one for each minute in which calls ended.
type aggregation struct {
	config   llmmetrics.Config
	single   *llmmetrics.Engine // nil for windows
	lateness time.Duration
	timeline *timeline // of windows with cumulative temporality

	mu     sync.RWMutex // held for reading while a batch is read, so that no window closes under it
	making sync.Mutex   // guards open while mu is held for reading
	open   map[pcommon.Timestamp]*window
	closed []*window // not delivered yet; of the flushing goroutine, under mu

	// Of the timeline: totals cannot go back in time, so nothing is told while calls of the past come, which may be in
	// any order, from several projects and stretches of time side by side.
	past      pcommon.Timestamp // when such a call last came; zero for never; guarded by making
	toldUntil pcommon.Timestamp // start of the last window that was closed
	delivery  delivery
	shares    []share // of the last window of the delivery, that found no room in it

	told       map[pcommon.Timestamp]struct{}
	toldOrder  []pcommon.Timestamp
	overflowed int64 // of windows that are gone
	worst      string
	values     int
}

// window counts the calls that ended in [start, start+windowLength).
type window struct {
	start    pcommon.Timestamp
	deadline pcommon.Timestamp // when it is told
	engine   *llmmetrics.Engine
	late     bool // it was told before; not of totals, which tell each resource in its own time
}

// delivery is what the timeline told of the first closed windows; it stays until it was accepted.
type delivery struct {
	metrics pmetric.Metrics
	windows int
	points  int
}

// share is what a window adds to one resource.
type share struct {
	delta pmetric.ResourceMetrics
	start pcommon.Timestamp
}

func newAggregation(cfg *Config, config llmmetrics.Config, now pcommon.Timestamp) *aggregation {
	a := &aggregation{config: config, lateness: cfg.AllowedLateness}
	if cfg.Timestamps == TimestampsArrival {
		a.single = llmmetrics.New(config, now)
		return a
	}
	if cfg.Temporality == TemporalityCumulative {
		a.config.Delta = true
		a.timeline = newTimeline(cfg.SeriesExpiration, cfg.MaxSeries)
	}
	a.config.OneWindow = true
	a.open = map[pcommon.Timestamp]*window{}
	a.told = map[pcommon.Timestamp]struct{}{}
	return a
}

// full reports whether no more spans can be taken before some windows are delivered.
func (a *aggregation) full() bool {
	if a.single != nil {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	a.making.Lock()
	defer a.making.Unlock()
	return len(a.open)+len(a.closed) > a.limit()
}

// limit is how many windows may be held.
func (a *aggregation) limit() int {
	if a.timeline != nil {
		return maxPast
	}
	return maxWindows
}

// windowAt returns the window of a call that ended at end and came now. The caller holds mu for reading.
func (a *aggregation) windowAt(end, now pcommon.Timestamp) *window {
	if end == 0 || end > now {
		end = now // a clock that is ahead must not make points of the future
	}
	start := end - end%windowLength
	a.making.Lock()
	defer a.making.Unlock()
	if now-end > pcommon.Timestamp(a.lateness) && start > a.toldUntil {
		a.past = now
	}
	w := a.open[start]
	if w == nil {
		_, told := a.told[start]
		w = &window{
			start: start, late: told && a.timeline == nil, engine: llmmetrics.New(a.config, start),
			// In a backfill windows are long over when their first call comes.
			deadline: max(start+windowLength, now) + pcommon.Timestamp(a.lateness),
		}
		a.open[start] = w
	}
	return w
}

// flush turns what is to be told into metrics.
func (a *aggregation) flush(now pcommon.Timestamp, final bool) (pmetric.Metrics, llmmetrics.Stats) {
	if a.single != nil {
		return a.single.Flush(now, final)
	}
	a.mu.Lock()
	held := !final && a.timeline != nil && a.past != 0 && now < a.past+pcommon.Timestamp(a.lateness)
	for _, w := range a.open {
		if final || now >= w.deadline && !held {
			a.close(w)
		}
	}
	if len(a.open)+len(a.closed) > a.limit() {
		a.closeEarly()
	}
	if a.delivery.points == 0 {
		slices.SortFunc(a.closed, func(a, b *window) int { return cmp.Compare(a.start, b.start) })
	}
	closed := a.closed
	a.mu.Unlock()
	if a.timeline != nil {
		return a.deliver(closed, final)
	}

	var stats llmmetrics.Stats
	all := pmetric.NewMetrics()
	for _, w := range closed {
		md, one := w.engine.Flush(w.start+windowLength, true)
		md.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
		stats.Points += one.Points
	}
	return all, stats
}

func (a *aggregation) close(w *window) {
	delete(a.open, w.start)
	a.closed = append(a.closed, w)
	a.toldUntil = max(a.toldUntil, w.start)
}

// closeEarly makes room for half of what can be held. Calls that come later for these windows make further points, so those
// go first whose calls came first. Totals cannot go back in time, so there the oldest go.
func (a *aggregation) closeEarly() {
	windows := slices.SortedFunc(maps.Values(a.open), func(v, w *window) int {
		if a.timeline == nil && v.deadline != w.deadline {
			return cmp.Compare(v.deadline, w.deadline)
		}
		return cmp.Compare(v.start, w.start)
	})
	for _, w := range windows[:max(0, len(windows)-a.limit()/2)] {
		a.close(w)
	}
}

// deliver is what the timeline tells of the closed windows, or of as many as make one delivery. What was refused comes
// again as it was, because the totals have moved on.
func (a *aggregation) deliver(closed []*window, final bool) (pmetric.Metrics, llmmetrics.Stats) {
	d := &a.delivery
	if d.points == 0 {
		*d = delivery{metrics: pmetric.NewMetrics()}
		for d.points < maxPoints && (len(a.shares) > 0 || d.windows < len(closed)) {
			if len(a.shares) == 0 {
				w := closed[d.windows]
				d.windows++
				delta, _ := w.engine.Flush(w.start+windowLength, true)
				for _, rm := range delta.ResourceMetrics().All() {
					a.shares = append(a.shares, share{rm, w.start})
				}
				continue
			}
			next := a.shares[0]
			if track := a.timeline.trackOf(next.delta.Resource()); track.behind(next.start) {
				d.points += track.pass(d.metrics)
			} else {
				d.points += track.add(next.delta, next.start, d.metrics)
				a.shares = a.shares[1:]
			}
		}
		if final && d.windows == len(closed) && len(a.shares) == 0 {
			d.points += a.timeline.finish(d.metrics)
		}
	}
	all := pmetric.NewMetrics()
	d.metrics.CopyTo(all)
	return all, llmmetrics.Stats{Points: d.points}
}

// waiting reports whether there is more to be told, now that a flush was accepted.
func (a *aggregation) waiting(final bool) bool {
	return a.timeline != nil && (len(a.shares) > 0 || len(a.closed) > 0 || final && a.timeline.owes())
}

// accept tells that the metrics of the last flush were delivered.
func (a *aggregation) accept() {
	if a.single != nil {
		a.single.Accept()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	done := len(a.closed)
	if a.timeline != nil {
		done = a.delivery.windows
		a.delivery = delivery{}
	}
	for _, w := range a.closed[:done] {
		if n := w.engine.Overflowed(); n > 0 {
			a.overflowed += n
			a.worst, a.values = w.engine.WorstAttribute()
		}
		if _, told := a.told[w.start]; told {
			continue
		}
		if len(a.toldOrder) >= maxTold {
			delete(a.told, a.toldOrder[0])
			a.toldOrder = a.toldOrder[1:]
		}
		a.told[w.start] = struct{}{}
		a.toldOrder = append(a.toldOrder, w.start)
	}
	a.closed = slices.Clone(a.closed[done:])
}

// each calls f with every engine.
func (a *aggregation) each(f func(*llmmetrics.Engine)) {
	if a.single != nil {
		f(a.single)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.open {
		f(w.engine)
	}
	for _, w := range a.closed {
		f(w.engine)
	}
}

// series is the number of attribute sets held.
func (a *aggregation) series() (n int64) {
	a.each(func(e *llmmetrics.Engine) { n += e.Series() })
	return n
}

// overflows is the number of observations counted in overflow series so far.
func (a *aggregation) overflows() int64 {
	var n int64
	a.each(func(e *llmmetrics.Engine) { n += e.Overflowed() })
	a.mu.RLock()
	defer a.mu.RUnlock()
	return n + a.overflowed
}

// worstAttribute is the attribute with the most values among the series last told.
func (a *aggregation) worstAttribute() (name string, values int) {
	if a.single != nil {
		return a.single.WorstAttribute()
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.worst, a.values
}

// recorders adds the observations of one batch to their windows. With one engine it has one recorder.
type recorders struct {
	all      *aggregation
	now      pcommon.Timestamp
	resource pcommon.Map
	used     []windowRecorder
	last     int
	late     int64 // observations for windows that were told before
}

type windowRecorder struct {
	window   *window // nil for the single engine
	recorder *llmmetrics.Recorder
}

// begin prepares for a batch that came now, whose observations are noted unless the note is nil. No window closes
// before end is called.
func (r *recorders) begin(a *aggregation, now pcommon.Timestamp, n *note) {
	r.all, r.now, r.last, r.late = a, now, 0, 0
	if a.single != nil {
		recorder := a.single.Recorder()
		if n != nil {
			recorder.Journal(&n.journal)
		}
		r.used = append(r.used, windowRecorder{recorder: recorder})
		return
	}
	a.mu.RLock()
}

func (r *recorders) end() {
	for _, u := range r.used {
		u.recorder.Release()
	}
	if r.all.single == nil {
		r.all.mu.RUnlock()
	}
	clear(r.used)
	r.used = r.used[:0]
	r.all, r.resource = nil, pcommon.Map{}
}

// setResource selects the resource of the observations that follow, and commits what is staged.
func (r *recorders) setResource(attrs pcommon.Map) {
	r.resource = attrs
	for _, u := range r.used {
		u.recorder.SetResource(attrs)
	}
}

func (r *recorders) commit() {
	for _, u := range r.used {
		u.recorder.Commit()
	}
}

// at is the recorder for a call that ended at end.
func (r *recorders) at(end pcommon.Timestamp) *llmmetrics.Recorder {
	if r.all.single != nil {
		return r.used[0].recorder
	}
	if len(r.used) == 0 || end-r.used[r.last].window.start >= windowLength {
		r.last = r.find(r.all.windowAt(end, r.now))
	}
	u := r.used[r.last]
	if u.window.late {
		r.late++
	}
	return u.recorder
}

func (r *recorders) find(w *window) int {
	for i, u := range r.used {
		if u.window == w {
			return i
		}
	}
	recorder := w.engine.Recorder()
	recorder.SetResource(r.resource)
	r.used = append(r.used, windowRecorder{w, recorder})
	return len(r.used) - 1
}
