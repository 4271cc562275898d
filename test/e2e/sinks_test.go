package e2e

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what the exporter sends
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// otlpSink keeps what an OTLP backend would have received, over HTTP and gRPC.
type otlpSink struct {
	http string // base URL
	grpc string // host:port

	refuse func() bool // answers 503 while it says so; nil never does
	lean   bool        // forgets the spans; arrivals tell enough

	seen arrivals

	mu      sync.Mutex
	spans   []span
	metrics map[string]pmetric.Metric // the last point set of each metric name
	headers http.Header               // of the last request over HTTP
}

func newOTLPSink(t *testing.T) *otlpSink {
	t.Helper()
	s := &otlpSink{metrics: map[string]pmetric.Metric{}}

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if s.refuse != nil && s.refuse() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		s.mu.Lock()
		s.headers = r.Header.Clone()
		s.mu.Unlock()
		switch r.URL.Path {
		case "/v1/traces":
			req := ptraceotlp.NewExportRequest()
			if err = req.UnmarshalProto(body); err == nil {
				_, err = s.exportTraces(req, r.Header.Get("X-Life"))
			}
			if errors.Is(err, errFull) {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		case "/v1/metrics":
			req := pmetricotlp.NewExportRequest()
			if err = req.UnmarshalProto(body); err == nil {
				_, err = s.exportMetrics(req)
			}
		default:
			http.NotFound(w, r)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	s.http = server.URL

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	rpc := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(rpc, &grpcTraces{sink: s})
	pmetricotlp.RegisterGRPCServer(rpc, &grpcMetrics{sink: s})
	go func() { _ = rpc.Serve(l) }()
	t.Cleanup(rpc.Stop)
	s.grpc = l.Addr().String()
	return s
}

// errFull says that the sink takes no more for now.
var errFull = status.Error(codes.Unavailable, "full")

func (s *otlpSink) exportTraces(req ptraceotlp.ExportRequest, life string) (ptraceotlp.ExportResponse, error) {
	spans := flatten(req.Traces())
	if !s.seen.note(spans, life) {
		return ptraceotlp.NewExportResponse(), errFull
	}
	if s.lean {
		return ptraceotlp.NewExportResponse(), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans = append(s.spans, spans...)
	return ptraceotlp.NewExportResponse(), nil
}

func (s *otlpSink) exportMetrics(req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rm := range req.Metrics().ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				s.metrics[m.Name()] = m
			}
		}
	}
	return pmetricotlp.NewExportResponse(), nil
}

func (s *otlpSink) received() (spans []span, metrics map[string]pmetric.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	metrics = map[string]pmetric.Metric{}
	for k, v := range s.metrics {
		metrics[k] = v
	}
	return append([]span(nil), s.spans...), metrics
}

type grpcTraces struct {
	ptraceotlp.UnimplementedGRPCServer
	sink *otlpSink
}

func (g *grpcTraces) Export(_ context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	return g.sink.exportTraces(req, "")
}

type grpcMetrics struct {
	pmetricotlp.UnimplementedGRPCServer
	sink *otlpSink
}

func (g *grpcMetrics) Export(_ context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	return g.sink.exportMetrics(req)
}

func readBody(r *http.Request) ([]byte, error) {
	var body io.Reader = r.Body
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		gz, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = gz
	case "deflate":
		zl, err := zlib.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = zl
	case "zstd":
		zr, err := zstd.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		defer zr.Close()
		body = zr
	}
	return io.ReadAll(body)
}

// datadogIntake is a small stand-in for Datadog's intake: it records the spans, sketches and series that arrive.
type datadogIntake struct {
	url string

	mu       sync.Mutex
	spans    []datadogSpan
	sketches map[string]datadogSketch // by metric name, summed over tags and time
	series   map[string]float64       // by metric name, summed over tags and time
	points   []datadogPoint           // all of both
	keys     map[string]bool          // API keys seen
	paths    map[string]int
	problems []string
}

type datadogSpan struct {
	service, resource string
	traceID, spanID   uint64
	parentID          uint64
	isError           int32
	meta              map[string]string
}

type datadogSketch struct {
	count int64
	sum   float64
	tags  map[string]bool
}

func newDatadogIntake(t *testing.T) *datadogIntake {
	t.Helper()
	d := &datadogIntake{
		sketches: map[string]datadogSketch{}, series: map[string]float64{},
		keys: map[string]bool{}, paths: map[string]int{},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(r)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.paths[r.URL.Path]++
		if key := r.Header.Get("DD-API-KEY"); key != "" {
			d.keys[key] = true
		}
		if err == nil {
			switch r.URL.Path {
			case "/api/v0.2/traces":
				err = d.traces(body)
			case "/api/beta/sketches":
				err = d.sketchPayload(body)
			case "/api/v2/series":
				err = d.seriesPayload(body, strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"))
			}
		}
		if err != nil {
			d.problems = append(d.problems, r.URL.Path+": "+err.Error())
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"status":"ok","valid":true,"errors":[]}`)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// traces reads an AgentPayload: tracerPayloads=5 {chunks=6 {spans=3}}.
func (d *datadogIntake) traces(body []byte) error {
	return each(body, 5, func(payload []byte) error {
		return each(payload, 6, func(chunk []byte) error {
			return each(chunk, 3, func(b []byte) error {
				s := datadogSpan{meta: map[string]string{}}
				err := fields(b, func(n protowire.Number, v uint64, data []byte) error {
					switch n {
					case 1:
						s.service = string(data)
					case 3:
						s.resource = string(data)
					case 4:
						s.traceID = v
					case 5:
						s.spanID = v
					case 6:
						s.parentID = v
					case 9:
						s.isError = int32(v)
					case 10:
						var key, value string
						if err := fields(data, func(n protowire.Number, _ uint64, data []byte) error {
							if n == 1 {
								key = string(data)
							} else if n == 2 {
								value = string(data)
							}
							return nil
						}); err != nil {
							return err
						}
						s.meta[key] = value
					}
					return nil
				})
				d.spans = append(d.spans, s)
				return err
			})
		})
	})
}

// sketchPayload reads a SketchPayload.
func (d *datadogIntake) sketchPayload(body []byte) error {
	points, err := readSketches(body)
	for _, p := range points {
		s := d.sketches[p.metric]
		if s.tags == nil {
			s.tags = map[string]bool{}
		}
		s.count += p.sketch.count
		s.sum += p.sketch.sum
		for tag := range p.tags {
			s.tags[tag] = true
		}
		d.sketches[p.metric] = s
	}
	d.points = append(d.points, points...)
	return err
}

// seriesPayload reads series in either form in which they come.
func (d *datadogIntake) seriesPayload(body []byte, asJSON bool) error {
	read := readSeries
	if asJSON {
		read = readSeriesJSON
	}
	points, err := read(body)
	for _, p := range points {
		d.series[p.metric] += p.value
	}
	d.points = append(d.points, points...)
	return err
}

func (d *datadogIntake) snapshot() (spans []datadogSpan, sketches map[string]datadogSketch, series map[string]float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sketches, series = map[string]datadogSketch{}, map[string]float64{}
	for k, v := range d.sketches {
		sketches[k] = v
	}
	for k, v := range d.series {
		series[k] = v
	}
	return append([]datadogSpan(nil), d.spans...), sketches, series
}

// each calls fn with every embedded message of one field number.
func each(b []byte, number protowire.Number, fn func([]byte) error) error {
	return fields(b, func(n protowire.Number, _ uint64, data []byte) error {
		if n == number {
			return fn(data)
		}
		return nil
	})
}

// fields walks the fields of a protobuf message: v for numbers of any width, data for the rest.
func fields(b []byte, fn func(n protowire.Number, v uint64, data []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v32 uint32
			v32, n = protowire.ConsumeFixed32(b)
			v = uint64(v32)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := fn(number, v, data); err != nil {
			return err
		}
	}
	return nil
}

// nothingContains fails when any of the needles stands in the text.
func nothingContains(t *testing.T, what, text string, needles ...string) {
	t.Helper()
	for _, needle := range needles {
		if i := strings.Index(text, needle); i >= 0 {
			t.Errorf("%s holds %q: …%s…", what, needle, text[max(0, i-80):min(len(text), i+len(needle)+80)])
		}
	}
}
