package llmmetrics

import (
	"hash/maphash"
	"slices"
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
	// OneWindow is for an engine of which only the first window is told, with Delta. Fractions of counts, of which there are
	// only some after sampling, have no next window there: they are rounded up or down so that the counts of many engines
	// are right on average.
	OneWindow bool
	// InitialZero is without effect when Delta is set.
	InitialZero InitialZero
	// ExponentialSize is the largest number of buckets of exponential histograms; zero makes explicit ones.
	ExponentialSize int
	// Dimensions are the names of further attributes; their values come with every observation. One that has a * is for
	// any attribute: its values are those of [AppendNamed].
	Dimensions []string
	// DimensionOf reports whether the points of a metric have a dimension; nil is all of them. It is asked when the
	// engine is made.
	DimensionOf func(dimension, metric string) bool
	// ResourceAttributes group the output. When service.name is among them and missing it is unknown_service.
	ResourceAttributes []string
	// MaxSeries bounds the attribute sets that are held, over all resources. What comes beyond is counted in
	// an overflow series of its resource and family. Must be positive.
	MaxSeries int
	// Expiration drops series that were not updated for so long; zero keeps them.
	Expiration time.Duration
	// Exemplars bounds the exemplars of a data point; zero makes none.
	Exemplars int
	// Semconv selects the names of metrics.
	Semconv Semconv
	// ErrorClass groups error types; nil leaves [AttrErrorClass] out.
	ErrorClass func(errorType string) string
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

	other, inference naming

	views []view // none when all metrics have the same dimensions
}

type shard struct {
	mu    sync.Mutex
	table table
	fresh []*series // made since the last flush

	cuts uint64    // the number of the last cut
	cut  *shardCut // nil unless it is under way

	_ [64]byte // keeps locks of neighbours apart
}

// shard guards the series with this hash. Its table uses the other end of the hash.
func (e *Engine) shard(hash uint64) *shard { return &e.shards[shardOf(hash)] }

func shardOf(hash uint64) uint64 { return hash >> (64 - shardBits) }

// New makes an engine whose first series start at start, which must be before the time of the first flush.
func New(cfg Config, start pcommon.Timestamp) *Engine {
	cfg.Dimensions = slices.Clone(cfg.Dimensions)
	cfg.ResourceAttributes = slices.Clone(cfg.ResourceAttributes)
	e := &Engine{cfg: cfg, seed: maphash.MakeSeed(), resources: newResources(cfg.ResourceAttributes)}
	e.flusher.init(start)
	e.other, e.inference = namings(cfg.Semconv)
	e.views = views(&e.cfg)
	return e
}

// Series is the number of attribute sets held, overflow series not counted.
func (e *Engine) Series() int64 { return e.active.Load() }

// Overflowed is the number of observations that were counted in an overflow series so far.
func (e *Engine) Overflowed() int64 { return e.overflowed.Load() }

// admit reserves room for an attribute set.
func (e *Engine) admit() bool {
	if e.active.Add(1) > int64(e.cfg.MaxSeries) {
		e.active.Add(-1)
		return false
	}
	return true
}

func (e *Engine) newSeries(sh *shard, hash uint64, key []byte, res *resource) *series {
	s := &series{hash: hash, key: string(key), resource: res, cuts: sh.cuts}
	res.series.Add(1)
	sh.table.insert(s)
	sh.fresh = append(sh.fresh, s)
	return s
}
