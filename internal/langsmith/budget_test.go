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
	for class, limit := range map[Class]int{ClassRunsV1: 10, ClassRunsV2: 300, ClassOther: 1000} {
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

func TestBudgetCountsAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget("http://localhost") // v1 and v2 alike
		var times []time.Time
		for i := range 3000 {
			_, err := b.Wait(t.Context(), []Class{ClassOther, ClassRunsV1, ClassRunsV2, ClassOther}[i%4])
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
	a, b := SharedBudget(cloud, KeyHash("k")), SharedBudget(cloud, KeyHash("k"))
	assert.Same(t, a, b)
	other := SharedBudget(cloud, KeyHash("l"))
	assert.NotSame(t, a, other)
	ReleaseBudget(a)
	c := SharedBudget(cloud, KeyHash("k"))
	assert.Same(t, a, c, "one user is left")
	ReleaseBudget(b)
	ReleaseBudget(c)
	d := SharedBudget(cloud, KeyHash("k"))
	assert.NotSame(t, a, d)
	ReleaseBudget(d)
	ReleaseBudget(other)
	ReleaseBudget(other) // once too often
	assert.Empty(t, shared.budgets)
	assert.NotContains(t, KeyHash("k"), "k")
	assert.Len(t, KeyHash("k"), 16)
}
