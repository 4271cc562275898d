package langsmith

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	asked := time.Date(2026, 11, 24, 10, 0, 0, 5e8, time.UTC)
	came := asked.Add(2 * time.Second)
	answer := func(wrote time.Duration) http.Header {
		return http.Header{"Date": {asked.Add(wrote).Format(http.TimeFormat)}}
	}
	minute := answer(-time.Minute)
	cached := answer(-time.Hour)
	cached.Set("Age", "3600")
	for _, test := range []struct {
		name    string
		answers []http.Header
		want    time.Duration
	}{
		{"nothing known", nil, 0},
		{"no date", []http.Header{{}}, 0},
		{"no time", []http.Header{{"Date": {"yesterday"}}}, 0},
		{"the same", []http.Header{answer(0)}, 0},
		{"within the time of the answer", []http.Header{answer(2 * time.Second)}, 0},
		{"within the second of the header", []http.Header{answer(-400 * time.Millisecond)}, 0},
		{"ahead", []http.Header{minute}, 59*time.Second + 5e8},
		{"behind", []http.Header{answer(time.Minute)}, -57*time.Second - 5e8},
		{"from a cache", []http.Header{cached}, 0},
		{"the least counts", []http.Header{answer(-time.Hour), minute, answer(-time.Hour)}, 59*time.Second + 5e8},
		{"one that disagrees", []http.Header{minute, minute, answer(0)}, 0},
		{"one on the other side", []http.Header{minute, answer(time.Minute)}, 0},
		{"one that disagreed long ago", []http.Header{answer(0), minute, minute, minute, minute, minute}, 59*time.Second + 5e8},
		{"corrected", []http.Header{minute, minute, minute, minute, minute, answer(0)}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c clock
			for _, h := range test.answers {
				c.answered(h, asked, came)
			}
			assert.Equal(t, test.want, c.ahead())
		})
	}
}

func TestClockThatIsSet(t *testing.T) {
	assert.False(t, wasSet(time.Hour, time.Hour-clockStep/2), "a little slower")
	assert.True(t, wasSet(time.Hour, time.Minute), "set ahead")
	assert.True(t, wasSet(-time.Hour, time.Minute), "set back")
}

func TestClientComparesClocks(t *testing.T) {
	f := newFake(t, map[string]func(http.ResponseWriter, call){
		"GET /api/v1/info": func(w http.ResponseWriter, _ call) {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			jsonAnswer(w, http.StatusOK, `{"version":"0.17.0"}`)
		},
	})
	c := f.client(t, nil)
	assert.Zero(t, c.ClockAhead())
	_, err := c.info(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, time.Hour.Seconds(), c.ClockAhead().Seconds(), 60)
}
