package llmmetricsconnector

import (
	"math"
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
	eventRepeated              // the same result was recorded before
	eventEdited                // another result of the same feedback was recorded before
	eventOther                 // no result of an evaluation

	eventOutcomes
)

var eventOutcomeNames = [eventOutcomes]string{"recorded", "no_score", "too_old", "repeated", "edited", "other"}

// eventReader reads log records into the engine. It is safe for concurrent use.
type eventReader struct {
	metrics    *aggregation
	dimensions dimensions
	maxAge     time.Duration

	feedback feedbackMemory
}

func newEventReader(metrics *aggregation, cfg *Config) *eventReader {
	return &eventReader{metrics: metrics, dimensions: newDimensions(cfg.Dimensions), maxAge: cfg.MaxSpanAge}
}

// read adds all log records, which came now, to the engine, and to the note unless it is nil.
func (r *eventReader) read(ld plog.Logs, now pcommon.Timestamp, note *note) (counts [eventOutcomes]int64) {
	var to recorders
	to.begin(r.metrics, now, note)
	defer to.end()
	var values dimensionValues
	for _, rl := range ld.ResourceLogs().All() {
		to.setResource(rl.Resource().Attributes())
		r.dimensions.readResource(rl.Resource().Attributes(), &values)
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				counts[r.readRecord(record, now, &values, &to, note)]++
			}
		}
	}
	return counts
}

func (r *eventReader) readRecord(record plog.LogRecord, now pcommon.Timestamp, values *dimensionValues, to *recorders, note *note) eventOutcome {
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
	if id, content := identify(record); id != (feedbackHash{}) {
		switch before, known := r.feedback.add(id, content); {
		case known && before == content:
			return eventRepeated
		case known:
			return eventEdited
		}
		note.feedback(id, content)
	}
	given := make([]pcommon.Value, len(r.dimensions.names))
	for i, name := range r.dimensions.names {
		if v, ok := attrs.Get(name); ok {
			given[i] = v
		}
	}
	values.values = r.dimensions.readSpan(given, attrs, values)
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
