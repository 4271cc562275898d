package poller

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// Meters counts what a receiver does. It is safe for concurrent use.
type Meters struct {
	builder  *metadata.TelemetryBuilder
	receiver attribute.KeyValue
	plain    metric.MeasurementOption

	mu    sync.Mutex
	named map[string]metric.MeasurementOption
}

// NewMeters counts under the id of a receiver.
func NewMeters(builder *metadata.TelemetryBuilder, receiverID string) *Meters {
	receiver := attribute.String("receiver", receiverID)
	return &Meters{
		builder:  builder,
		receiver: receiver,
		plain:    metric.WithAttributeSet(attribute.NewSet(receiver)),
		named:    map[string]metric.MeasurementOption{},
	}
}

func (m *Meters) add(counter metric.Int64Counter, n int) {
	if n > 0 {
		counter.Add(context.Background(), int64(n), m.plain)
	}
}

func (m *Meters) addWith(counter metric.Int64Counter, n int, key, value string) {
	if n > 0 {
		counter.Add(context.Background(), int64(n), m.with(key, value))
	}
}

// with keeps the attribute sets: they are few, and building one costs more than the count.
func (m *Meters) with(key, value string) metric.MeasurementOption {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := key + "\x00" + value
	option, ok := m.named[name]
	if !ok {
		option = metric.WithAttributeSet(attribute.NewSet(m.receiver, attribute.String(key, value)))
		m.named[name] = option
	}
	return option
}

// observe registers the gauges. They are read until the builder is shut down.
func (m *Meters) observe(read func() gauges) error {
	plain := metric.WithAttributeSet(attribute.NewSet(m.receiver))
	for _, register := range []error{
		m.builder.RegisterLangsmithReceiverLagCallback(func(_ context.Context, o metric.Float64Observer) error {
			if g := read(); g.projects > 0 {
				o.Observe(g.lag, plain)
			}
			return nil
		}),
		m.builder.RegisterLangsmithReceiverRunsPendingCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(read().pending, plain)
			return nil
		}),
		m.builder.RegisterLangsmithReceiverBacklogWindowsCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(read().windows, plain)
			return nil
		}),
		m.builder.RegisterLangsmithReceiverProjectsCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(read().projects, plain)
			return nil
		}),
		m.builder.RegisterLangsmithReceiverDeprecatedAPICallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(read().deprecated, plain)
			return nil
		}),
	} {
		if register != nil {
			return register
		}
	}
	return nil
}

// gauges is the state of a receiver at one moment.
type gauges struct {
	lag                                    float64 // seconds
	pending, windows, projects, deprecated int64
}
