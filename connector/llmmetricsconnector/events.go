package llmmetricsconnector

import (
	"hash/maphash"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// eventName is that of the result of an evaluation.
const eventName = "gen_ai.evaluation.result"

const (
	attrEventName  = "event.name" // where the record itself has no name
	attrScoreValue = "gen_ai.evaluation.score.value"
	attrFeedbackID = "langsmith.feedback.id"
)

// eventOutcome is what became of a log record.
type eventOutcome uint8

const (
	eventRecorded eventOutcome = iota
	eventNoScore               // only its result was recorded
	eventTooOld                // older than max_span_age
	eventRepeated              // the same feedback was recorded before
	eventOther                 // no result of an evaluation

	eventOutcomes
)

var eventOutcomeNames = [eventOutcomes]string{"recorded", "no_score", "too_old", "repeated", "other"}

// eventReader reads log records into the engine. It is safe for concurrent use.
type eventReader struct {
	metrics    *aggregation
	dimensions dimensions
	maxAge     time.Duration

	mu   sync.Mutex
	seed maphash.Seed
	seen map[uint64]struct{} // hashes of feedback ids
	ring []uint64            // the same in the order in which they came
	next int
}

// maxFeedback bounds the feedback that is remembered.
const maxFeedback = 1 << 16

func newEventReader(metrics *aggregation, cfg *Config) *eventReader {
	return &eventReader{
		metrics: metrics, dimensions: newDimensions(cfg.Dimensions), maxAge: cfg.MaxSpanAge,
		seed: maphash.MakeSeed(), seen: map[uint64]struct{}{},
	}
}

// read adds all log records, which came now, to the engine.
func (r *eventReader) read(ld plog.Logs, now pcommon.Timestamp) (counts [eventOutcomes]int64) {
	var to recorders
	to.begin(r.metrics, now, nil)
	defer to.end()
	var values dimensionValues
	for _, rl := range ld.ResourceLogs().All() {
		to.setResource(rl.Resource().Attributes())
		r.dimensions.readResource(rl.Resource().Attributes(), &values)
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				counts[r.readRecord(record, now, &values, &to)]++
			}
		}
	}
	return counts
}

func (r *eventReader) readRecord(record plog.LogRecord, now pcommon.Timestamp, values *dimensionValues, to *recorders) eventOutcome {
	attrs := record.Attributes()
	text := func(name string) string {
		v, _ := attrs.Get(name)
		return v.Str()
	}
	if record.EventName() != eventName && text(attrEventName) != eventName {
		return eventOther
	}
	at := record.Timestamp()
	if at == 0 {
		at = record.ObservedTimestamp()
	}
	if r.maxAge > 0 && at != 0 && now > at && time.Duration(now-at) > r.maxAge {
		return eventTooOld
	}
	if id := text(attrFeedbackID); id != "" && !r.first(id) {
		return eventRepeated
	}
	given := make([]pcommon.Value, len(r.dimensions.names))
	for i, name := range r.dimensions.names {
		if v, ok := attrs.Get(name); ok {
			given[i] = v
		}
	}
	values.values = r.dimensions.readSpan(given, values)
	obs := llmmetrics.Observation{
		Family:           llmmetrics.FamilyVerdict,
		EvaluationName:   text(llmmetrics.AttrEvaluationName),
		EvaluationSource: text(llmmetrics.AttrFeedbackSource),
		EvaluationLabel:  text(llmmetrics.AttrScoreLabel),
		ErrorType:        text(llmmetrics.AttrErrorType),
		Dimensions:       values.values,
		Time:             at,
		TraceID:          record.TraceID(),
		SpanID:           record.SpanID(),
	}
	recorder := to.at(at)
	recorder.Record(&obs)
	score, ok := scoreOf(attrs)
	if !ok {
		return eventNoScore
	}
	obs.Family, obs.ErrorType, obs.Score = llmmetrics.FamilyScore, "", score
	recorder.Record(&obs)
	return eventRecorded
}

// scoreOf reads a score that a histogram can hold.
func scoreOf(attrs pcommon.Map) (float64, bool) {
	v, ok := attrs.Get(attrScoreValue)
	if !ok {
		return 0, false
	}
	var score float64
	switch v.Type() {
	case pcommon.ValueTypeDouble:
		score = v.Double()
	case pcommon.ValueTypeInt:
		score = float64(v.Int())
	default:
		return 0, false
	}
	return score, score >= 0 && score <= math.MaxInt32
}

// first reports whether feedback was not recorded before, and remembers it.
func (r *eventReader) first(id string) bool {
	hash := maphash.String(r.seed, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.seen[hash]; ok {
		return false
	}
	if len(r.ring) < maxFeedback {
		r.ring = append(r.ring, hash)
	} else {
		delete(r.seen, r.ring[r.next])
		r.ring[r.next] = hash
		r.next = (r.next + 1) % maxFeedback
	}
	r.seen[hash] = struct{}{}
	return true
}
