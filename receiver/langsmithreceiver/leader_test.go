package langsmithreceiver

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
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
	store := &memoryStorage{shared: true}
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
