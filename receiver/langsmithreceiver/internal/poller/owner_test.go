package poller

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestAFormerLeaderThatWakesUp lets a second poller take over while the first one hangs in the pipeline.
func TestAFormerLeaderThatWakesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		w := newWorld(t)
		w.log = zap.New(core)
		w.traffic(rand.New(rand.NewPCG(1, 1)), 300, time.Now().Add(-time.Hour), 2*time.Hour)
		s := w.settings()
		paused := make(chan struct{})
		former := &sink{ledger: newLedger()}
		former.before = func(int) error { <-paused; return nil }
		s.Consumer = former
		first, err := New(t.Context(), s)
		require.NoError(t, err)
		firstDone := make(chan struct{})
		go func() {
			defer close(firstDone)
			first.Run(context.Background())
		}()
		time.Sleep(time.Minute)
		assert.Empty(t, former.delivered)

		w.start()
		time.Sleep(time.Hour + 13370*time.Millisecond) // not when the new one stores something
		w.disk.mu.Lock()
		before := maps.Clone(w.disk.values)
		w.disk.mu.Unlock()
		delivered := w.delivered()
		assert.Greater(t, delivered, 150)

		close(paused)
		<-firstDone // by itself
		synctest.Wait()
		assert.Positive(t, len(former.delivered), "the batch in its hands")
		w.disk.mu.Lock()
		assert.Equal(t, before, w.disk.values, "it moved the checkpoint")
		w.disk.mu.Unlock()
		assert.Equal(t, componentstatus.StatusPermanentError, w.lastStatus())
		assert.Len(t, logs.FilterMessageSnippet("newer one").All(), 1)

		time.Sleep(5 * time.Hour)
		w.stop()
		w.check("former")
		assert.Zero(t, w.repeats())
	})
}

func TestOwnership(t *testing.T) {
	ctx := t.Context()
	c := &client{disk: &disk{values: map[string][]byte{}}, ledger: newLedger()}
	var a, b, late ownership
	require.NoError(t, a.candidate(ctx, c))
	require.NoError(t, late.candidate(ctx, c))
	require.NoError(t, a.check(ctx, c))
	require.NoError(t, a.check(ctx, c))
	require.ErrorIs(t, late.check(ctx, c), errSuperseded, "started at the same time and lost")

	require.NoError(t, b.candidate(ctx, c))
	require.NoError(t, a.check(ctx, c), "b has not taken over yet")
	require.NoError(t, b.check(ctx, c))
	require.ErrorIs(t, a.check(ctx, c), errSuperseded)
	assert.Equal(t, uint64(2), b.self.Term)

	delete(c.values, ownerKey)
	require.NoError(t, b.check(ctx, c), "somebody emptied the storage")
	require.ErrorIs(t, a.check(ctx, c), errSuperseded, "for good")
	c.values[ownerKey] = []byte("{")
	require.ErrorContains(t, b.check(ctx, c), `key "owner"`)
	assert.Equal(t, []string{ownerKey}, slices.Collect(maps.Keys(c.values)))
}
