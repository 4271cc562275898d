package genai

import (
	"unsafe"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Session reads spans one after another, faster than [Reader.Read] with the same result: spans of one source
// list their attributes in one order, so what the last span had at a place is mostly what this one has there,
// and one comparison confirms it. It is not safe for concurrent use.
type Session struct {
	reader *Reader
	scan   scan
	hints  [layouts]layout
}

// A layout is the order of the attributes of a span. Chats, tools and agents of one source have their own; the
// number of attributes tells them apart well enough.
type layout [layoutPlaces]hint

const (
	layouts      = 8
	layoutPlaces = 64
)

// hint is the key at some place and what is known about it. It is one line of the processor's cache, and does not point
// into the span.
type hint struct {
	// Length and words tell a key of at most 32 bytes from all others. Words may overlap: what is compared twice costs
	// less than to know where it is. Longer keys have none.
	length int
	words  [4]uint64

	entry *entry // nil for nothing

	// Of the entry.
	way   way
	slot  slot
	rank  uint8
	marks marks
	extra uint16
}

// A way is how the usual value of a key is read without a call. What is not usual is left to [scan.take].
type way uint8

const (
	wayNone  way = iota // the value is of no interest
	wayTake             // nothing is usual
	wayText             // a text into a slot
	wayCount            // an integer into a slot
	wayCost             // a double into a slot
	wayExtra            // a text that is a further attribute, and nothing else
)

// Session starts a session.
func (r *Reader) Session() *Session { return &Session{reader: r} }

// Read is [Reader.Read]. The spans must stay as they are while call is in use.
func (s *Session) Read(span ptrace.Span, scopeName string, resource pcommon.Map, call *Call) {
	s.reader.begin(&s.scan, span, call)
	attributes := span.Attributes()
	hints := &s.hints[attributes.Len()%layouts]
	scan := &s.scan
	var marks marks
	at := 0
	for key, value := range attributes.All() {
		h := &hints[at%layoutPlaces]
		at++
		// No function of its own: the call would take as long as the rest. The body of this loop is a function too, which
		// must stay small enough to be inlined: go build -gcflags=-m=2 tells the cost of Read-range1, of 800.
		n := len(key)
		known := n == h.length
		switch {
		case !known:
		case n >= 16 && n <= 32:
			known = (word(key, 0)^h.words[0])|(word(key, 8)^h.words[1])|
				(word(key, n-16)^h.words[2])|(word(key, n-8)^h.words[3]) == 0
		case n >= 8 && n < 16:
			known = (word(key, 0)^h.words[0])|(word(key, n-8)^h.words[1]) == 0
		case n >= 4 && n < 8:
			known = (half(key, 0)^h.words[0])|(half(key, n-4)^h.words[1]) == 0
		case n < 4:
			known = letters(key) == h.words[0]
		default:
			known = h.entry != nil && h.entry.key == key
		}
		if !known {
			s.learn(h, key)
		}
		marks |= h.marks
		switch h.way {
		case wayNone:
			continue
		case wayText:
			if text := value.Str(); text != "" && h.rank > scan.best[h.slot] {
				scan.text[h.slot], scan.best[h.slot] = text, h.rank
				continue
			}
		case wayCount:
			if n := value.Int(); n > 0 && n <= maxCount && h.rank > scan.best[h.slot] {
				scan.counts[h.slot-textSlots], scan.best[h.slot] = n, h.rank
				continue
			}
		case wayCost:
			if c := value.Double(); c > 0 && c <= maxCost && h.rank > scan.best[h.slot] {
				scan.numbers[h.slot-countSlots], scan.best[h.slot] = c, h.rank
				continue
			}
		case wayExtra:
			if value.Str() != "" {
				call.Extra[h.extra-1] = value
				continue
			}
		}
		scan.takeAny(h.entry, value, call)
	}
	scan.marks = marks
	scan.conclude(span, scopeName, resource, call)
}

// takeAny is for values that are not usual.
func (s *scan) takeAny(e *entry, value pcommon.Value, call *Call) {
	if e.rank > s.best[e.slot] {
		s.take(e, value)
	}
	if e.extra != 0 {
		call.keep(e.extra, value)
	}
}

// learn makes a hint of a key.
func (s *Session) learn(h *hint, key string) {
	*h = hint{length: len(key), words: wordsOf(key), entry: s.reader.names.find(key)}
	e := h.entry
	if e == nil {
		return
	}
	h.slot, h.rank, h.marks, h.extra = e.slot, e.rank, e.marks, e.extra
	switch {
	case e.slot == slotNone && e.extra == 0:
		h.way = wayNone
	case e.slot == slotNone:
		h.way = wayExtra
	case e.extra != 0:
		h.way = wayTake
	case e.decode == asText || e.decode == asID:
		h.way = wayText
	case e.decode == asCount:
		h.way = wayCount
	case e.decode == asCost:
		h.way = wayCost
	default:
		h.way = wayTake
	}
}

// Forget drops what the session holds of the spans it read, so that they can be freed. It still knows their order.
func (s *Session) Forget() { s.scan = scan{} }

func wordsOf(key string) (words [4]uint64) {
	switch n := len(key); {
	case n > 32:
	case n >= 16:
		words = [...]uint64{word(key, 0), word(key, 8), word(key, n-16), word(key, n-8)}
	case n >= 8:
		words[0], words[1] = word(key, 0), word(key, n-8)
	case n >= 4:
		words[0], words[1] = half(key, 0), half(key, n-4)
	default:
		words[0] = letters(key)
	}
	return words
}

// letters are the bytes of a key of less than four.
func letters(key string) (all uint64) {
	for i := range len(key) {
		all = all<<8 | uint64(key[i])
	}
	return all
}

// word is the eight bytes of s at this place, which must be inside.
func word(s string, at int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at))
}

// half is the four bytes of s at this place, which must be inside.
func half(s string, at int) uint64 {
	return uint64(*(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at)))
}
