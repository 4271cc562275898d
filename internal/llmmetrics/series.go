package llmmetrics

import "go.opentelemetry.io/collector/pdata/pcommon"

// phase is how far the first emission of a data point stream has come.
type phase uint8

const (
	phaseNew  phase = iota // nothing was emitted
	phaseZero              // its zero was emitted
	phaseLive              // a value was emitted
)

// stamp is the emission state of a data point stream. Only a flush touches it.
type stamp struct {
	start pcommon.Timestamp // fixed by the first emission
	phase phase
	next  phase // becomes phase when the flush is accepted
}

// point is a histogram data point stream. An empty one was never used and is not emitted.
type point struct {
	state histogram

	stamp
	// pending is the part of a delta stream that left state but was not accepted yet. Only a flush touches it.
	pending *histogram
}

// counter is a sum data point stream.
type counter struct {
	stamp

	value   sum // of weights
	pending sum // as in point
}

func (c *counter) add(n uint64, w weight) { c.value.add(sum{lo: n}.times(w)) }

// outcome is the part of a series that depends on the error type: each has series of its own in the metrics
// that have that attribute.
type outcome struct {
	duration point
	errors   *counter // or results
	failure  *failure // nil for success
	touched  bool     // since the last flush

	lastSeen pcommon.Timestamp
}

// failure is the kind of a failed outcome.
type failure struct{ errorType, errorClass string }

// kind is empty for success.
func (o *outcome) kind() failure {
	if o.failure == nil {
		return failure{}
	}
	return *o.failure
}

// series is everything measured under one set of attributes: one lookup serves all metrics of a span. It is
// guarded by the lock of its shard.
type series struct {
	key     string
	usage   *usage
	success outcome

	failed   map[string]*outcome // by error type; nil until the first failure
	hash     uint64
	resource *resource

	// The last cut that it is written in, or that it is too young for. Without it, series would not have whole lines of the
	// processor's cache to themselves.
	cuts uint64
}

// usage is what only model calls, traces and threads have; a score is where the cost is. It is one piece of memory because a call feeds all of it.
type usage struct {
	inputTokens  point
	outputTokens point
	cost         point
	firstChunk   *point // of streamed calls only
	further      *further
}

// further is what many model calls do not have. Each part exists from its first value on.
type further struct {
	counters [furtherCounters]*counter
	points   [furtherPoints]*point
}

// Indexes into further.counters. The reasons of finishes are the last ones, in the order of FinishReasons.
const (
	furtherCacheRead = iota
	furtherCacheWrite
	furtherReasoning
	furtherStreamed
	furtherEstimated
	furtherFinish

	furtherCounters = furtherFinish + len(FinishReasons)
)

// Indexes into further.points.
const (
	furtherSpeed = iota
	furtherPerToken
	furtherTraceCalls
	furtherTraceTools
	furtherTraceDepth
	furtherThreadTurns

	furtherPoints
)

// furtherInstruments are those of the counters before furtherFinish.
var furtherInstruments = [furtherFinish]int{
	furtherCacheRead: insCacheRead, furtherCacheWrite: insCacheWrite, furtherReasoning: insReasoning, furtherStreamed: insStreamed,
	furtherEstimated: insEstimated,
}

var furtherPointInstruments = [furtherPoints]int{
	furtherSpeed: insSpeed, furtherPerToken: insPerToken,
	furtherTraceCalls: insTraceCalls, furtherTraceTools: insTraceTools, furtherTraceDepth: insTraceDepth,
	furtherThreadTurns: insThreadTurns,
}

// outcome is the part of s for an error type that is valid and short; nil when there is none yet.
func (s *series) outcome(errorType string) *outcome {
	if errorType == "" {
		return &s.success
	}
	return s.failed[errorType]
}

// touch reads from all over what a model call changes. The result is of no use.
func (s *series) touch() uint64 {
	t := s.success.duration.state.touch()
	if u := s.usage; u != nil {
		t += u.inputTokens.state.touch() + u.outputTokens.state.touch() + u.cost.state.touch()
	}
	return t
}

func (s *series) family() Family { return Family(s.key[keyHead-1] &^ familyFlags) }
func (s *series) overflow() bool { return s.key[keyHead-1]&familyOverflow != 0 }

// inference reports whether the operations are inference, by the conventions.
func (s *series) inference() bool {
	if s.overflow() {
		return s.key[keyHead-1]&familyInference != 0
	}
	if s.family() != FamilyClient {
		return false
	}
	operation, _ := nextLabel(s.labels())
	return isInference(operation)
}

func (s *series) labels() string { return s.key[keyHead:] }

// table finds series by key: open addressing with linear probing. The hash beside the pointer saves the
// visit of series that do not match.
type table struct {
	slots []slot
	used  int
}

type slot struct {
	hash uint64
	s    *series
}

func (t *table) find(hash uint64, key []byte) *series {
	if t.used == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := &t.slots[i]
		if e.s == nil {
			return nil
		}
		if e.hash == hash && e.s.key == string(key) {
			return e.s
		}
	}
}

// candidate is the first series with this hash, which may be that of another key; nil when there is none.
func (t *table) candidate(hash uint64) *series {
	if t.used == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if e := &t.slots[i]; e.s == nil || e.hash == hash {
			return e.s
		}
	}
}

func (t *table) insert(s *series) {
	if (t.used+1)*4 > len(t.slots)*3 {
		old := t.slots
		t.slots = make([]slot, max(16, 2*len(old)))
		for _, e := range old {
			if e.s != nil {
				t.place(e)
			}
		}
	}
	t.place(slot{hash: s.hash, s: s})
	t.used++
}

func (t *table) place(e slot) {
	mask := uint64(len(t.slots) - 1)
	i := e.hash & mask
	for t.slots[i].s != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = e
}

// remove takes s out and closes the gap, so that no probe ends early.
func (t *table) remove(s *series) {
	mask := uint64(len(t.slots) - 1)
	i := s.hash & mask
	for t.slots[i].s != s {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.slots[j].s != nil; j = (j + 1) & mask {
		home := t.slots[j].hash & mask
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
	t.used--
}
