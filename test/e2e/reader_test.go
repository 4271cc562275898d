package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver"
)

// A reader is a process that runs the langsmith receiver with extensions that the distribution does not have: a storage
// without locks and an elector, both served by the test. It is this test binary, started with readerEnv.
const readerEnv = "E2E_READER"

// readerSettings tell a reader where everything is.
type readerSettings struct {
	Name, LangSmith, Sink, Coordinator string
}

// runReader is the process. It ends at SIGTERM.
func runReader(encoded string) error {
	var s readerSettings
	if err := json.Unmarshal([]byte(encoded), &s); err != nil {
		return err
	}
	logger, err := zap.NewDevelopment()
	if err != nil {
		return err
	}
	settings := receivertest.NewNopSettings(component.MustNewType("langsmith"))
	settings.Logger = logger
	storageID, electorID := component.MustNewID("shared"), component.MustNewID("elector")
	factory := langsmithreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig().(*langsmithreceiver.Config)
	cfg.ClientConfig.Endpoint, cfg.APIKey = s.LangSmith, "lsv2_sk_e2e_secret"
	cfg.CollectionInterval, cfg.InitialLookback, cfg.Lookback = time.Second, 72*time.Hour, time.Minute
	cfg.StorageID, cfg.LeaderElector = &storageID, &electorID
	next, err := consumer.NewTraces(func(ctx context.Context, traces ptrace.Traces) error { return exportTo(ctx, s.Sink, traces) })
	if err != nil {
		return err
	}
	r, err := factory.CreateTraces(context.Background(), settings, cfg, next)
	if err != nil {
		return err
	}
	elector := &polledElector{url: s.Coordinator, name: s.Name}
	host := readerHost{storageID: &sharedStorage{url: s.Coordinator, name: s.Name}, electorID: elector}
	if err := r.Start(context.Background(), host); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	elector.run(ctx)
	return r.Shutdown(context.Background())
}

type readerHost map[component.ID]component.Component

func (h readerHost) GetExtensions() map[component.ID]component.Component { return h }

func exportTo(ctx context.Context, base string, traces ptrace.Traces) error {
	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	if err != nil {
		return err
	}
	_, err = send(ctx, base+"/v1/traces", "application/x-protobuf", body)
	return err
}

func send(ctx context.Context, to, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", to, resp.Status)
	}
	return answer, err
}

// polledElector asks the coordinator every second whether it leads.
type polledElector struct {
	component.StartFunc
	component.ShutdownFunc
	url, name string
	onStart   func(context.Context)
	onStop    func()
	end       context.CancelFunc // of the term, nil while there is none
}

// SetCallBackFuncs is what the receiver looks for.
func (e *polledElector) SetCallBackFuncs(onStart func(context.Context), onStop func()) {
	e.onStart, e.onStop = onStart, onStop
}

func (e *polledElector) run(ctx context.Context) {
	for tick := time.NewTicker(time.Second); ; {
		answer, err := send(ctx, e.url+"/lease?reader="+url.QueryEscape(e.name), "text/plain", nil)
		leads := err == nil && string(answer) == "yes"
		switch {
		case leads && e.end == nil:
			var term context.Context
			term, e.end = context.WithCancel(context.Background())
			e.onStart(term)
		case !leads && e.end != nil:
			e.end()
			e.onStop()
			e.end = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sharedStorage lends any number of clients of one storage, as a database does.
type sharedStorage struct {
	component.StartFunc
	component.ShutdownFunc
	url, name string
}

func (s *sharedStorage) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return sharedClient{s}, nil
}

type sharedClient struct{ *sharedStorage }

// wireOperation is an operation on its way to the coordinator and back.
type wireOperation struct {
	Type  storage.OpType
	Key   string
	Value []byte
}

func (c sharedClient) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func (c sharedClient) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c sharedClient) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c sharedClient) Batch(ctx context.Context, ops ...*storage.Operation) error {
	wire := make([]wireOperation, len(ops))
	for i, op := range ops {
		wire[i] = wireOperation{op.Type, op.Key, op.Value}
	}
	body, err := json.Marshal(wire)
	if err != nil {
		return err
	}
	answer, err := send(ctx, c.url+"/batch?reader="+url.QueryEscape(c.name), "application/json", body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &wire); err != nil {
		return err
	}
	for i, op := range ops {
		if op.Type == storage.Get {
			op.Value = wire[i].Value
		}
	}
	return nil
}

func (c sharedClient) Close(context.Context) error { return nil }

// readerMain runs a reader if this process is to be one.
func readerMain() {
	if encoded := os.Getenv(readerEnv); encoded != "" {
		if err := runReader(encoded); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}
