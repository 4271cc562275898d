package llmmetricsconnector

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// noted is what a note tells of one operation.
type noted struct {
	kind        byte
	own, around fingerprint
}

// TestOperationsOfNotes notes operations of every kind, between other changes and from several sources, and reads them.
func TestOperationsOfNotes(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 1))
	some := func() fingerprint {
		if rng.IntN(4) == 0 {
			return 0 // has no id
		}
		return fingerprint(rng.Uint64()) &^ fingerprint(markBits)
	}
	var n note
	var want []noted
	var counted []sourced
	var traces []pcommon.TraceID
	var around fingerprint
	for range 1000 {
		switch rng.IntN(4) {
		case 0:
			trace := pcommon.TraceID{1, byte(rng.IntN(2))}
			n.change(noteTrace, trace)
			traces = append(traces, trace)
			continue
		case 1:
			around = some()
		}
		k := kin{own: some(), verdict: verdict(rng.IntN(int(verdictRepeated) + 1)), model: rng.IntN(2) == 0}
		if k.own == 0 && k.verdict == verdictOuter {
			continue // nothing is known of it, so of its child neither
		}
		if k.model {
			k.around = around
		}
		source := uint64(1 + rng.IntN(3))
		n.from(source)
		n.operation(&k)
		if k.verdict == verdictRepeated || k.own == 0 && k.around == 0 {
			continue
		}
		if k.own != 0 {
			own := uint64(k.own)
			if k.model && k.verdict == verdictCounts {
				own |= roleCovered
			}
			counted = append(counted, sourced{source, own})
		}
		if k.around != 0 {
			counted = append(counted, sourced{source, uint64(k.around) | roleHasChild})
		}
		switch {
		case !k.model:
			want = append(want, noted{noteFirst, k.own, 0})
			continue
		case k.verdict == verdictOuter:
			want = append(want, noted{noteChild, k.own, 0})
		}
		want = append(want, noted{noteModelCall, k.own, k.around})
	}
	require.Equal(t, counted, n.counted)

	var got []noted
	var gotTraces []pcommon.TraceID
	require.True(t, readNote(n.memory.buf, func(kind byte, k kin) {
		if kind == noteSibling {
			kind = noteModelCall
		}
		require.Equal(t, kind != noteFirst, k.model)
		got = append(got, noted{kind, k.own, k.around})
	}, func(kind byte, trace pcommon.TraceID, c *codec) {
		if kind == noteSource {
			c.uint(new(uint64))
			return
		}
		require.Equal(t, noteTrace, kind)
		gotTraces = append(gotTraces, trace)
	}))
	require.Equal(t, want, got)
	require.Equal(t, traces, gotTraces)

	none := func(byte, kin) {}
	require.False(t, readNote(make([]byte, 7), none, nil), "a fingerprint that is cut")
}
