package langsmith

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const cloud = "https://api.smith.langchain.com"

// most is the largest number of times within any window.
func most(times []time.Time) int {
	best, from := 0, 0
	for i, t := range times {
		for t.Sub(times[from]) >= window {
			from++
		}
		best = max(best, i-from+1)
	}
	return best
}

func TestBudgetKeepsPublishedLimits(t *testing.T) {
	for class, limit := range map[Class]int{ClassRunsV1: 10, ClassRunsV2: 300, ClassOther: 1000, ClassStats: 1} {
		synctest.Test(t, func(t *testing.T) {
			b := NewBudget(cloud)
			time.Sleep(time.Hour) // a full bucket
			var mu sync.Mutex
			var times []time.Time
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					for range limit {
						_, err := b.Wait(t.Context(), class)
						assert.NoError(t, err)
						mu.Lock()
						times = append(times, time.Now())
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			assert.LessOrEqual(t, most(times), limit*95/100+1)
			assert.GreaterOrEqual(t, most(times), limit*80/100, "and uses what it may")
		})
	}
}

// TestBudgetOfTheRegions checks that only the EU, for which more is published, gets more statistics.
func TestBudgetOfTheRegions(t *testing.T) {
	for endpoint, limit := range map[string]int{
		cloud: 1, "https://eu.api.smith.langchain.com": 20, "https://EU.api.smith.langchain.com": 20, "https://apac.api.smith.langchain.com": 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := NewBudget(endpoint)
			time.Sleep(time.Hour)
			var times []time.Time
			for range 5 * limit {
				_, err := b.Wait(t.Context(), ClassStats)
				require.NoError(t, err)
				times = append(times, time.Now())
			}
			assert.LessOrEqual(t, most(times), limit, endpoint)
			assert.GreaterOrEqual(t, most(times), limit*80/100, "and uses what it may")
		})
	}
}

func TestBudgetCountsAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(cloud)
		var times []time.Time
		for i := range 3000 {
			_, err := b.Wait(t.Context(), []Class{ClassOther, ClassOther, ClassRunsV2, ClassOther}[i%4])
			require.NoError(t, err)
			times = append(times, time.Now())
		}
		assert.LessOrEqual(t, most(times), 1000)
	})
}

func TestBudgetThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(cloud)
		plan := b.Rate(ClassRunsV2)
		b.Throttled(ClassRunsV2, 30*time.Second)
		b.Throttled(ClassRunsV2, 5*time.Second) // a second request of the same moment
		assert.Zero(t, b.Rate(ClassRunsV2))
		_, err := b.Wait(t.Context(), ClassOther)
		require.NoError(t, err)

		began := time.Now()
		waited, err := b.Wait(t.Context(), ClassRunsV2)
		require.NoError(t, err)
		assert.Equal(t, time.Since(began), waited)
		assert.GreaterOrEqual(t, waited, 30*time.Second)
		assert.Less(t, waited, 35*time.Second)
		assert.InDelta(t, plan/2, b.Rate(ClassRunsV2), plan/50)

		time.Sleep(50 * time.Second)
		assert.InDelta(t, plan*0.75, b.Rate(ClassRunsV2), plan/50, "comes back slowly")
		time.Sleep(time.Hour)
		assert.Equal(t, plan, b.Rate(ClassRunsV2))

		for range 50 {
			b.Throttled(ClassRunsV2, 0)
			time.Sleep(12 * time.Second)
		}
		assert.Greater(t, b.Rate(ClassRunsV2), plan*leastRate, "never stops for good")
	})
}

func TestBudgetDefaultPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(cloud)
		b.Throttled(ClassRunsV1, 0)
		waited, err := b.Wait(t.Context(), ClassRunsV1)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, waited, defaultPause)
	})
}

func TestBudgetWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(cloud)
		b.Throttled(ClassRunsV2, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waited, err := b.Wait(ctx, ClassRunsV2)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, waited)
	})
}

func TestSharedBudget(t *testing.T) {
	a, b := SharedBudget(cloud, KeyHash("k"), 1), SharedBudget(cloud, KeyHash("k"), 1)
	assert.Same(t, a, b)
	other := SharedBudget(cloud, KeyHash("l"), 1)
	assert.NotSame(t, a, other)
	ReleaseBudget(a)
	c := SharedBudget(cloud, KeyHash("k"), 1)
	assert.Same(t, a, c, "one user is left")
	ReleaseBudget(b)
	ReleaseBudget(c)
	d := SharedBudget(cloud, KeyHash("k"), 1)
	assert.NotSame(t, a, d)
	ReleaseBudget(d)
	third := SharedBudget(cloud, KeyHash("k"), 3)
	assert.InDelta(t, d.Rate(ClassRunsV2)/3, third.Rate(ClassRunsV2), 0.1)
	ReleaseBudget(third)
	ReleaseBudget(other)
	ReleaseBudget(other) // once too often
	assert.Empty(t, shared.budgets)
	assert.NotContains(t, KeyHash("k"), "k")
	assert.Len(t, KeyHash("k"), 16)
}

func TestBudgetOfAnUnknownServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget("http://localhost")
		request := func(n int, every time.Duration) {
			for range n {
				_, err := b.Wait(t.Context(), ClassRunsV1)
				require.NoError(t, err)
				time.Sleep(every)
			}
		}
		began := time.Now()
		request(2000, 10*time.Millisecond)
		assert.Equal(t, 20*time.Second, time.Since(began), "nothing binds but the answers")

		b.Throttled(ClassRunsV1, time.Second)
		time.Sleep(1200 * time.Millisecond)
		assert.InDelta(t, 50, b.Rate(ClassRunsV1), 12, "half of what was too much")
		began = time.Now()
		request(100, 0)
		assert.InDelta(t, 2, time.Since(began).Seconds(), 0.5)
		time.Sleep(time.Minute)
		assert.Greater(t, b.Rate(ClassRunsV1), 500.0, "a refusal is forgotten")

		request(100, 100*time.Millisecond)
		for range leastStrain - 1 {
			b.Strained(ClassRunsV1)
		}
		assert.Greater(t, b.Rate(ClassRunsV1), 500.0, "a few failures are weather")
		for range 8 {
			b.Strained(ClassRunsV1)
		}
		assert.InDelta(t, 5, b.Rate(ClassRunsV1), 1)
		for range 20 {
			b.Throttled(ClassRunsV1, time.Second)
			time.Sleep(1200 * time.Millisecond)
		}
		assert.Greater(t, b.Rate(ClassRunsV1), 0.2)
	})
}

func TestBudgetBackgroundGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(cloud)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var mu sync.Mutex
		served := map[bool]int{}
		loop := func(background bool, ready func() bool) {
			for ready() {
				_, err := b.wait(ctx, ClassRunsV1, background)
				if err != nil {
					return
				}
				mu.Lock()
				served[background]++
				mu.Unlock()
			}
		}
		always := func() bool { return true }
		for range 12 {
			wg.Go(func() { loop(true, always) })
		}
		time.Sleep(100 * time.Second)
		mu.Lock()
		assert.InDelta(t, 80, served[true], 3, "alone it has all")
		clear(served)
		mu.Unlock()
		time.Sleep(time.Second)
		waited, err := b.Wait(ctx, ClassRunsV1)
		require.NoError(t, err)
		assert.Less(t, waited, 3*time.Second, "a live request goes first")

		wg.Go(func() { loop(false, always) })
		time.Sleep(200 * time.Second)
		mu.Lock()
		assert.Greater(t, served[false], 100)
		assert.Greater(t, served[true], 10, "but it does not starve")
		mu.Unlock()
		assert.InDelta(t, 1, b.Used(ClassRunsV1), 0.1)
		cancel()
		wg.Wait()
		assert.Zero(t, b.buckets[ClassRunsV1].waiting)
		time.Sleep(time.Minute)
		assert.Zero(t, b.Used(ClassRunsV1))
	})
}
