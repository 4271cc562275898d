package poller

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestSweepsWhileLiveWindowsFail checks that looks back do not follow one another without a pause while the live window
// cannot be read.
func TestSweepsWhileLiveWindowsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cursor.Interval = 3 * time.Minute
		w.steadily(1000)
		w.start()
		time.Sleep(30 * time.Minute)
		sweeps := 0
		w.server.set(func(s *server) {
			s.fault = func(q langsmith.RunQuery) (int, error) {
				if !q.Background {
					return -1, errors.New("does not answer")
				}
				if q.Fields&langsmith.FieldError == 0 {
					sweeps++
				}
				return 0, nil
			}
		})
		time.Sleep(time.Hour)
		w.server.set(func(s *server) { s.fault = nil })
		w.stop()
		assert.Less(t, sweeps, 60, "pages of a sweep every five minutes")
	})
}
