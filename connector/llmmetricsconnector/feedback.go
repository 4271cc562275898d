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
	last recent[feedbackHash]          // identities
	copy []byte                        // of a cut
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
	m.last.limit = maxFeedback
	if forgotten, full := m.last.add(id); full {
		delete(m.seen, forgotten)
	}
	if m.seen == nil {
		m.seen = map[feedbackHash]feedbackHash{}
	}
	m.seen[id] = content
	return feedbackHash{}, false
}

func (*feedbackMemory) prepare() {}

func (m *feedbackMemory) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copy = nil
	m.last.cut(func(id feedbackHash) {
		content := m.seen[id]
		m.copy = append(append(m.copy, id[:]...), content[:]...)
	})
}

func (m *feedbackMemory) step() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last.step(stepSize)
}

func (m *feedbackMemory) copied() [][]byte {
	parts := [][]byte{m.copy}
	m.copy = nil
	return parts
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
	operation := func(byte, kin) { only = false }
	sound := readNote(memory, operation, func(kind byte, _ pcommon.TraceID, c *codec) {
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
