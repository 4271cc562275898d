package langsmithreceiver

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// testHost is a host with extensions that remembers the statuses reported to it.
type testHost struct {
	extensions map[component.ID]component.Component

	mu       sync.Mutex
	statuses []componentstatus.Status
}

func (h *testHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

func (h *testHost) Report(event *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses = append(h.statuses, event.Status())
}

func (h *testHost) last() componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.statuses) == 0 {
		return componentstatus.StatusNone
	}
	return h.statuses[len(h.statuses)-1]
}

// memoryStorage is a storage extension that outlives the receivers using it. It hands out one client at a time,
// as file_storage does.
type memoryStorage struct {
	component.StartFunc
	component.ShutdownFunc

	mu     sync.Mutex
	values map[string][]byte
	open   bool
	shared bool // several clients at a time, as a database has them
}

func (s *memoryStorage) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open && !s.shared {
		return nil, os.ErrExist
	}
	s.open = true
	return &memoryClient{s}, nil
}

type memoryClient struct{ *memoryStorage }

func (c *memoryClient) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func (c *memoryClient) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *memoryClient) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c *memoryClient) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = append([]byte(nil), c.values[op.Key]...)
			if len(op.Value) == 0 {
				op.Value = nil
			}
		case storage.Set:
			if c.values == nil {
				c.values = map[string][]byte{}
			}
			c.values[op.Key] = append([]byte(nil), op.Value...)
		case storage.Delete:
			delete(c.values, op.Key)
		}
	}
	return nil
}

func (c *memoryClient) Close(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = false
	return nil
}

func testConfig(server *fakeServer) *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.ClientConfig.Endpoint = server.URL + "/api/v1/"
	cfg.APIKey = configopaque.String(fakeKey)
	cfg.CollectionInterval = time.Second
	return cfg
}

func startReceiver(t *testing.T, cfg *Config, host component.Host, sink *consumertest.TracesSink) (receiver.Traces, *observer.ObservedLogs) {
	t.Helper()
	require.NoError(t, cfg.Validate())
	core, logs := observer.New(zap.DebugLevel)
	settings := receivertest.NewNopSettings(component.MustNewType("langsmith"))
	settings.Logger = zap.New(core)
	r, err := NewFactory().CreateTraces(t.Context(), settings, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), host))
	t.Cleanup(func() { assert.NoError(t, r.Shutdown(context.Background())) })
	return r, logs
}

func names(sink *consumertest.TracesSink) map[string]int {
	ids := map[string]int{}
	for _, traces := range sink.AllTraces() {
		for _, rs := range traces.ResourceSpans().All() {
			for _, span := range rs.ScopeSpans().At(0).Spans().All() {
				id, _ := span.Attributes().Get("langsmith.run.id")
				ids[id.Str()]++
			}
		}
	}
	return ids
}

func TestPullsRuns(t *testing.T) {
	server := newFakeServer(t)
	now := time.Now()
	want := map[string]int{}
	for i := range 25 {
		start := now.Add(-time.Duration(i) * 2 * time.Minute).Truncate(time.Microsecond)
		server.add(fakeRun{fakeID(i), start, start.Add(time.Second), 12})
		want[fakeID(i)] = 1
	}
	server.add(fakeRun{fakeID(100), now.Add(-time.Minute), time.Time{}, 0})
	server.add(fakeRun{fakeID(101), now.Add(-2 * time.Hour), now, 5}) // before initial_lookback
	server.set(func(s *fakeServer) { s.pageSize = 4 })

	sink := &consumertest.TracesSink{}
	host := &testHost{extensions: map[component.ID]component.Component{}}
	storageID := component.MustNewID("memory")
	host.extensions[storageID] = &memoryStorage{}
	cfg := testConfig(server)
	cfg.StorageID = &storageID
	r, logs := startReceiver(t, cfg, host, sink)

	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, names(sink)) }, 10*time.Second, 20*time.Millisecond)
	resource := sink.AllTraces()[0].ResourceSpans().At(0).Resource().Attributes().AsRaw()
	assert.Equal(t, "shop/assistant", resource["service.name"])
	assert.Equal(t, fakeProject, resource["langsmith.project.id"])
	assert.Equal(t, componentstatus.StatusOK, host.last())

	// The pending run ends and goes out; what went out does not come again, not even after a restart.
	server.set(func(s *fakeServer) { s.runs[25].end, s.runs[25].tokens = time.Now(), 7 })
	want[fakeID(100)] = 1
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, names(sink)) }, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	require.NoError(t, r.Shutdown(t.Context()))

	again := &consumertest.TracesSink{}
	later := time.Now()
	server.add(fakeRun{fakeID(200), later, later, 3})
	startReceiver(t, cfg, host, again)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, map[string]int{fakeID(200): 1}, names(again))
	}, 10*time.Second, 20*time.Millisecond)

	for _, entry := range logs.All() {
		assert.NotContains(t, entry.Message+contextOf(entry), fakeKey)
		assert.Less(t, entry.Level, zap.WarnLevel, entry.Message+contextOf(entry))
	}
}

func contextOf(entry observer.LoggedEntry) string {
	text := ""
	for _, f := range entry.Context {
		text += " " + f.Key + "=" + f.String
		if err, ok := f.Interface.(error); ok {
			text += err.Error()
		}
	}
	return text
}

func TestWrongKeyIsToldOnce(t *testing.T) {
	server := newFakeServer(t)
	cfg := testConfig(server)
	cfg.APIKey = "lsv2_pt_wrong"
	host := &testHost{}
	_, logs := startReceiver(t, cfg, host, &consumertest.TracesSink{})
	require.Eventually(t, func() bool { return host.last() == componentstatus.StatusPermanentError }, 10*time.Second, 10*time.Millisecond)
	entries := logs.FilterLevelExact(zap.ErrorLevel).All()
	require.Len(t, entries, 1)
	assert.Contains(t, entries[0].Message, "api_key")
	assert.NotContains(t, contextOf(entries[0]), "lsv2_pt_wrong")
}

func TestKeyFileIsReadAgain(t *testing.T) {
	server := newFakeServer(t)
	now := time.Now()
	server.add(fakeRun{fakeID(1), now.Add(-time.Minute), now, 3})
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte("lsv2_pt_old\n"), 0o600))
	cfg := testConfig(server)
	cfg.APIKey, cfg.APIKeyFile = "", path
	host, sink := &testHost{}, &consumertest.TracesSink{}
	startReceiver(t, cfg, host, sink)
	require.Eventually(t, func() bool { return host.last() == componentstatus.StatusRecoverableError }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, os.WriteFile(path, []byte(fakeKey+"\n"), 0o600))
	require.Eventually(t, func() bool { return sink.SpanCount() == 1 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, componentstatus.StatusOK, host.last())
}

func TestShutdownWhileTheServerHangs(t *testing.T) {
	server := newFakeServer(t)
	hang := make(chan struct{})
	defer close(hang)
	server.set(func(s *fakeServer) { s.hang = hang })
	r, _ := startReceiver(t, testConfig(server), &testHost{}, &consumertest.TracesSink{})
	time.Sleep(20 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, r.Shutdown(ctx))
}

func TestStorageErrorsFailTheStart(t *testing.T) {
	server := newFakeServer(t)
	id := component.MustNewID("memory")
	notStorage := struct {
		component.StartFunc
		component.ShutdownFunc
	}{}
	for name, tt := range map[string]struct {
		extensions map[component.ID]component.Component
		want       string
	}{
		"missing":     {nil, `storage: there is no extension "memory": define it under extensions and list it in service::extensions`},
		"no storage":  {map[component.ID]component.Component{id: notStorage}, `storage: extension "memory" does not store anything: use one such as file_storage`},
		"in use":      {map[component.ID]component.Component{id: &memoryStorage{open: true}}, `storage: cannot open extension "memory": file already exists`},
		"unreadable":  {map[component.ID]component.Component{id: &memoryStorage{values: map[string][]byte{"checkpoint": []byte("{")}}}, `storage: stored checkpoint is unreadable: key "checkpoint" (memory): restore it from a backup, or move the storage away to start anew by start_time or initial_lookback`},
		"from future": {map[component.ID]component.Component{id: &memoryStorage{values: map[string][]byte{"checkpoint": []byte(`{"version":99}`)}}}, `storage: stored checkpoint was written by a newer version (memory): run that version again, or move the storage away to start anew by start_time or initial_lookback`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(server)
			cfg.StorageID = &id
			r, err := NewFactory().CreateTraces(t.Context(), receivertest.NewNopSettings(component.MustNewType("langsmith")), cfg, &consumertest.TracesSink{})
			require.NoError(t, err)
			require.EqualError(t, r.Start(t.Context(), &testHost{extensions: tt.extensions}), tt.want)
			require.NoError(t, r.Shutdown(t.Context()))
			if s, ok := tt.extensions[id].(*memoryStorage); ok && name != "in use" {
				assert.False(t, s.open, "the client was not closed")
			}
		})
	}
}

func TestTelemetry(t *testing.T) {
	server := newFakeServer(t)
	now := time.Now()
	server.add(fakeRun{fakeID(1), now.Add(-time.Minute), now, 3})
	telemetry := componenttest.NewTelemetry()
	defer func() { require.NoError(t, telemetry.Shutdown(context.Background())) }()
	settings := receivertest.NewNopSettings(component.MustNewType("langsmith"))
	settings.TelemetrySettings = telemetry.NewTelemetrySettings()
	sink := &consumertest.TracesSink{}
	cfg := testConfig(server)
	cfg.Telemetry.ProjectLabel = true
	r, err := NewFactory().CreateTraces(t.Context(), settings, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &testHost{}))
	require.Eventually(t, func() bool { return sink.SpanCount() == 1 }, 10*time.Second, 10*time.Millisecond)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for _, name := range []string{
			"otelcol_receiver_accepted_spans", "otelcol_receiver_langsmith_runs_fetched", "otelcol_receiver_langsmith_runs_emitted",
			"otelcol_receiver_langsmith_api_requests", "otelcol_receiver_langsmith_api_request_duration",
			"otelcol_receiver_langsmith_lag", "otelcol_receiver_langsmith_projects", "otelcol_receiver_langsmith_budget_used",
			"otelcol_receiver_langsmith_checkpoint_age",
		} {
			_, err := telemetry.GetMetric(name)
			assert.NoError(c, err)
		}
	}, 10*time.Second, 10*time.Millisecond)
	for name, label := range map[string]attribute.KeyValue{
		"leader": attribute.String("receiver", settings.ID.String()), "project_lag": attribute.String("project", "shop/assistant"),
	} {
		m, err := telemetry.GetMetric("otelcol_receiver_langsmith_" + name)
		require.NoError(t, err)
		switch data := m.Data.(type) {
		case metricdata.Gauge[int64]:
			require.Len(t, data.DataPoints, 1)
			assert.EqualValues(t, 1, data.DataPoints[0].Value)
			assert.True(t, hasLabel(data.DataPoints[0].Attributes, label))
		case metricdata.Gauge[float64]:
			require.Len(t, data.DataPoints, 1)
			assert.Less(t, data.DataPoints[0].Value, 60.0*61)
			assert.True(t, hasLabel(data.DataPoints[0].Attributes, label))
		}
	}
	require.NoError(t, r.Shutdown(t.Context()))
}

func TestAServerThatDoesNotAnswerIsATimeout(t *testing.T) {
	server := newFakeServer(t)
	hang := make(chan struct{})
	defer close(hang)
	server.set(func(s *fakeServer) { s.hang = hang })
	telemetry := componenttest.NewTelemetry()
	defer func() { require.NoError(t, telemetry.Shutdown(context.Background())) }()
	settings := receivertest.NewNopSettings(component.MustNewType("langsmith"))
	settings.TelemetrySettings = telemetry.NewTelemetrySettings()
	core, logs := observer.New(zap.WarnLevel)
	settings.Logger = zap.New(core)
	cfg := testConfig(server)
	cfg.ClientConfig.Timeout = 50 * time.Millisecond
	r, err := NewFactory().CreateTraces(t.Context(), settings, cfg, &consumertest.TracesSink{})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &testHost{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NotZero(c, logs.FilterMessageSnippet("LangSmith does not answer").Len())
		m, err := telemetry.GetMetric("otelcol_receiver_langsmith_api_requests")
		require.NoError(c, err)
		for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
			assert.True(c, hasLabel(point.Attributes, attribute.String("outcome", "timeout")), "%v", point.Attributes)
		}
	}, 10*time.Second, 10*time.Millisecond)
	assert.Contains(t, contextOf(logs.FilterMessageSnippet("LangSmith does not answer").All()[0]), "timeout: nothing came from the server for 50ms")
	require.NoError(t, r.Shutdown(t.Context()))
}

// TestAnEndpointThatIsWrongIsNamed checks that the one line in the log says which key to look at.
func TestAnEndpointThatIsWrongIsNamed(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	page := func(status int) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html><body>hello</body></html>"))
		}))
		t.Cleanup(server.Close)
		return server
	}
	for name, tt := range map[string]struct {
		server *httptest.Server
		want   string
	}{
		"nobody there":   {closed, "LangSmith does not answer: check endpoint (%s), DNS, tls and proxy_url; trying again"},
		"another server": {page(http.StatusNotFound), "the answer is not one of LangSmith's API: check endpoint (%s), and what stands between; trying again"},
		"a page for any": {page(http.StatusOK), "the answer is not one of LangSmith's API: check endpoint (%s), and what stands between; trying again"},
		"a proxy":        {page(http.StatusForbidden), "the answer is not one of LangSmith's API: check endpoint (%s), and what stands between; trying again"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(&fakeServer{Server: tt.server})
			_, logs := startReceiver(t, cfg, &testHost{}, &consumertest.TracesSink{})
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.NotZero(c, logs.FilterMessage(fmt.Sprintf(tt.want, cfg.ClientConfig.Endpoint)).Len(), "%v", logs.All())
			}, 10*time.Second, 10*time.Millisecond)
		})
	}
}

// TestTheFilterThatLangSmithRefusesIsNamed has two filters, of which the server knows one.
func TestTheFilterThatLangSmithRefusesIsNamed(t *testing.T) {
	server := newFakeServer(t)
	server.refused = "nonsense"
	cfg := testConfig(server)
	cfg.Filter, cfg.TreeFilter = `eq(run_type, "llm")`, `eq(nonsense, "x")`
	_, logs := startReceiver(t, cfg, &testHost{}, &consumertest.TracesSink{})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NotZero(c, logs.FilterMessageSnippet(`tree_filter: LangSmith refuses "eq(nonsense, \"x\")": correct it and restart`).Len(), "%v", logs.All())
	}, 10*time.Second, 10*time.Millisecond)
	assert.Zero(t, logs.FilterMessageSnippet(`filter: LangSmith refuses "eq(run_type`).Len())
	require.Eventually(t, func() bool { server.mu.Lock(); defer server.mu.Unlock(); return server.refusals > 2 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, 2, logs.FilterLevelExact(zap.WarnLevel).Len()+logs.FilterLevelExact(zap.ErrorLevel).Len(),
		"the filter, and that there is no storage, but not every project: %v", logs.All())
}

// TestAStartThatIsConfiguredTwiceIsAWarning checks that the one without effect is named.
func TestAStartThatIsConfiguredTwiceIsAWarning(t *testing.T) {
	for _, tt := range []struct {
		values map[string]any
		lines  int
	}{
		{map[string]any{"start_time": "2026-01-02T03:04:05Z", "initial_lookback": "2h"}, 1},
		{map[string]any{"start_time": "2026-01-02T03:04:05Z"}, 0},
		{map[string]any{"start_time": "", "initial_lookback": "2h"}, 0},
	} {
		cfg := testConfig(newFakeServer(t))
		require.NoError(t, confmap.NewFromStringMap(tt.values).Unmarshal(cfg))
		_, logs := startReceiver(t, cfg, &testHost{}, &consumertest.TracesSink{})
		assert.Equal(t, tt.lines, logs.FilterMessageSnippet("initial_lookback: has no effect beside start_time").Len(), "%v", tt.values)
	}
}

// TestAProjectThatDoesNotExistIsAWarning checks that it comes once.
func TestAProjectThatDoesNotExistIsAWarning(t *testing.T) {
	server := newFakeServer(t)
	cfg := testConfig(server)
	cfg.Projects.Include = []string{"shop/*", "no-such-project"}
	_, logs := startReceiver(t, cfg, &testHost{}, &consumertest.TracesSink{})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		warnings := logs.FilterLevelExact(zap.WarnLevel).FilterMessageSnippet("projects.include").All()
		require.Len(c, warnings, 1)
		assert.Equal(c, []any{"no-such-project"}, warnings[0].ContextMap()["projects"])
	}, 10*time.Second, 10*time.Millisecond)
}

// TestTimeoutsOfAnyTransport checks that a timeout is told from other cancellations even if the transport does not.
func TestTimeoutsOfAnyTransport(t *testing.T) {
	for outcome, cause := range map[string]error{"timeout": context.DeadlineExceeded, "canceled": nil} {
		telemetry := componenttest.NewTelemetry()
		builder, err := metadata.NewTelemetryBuilder(telemetry.NewTelemetrySettings())
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/info", nil)
		require.NoError(t, err)
		_, err = newMeasuredTransport(deadTransport{}, builder, "langsmith").RoundTrip(req)
		require.ErrorIs(t, err, context.Canceled)
		m, err := telemetry.GetMetric("otelcol_receiver_langsmith_api_requests")
		require.NoError(t, err)
		assert.True(t, hasLabel(m.Data.(metricdata.Sum[int64]).DataPoints[0].Attributes, attribute.String("outcome", outcome)))
		require.NoError(t, telemetry.Shutdown(context.Background()))
	}
}

type deadTransport struct{}

func (deadTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return nil, req.Context().Err()
}

func hasLabel(set attribute.Set, label attribute.KeyValue) bool {
	value, ok := set.Value(label.Key)
	return ok && value == label.Value
}

func TestEndpointOf(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v2/runs/query": "runs_v2", "/prefix/api/v1/runs/query": "runs_v1", "/api/v1/runs/query/validate": "validate",
		"/api/v1/sessions": "projects", "/info": "info", "/api/v1/runs/stats": "stats", "/api/v1/feedback": "other",
	} {
		assert.Equal(t, want, endpointOf(path))
	}
	assert.Equal(t, "429", outcomeOf(&http.Response{StatusCode: 429}, nil))
	assert.Equal(t, "canceled", outcomeOf(nil, context.Canceled))
	assert.Equal(t, "timeout", outcomeOf(nil, context.DeadlineExceeded))
	assert.Equal(t, "error", outcomeOf(nil, os.ErrClosed))
}
