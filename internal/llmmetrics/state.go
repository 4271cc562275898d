package llmmetrics

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// ErrOtherConfig says that a state was saved under another configuration and cannot be continued.
var ErrOtherConfig = errors.New("the state was saved with other dimensions, resource attributes or histograms")

var errState = errors.New("the state is damaged")

// RestoreState continues the totals of a [Cut]. It must be called before anything else is done with the engine.
// After an error the engine must not be used.
func (e *Engine) RestoreState(from []byte) error {
	c := &codec{buf: from, reading: true, exponentialSize: e.cfg.ExponentialSize}
	e.restore(c)
	if c.err == nil && len(c.buf) > 0 {
		return errState
	}
	return c.err
}

// shape is what a state depends on.
func (e *Engine) shape() string {
	return strings.Join(slices.Concat(
		[]string{strconv.Itoa(e.cfg.ExponentialSize), strconv.FormatBool(e.cfg.Delta), strconv.Itoa(instrumentCount)},
		e.cfg.Dimensions, []string{""}, e.cfg.ResourceAttributes, []string{viewsShape(e.views)},
	), "\x00")
}

// codeHead writes or reads what comes before the series. It returns resources by their ids.
func (e *Engine) codeHead(c *codec, last pcommon.Timestamp, known []*resource) map[uint32]*resource {
	shape := e.shape()
	if c.text(&shape); c.reading && shape != e.shape() {
		if c.err == nil {
			c.err = ErrOtherConfig
		}
		return nil
	}
	if c.time(&last); c.reading {
		e.flusher.last = max(e.flusher.last, last)
	}
	byID := map[uint32]*resource{0: e.resources.other}
	for i := range c.length(len(known)) {
		res := &resource{}
		if !c.reading { // a copy, because recorders use the resource meanwhile
			res.id, res.key = known[i].id, known[i].key
		}
		c.u32(&res.id)
		c.text(&res.key)
		if !c.reading {
			continue
		}
		if labelsIn(res.key) != len(e.cfg.ResourceAttributes) {
			c.buf, c.err = nil, errState
			return nil
		}
		byID[res.id] = res
		e.resources.byKey[res.key] = res
		e.resources.nextID = max(e.resources.nextID, res.id+1)
	}
	return byID
}

func (e *Engine) restore(c *codec) {
	byID := e.codeHead(c, 0, nil)
	if c.err != nil {
		return
	}
	var inference []*series
	for range c.length(0) {
		s := &series{}
		if c.series(s); c.err != nil {
			return
		}
		if len(s.key) < keyHead || !e.validKey(s.key[keyHead-1:]) {
			c.err = errState
			return
		}
		res := byID[binary.LittleEndian.Uint32([]byte(s.key))]
		if res == nil {
			c.err = errState
			return
		}
		if s.resource = res; s.overflow() && s.inference() && e.cfg.Semconv != SemconvG2 {
			inference = append(inference, s)
			continue
		}
		e.adopt(s, res)
	}
	for _, s := range inference {
		e.fold(s)
	}
}

// fold adds an overflow series of inference to that of all operations: saved with other names of metrics, the two would be
// one data point.
func (e *Engine) fold(s *series) {
	key := []byte(s.key)
	key[keyHead-1] &^= familyInference
	hash := maphash.Bytes(e.seed, key)
	if all := e.shard(hash).table.find(hash, key); all != nil {
		all.success.duration.state.merge(&s.success.duration.state)
		return
	}
	s.key = string(key)
	e.adopt(s, s.resource)
}

// adopt takes a series that was restored.
func (e *Engine) adopt(s *series, res *resource) {
	s.hash, s.resource = maphash.Bytes(e.seed, []byte(s.key)), res
	s.success.touched = true
	res.series.Add(1)
	sh := e.shard(s.hash)
	sh.table.insert(s)
	sh.fresh = append(sh.fresh, s)
	if !s.overflow() {
		e.active.Add(1)
	}
	for _, out := range s.failed {
		out.touched = true
		if f := out.failure; f != nil && e.cfg.ErrorClass != nil && s.family() == FamilyClient {
			f.errorClass = e.cfg.ErrorClass(f.errorType)
		}
		e.active.Add(1)
	}
}

// labelsIn is the number of labels in a key, or -1 when they cannot be taken apart.
func labelsIn(labels string) (n int) {
	for labels != "" {
		length, used := binary.Uvarint([]byte(labels[:min(len(labels), binary.MaxVarintLen64)]))
		if used <= 0 || used > 2 || length > uint64(len(labels)-used) {
			return -1
		}
		labels = labels[used+int(length):]
		n++
	}
	return n
}

// validKey reports whether the part of a key from the family on is one of this engine.
func (e *Engine) validKey(key string) bool {
	if key == "" {
		return false
	}
	family := Family(key[0])
	if view := int(family&familyView) >> viewShift; view > 0 {
		if view >= len(e.views) || family&(familyOverflow|familyInference) != 0 {
			return false
		}
		family &^= familyView
	}
	switch {
	case family&^familyFlags >= familyCount:
		return false
	case family&familyFlags != 0:
		return family&familyOverflow != 0 && len(key) == 1
	}
	return labelsIn(key[1:]) == len(families[family].labels)+len(e.cfg.Dimensions)
}

// codec writes or reads values in turn: one description serves both, so they cannot differ.
type codec struct {
	buf             []byte
	reading         bool
	err             error
	exponentialSize int
}

func (c *codec) u64(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	n, used := binary.Uvarint(c.buf)
	if used <= 0 {
		c.buf, c.err, *v = nil, errState, 0
		return
	}
	*v, c.buf = n, c.buf[used:]
}

func (c *codec) u32(v *uint32) {
	n := uint64(*v)
	c.u64(&n)
	*v = uint32(n)
}

func (c *codec) i64(v *int64) {
	n := uint64(*v)<<1 ^ uint64(*v>>63)
	c.u64(&n)
	*v = int64(n>>1) ^ -int64(n&1)
}

func (c *codec) int(v *int) {
	n := int64(*v)
	c.i64(&n)
	*v = int(n)
}

func (c *codec) bool(v *bool) {
	n := uint64(0)
	if *v {
		n = 1
	}
	c.u64(&n)
	*v = n != 0
}

func (c *codec) time(v *pcommon.Timestamp) {
	n := uint64(*v)
	c.u64(&n)
	*v = pcommon.Timestamp(n)
}

func (c *codec) bytes(v *[]byte) {
	n := c.length(len(*v))
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	*v, c.buf = c.buf[:n:n], c.buf[n:]
}

func (c *codec) text(v *string) {
	if !c.reading {
		c.length(len(*v))
		c.buf = append(c.buf, *v...)
		return
	}
	var b []byte
	c.bytes(&b)
	*v = string(b)
}

// length is a number of things of at least one byte each, so that no damaged state asks for more memory than it has.
func (c *codec) length(n int) int {
	m := uint64(n)
	c.u64(&m)
	if c.reading && m > uint64(len(c.buf)) {
		c.buf, c.err = nil, errState
		return 0
	}
	return int(m)
}

func (c *codec) sum(s *sum) {
	c.u64(&s.hi)
	c.u64(&s.lo)
}

func (c *codec) stamp(s *stamp) {
	// What the flush at hand is about to tell counts as told: a zero after a value would look like a restart.
	phase := uint64(max(s.phase, s.next))
	c.time(&s.start)
	c.u64(&phase)
	if c.reading {
		s.phase = stampPhase(phase)
	}
}

func stampPhase(n uint64) phase { return phase(min(n, uint64(phaseLive))) }

func (c *codec) histogram(h *histogram) {
	c.sum(&h.total)
	c.u64(&h.notMin)
	c.u64(&h.max)
	c.bool(&h.fine)
	if c.exponentialSize == 0 {
		for i := range h.counts {
			n := h.bucket(i)
			c.u64(&n)
			if c.reading {
				h.setBucket(i, n)
			}
		}
		return
	}
	exists := h.exp != nil
	if c.bool(&exists); !exists {
		return
	}
	if c.reading {
		h.exp = newExponential(c.exponentialSize)
	}
	x := h.exp
	scale, low, high := x.scale, x.low, x.high
	c.int(&scale)
	c.int(&low)
	c.int(&high)
	c.u64(&x.zero)
	if c.reading {
		if c.err != nil || scale > maxScale || scale < -11 || low < -1<<40 || high > 1<<40 || high-low >= c.exponentialSize {
			c.buf, c.err = nil, errState
			return
		}
		x.scale = scale
		if low <= high {
			x.grow(high - low + 1)
		}
		x.low, x.high = low, high
	}
	for i := low; i <= high; i++ {
		var n uint64
		if !c.reading {
			n = x.ring.at(x.slot(i))
		}
		c.u64(&n)
		if c.reading && n > 0 {
			x.ring.set(x.slot(i), n)
		}
	}
}

func (c *codec) point(p *point) {
	c.stamp(&p.stamp)
	c.histogram(&p.state)
}

func (c *codec) counter(n *counter) {
	c.stamp(&n.stamp)
	c.sum(&n.value)
}

// optional writes whether something is there, or makes it when it was.
func optional[T any](c *codec, v **T, code func(*T)) {
	exists := *v != nil
	if c.bool(&exists); !exists {
		return
	}
	if c.reading {
		*v = new(T)
	}
	code(*v)
}

func (c *codec) outcome(out *outcome) {
	c.point(&out.duration)
	optional(c, &out.errors, c.counter)
	c.time(&out.lastSeen)
	errorType := out.kind().errorType
	if c.text(&errorType); c.reading && errorType != "" {
		out.failure = &failure{errorType: errorType}
	}
}

func (c *codec) series(s *series) {
	c.text(&s.key)
	c.outcome(&s.success)
	var names []string
	if len(s.failed) > 0 { // most have none, and this takes memory
		names = slices.Sorted(maps.Keys(s.failed))
	}
	for range c.length(len(names)) {
		out := &outcome{}
		if !c.reading {
			out, names = s.failed[names[0]], names[1:]
		}
		c.outcome(out)
		if c.reading {
			if s.failed == nil {
				s.failed = map[string]*outcome{}
			}
			s.failed[out.kind().errorType] = out
		}
	}
	optional(c, &s.usage, func(u *usage) {
		c.point(&u.inputTokens)
		c.point(&u.outputTokens)
		c.point(&u.cost)
		optional(c, &u.firstChunk, c.point)
		optional(c, &u.further, func(f *further) {
			for i := range f.counters {
				optional(c, &f.counters[i], c.counter)
			}
			for i := range f.points {
				optional(c, &f.points[i], c.point)
			}
		})
	})
}
