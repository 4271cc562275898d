package llmmetrics

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
)

// journal notes what a recorder commits, in few bytes: a key is written once and then named by its number, and of
// the numbers only those that are there.
type journal struct {
	to   *[]byte
	keys map[uint64]journalKey // by hash
}

// journalKey is a key that was written, with its resource, at this place of the journal.
type journalKey struct {
	number   uint64
	from, to int
}

// Journal makes the recorder append to a buffer what it commits, for [Engine.Replay]; nil makes it stop. It must be
// called when nothing is staged. What one recorder appends between two calls is one journal, which nothing else may be
// put into.
func (r *Recorder) Journal(to *[]byte) {
	r.journal.to = to
	clear(r.journal.keys)
}

func (r *Recorder) note(o *staged) {
	j := &r.journal
	c := &codec{buf: *j.to}
	from := len(c.buf)
	written := c.key(o.resource.key, o.resource == r.engine.resources.other, r.key(o)[keyHead-1:])
	if before, ok := j.keys[o.hash]; ok && bytes.Equal(written, (*j.to)[before.from:before.to]) {
		c.buf = binary.AppendUvarint(c.buf[:from], before.number)
	} else {
		if j.keys == nil {
			j.keys = map[uint64]journalKey{}
		}
		j.keys[o.hash] = journalKey{number: uint64(len(j.keys) + 1), from: from, to: len(c.buf)}
	}
	c.measures(&o.measures)
	*j.to = c.buf
}

// key appends the number zero and a key. It returns what it appended.
func (c *codec) key(resourceKey string, other bool, key []byte) []byte {
	from := len(c.buf)
	c.buf = append(c.buf, 0)
	c.text(&resourceKey)
	c.bool(&other)
	c.bytes(&key)
	return c.buf[from:]
}

// Replay records what a journal holds.
func (e *Engine) Replay(journal []byte) error {
	type known struct {
		resource string
		other    bool
		key      []byte
	}
	var keys []known
	r := e.Recorder()
	defer r.Release()
	c := &codec{buf: journal, reading: true}
	for len(c.buf) > 0 {
		var number uint64
		if c.u64(&number); number == 0 && c.err == nil {
			var k known
			c.text(&k.resource)
			c.bool(&k.other)
			c.bytes(&k.key)
			if c.err == nil && (!e.validKey(string(k.key)) || !k.other && labelsIn(k.resource) != len(e.cfg.ResourceAttributes)) {
				return errState
			}
			keys = append(keys, k)
			number = uint64(len(keys))
		}
		var o staged
		c.measures(&o.measures)
		if c.err != nil {
			return c.err
		}
		if number > uint64(len(keys)) {
			return errState
		}
		k := keys[number-1]
		if Family(k.key[0])&^familyView != o.measures.family {
			return errState
		}
		o.resource = e.resources.other
		if !k.other {
			o.resource = e.resources.named(k.resource)
		}
		o.from = uint32(len(r.keys))
		r.keys = binary.LittleEndian.AppendUint32(r.keys, o.resource.id)
		r.keys = append(r.keys, k.key...)
		o.to = uint32(len(r.keys))
		o.hash = maphash.Bytes(e.seed, r.key(&o))
		r.staged = append(r.staged, o)
		r.Commit()
		if !k.other {
			e.resources.release(o.resource)
		}
	}
	return nil
}

// measures are written as a list of what is there and those values.
func (c *codec) measures(m *measures) {
	var has uint64
	at := 0
	part := func(there bool) bool {
		bit := uint64(1) << at
		at++
		if !c.reading && there {
			has |= bit
		}
		return has&bit != 0
	}
	hasFurther, further := m.further != nil, furtherMeasures{}
	if hasFurther {
		further = *m.further
	}
	// The list comes first, so it is made in a pass of its own.
	pass := func(write bool) {
		at = 0
		number := func(v *int64, absent int64) {
			if part(*v != absent) {
				if write {
					c.i64(v)
				}
			} else if c.reading {
				*v = absent
			}
		}
		float := func(v *float64) {
			if part(*v != 0) && write {
				c.bits(v)
			}
		}
		// derived is a number that most often follows from those before it, and then is not written.
		derived := func(v *float64, from float64) {
			if follows := part(*v != 0 && *v == from); !follows {
				float(v)
			} else if c.reading {
				*v = from
			}
		}
		for _, flag := range []*bool{&m.hasCost, &hasFurther, &further.streamed, &m.uncounted, &m.unestimated} {
			*flag = part(*flag)
		}
		if part(m.errorType != "") && write {
			c.text(&m.errorType)
		}
		number(&m.duration, Absent)
		number(&m.inputTokens, Absent)
		number(&m.outputTokens, Absent)
		float(&m.firstChunk)
		float(&m.cost)
		if part(m.weight != one) {
			if write {
				c.u64(&m.weight)
			}
		} else if c.reading {
			m.weight = one
		}
		for i := range further.parts {
			number(&further.parts[i], 0)
		}
		if hasFurther {
			derived(&further.speed, OutputSpeed(m.outputTokens, m.duration))
			derived(&further.perToken, TimePerOutputToken(m.outputTokens, m.duration, m.firstChunk))
		}
		for i := range further.finish {
			if part(further.finish[i] == 1) {
				further.finish[i] = 1
			}
		}
		if part(slices.Max(further.finish[:]) > 1) && write {
			for i := range further.finish {
				n := uint64(further.finish[i])
				c.u64(&n)
				further.finish[i] = uint8(n)
			}
		}
	}
	if !c.reading {
		pass(false)
	}
	family := uint64(m.family)
	c.u64(&family)
	m.family = Family(family)
	c.u64(&has)
	pass(true)
	if c.reading && hasFurther {
		f := further // so that only this one is on the heap
		m.further = &f
	}
}

// bits is a float64 in eight bytes.
func (c *codec) bits(v *float64) {
	if !c.reading {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, math.Float64bits(*v))
		return
	}
	if len(c.buf) < 8 {
		c.buf, c.err, *v = nil, errState, 0
		return
	}
	*v, c.buf = math.Float64frombits(binary.LittleEndian.Uint64(c.buf)), c.buf[8:]
}
