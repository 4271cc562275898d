package translate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestStringsKeepWhatTheyAre holds that no string is written over by a later one, whatever was lent before it and
// how much longer it became than expected.
func TestStringsKeepWhatTheyAre(t *testing.T) {
	var pool stringPool
	random := rand.New(rand.NewPCG(1, 2))
	var want []string
	var got []string
	for i := range 20_000 {
		size := random.IntN(300)
		if random.IntN(50) == 0 {
			size = random.IntN(2 * chunkSize)
		}
		content := bytes.Repeat([]byte{byte('a' + i%26)}, size)
		want = append(want, string(content))
		switch random.IntN(5) {
		case 0:
			got = append(got, pool.bytes(content))
		case 1:
			got = append(got, pool.text(langsmith.Text(content)))
		case 2: // longer or shorter than expected
			got = append(got, pool.take(append(pool.room(random.IntN(2*maxShared)), content...)))
		case 3: // thrown away
			pool.take(append(pool.room(size), "nothing"...)[:0])
			got = append(got, pool.intern(langsmith.Text(content)))
		default: // others come between
			lent := append(pool.room(size), content[:size/2]...)
			between := bytes.ToUpper(content)
			require.Equal(t, string(between), pool.bytes(between))
			got = append(got, pool.take(append(lent, content[size/2:]...)))
		}
	}
	for i := range want {
		if want[i] != got[i] {
			assert.Fail(t, "written over", "string %d of %d bytes", i, len(want[i]))
		}
	}
	assert.Zero(t, pool.lent)
}

// TestHash holds that strings that differ in one character at either end, as names with a number do, get places of
// their own.
func TestHash(t *testing.T) {
	for _, form := range []string{"x", "tag:", "seq:step:", "map:key:of-a-longer-name:"} {
		places := map[uint32]bool{}
		for c := byte('0'); c <= '9'; c++ {
			places[hash(append([]byte(form), c))%recentStrings] = true
			places[hash(append([]byte{c}, form...))%recentStrings] = true
		}
		assert.Greater(t, len(places), 17, form)
	}
}
