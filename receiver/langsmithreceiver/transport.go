package langsmithreceiver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// measuredTransport counts and times requests.
type measuredTransport struct {
	next     http.RoundTripper
	builder  *metadata.TelemetryBuilder
	receiver attribute.KeyValue
}

func newMeasuredTransport(next http.RoundTripper, builder *metadata.TelemetryBuilder, receiverID string) *measuredTransport {
	if next == nil {
		next = http.DefaultTransport
	}
	return &measuredTransport{next: next, builder: builder, receiver: attribute.String("receiver", receiverID)}
}

// RoundTrip sends a request.
func (t *measuredTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.next.RoundTrip(req)
	outcome := outcomeOf(resp, err)
	if cause := context.Cause(req.Context()); err != nil && cause != nil { // a timeout looks like any other cancellation
		outcome = outcomeOf(nil, cause)
	}
	endpoint := attribute.String("endpoint", endpointOf(req.URL.Path))
	t.builder.ReceiverLangsmithAPIRequestDuration.Record(context.Background(), time.Since(start).Seconds(),
		metric.WithAttributes(t.receiver, endpoint))
	t.builder.ReceiverLangsmithAPIRequests.Add(context.Background(), 1,
		metric.WithAttributes(t.receiver, endpoint, attribute.String("outcome", outcome)))
	return resp, err
}

// exchanged counts how long the request budget held a request back.
func (t *measuredTransport) exchanged(e langsmith.Exchange) {
	if e.Waited > 0 {
		t.builder.ReceiverLangsmithBudgetWait.Add(context.Background(), e.Waited.Seconds(),
			metric.WithAttributes(t.receiver, attribute.String("class", e.Class.String())))
	}
}

// CloseIdleConnections lets a client close what it keeps open.
func (t *measuredTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// endpointOf names the part of the API, of which there are few.
func endpointOf(path string) string {
	for _, e := range []struct{ suffix, name string }{
		{"/v2/runs/query", "runs_v2"},
		{"/v1/runs/query", "runs_v1"},
		{"/runs/query/validate", "validate"},
		{"/sessions", "projects"},
		{"/info", "info"},
		{"/runs/stats", "stats"},
	} {
		if strings.HasSuffix(path, e.suffix) {
			return e.name
		}
	}
	return "other"
}

func outcomeOf(resp *http.Response, err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return strconv.Itoa(resp.StatusCode)
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "error"
}
