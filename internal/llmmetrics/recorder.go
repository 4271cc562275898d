package llmmetrics

import (
	"hash/maphash"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// commitSize is how many observations are worth a commit: enough that shards are locked for several at once.
const commitSize = 256

// Recorder adds observations of one goroutine. Get one from [Engine.Recorder] and give it back with Release.
//
// Observations are staged first and committed together. Reading spans means to wait for memory again and again,
// and a processor that need not take a lock in between waits for many of them at once; so it is with series.
type Recorder struct {
	engine   *Engine
	attrs    pcommon.Map
	resource *resource   // of attrs; nil until something is recorded
	former   []*resource // of what is staged
	scratch  []byte

	staged []staged
	memory measureMemory
	keys   []byte    // of all that is staged
	order  []uint32  // numbers of what is staged, by shard
	found  []*series // of the shard at hand
	slow   []uint32  // numbers of what needs something new
	sink   uint64

	journal journal // where commits are noted
}

// staged is an observation that waits for its commit.
type staged struct {
	hash      uint64
	resource  *resource
	from, to  uint32 // the key, in Recorder.keys
	withdrawn bool
	measures  measures
}

// Recorder takes a recorder for the use of one goroutine.
func (e *Engine) Recorder() *Recorder {
	if r, ok := e.recorders.Get().(*Recorder); ok {
		return r
	}
	return &Recorder{engine: e}
}

// Release commits what is staged and gives the recorder back; it must not be used any more.
func (r *Recorder) Release() {
	r.Commit()
	r.leaveResource()
	r.dropFormer()
	r.attrs = pcommon.Map{}
	r.Journal(nil)
	r.engine.recorders.Put(r)
}

// SetResource selects the resource of the observations that follow. It must be called before the first one, and
// attrs must stay as it is until the last one. Resources without observations leave no trace.
func (r *Recorder) SetResource(attrs pcommon.Map) {
	r.leaveResource()
	r.attrs = attrs
}

// leaveResource keeps the resource protected until what is staged of it was committed.
func (r *Recorder) leaveResource() {
	if r.resource != nil {
		r.former = append(r.former, r.resource)
		r.resource = nil
	}
}

func (r *Recorder) dropFormer() {
	for _, res := range r.former {
		r.engine.resources.release(res)
	}
	clear(r.former)
	r.former = r.former[:0]
}

// Record stages an observation and now and then commits. It allocates only when a series appears.
func (r *Recorder) Record(o *Observation) {
	if r.Stage(o) >= commitSize-1 {
		r.Commit()
	}
}

// Stage takes an observation for the next commit and returns its number, which counts up from zero after each
// commit. The caller commits before too much is staged.
func (r *Recorder) Stage(o *Observation) int {
	e := r.engine
	if r.resource == nil {
		r.resource, r.scratch = e.resources.acquire(r.scratch, r.attrs)
	}
	if len(e.views) > 0 {
		return r.stageViews(o)
	}
	return r.stage(o)
}

func (r *Recorder) stage(o *Observation) int {
	e := r.engine
	from := len(r.keys)
	r.keys = appendKey(r.keys, r.resource.id, o, len(e.cfg.Dimensions))
	n := len(r.staged)
	r.staged = slices.Grow(r.staged, 1)[:n+1]
	to := &r.staged[n]
	to.hash = maphash.Bytes(e.seed, r.keys[from:])
	to.resource = r.resource
	to.from, to.to = uint32(from), uint32(len(r.keys))
	to.withdrawn = false
	to.measures.of(o, &r.memory, e.cfg.Exemplars > 0)
	return n
}

// Withdraw takes back what was staged under this number since the last commit.
func (r *Recorder) Withdraw(n int) {
	for i := range max(1, len(r.engine.views)) {
		o := &r.staged[n+i]
		o.withdrawn = true
		o.done()
	}
}

// done drops what points into the memory of the caller. The rest is overwritten by the next observation that is
// staged here, so it needs no clearing.
func (o *staged) done() {
	if o.measures.errorType != "" {
		o.measures.errorType = ""
	}
}

func (r *Recorder) key(o *staged) []byte { return r.keys[o.from:o.to] }

// Commit adds what is staged to its series.
func (r *Recorder) Commit() {
	if len(r.staged) == 0 {
		return
	}
	if r.journal.to != nil {
		for i := range r.staged {
			if o := &r.staged[i]; !o.withdrawn {
				r.note(o)
			}
		}
	}
	ends := r.sortByShard()
	from := uint32(0)
	for i, end := range ends {
		if end > from {
			r.commitShard(&r.engine.shards[i], r.order[from:end])
		}
		from = end
	}
	// What makes series does so in the order of staging, which decides who finds room.
	slices.Sort(r.slow)
	for _, n := range r.slow {
		r.commitSlowly(&r.staged[n])
		r.staged[n].done()
	}
	r.slow = r.slow[:0]
	r.staged = r.staged[:0]
	r.keys = r.keys[:0]
	r.memory.reset()
	r.dropFormer()
}

// sortByShard puts what is staged in the order of shards, and within one as it came. It returns where in the
// order each shard ends.
func (r *Recorder) sortByShard() (ends [shardCount]uint32) {
	for i := range r.staged {
		o := &r.staged[i]
		switch {
		case o.withdrawn:
			o.done()
		case o.resource == r.engine.resources.other:
			r.slow = append(r.slow, uint32(i))
		default:
			ends[shardOf(o.hash)]++
		}
	}
	total := uint32(0)
	for i, n := range ends {
		ends[i] = total
		total += n
	}
	r.order = slices.Grow(r.order[:0], int(total))[:total]
	for i := range r.staged {
		o := &r.staged[i]
		if o.withdrawn || o.resource == r.engine.resources.other {
			continue
		}
		end := &ends[shardOf(o.hash)]
		r.order[*end] = uint32(i)
		*end++
	}
	return ends
}

// commitShard adds to series that exist, and leaves the rest to commitSlowly.
func (r *Recorder) commitShard(sh *shard, numbers []uint32) {
	e := r.engine
	sh.mu.Lock()
	// With many series, time goes into waiting for memory: asked for all of it, it comes at once. So first the slots of
	// all are read, then the series, then what they point to.
	r.found = r.found[:0]
	for _, n := range numbers {
		r.found = append(r.found, sh.table.candidate(r.staged[n].hash))
	}
	for _, s := range r.found {
		if s != nil {
			r.sink += uint64(s.key[0])
		}
	}
	for _, s := range r.found {
		if s != nil {
			r.sink += s.touch()
		}
	}
	for i, n := range numbers {
		if s := r.found[i]; s != nil && s.key != string(r.key(&r.staged[n])) {
			o := &r.staged[n]
			r.found[i] = sh.table.find(o.hash, r.key(o))
		}
	}
	if sh.cut != nil {
		for _, s := range r.found {
			if s != nil {
				sh.keep(s)
			}
		}
	}
	for i, n := range numbers {
		s, m := r.found[i], &r.staged[n].measures
		var out *outcome
		if s != nil {
			out = s.outcome(m.errorType)
		}
		if out == nil {
			r.slow = append(r.slow, n)
			continue
		}
		e.recordOutcome(s, out, m)
		e.recordUsage(s, m)
		s.success.touched = true
		r.staged[n].done()
	}
	sh.mu.Unlock()
	clear(r.found)
}

// commitSlowly adds one observation and makes what is missing for it.
func (r *Recorder) commitSlowly(o *staged) {
	e := r.engine
	if o.resource == e.resources.other {
		r.commitOverflow(o, true, true)
		return
	}
	key := r.key(o)
	sh := e.shard(o.hash)
	sh.mu.Lock()
	s := sh.table.find(o.hash, key)
	if s == nil {
		if !validLabels(string(key[keyHead:])) {
			sh.mu.Unlock()
			from := len(r.keys)
			r.keys = appendSanitized(r.keys, key)
			o.from, o.to = uint32(from), uint32(len(r.keys))
			o.hash = maphash.Bytes(e.seed, r.key(o))
			r.commitSlowly(o)
			return
		}
		if !e.admit() {
			sh.mu.Unlock()
			r.commitOverflow(o, true, true)
			return
		}
		s = e.newSeries(sh, o.hash, key, o.resource)
	}
	if sh.cut != nil {
		sh.keep(s)
	}
	out := e.outcome(s, o.measures.errorType)
	if out != nil {
		e.recordOutcome(s, out, &o.measures)
	}
	e.recordUsage(s, &o.measures)
	s.success.touched = true
	sh.mu.Unlock()
	if out == nil {
		r.commitOverflow(o, true, false)
	}
}

// commitOverflow counts what finds no room. Its series carry no attribute but the mark, so a resource has one
// for each family; and one more for the durations of inference, where these have a metric of their own.
func (r *Recorder) commitOverflow(o *staged, outcome, usage bool) {
	e := r.engine
	e.overflowed.Add(1)
	m := &o.measures
	family := m.family | familyOverflow
	// Not where both generations are emitted: in the first, the two would be one data point.
	if outcome && e.cfg.Semconv == SemconvG2 && m.family == FamilyClient && m.duration >= 0 {
		if operation, _ := nextLabel(r.key(o)[keyHead:]); isInference(string(operation)) {
			errorType := m.errorType
			m.errorType = ""
			r.overflow(o, family|familyInference, true, false)
			m.errorType, m.duration = errorType, Absent
		}
	}
	r.overflow(o, family, outcome, usage)
}

func (r *Recorder) overflow(o *staged, family Family, outcome, usage bool) {
	e := r.engine
	r.scratch = appendKeyHead(r.scratch[:0], o.resource.id, family)
	hash := maphash.Bytes(e.seed, r.scratch)
	sh := e.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.table.find(hash, r.scratch)
	if s == nil {
		s = e.newSeries(sh, hash, r.scratch, o.resource)
	}
	if sh.cut != nil {
		sh.keep(s)
	}
	if outcome {
		e.recordOutcome(s, &s.success, &o.measures)
	}
	if usage {
		e.recordUsage(s, &o.measures)
	}
	s.success.touched = true
}
