package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// modelCall is a call of a model that a test makes up, so that it knows every number.
type modelCall struct {
	model     string
	end       time.Time
	duration  time.Duration
	input     int64
	output    int64
	microUSD  int64
	errorType string
}

func (c modelCall) failed() bool { return c.errorType != "" }

// caller makes up calls and hands them to a collector over OTLP.
type caller struct {
	port    int // of the collector's OTLP receiver
	project string
	rng     *rand.Rand
	made    []modelCall
	next    uint64
}

func newCaller(port int, project string) *caller {
	return &caller{port: port, project: project, rng: rand.New(rand.NewPCG(7, 11))}
}

// call makes n calls of a model that end now, one in ten of which fail when failing is set, and waits until the
// collector has taken them.
func (c *caller) call(t *testing.T, model string, n int, failing bool) {
	t.Helper()
	calls := make([]modelCall, n)
	for i := range calls {
		calls[i] = c.makeUp(model, time.Now())
		if failing && i%10 == 0 {
			calls[i].errorType = "timeout"
		}
	}
	c.send(t, calls)
}

// makeUp is a call that succeeded, its numbers by chance.
func (c *caller) makeUp(model string, end time.Time) modelCall {
	return modelCall{
		model: model, end: end,
		// From 20 ms to 40 s, most of them short.
		duration: time.Duration(20e6 * (1 + 2000*c.rng.Float64()*c.rng.Float64()*c.rng.Float64())),
		input:    1 + c.rng.Int64N(20_000),
		output:   1 + c.rng.Int64N(2000),
		microUSD: 1 + c.rng.Int64N(90_000),
	}
}

func (c *caller) send(t *testing.T, calls []modelCall) {
	t.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", c.project)
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for _, call := range calls {
		c.next++
		var trace pcommon.TraceID
		var id pcommon.SpanID
		binary.BigEndian.PutUint64(trace[8:], c.next)
		binary.BigEndian.PutUint64(id[:], c.next)
		s := spans.AppendEmpty()
		s.SetTraceID(trace)
		s.SetSpanID(id)
		s.SetName("chat " + call.model)
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(call.end))
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(call.end.Add(-call.duration)))
		a := s.Attributes()
		a.PutStr("gen_ai.operation.name", "chat")
		a.PutStr("gen_ai.provider.name", "openai")
		a.PutStr("gen_ai.request.model", call.model)
		a.PutInt("gen_ai.usage.input_tokens", call.input)
		a.PutInt("gen_ai.usage.output_tokens", call.output)
		a.PutDouble("gen_ai.usage.cost", float64(call.microUSD)/1e6)
		if call.failed() {
			a.PutStr("error.type", call.errorType)
			s.Status().SetCode(ptrace.StatusCodeError)
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(t, err)
	postOTLP(t, c.port, "traces", body)
	c.made = append(c.made, calls...)
}

// of are the calls of one model.
func (c *caller) of(model string) []modelCall {
	var calls []modelCall
	for _, call := range c.made {
		if call.model == model {
			calls = append(calls, call)
		}
	}
	return calls
}

// callSums are the exact sums over calls.
type callSums struct {
	calls, errors, input, output, cost, seconds float64
}

func sumCalls(calls []modelCall) callSums {
	var s callSums
	var micros, nanos int64
	for _, c := range calls {
		s.calls++
		if c.failed() {
			s.errors++
		}
		s.input += float64(c.input)
		s.output += float64(c.output)
		micros += c.microUSD
		nanos += int64(c.duration)
	}
	s.cost, s.seconds = float64(micros)/1e6, float64(nanos)/1e9
	return s
}

// durationBounds are the bucket boundaries of durations in the GenAI conventions.
var durationBounds = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}

// durationBuckets counts calls by bucket, not cumulated.
func durationBuckets(calls []modelCall) []float64 {
	var seconds []float64
	for _, c := range calls {
		seconds = append(seconds, c.duration.Seconds())
	}
	return countBuckets(durationBounds, seconds)
}

func countBuckets(bounds, values []float64) []float64 {
	counts := make([]float64, len(bounds)+1)
	for _, v := range values {
		i, _ := slices.BinarySearch(bounds, v)
		counts[i]++
	}
	return counts
}

// bucketQuantile is the quantile that can be told from buckets, even within each.
func bucketQuantile(q float64, bounds, counts []float64) float64 {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	rank, before, low := q*total, 0.0, 0.0
	for i, n := range counts {
		if i == len(bounds) {
			return bounds[i-1]
		}
		if before+n >= rank {
			return low + (bounds[i]-low)*(rank-before)/n
		}
		before, low = before+n, bounds[i]
	}
	return low
}

// exactQuantile is the quantile of the durations themselves, in seconds.
func exactQuantile(q float64, calls []modelCall) float64 {
	var seconds []float64
	for _, c := range calls {
		seconds = append(seconds, c.duration.Seconds())
	}
	return valueQuantile(q, seconds)
}

func valueQuantile(q float64, values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}

// scoreFact is the result of an evaluation that a test makes up.
type scoreFact struct {
	name  string
	label string
	score *float64
}

// sendScores makes up results of evaluations and hands them to the collector over OTLP.
func sendScores(t *testing.T, port int) []scoreFact {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 5))
	var all []scoreFact
	for range 60 {
		score := float64(rng.IntN(11)) / 8
		all = append(all, scoreFact{name: "correctness", score: &score})
		all = append(all, scoreFact{name: "tone", label: []string{"friendly", "neutral", "rude"}[rng.IntN(3)]})
		verdict := []string{"yes", "no"}[rng.IntN(2)]
		all = append(all, scoreFact{name: []string{"hallucination", "bias", "toxicity"}[rng.IntN(3)], label: verdict})
	}
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i, s := range all {
		r := records.AppendEmpty()
		r.SetEventName("gen_ai.evaluation.result")
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		a := r.Attributes()
		a.PutStr("langsmith.feedback.id", fmt.Sprint(i))
		a.PutStr("gen_ai.evaluation.name", s.name)
		if s.score != nil {
			a.PutDouble("gen_ai.evaluation.score.value", *s.score)
		}
		if s.label != "" {
			a.PutStr("gen_ai.evaluation.score.label", s.label)
		}
	}
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(t, err)
	postOTLP(t, port, "logs", body)
	return all
}

func postOTLP(t *testing.T, port int, signal string, body []byte) {
	t.Helper()
	resp, err := http.Post(fmt.Sprintf("http://localhost:%d/v1/%s", port, signal), "application/x-protobuf", bytes.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
