package llmmetrics

import (
	"cmp"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Cut is all totals of an engine as they were at one moment. It is written bit by bit while recording goes on: a series that
// is about to change, and is not written yet, is written first. So what waits for a cut waits for one series.
type Cut struct {
	engine    *Engine
	last      pcommon.Timestamp
	resources []*resource
	series    [1 + shardCount][]*series // those of the last flush, and what each shard has made since
	at        int                       // of them, the list at hand
}

// Cut begins a cut, which must be written before the next one and before the next flush. Nothing may be recorded at the same
// time. Exemplars, and with Delta what was not accepted yet, are left out.
func (e *Engine) Cut() *Cut {
	c := &Cut{engine: e, last: e.flusher.last, resources: e.resources.all()}
	c.series[0] = e.flusher.order
	for i := range e.shards {
		sh := &e.shards[i]
		sh.mu.Lock()
		c.series[1+i] = sh.fresh
		sh.cuts++
		sh.cut = &shardCut{codec: codec{exponentialSize: e.cfg.ExponentialSize}}
		sh.mu.Unlock()
	}
	return c
}

// shardCut is what is written of a shard.
type shardCut struct {
	codec
	parts  [][]byte // in front of what the codec has
	series int
}

// partSize bounds what is in one part: to make room for a large one takes long.
const partSize = 16 << 10

// keep writes a series to the cut that is under way, unless it is written or younger. The caller holds the lock.
func (sh *shard) keep(s *series) {
	if s.cuts == sh.cuts {
		return
	}
	s.cuts = sh.cuts
	c := sh.cut
	if len(c.buf) >= partSize || c.buf == nil {
		c.parts = append(c.parts, c.buf)
		c.buf = make([]byte, 0, partSize+partSize/4)
	}
	c.codec.series(s)
	c.series++
}

// Step writes up to n series and reports whether all are written.
func (c *Cut) Step(n int) bool {
	for c.at < len(c.series) {
		list := &c.series[c.at]
		for ; len(*list) > 0; n-- {
			if n <= 0 {
				return false
			}
			s := (*list)[0]
			*list = (*list)[1:]
			sh := c.engine.shard(s.hash)
			sh.mu.Lock()
			sh.keep(s)
			sh.mu.Unlock()
		}
		c.at++
	}
	return true
}

// AppendTo writes what is left and appends all of it, for [Engine.RestoreState]. It ends the cut.
func (c *Cut) AppendTo(to []byte) []byte {
	for !c.Step(1 << 10) {
	}
	e := c.engine
	var parts [][]byte
	series, size := 0, 0
	for i := range e.shards {
		sh := &e.shards[i]
		sh.mu.Lock()
		parts = append(append(parts, sh.cut.parts...), sh.cut.buf)
		series += sh.cut.series
		sh.cut = nil
		sh.mu.Unlock()
	}
	for _, part := range parts {
		size += len(part)
	}
	slices.SortFunc(c.resources, func(a, b *resource) int { return cmp.Compare(a.id, b.id) })
	w := &codec{buf: to}
	e.codeHead(w, c.last, c.resources)
	w.length(series)
	w.buf = slices.Grow(w.buf, size)
	for _, part := range parts {
		w.buf = append(w.buf, part...)
	}
	return w.buf
}

// all are the resources that are known.
func (r *resources) all() []*resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.AppendSeq(make([]*resource, 0, len(r.byKey)), maps.Values(r.byKey))
}
