package langsmith

import (
	"net/http"
	"sync"
	"time"
)

// clockSamples is how many answers in a row have to tell that the clocks differ: one server of many may have a wrong one.
const clockSamples = 5

// clock compares this machine's clock with the server's. It is safe for concurrent use.
type clock struct {
	mu      sync.Mutex
	samples [clockSamples]time.Duration // the last ones
	n       int                         // so many there are
	came    time.Time                   // when the last one came
}

// clockStep is how far this machine's clock has to be set for the samples of before to say nothing any more.
const clockStep = time.Second

// answered takes the time that an answer was written at, by the server's clock, between the times it was asked for and
// came, by this machine's.
func (c *clock) answered(header http.Header, asked, came time.Time) {
	if header.Get("Age") != "" { // a cache wrote that long ago
		return
	}
	wrote, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if wasSet(came.Round(0).Sub(c.came.Round(0)), came.Sub(c.came)) {
		c.n = 0
	}
	c.came = came
	c.samples[c.n%clockSamples] = ahead(wrote, asked, came)
	c.n++
}

// wasSet reports whether a clock was set meanwhile, from the time that passed by it and by the monotonic clock.
func wasSet(passed, monotonic time.Duration) bool { return (passed - monotonic).Abs() > clockStep }

// ahead is how far at least the clock that asked and came are of is ahead of the one that wrote is of, negative when it
// is behind, and zero when the two may be the same.
func ahead(wrote, asked, came time.Time) time.Duration {
	// Round takes the monotonic clock off, which does not follow corrections; the header is cut to seconds.
	asked, came = asked.Round(0), came.Round(0)
	if d := asked.Sub(wrote.Add(time.Second)); d > 0 {
		return d
	}
	return min(came.Sub(wrote), 0)
}

// ahead is the least that the last answers tell, zero if they do not agree.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var least time.Duration
	for i, d := range c.samples[:min(c.n, clockSamples)] {
		switch {
		case d == 0 || i > 0 && (d < 0) != (least < 0):
			return 0
		case i == 0 || d.Abs() < least.Abs():
			least = d
		}
	}
	return least
}

// ClockAhead is how far this machine's clock is ahead of the server's, negative when it is behind. It is what answers
// prove, about a second less than the truth; zero before the first one, and while they do not agree.
func (c *Client) ClockAhead() time.Duration { return c.clock.ahead() }
