package cursor

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Version is the format of what is stored. A newer one is refused. Version 1 did not hold the usage of runs, both versions
// before 3 held the whole id of each, and that held more of its hash.
const Version = 4

// hashBitsV3 is how much of a hash a sealed run had in version 3.
const hashBitsV3 = 56

// Sizes of what earlier versions stored of a run: id and revision, and since version 2 the usage.
const (
	seenEntrySizeV1 = 16 + 4
	seenEntrySizeV2 = seenEntrySizeV1 + 4 + 4
	segmentEntries2 = 2048
)

// sealedChunk is how much of a sealed bucket is stored under one key. A larger value has a storage such as bbolt, which
// writes neighbours with it, write and occupy more. There two of these with their keys fill eight pages.
const sealedChunk = 16<<10 - 128

// maxSeenInBucket is more ids than any project has in 30 seconds; a larger count is a sign of damage.
const maxSeenInBucket = 1 << 24

// maxChunks is more than the chunks of so many.
const maxChunks = maxSeenInBucket * (wide + hashBitsV3/8 + 1) / sealedChunk

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
	Backlog []langsmith.Time `json:"backlog,omitempty"`
	HashKey []byte           `json:"hash_key,omitempty"`
	Gaps    [][2]int64       `json:"gaps,omitempty"`
	Buckets []bucketInRecord `json:"buckets,omitempty"`
}

type bucketInRecord struct {
	Start langsmith.Time `json:"start"`
	// Seen is how many runs are in segments.
	Seen    int  `json:"seen,omitempty"`
	Sealed  int  `json:"sealed,omitempty"`
	Chunks  int  `json:"chunks,omitempty"`
	Waiting int  `json:"waiting,omitempty"`
	Lost    bool `json:"lost,omitempty"`
	// What the calls of models used that are sealed and not in segments.
	Tokens  int64   `json:"tokens,omitempty"`
	Cost    float64 `json:"cost,omitempty"`
	Unknown bool    `json:"unknown,omitempty"`
}

func seenKey(prefix string, start langsmith.Time, segment int) string {
	return prefix + "/seen/" + strconv.FormatInt(int64(start)/1e9, 10) + "/" + strconv.Itoa(segment)
}

func sealedKey(prefix string, start langsmith.Time, chunk int) string {
	return prefix + "/sealed/" + strconv.FormatInt(int64(start)/1e9, 10) + "/" + fmt.Sprintf("%03d", chunk)
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
	rec := record{Version: Version, Head: p.head, Floor: p.floor, Swept: p.swept, Checked: p.checked, HashKey: p.key[:]}
	if !p.backlog.Empty() {
		rec.Backlog = []langsmith.Time{p.backlog.From, p.backlog.To}
	}
	for _, w := range p.gaps {
		rec.Gaps = append(rec.Gaps, [2]int64{int64(w.From), int64(w.To)})
	}
	for _, start := range p.starts() {
		b := p.buckets[start]
		rec.Buckets = append(rec.Buckets, bucketInRecord{
			Start: start, Seen: b.recent.n, Sealed: b.sealed.n, Chunks: b.sealed.chunks(), Waiting: len(b.waiting), Lost: b.lost,
			Tokens: b.used.Tokens, Cost: b.used.Cost, Unknown: b.used.Unknown,
		})
		if b.sealedDirty {
			i := 0
			for chunk := range slices.Chunk(b.sealed.encode(), sealedChunk) {
				changes = append(changes, Change{Key: sealedKey(prefix, start, i), Value: chunk})
				i++
			}
		}
		for i, s := range b.recent.segments {
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
		for i := range b.recent.segments {
			b.recent.segments[i].dirty = false
		}
		b.storedSegments = len(b.recent.segments)
		b.storedChunks = b.sealed.chunks()
		b.sealedDirty = false
		b.storedWaiting = len(b.waiting) > 0
		b.waitingDirty = false
	}
}

// Rewrite has the next [Project.Changes] hold the whole state, for a storage that has nothing of it. Nothing may be
// away: see [Project.RecallAll].
func (p *Project) Rewrite() {
	p.forgotten, p.dirty = nil, true
	for _, b := range p.buckets {
		for i := range b.recent.segments {
			b.recent.segments[i].dirty = true
		}
		b.sealedDirty = b.sealed.n > 0
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
	key := cfg.HashKey
	if rec.Version >= 3 && copy(key[:], rec.HashKey) != len(key) {
		return nil, fmt.Errorf("%w: key %q", ErrCorrupt, prefix)
	}
	p := newProject(cfg, key, rec.Head, rec.Floor)
	p.swept = rec.Swept
	if cfg.Reconcile {
		p.checked = rec.Checked
		if len(rec.Backlog) == 2 {
			p.backlog = Window{rec.Backlog[0], rec.Backlog[1]}
		}
	}
	for _, g := range rec.Gaps {
		p.gaps = p.gaps.add(Window{langsmith.Time(g[0]), langsmith.Time(g[1])})
	}
	if rec.Head <= 0 || rec.Floor > rec.Head || rec.Swept > rec.Head || rec.Checked != bucketStart(rec.Checked) ||
		!p.backlog.Empty() && (p.backlog.From != bucketStart(p.backlog.From) || p.backlog.To != bucketStart(p.backlog.To) || p.backlog.From < rec.Checked) {
		return nil, fmt.Errorf("%w: key %q", ErrCorrupt, prefix)
	}
	if err := p.loadBuckets(rec, prefix, get); err != nil {
		return nil, err
	}
	p.Saved()
	for _, b := range p.buckets {
		p.waitAgain(b)
	}
	if rec.Version < Version {
		p.Rewrite()
	}
	return p, nil
}

func (p *Project) loadBuckets(rec record, prefix string, get func([]string) ([][]byte, error)) error {
	perSegment := segmentEntries
	if rec.Version < 3 {
		perSegment = segmentEntries2
	}
	for _, r := range rec.Buckets {
		if r.Start != bucketStart(r.Start) || r.Seen < 0 || r.Seen > maxSeenInBucket || r.Sealed < 0 || r.Sealed > maxSeenInBucket ||
			r.Chunks < 0 || r.Chunks > maxChunks || r.Chunks > 0 != (r.Sealed > 0) || r.Waiting < 0 {
			return fmt.Errorf("%w: key %q", ErrCorrupt, prefix)
		}
		var keys []string
		for i := range (r.Seen + perSegment - 1) / perSegment {
			keys = append(keys, seenKey(prefix, r.Start, i))
		}
		segments := len(keys)
		for i := range r.Chunks {
			keys = append(keys, sealedKey(prefix, r.Start, i))
		}
		if r.Waiting > 0 {
			keys = append(keys, waitingKey(prefix, r.Start))
		}
		if r.Lost {
			b := p.bucket(r.Start)
			b.lost, b.used = true, Usage{r.Tokens, r.Cost, r.Unknown}
		}
		if len(keys) == 0 {
			continue
		}
		values, err := get(keys)
		if err != nil {
			return err
		}
		b := p.bucket(r.Start)
		if r.Sealed > 0 {
			value := slices.Concat(values[segments : segments+r.Chunks]...)
			if b.sealed, err = loadSealed(r.Sealed, rec.Version, value); err != nil {
				return fmt.Errorf("%w: key %q", ErrCorrupt, keys[segments])
			}
		}
		for i, v := range values[:segments] {
			if !p.loadSegment(b, rec.Version, min(r.Seen-i*perSegment, perSegment), v) {
				return fmt.Errorf("%w: key %q", ErrCorrupt, keys[i])
			}
		}
		if b.recent.n != r.Seen {
			return fmt.Errorf("%w: key %q", ErrCorrupt, keys[0])
		}
		b.used = Usage{r.Tokens, r.Cost, r.Unknown}
		if r.Waiting > 0 {
			last := len(keys) - 1
			if err := p.loadWaiting(values[last]); err != nil || len(b.waiting) != r.Waiting {
				return fmt.Errorf("%w: key %q", ErrCorrupt, keys[last])
			}
		}
		p.seen += b.count()
	}
	return nil
}

func loadSealed(runs, version int, value []byte) (sealed, error) {
	if version > 3 {
		return decodeSealed(runs, hashBits, value)
	}
	former, err := decodeSealed(runs, hashBitsV3, value)
	if err != nil {
		return sealed{}, err
	}
	return seal(&former, &recent{}, former.width), nil
}

// loadSegment reads so many runs, and reports whether that could be done.
func (p *Project) loadSegment(b *bucket, version, runs int, v []byte) bool {
	size := recentEntrySize
	switch version {
	case 1:
		size = seenEntrySizeV1
	case 2:
		size = seenEntrySizeV2
	}
	if len(v) != runs*size {
		return false
	}
	for ; len(v) > 0; v = v[size:] {
		e := v[:size]
		var hash uint64
		if version < 3 {
			hash, e = p.hash(langsmith.UUID(e[:16])), e[16:]
		} else {
			hash, e = binary.LittleEndian.Uint64(e), e[8:]
		}
		used := usage{tokens: unknownTokens}
		if version > 1 {
			used = usage{binary.LittleEndian.Uint32(e[4:]), math.Float32frombits(binary.LittleEndian.Uint32(e[8:]))}
		}
		b.put(hash, binary.LittleEndian.Uint32(e), used, previous{})
	}
	return true
}

// waitAgain marks those runs as changed that went out before they waited.
func (p *Project) waitAgain(b *bucket) {
	for _, w := range b.waiting {
		hash := p.hash(w.ID)
		if have, ok := b.find(hash); !ok || have.lost {
			continue
		}
		if !p.cfg.EmitUpdates {
			p.dropWaiting(w.ID, w.Start)
			continue
		}
		w.changed, w.was = true, b.previous(hash)
	}
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
