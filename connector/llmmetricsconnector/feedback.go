package llmmetricsconnector

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// feedbackMemory remembers results of evaluations, so that each counts once. It is safe for concurrent use.
type feedbackMemory struct {
	mu   sync.Mutex
	seen map[feedbackHash]feedbackHash // content by identity
	ring []feedbackHash                // identities in the order in which they came
	next int
}

// maxFeedback bounds the results that are remembered.
const maxFeedback = 1 << 16

// feedbackHash stands for the identity of a result, or for what it says.
type feedbackHash [16]byte

// identify tells which result a record is, and what it says. Feedback has an id. Other results are told by what they
// are about, when they were given and what they say; those that do not tell the first two have no identity.
func identify(record plog.LogRecord) (id, content feedbackHash) {
	attrs := record.Attributes()
	content = hashOf(nil, attrs, attrScoreValue, llmmetrics.AttrScoreLabel, llmmetrics.AttrErrorType)
	if v, ok := attrs.Get(attrFeedbackID); ok && v.AsString() != "" {
		return hashOf(nil, attrs, attrFeedbackID), content
	}
	trace, span := record.TraceID(), record.SpanID()
	if record.Timestamp() == 0 || trace.IsEmpty() {
		return feedbackHash{}, feedbackHash{}
	}
	about := binary.BigEndian.AppendUint64(content[:], uint64(record.Timestamp()))
	about = append(append(about, trace[:]...), span[:]...)
	return hashOf(about, attrs, llmmetrics.AttrEvaluationName, llmmetrics.AttrFeedbackSource), content
}

func hashOf(front []byte, attrs pcommon.Map, names ...string) feedbackHash {
	for _, name := range names {
		text := ""
		if v, ok := attrs.Get(name); ok {
			text = v.AsString()
		}
		front = append(binary.AppendUvarint(front, uint64(len(text))), text...)
	}
	sum := sha256.Sum256(front)
	return feedbackHash(sum[:len(feedbackHash{})])
}

// add remembers a result unless it is known, and then returns what it said before.
func (m *feedbackMemory) add(id, content feedbackHash) (before feedbackHash, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, known = m.seen[id]; known {
		return before, true
	}
	if len(m.ring) < maxFeedback {
		m.ring = append(m.ring, id)
	} else {
		delete(m.seen, m.ring[m.next])
		m.ring[m.next] = id
		m.next = (m.next + 1) % maxFeedback
	}
	if m.seen == nil {
		m.seen = map[feedbackHash]feedbackHash{}
	}
	m.seen[id] = content
	return feedbackHash{}, false
}

func (m *feedbackMemory) appendTo(to []byte) []byte {
	for i := range m.ring {
		id := m.ring[(m.next+i)%len(m.ring)]
		content := m.seen[id]
		to = append(append(to, id[:]...), content[:]...)
	}
	return to
}

func (m *feedbackMemory) restore(from []byte) bool {
	c := &codec{buf: from, reading: true}
	for len(c.buf) > 0 {
		m.read(c)
	}
	return !c.failed
}

func (m *feedbackMemory) replay(memory []byte) bool {
	only := true
	sound := readNote(memory, func(kind byte, _ pcommon.TraceID, c *codec) {
		if kind != noteFeedback {
			only = false
			c.fail()
			return
		}
		m.read(c)
	})
	return sound && only
}

func (m *feedbackMemory) read(c *codec) {
	var id, content feedbackHash
	c.raw(id[:])
	if c.raw(content[:]); !c.failed {
		m.add(id, content)
	}
}

func (*feedbackMemory) resume(pcommon.Timestamp) {}

func (*feedbackMemory) noted(*note) {}
