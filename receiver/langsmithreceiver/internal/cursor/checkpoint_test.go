package cursor

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// filled is a project with more ids in a bucket than a segment holds, and some that wait.
func filled(t testing.TB) (*Project, map[string][]byte) {
	p := New(testConfig, begin-hour)
	task := p.Next(begin)
	for n := range uint64(2*segmentEntries + 10) {
		p.Accept([]Entry{p.Observe(task, finished(n+1, begin-30*second), begin).Entry})
	}
	p.Observe(task, &langsmith.Run{ID: id(1 << 20), Start: begin - 31*second}, begin)
	task.PageDone()
	p.Finish(task, begin)
	stored := map[string][]byte{}
	for _, c := range changes(t, p) {
		require.NotNil(t, c.Value)
		stored[c.Key] = slices.Clone(c.Value)
	}
	p.Saved()
	return p, stored
}

func changes(t testing.TB, p *Project) []Change {
	changes, err := p.Changes("p")
	require.NoError(t, err)
	return changes
}

func load(stored map[string][]byte) (*Project, error) {
	return Load(testConfig, "p", func(keys []string) ([][]byte, error) {
		var values [][]byte
		for _, k := range keys {
			values = append(values, stored[k])
		}
		return values, nil
	})
}

func TestCheckpointRoundTrip(t *testing.T) {
	p, stored := filled(t)
	assert.Empty(t, changes(t, p), "nothing has changed since")
	q, err := load(stored)
	require.NoError(t, err)
	assert.Empty(t, changes(t, q))
	assert.Equal(t, []any{p.head, p.floor, p.swept, p.gaps, p.seen, p.waiting}, []any{q.head, q.floor, q.swept, q.gaps, q.seen, q.waiting})
	for start, b := range p.buckets {
		assert.Equal(t, b.recent.segments, q.buckets[start].recent.segments)
	}
	task := q.Next(begin + second)
	for n := range uint64(2*segmentEntries + 10) {
		require.Equal(t, Duplicate, q.Observe(task, finished(n+1, begin-30*second), begin).Action)
	}

	none, err := load(nil)
	require.NoError(t, err)
	assert.Nil(t, none)
}

// former is what an earlier version would have stored of the same.
func former(t testing.TB, version int) (*Project, map[string][]byte) {
	p, stored := filled(t)
	if version == 3 {
		stored["p"] = []byte(strings.Replace(string(stored["p"]), `"version":4`, `"version":3`, 1))
		return p, stored
	}
	var ids []byte
	for n := range uint64(2*segmentEntries + 10) {
		run := id(n + 1)
		ids = append(ids, run[:]...)
		position := p.buckets[begin-30*second].recent.find(p.hash(run))
		ids = binary.LittleEndian.AppendUint32(ids, p.buckets[begin-30*second].recent.revision(position))
		if version == 2 {
			used := p.buckets[begin-30*second].recent.usage(position)
			ids = binary.LittleEndian.AppendUint32(ids, used.tokens)
			ids = binary.LittleEndian.AppendUint32(ids, math.Float32bits(used.cost))
		}
	}
	for key := range stored {
		if strings.Contains(key, "/seen/") {
			delete(stored, key)
		}
	}
	stored[seenKey("p", begin-30*second, 0)] = ids
	var rec map[string]any
	require.NoError(t, json.Unmarshal(stored["p"], &rec))
	rec["version"] = version
	delete(rec, "hash_key")
	var err error
	stored["p"], err = json.Marshal(rec)
	require.NoError(t, err)
	return p, stored
}

// TestFormerCheckpointsAreRead checks that what earlier versions stored, with whole ids and the first without the usage
// of runs, is taken over, and is stored in the present format at once.
func TestFormerCheckpointsAreRead(t *testing.T) {
	for version := 1; version < Version; version++ {
		p, stored := former(t, version)
		q, err := load(stored)
		require.NoError(t, err)
		for round := range 2 {
			assert.Equal(t, p.seen, q.seen)
			task := q.Next(begin + second)
			for n := range uint64(2*segmentEntries + 10) {
				require.Equal(t, Duplicate, q.Observe(task, finished(n+1, begin-30*second), begin).Action)
			}
			window := Window{begin - minute, begin}
			wantRuns, want := p.Known(window)
			runs, used := q.Known(window)
			assert.Equal(t, wantRuns, runs)
			if assert.Equal(t, version == 1, used.Unknown); !used.Unknown {
				assert.Equal(t, want, used)
			}
			if round == 0 {
				for _, c := range changes(t, q) {
					stored[c.Key] = slices.Clone(c.Value)
				}
				q.Saved()
				assert.Contains(t, string(stored["p"]), `"version":4`)
				q, err = load(stored)
				require.NoError(t, err)
				assert.Empty(t, changes(t, q))
			}
		}
	}
}

// TestFormerSealedRunsAreRead checks that runs that version 3 sealed, with more of their hashes, are still known.
func TestFormerSealedRunsAreRead(t *testing.T) {
	for _, width := range []int{narrow, wide} {
		p, stored := filled(t)
		b := p.buckets[begin-30*second]
		runs := b.recent.n
		b.sealed = sealTo(&sealed{}, &b.recent, hashBitsV3, width)
		b.recent, b.sealedDirty = recent{}, true
		p.forgotten = append(p.forgotten, seenKey("", b.start, 0), seenKey("", b.start, 1), seenKey("", b.start, 2))
		for _, c := range changes(t, p) {
			stored[c.Key] = slices.Clone(c.Value)
		}
		stored["p"] = []byte(strings.Replace(string(stored["p"]), `"version":4`, `"version":3`, 1))
		q, err := load(stored)
		require.NoError(t, err)
		for round := range 2 {
			assert.Equal(t, runs, q.seen)
			for n := range uint64(runs) {
				have, ok, _ := q.known(q.hash(id(n+1)), begin-30*second)
				require.True(t, ok)
				require.True(t, have.is(revisionOf(finished(n+1, begin-30*second))))
				_, ok, _ = q.known(q.hash(id(n+1<<30)), begin-30*second)
				require.False(t, ok)
			}
			if round == 0 {
				for _, c := range changes(t, q) {
					stored[c.Key] = slices.Clone(c.Value)
				}
				q.Saved()
				q, err = load(stored)
				require.NoError(t, err)
				assert.Empty(t, changes(t, q))
				assert.Equal(t, hashBits, q.buckets[b.start].sealed.hashBits)
			}
		}
	}
}

// TestAcknowledgementsWriteLittle checks that one more id does not rewrite all of its bucket.
func TestAcknowledgementsWriteLittle(t *testing.T) {
	p, _ := filled(t)
	p.Accept([]Entry{{ID: id(1 << 30), Start: begin - 30*second}})
	size := 0
	for _, c := range changes(t, p) {
		size += len(c.Value)
	}
	assert.Less(t, size, 1024)
}

func TestUnreadableCheckpointsAreRefused(t *testing.T) {
	_, stored := filled(t)
	for key := range stored {
		for name, damage := range map[string][]byte{"gone": nil, "cut": stored[key][:len(stored[key])-1]} {
			if key == "p" && damage == nil {
				continue
			}
			broken := map[string][]byte{}
			for k, v := range stored {
				broken[k] = v
			}
			broken[key] = damage
			_, err := load(broken)
			assert.ErrorIs(t, err, ErrCorrupt, "%s %s", key, name)
		}
	}
	_, err := load(map[string][]byte{"p": []byte(strings.Replace(string(stored["p"]), `"version":4`, `"version":5`, 1))})
	assert.ErrorIs(t, err, ErrNewer)
}

func FuzzLoad(f *testing.F) {
	_, stored := filled(f)
	f.Add(stored["p"], stored[seenKey("p", begin-30*second, 0)], stored[waitingKey("p", begin-minute)])
	f.Add([]byte(`{"version":2,"head":5,"buckets":[{"start":0,"seen":1,"waiting":1}]}`), make([]byte, seenEntrySizeV2), make([]byte, waitingEntrySize))
	f.Add([]byte(`{"version":1,"head":5,"buckets":[{"start":0,"seen":1,"waiting":1}]}`), make([]byte, seenEntrySizeV1), make([]byte, waitingEntrySize))
	f.Fuzz(func(t *testing.T, record, seen, waiting []byte) {
		p, err := Load(testConfig, "p", func(keys []string) ([][]byte, error) {
			values := make([][]byte, len(keys))
			for i, k := range keys {
				switch {
				case k == "p":
					values[i] = record
				case strings.Contains(k, "/waiting/"):
					values[i] = waiting
				default:
					values[i] = seen
				}
			}
			return values, nil
		})
		if err != nil || p == nil {
			return
		}
		now := p.head + second
		for range 3 {
			if task := p.Next(now); task != nil {
				p.Observe(task, finished(1, task.Window.From), now)
				p.Finish(task, now)
			}
		}
		changes(t, p)
	})
}
