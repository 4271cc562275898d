package langsmith

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"
)

// Class is a kind of request that LangSmith counts by itself.
type Class uint8

const (
	// ClassOther is any request. All classes count here too.
	ClassOther Class = iota
	// ClassRunsV1 is POST /api/v1/runs/query.
	ClassRunsV1
	// ClassRunsV2 is POST /api/v2/runs/query.
	ClassRunsV2

	classes
)

// window is what LangSmith counts requests over.
const window = 10 * time.Second

// ceilings is how many requests LangSmith Cloud allows within a window for one key, as published.
var ceilings = [classes]float64{ClassOther: 1000, ClassRunsV1: 10, ClassRunsV2: 300}

const (
	// planned is the share of a ceiling that we use, since others may use the same key.
	planned = 0.9
	// burst is the share of the plan that may go out at once.
	burst = 0.06
	// defaultPause is how long a 429 that does not say so stops its class.
	defaultPause = 10 * time.Second
	// recovery is the share of the plan that the rate regains each second after it was cut.
	recovery = 0.005
	// leastRate is the share of the plan that is never given up.
	leastRate = 0.02
)

// Budget bounds how many requests go out, so that the published limits are kept without running into them. It
// is shared by all that use one key, and safe for concurrent use.
type Budget struct {
	mu      sync.Mutex
	buckets [classes]bucket
}

// NewBudget makes a budget for the limits of an endpoint: LangSmith publishes limits for its own service. Other
// servers have none that are known, so all their classes begin with v2's limit and learn from there.
func NewBudget(endpoint string) *Budget {
	limits := ceilings
	if !isCloud(endpoint) {
		limits[ClassRunsV1] = ceilings[ClassRunsV2]
	}
	b := &Budget{}
	for i, n := range limits {
		b.buckets[i] = newBucket(n)
	}
	return b
}

// Wait returns when a request of the class may go out, or when ctx ends, and tells how long that took.
func (b *Budget) Wait(ctx context.Context, class Class) (time.Duration, error) {
	began := time.Now()
	for {
		now := time.Now()
		delay := b.take(class, now)
		if delay <= 0 {
			return now.Sub(began), ctx.Err()
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return time.Since(began), ctx.Err()
		case <-timer.C:
		}
	}
}

// take takes a request of the class, or tells when to try again.
func (b *Budget) take(class Class, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, own := &b.buckets[ClassOther], &b.buckets[class]
	delay := max(all.delay(now), own.delay(now))
	if delay <= 0 {
		own.tokens--
		if own != all {
			all.tokens--
		}
	}
	return delay
}

// Throttled tells that the server refused a request of the class with 429, and how long it asked to wait, zero
// when it did not. The class pauses, and goes on at half its rate.
func (b *Budget) Throttled(class Class, wait time.Duration) {
	if wait <= 0 {
		wait = defaultPause
	}
	// All that share a key would come back at once otherwise.
	wait += time.Duration(rand.Int64N(int64(wait)/10 + 1))
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buckets[class].cut(now, wait)
}

// Rate is how many requests of the class per second may go out at present, zero during a pause.
func (b *Budget) Rate(class Class) float64 {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := &b.buckets[class]
	bucket.refill(now)
	if now.Before(bucket.paused) {
		return 0
	}
	return bucket.rate
}

// bucket is one token bucket: what fits into it may go out at once, and it fills up at the rate.
type bucket struct {
	size   float64
	plan   float64 // requests per second when all is well
	rate   float64 // requests per second at present
	tokens float64
	filled time.Time
	paused time.Time // end of the pause
}

// newBucket plans for a limit of requests in a window. The bucket's size and what flows in during any window
// stay below it together.
func newBucket(limit float64) bucket {
	size := max(1, limit*planned*burst)
	plan := (limit*planned - size) / window.Seconds()
	return bucket{size: size, plan: plan, rate: plan, tokens: size}
}

func (k *bucket) refill(now time.Time) {
	if k.filled.IsZero() {
		k.filled = now
	}
	seconds := now.Sub(k.filled).Seconds()
	if seconds <= 0 {
		return
	}
	k.filled = now
	k.tokens = min(k.size, k.tokens+k.rate*seconds)
	k.rate = min(k.plan, k.rate+k.plan*recovery*seconds)
}

// delay is zero when a token is there.
func (k *bucket) delay(now time.Time) time.Duration {
	k.refill(now)
	if now.Before(k.paused) {
		return k.paused.Sub(now)
	}
	if k.tokens >= 1-1e-9 {
		return 0
	}
	return max(time.Duration((1-k.tokens)/k.rate*float64(time.Second)), time.Millisecond)
}

func (k *bucket) cut(now time.Time, wait time.Duration) {
	k.refill(now)
	// Requests that were on their way together are refused together: that is one cut.
	if !now.Before(k.paused) {
		k.rate = max(k.rate/2, k.plan*leastRate)
	}
	k.tokens = 0
	if end := now.Add(wait); end.After(k.paused) {
		k.paused = end
	}
	// Nothing flows in during the pause.
	k.filled = k.paused
}

var shared = struct {
	sync.Mutex
	budgets map[sharedKey]*sharedBudget
}{budgets: map[sharedKey]*sharedBudget{}}

type sharedKey struct{ endpoint, keyHash string }

type sharedBudget struct {
	budget *Budget
	users  int
}

// SharedBudget returns the budget that all users of an endpoint and key in this process share. Each call needs
// one [ReleaseBudget]. The endpoint is as [NormalizeEndpoint] returns it, the hash as [KeyHash] does.
func SharedBudget(endpoint, keyHash string) *Budget {
	shared.Lock()
	defer shared.Unlock()
	key := sharedKey{endpoint, keyHash}
	s := shared.budgets[key]
	if s == nil {
		s = &sharedBudget{budget: NewBudget(endpoint)}
		shared.budgets[key] = s
	}
	s.users++
	return s.budget
}

// ReleaseBudget gives back what [SharedBudget] returned. The last user's release forgets the budget.
func ReleaseBudget(b *Budget) {
	shared.Lock()
	defer shared.Unlock()
	for key, s := range shared.budgets {
		if s.budget == b {
			if s.users--; s.users == 0 {
				delete(shared.budgets, key)
			}
			return
		}
	}
}

// KeyHash stands for a key where the key itself must not.
func KeyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}
