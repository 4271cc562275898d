package llmmetrics

import (
	"encoding/binary"
	"math"
)

// counters is a list of counts in as few bytes each as the largest of them needs. Most buckets of most
// exponential histograms stay small, and there are many: at eight bytes they would be what memory is spent on.
type counters struct {
	width int // bytes of a count: 1, 2, 4 or 8; zero when there are none
	raw   []byte
}

func newCounters(n, width int) counters { return counters{width: width, raw: make([]byte, n*width)} }

func (c *counters) len() int {
	if c.width == 0 {
		return 0
	}
	return len(c.raw) / c.width
}

func (c *counters) at(i int) uint64 {
	switch c.width {
	case 1:
		return uint64(c.raw[i])
	case 2:
		return uint64(binary.LittleEndian.Uint16(c.raw[2*i:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(c.raw[4*i:]))
	default:
		return binary.LittleEndian.Uint64(c.raw[8*i:])
	}
}

func (c *counters) add(i int, n uint64) { c.set(i, c.at(i)+n) }

func (c *counters) set(i int, v uint64) {
	if v > math.MaxUint64>>(64-8*c.width) {
		c.widen(v)
	}
	switch c.width {
	case 1:
		c.raw[i] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(c.raw[2*i:], uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(c.raw[4*i:], uint32(v))
	default:
		binary.LittleEndian.PutUint64(c.raw[8*i:], v)
	}
}

// widen makes the counts wide enough for v.
func (c *counters) widen(v uint64) {
	width := c.width
	for v > math.MaxUint64>>(64-8*width) {
		width *= 2
	}
	wide := newCounters(c.len(), width)
	for i := range c.len() {
		wide.set(i, c.at(i))
	}
	*c = wide
}

func (c *counters) copyTo(dst *counters) {
	dst.width = c.width
	dst.raw = append(dst.raw[:0], c.raw...)
}

func (c *counters) sum(shift int) uint64 {
	n := uint64(0)
	for i := range c.len() {
		n += c.at(i) >> shift
	}
	return n
}
