package llmmetricsconnector

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// tracesToMetrics is the shell around the engine: it brings the clock, the ticker and the log.
type tracesToMetrics struct {
	interval  time.Duration
	next      consumer.Metrics
	logger    *zap.Logger
	telemetry *telemetry
	engine    *llmmetrics.Engine
	spans     *spanReader

	// Of the flushing goroutine, then of Shutdown.
	warned  bool
	failing bool

	stop     context.CancelFunc
	stopped  chan struct{}
	shutdown sync.Once
}

func newTracesToMetrics(set connector.Settings, cfg *Config, next consumer.Metrics) (*tracesToMetrics, error) {
	telemetry, err := newTelemetry(set)
	if err != nil {
		return nil, err
	}
	engineConfig := cfg.engine()
	engineConfig.ScopeName, engineConfig.ScopeVersion = metadata.ScopeName, set.BuildInfo.Version
	engine := llmmetrics.New(engineConfig, now())
	return &tracesToMetrics{
		interval:  cfg.FlushInterval,
		next:      next,
		logger:    set.Logger,
		telemetry: telemetry,
		engine:    engine,
		spans:     newSpanReader(engine, cfg.Dimensions),
	}, nil
}

func now() pcommon.Timestamp { return pcommon.NewTimestampFromTime(time.Now()) }

// Capabilities implements consumer.Traces.
func (*tracesToMetrics) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// Start begins to flush.
func (c *tracesToMetrics) Start(context.Context, component.Host) error {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.stopped = make(chan struct{})
	go func() {
		defer close(c.stopped)
		ticker := time.NewTicker(c.interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				c.flush(ctx, false)
			}
		}
	}()
	return nil
}

// Shutdown stops flushing and delivers what is left. A flush under way is broken off; the final one tells
// everything again.
func (c *tracesToMetrics) Shutdown(ctx context.Context) (err error) {
	c.shutdown.Do(func() {
		if c.stop != nil {
			c.stop()
			select {
			case <-c.stopped:
			case <-ctx.Done():
				err = ctx.Err()
				return
			}
			err = c.flush(ctx, true)
		}
		c.telemetry.builder.Shutdown()
	})
	return err
}

// ConsumeTraces adds the spans to the series. It never fails: what it cannot use is counted.
func (c *tracesToMetrics) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	c.telemetry.spans(ctx, c.spans.read(td))
	return nil
}

// flush delivers all series. When the next component refuses, the state stays, and the next flush tells it again.
func (c *tracesToMetrics) flush(ctx context.Context, final bool) error {
	begin := time.Now()
	md, stats := c.engine.Flush(pcommon.NewTimestampFromTime(begin), final)
	var err error
	if stats.Points > 0 {
		err = c.next.ConsumeMetrics(ctx, md)
	}
	if err == nil {
		c.engine.Accept()
	}
	c.telemetry.flush(ctx, c.engine, stats, time.Since(begin), err)
	c.logOverflow()
	if ctx.Err() == nil { // not when Shutdown broke it off
		c.logOutcome(err)
	}
	return err
}

// logOverflow says once why series are missing, and which attribute is to blame.
func (c *tracesToMetrics) logOverflow() {
	if c.warned || c.engine.Overflowed() == 0 {
		return
	}
	c.warned = true
	name, values := c.engine.WorstAttribute()
	c.logger.Warn("max_series is reached: spans of further series are counted in a series with the attribute "+
		llmmetrics.AttrOverflow+"; raise max_series or drop the attribute with the most values",
		zap.Int64("series", c.engine.Series()),
		zap.String("attribute", name),
		zap.Int("values", values))
}

// logOutcome tells a change, not every failure.
func (c *tracesToMetrics) logOutcome(err error) {
	switch {
	case err != nil && !c.failing:
		c.logger.Warn("the next component refused metrics; nothing is lost, the next flush tells it again", zap.Error(err))
	case err == nil && c.failing:
		c.logger.Info("metrics are accepted again")
	}
	c.failing = err != nil
}
