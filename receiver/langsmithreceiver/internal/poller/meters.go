package poller

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// Meters counts what a receiver does. It is safe for concurrent use.
type Meters struct {
	builder  *metadata.TelemetryBuilder
	receiver attribute.KeyValue
	plain    metric.MeasurementOption
	record   []metric.RecordOption // plain, made once since it is used for every run

	// read returns the state of the poller that runs, nil when there was none yet; see observe.
	read   atomic.Pointer[func() gauges]
	leader atomic.Int64

	mu    sync.Mutex
	named map[string]metric.MeasurementOption
}

// NewMeters counts under the id of a receiver.
func NewMeters(builder *metadata.TelemetryBuilder, receiverID string) *Meters {
	receiver := attribute.String("receiver", receiverID)
	plain := metric.WithAttributeSet(attribute.NewSet(receiver))
	return &Meters{
		builder:  builder,
		receiver: receiver,
		plain:    plain,
		record:   []metric.RecordOption{plain},
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

func (m *Meters) addFloatWith(counter metric.Float64Counter, v float64, key, value string) {
	if v > 0 {
		counter.Add(context.Background(), v, m.with(key, value))
	}
}

// delays notes how long ago runs ended. An end by a clock that is ahead of ours counts as now.
func (m *Meters) delays(ends []langsmith.Time, now langsmith.Time) {
	for _, end := range ends {
		m.builder.ReceiverLangsmithRunDelay.Record(context.Background(), max(time.Duration(now-end).Seconds(), 0), m.record...)
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

// Leading tells whether this collector is the one that reads.
func (m *Meters) Leading(leading bool) {
	if leading {
		m.leader.Store(1)
	} else {
		m.leader.Store(0)
	}
}

// observe registers the gauges, which are read until the builder is shut down. Of several pollers that use the same
// meters one after the other, the last one's state is told.
func (m *Meters) observe(state func() gauges) error {
	if m.read.Swap(&state) != nil {
		return nil
	}
	read := func() gauges { return (*m.read.Load())() }
	ints := func(value func(gauges) int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(value(read()), m.plain)
			return nil
		}
	}
	b := m.builder
	return errors.Join(
		b.RegisterReceiverLangsmithLagCallback(func(_ context.Context, o metric.Float64Observer) error {
			if g := read(); g.projects > 0 {
				o.Observe(g.lag, m.plain)
			}
			return nil
		}),
		b.RegisterReceiverLangsmithProjectLagCallback(func(_ context.Context, o metric.Float64Observer) error {
			for _, p := range read().lags {
				o.Observe(p.lag, m.with("project", p.name))
			}
			return nil
		}),
		b.RegisterReceiverLangsmithBudgetUsedCallback(func(_ context.Context, o metric.Float64Observer) error {
			for class, used := range read().used {
				o.Observe(used, m.with("class", langsmith.Class(class).String()))
			}
			return nil
		}),
		b.RegisterReceiverLangsmithCheckpointAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(read().checkpointAge, m.plain)
			return nil
		}),
		b.RegisterReceiverLangsmithLeaderCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(m.leader.Load(), m.plain)
			return nil
		}),
		b.RegisterReceiverLangsmithRunsPendingCallback(ints(func(g gauges) int64 { return g.pending })),
		b.RegisterReceiverLangsmithBacklogWindowsCallback(ints(func(g gauges) int64 { return g.windows })),
		b.RegisterReceiverLangsmithProjectsCallback(ints(func(g gauges) int64 { return g.projects })),
		b.RegisterReceiverLangsmithDeprecatedAPICallback(ints(func(g gauges) int64 { return g.deprecated })),
	)
}

// gauges is the state of a receiver at one moment.
type gauges struct {
	lag, checkpointAge                     float64 // seconds
	pending, windows, projects, deprecated int64
	lags                                   []projectLag // when projects are to be named
	used                                   []float64    // by class
}

type projectLag struct {
	name string
	lag  float64 // seconds
}
