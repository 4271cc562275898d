package poller

import (
	"hash/fnv"
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Shard is one of several parts into which projects are divided by their ids. The zero value is all of them.
type Shard struct {
	// Index counts from 0.
	Index, Total int
}

// Holds reports whether a project belongs to the shard. When there is one shard more or less, only the projects that
// it gets or had change their place.
func (s Shard) Holds(project langsmith.UUID) bool {
	if s.Total <= 1 {
		return true
	}
	best, most := 0, uint64(0)
	for i := range s.Total {
		h := fnv.New64a()
		_, _ = h.Write(project[:])
		_, _ = h.Write([]byte(strconv.Itoa(i)))
		if weight := mix(h.Sum64()); i == 0 || weight > most {
			best, most = i, weight
		}
	}
	return best == s.Index
}

// mix spreads what differs in a few low bits over all.
func mix(v uint64) uint64 {
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}
