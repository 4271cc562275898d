package llmmetricsconnector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// shell is what surrounds the engine: it brings the clock, the ticker and the log.
type shell struct {
	interval  time.Duration
	next      consumer.Metrics
	logger    *zap.Logger
	telemetry *telemetry
	metrics   *aggregation

	id      component.ID
	storage *component.ID // nil for none
	name    string        // of what is stored: one connector has a shell for each signal
	memory  kept
	keeper  *keeper // nil without a storage, and before Start
	close   sync.Once

	// before, if set, is called before each flush.
	before func(ctx context.Context, now pcommon.Timestamp, final bool)

	// Of the flushing goroutine, then of Shutdown.
	warned  bool
	failing bool

	refused      atomic.Bool // whether the last flush was
	storageFails atomic.Bool

	// totals is held by whatever must not run beside another of its kind: a flush of the engine, and that it was accepted,
	// and a save. The next component is not waited for under it.
	totals sync.Mutex

	stop     context.CancelFunc
	stopped  chan struct{}
	crowded  chan chan<- struct{} // asks for a flush, and to be told when it is over
	shutdown sync.Once
}

func newShell(set connector.Settings, cfg *Config, prices *genai.PriceTable, next consumer.Metrics) (*shell, error) {
	telemetry, err := newTelemetry(set, prices)
	if err != nil {
		return nil, err
	}
	engineConfig := cfg.engine()
	engineConfig.ScopeName, engineConfig.ScopeVersion = metadata.ScopeName, set.BuildInfo.Version
	return &shell{
		interval:  cfg.FlushInterval,
		next:      next,
		logger:    set.Logger,
		telemetry: telemetry,
		metrics:   newAggregation(cfg, engineConfig, now()),
		id:        set.ID,
		storage:   cfg.StorageID,
		crowded:   make(chan chan<- struct{}),
	}, nil
}

// tracesToMetrics measures spans.
type tracesToMetrics struct {
	*shell

	spans *spanReader
}

func newTracesToMetrics(set connector.Settings, cfg *Config, next consumer.Metrics) (*tracesToMetrics, error) {
	prices, err := genai.NewPriceTable(cfg.Prices)
	if err != nil {
		return nil, fmt.Errorf("prices::%w", err)
	}
	shell, err := newShell(set, cfg, prices, next)
	if err != nil {
		return nil, err
	}
	c := &tracesToMetrics{shell: shell, spans: newSpanReader(shell.metrics, cfg, prices)}
	shell.memory = &spanMemory{nesting: c.spans.nesting, suspects: c.spans.suspects, traces: c.spans.traces, dimensions: c.spans.dimensions.slots}
	if c.spans.traces == nil {
		return c, nil
	}
	shell.before = c.finish
	return c, nil
}

// finish counts the traces and threads that are complete.
func (c *tracesToMetrics) finish(ctx context.Context, now pcommon.Timestamp, final bool) {
	var ends ends
	err := c.noted(ctx, func(n *note) {
		// What is open is kept for the next start, where there is a storage.
		ends = c.spans.finishTraces(now, final && c.keeper == nil, n)
	})
	c.telemetry.traces(ctx, c.spans.traces, &ends)
	c.logStorage(err)
}

// logsToMetrics measures the results of evaluations.
type logsToMetrics struct {
	*shell

	events *eventReader
}

func newLogsToMetrics(set connector.Settings, cfg *Config, next consumer.Metrics) (*logsToMetrics, error) {
	shell, err := newShell(set, cfg, nil, next)
	if err != nil {
		return nil, err
	}
	c := &logsToMetrics{shell: shell, events: newEventReader(shell.metrics, cfg)}
	shell.name, shell.memory = "logs", &c.events.feedback
	return c, nil
}

var errWindows = errors.New("too many minutes wait for a component that refuses their metrics; try again later")

func now() pcommon.Timestamp { return pcommon.NewTimestampFromTime(time.Now()) }

// Capabilities tells that nothing is changed.
func (*shell) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// Start continues the totals of the storage and begins to flush.
func (c *shell) Start(ctx context.Context, host component.Host) error {
	if c.storage != nil {
		client, err := openStorage(ctx, host, c.id, *c.storage, c.name)
		if err != nil {
			return err
		}
		if err := c.keep(ctx, client); err != nil {
			return errors.Join(err, client.Close(ctx))
		}
	}
	c.run()
	return nil
}

// keep continues the totals of a storage and keeps them there from now on.
func (c *shell) keep(ctx context.Context, client storage.Client) error {
	k := newKeeper(client, c.memory)
	err := k.load(ctx, c.metrics.single, now())
	if errors.Is(err, llmmetrics.ErrOtherConfig) {
		c.logger.Warn("the saved totals are of another configuration and cannot be continued: totals begin at zero", zap.Error(err))
		c.metrics.single = llmmetrics.New(c.metrics.config, now())
		err = nil
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	if err := k.save(ctx, c.metrics.single); err != nil {
		return err
	}
	c.keeper = k
	return nil
}

// noted counts something and notes it in the storage, if there is one.
func (c *shell) noted(ctx context.Context, count func(*note)) error {
	if c.keeper == nil {
		count(nil)
		return nil
	}
	return c.keeper.count(ctx, count)
}

// Shutdown delivers what is left and saves the totals.
func (c *shell) Shutdown(ctx context.Context) error {
	err := c.halt(ctx)
	c.close.Do(func() {
		k := c.keeper
		if k == nil {
			return
		}
		// The deadline may have passed in the flush.
		save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err == nil { // else a flush may still be under way, and the notes hold everything
			err = k.save(save, c.metrics.single)
		}
		err = errors.Join(err, k.client.Close(save))
	})
	return err
}

// run begins to flush, and with a storage to save between flushes.
func (c *shell) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.stopped = make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { c.flushes(ctx) })
	if c.keeper != nil {
		running.Go(func() { c.saves(ctx) })
	}
	go func() {
		running.Wait()
		close(c.stopped)
	}()
}

// flushes flushes until it is stopped.
func (c *shell) flushes(ctx context.Context) {
	ticker := time.NewTicker(c.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.flush(ctx, false)
		case over := <-c.crowded:
			if c.metrics.full() { // another consumer may have asked for the same
				c.flush(ctx, false)
			}
			close(over)
		}
	}
}

// savePause is how long saves between flushes pause after one that failed.
const savePause = 5 * time.Second

// saves saves totals whenever notes are too large, until it is stopped, and again after a pause when that fails. Flushes cannot do it: much may come between two of
// them, and one that waits for the next component lasts.
func (c *shell) saves(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.keeper.crowded:
		}
		for c.saveFull(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(savePause):
			}
		}
	}
}

// saveFull saves totals, unless a flush has done so in between.
func (c *shell) saveFull(ctx context.Context) error {
	c.totals.Lock()
	defer c.totals.Unlock()
	if ctx.Err() != nil || !c.keeper.full() {
		return nil
	}
	err := c.keeper.save(ctx, c.metrics.single)
	if ctx.Err() == nil { // not when Shutdown broke it off
		c.logStorage(err)
	}
	return err
}

// room waits until there is room for more windows of event time, and reports an error when there is none because the next
// component refuses metrics.
func (c *shell) room(ctx context.Context) error {
	if !c.metrics.full() {
		return nil
	}
	if !c.refused.Load() {
		over := make(chan struct{})
		select {
		case c.crowded <- over:
			select {
			case <-over:
			case <-ctx.Done():
			}
		case <-c.stopped:
		case <-ctx.Done():
		}
	}
	if c.metrics.full() {
		return errWindows
	}
	return nil
}

// halt stops flushing and delivers what is left. A flush under way is broken off; the final one tells
// everything again.
func (c *shell) halt(ctx context.Context) (err error) {
	c.shutdown.Do(func() {
		defer c.telemetry.builder.Shutdown()
		if c.stop == nil {
			return
		}
		c.stop()
		select {
		case <-c.stopped:
			err = c.flush(ctx, true)
		case <-ctx.Done():
			err = ctx.Err()
		}
	})
	return err
}

// ConsumeLogs adds the results of evaluations to the series. It fails as ConsumeTraces does.
func (c *logsToMetrics) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	if err := c.room(ctx); err != nil {
		return err
	}
	var counts [eventOutcomes]int64
	err := c.noted(ctx, func(n *note) { counts = c.events.read(ld, now(), n) })
	c.telemetry.events(ctx, counts)
	c.logStorage(err)
	return err
}

// ConsumeTraces adds the spans to the series. What it cannot use is counted. It only fails when more windows of event
// time wait for a component that refuses them than it holds, or when the storage fails: what is counted then comes again, and is known.
// When the storage fails for long, nothing more is counted.
func (c *tracesToMetrics) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	if err := c.room(ctx); err != nil {
		return err
	}
	var counts counts
	err := c.noted(ctx, func(n *note) { counts = c.spans.read(td, now(), n) })
	c.telemetry.spans(ctx, &counts)
	c.logStorage(err)
	if err == nil && c.spans.traces.crowded() { // the next flush may be late: the one under way waits for the next component
		c.finish(ctx, now(), false)
	}
	return err
}

// flush delivers all series. When the next component refuses, the state stays, and the next flush tells it again.
func (c *shell) flush(ctx context.Context, final bool) error {
	begin := time.Now()
	if c.before != nil {
		c.before(ctx, pcommon.NewTimestampFromTime(begin), final)
	}
	md, stats := c.collect(ctx, pcommon.NewTimestampFromTime(begin), final)
	var err error
	if stats.Points > 0 {
		err = c.next.ConsumeMetrics(ctx, md)
	}
	if err == nil {
		c.accept()
	}
	c.refused.Store(err != nil)
	c.telemetry.flush(ctx, c.metrics, stats, time.Since(begin), err)
	c.logOverflow()
	if ctx.Err() == nil { // not when Shutdown broke it off
		c.logOutcome(err)
	}
	if err == nil && c.metrics.waiting(final) {
		return c.flush(ctx, final)
	}
	return err
}

// collect turns totals into metrics, and saves them if what the metrics tell must not be forgotten, or notes are many.
func (c *shell) collect(ctx context.Context, now pcommon.Timestamp, final bool) (pmetric.Metrics, llmmetrics.Stats) {
	c.totals.Lock()
	defer c.totals.Unlock()
	md, stats := c.metrics.flush(now, final)
	if k := c.keeper; k != nil && (stats.Born > 0 || k.due()) {
		c.logStorage(k.save(ctx, c.metrics.single)) // before anything is told of what was born
	}
	return md, stats
}

func (c *shell) accept() {
	c.totals.Lock()
	defer c.totals.Unlock()
	c.metrics.accept()
}

// logOverflow says once why series are missing, and which attribute is to blame.
func (c *shell) logOverflow() {
	if c.warned || c.metrics.overflows() == 0 {
		return
	}
	c.warned = true
	name, values := c.metrics.worstAttribute()
	c.logger.Warn("max_series is reached: spans of further series are counted in a series with the attribute "+
		llmmetrics.AttrOverflow+"; raise max_series or drop the attribute with the most values",
		zap.Int64("series", c.metrics.series()),
		zap.String("attribute", name),
		zap.Int("values", values))
}

// logStorage tells a change, not every failure.
func (c *shell) logStorage(err error) {
	switch failed := c.storageFails.Swap(err != nil); {
	case err != nil && !failed:
		c.logger.Warn("the storage refused totals; they are kept in memory and written with the next ones", zap.Error(err))
	case err == nil && failed:
		c.logger.Info("the storage takes totals again")
	}
}

// logOutcome tells a change, not every failure.
func (c *shell) logOutcome(err error) {
	switch {
	case err != nil && !c.failing:
		c.logger.Warn("the next component refused metrics; nothing is lost, the next flush tells it again", zap.Error(err))
	case err == nil && c.failing:
		c.logger.Info("metrics are accepted again")
	}
	c.failing = err != nil
}
