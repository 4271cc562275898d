package genai

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// firstChunk fills in the time to the first chunk of a streamed answer, in seconds, from whichever of the many
// names and units the span has. A time that is longer than the span is not believed.
func (s *scan) firstChunk(call *Call, span ptrace.Span) {
	call.TimeToFirstChunk, call.Streaming = 0, false
	if call.Kind != KindInference {
		return
	}
	notStreamed := s.has(slotStream) && !s.stream
	switch {
	case s.has(slotFirstChunk):
		call.TimeToFirstChunk = s.number(slotFirstChunk)
	case s.has(slotServerToken) && !notStreamed:
		// OpenLIT writes this name for calls that were not streamed too, with the duration of the call.
		call.TimeToFirstChunk = s.serverToken(call.Dialect)
	}
	if call.TimeToFirstChunk == 0 && s.has(slotFirstChunkAlias) {
		call.TimeToFirstChunk = s.number(slotFirstChunkAlias)
	}
	if call.TimeToFirstChunk == 0 && s.has(slotFirstTokenAt) {
		at, err := time.Parse(time.RFC3339Nano, strings.Trim(s.textAt(slotFirstTokenAt), `"`))
		if err == nil {
			call.TimeToFirstChunk = s.since(call.Start, pcommon.NewTimestampFromTime(at))
		}
	}
	if call.TimeToFirstChunk == 0 && span.Events().Len() > 0 {
		call.TimeToFirstChunk = s.chunkEvent(call.Start, span.Events())
	}
	call.Streaming = s.streams() || call.TimeToFirstChunk > 0
}

// serverToken resolves a name that OpenLIT writes in seconds and Strands in milliseconds.
func (s *scan) serverToken(dialect Dialect) float64 {
	d := s.number(slotServerToken)
	millis := s.whole || d > s.longest
	switch dialect {
	case DialectOpenLIT:
		millis = false
	case DialectStrands:
		millis = true
	}
	if millis {
		d /= 1e3
	}
	if d > s.longest {
		return 0
	}
	return d
}

// chunkEvent is the time to the earliest event that marks the arrival of a chunk.
func (s *scan) chunkEvent(start pcommon.Timestamp, events ptrace.SpanEventSlice) float64 {
	var earliest pcommon.Timestamp
	for _, event := range events.All() {
		switch event.Name() {
		case "new_token", "First Token", "gen_ai.content.completion.chunk":
			if at := event.Timestamp(); at > start && (earliest == 0 || at < earliest) {
				earliest = at
			}
		}
	}
	return s.since(start, earliest)
}

func (s *scan) since(start, at pcommon.Timestamp) float64 {
	if at <= start || start == 0 {
		return 0
	}
	d := float64(at-start) / 1e9
	if d > s.longest {
		return 0
	}
	return d
}
