package poller

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

func TestShard(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	counts := make([]int, 4)
	moved := 0
	for range 4000 {
		var id langsmith.UUID
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		owners, before := 0, false
		for i := range 4 {
			if (Shard{i, 4}).Holds(id) {
				owners++
				counts[i]++
			}
			before = before || (Shard{i, 4}).Holds(id) && (Shard{i, 5}).Holds(id)
		}
		assert.Equal(t, 1, owners, "every project has one place")
		if !before {
			moved++
			assert.True(t, Shard{4, 5}.Holds(id), "only to the new shard")
		}
	}
	for _, n := range counts {
		assert.InDelta(t, 1000, n, 120)
	}
	assert.InDelta(t, 800, moved, 120)
	assert.True(t, Shard{}.Holds(projectID(1)))
	// What is stored by a shard depends on it: it must not change from version to version.
	var places []int
	for n := range 8 {
		for i := range 3 {
			if (Shard{i, 3}).Holds(projectID(n)) {
				places = append(places, i)
			}
		}
	}
	assert.Equal(t, []int{2, 1, 1, 2, 1, 2, 1, 0}, places)
}
