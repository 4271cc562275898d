package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"google.golang.org/protobuf/encoding/protowire"
)

// datadogPoint is a point of a distribution or of another metric, as it came to the intake.
type datadogPoint struct {
	metric string
	tags   map[string]bool // key:value
	time   int64           // seconds
	kind   uint64          // of what is no distribution: 1 is a count, 3 a gauge
	value  float64
	sketch *sketch // of a distribution
}

// tag is the value of a tag, and whether it is there.
func (p datadogPoint) tag(key string) (string, bool) {
	for tag := range p.tags {
		if k, v, _ := strings.Cut(tag, ":"); k == key {
			return v, true
		}
	}
	return "", false
}

// sketch is a distribution: how many values there are near each power of its base.
type sketch struct {
	count    int64
	sum      float64
	min, max float64
	bins     map[int32]uint64
}

func (s *sketch) add(o *sketch) {
	if s.count == 0 || o.min < s.min {
		s.min = o.min
	}
	if s.count == 0 || o.max > s.max {
		s.max = o.max
	}
	s.count += o.count
	s.sum += o.sum
	if s.bins == nil {
		s.bins = map[int32]uint64{}
	}
	for k, n := range o.bins {
		s.bins[k] += n
	}
}

// The bins of Datadog's sketches are powers of 1 + 1/64, counted so that bin 1 is that of 1e-9.
const sketchGamma = 1 + 2.0/128

var sketchBias = 1 - int32(math.Floor(math.Log(1e-9)/math.Log(sketchGamma)))

// quantile is the middle of the bin in which the quantile is: at most 1 % off, and never beyond the least and the
// greatest.
func (s *sketch) quantile(q float64) float64 {
	rank := uint64(q * float64(s.count-1))
	var before uint64
	for _, k := range slices.Sorted(maps.Keys(s.bins)) {
		if before += s.bins[k]; before > rank {
			if k <= 0 {
				return max(0, s.min)
			}
			return min(max(math.Pow(sketchGamma, float64(k-sketchBias)), s.min), s.max)
		}
	}
	return s.max
}

// readSketches reads a SketchPayload: sketches=1 {metric=1, tags=4, dogsketches=7 {ts=1, cnt=2, min=3, max=4, sum=6,
// k=7, n=8}}.
func readSketches(body []byte) (points []datadogPoint, err error) {
	err = each(body, 1, func(b []byte) error {
		var name string
		tags := map[string]bool{}
		first := len(points)
		err := fields(b, func(n protowire.Number, _ uint64, data []byte) error {
			switch n {
			case 1:
				name = string(data)
			case 4:
				tags[string(data)] = true
			case 7:
				s := &sketch{bins: map[int32]uint64{}}
				p := datadogPoint{sketch: s}
				var keys []int32
				var counts []uint64
				err := fields(data, func(n protowire.Number, v uint64, data []byte) error {
					switch n {
					case 1:
						p.time = int64(v)
					case 2:
						s.count = int64(v)
					case 3:
						s.min = math.Float64frombits(v)
					case 4:
						s.max = math.Float64frombits(v)
					case 6:
						s.sum = math.Float64frombits(v)
					case 7:
						return varints(data, func(v uint64) { keys = append(keys, int32(protowire.DecodeZigZag(v))) })
					case 8:
						return varints(data, func(v uint64) { counts = append(counts, v) })
					}
					return nil
				})
				if err != nil {
					return err
				}
				if len(keys) != len(counts) {
					return fmt.Errorf("%d bins with %d counts", len(keys), len(counts))
				}
				for i, k := range keys {
					s.bins[k] += counts[i]
				}
				points = append(points, p)
			}
			return nil
		})
		for i := range points[first:] {
			points[first+i].metric, points[first+i].tags = name, tags
		}
		return err
	})
	return points, err
}

// readSeries reads a MetricPayload: series=1 {metric=2, tags=3, points=4 {value=1, timestamp=2}, type=5}.
func readSeries(body []byte) (points []datadogPoint, err error) {
	err = each(body, 1, func(b []byte) error {
		var name string
		var kind uint64
		tags := map[string]bool{}
		first := len(points)
		err := fields(b, func(n protowire.Number, v uint64, data []byte) error {
			switch n {
			case 2:
				name = string(data)
			case 3:
				tags[string(data)] = true
			case 4:
				p := datadogPoint{}
				err := fields(data, func(n protowire.Number, v uint64, _ []byte) error {
					switch n {
					case 1:
						p.value = math.Float64frombits(v)
					case 2:
						p.time = int64(v)
					}
					return nil
				})
				points = append(points, p)
				return err
			case 5:
				kind = v
			}
			return nil
		})
		for i := range points[first:] {
			points[first+i].metric, points[first+i].tags, points[first+i].kind = name, tags, kind
		}
		return err
	})
	return points, err
}

// readSeriesJSON reads the form in which the exporter sends what it tells of itself.
func readSeriesJSON(body []byte) (points []datadogPoint, err error) {
	var payload struct {
		Series []struct {
			Metric string   `json:"metric"`
			Type   uint64   `json:"type"`
			Tags   []string `json:"tags"`
			Points []struct {
				Time  int64   `json:"timestamp"`
				Value float64 `json:"value"`
			} `json:"points"`
		} `json:"series"`
	}
	if err := json.Unmarshal(body, &payload); err != nil {
		return nil, err
	}
	for _, s := range payload.Series {
		tags := map[string]bool{}
		for _, tag := range s.Tags {
			tags[tag] = true
		}
		for _, p := range s.Points {
			points = append(points, datadogPoint{metric: s.Metric, tags: tags, time: p.Time, kind: s.Type, value: p.Value})
		}
	}
	return points, nil
}

func varints(b []byte, fn func(uint64)) error {
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		fn(v)
		b = b[n:]
	}
	return nil
}

// recorded are the points of a metric that have all the given tags.
func (d *datadogIntake) recorded(metric string, tags ...string) []datadogPoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	var points []datadogPoint
next:
	for _, p := range d.points {
		if p.metric != metric {
			continue
		}
		for _, tag := range tags {
			if !p.tags[tag] {
				continue next
			}
		}
		points = append(points, p)
	}
	return points
}

// distribution merges what came of a distribution.
func (d *datadogIntake) distribution(metric string, tags ...string) *sketch {
	all := &sketch{}
	for _, p := range d.recorded(metric, tags...) {
		if p.sketch != nil {
			all.add(p.sketch)
		}
	}
	return all
}

func (d *datadogIntake) count(metric string, tags ...string) (sum float64) {
	for _, p := range d.recorded(metric, tags...) {
		sum += p.value
	}
	return sum
}

// datadogConfig takes spans over OTLP and sends metrics to Datadog as the example does.
const datadogConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: "localhost:{otlp}"}}}
connectors:
  llm_metrics: {flush_interval: 1s{options}}
exporters:
  datadog:
    api: {key: "00000000000000000000000000000000"}
    hostname: e2e
    host_metadata: {enabled: false}
    metrics: {endpoint: "{intake}", resource_attributes_as_tags: true}
    sending_queue: {storage: file_storage, block_on_overflow: true}
    retry_on_failure: {max_elapsed_time: 0}
extensions:
  health_check: {endpoint: "localhost:{health}"}
  file_storage: {directory: "{dir}/storage", create_directory: true}
service:
  extensions: [health_check, file_storage]
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: {telemetry}}}}}]}
  pipelines:
    traces: {receivers: [otlp], exporters: [llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [datadog]}
`

// exponentialOff is how far a quantile may be off that comes from an exponential histogram with eight buckets to a
// doubling, by way of a sketch whose bins are a 64th wide.
var exponentialOff = math.Exp2(1.0/8)*(1+1.0/64) - 1

// TestDatadog compares what comes to the intake with what was sent, in three lives of a collector. It waits before each
// end, since Datadog's exporter takes points off the queue on disk before they are sent, and drops those when it stops.
func TestDatadog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options string
		off     float64 // how far a quantile may be from that of the values themselves
	}{
		// A quantile is in the bucket of the value, whose end is twice its beginning.
		"explicit":    {", temporality: delta", 1},
		"exponential": {", temporality: delta, histogram: {type: exponential}", exponentialOff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			intake := newDatadogIntake(t)
			otlp, dir := freePort(t), t.TempDir()
			caller := newCaller(otlp, "shop")
			run := func() *collector {
				return startCollector(t, dir, datadogConfig, "{otlp}", fmt.Sprint(otlp), "{intake}", intake.url, "{options}", test.options)
			}
			arrived := func(calls int) {
				t.Helper()
				eventually(t, time.Minute, fmt.Sprintf("%d calls come to the intake", calls), func() bool {
					return intake.distribution("gen_ai.client.operation.duration").count >= int64(calls)
				})
			}

			c := run()
			caller.call(t, "gpt-5", 200, true)
			arrived(200)
			caller.call(t, "gpt-5", 100, true)
			caller.call(t, "claude", 50, true)
			arrived(350)
			c.stop(t)
			c = run()
			caller.call(t, "gpt-5", 400, true)
			arrived(750)
			c.stop(t)
			run()
			caller.call(t, "claude", 150, false)
			arrived(900)
			caller.call(t, "last", 1, false) // whatever came twice is there when this is
			arrived(901)

			for _, name := range []string{"gpt-5", "claude"} {
				assertDatadogCalls(t, intake, name, caller.of(name), test.off)
			}
			intake.mu.Lock()
			defer intake.mu.Unlock()
			assert.Empty(t, intake.problems)
		})
	}
}

func assertDatadogCalls(t *testing.T, intake *datadogIntake, name string, calls []modelCall, off float64) {
	t.Helper()
	want := sumCalls(calls)
	tags := []string{"service:shop", "gen_ai.operation.name:chat", "gen_ai.provider.name:openai", "gen_ai.request.model:" + name}
	duration := intake.distribution("gen_ai.client.operation.duration", tags...)
	assert.Equal(t, int64(want.calls), duration.count)
	assert.InEpsilon(t, want.seconds, duration.sum, 1e-12)
	assert.Equal(t, int64(want.errors), intake.distribution("gen_ai.client.operation.duration", append(tags, "error.type:timeout")...).count)
	assert.Equal(t, want.errors, intake.count("gen_ai.client.operation.errors", append(tags, "error.type:timeout", "llm_metrics.error.class:timeout")...))
	assert.Equal(t, want.errors, intake.count("gen_ai.client.operation.errors", tags...))
	for _, p := range intake.recorded("gen_ai.client.operation.errors") {
		assert.Equal(t, uint64(1), p.kind, "a count, which adds up over time")
	}
	assert.Equal(t, want.input, intake.distribution("gen_ai.client.token.usage", append(tags, "gen_ai.token.type:input")...).sum)
	assert.Equal(t, want.output, intake.distribution("gen_ai.client.token.usage", append(tags, "gen_ai.token.type:output")...).sum)
	cost := intake.distribution("gen_ai.usage.cost", tags...)
	assert.Equal(t, int64(want.calls), cost.count)
	assert.InEpsilon(t, want.cost, cost.sum, 1e-12)

	for _, q := range []float64{0.5, 0.95, 0.99} {
		assert.InEpsilon(t, exactQuantile(q, calls), duration.quantile(q), off, "quantile %v of %s", q, name)
	}
	for q, got := range map[float64]float64{0: duration.min, 1: duration.max} {
		assert.InEpsilon(t, exactQuantile(q, calls), got, 1e-12)
	}
	for _, p := range intake.recorded("gen_ai.client.operation.duration", tags...) {
		assert.InDelta(t, time.Now().Unix(), p.time, 600)
		for tag := range p.tags {
			switch key, _, _ := strings.Cut(tag, ":"); key {
			case "service", "service.name", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type",
				"instrumentation_scope", "instrumentation_scope_version":
			default:
				assert.Fail(t, "an unknown tag", tag)
			}
		}
	}
}
