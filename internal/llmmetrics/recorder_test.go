package llmmetrics

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithdrawnObservationsLeaveNoTrace(t *testing.T) {
	e := New(testConfig(), at(0))
	r := e.Recorder()
	r.SetResource(service("bot"))
	var kept []Observation
	for i := range 3 * commitSize { // more than Record would leave staged
		o := call("model-" + strconv.Itoa(i%7))
		if n := r.Stage(&o); i%3 == 0 || i%7 == 5 {
			require.Equal(t, i, n)
			r.Withdraw(n)
		} else {
			kept = append(kept, o)
		}
	}
	r.Commit()
	o := call("model-0")
	require.Zero(t, r.Stage(&o), "numbers begin anew")
	kept = append(kept, o)
	r.Release()
	assert.Equal(t, int64(6), e.Series())
	md, _ := e.Flush(at(time.Second), false)
	got := totals{}
	got.add(md)
	requireTotals(t, expected(kept), got, false)
}

// TestRoomGoesToTheFirst holds that who finds room does not depend on hashes.
func TestRoomGoesToTheFirst(t *testing.T) {
	cfg := testConfig()
	cfg.MaxSeries = 5
	e := New(cfg, at(0))
	r := e.Recorder()
	r.SetResource(service("bot"))
	for i := range 50 {
		o := call("model-" + strconv.Itoa(i))
		r.Stage(&o)
	}
	r.Release()
	require.Equal(t, int64(45), e.Overflowed())
	_, _ = e.Flush(at(time.Second), false)
	found := map[string]bool{}
	for _, s := range e.flusher.order {
		if !s.overflow() {
			labels := s.labels()
			_, labels = nextLabel(labels) // operation
			_, labels = nextLabel(labels) // provider
			model, _ := nextLabel(labels)
			found[model] = true
		}
	}
	assert.Equal(t, map[string]bool{"model-0": true, "model-1": true, "model-2": true, "model-3": true, "model-4": true}, found)
}
