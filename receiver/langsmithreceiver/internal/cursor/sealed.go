package cursor

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

const (
	// hashBits is how much of a hash a sealed run keeps. A run that was never read is taken for one of n that started
	// in the same 30 seconds with a probability of n/2^48: with 3 000 runs a second, one of 3 billion of those that come
	// late.
	hashBits = 48
	// groupRuns is how many runs have the leading bits of their hash in common at most, on average; at least half as many.
	groupRuns = 16

	// narrow and wide are the bytes that are kept of a run beside its hash: the last of its revision, so that one
	// change in 256 is not noticed, and a digest of its usage, or all of both.
	narrow = 1 + 1
	wide   = 4 + 4 + 4

	// sealedHeader is the number of group bits, and the width.
	sealedHeader = 2
	maxGroupBits = 24
)

// sealed is the runs of a bucket of which hardly any are expected any more, in a form to which none can be added: of each
// run the rest of its hash, without the leading bits, which its group says. A narrow one of a busy project takes 7 bytes
// for each run, outside of Go's heap, unless they are away: in storage only. The zero value has none.
type sealed struct {
	n         int
	hashBits  int // less for what was stored by an earlier version
	groupBits int
	width     int
	block     *block
	// ends are where the groups end, counted in runs, 4 bytes each; extras what is kept of each run beside its hash, and
	// rests the rests of the hashes, bit by bit, and 7 bytes more, so that 8 can be read anywhere.
	ends, extras, rests []byte
}

// newSealed has place for n runs.
func newSealed(n, hashBits, groupBits, width int) sealed {
	s := sealed{n: n, hashBits: hashBits, groupBits: groupBits, width: width}
	s.place(newBlock(s.size()))
	return s
}

// size is how many bytes the runs take.
func (s *sealed) size() int {
	return 4<<s.groupBits + s.n*s.width + (s.n*s.restBits()+7)/8 + 7
}

// away reports whether the runs are in storage only.
func (s *sealed) away() bool { return s.n > 0 && s.block == nil }

// leave gives the memory back. The runs are away then.
func (s *sealed) leave() {
	s.block.free()
	s.block, s.ends, s.extras, s.rests = nil, nil, nil, nil
}

func (s *sealed) place(b *block) {
	s.block = b
	ends, extras := 4<<s.groupBits, s.n*s.width
	s.ends, s.extras, s.rests = b.data[:ends], b.data[ends:][:extras], b.data[ends+extras:]
}

func (s *sealed) restBits() int { return s.hashBits - s.groupBits }

func (s *sealed) end(group int) int {
	return int(binary.LittleEndian.Uint32(s.ends[4*group:]))
}

func (s *sealed) begin(group int) int {
	if group == 0 {
		return 0
	}
	return s.end(group - 1)
}

func (s *sealed) rest(i int) uint64 {
	bit := i * s.restBits()
	return binary.LittleEndian.Uint64(s.rests[bit/8:]) >> (bit % 8) & (1<<s.restBits() - 1)
}

// split is the group of a hash and its rest.
func (s *sealed) split(hash uint64) (group int, rest uint64) {
	hash >>= 64 - s.hashBits
	return int(hash >> s.restBits()), hash & (1<<s.restBits() - 1)
}

// find returns the number of a run, or -1.
func (s *sealed) find(hash uint64) int {
	if s.block == nil {
		return -1
	}
	group, rest := s.split(hash)
	for i, end := s.begin(group), s.end(group); i < end; i++ {
		if s.rest(i) == rest {
			return i
		}
	}
	return -1
}

// revision of a run, and which bits of it are known.
func (s *sealed) revision(i int) (revision, mask uint32) {
	if s.width == narrow {
		return uint32(s.extras[i*narrow]), math.MaxUint8
	}
	return binary.LittleEndian.Uint32(s.extras[i*wide:]), math.MaxUint32
}

// had reports whether the usage of a run was this one. Of a narrow run, one in 256 others is taken for it.
func (s *sealed) had(i int, used usage) bool {
	if s.width == narrow {
		return s.digest(i) == used.digest()
	}
	return s.usage(i) == used
}

// digest of the usage of a run.
func (s *sealed) digest(i int) byte {
	if s.width == narrow {
		return s.extras[i*narrow+1]
	}
	return s.usage(i).digest()
}

// usage of a run, if it is known.
func (s *sealed) usage(i int) usage {
	if s.width == narrow {
		return usage{tokens: unknownTokens}
	}
	extra := s.extras[i*wide:]
	return usage{binary.LittleEndian.Uint32(extra[4:]), math.Float32frombits(binary.LittleEndian.Uint32(extra[8:]))}
}

// each calls do with every run, but for those that are left out.
func (s *sealed) each(without []bool, do func(hash uint64, revision uint32, usage usage, digest byte)) {
	group := 0
	for i := range s.n {
		for i >= s.end(group) {
			group++
		}
		if without[i] {
			continue
		}
		revision, _ := s.revision(i)
		do((uint64(group)<<s.restBits()|s.rest(i))<<(64-s.hashBits), revision, s.usage(i), s.digest(i))
	}
}

// seal returns the runs of both, as they were last. Nothing can be kept of those in old that is not known.
func seal(old *sealed, recent *recent, width int) sealed { return sealTo(old, recent, hashBits, width) }

func sealTo(old *sealed, recent *recent, hashBits, width int) sealed {
	if old.n > 0 {
		width = min(width, old.width)
	}
	replaced := make([]bool, old.n)
	n := old.n + recent.n
	for position := range recent.n {
		if i := old.find(recent.hash(position)); i >= 0 && !replaced[i] {
			replaced[i] = true
			n--
		}
	}
	each := func(do func(hash uint64, revision uint32, usage usage, digest byte)) {
		old.each(replaced, do)
		for position := range recent.n {
			used := recent.usage(position)
			do(recent.hash(position), recent.revision(position), used, used.digest())
		}
	}
	s := newSealed(n, hashBits, min(bits.Len(uint(n/groupRuns)), maxGroupBits), width)
	// How many there are in each group tells where it begins, and when all are placed, that is where it ends.
	at := make([]uint32, 1<<s.groupBits)
	each(func(hash uint64, _ uint32, _ usage, _ byte) {
		group, _ := s.split(hash)
		at[group]++
	})
	begin := uint32(0)
	for group, runs := range at {
		at[group] = begin
		begin += runs
	}
	each(func(hash uint64, revision uint32, usage usage, digest byte) {
		group, rest := s.split(hash)
		s.set(int(at[group]), rest, revision, usage, digest)
		at[group]++
	})
	for group, end := range at {
		binary.LittleEndian.PutUint32(s.ends[4*group:], end)
	}
	return s
}

func (s *sealed) set(i int, rest uint64, revision uint32, usage usage, digest byte) {
	bit := i * s.restBits()
	around := s.rests[bit/8:]
	binary.LittleEndian.PutUint64(around, binary.LittleEndian.Uint64(around)|rest<<(bit%8))
	if s.width == narrow {
		s.extras[i*narrow], s.extras[i*narrow+1] = byte(revision), digest
		return
	}
	extra := s.extras[i*wide:]
	binary.LittleEndian.PutUint32(extra, revision)
	binary.LittleEndian.PutUint32(extra[4:], usage.tokens)
	binary.LittleEndian.PutUint32(extra[8:], math.Float32bits(usage.cost))
}

var errSealed = errors.New("damaged")

// chunks is how many chunks the stored form has.
func (s *sealed) chunks() int {
	if s.n == 0 {
		return 0
	}
	return (sealedHeader + s.size() + sealedChunk - 1) / sealedChunk
}

// encode returns the form in which the runs are stored, in memory of its own.
func (s *sealed) encode() []byte {
	value := make([]byte, 0, sealedHeader+len(s.block.data))
	return append(append(value, byte(s.groupBits), byte(s.width)), s.block.data...)
}

// decodeSealed returns the n runs of a stored value.
func decodeSealed(n, hashBits int, value []byte) (sealed, error) {
	if len(value) < sealedHeader {
		return sealed{}, errSealed
	}
	groupBits, width := int(value[0]), int(value[1])
	expected := sealed{n: n, hashBits: hashBits, groupBits: groupBits, width: width}
	if groupBits > maxGroupBits || width != narrow && width != wide || len(value)-sealedHeader != expected.size() {
		return sealed{}, errSealed
	}
	s := newSealed(n, hashBits, groupBits, width)
	copy(s.block.data, value[sealedHeader:])
	for group := range 1 << groupBits {
		if s.end(group) < s.begin(group) {
			return sealed{}, errSealed
		}
	}
	if s.end(1<<groupBits-1) != n {
		return sealed{}, errSealed
	}
	return s, nil
}
