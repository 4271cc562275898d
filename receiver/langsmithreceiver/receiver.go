package langsmithreceiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/poller"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

// tracesReceiver is the shell around a poller: it lends it what the collector's host has.
type tracesReceiver struct {
	settings receiver.Settings
	cfg      *Config
	next     consumer.Traces

	mu     sync.Mutex
	cancel context.CancelFunc // nil unless running
	done   chan struct{}
}

func newTracesReceiver(settings receiver.Settings, cfg *Config, next consumer.Traces) *tracesReceiver {
	return &tracesReceiver{settings: settings, cfg: cfg, next: next}
}

// Start fails for what only a new configuration can heal. It does not wait for LangSmith.
func (r *tracesReceiver) Start(ctx context.Context, host component.Host) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		return errors.New("receiver is running already")
	}
	var undo cleanup
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run())
		}
	}()
	elector, err := findElector(host, r.cfg.LeaderElector)
	if err != nil {
		return err
	}
	store, err := findStorage(host, r.settings.ID, r.cfg.StorageID)
	if err != nil {
		return err
	}
	builder, err := metadata.NewTelemetryBuilder(r.settings.TelemetrySettings)
	if err != nil {
		return err
	}
	undo.add(func() error { builder.Shutdown(); return nil })
	httpClient, err := r.cfg.ClientConfig.ToClient(ctx, host.GetExtensions(), r.settings.TelemetrySettings)
	if err != nil {
		return err
	}
	measured := newMeasuredTransport(httpClient.Transport, builder, r.settings.ID.String())
	httpClient.Transport = measured
	source, budgets, err := r.newClient(httpClient, measured.exchanged)
	if err != nil {
		return err
	}
	undo.add(func() error { budgets.release(); httpClient.CloseIdleConnections(); return nil })
	settings, err := r.pollerSettings(host)
	if err != nil {
		return err
	}
	settings.Source, settings.Budget, settings.Ahead = source, budgets.current, source.ClockAhead
	settings.Meters = poller.NewMeters(builder, r.settings.ID.String())

	var run func(context.Context)
	if elector == nil {
		client, err := store.open(ctx)
		if err != nil {
			return err
		}
		undo.add(func() error { return closeStorage(client) })
		settings.Storage = client
		p, err := poller.New(ctx, settings)
		if err != nil {
			return err
		}
		settings.Meters.Leading(true)
		run = p.Run
	} else {
		run = newLeadership(elector, store.open, settings).run
	}
	r.warn(store != nil)
	var running context.Context
	running, r.cancel = context.WithCancel(context.Background())
	done := make(chan struct{})
	r.done = done
	go func() {
		defer close(done)
		run(running)
		if err := undo.run(); err != nil {
			r.settings.Logger.Warn("closing the storage failed", zap.Error(err))
		}
	}()
	return nil
}

// warn tells what a restart or another leader will cost, and what is configured without effect.
func (r *tracesReceiver) warn(stored bool) {
	if r.cfg.twoStarts {
		r.settings.Logger.Warn("initial_lookback: has no effect beside start_time, which takes precedence: remove one of them",
			zap.Duration("initial_lookback", r.cfg.InitialLookback), zap.String("start_time", r.cfg.StartTime))
	}
	switch {
	case stored:
	case r.cfg.LeaderElector != nil:
		r.settings.Logger.Warn("leader_elector is set and storage is not: each new leader begins with initial_lookback (or start_time), " +
			"which repeats runs, and misses runs that are older; set storage to a storage extension that all collectors share")
	default:
		r.settings.Logger.Warn("no storage is set: a restart reads initial_lookback again (or everything since start_time), " +
			"which repeats runs, and misses runs that are older; set storage to a storage extension")
	}
}

// cleanup undoes what a start did, the last first.
type cleanup []func() error

func (c *cleanup) add(undo func() error) { *c = append(*c, undo) }

func (c *cleanup) run() error {
	var errs []error
	for _, undo := range slices.Backward(*c) {
		errs = append(errs, undo())
	}
	*c = nil
	return errors.Join(errs...)
}

// Shutdown stops reading, and stores how far it came.
func (r *tracesReceiver) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	cancel, done := r.cancel, r.done
	r.cancel = nil
	r.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading did not stop in time: %w", ctx.Err())
	}
}

// pollerSettings is what the configuration says. What a start opens is missing.
func (r *tracesReceiver) pollerSettings(host component.Host) (poller.Settings, error) {
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: r.settings.ID, Transport: "http", LongLivedCtx: true, ReceiverCreateSettings: r.settings,
	})
	if err != nil {
		return poller.Settings{}, err
	}
	cfg := r.cfg
	selection, err := poller.NewSelection(cfg.Projects.Include, cfg.Projects.Exclude)
	if err != nil {
		return poller.Settings{}, err
	}
	capture, err := parseCapture(cfg.CaptureContent)
	if err != nil {
		return poller.Settings{}, err
	}
	globs, err := translate.NewGlobSet(cfg.CaptureMetadata)
	if err != nil {
		return poller.Settings{}, err
	}
	start, err := parseStartTime(cfg.StartTime)
	if err != nil {
		return poller.Settings{}, err
	}
	version, err := parseAPIVersion(cfg.APIVersion)
	if err != nil {
		return poller.Settings{}, err
	}
	storageID := ""
	if cfg.StorageID != nil {
		storageID = cfg.StorageID.String()
	}
	return poller.Settings{
		Consumer:  reporting{Traces: r.next, report: report},
		StorageID: storageID,
		Translate: translate.Settings{
			Capture: capture, Metadata: globs, ResponseDetails: cfg.ResponseDetails, UIBase: langsmith.UIBase(cfg.ClientConfig.Endpoint),
		},
		Logger:      r.settings.Logger,
		Status:      func(event *componentstatus.Event) { componentstatus.ReportStatus(host, event) },
		Selection:   selection,
		Experiments: cfg.Projects.Experiments,
		Filter:      cfg.Filter,
		TraceFilter: cfg.TraceFilter,
		TreeFilter:  cfg.TreeFilter,
		Cursor: cursor.Config{
			Interval: cfg.CollectionInterval, Lookback: cfg.Lookback, Settle: cfg.SettleDelay, PendingTimeout: cfg.PendingTimeout,
			EmitUpdates: cfg.OnUpdate == "emit", Reconcile: cfg.Reconcile.Enabled,
		},
		InitialLookback: cfg.InitialLookback,
		StartTime:       langsmith.TimeOf(start),
		Fingerprint:     cfg.fingerprint(),
		Origin:          cfg.origin(),
		Endpoint:        cfg.ClientConfig.Endpoint,
		APIVersion:      version,
		KeyCanChange:    cfg.APIKeyFile != "",
		ProjectLabel:    cfg.Telemetry.ProjectLabel,
		Shard:           poller.Shard{Index: cfg.Shard.Index, Total: cfg.Shard.Total},
	}, nil
}

// newClient returns a client and the request budget that it shares with others, which is to be released.
func (r *tracesReceiver) newClient(httpClient *http.Client, exchanged func(langsmith.Exchange)) (*langsmith.Client, *keyBudget, error) {
	key, err := r.key()
	if err != nil {
		return nil, nil, err
	}
	version, err := parseAPIVersion(r.cfg.APIVersion)
	if err != nil {
		return nil, nil, err
	}
	endpoint, err := langsmith.NormalizeEndpoint(r.cfg.ClientConfig.Endpoint)
	if err != nil {
		return nil, nil, err
	}
	budget := newKeyBudget(endpoint, r.cfg.Shard.Total, key())
	client, err := langsmith.NewClient(langsmith.ClientConfig{
		Endpoint:    r.cfg.ClientConfig.Endpoint,
		APIKey:      key,
		WorkspaceID: r.cfg.WorkspaceID,
		HTTP:        httpClient,
		APIVersion:  version,
		BudgetOf:    budget.of,
		OnExchange:  exchanged,
		UserAgent:   r.settings.BuildInfo.Command + "/" + r.settings.BuildInfo.Version,
	})
	if err != nil {
		budget.release()
		return nil, nil, err
	}
	return client, budget, nil
}

// key returns how to get the key for a request. The function is safe for concurrent use.
func (r *tracesReceiver) key() (func() string, error) {
	if r.cfg.APIKeyFile == "" {
		key := string(r.cfg.APIKey)
		return func() string { return key }, nil
	}
	file := &keyFile{path: r.cfg.APIKeyFile}
	if _, err := file.read(); err != nil {
		return nil, fmt.Errorf("api_key_file: cannot read the key: %w", err)
	}
	var mu sync.Mutex
	failing := false
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		key, err := file.read()
		if err != nil && !failing {
			r.settings.Logger.Warn("api_key_file cannot be read; using the key from before", zap.Error(err))
		}
		failing = err != nil
		return key
	}, nil
}

// fingerprint stands for what decides which runs are read.
func (c *Config) fingerprint() string {
	return digest(c.origin(), c.Filter, c.TraceFilter, c.TreeFilter)
}

// origin stands for the place whose runs are read. Other spellings of an endpoint are the same place.
func (c *Config) origin() string {
	endpoint, err := langsmith.NormalizeEndpoint(c.ClientConfig.Endpoint)
	if err != nil { // refused elsewhere
		endpoint = c.ClientConfig.Endpoint
	}
	return digest(endpoint, strings.ToLower(c.WorkspaceID))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// checkpointStorage is where the receiver keeps its checkpoint. A nil one keeps none.
type checkpointStorage struct {
	extension storage.Extension
	id        component.ID
	receiver  component.ID
}

// findStorage returns nil when none is configured.
func findStorage(host component.Host, receiverID component.ID, id *component.ID) (*checkpointStorage, error) {
	if id == nil {
		return nil, nil
	}
	extension, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("storage: there is no extension %q: define it under extensions and list it in service::extensions", id)
	}
	s, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: extension %q does not store anything: use one such as file_storage", id)
	}
	return &checkpointStorage{extension: s, id: *id, receiver: receiverID}, nil
}

// open returns a client that is to be closed. An extension may lend one at a time, also to other collectors.
func (s *checkpointStorage) open(ctx context.Context) (storage.Client, error) {
	if s == nil {
		return nil, nil
	}
	client, err := s.extension.GetClient(ctx, component.KindReceiver, s.receiver, "")
	if err != nil {
		return nil, fmt.Errorf("storage: cannot open extension %q: %w", s.id, err)
	}
	return client, nil
}

func closeStorage(client storage.Client) error {
	if client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return client.Close(ctx)
}

// reporting counts what the pipeline accepts and refuses, as every receiver does.
type reporting struct {
	consumer.Traces
	report *receiverhelper.ObsReport
}

func (r reporting) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	n := traces.SpanCount()
	ctx = r.report.StartTracesOp(ctx)
	err := r.Traces.ConsumeTraces(ctx, traces)
	r.report.EndTracesOp(ctx, "langsmith", n, err)
	return err
}
