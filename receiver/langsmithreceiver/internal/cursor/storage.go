package cursor

import (
	"errors"
	"slices"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// What is sealed and stored need not be in memory, where it would be several megabytes for every thousand runs a second:
// only tasks that read its time again ask for it. [Project.Release] has it away, and [Project.Recall] brings back what a
// task needs.

// Release gives back the memory of what is sealed and stored, but for what tasks under way have recalled, and for what is
// small.
func (p *Project) Release() {
	for start, b := range p.buckets {
		s := &b.sealed
		if s.block == nil || b.sealedDirty || len(s.block.data) <= p.cfg.ResidentBytes {
			continue
		}
		held := slices.ContainsFunc(p.holding, func(t *Task) bool { return t.recalled.overlaps(start) })
		if !held {
			s.leave()
		}
	}
}

// Recall has all in memory that is remembered of the window of a task, until the task ends. It comes before the first row
// of the task. Prefix is the key of the project, and get is as of [Load]. It returns how many runs storage has lost: from
// then on all that is met of their time counts as known, since nothing else keeps it from going out again.
func (p *Project) Recall(t *Task, prefix string, get func(keys []string) ([][]byte, error)) (lost int, err error) {
	if t.Kind == KindRecheck { // asks for few runs of any time, and knows by other means which of them went out
		return 0, nil
	}
	if t.recalled.Empty() {
		p.holding = append(p.holding, t)
	}
	t.recalled = t.Window
	for _, start := range p.starts() {
		if !t.recalled.overlaps(start) {
			continue
		}
		n, err := p.recall(p.buckets[start], prefix, get)
		if err != nil {
			return lost, err
		}
		lost += n
	}
	return lost, nil
}

// overlaps reports whether a part of the bucket that begins at start is in the window.
func (w Window) overlaps(start langsmith.Time) bool {
	return start < w.To && w.From < start+bucketLength
}

// RecallAll is [Project.Recall] for all that is remembered, until the next [Project.Release].
func (p *Project) RecallAll(prefix string, get func(keys []string) ([][]byte, error)) (lost int, err error) {
	for _, start := range p.starts() {
		n, err := p.recall(p.buckets[start], prefix, get)
		if err != nil {
			return lost, err
		}
		lost += n
	}
	return lost, nil
}

func (p *Project) recall(b *bucket, prefix string, get func(keys []string) ([][]byte, error)) (lost int, err error) {
	if !b.sealed.away() {
		return 0, nil
	}
	keys := make([]string, b.sealed.chunks())
	for i := range keys {
		keys[i] = sealedKey(prefix, b.start, i)
	}
	values, err := get(keys)
	if err != nil {
		return 0, err
	}
	s, err := decodeSealed(b.sealed.n, b.sealed.hashBits, slices.Concat(values...))
	if err == nil && (s.groupBits != b.sealed.groupBits || s.width != b.sealed.width) {
		err = errSealed
	}
	if errors.Is(err, errSealed) {
		return p.lose(b), nil
	}
	b.sealed = s
	return 0, err
}

// lose gives up what is sealed of a bucket.
func (p *Project) lose(b *bucket) (runs int) {
	runs = b.sealed.n - b.replaced
	p.seen -= b.count()
	p.dropStored(b)
	for i := range b.recent.segments { // they are not lost
		b.recent.segments[i].dirty = true
	}
	b.sealed, b.replaced, b.used, b.sealedDirty = sealed{}, 0, Usage{Unknown: true}, false
	b.lost, p.dirty = true, true
	p.seen += b.count()
	return runs
}

// letGo ends what a task holds in memory.
func (p *Project) letGo(t *Task) {
	p.holding = slices.DeleteFunc(p.holding, func(have *Task) bool { return have == t })
}
