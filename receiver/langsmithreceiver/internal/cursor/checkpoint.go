package cursor

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Version is the format of what is stored. A newer one is refused. Version 1 did not hold the usage of runs.
const Version = 2

// maxSeenInBucket is more ids than any project has in 30 seconds; a larger count is a sign of damage.
const maxSeenInBucket = 1 << 24

// Errors of [Load]. Both mean that nothing may be read, because it would be lost or repeated.
var (
	ErrCorrupt = errors.New("stored checkpoint is unreadable")
	ErrNewer   = errors.New("stored checkpoint was written by a newer version")
)

// Change is one write to storage. A nil value deletes the key.
type Change struct {
	Key   string
	Value []byte
}

// record is the stored state of a project. The ids are stored by bucket under keys of their own, so that an
// acknowledgement writes only the buckets that it touched.
type record struct {
	Version int              `json:"version"`
	Head    langsmith.Time   `json:"head"`
	Floor   langsmith.Time   `json:"floor"`
	Swept   langsmith.Time   `json:"swept"`
	Checked langsmith.Time   `json:"checked,omitempty"`
	Gaps    [][2]int64       `json:"gaps,omitempty"`
	Buckets []bucketInRecord `json:"buckets,omitempty"`
}

type bucketInRecord struct {
	Start   langsmith.Time `json:"start"`
	Seen    int            `json:"seen,omitempty"`
	Waiting int            `json:"waiting,omitempty"`
}

func seenKey(prefix string, start langsmith.Time, segment int) string {
	return prefix + "/seen/" + strconv.FormatInt(int64(start)/1e9, 10) + "/" + strconv.Itoa(segment)
}

func waitingKey(prefix string, start langsmith.Time) string {
	return prefix + "/waiting/" + strconv.FormatInt(int64(start)/1e9, 10)
}

// Changes are the writes that bring storage from the last [Project.Saved] to the present, deletions first. They
// have to be written together. None means that storage is up to date. Prefix is the key of the project and has
// to be the same in every call.
func (p *Project) Changes(prefix string) ([]Change, error) {
	var changes []Change
	for _, f := range p.forgotten {
		changes = append(changes, Change{Key: prefix + f})
	}
	rec := record{Version: Version, Head: p.head, Floor: p.floor, Swept: p.swept, Checked: p.checked}
	for _, w := range p.gaps {
		rec.Gaps = append(rec.Gaps, [2]int64{int64(w.From), int64(w.To)})
	}
	for _, start := range p.starts() {
		b := p.buckets[start]
		rec.Buckets = append(rec.Buckets, bucketInRecord{Start: start, Seen: b.n, Waiting: len(b.waiting)})
		for i, s := range b.segments {
			if s.dirty {
				changes = append(changes, Change{Key: seenKey(prefix, start, i), Value: s.data})
			}
		}
		if b.waitingDirty {
			c := Change{Key: waitingKey(prefix, start)}
			for id, w := range b.waiting {
				c.Value = append(c.Value, id[:]...)
				c.Value = binary.LittleEndian.AppendUint64(c.Value, uint64(w.Start))
				c.Value = binary.LittleEndian.AppendUint64(c.Value, uint64(w.Deadline))
			}
			if c.Value != nil || b.storedWaiting {
				changes = append(changes, c)
			}
		}
	}
	if len(changes) == 0 && !p.dirty {
		return nil, nil
	}
	value, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint %q: %w", prefix, err)
	}
	return append(changes, Change{Key: prefix, Value: value}), nil
}

// Saved notes that the writes of the last call of [Project.Changes] are stored.
func (p *Project) Saved() {
	p.forgotten, p.dirty = nil, false
	for _, b := range p.buckets {
		for i := range b.segments {
			b.segments[i].dirty = false
		}
		b.storedSegments = len(b.segments)
		b.storedWaiting = len(b.waiting) > 0
		b.waitingDirty = false
	}
}

// Rewrite has the next [Project.Changes] hold the whole state, for a storage that has nothing of it.
func (p *Project) Rewrite() {
	p.forgotten, p.dirty = nil, true
	for _, b := range p.buckets {
		for i := range b.segments {
			b.segments[i].dirty = true
		}
		b.waitingDirty = true
	}
}

// Load reads a stored project. It returns nil when there is none. Get returns the values of keys, nil for those
// that do not exist.
func Load(cfg Config, prefix string, get func(keys []string) ([][]byte, error)) (*Project, error) {
	values, err := get([]string{prefix})
	if err != nil {
		return nil, err
	}
	if values[0] == nil {
		return nil, nil
	}
	var rec record
	if err := json.Unmarshal(values[0], &rec); err != nil || rec.Version < 1 {
		return nil, fmt.Errorf("%w: key %q", ErrCorrupt, prefix)
	}
	if rec.Version > Version {
		return nil, fmt.Errorf("%w: key %q has version %d, this one knows %d", ErrNewer, prefix, rec.Version, Version)
	}
	p := newProject(cfg, rec.Head, rec.Floor, nil)
	p.swept = rec.Swept
	if cfg.Reconcile {
		p.checked = rec.Checked
	}
	for _, g := range rec.Gaps {
		p.gaps = p.gaps.add(Window{langsmith.Time(g[0]), langsmith.Time(g[1])})
	}
	if rec.Head <= 0 || rec.Floor > rec.Head || rec.Swept > rec.Head || rec.Checked != bucketStart(rec.Checked) {
		return nil, fmt.Errorf("%w: key %q", ErrCorrupt, prefix)
	}
	if err := p.loadBuckets(rec, prefix, get); err != nil {
		return nil, err
	}
	p.Saved()
	if rec.Version < Version {
		p.Rewrite()
	}
	return p, nil
}

func (p *Project) loadBuckets(rec record, prefix string, get func([]string) ([][]byte, error)) error {
	size := seenEntrySize
	if rec.Version == 1 {
		size = seenEntrySizeV1
	}
	for _, r := range rec.Buckets {
		if r.Start != bucketStart(r.Start) || r.Seen < 0 || r.Seen > maxSeenInBucket || r.Waiting < 0 {
			return fmt.Errorf("%w: key %q", ErrCorrupt, prefix)
		}
		var keys []string
		for i := range (r.Seen + segmentEntries - 1) / segmentEntries {
			keys = append(keys, seenKey(prefix, r.Start, i))
		}
		segments := len(keys)
		if r.Waiting > 0 {
			keys = append(keys, waitingKey(prefix, r.Start))
		}
		if len(keys) == 0 {
			continue
		}
		values, err := get(keys)
		if err != nil {
			return err
		}
		b := p.bucket(r.Start)
		for i, v := range values {
			if i == segments {
				if err := p.loadWaiting(v); err != nil || len(b.waiting) != r.Waiting {
					return fmt.Errorf("%w: key %q", ErrCorrupt, keys[i])
				}
				continue
			}
			want := min(r.Seen-i*segmentEntries, segmentEntries)
			if len(v) != want*size {
				return fmt.Errorf("%w: key %q", ErrCorrupt, keys[i])
			}
			for ; len(v) > 0; v = v[size:] {
				used := usage{tokens: unknownTokens}
				if size == seenEntrySize {
					used = usage{binary.LittleEndian.Uint32(v[20:]), math.Float32frombits(binary.LittleEndian.Uint32(v[24:]))}
				}
				b.put(langsmith.UUID(v[:16]), binary.LittleEndian.Uint32(v[16:]), used)
			}
		}
		if b.n != r.Seen {
			return fmt.Errorf("%w: key %q", ErrCorrupt, keys[0])
		}
		p.seen += r.Seen
	}
	return nil
}

func (p *Project) loadWaiting(v []byte) error {
	if len(v)%waitingEntrySize != 0 {
		return ErrCorrupt
	}
	for ; len(v) > 0; v = v[waitingEntrySize:] {
		p.putWaiting(Waiting{
			ID:       langsmith.UUID(v[:16]),
			Start:    langsmith.Time(binary.LittleEndian.Uint64(v[16:])),
			Deadline: langsmith.Time(binary.LittleEndian.Uint64(v[24:])),
		})
	}
	return nil
}
