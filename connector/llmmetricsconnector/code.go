package llmmetricsconnector

import (
	"encoding/binary"
	"math"
)

// codec writes or reads values in turn: one description serves both, so they cannot differ. A value that cannot be read
// is zero, and so are all that follow.
type codec struct {
	buf     []byte
	reading bool
	failed  bool

	texts map[string]uint64 // numbers of the texts that were written
	list  []string          // the texts that were read
}

func (c *codec) fail() { c.buf, c.failed = nil, true }

func (c *codec) uint(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	n, used := binary.Uvarint(c.buf)
	if used <= 0 {
		c.fail()
		*v = 0
		return
	}
	*v, c.buf = n, c.buf[used:]
}

func (c *codec) int(v *int64) {
	n := uint64(*v)<<1 ^ uint64(*v>>63)
	c.uint(&n)
	*v = int64(n>>1) ^ -int64(n&1)
}

func (c *codec) float(v *float64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], math.Float64bits(*v))
	c.raw(b[:])
	*v = math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}

// raw is as many bytes as v has.
func (c *codec) raw(v []byte) {
	switch {
	case !c.reading:
		c.buf = append(c.buf, v...)
	case len(c.buf) < len(v):
		c.fail()
		clear(v)
	default:
		c.buf = c.buf[copy(v, c.buf):]
	}
}

// length is a number of things of at least one byte each, so that no damaged state asks for more memory than it has.
func (c *codec) length(n int) int {
	m := uint64(n)
	c.uint(&m)
	if c.reading && m > uint64(len(c.buf)) {
		c.fail()
		return 0
	}
	return int(m)
}

func (c *codec) bytes(v *[]byte) {
	n := c.length(len(*v))
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	*v, c.buf = c.buf[:n:n], c.buf[n:]
}

// text is written once and then named by its number.
func (c *codec) text(v *string) {
	if !c.reading {
		number, known := c.texts[*v]
		c.uint(&number)
		if known {
			return
		}
		if c.texts == nil {
			c.texts = map[string]uint64{}
		}
		b := []byte(*v)
		c.texts[string(b)] = uint64(len(c.texts) + 1)
		c.bytes(&b)
		return
	}
	var number uint64
	switch c.uint(&number); {
	case c.failed:
		*v = ""
	case number == 0:
		var b []byte
		c.bytes(&b)
		*v = string(b)
		c.list = append(c.list, *v)
	case number > uint64(len(c.list)):
		c.fail()
		*v = ""
	default:
		*v = c.list[number-1]
	}
}
