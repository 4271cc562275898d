package poller

import (
	"context"
	"time"
)

// backoff is how long to wait after the nth failure in a row.
type backoff struct {
	first, most time.Duration
	failures    int
}

// next is the wait before the next attempt: it doubles from first up to most, less up to half of it by chance,
// a number in [0,1), so that many projects do not come back at once. It is never shorter than atLeast.
func (b *backoff) next(atLeast time.Duration, chance float64) time.Duration {
	d := b.most
	if b.failures < 30 {
		d = min(b.first<<b.failures, b.most)
	}
	b.failures++
	d -= time.Duration(chance * float64(d) / 2)
	return max(d, min(atLeast, time.Hour))
}

func (b *backoff) reset() { b.failures = 0 }

// sleep waits, or returns false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
