package langsmith

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever keys are missing, new, moved, repeated or written with spaces, members are those on the wire.
func TestKeyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var d runDecoder
	for page := range 300 {
		d.restart()
		names := rnd.Perm(5 + rnd.IntN(150))
		for range 30 {
			var keys []int
			var text strings.Builder
			for _, name := range names {
				for range 1 + rnd.IntN(20)/19 {
					if rnd.IntN(4) > 0 {
						keys = append(keys, name)
					}
				}
			}
			if rnd.IntN(5) == 0 && len(keys) > 1 {
				a, b := rnd.IntN(len(keys)), rnd.IntN(len(keys))
				keys[a], keys[b] = keys[b], keys[a]
			}
			for i, key := range keys {
				text.WriteString([]string{",", " , "}[rnd.IntN(30)/29])
				text.WriteString(strconv.Quote(strings.Repeat("k", key%40) + strconv.Itoa(key)))
				text.WriteString([]string{":", ": ", " :"}[max(rnd.IntN(60)-57, 0)])
				text.WriteString(strconv.Itoa(i))
			}
			data := []byte("{" + strings.TrimLeft(text.String(), " ,") + "}")
			d.set(append(data, make([]byte, padding)...)[:len(data)])
			members, end := d.members(&d.order, nil, 0)
			require.Equal(t, len(data), end, "%d: %s", page, data)
			require.Len(t, members, len(keys))
			for i, key := range keys {
				require.Equal(t, strings.Repeat("k", key%40)+strconv.Itoa(key), members[i].Key.String())
				require.Equal(t, strconv.Itoa(i), string(members[i].Value))
			}
		}
		require.LessOrEqual(t, len(d.order.keys), maxKnownKeys)
		for i, known := range d.order.keys {
			if known.instead != 0 {
				require.Greater(t, int(known.instead), i, "no way leads back")
				require.Less(t, int(known.instead), len(d.order.keys))
			}
		}
	}
}
