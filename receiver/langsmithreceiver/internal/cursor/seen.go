package cursor

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// bucketLength is the range of start times that share a bucket. What is remembered is stored and forgotten
	// by the bucket.
	bucketLength = langsmith.Time(30 * time.Second)
	// sealAgain is the part of the runs of a sealed bucket that has to come late for it to be sealed anew, which is to
	// write it anew.
	sealAgain = 8
	// waitingEntrySize is an id, a start and a deadline.
	waitingEntrySize = 16 + 8 + 8
)

// bucket holds what is remembered of the runs that started within 30 seconds. Those that went out are recent at first,
// and later sealed. What comes or changes after that is recent again, and counts instead of what is sealed.
type bucket struct {
	start  langsmith.Time
	recent recent
	sealed sealed
	// replaced is how many runs are in both.
	replaced int
	// used is what the calls of models used that are sealed and not replaced.
	used    Usage
	waiting map[langsmith.UUID]*Waiting
	// lost says that storage lost the sealed runs while they were away. All that is met counts as one of them then.
	lost bool
	// sealedDirty and waitingDirty say that these changed since they were stored.
	sealedDirty, waitingDirty bool
	// storedSegments, storedChunks and storedWaiting say what storage holds, so that it can be deleted.
	storedSegments, storedChunks int
	storedWaiting                bool
}

// known is what is known of the revision of a run.
type known struct {
	revision, mask uint32
	// sealed says that the run is not recent.
	sealed bool
	// lost says that nobody knows whether the run went out.
	lost bool
}

// previous is what a run used when it had gone out last, as far as is known. The zero value is for a run that did not.
type previous struct {
	out   bool
	usage usage
}

// is reports whether a run has not changed, as far as is known.
func (k known) is(revision uint32) bool { return (k.revision^revision)&k.mask == 0 }

// count is how many runs went out.
func (b *bucket) count() int { return b.sealed.n + b.recent.n - b.replaced }

// find tells about a run that went out, if it is known.
func (b *bucket) find(hash uint64) (known, bool) {
	if position := b.recent.find(hash); position >= 0 {
		return known{revision: b.recent.revision(position), mask: math.MaxUint32}, true
	}
	if i := b.sealed.find(hash); i >= 0 {
		revision, mask := b.sealed.revision(i)
		return known{revision: revision, mask: mask, sealed: true}, true
	}
	if b.lost {
		return known{sealed: true, lost: true}, true
	}
	return known{}, false
}

// previous tells about a run.
func (b *bucket) previous(hash uint64) previous {
	if position := b.recent.find(hash); position >= 0 {
		return previous{true, b.recent.usage(position)}
	}
	if i := b.sealed.find(hash); i >= 0 {
		return previous{true, b.sealed.usage(i)}
	}
	return previous{}
}

// put notes a run that went out, or what changed of it, and reports whether it is new. Was is what was known when its row
// was met, for the case that what it replaces is away by now.
func (b *bucket) put(hash uint64, revision uint32, usage usage, was previous) bool {
	if !b.recent.put(hash, revision, usage) {
		return false
	}
	if b.sealed.away() && was.out && !b.lost {
		b.replaced++
		b.used.subtract(was.usage)
		return false
	}
	i := b.sealed.find(hash)
	if i < 0 {
		return true
	}
	b.replaced++
	if b.sealed.had(i, usage) {
		b.used.subtract(usage)
	} else { // if it is not known, that of the others is not any more
		b.used.subtract(b.sealed.usage(i))
	}
	return false
}

// usages sums what calls of models used.
func (b *bucket) usages(sum *Usage) {
	sum.Tokens += b.used.Tokens
	sum.Cost += b.used.Cost
	sum.Unknown = sum.Unknown || b.used.Unknown
	for position := range b.recent.n {
		sum.add(b.recent.usage(position))
	}
}

// seal makes all runs take little memory.
func (b *bucket) seal(width int) {
	var used Usage
	b.usages(&used)
	b.used = used
	b.sealed = seal(&b.sealed, &b.recent, width)
	b.recent, b.replaced, b.sealedDirty = recent{}, 0, true
}

// Waiting is a run that was read but is not ready to go out.
type Waiting struct {
	ID    langsmith.UUID
	Start langsmith.Time
	// Deadline is when a finished run goes out as it is. Zero as long as it was not seen finished.
	Deadline langsmith.Time
	// due is when the run is read again.
	due langsmith.Time
	// late marks a run that a sweep found: it was never read in full.
	late bool
	// missed marks a run that a comparison with LangSmith found.
	missed bool
	// changed marks a run that went out, with what was tells, and is to go out again, since it changed.
	changed bool
	was     previous
	// root is the root of the trace, when the run waits for what that tells, and asked says that it was asked for.
	root  langsmith.UUID
	asked bool
}

// memory is the buckets of a project by their start.
type memory struct {
	*hasher
	buckets map[langsmith.Time]*bucket
	seen    int
	waiting int
	// forgotten are keys of storage, without the project's prefix, that are to be deleted.
	forgotten []string
}

func bucketStart(t langsmith.Time) langsmith.Time {
	b := t - t%bucketLength
	if t < 0 && b != t {
		b -= bucketLength
	}
	return b
}

func (m *memory) bucket(t langsmith.Time) *bucket {
	start := bucketStart(t)
	b := m.buckets[start]
	if b == nil {
		if m.buckets == nil {
			m.buckets = map[langsmith.Time]*bucket{}
		}
		b = &bucket{start: start}
		m.buckets[start] = b
	}
	return b
}

// known tells about a run that went out, if it is remembered. Away says that it may be remembered in storage.
func (m *memory) known(hash uint64, start langsmith.Time) (have known, ok, away bool) {
	b := m.buckets[bucketStart(start)]
	if b == nil {
		return known{}, false, false
	}
	have, ok = b.find(hash)
	return have, ok, !ok && b.sealed.away()
}

func (m *memory) previous(hash uint64, start langsmith.Time) previous {
	return m.bucket(start).previous(hash)
}

// remember marks a run as emitted, or notes its new revision and usage.
func (m *memory) remember(hash uint64, start langsmith.Time, revision uint32, usage usage, was previous) {
	if m.bucket(start).put(hash, revision, usage, was) {
		m.seen++
	}
}

// seal seals every bucket of which due says that it is time, but for those to which little was added since. Many says that
// there are enough recent runs, and no fewer than are sealed, so that it is worth it before the last ones have come.
func (m *memory) seal(width, enough int, due func(w Window, many bool) bool) {
	for start, b := range m.buckets {
		many := b.recent.n >= max(enough, b.sealed.n)
		if b.recent.n == 0 || b.recent.n*sealAgain < b.sealed.n || b.sealed.away() || !due(Window{start, start + bucketLength}, many) {
			continue
		}
		m.seen -= b.count()
		b.seal(width)
		m.seen += b.count()
		m.dropStored(b)
	}
}

// dropStored has what storage holds of the runs that went out deleted, before anything else is written.
func (m *memory) dropStored(b *bucket) {
	for i := range b.storedSegments {
		m.forgotten = append(m.forgotten, seenKey("", b.start, i))
	}
	for i := range b.storedChunks {
		m.forgotten = append(m.forgotten, sealedKey("", b.start, i))
	}
	b.storedSegments, b.storedChunks = 0, 0
}

func (m *memory) wait(id langsmith.UUID, start langsmith.Time) *Waiting {
	if b := m.buckets[bucketStart(start)]; b != nil {
		return b.waiting[id]
	}
	return nil
}

func (m *memory) putWaiting(w Waiting) {
	b := m.bucket(w.Start)
	if b.waiting == nil {
		b.waiting = map[langsmith.UUID]*Waiting{}
	}
	have := b.waiting[w.ID]
	if have == nil {
		m.waiting++
	} else if have.Deadline == w.Deadline {
		*have = w // what changed is not stored
		return
	}
	b.waiting[w.ID] = &w
	b.waitingDirty = true
}

func (m *memory) dropWaiting(id langsmith.UUID, start langsmith.Time) {
	b := m.buckets[bucketStart(start)]
	if b == nil || b.waiting[id] == nil {
		return
	}
	delete(b.waiting, id)
	b.waitingDirty = true
	m.waiting--
}

// forget drops the emitted ids of every bucket that keep refuses, and buckets that hold nothing.
func (m *memory) forget(keep func(Window) bool) {
	for start, b := range m.buckets {
		if (b.count() > 0 || b.lost) && !keep(Window{start, start + bucketLength}) {
			m.seen -= b.count()
			m.dropStored(b)
			b.recent, b.sealed, b.replaced, b.used, b.sealedDirty, b.lost = recent{}, sealed{}, 0, Usage{}, false, false
		}
		if b.count() == 0 && !b.lost && len(b.waiting) == 0 {
			if b.storedWaiting {
				m.forgotten = append(m.forgotten, waitingKey("", start))
			}
			delete(m.buckets, start)
		}
	}
}

// starts are the buckets in order.
func (m *memory) starts() []langsmith.Time {
	return slices.Sorted(maps.Keys(m.buckets))
}
