package llmmetricsconnector

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// TestNestingCountsEachCallOnce makes chains of model calls, each the parent of the next, and delivers their
// spans one by one in random order among those of other traces: each chain counts at least once, and once
// exactly when the order is from inside to outside or from outside to inside.
func TestNestingCountsEachCallOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	n := newNesting()
	const chains = 300
	type link struct{ trace, depth int }
	depths := make([]int, chains)
	var queue []link
	for trace := range chains {
		depths[trace] = 1 + rng.IntN(4)
		order := make([]int, depths[trace])
		for i := range order {
			order[i] = i
			if trace%2 == 0 {
				order[i] = len(order) - 1 - i
			}
		}
		for _, depth := range order {
			queue = append(queue, link{trace, depth})
		}
	}
	// Interleave the chains, each in its order.
	next := make([]int, 0, len(queue))
	for i := range queue {
		next = append(next, queue[i].trace)
	}
	rng.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	byTrace := map[int][]link{}
	for _, l := range queue {
		byTrace[l.trace] = append(byTrace[l.trace], l)
	}
	counted := make([]int, chains)
	for _, trace := range next {
		l := byTrace[trace][0]
		byTrace[trace] = byTrace[trace][1:]
		var id pcommon.TraceID
		binary.LittleEndian.PutUint64(id[:], uint64(trace)*0x9e3779b97f4a7c15+1)
		span := scriptID(uint64(l.depth + 1))
		var parent pcommon.SpanID
		if l.depth > 0 {
			parent = scriptID(uint64(l.depth))
		}
		if n.modelCall(id, span, parent) == verdictCounts {
			counted[trace]++
		}
	}
	for trace, c := range counted {
		require.Equal(t, 1, c, "chain of %d", depths[trace])
	}
}

// TestNestingAcrossBatches counts calls inside one another, numbered from the outermost, that come in these batches.
func TestNestingAcrossBatches(t *testing.T) {
	for _, batches := range [][][]int{
		{{0, 1, 2, 3}},
		{{3, 1, 0, 2}},
		{{0}, {1, 2, 3}},
		{{0}, {3, 2, 1}},
		{{0}, {2, 1, 3}},
		{{0}, {1}, {2, 3}},
		{{0, 1}, {2, 3}},
		{{1, 0}, {3, 2}},
		{{3}, {0, 1, 2}},
		{{2, 3}, {1, 0}},
		{{2}, {1, 0, 3}},
		{{0}, {1, 2}, {3}},
	} {
		n, counted := newNesting(), 0
		for range 2 { // all of it comes again
			for _, batch := range batches {
				var all []stagedOperation
				for _, i := range batch {
					var parent pcommon.SpanID
					if i > 0 {
						parent = scriptID(uint64(i))
					}
					all = append(all, stagedOperation{kin: modelKin(pcommon.TraceID{1}, scriptID(uint64(i+1)), parent)})
				}
				n.settle(all)
				for _, op := range all {
					if op.verdict == verdictCounts {
						counted++
					}
				}
			}
		}
		require.Equal(t, 1, counted, "%v", batches)
	}
}

// TestNestingSetForgetsTheOldest compares a set with a queue.
func TestNestingSetForgetsTheOldest(t *testing.T) {
	var set nestingSet
	var queue []fingerprint
	for i := range uint64(100) {
		mark := fingerprint((i + 1) << 4)
		set.put(mark, roleCovered)
		queue = append(queue, mark)
		for j, m := range queue {
			var want uint64
			if j >= len(queue)-len(set) {
				want = roleCovered
			}
			require.Equal(t, want, set.roles(m), "mark %d of %d", j, len(queue))
		}
	}
}

// TestRepeatedBatchesCountOnce hands the same batch over again, as a receiver does when another exporter refused it.
func TestRepeatedBatchesCountOnce(t *testing.T) {
	n := newNesting()
	trace, outer, inner, tool := pcommon.TraceID{1}, pcommon.SpanID{1}, pcommon.SpanID{2}, pcommon.SpanID{3}
	for attempt := range 3 {
		want := verdictRepeated
		if attempt == 0 {
			want = verdictCounts
		}
		// The inner call first, as the outer one is deferred within a batch.
		n.hasChild(trace, pcommon.SpanID{9})
		require.Equal(t, want, n.modelCall(trace, inner, outer), "attempt %d", attempt)
		require.Equal(t, verdictOuter, n.modelCall(trace, outer, pcommon.SpanID{9}), "attempt %d", attempt)
		require.Equal(t, want, n.first(trace, tool), "attempt %d", attempt)
	}
	require.Equal(t, verdictCounts, n.modelCall(trace, pcommon.SpanID{4}, tool), "a model call of a tool is no twin of it")
	require.Equal(t, verdictCounts, n.first(trace, pcommon.SpanID{}), "without an id nothing is known")
	require.Equal(t, verdictCounts, n.first(trace, pcommon.SpanID{}))
	require.Equal(t, verdictCounts, n.first(pcommon.TraceID{2}, tool), "another trace")
}

// hasChild tells that a model call has this parent.
func (n *nesting) hasChild(trace pcommon.TraceID, parent pcommon.SpanID) {
	k := modelKin(trace, pcommon.SpanID{}, parent)
	n.announce(&k)
}

// first decides whether a span that is no model call counts: the first time it comes.
func (n *nesting) first(trace pcommon.TraceID, span pcommon.SpanID) verdict {
	k := otherKin(trace, span)
	n.decide(&k)
	return k.verdict
}

// modelCall decides whether a model call that came alone counts.
func (n *nesting) modelCall(trace pcommon.TraceID, span, parent pcommon.SpanID) verdict {
	k := modelKin(trace, span, parent)
	n.announce(&k)
	n.decide(&k)
	return k.verdict
}
