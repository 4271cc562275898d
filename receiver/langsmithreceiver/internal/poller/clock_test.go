package poller

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestAClockThatIsAhead has a clock that is wrong, which the first answer tells, or much later something else does, if it is
// no more than a look back finds anyway. A run is visible when it starts by the clock of LangSmith.
func TestAClockThatIsAhead(t *testing.T) {
	for _, ahead := range []time.Duration{10 * time.Minute, 40 * time.Minute, 30 * time.Hour} {
		for _, told := range []time.Duration{time.Millisecond, 10 * time.Minute} {
			if told > time.Second && ahead > 15*time.Minute { // by then what started meanwhile is done with
				continue
			}
			for _, outage := range []bool{false, true} {
				t.Run(fmt.Sprint(ahead, " ", told, " ", outage), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						core, logs := observer.New(zap.WarnLevel)
						w := newWorld(t)
						w.log = zap.New(core)
						w.cursor.Reconcile = true
						begun := time.Now()
						w.ahead = func() time.Duration {
							if time.Since(begun) < told {
								return 0
							}
							return ahead
						}
						w.lookback += ahead // which is by the wrong clock
						for n := range 600 {
							start := begun.Add(-ahead).Add(time.Duration(n-60) * time.Minute / 2)
							visible := start.Add(ahead)
							w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: visible, ends: visible, priced: visible})
						}
						w.start()
						time.Sleep(2 * time.Hour)
						w.kill()
						if outage { // which leaves a gap
							time.Sleep(20 * time.Minute)
						}
						w.start()
						time.Sleep(4 * time.Hour)
						if ahead > clockTolerance {
							assert.Equal(t, componentstatus.StatusRecoverableError, w.lastStatus())
							assert.Positive(t, logs.FilterMessageSnippet("clock is ahead").Len())
						} else {
							assert.Equal(t, componentstatus.StatusOK, w.lastStatus())
						}
						w.stop()
						assert.Equal(t, 600, w.delivered())
						assert.LessOrEqual(t, w.repeats(), 5)
					})
				})
			}
		}
	}
}

// TestAClockThatJumps has a clock that jumps ahead while a collector runs, which the next answer tells.
func TestAClockThatJumps(t *testing.T) {
	for _, ahead := range []time.Duration{40 * time.Minute, 30 * time.Hour} {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprint(ahead, " ", back), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cursor.Reconcile = true
					jump := time.Now().Add(time.Hour)
					for n := range 600 {
						start := time.Now().Add(time.Duration(n-60) * time.Minute / 2)
						visible := start
						if start.After(jump) {
							visible = start.Add(ahead)
						}
						w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: visible, ends: visible, priced: visible})
					}
					w.start()
					time.Sleep(time.Until(jump))
					w.stop()
					time.Sleep(ahead) // which nobody experiences
					var told atomic.Bool
					w.server.fault = func(langsmith.RunQuery) (int, error) {
						told.Store(true)
						return 0, nil
					}
					w.ahead = func() time.Duration {
						if told.Load() {
							return ahead
						}
						return 0
					}
					w.start()
					time.Sleep(time.Hour)
					if back { // the checkpoint is of the time to come
						w.stop()
						w.start()
					}
					time.Sleep(5 * time.Hour)
					w.stop()
					w.check("jump")
					assert.LessOrEqual(t, w.repeats(), 5)
				})
			})
		}
	}
}

// TestAClockThatIsBehind checks that this is told, and that nothing but time is lost.
func TestAClockThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		w := newWorld(t)
		w.log = zap.New(core)
		w.ahead = func() time.Duration { return -20 * time.Minute }
		for n := range 100 {
			start := time.Now().Add(time.Duration(n-30) * time.Minute)
			visible := start.Add(-20 * time.Minute)
			w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: visible, ends: visible, priced: visible})
		}
		w.start()
		time.Sleep(2 * time.Hour)
		assert.Equal(t, componentstatus.StatusRecoverableError, w.lastStatus())
		assert.Positive(t, logs.FilterMessageSnippet("clock is behind").Len())
		w.stop()
		w.check("behind")
		assert.Zero(t, w.repeats())
	})
}
