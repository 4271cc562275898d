package genai

import (
	"math"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Reader reads spans of any dialect. It is safe for concurrent use.
type Reader struct {
	names *table
	extra int // how many further attributes are wanted
}

// ReaderConfig configures a [Reader]. The zero value is ready to use.
type ReaderConfig struct {
	// Extra names further attributes, without repetition; their values are left in [Call.Extra].
	Extra []string

	_ struct{} // keyed literals only
}

// NewReader returns a Reader.
func NewReader(config ReaderConfig) *Reader {
	r := &Reader{names: names, extra: len(config.Extra)}
	if r.extra > 0 {
		r.names = names.with(config.Extra)
	}
	return r
}

// Read says what a span tells about one operation, and overwrites all of call. The span is not changed; the
// strings of call alias it. scopeName is the name of the span's instrumentation scope and resource the
// attributes of its resource; both may be zero.
//
// Canonical names win over aliases, and aliases win in a fixed order. Values that are no scalars, of the wrong
// type, negative, not a number or absurdly large are taken for absent.
//
// Read allocates nothing for spans in the current conventions.
func (r *Reader) Read(span ptrace.Span, scopeName string, resource pcommon.Map, call *Call) {
	var s scan
	r.begin(&s, span, call)
	for key, value := range span.Attributes().All() {
		e := r.names.find(key)
		if e == nil {
			continue
		}
		if s.wants(e) {
			s.take(e, value)
		}
		if e.extra != 0 {
			call.keep(e.extra, value)
		}
	}
	s.conclude(span, scopeName, resource, call)
}

func (r *Reader) begin(s *scan, span ptrace.Span, call *Call) {
	extra := call.Extra[:0]
	for range r.extra {
		extra = append(extra, pcommon.Value{})
	}
	call.Extra = extra
	call.Start, call.End = span.StartTimestamp(), span.EndTimestamp()
	s.marks, s.best = 0, [slots]uint8{}
	s.longest = math.Inf(1)
	if d, ok := call.Duration(); ok {
		s.longest = d
	}
}

// scan is what one pass over the attributes of a span finds. What a slot holds is valid only when it has a rank:
// so a scan is made ready for the next span by emptying the ranks alone.
type scan struct {
	longest float64 // seconds that a part of the operation may take
	marks   marks
	best    [slots]uint8 // rank of what a slot holds; 0 when it is empty
	text    [textSlots]string
	counts  [countSlots - textSlots]int64
	numbers [numberSlots - countSlots]float64
	reasons pcommon.Value
	stream  bool
	whole   bool // slotServerToken was an integer
}

// wants notes an attribute and reports whether its value is better than what its slot holds.
func (s *scan) wants(e *entry) bool {
	s.marks |= e.marks
	return e.rank > s.best[e.slot]
}

// keep puts the value of a further attribute into its place.
func (c *Call) keep(extra uint16, value pcommon.Value) {
	if value.Str() != "" || number(value) {
		c.Extra[extra-1] = value
	}
}

// number reports a scalar that is no string.
func number(value pcommon.Value) bool {
	switch value.Type() {
	case pcommon.ValueTypeBool, pcommon.ValueTypeInt, pcommon.ValueTypeDouble:
		return true
	}
	return false
}

// conclude makes of all attributes what the span says. It sets every field, each once: that costs less than to empty the
// call first.
func (s *scan) conclude(span ptrace.Span, scopeName string, resource pcommon.Map, call *Call) {
	call.Dialect = s.dialect(scopeName, resource)
	call.Operation, call.Kind = s.operation(call.Dialect)
	call.ConversationID = s.textAt(slotConversation)
	call.AgentName = s.textAt(slotAgent)
	call.WorkflowName = s.textAt(slotWorkflow)
	call.ErrorType = s.failure(span)
	if s.has(slotUnfinished) { // the end is where LangSmith was last heard of, not an end
		call.End = 0
	}
	if call.Kind == KindNone {
		call.silence()
		return
	}
	call.Provider = s.provider(call.Kind)
	call.RequestModel = s.textAt(slotRequestModel)
	call.ResponseModel = s.textAt(slotResponseModel)
	call.ResponseID = s.textAt(slotResponseID)
	call.ToolName, call.DataSource = "", ""
	if call.Kind != KindInference {
		s.entity(call, span)
	}
	s.usage(call, scopeName)
	s.cost(call)
	s.firstChunk(call, span)
	s.finish(call)
}

// silence empties what only operations have.
func (c *Call) silence() {
	c.Provider, c.RequestModel, c.ResponseModel, c.ResponseID = "", "", "", ""
	c.ToolName, c.DataSource = "", ""
	c.InputTokens, c.OutputTokens = Absent, Absent
	c.CacheReadTokens, c.CacheWriteTokens, c.ReasoningTokens = Absent, Absent, Absent
	c.Cost, c.CostSource = 0, CostNone
	c.TimeToFirstChunk, c.Streaming = 0, false
	c.Finish = [FinishReasons]uint8{}
}

func (s *scan) has(at slot) bool { return s.best[at] != 0 }

// count returns the count in a slot, or Absent.
func (s *scan) count(at slot) int64 {
	if s.best[at] == 0 {
		return Absent
	}
	return s.counts[at-textSlots]
}

// number returns the number in a slot, or zero.
func (s *scan) number(at slot) float64 {
	if s.best[at] == 0 {
		return 0
	}
	return s.numbers[at-countSlots]
}

// textAt returns the text in a slot; empty when there is none.
func (s *scan) textAt(at slot) string {
	if s.best[at] == 0 {
		return ""
	}
	return s.text[at]
}

func (s *scan) streams() bool { return s.best[slotStream] != 0 && s.stream }

// take puts a value into the slot of its key. The caller knows that the slot does not hold a better one.
func (s *scan) take(e *entry, value pcommon.Value) {
	switch e.decode {
	case asNothing:
		if e.slot == slotNone {
			return
		}
	case asText:
		text := value.Str() // empty for other types
		if text == "" {
			return
		}
		s.text[e.slot] = text
	case asCount:
		n, ok := countOf(value)
		if !ok {
			return
		}
		s.counts[e.slot-textSlots] = n
	case asProvider:
		name := value.Str()
		if name == "" {
			return
		}
		folded, framework := foldProvider(name)
		if framework && e.slot == slotProvider {
			if e.rank > s.best[slotFramework] {
				s.text[slotFramework], s.best[slotFramework] = folded, e.rank
			}
			return
		}
		s.text[e.slot] = folded
	case asCost:
		c, ok := numberOf(value)
		if !ok || c > maxCost {
			return
		}
		s.numbers[e.slot-countSlots] = c
	case asSeconds, asMillis, asServerToken:
		d, ok := numberOf(value)
		if e.decode == asMillis {
			d /= 1e3
		}
		if !ok || d == 0 || e.decode != asServerToken && d > s.longest {
			return
		}
		s.numbers[e.slot-countSlots] = d
		if e.decode == asServerToken {
			s.whole = value.Type() == pcommon.ValueTypeInt
		}
	case asBool:
		on, ok := boolOf(value)
		if !ok || e.slot == slotUnfinished && !on {
			return
		}
		if e.slot == slotStream {
			s.stream = on
		}
	case asReasons:
		if value.Str() == "" && value.Type() != pcommon.ValueTypeSlice {
			return
		}
		s.reasons = value
	case asID:
		switch value.Type() {
		case pcommon.ValueTypeStr:
			if value.Str() == "" {
				return
			}
			s.text[e.slot] = value.Str()
		case pcommon.ValueTypeInt:
			s.text[e.slot] = strconv.FormatInt(value.Int(), 10)
		default:
			return
		}
	case asCode:
		code, ok := codeOf(value)
		if !ok {
			return
		}
		s.text[e.slot] = code
	}
	s.best[e.slot] = e.rank
}

const (
	// maxCount bounds token counts: far above any context window, far below where sums overflow.
	maxCount = 1 << 40
	// maxCost bounds the cost of one call, in USD.
	maxCost = 1e6
)

// countOf reads a count: an integer, a double without a fraction, or digits.
func countOf(value pcommon.Value) (int64, bool) {
	switch value.Type() {
	case pcommon.ValueTypeInt:
		n := value.Int()
		return n, 0 <= n && n <= maxCount
	case pcommon.ValueTypeDouble:
		d := value.Double()
		if !(0 <= d && d <= maxCount) || d != math.Trunc(d) {
			return 0, false
		}
		return int64(d), true
	case pcommon.ValueTypeStr:
		digits := strings.TrimSpace(value.Str())
		if len(digits) == 0 || len(digits) > 13 {
			return 0, false
		}
		var n int64
		for i := range len(digits) {
			c := digits[i]
			if c < '0' || c > '9' {
				return 0, false
			}
			n = n*10 + int64(c-'0')
		}
		return n, n <= maxCount
	}
	return 0, false
}

// numberOf reads a number that is finite and not negative: a double, an integer, or its decimal text.
func numberOf(value pcommon.Value) (float64, bool) {
	var d float64
	switch value.Type() {
	case pcommon.ValueTypeDouble:
		d = value.Double()
	case pcommon.ValueTypeInt:
		d = float64(value.Int())
	case pcommon.ValueTypeStr:
		var ok bool
		if d, ok = parseNumber(strings.TrimSpace(value.Str())); !ok {
			return 0, false
		}
	default:
		return 0, false
	}
	if !(0 <= d && d <= math.MaxFloat64) {
		return 0, false
	}
	return d, true
}

// parseNumber reads a decimal number. Text that cannot be one is refused without the error that strconv would
// allocate.
func parseNumber(text string) (float64, bool) {
	if len(text) == 0 || len(text) > 40 {
		return 0, false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case '0' <= c && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	d, err := strconv.ParseFloat(text, 64)
	return d, err == nil
}

func boolOf(value pcommon.Value) (on, ok bool) {
	switch value.Type() {
	case pcommon.ValueTypeBool:
		return value.Bool(), true
	case pcommon.ValueTypeStr:
		switch {
		case is(value.Str(), "true"):
			return true, true
		case is(value.Str(), "false"):
			return false, true
		}
	}
	return false, false
}

// entity names the agent or tool by what the dialects have instead of a name of the conventions.
func (s *scan) entity(call *Call, span ptrace.Span) {
	switch call.Kind {
	case KindAgent:
		call.AgentName = first(call.AgentName, s.entityIf("agent"), s.textAt(slotFunction))
	case KindTool:
		call.ToolName = first(s.textAt(slotTool), s.entityIf("tool"))
		if call.ToolName == "" && is(s.textAt(slotRunType), "tool") {
			call.ToolName = s.textAt(slotRunName)
		}
		if call.ToolName == "" {
			if name, ok := strings.CutPrefix(span.Name(), OperationExecuteTool+" "); ok {
				call.ToolName = name
			}
		}
	case KindRetrieval:
		call.DataSource = s.textAt(slotDataSource)
		if call.DataSource == "" && is(s.textAt(slotRunType), "retriever") {
			call.DataSource = s.textAt(slotRunName)
		}
		if call.DataSource == "" {
			if name, ok := strings.CutPrefix(span.Name(), OperationRetrieval+" "); ok {
				call.DataSource = name
			}
		}
	case KindWorkflow:
		call.WorkflowName = first(call.WorkflowName, s.entityIf("workflow"))
	}
}

func (s *scan) entityIf(kind string) string {
	if s.textAt(slotLoopKind) != kind {
		return ""
	}
	return s.textAt(slotEntity)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
