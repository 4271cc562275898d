package poller

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
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
		var status []componentstatus.Status // of the former alone: it may notice while the new one begins
		s.Status = func(e *componentstatus.Event) { status = append(status, e.Status()) }
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
		assert.Equal(t, componentstatus.StatusPermanentError, status[len(status)-1])
		assert.Len(t, logs.FilterMessageSnippet("newer one").All(), 1)

		time.Sleep(5 * time.Hour)
		w.stop()
		w.check("former")
		assert.Zero(t, w.repeats())
	})
}

// TestTheEndIsTold has a poller notice its end while its status is being reported: the last word is the end.
func TestTheEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.settings()
		slow, report := make(chan struct{}), s.Status
		s.Status = func(e *componentstatus.Event) {
			<-slow
			report(e)
		}
		p, err := New(t.Context(), s)
		require.NoError(t, err)
		go p.health.resolved("api", "works")
		synctest.Wait()
		go func() { _ = p.noticed(errSuperseded) }()
		go func() {
			<-p.over
			p.health.silence()
		}()
		synctest.Wait()
		close(slow)
		synctest.Wait()
		assert.Equal(t, componentstatus.StatusPermanentError, w.lastStatus())
	})
}

func TestOwnership(t *testing.T) {
	ctx := t.Context()
	c := &client{disk: &disk{values: map[string][]byte{}}, ledger: newLedger()}
	candidate := func() *ownership {
		o := &ownership{}
		require.NoError(t, o.candidate(ctx, c))
		return o
	}
	confirm := func(o *ownership) error { return o.confirm(c.values[ownerKey]) }
	a, late := candidate(), candidate()
	require.NoError(t, a.claim(ctx, c))
	require.NoError(t, a.claim(ctx, c))
	require.NoError(t, confirm(a))
	require.ErrorIs(t, late.claim(ctx, c), errSuperseded, "started at the same time and lost")
	require.NoError(t, confirm(a))

	b := candidate()
	require.NoError(t, confirm(a), "b has not taken over yet")
	require.NoError(t, b.claim(ctx, c))
	require.ErrorIs(t, confirm(a), errSuperseded)
	require.ErrorIs(t, a.claim(ctx, c), errSuperseded, "for good")
	assert.Equal(t, uint64(2), b.self.Term)
	assert.NotEqual(t, a.space, b.space)

	// A claim that was read before b's and written after it.
	stale, err := json.Marshal(owner{Term: 2, Writer: "stale", Space: "2-stale/"})
	require.NoError(t, err)
	c.values[ownerKey] = stale
	require.ErrorIs(t, confirm(b), errDisowned)
	require.NoError(t, b.claim(ctx, c), "b goes on")
	assert.Equal(t, uint64(3), b.self.Term)
	require.NoError(t, confirm(b))
	current, err := decodeOwner(c.values[ownerKey])
	require.NoError(t, err)
	assert.Equal(t, b.space, current.Space, "what b has stored counts still")

	delete(c.values, ownerKey)
	require.ErrorIs(t, confirm(b), errDisowned, "somebody emptied the storage")
	require.NoError(t, b.claim(ctx, c))
	_, losses, _ := b.state()
	assert.Equal(t, 2, losses)
	c.values[ownerKey] = []byte("{")
	require.ErrorContains(t, confirm(b), `key "owner"`)
	assert.Equal(t, []string{ownerKey}, slices.Collect(maps.Keys(c.values)))
}

// TestALateClaimDuringATakeover has the claim of another candidate arrive before the new owner has stored anything, and
// the new owner end there: the state that both began with still counts.
func TestALateClaimDuringATakeover(t *testing.T) {
	ctx := t.Context()
	c := &client{disk: &disk{values: map[string][]byte{}}, ledger: newLedger()}
	candidate := func() *ownership {
		o := &ownership{}
		require.NoError(t, o.candidate(ctx, c))
		return o
	}
	a := candidate()
	require.NoError(t, a.claim(ctx, c))
	c.values[a.space+headerKey] = []byte("state of a")
	b, late := candidate(), candidate()
	require.NoError(t, b.claim(ctx, c))
	claim, err := json.Marshal(late.self)
	require.NoError(t, err)
	c.values[ownerKey] = claim
	require.NoError(t, b.claim(ctx, c), "b goes on")

	next := candidate()
	assert.Equal(t, a.space, next.from)
	assert.Equal(t, []string{b.space, late.space, a.space}, next.former, "one of them may store its state yet")
	assert.True(t, next.self.Continues)
}

// TestOwnersWithoutAState lets many terms end before they have stored anything: what they leave does not grow.
func TestOwnersWithoutAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		term := func() error {
			p, err := New(t.Context(), w.settings())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p.Run(ctx)
			return nil
		}
		for range 20 {
			require.NoError(t, term())
		}
		assert.Less(t, len(w.disk.values[ownerKey]), 100, "LangSmith cannot be read")

		w.traffic(rand.New(rand.NewPCG(1, 1)), 100, time.Now().Add(-time.Hour), time.Hour)
		w.start()
		time.Sleep(10 * time.Minute)
		w.stop()
		require.Len(t, w.disk.spaces(), 1)
		project := projectKey(w.disk.spaces()[0]+"/", projectID(1))
		require.Contains(t, w.disk.values, project)
		good := w.disk.values[project]
		w.disk.values[project] = []byte("{")
		for range 20 {
			require.ErrorContains(t, term(), "restore it from a backup")
		}
		assert.Less(t, len(w.disk.values[ownerKey]), 150, "the checkpoint is damaged")

		w.disk.values[project] = good
		w.start()
		time.Sleep(5 * time.Hour)
		w.stop()
		w.check("restored")
		assert.Zero(t, w.repeats())
		assert.Len(t, w.disk.spaces(), 1)
	})
}

// spaces are the spaces that hold something.
func (d *disk) spaces() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[string]bool{}
	for key := range d.values {
		if space, _, ok := strings.Cut(key, "/"); ok {
			found[space] = true
		}
	}
	return slices.Collect(maps.Keys(found))
}

// TestAWriteOfAFormerLeaderIsLate holds a write of a poller back until another one has gone on for long.
func TestAWriteOfAFormerLeaderIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.traffic(rand.New(rand.NewPCG(1, 1)), 300, time.Now().Add(-time.Hour), 4*time.Hour)
		w.start()
		time.Sleep(20 * time.Minute)
		stopFormer, held := w.stop, make(chan struct{})
		w.client.holdWrite(held)
		time.Sleep(time.Minute)
		w.sink.crashed() // what it delivered and could not store may come again

		w.start()
		time.Sleep(2*time.Hour + 13370*time.Millisecond) // not when the new one stores something
		w.disk.mu.Lock()
		before := maps.Clone(w.disk.values)
		w.disk.mu.Unlock()
		close(held)
		synctest.Wait()
		stopFormer() // it has stopped by itself
		w.disk.mu.Lock()
		late := 0
		for key, value := range w.disk.values {
			if _, known := before[key]; !known {
				late++
				continue
			}
			assert.Equal(t, before[key], value, key)
		}
		w.disk.mu.Unlock()
		assert.Positive(t, late, "the late write is there")
		w.stop()

		w.start()
		time.Sleep(5 * time.Hour)
		w.stop()
		w.check("late write")
	})
}

// TestTheStorageIsReset empties the storage of a running poller, resets it to an older state, and writes the claim of
// another one into it that is late: all that counts is stored again.
func TestTheStorageIsReset(t *testing.T) {
	for name, reset := range map[string]func(values, older map[string][]byte){
		"emptied": func(values, _ map[string][]byte) { clear(values) },
		"older": func(values, older map[string][]byte) {
			clear(values)
			maps.Copy(values, older)
		},
		"late claim": func(values, _ map[string][]byte) {
			values[ownerKey] = []byte(`{"term":2,"writer":"late","space":"2-late/"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.traffic(rand.New(rand.NewPCG(1, 1)), 300, time.Now().Add(-time.Hour), 4*time.Hour)
				w.start()
				time.Sleep(20 * time.Minute)
				w.disk.mu.Lock()
				older := maps.Clone(w.disk.values)
				w.disk.mu.Unlock()
				w.stop()
				w.start()
				time.Sleep(20 * time.Minute)
				w.disk.mu.Lock()
				reset(w.disk.values, older)
				w.disk.mu.Unlock()
				time.Sleep(2 * time.Minute)
				assert.Zero(t, w.kill())

				w.start()
				time.Sleep(5 * time.Hour)
				w.stop()
				w.check(name)
				assert.Zero(t, w.repeats())
			})
		})
	}
}

// TestATakeoverBreaksOff kills a poller after each write of its takeover. The one after it goes on from the state that
// counts, and what former ones stored is gone in the end.
func TestATakeoverBreaksOff(t *testing.T) {
	for last := 1; ; last++ {
		breaks := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(2), Name: "two"})
			w.traffic(rand.New(rand.NewPCG(1, 1)), 300, time.Now().Add(-time.Hour), 2*time.Hour)
			w.start()
			time.Sleep(20 * time.Minute)
			w.stop()
			writes := 0
			w.startWith(func(c *client) {
				c.wrote = func() {
					if writes++; writes == last {
						breaks, c.frozen = true, true
					}
				}
			})
			synctest.Wait() // it has not read anything yet
			w.kill()
			w.start()
			time.Sleep(5 * time.Hour)
			w.stop()
			w.check(last)
			assert.Zero(t, w.repeats())
			assert.Len(t, w.disk.spaces(), 1)
		})
		if !breaks || t.Failed() {
			assert.Greater(t, last, 5)
			return
		}
	}
}
