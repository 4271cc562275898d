package cursor

import (
	"maps"
	"slices"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// bucketLength is the range of start times that share a bucket. What is remembered is stored and forgotten
	// by the bucket.
	bucketLength = langsmith.Time(30 * time.Second)
	// waitingEntrySize is an id, a start and a deadline.
	waitingEntrySize = 16 + 8 + 8
)

// bucket holds what is remembered of the runs that started within 30 seconds.
type bucket struct {
	start langsmith.Time
	emitted
	waiting map[langsmith.UUID]*Waiting
	// waitingDirty says that waiting changed since it was stored.
	waitingDirty bool
	// storedSegments and storedWaiting say what storage holds, so that it can be deleted.
	storedSegments int
	storedWaiting  bool
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
	// changed marks a run that went out and is to go out again, since it changed.
	changed bool
	// root is the root of the trace, when the run waits for what that tells, and asked says that it was asked for.
	root  langsmith.UUID
	asked bool
}

// memory is the buckets of a project by their start.
type memory struct {
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

// revision of a run that was emitted, if it is remembered.
func (m *memory) revision(id langsmith.UUID, start langsmith.Time) (uint32, bool) {
	b := m.buckets[bucketStart(start)]
	if b == nil {
		return 0, false
	}
	return b.revision(id)
}

// remember marks a run as emitted, or notes its new revision and usage.
func (m *memory) remember(id langsmith.UUID, start langsmith.Time, revision uint32, usage usage) {
	if m.bucket(start).put(id, revision, usage) {
		m.seen++
	}
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
		if b.n > 0 && !keep(Window{start, start + bucketLength}) {
			m.seen -= b.n
			for i := range b.storedSegments {
				m.forgotten = append(m.forgotten, seenKey("", start, i))
			}
			b.emitted, b.storedSegments = emitted{}, 0
		}
		if b.n == 0 && len(b.waiting) == 0 {
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
