package langsmithreceiver

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/poller"
)

// election is an extension that calls back as k8s_leader_elector does: with its lock held.
type election struct {
	component.StartFunc
	component.ShutdownFunc

	mu      sync.Mutex
	leading bool // from the beginning
	onStart func(context.Context)
	onStop  func()
	end     context.CancelFunc
}

func (e *election) SetCallBackFuncs(onStart func(context.Context), onStop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onStart, e.onStop = onStart, onStop
	if e.leading {
		onStart(context.Background())
	}
}

func (e *election) ready() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.onStart != nil
}

func (e *election) win() {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ctx context.Context
	ctx, e.end = context.WithCancel(context.Background())
	e.onStart(ctx)
}

func (e *election) lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.end != nil {
		e.end()
	}
	e.onStop()
}

// TestFailover moves the leadership between two collectors that share a storage, while runs keep coming.
func TestFailover(t *testing.T) {
	server := newFakeServer(t)
	store := &memoryStorage{} // one client at a time: the leader of the moment has it
	storageID, electorID := component.MustNewID("memory"), component.MustNewID("election")
	want := map[string]int{}
	n := 0
	add := func() {
		n++
		now := time.Now()
		server.add(fakeRun{fakeID(n), now, now, 3})
		want[fakeID(n)] = 1
	}
	var elections []*election
	var sinks []*consumertest.TracesSink
	for range 2 {
		e, sink := &election{}, &consumertest.TracesSink{}
		host := &testHost{extensions: map[component.ID]component.Component{storageID: store, electorID: e}}
		cfg := testConfig(server)
		cfg.StorageID, cfg.LeaderElector = &storageID, &electorID
		startReceiver(t, cfg, host, sink)
		require.Eventually(t, e.ready, 5*time.Second, time.Millisecond)
		elections, sinks = append(elections, e), append(sinks, sink)
	}
	elections[1].lose() // without having won
	add()
	time.Sleep(50 * time.Millisecond)
	assert.Zero(t, sinks[0].SpanCount()+sinks[1].SpanCount(), "nobody leads")

	got := func() map[string]int {
		all := names(sinks[0])
		for id, n := range names(sinks[1]) {
			all[id] += n
		}
		return all
	}
	for round := range 4 {
		leader := elections[round%2]
		leader.win()
		add()
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, got()) }, 10*time.Second, 5*time.Millisecond)
		before := sinks[1-round%2].SpanCount()
		leader.lose()
		add()
		assert.Equal(t, before, sinks[1-round%2].SpanCount())
	}

	// A start that comes after the end of its term does nothing.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	before := maps.Clone(got())
	elections[0].onStart(ended)
	time.Sleep(20 * time.Millisecond)
	assert.Equal(t, before, got())
}

func TestLeaderFromTheBeginning(t *testing.T) {
	server := newFakeServer(t)
	now := time.Now()
	server.add(fakeRun{fakeID(1), now.Add(-time.Minute), now, 3})
	electorID := component.MustNewID("election")
	e, sink := &election{leading: true}, &consumertest.TracesSink{}
	cfg := testConfig(server)
	cfg.LeaderElector = &electorID
	r, logs := startReceiver(t, cfg, &testHost{extensions: map[component.ID]component.Component{electorID: e}}, sink)
	require.Eventually(t, func() bool { return sink.SpanCount() == 1 }, 10*time.Second, 5*time.Millisecond)
	assert.Len(t, logs.FilterLevelExact(zap.WarnLevel).FilterMessageSnippet("all collectors share").All(), 1)
	require.NoError(t, r.Shutdown(t.Context()))
	e.win() // the callbacks stay registered
	e.lose()
}

// idleSource is a LangSmith without projects.
type idleSource struct{}

func (idleSource) Detect(context.Context) (langsmith.Server, error) {
	return langsmith.Server{API: langsmith.VersionV2}, nil
}

func (idleSource) Projects(context.Context, langsmith.ProjectQuery) ([]langsmith.Project, error) {
	return nil, nil
}

func (idleSource) QueryRuns(context.Context, langsmith.RunQuery, func(*langsmith.Run) error) (langsmith.Page, error) {
	return langsmith.Page{}, nil
}

func (idleSource) CountRuns(context.Context, langsmith.CountQuery) (int64, error) { return 0, nil }

func (idleSource) SumUsage(context.Context, langsmith.CountQuery) (langsmith.UsageSum, error) {
	return langsmith.UsageSum{}, nil
}

func (idleSource) ValidateFilters(context.Context, langsmith.UUID, string, string, string) error {
	return nil
}

// candidate takes part in an election, on a storage.
func candidate(t *testing.T, store *memoryStorage) (*election, *testHost, *observer.ObservedLogs, func()) {
	core, logs := observer.New(zap.InfoLevel)
	builder, err := metadata.NewTelemetryBuilder(componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	all, err := poller.NewSelection([]string{"*"}, nil)
	require.NoError(t, err)
	id, host, e := component.MustNewID("memory"), &testHost{}, &election{}
	found := &checkpointStorage{extension: store, id: id}
	l := newLeadership(e, found.open, poller.Settings{
		Source: idleSource{}, Consumer: &consumertest.TracesSink{}, StorageID: "memory", Meters: poller.NewMeters(builder, "langsmith"), Logger: zap.New(core),
		Status: host.Report, Selection: all, Cursor: cursor.Config{Interval: time.Second},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx)
	}()
	synctest.Wait()
	return e, host, logs, func() { cancel(); <-done }
}

// TestALeaderWaitsForTheStorage begins a term while a former leader, which is paused, still has the storage.
func TestALeaderWaitsForTheStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStorage{open: true}
		e, host, logs, stop := candidate(t, store)
		defer stop()
		e.win()
		time.Sleep(10 * time.Minute)
		waiting := logs.FilterMessageSnippet("cannot use the checkpoint").All()
		require.Len(t, waiting, 1, "one line, however long it takes")
		assert.Equal(t, `storage: cannot open extension "memory": file already exists`, waiting[0].ContextMap()["error"])
		assert.Equal(t, componentstatus.StatusRecoverableError, host.last())

		require.NoError(t, (&memoryClient{store}).Close(t.Context()))
		time.Sleep(termRetry)
		synctest.Wait()
		assert.Len(t, logs.FilterMessageSnippet("reads LangSmith now").All(), 1)
		assert.Equal(t, componentstatus.StatusOK, host.last())
		e.lose()
		assert.False(t, store.open, "the next leader can have it")

		store.open = true
		e.win()
		e.lose()
		assert.Equal(t, componentstatus.StatusOK, host.last(), "who does not lead has no problem")
	})
}

// TestALeaderComesBack lets a collector that leads no more take over the storage: who leads takes it back.
func TestALeaderComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStorage{shared: true}
		former, _, _, stopFormer := candidate(t, store)
		defer stopFormer()
		leader, host, logs, stop := candidate(t, store)
		defer stop()
		leader.win()
		time.Sleep(time.Minute)
		former.win() // late: it was paused when it read this
		time.Sleep(supersededRetry / 2)
		former.lose()
		time.Sleep(5 * time.Minute) // it looks once a minute while it reads nothing
		synctest.Wait()
		assert.Len(t, logs.FilterMessageSnippet("a newer one uses the same storage").All(), 1)
		assert.Equal(t, componentstatus.StatusOK, host.last())
		reads := logs.FilterMessageSnippet("reads LangSmith now").Len()
		assert.GreaterOrEqual(t, reads, 2)
		time.Sleep(time.Hour)
		assert.Equal(t, reads, logs.FilterMessageSnippet("reads LangSmith now").Len(), "it stays the one that reads")
	})
}

func TestElectorErrorsFailTheStart(t *testing.T) {
	id := component.MustNewID("election")
	for want, extensions := range map[string]map[component.ID]component.Component{
		`leader_elector: there is no extension "election": define it under extensions and list it in service::extensions`: nil,
		`leader_elector: extension "election" does not elect leaders: use one such as k8s_leader_elector`:                 {id: &memoryStorage{}},
	} {
		cfg := testConfig(newFakeServer(t))
		cfg.LeaderElector = &id
		r, err := NewFactory().CreateTraces(t.Context(), receivertest.NewNopSettings(component.MustNewType("langsmith")), cfg, &consumertest.TracesSink{})
		require.NoError(t, err)
		require.EqualError(t, r.Start(t.Context(), &testHost{extensions: extensions}), want)
		require.NoError(t, r.Shutdown(t.Context()))
	}
}
