package llmmetricsconnector

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type ordered struct {
	value int
	place place[ordered]
}

func (o *ordered) placed() *place[ordered] { return &o.place }

// TestCutOfAnOrderIsOneMoment changes, adds and takes items away while a cut is written, and expects what was there when it
// began.
func TestCutOfAnOrderIsOneMoment(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(41, seed))
		var o order[ordered, *ordered]
		var all []*ordered
		change := func() {
			switch n := len(all); {
			case n == 0 || rng.IntN(3) == 0:
				item := &ordered{value: rng.Int()}
				all = append(all, item)
				o.push(item)
			case rng.IntN(2) == 0:
				i := rng.IntN(n)
				o.remove(all[i])
				all[i].value = -1
				all = slices.Delete(all, i, i+1)
			default:
				item := all[rng.IntN(n)]
				o.remove(item)
				item.value = rng.Int()
				o.push(item)
			}
		}
		for range 5 {
			for range rng.IntN(40) {
				change()
			}
			var want []int
			for item := o.front; item != nil; item = item.place.next {
				want = append(want, item.value)
			}
			type written struct {
				value int
				at    uint64
			}
			var got []written
			o.cut(func(item *ordered) { got = append(got, written{item.value, item.place.at}) })
			for done := false; !done; {
				for range rng.IntN(10) {
					change()
				}
				done = o.step(rng.IntN(10))
			}
			for range rng.IntN(10) {
				change()
			}
			slices.SortFunc(got, func(a, b written) int { return cmp.Compare(a.at, b.at) })
			var values []int
			for _, w := range got {
				values = append(values, w.value)
			}
			require.Equal(t, want, values, "seed %d", seed)
		}
	}
}

// TestCutOfRecentItemsIsOneMoment is the same for items that are only added.
func TestCutOfRecentItemsIsOneMoment(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(42, seed))
		r := recent[int]{limit: 1 + rng.IntN(30)}
		var all []int
		add := func() {
			forgotten, full := r.add(len(all))
			require.Equal(t, len(all) >= r.limit, full)
			if full {
				require.Equal(t, len(all)-r.limit, forgotten)
			}
			all = append(all, len(all))
		}
		for range 5 {
			for range rng.IntN(20) {
				add()
			}
			want := slices.Clone(all[max(0, len(all)-r.limit):])
			var got []int
			r.cut(func(item int) { got = append(got, item) })
			for done := false; !done; {
				for range rng.IntN(20) {
					add()
				}
				done = r.step(rng.IntN(10))
			}
			require.True(t, slices.Equal(want, got), "seed %d: %v, not %v", seed, got, want)
		}
	}
}
