package llmmetrics

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// InitialZero says how a cumulative series begins.
type InitialZero uint8

const (
	// ZeroHold emits a zero in the first flush of a series and its value from the next one on.
	ZeroHold InitialZero = iota
	// ZeroInline emits the zero, at the start of the series, and the value in the same flush.
	ZeroInline
	// ZeroOff begins with the value.
	ZeroOff
)

// Config of an [Engine].
type Config struct {
	// Delta emits what was added since the last accepted flush, instead of totals since a fixed start.
	Delta bool
	// InitialZero is without effect when Delta is set.
	InitialZero InitialZero
	// ExponentialSize is the largest number of buckets of exponential histograms; zero makes explicit ones.
	ExponentialSize int
	// Dimensions are the names of further attributes; their values come with every observation.
	Dimensions []string
	// ResourceAttributes group the output. When service.name is among them and missing it is unknown_service.
	ResourceAttributes []string
	// MaxSeries bounds the attribute sets that are held, over all resources. What comes beyond is counted in
	// an overflow series of its resource and family. Must be positive.
	MaxSeries int
	// Expiration drops series that were not updated for so long; zero keeps them.
	Expiration time.Duration
	// Exemplars bounds the exemplars of a data point; zero makes none.
	Exemplars int
	// Scope is the name and version of the instrumentation scope.
	ScopeName, ScopeVersion string
}

// Enough shards that recorders rarely meet on a lock.
const (
	shardBits  = 5
	shardCount = 1 << shardBits
)

// Engine aggregates observations. All methods may be called concurrently; flushes run one at a time.
type Engine struct {
	cfg       Config
	seed      maphash.Seed
	resources *resources
	shards    [shardCount]shard
	recorders sync.Pool

	active     atomic.Int64 // attribute sets that count against MaxSeries
	overflowed atomic.Int64 // observations counted in an overflow series

	flusher flusher
}

type shard struct {
	mu    sync.Mutex
	table table
	fresh []*series // made since the last flush

	_ [64]byte // keeps locks of neighbours apart
}

// shard guards the series with this hash. Its table uses the other end of the hash.
func (e *Engine) shard(hash uint64) *shard { return &e.shards[hash>>(64-shardBits)] }

// New makes an engine whose first series start at start, which must be before the time of the first flush.
func New(cfg Config, start pcommon.Timestamp) *Engine {
	cfg.Dimensions = slices.Clone(cfg.Dimensions)
	cfg.ResourceAttributes = slices.Clone(cfg.ResourceAttributes)
	e := &Engine{cfg: cfg, seed: maphash.MakeSeed(), resources: newResources(cfg.ResourceAttributes)}
	e.flusher.init(start)
	return e
}

// Series is the number of attribute sets held, overflow series not counted.
func (e *Engine) Series() int64 { return e.active.Load() }

// Overflowed is the number of observations that were counted in an overflow series so far.
func (e *Engine) Overflowed() int64 { return e.overflowed.Load() }

// Recorder adds observations of one goroutine. Get one from [Engine.Recorder] and give it back with Release.
type Recorder struct {
	engine   *Engine
	attrs    pcommon.Map
	resource *resource // of attrs; nil until something is recorded
	key      []byte
	scratch  []byte
}

// Recorder takes a recorder for the use of one goroutine.
func (e *Engine) Recorder() *Recorder {
	if r, ok := e.recorders.Get().(*Recorder); ok {
		return r
	}
	return &Recorder{engine: e}
}

// Release gives the recorder back; it must not be used any more.
func (r *Recorder) Release() {
	r.dropResource()
	r.attrs = pcommon.Map{}
	r.engine.recorders.Put(r)
}

func (r *Recorder) dropResource() {
	if r.resource != nil {
		r.engine.resources.release(r.resource)
		r.resource = nil
	}
}

// SetResource selects the resource of the observations that follow. It must be called before the first one,
// and attrs must stay as it is until the last one. Resources without observations leave no trace.
func (r *Recorder) SetResource(attrs pcommon.Map) {
	r.dropResource()
	r.attrs = attrs
}

// Record adds an observation. It allocates only when a series appears.
func (r *Recorder) Record(o *Observation) {
	e := r.engine
	if r.resource == nil {
		r.resource, r.scratch = e.resources.acquire(r.scratch, r.attrs)
	}
	if r.resource == e.resources.other {
		r.recordOverflow(o, true, true)
		return
	}
	r.key = appendKey(r.key[:0], r.resource.id, o, len(e.cfg.Dimensions))
	hash := maphash.Bytes(e.seed, r.key)
	sh := e.shard(hash)
	sh.mu.Lock()
	s := sh.table.find(hash, r.key)
	if s == nil {
		if !validLabels(string(r.key[keyHead:])) {
			sh.mu.Unlock()
			r.Record(sanitized(o))
			return
		}
		if !e.admit() {
			sh.mu.Unlock()
			r.recordOverflow(o, true, true)
			return
		}
		s = e.newSeries(sh, hash, r.key, r.resource)
	}
	out := e.outcome(s, o)
	if out != nil {
		e.recordOutcome(s, out, o)
	}
	e.recordUsage(s, o)
	s.success.touched = true
	sh.mu.Unlock()
	if out == nil {
		r.recordOverflow(o, true, false)
	}
}

// recordOverflow counts what finds no room. Its series carry no attribute but the mark, so a resource has one
// for each family.
func (r *Recorder) recordOverflow(o *Observation, outcome, usage bool) {
	e := r.engine
	e.overflowed.Add(1)
	r.key = appendKeyHead(r.key[:0], r.resource.id, o.Family|familyOverflow)
	hash := maphash.Bytes(e.seed, r.key)
	sh := e.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.table.find(hash, r.key)
	if s == nil {
		s = e.newSeries(sh, hash, r.key, r.resource)
	}
	if outcome {
		e.recordOutcome(s, &s.success, o)
	}
	if usage {
		e.recordUsage(s, o)
	}
	s.success.touched = true
}

// admit reserves room for an attribute set.
func (e *Engine) admit() bool {
	if e.active.Add(1) > int64(e.cfg.MaxSeries) {
		e.active.Add(-1)
		return false
	}
	return true
}

func (e *Engine) newSeries(sh *shard, hash uint64, key []byte, res *resource) *series {
	s := &series{hash: hash, key: string(key), resource: res}
	res.series.Add(1)
	sh.table.insert(s)
	sh.fresh = append(sh.fresh, s)
	return s
}

// outcome finds or makes the part of s for the error type of o; nil when there is no room.
//
// A series is admitted together with its success part, so that a series of failures only counts as two.
func (e *Engine) outcome(s *series, o *Observation) *outcome {
	if o.ErrorType == "" {
		return &s.success
	}
	errorType := o.ErrorType
	if len(errorType) > maxLabelBytes {
		errorType = cut(errorType)
	}
	if out := s.failed[errorType]; out != nil {
		return out
	}
	if clean := sanitize(errorType); clean != errorType {
		errorType = clean
		if out := s.failed[errorType]; out != nil {
			return out
		}
	}
	if !e.admit() {
		return nil
	}
	if s.failed == nil {
		s.failed = map[string]*outcome{}
	}
	out := &outcome{errorType: strings.Clone(errorType)}
	s.failed[out.errorType] = out
	return out
}

func (e *Engine) recordOutcome(s *series, out *outcome, o *Observation) {
	out.touched = true
	family := s.family()
	if o.Duration >= 0 {
		instrument := families[family].duration
		h := e.histogram(&out.duration)
		h.recordInteger(instrument, uint64(o.Duration))
		if e.cfg.Exemplars > 0 {
			h.offer(o, float64(o.Duration)/nano, e.cfg.Exemplars)
		}
	}
	if o.ErrorType != "" && family == FamilyClient {
		if out.errors == nil {
			out.errors = &counter{}
		}
		out.errors.value++
	}
}

func (e *Engine) recordUsage(s *series, o *Observation) {
	firstChunk := o.TimeToFirstChunk > 0 && o.TimeToFirstChunk <= maxFraction
	cost := o.HasCost && o.Cost >= 0 && o.Cost <= maxFraction
	if o.Family != FamilyClient || o.InputTokens < 0 && o.OutputTokens < 0 && !cost && !firstChunk {
		return
	}
	if s.usage == nil {
		s.usage = &usage{}
	}
	u := s.usage
	if o.InputTokens >= 0 {
		e.recordTokens(&u.inputTokens, o, o.InputTokens)
	}
	if o.OutputTokens >= 0 {
		e.recordTokens(&u.outputTokens, o, o.OutputTokens)
	}
	if cost {
		e.recordFraction(&u.cost, insCost, o, math.Abs(o.Cost)) // no negative zero
	}
	if firstChunk {
		if u.firstChunk == nil {
			u.firstChunk = &point{}
		}
		e.recordFraction(u.firstChunk, insFirstChunk, o, o.TimeToFirstChunk)
	}
}

func (e *Engine) recordTokens(p *point, o *Observation, n int64) {
	h := e.histogram(p)
	h.recordInteger(insTokens, uint64(n))
	if e.cfg.Exemplars > 0 {
		h.offer(o, float64(n), e.cfg.Exemplars)
	}
}

func (e *Engine) recordFraction(p *point, instrument int, o *Observation, v float64) {
	h := e.histogram(p)
	h.recordFraction(instrument, v)
	if e.cfg.Exemplars > 0 {
		h.offer(o, v, e.cfg.Exemplars)
	}
}

func (e *Engine) histogram(p *point) *histogram {
	if e.cfg.ExponentialSize > 0 && p.state.exp == nil {
		p.state.exp = newExponential(e.cfg.ExponentialSize)
	}
	return &p.state
}
