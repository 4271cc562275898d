package langsmith

import (
	"bytes"
	"errors"
	"io"
	"runtime"

	"github.com/segmentio/asm/ascii"
	"github.com/segmentio/asm/utf8"
)

const (
	// defaultMaxRunBytes is well above what LangSmith takes in for one run.
	defaultMaxRunBytes = 256 << 20
	// firstBuffer holds a hundred usual runs, and stays in the processor's cache.
	firstBuffer = 512 << 10
	// pauseAfter is how many bytes are read before others get the processor, about a tenth of a millisecond.
	pauseAfter = 64 << 10
	// keptMembers is how much room for metadata is kept for the next page.
	keptMembers = 10_000
	// keptTokens is how much room for an index is kept for the next page.
	keptTokens = 16 << 10
	// keptBuffer is how large a buffer may be that is kept for the next page.
	keptBuffer = 8 << 20
)

var (
	errNotPage   = errors.New("the answer is no page of runs")
	errTruncated = errors.New("the answer ends within the page")
	errSyntax    = errors.New("the answer is no valid JSON")
	errTooLarge  = errors.New("a value of the answer is too large")
)

// Decoder reads pages of runs, v1 and v2. It holds one run in memory at a time, and not the page. It can be
// used again and again, by one goroutine at a time, and then does not allocate.
type Decoder struct {
	runs runDecoder
	// p is where the next byte to look at stands in runs.b.
	p      int
	buf    []byte // all memory of the buffer, runs.b is its beginning
	source io.Reader
	end    error // what the source ended with
	max    int64
	yield  func(*Run) error
	page   Page
	// sincePause is how many bytes were read since others had the processor.
	sincePause int
	// repaired is the copy of a run whose UTF-8 was mended.
	repaired runDecoder
}

// NewDecoder makes a decoder that skips runs above maxRunBytes; zero means 256 MiB.
func NewDecoder(maxRunBytes int64) *Decoder {
	if maxRunBytes <= 0 {
		maxRunBytes = defaultMaxRunBytes
	}
	return &Decoder{max: maxRunBytes, buf: make([]byte, firstBuffer)}
}

// Decode reads one page to its end and yields its runs. A run is valid only inside yield. When yield fails,
// Decode stops and returns that error as it is. Runs that cannot be read are skipped and told in
// [Page.Skipped]; invalid UTF-8 in a run becomes U+FFFD.
func (d *Decoder) Decode(r io.Reader, yield func(*Run) error) (Page, error) {
	d.source, d.yield, d.end, d.page, d.p = r, yield, nil, Page{}, 0
	d.runs.set(d.buf[:0])
	d.runs.restart()
	err := d.document()
	page := d.page
	d.source, d.yield, d.page = nil, nil, Page{}
	if len(d.buf) > keptBuffer {
		d.buf = make([]byte, firstBuffer)
		d.runs.set(d.buf[:0])
	}
	if cap(d.runs.run.Metadata)+cap(d.runs.extraMetadata) > keptMembers {
		d.runs.run.Metadata, d.runs.extraMetadata = nil, nil
	}
	if cap(d.runs.tokens) > keptTokens {
		d.runs.tokens = nil
	}
	d.runs.index = Index{}
	return page, err
}

func (d *Decoder) document() error {
	if c, err := d.peek(); err != nil {
		return err
	} else if c != '{' {
		return errNotPage
	}
	d.p++
	found := false
	for first := true; ; first = false {
		c, err := d.peek()
		if err != nil {
			return err
		}
		if c == '}' && first {
			d.p++
			break
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		switch key {
		case keyRuns:
			found = true
			err = d.array()
		default:
			err = d.other(key)
		}
		if err != nil {
			return err
		}
		if c, err = d.peek(); err != nil {
			return err
		}
		d.p++
		if c == '}' {
			break
		}
		if c != ',' {
			return errSyntax
		}
	}
	if !found {
		return errNotPage
	}
	// Reading to the end also checks the checksum of a compressed answer.
	switch _, err := d.peek(); {
	case err == nil:
		return errSyntax
	case errors.Is(err, errTruncated):
		return nil
	default:
		return err
	}
}

type pageKey uint8

const (
	keyOther pageKey = iota
	keyRuns
	keyCursors
	keyNextCursor
)

// key reads a key of the page and its colon.
func (d *Decoder) key() (pageKey, error) {
	if c, err := d.peek(); err != nil {
		return 0, err
	} else if c != '"' {
		return 0, errSyntax
	}
	end, err := d.value()
	if err != nil {
		return 0, err
	}
	key := keyOther
	switch string(d.runs.b[d.p+1 : end-1]) {
	case "runs", "items":
		key = keyRuns
	case "cursors":
		key = keyCursors
	case "next_cursor":
		key = keyNextCursor
	}
	d.p = end
	if c, err := d.peek(); err != nil {
		return 0, err
	} else if c != ':' {
		return 0, errSyntax
	}
	d.p++
	return key, nil
}

// other reads any member of the page but the runs.
func (d *Decoder) other(key pageKey) error {
	if _, err := d.peek(); err != nil {
		return err
	}
	end, err := d.value()
	if err != nil {
		return err
	}
	v := Raw(d.runs.b[d.p:end])
	d.p = end
	if key == keyCursors {
		v = v.Get("next")
	}
	if key != keyOther {
		if t := v.Text(); len(t) > 0 {
			d.page.NextCursor = Text(bytes.ToValidUTF8(t, []byte("\uFFFD"))).String()
		}
	}
	return nil
}

// array reads the runs.
func (d *Decoder) array() error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c != '[' {
		if c != 'n' {
			return errNotPage
		}
		return d.other(keyOther)
	}
	d.p++
	if c, err = d.peek(); err != nil {
		return err
	}
	if c == ']' {
		d.p++
		return nil
	}
	for {
		if _, err = d.peek(); err != nil {
			return err
		}
		if err = d.element(); err != nil {
			return err
		}
		if c, err = d.peek(); err != nil {
			return err
		}
		d.p++
		if c == ']' {
			return nil
		}
		if c != ',' {
			return errSyntax
		}
	}
}

// element reads one run.
func (d *Decoder) element() error {
	if d.runs.b[d.p] != '{' {
		return d.odd()
	}
	for {
		end := d.runs.decode(d.p)
		switch {
		case end == scanShort:
			switch err := d.more(); {
			case errors.Is(err, errTooLarge):
				return d.skipRun(SkipTooLarge)
			case err != nil:
				return err
			}
			continue
		case end == scanBad:
			return d.skipRun(SkipMalformed)
		case end == scanDeep:
			return d.skipRun(SkipTooDeep)
		case int64(end-d.p) > d.max:
			d.skipped(SkipTooLarge, d.runs.run.ID)
			d.p = end
			return nil
		}
		frame := d.runs.b[d.p:end]
		d.p = end
		d.pause(len(frame))
		if !validUTF8(frame) {
			return d.repair(frame)
		}
		return d.emit(&d.runs.run)
	}
}

// validUTF8 tells first whether b is ASCII, as most runs are, because that is told several times as fast.
func validUTF8(b []byte) bool { return ascii.Valid(b) || utf8.Valid(b) }

// pause lets others have the processor now and then. Where there is only one, the garbage collector's worker is among
// them: while it waits for its turn, every pointer that is written costs many times as much.
func (d *Decoder) pause(done int) {
	if d.sincePause += done; d.sincePause >= pauseAfter {
		d.sincePause = 0
		runtime.Gosched()
	}
}

func (d *Decoder) emit(r *Run) error {
	if r.ID.IsZero() {
		d.skipped(SkipNoID, UUID{})
		return nil
	}
	d.page.Runs++
	return d.yield(r)
}

// repair reads a run with invalid UTF-8 from a mended copy.
func (d *Decoder) repair(frame []byte) error {
	mended := bytes.ToValidUTF8(frame, []byte("\uFFFD"))
	d.repaired.set(append(mended, make([]byte, padding)...)[:len(mended)])
	if d.repaired.decode(0) < 0 {
		d.skipped(SkipMalformed, d.runs.run.ID)
		return nil
	}
	d.page.Repaired++
	err := d.emit(&d.repaired.run)
	d.repaired = runDecoder{}
	return err
}

func (d *Decoder) skipped(reason string, id UUID) {
	for i := range d.page.Skipped {
		if s := &d.page.Skipped[i]; s.Reason == reason && s.ID == id {
			s.Count++
			return
		}
	}
	d.page.Skipped = append(d.page.Skipped, Skip{Reason: reason, ID: id, Count: 1})
}

// odd passes over an element that is no object.
func (d *Decoder) odd() error {
	d.skipped(SkipMalformed, UUID{})
	end, err := d.value()
	if !errors.Is(err, errSyntax) {
		if err == nil {
			d.p = end
		}
		return err
	}
	// The element is no JSON at all, such as NaN: the next comma or bracket ends it.
	for {
		switch c, err := d.peek(); {
		case err != nil:
			return err
		case c == ',' || c == ']':
			return nil
		}
		d.p++
	}
}

// skipRun passes over the run at p by its strings and braces only, and keeps nothing of it.
func (d *Decoder) skipRun(reason string) error {
	d.skipped(reason, d.runs.run.ID)
	depth, inString, escaped := 0, false, false
	for {
		b := d.runs.b[:d.runs.n]
		for i := d.p; i < len(b); i++ {
			c := b[i]
			switch {
			case escaped:
				escaped = false
			case inString:
				escaped = c == '\\'
				inString = c != '"'
			case c == '"':
				inString = true
			case c == '{':
				depth++
			case c == '}':
				if depth--; depth == 0 {
					d.p = i + 1
					return nil
				}
			}
		}
		d.p = len(b)
		if err := d.more(); err != nil {
			return err
		}
	}
}

// value returns the index behind the value at p.
func (d *Decoder) value() (int, error) {
	for {
		switch end := d.runs.value(d.p); end {
		case scanBad, scanDeep:
			return 0, errSyntax
		case scanShort, d.runs.n: // a number may go on behind the buffer's end
			if err := d.more(); err != nil {
				return 0, err
			}
		default:
			return end, nil
		}
	}
}

// peek returns the next byte that is no space, and moves p there.
func (d *Decoder) peek() (byte, error) {
	for {
		d.p = d.runs.space(d.p)
		if d.p < d.runs.n {
			return d.runs.b[d.p], nil
		}
		if err := d.more(); err != nil {
			return 0, err
		}
	}
}

// more reads on behind what stands from p on, which moves to the buffer's beginning. It fills the buffer, so
// that a run is not started again for every few bytes.
func (d *Decoder) more() error {
	if d.end != nil {
		if errors.Is(d.end, io.EOF) {
			return errTruncated
		}
		return d.end
	}
	kept := d.runs.b[d.p:d.runs.n]
	if int64(len(kept)) > d.max {
		return errTooLarge
	}
	if len(kept)+padding >= len(d.buf) {
		larger := make([]byte, max(len(d.buf)+firstBuffer/8, min(2*len(d.buf), int(min(d.max, 1<<40))+firstBuffer)))
		copy(larger, kept)
		d.buf = larger
	} else {
		copy(d.buf, kept)
	}
	n := len(kept)
	d.p = 0
	limit := len(d.buf) - padding
	for idle := 0; n < limit && d.end == nil; {
		var read int
		read, d.end = d.source.Read(d.buf[n:limit])
		n += read
		d.page.Bytes += int64(read)
		if idle++; read > 0 {
			idle = 0
		} else if idle > 100 {
			d.end = io.ErrNoProgress
		}
	}
	d.runs.set(d.buf[:n])
	if n == len(kept) {
		return d.more()
	}
	return nil
}
