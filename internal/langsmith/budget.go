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
	// ClassStats is POST /api/v1/runs/stats.
	ClassStats

	classes
)

// Classes are all classes.
var Classes = [...]Class{ClassOther, ClassRunsV1, ClassRunsV2, ClassStats}

// String names the class: all, runs_v1, runs_v2 or stats.
func (c Class) String() string {
	return [...]string{"all", "runs_v1", "runs_v2", "stats"}[c]
}

// window is what LangSmith counts requests over.
const window = 10 * time.Second

// ceilings is how many requests LangSmith Cloud allows within a window for one key, as published. That of the
// statistics is the one of the USA, which is the lowest; what is published for the EU is statsEU, and nothing for other
// regions.
var ceilings = [classes]float64{ClassOther: 1000, ClassRunsV1: 10, ClassRunsV2: 300, ClassStats: 1}

const statsEU = 20

// ceiling is the limit of a class at an endpoint of LangSmith Cloud.
func ceiling(endpoint string, class Class) float64 {
	if class == ClassStats && region(endpoint) == "eu" {
		return statsEU
	}
	return ceilings[class]
}

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

	// unpublished stands for the limit of a server that publishes none. It does not bind: the time that answers
	// take does, and what the server refuses.
	unpublished = 10000
	// unpublishedLeast is leastRate there, in requests a second. unpublishedRecovery and unpublishedGrowth are what the
	// rate regains each second, whichever is more: a number of requests a second, and a share of the rate. What the
	// server bears can only be found out by trying, and a refusal may have had other reasons.
	unpublishedLeast    = 0.2
	unpublishedRecovery = 1
	unpublishedGrowth   = 0.15
	// strainInterval is how long failures count together, leastStrain how many of them, and strainShare which share
	// of the requests, are a sign that the server is overloaded.
	strainInterval = 5 * time.Second
	leastStrain    = 4
	strainShare    = 0.2

	// turnOfBackground is after how many requests of others one in the background has its turn.
	turnOfBackground = 5
)

// Budget bounds how many requests go out, so that the published limits are kept without running into them. It
// is shared by all that use one key, and safe for concurrent use.
type Budget struct {
	mu      sync.Mutex
	buckets [classes]bucket
}

// NewBudget makes a budget for the limits of an endpoint: LangSmith publishes limits for its own service. Other
// servers have none that are known: there only refusals bind, and tell what the server bears.
func NewBudget(endpoint string) *Budget { return newBudget(endpoint, 1) }

// newBudget is a share of a budget of which there are as many in other processes.
func newBudget(endpoint string, shares int) *Budget {
	b := &Budget{}
	for i, class := range Classes {
		if !isCloud(endpoint) {
			b.buckets[i] = newBucket(unpublished)
			b.buckets[i].learns = true
			continue
		}
		b.buckets[i] = newBucket(ceiling(endpoint, class) / float64(max(shares, 1)))
	}
	return b
}

// Wait returns when a request of the class may go out, or when ctx ends, and tells how long that took.
func (b *Budget) Wait(ctx context.Context, class Class) (time.Duration, error) {
	return b.wait(ctx, class, false)
}

// WaitInBackground is like [Budget.Wait], but gives way to those that call Wait: while any of them is waiting, only
// every fifth request is one in the background.
func (b *Budget) WaitInBackground(ctx context.Context, class Class) (time.Duration, error) {
	return b.wait(ctx, class, true)
}

func (b *Budget) wait(ctx context.Context, class Class, background bool) (time.Duration, error) {
	began := time.Now()
	queued := false
	for {
		now := time.Now()
		delay := b.take(class, background, now)
		if delay <= 0 || ctx.Err() != nil {
			if queued {
				b.queue(class, -1)
			}
			return now.Sub(began), ctx.Err()
		}
		if !queued && !background {
			queued = true
			b.queue(class, 1)
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// queue counts those who wait and do not give way.
func (b *Budget) queue(class Class, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buckets[class].waiting += n
}

// take takes a request of the class, or tells when to try again.
func (b *Budget) take(class Class, background bool, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, own := &b.buckets[ClassOther], &b.buckets[class]
	delay := max(all.delay(now), own.delay(now))
	if delay > 0 {
		return delay
	}
	if background && own.waiting > 0 && own.others < turnOfBackground {
		return max(time.Duration(float64(time.Second)/own.rate), time.Millisecond)
	}
	own.others++
	if background {
		own.others = 0
	}
	own.spend(now)
	if own != all {
		all.spend(now)
	}
	return 0
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

// Strained tells that the server could not answer a request of the class. Where no limit is published, the class goes
// on at half its rate when that happens often.
func (b *Budget) Strained(class Class) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := &b.buckets[class]
	k.refill(now)
	if now.Sub(k.strained) > strainInterval {
		k.strained, k.strains = now, 0
	}
	k.strains++
	if k.learns && k.strains >= leastStrain && k.strains >= strainShare*k.recent(now)*strainInterval.Seconds() {
		k.strains = 0
		k.slow(now)
		k.tokens = min(k.tokens, 1)
	}
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

// Used is the share of the requests of the class that may go out at present which did go out, over about the last
// ten seconds. At 1, the budget is what limits the reading.
func (b *Budget) Used(class Class) float64 {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := &b.buckets[class]
	bucket.refill(now)
	return min(bucket.recent(now)/bucket.rate, 1)
}

// bucket is one token bucket: what fits into it may go out at once, and it fills up at the rate.
type bucket struct {
	size   float64
	plan   float64 // requests per second when all is well
	rate   float64 // requests per second at present
	tokens float64
	filled time.Time
	paused time.Time // end of the pause
	// learns says that the plan is no published limit: what was refused is what tells.
	learns bool
	// strains is how many failures there were since strained.
	strains  float64
	strained time.Time

	// waiting is how many wait that do not give way, and others how many of them went out since the last one did
	// that gives way.
	waiting, others int

	// count is how many went out since counted, and before how many did in the window before that.
	count, before float64
	counted       time.Time
}

// spend takes a token.
func (k *bucket) spend(now time.Time) {
	k.tokens--
	k.recent(now)
	k.count++
}

// recent is how many requests a second went out lately.
func (k *bucket) recent(now time.Time) float64 {
	switch age := now.Sub(k.counted); {
	case age >= 2*window:
		k.before, k.count, k.counted = 0, 0, now
	case age >= window:
		k.before, k.count, k.counted = k.count, 0, k.counted.Add(window)
	}
	share := 1 - now.Sub(k.counted).Seconds()/window.Seconds()
	return (k.count + k.before*share) / window.Seconds()
}

// newBucket plans for a limit of requests in a window. The bucket's size and what flows in during any window
// stay below it together.
func newBucket(limit float64) bucket {
	size := max(1, limit*planned*burst)
	plan := (limit*planned - size) / window.Seconds()
	if limit < 2 { // a bucket of one token is what the limit is already
		plan = limit * planned / window.Seconds()
	}
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
	step := k.plan * recovery
	if k.learns {
		step = max(unpublishedRecovery, k.rate*unpublishedGrowth)
	}
	k.rate = min(k.plan, k.rate+step*seconds)
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
		k.slow(now)
	}
	k.tokens = 0
	if end := now.Add(wait); end.After(k.paused) {
		k.paused = end
	}
	// Nothing flows in during the pause.
	k.filled = k.paused
}

// slow halves the rate, or what went out lately where that is less and nothing else is known.
func (k *bucket) slow(now time.Time) {
	if k.learns {
		k.rate = max(min(k.rate, k.recent(now))/2, unpublishedLeast)
		return
	}
	k.rate = max(k.rate/2, k.plan*leastRate)
}

var shared = struct {
	sync.Mutex
	budgets map[sharedKey]*sharedBudget
}{budgets: map[sharedKey]*sharedBudget{}}

type sharedKey struct {
	endpoint, keyHash string
	shares            int
}

type sharedBudget struct {
	budget *Budget
	users  int
}

// SharedBudget returns the budget that all users of an endpoint and key in this process share. Each call needs
// one [ReleaseBudget]. The endpoint is as [NormalizeEndpoint] returns it, the hash as [KeyHash] does. Shares is how many
// processes use the key alike, 1 for this one alone: each takes its part of the published limits.
func SharedBudget(endpoint, keyHash string, shares int) *Budget {
	shared.Lock()
	defer shared.Unlock()
	key := sharedKey{endpoint, keyHash, shares}
	s := shared.budgets[key]
	if s == nil {
		s = &sharedBudget{budget: newBudget(endpoint, shares)}
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
