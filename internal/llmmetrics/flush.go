package llmmetrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Stats of one flush.
type Stats struct {
	Points  int // data points in the output
	Expired int // attribute sets dropped for want of updates
	Born    int // cumulative data point streams that were not told with a value before
}

// flusher is the state of flushes, guarded by its lock. Recorders never wait for it: it takes the lock of a
// shard only for as long as it copies one series.
type flusher struct {
	mu          sync.Mutex
	last        pcommon.Timestamp // time of the last flush, so that time never stands still
	accepted    pcommon.Timestamp // time of the last flush that was accepted
	windowStart pcommon.Timestamp // end of the last accepted delta window
	order       []*series         // sorted, so that equal state gives equal output

	emissions []emission   // of the series at hand
	scratch   []*histogram // memory of copied histograms
	used      int          // of scratch
	dither    weight       // where the series at hand rounds fractions of counts up

	// What Accept makes final.
	stamped  []*stamp
	points   []*point
	counters []*counter
}

func (f *flusher) init(start pcommon.Timestamp) { f.last, f.windowStart = start, start }

// emission is one data point stream of the series at hand, copied out of the shard.
type emission struct {
	instrument int
	tokenType  string
	errorType  string
	errorClass string
	finish     string
	stamp      *stamp
	zero       bool // a zero in place of the value
	inline     bool // a zero in front of the value
	histogram  *histogram
	value      uint64
}

// Flush turns the state into metrics as of now. A flush that was not followed by [Engine.Accept] counts as
// refused: a delta window then goes on, and a zero point is repeated. In the final flush every value is told,
// whether or not its zero was. The result shares no memory with the engine.
func (e *Engine) Flush(now pcommon.Timestamp, final bool) (pmetric.Metrics, Stats) {
	f := &e.flusher
	f.mu.Lock()
	defer f.mu.Unlock()

	previous := f.last
	f.last = max(now, previous+1)
	f.stamped, f.points, f.counters = f.stamped[:0], f.points[:0], f.counters[:0]
	e.collectFresh()

	var stats Stats
	out := &output{engine: e, metrics: pmetric.NewMetrics(), time: f.last}
	kept := f.order[:0]
	for _, s := range f.order {
		f.emissions, f.used, f.dither = f.emissions[:0], 0, s.hash&fractions
		sh := e.shard(s.hash)
		sh.mu.Lock()
		gone := e.expire(s, sh, &stats)
		if !gone {
			e.snapshot(s, previous, final)
		}
		sh.mu.Unlock()
		if gone {
			continue
		}
		kept = append(kept, s)
		if len(f.emissions) > 0 {
			out.write(s, f.emissions)
		}
	}
	clear(f.order[len(kept):])
	f.order = kept
	e.resources.sweep()
	out.finish()
	stats.Points = out.points
	stats.Born = len(f.stamped)
	return out.metrics, stats
}

// Accept tells that the metrics of the last flush were delivered.
func (e *Engine) Accept() {
	f := &e.flusher
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.stamped {
		s.phase = s.next
	}
	for _, p := range f.points {
		p.pending.settle()
	}
	for _, c := range f.counters {
		c.pending = c.pending.left()
	}
	f.windowStart, f.accepted = f.last, f.last
	f.stamped, f.points, f.counters = f.stamped[:0], f.points[:0], f.counters[:0]
}

// collectFresh adds the series made since the last flush to the order.
func (e *Engine) collectFresh() {
	f := &e.flusher
	before := len(f.order)
	for i := range e.shards {
		sh := &e.shards[i]
		sh.mu.Lock()
		f.order = append(f.order, sh.fresh...)
		clear(sh.fresh)
		sh.fresh = sh.fresh[:0]
		sh.mu.Unlock()
	}
	if len(f.order) > before {
		slices.SortFunc(f.order, func(a, b *series) int {
			if c := cmp.Compare(a.resource.key, b.resource.key); c != 0 {
				return c
			}
			return cmp.Compare(a.key, b.key)
		})
	}
}

// expire drops what was not updated for too long, provided its last value was told. It reports whether the
// series itself is gone. The caller holds the lock of the shard.
func (e *Engine) expire(s *series, sh *shard, stats *Stats) bool {
	now := e.flusher.last
	for name, out := range s.failed {
		if e.stale(out, now) && e.told(&out.duration) && toldCounter(out.errors) {
			delete(s.failed, name)
			e.active.Add(-1)
			stats.Expired++
		}
	}
	if !e.stale(&s.success, now) || len(s.failed) > 0 || !toldCounter(s.success.errors) {
		return false
	}
	if !e.told(&s.success.duration) {
		return false
	}
	if u := s.usage; u != nil {
		if !e.told(&u.inputTokens) || !e.told(&u.outputTokens) || !e.told(&u.cost) || !e.told(u.firstChunk) ||
			!e.toldFurther(u.further) {
			return false
		}
	}
	sh.table.remove(s)
	s.resource.series.Add(-1)
	if !s.overflow() {
		e.active.Add(-1)
	}
	stats.Expired++
	return true
}

func (e *Engine) stale(out *outcome, now pcommon.Timestamp) bool {
	if out.touched {
		out.touched = false
		out.lastSeen = now
		return false
	}
	// The flush that saw the last update may have been refused, and all that came after it.
	return e.cfg.Expiration > 0 && time.Duration(now-out.lastSeen) >= e.cfg.Expiration && e.flusher.accepted >= out.lastSeen
}

func (e *Engine) told(p *point) bool {
	if p == nil {
		return true
	}
	if e.cfg.Delta {
		return p.state.empty() && (p.pending == nil || p.pending.empty())
	}
	return p.phase >= phaseLive || p.state.empty()
}

func (e *Engine) toldFurther(f *further) bool {
	if f == nil {
		return true
	}
	for _, c := range f.counters {
		if !toldCounter(c) {
			return false
		}
	}
	for _, p := range f.points {
		if !e.told(p) {
			return false
		}
	}
	return true
}

func toldCounter(c *counter) bool {
	return c == nil || c.phase >= phaseLive || c.value.empty() && c.pending.whole() == 0
}

// snapshot copies what is to be emitted of s. The caller holds the lock of the shard.
func (e *Engine) snapshot(s *series, previous pcommon.Timestamp, final bool) {
	instruments := &families[s.family()]
	duration := instruments.duration
	e.snapshotOutcome(&s.success, duration, instruments.counter, previous, final)
	if len(s.failed) > 0 {
		for _, name := range slices.Sorted(maps.Keys(s.failed)) {
			e.snapshotOutcome(s.failed[name], duration, instruments.counter, previous, final)
		}
	}
	if u := s.usage; u != nil {
		e.snapshotPoint(&u.inputTokens, emission{instrument: instruments.tokens, tokenType: TokenTypeInput}, previous, final)
		e.snapshotPoint(&u.outputTokens, emission{instrument: instruments.tokens, tokenType: TokenTypeOutput}, previous, final)
		e.snapshotPoint(u.firstChunk, emission{instrument: insFirstChunk}, previous, final)
		e.snapshotPoint(&u.cost, emission{instrument: instruments.cost}, previous, final)
		e.snapshotFurther(u.further, previous, final)
	}
}

func (e *Engine) snapshotFurther(f *further, previous pcommon.Timestamp, final bool) {
	if f == nil {
		return
	}
	for i, instrument := range furtherInstruments {
		e.snapshotCounter(f.counters[i], emission{instrument: instrument}, previous, final)
	}
	for i, reason := range FinishReasons {
		e.snapshotCounter(f.counters[furtherFinish+i], emission{instrument: insFinish, finish: reason}, previous, final)
	}
	for i, instrument := range furtherPointInstruments {
		e.snapshotPoint(f.points[i], emission{instrument: instrument}, previous, final)
	}
}

func (e *Engine) snapshotOutcome(out *outcome, duration, counter int, previous pcommon.Timestamp, final bool) {
	kind := out.kind()
	e.snapshotPoint(&out.duration, emission{instrument: duration, errorType: kind.errorType}, previous, final)
	e.snapshotCounter(out.errors, emission{instrument: counter, errorType: kind.errorType, errorClass: kind.errorClass}, previous, final)
}

func (e *Engine) snapshotPoint(p *point, m emission, previous pcommon.Timestamp, final bool) {
	if p == nil {
		return
	}
	f := &e.flusher
	if e.cfg.Delta {
		if !p.state.empty() {
			if p.pending == nil {
				p.pending = &histogram{}
			}
			p.pending.merge(&p.state)
			p.state.reset()
			if e.cfg.OneWindow {
				p.pending.round(f.dither)
			}
		}
		if p.pending == nil || p.pending.empty() {
			return
		}
		f.points = append(f.points, p)
		m.histogram = p.pending
		f.emissions = append(f.emissions, m)
		return
	}
	if p.state.empty() {
		return
	}
	e.begin(&p.stamp, &m, previous, final)
	if !m.zero {
		m.histogram = f.scratchHistogram()
		p.state.copyTo(m.histogram)
		p.state.exemplars = p.state.exemplars[:0]
	}
	f.emissions = append(f.emissions, m)
}

func (e *Engine) snapshotCounter(c *counter, m emission, previous pcommon.Timestamp, final bool) {
	if c == nil {
		return
	}
	f := &e.flusher
	if e.cfg.Delta {
		c.pending.add(c.value)
		c.value = sum{}
		if e.cfg.OneWindow {
			c.pending = c.pending.round(f.dither)
		}
		if m.value = c.pending.whole(); m.value == 0 {
			return
		}
		f.counters = append(f.counters, c)
		f.emissions = append(f.emissions, m)
		return
	}
	e.begin(&c.stamp, &m, previous, final)
	if !m.zero {
		m.value = c.value.whole()
	}
	f.emissions = append(f.emissions, m)
}

// begin fixes the start of a cumulative stream and decides about its zero.
func (e *Engine) begin(s *stamp, m *emission, previous pcommon.Timestamp, final bool) {
	m.stamp = s
	if s.start == 0 {
		s.start = previous
	}
	if s.phase == phaseLive {
		return
	}
	f := &e.flusher
	f.stamped = append(f.stamped, s)
	s.next = phaseLive
	switch {
	case s.phase == phaseZero || e.cfg.InitialZero == ZeroOff:
	case e.cfg.InitialZero == ZeroInline:
		m.inline = true
	case !final:
		m.zero = true
		s.next = phaseZero
	}
}

func (f *flusher) scratchHistogram() *histogram {
	if f.used == len(f.scratch) {
		f.scratch = append(f.scratch, &histogram{})
	}
	f.used++
	return f.scratch[f.used-1]
}

// WorstAttribute is the attribute with the most distinct values among the series of the last flush: the
// first to look at when series overflow. It takes time in proportion to the number of series.
func (e *Engine) WorstAttribute() (name string, values int) {
	f := &e.flusher
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string]map[string]struct{}{}
	note := func(name, value string) {
		if value == "" {
			return
		}
		if seen[name] == nil {
			seen[name] = map[string]struct{}{}
		}
		seen[name][value] = struct{}{}
	}
	for _, s := range f.order {
		if s.overflow() {
			continue
		}
		labels := s.labels()
		var v string
		for _, name := range families[s.family()].labels {
			v, labels = nextLabel(labels)
			note(name, v)
		}
		for _, name := range e.cfg.Dimensions {
			v, labels = nextLabel(labels)
			name, v = named(name, v)
			note(name, v)
		}
		sh := e.shard(s.hash)
		sh.mu.Lock()
		for errorType := range s.failed {
			note(AttrErrorType, errorType)
		}
		sh.mu.Unlock()
		values := s.resource.key
		for _, name := range e.resources.attributes {
			v, values = nextLabel(values)
			note(name, v)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(seen)) {
		if len(seen[n]) > values {
			name, values = n, len(seen[n])
		}
	}
	return name, values
}
