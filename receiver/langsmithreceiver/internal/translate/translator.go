// Package translate turns LangSmith runs into OpenTelemetry spans: one run, one span, named and attributed by
// the OpenTelemetry GenAI conventions. It is a pure function of its input: no I/O, no clock, no logger.
package translate

import (
	"bytes"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Capture is how much content (prompts, completions, tool arguments, documents, error messages) goes out.
type Capture uint8

const (
	// CaptureNone keeps all content out, whatever a run holds.
	CaptureNone Capture = iota
	// CapturePreview takes LangSmith's shortened inputs and outputs, and the first line of an error.
	CapturePreview
	// CaptureFull takes everything, bounded by [Settings.ContentLimit].
	CaptureFull
)

// DefaultContentLimit is the default of [Settings.ContentLimit].
const DefaultContentLimit = 64 << 10

// Settings is what a user decides about spans.
type Settings struct {
	Capture Capture
	// Metadata names the keys of a run's metadata that become langsmith.metadata.<key>. Nil means none.
	Metadata *GlobSet
	// ResponseDetails reads the response's model, id and finish reasons out of the outputs, whose text is
	// thrown away. It makes pages larger. CaptureFull has them anyway.
	ResponseDetails bool
	// ContentLimit bounds each content attribute, in bytes; JSON stays valid when it is shortened. Zero means
	// DefaultContentLimit; the least is 1 KiB.
	ContentLimit int
	// UIBase is where LangSmith's user interface begins, without a trailing slash, so that a span can link to
	// its run. Empty leaves the link out.
	UIBase string
}

// Target is where a run belongs.
type Target struct {
	ProjectID   langsmith.UUID
	ProjectName string
	// Lineage is what is known of other runs of the same traces; nil is fine and means nothing.
	Lineage *Lineage
}

// Translator translates runs. It keeps scratch memory and a table of repeated strings, so it is not safe for
// concurrent use; what it returns never depends on earlier runs, unless a [Lineage] is given.
type Translator struct {
	settings Settings
	strings  stringPool

	lastTrace     langsmith.UUID
	lastTraceText string

	metadataNames [metadataNames]metadataName
	captured      []captured
	attributes    attributes
	texts         []langsmith.Text
	tools         toolsText
	scratch       []byte
	encoder       encoder
	index         *langsmith.Index // of the run at hand
	// What is walked more than once has an index.
}

// New returns a Translator for settings.
func New(settings Settings) *Translator {
	if settings.ContentLimit == 0 {
		settings.ContentLimit = DefaultContentLimit
	}
	settings.ContentLimit = max(settings.ContentLimit, 1<<10)
	return &Translator{settings: settings}
}

// Fields is what the API must be asked for.
func (t *Translator) Fields() langsmith.FieldSet {
	// The class of an error often stands behind its message, so the preview is too short to find it.
	fields := langsmith.FieldsMeasures&^langsmith.FieldErrorPreview | langsmith.FieldError
	switch t.settings.Capture {
	case CapturePreview:
		fields |= langsmith.FieldPreviews
	case CaptureFull:
		fields |= langsmith.FieldInputs | langsmith.FieldOutputs
	}
	if t.settings.ResponseDetails {
		fields |= langsmith.FieldOutputs
	}
	return fields
}

// Resource describes the project as the service that its runs belong to.
func (t *Translator) Resource(target Target, res pcommon.Resource) {
	attrs := res.Attributes()
	attrs.EnsureCapacity(3)
	if target.ProjectName != "" {
		attrs.PutStr(keyServiceName, target.ProjectName)
	} else {
		attrs.PutStr(keyServiceName, target.ProjectID.String())
	}
	attrs.PutStr(keyProjectID, target.ProjectID.String())
	attrs.PutStr(keyProjectName, target.ProjectName)
}

// Append appends the span of a finished run to dst, always exactly one, and tells what was odd about the run.
// The span keeps nothing of the run's memory.
func (t *Translator) Append(run *langsmith.Run, target Target, dst ptrace.SpanSlice) Notes {
	return t.append(run, target, dst, false)
}

// Unfinished appends the span of a run that never ended and is given up: it carries
// langsmith.run.unfinished = true, ends where LangSmith's latency says or where it started, and is no error.
func (t *Translator) Unfinished(run *langsmith.Run, target Target, dst ptrace.SpanSlice) Notes {
	return t.append(run, target, dst, true)
}

// translation is what is collected of one run. It lives on the stack, where the garbage collector need not be told of
// every value.
type translation struct {
	*Translator
	meta     metadata
	params   params
	input    input
	response response
}

func (translator *Translator) append(run *langsmith.Run, target Target, dst ptrace.SpanSlice, unfinished bool) Notes {
	var notes Notes
	t := &translation{Translator: translator}
	t.meta.read(run.Metadata)
	op := t.operation(run)
	t.index = run.Index()
	t.encoder.index = t.index

	span := dst.AppendEmpty()
	attrs := &t.attributes
	room := capacity(op.class)
	if t.settings.Capture != CaptureNone {
		room += contentCapacity(op.class)
	}
	if t.settings.Metadata != nil {
		room += min(len(run.Metadata), maxMetadataKeys)
	}
	attrs.builder.EnsureCapacity(room)

	trace := traceID(run, t.meta.otelTraceID.Text())
	self := spanID(run.ID, t.meta.otelSpanID.Text())
	span.SetTraceID(trace)
	span.SetSpanID(self)
	if parent := target.Lineage.parent(trace, ParentSpanID(run)); parent != self {
		span.SetParentSpanID(parent)
	}
	t.times(run, span, &notes)

	attrs.PutStr(keyRunID, t.strings.uuid(run.ID))
	attrs.PutStr(keyTraceID, t.traceText(run))
	t.runType(run, attrs, &notes)
	attrs.PutStr(keyTraceName, t.shortNoted(run.Name, maxTraceName, &notes))
	t.putText(attrs, keyDottedOrder, run.DottedOrder, maxPathLen)
	t.link(run.AppPath, attrs)
	if !run.ReferenceExampleID.IsZero() {
		attrs.PutStr(keyReferenceExampleID, t.strings.uuid(run.ReferenceExampleID))
	}
	if unfinished {
		attrs.PutBool(keyRunUnfinished, true)
	}

	model := t.describe(run, op, span, attrs, &notes)
	span.SetName(t.spanName(run, op, model, &notes))
	span.SetKind(op.kind)
	t.outcome(run, span, attrs, unfinished, &notes)

	conversation := t.conversation(run)
	if target.Lineage != nil {
		target.Lineage.observe(run, trace, self, conversation)
		if conversation == "" {
			conversation = target.Lineage.conversation(trace)
		}
	}
	if conversation != "" {
		attrs.PutStr(keyConversationID, conversation)
	}
	t.tags(run.Tags, attrs, &notes)
	t.captureMetadata(run.Metadata, attrs, &notes)

	switch t.settings.Capture {
	case CapturePreview:
		t.previews(run, attrs, &notes)
	case CaptureFull:
		t.content(run, op, attrs, &notes)
	}
	attrs.builder.UnsafeIntoMap(span.Attributes())
	return notes
}

// Learn tells the target's Lineage what a root says of its trace, though no span is made of it now: a root that is still
// running, or went out in an earlier life. Other runs tell nothing that is not known without them.
func (t *Translator) Learn(run *langsmith.Run, target Target) {
	if target.Lineage == nil || len(run.Metadata) == 0 || !isRoot(run) {
		return
	}
	own := &translation{Translator: t}
	own.meta.read(run.Metadata)
	target.Lineage.observe(run, traceID(run, own.meta.otelTraceID.Text()), spanID(run.ID, own.meta.otelSpanID.Text()), own.conversation(run))
}

// capacity is about how many attributes a span of a class gets, content and metadata aside.
func capacity(c class) int {
	switch c {
	case classModel, classEmbedding:
		return 24
	case classTool, classAgent:
		return 14
	default:
		return 10
	}
}

// contentCapacity is about how many attributes content is. Room that stays empty is memory that the garbage collector
// looks at all the same.
func contentCapacity(c class) int {
	if c == classModel {
		return 4
	}
	return 2
}

// traceText is the trace's UUID; runs of a trace often come one after the other and share the text.
func (t *Translator) traceText(run *langsmith.Run) string {
	id := run.TraceID
	if id.IsZero() {
		id = run.ID
	}
	if t.lastTraceText == "" || id != t.lastTrace {
		t.lastTrace, t.lastTraceText = id, t.strings.uuid(id)
	}
	return t.lastTraceText
}

// describe writes what depends on the kind of operation, and returns the model of a model call.
func (t *translation) describe(run *langsmith.Run, op operation, span ptrace.Span, attrs *attributes, notes *Notes) string {
	if op.name != "" {
		attrs.PutStr(keyOperation, op.name)
	}
	if agent := t.agentName(run, op); agent != "" {
		attrs.PutStr(keyAgentName, agent)
	}
	t.prompt(attrs)

	model := ""
	switch op.class {
	case classModel, classEmbedding:
		model = t.request(run, op, attrs)
		t.responseFacts(run, op, attrs)
		t.usage(run, op, attrs, notes)
		if op.class == classModel {
			t.timeToFirstChunk(run, span, attrs)
		}
	case classTool:
		t.tool(run, attrs)
	}
	return model
}

// times sets start and end, to the precision that LangSmith has.
func (t *Translator) times(run *langsmith.Run, span ptrace.Span, notes *Notes) {
	start, end := run.Start, run.End
	if end == 0 {
		*notes |= NoEnd
		if end = start; run.LatencySeconds.Valid && run.LatencySeconds.Value > 0 && run.LatencySeconds.Value < maxLatencySeconds {
			end += langsmith.Time(run.LatencySeconds.Value * 1e9)
		}
	}
	if start == 0 {
		*notes |= NoStart
		start = end
	}
	if end < start {
		*notes |= ClampedEnd
		end = start
	}
	if start < minTime || end > maxTime {
		*notes |= TimeOutOfRange
	}
	span.SetStartTimestamp(pcommon.Timestamp(max(start, 0)))
	span.SetEndTimestamp(pcommon.Timestamp(max(end, 0)))
}

const (
	// Times outside the years 2000 to 2100 are reported as odd.
	minTime langsmith.Time = 946_684_800_000_000_000
	maxTime langsmith.Time = 4_102_444_800_000_000_000
	// maxLatencySeconds keeps an absurd latency from overflowing a time.
	maxLatencySeconds = 366 * 24 * 3600

	maxTraceName = 1 << 10
	maxPathLen   = 8 << 10
)

// runType writes the kind of the run in lower case, whichever version of the API it came from.
func (t *Translator) runType(run *langsmith.Run, attrs *attributes, notes *Notes) {
	if int(run.RunType) < len(runTypes) && runTypes[run.RunType] != "" {
		attrs.PutStr(keyRunType, runTypes[run.RunType])
		return
	}
	*notes |= UnknownType
	name := cleanToken(run.RunTypeText, true)
	if name == "" {
		name = "unknown"
	}
	attrs.PutStr(keyRunType, name)
}

var runTypes = [...]string{
	langsmith.RunTypeChain:     "chain",
	langsmith.RunTypeLLM:       "llm",
	langsmith.RunTypeTool:      "tool",
	langsmith.RunTypeRetriever: "retriever",
	langsmith.RunTypeEmbedding: "embedding",
	langsmith.RunTypePrompt:    "prompt",
	langsmith.RunTypeParser:    "parser",
}

// conversation is the id of the thread. It is never invented.
func (t *translation) conversation(run *langsmith.Run) string {
	if len(run.ThreadID) > 0 {
		return t.once(run.ThreadID, maxTraceName)
	}
	for _, v := range [...]langsmith.Raw{t.meta.sessionID, t.meta.conversationID, t.meta.threadID} {
		if id := scalar(v); len(id) > 0 {
			return t.once(id, maxTraceName)
		}
	}
	return ""
}

// tags writes the run's tags without the empty ones.
func (t *Translator) tags(tags langsmith.Raw, attrs *attributes, notes *Notes) {
	texts := t.texts[:0]
	for v := range t.index.Elements(tags) {
		tag := v.Text()
		if len(tag) == 0 {
			continue
		}
		if len(texts) == maxTags {
			*notes |= TagsLeftOut
			break
		}
		texts = append(texts, tag)
	}
	if t.texts = texts; len(texts) == 0 {
		return
	}
	list := attrs.PutEmptySlice(keyTags)
	list.EnsureCapacity(len(texts))
	for _, tag := range texts {
		list.AppendEmpty().SetStr(t.short(tag, maxTraceName))
	}
}

const maxTags = 256

// tool writes the identity of a tool call. Its description is content: it is part of the prompt.
func (t *Translator) tool(run *langsmith.Run, attrs *attributes) {
	attrs.PutStr(keyToolName, t.short(run.Name, maxSpanName))
	attrs.PutStr(keyToolType, "function")
	id := run.ToolCallID
	if len(id) == 0 && t.settings.Capture == CaptureFull {
		id = t.toolCallID(run.Inputs, run.Outputs)
	}
	if len(id) > 0 {
		attrs.PutStr(keyToolCallID, t.once(id, maxSpanName))
	}
	if t.settings.Capture == CaptureFull {
		t.putText(attrs, keyToolDescription, run.Serialized.Get("description").Text(), t.settings.ContentLimit)
	}
}

// prompt writes which managed prompt made the request.
func (t *translation) prompt(attrs *attributes) {
	repo := t.meta.hubRepo.Text()
	if len(repo) == 0 {
		return
	}
	name := t.short(repo, maxSpanName)
	if owner := t.meta.hubOwner.Text(); len(owner) > 0 && string(owner) != "-" {
		t.scratch = clipText(owner, maxSpanName).Append(t.scratch[:0])
		t.scratch = append(append(t.scratch, '/'), name...)
		name = t.strings.internBytes(t.scratch)
	}
	attrs.PutStr(keyPromptName, name)
	if version := t.meta.hubCommit.Text(); len(version) > 0 {
		attrs.PutStr(keyPromptVersion, t.short(version, maxSpanName))
	}
}

// timeToFirstChunk writes how long a streamed answer took to begin. The first token may be a few microseconds
// behind the end: the digits below a millisecond are no time in runs of the JavaScript SDK.
func (t *Translator) timeToFirstChunk(run *langsmith.Run, span ptrace.Span, attrs *attributes) {
	if run.FirstToken == 0 {
		return
	}
	first := run.FirstToken
	if end := langsmith.Time(span.EndTimestamp()); run.End != 0 && first > end {
		if first > end+langsmith.Time(1e9) {
			return
		}
		first = end
	}
	if first > run.Start && run.Start > 0 {
		attrs.PutDouble(keyTimeToFirstChunk, float64(first-run.Start)/1e9)
	}
}

// link writes the address of the run in LangSmith's user interface. Anything but a path that fits is left out:
// half a link leads nowhere, and a name without a slash would become part of the host.
func (t *Translator) link(path langsmith.Text, attrs *attributes) {
	base := t.settings.UIBase
	if base == "" || len(path) == 0 || len(path) > maxPathLen {
		return
	}
	url := append(t.strings.room(len(base)+len(path)+langsmith.AppendSlack), base...)
	if bytes.IndexByte(path, '\\') < 0 {
		url = append(url, path...)
	} else {
		url = path.Append(url)
	}
	if url[len(base)] != '/' {
		url = url[:0]
	}
	if link := t.strings.take(url); link != "" {
		attrs.PutStr(keyRunURL, link)
	}
}

// putText writes a text if there is one.
func (t *Translator) putText(attrs *attributes, key string, text langsmith.Text, limit int) {
	if len(text) > 0 {
		attrs.PutStr(key, t.strings.text(clipText(text, limit)))
	}
}

// keepScratch returns a buffer for the next run, unless one huge run has blown it up.
func keepScratch(b []byte) []byte {
	if cap(b) > 1<<20 {
		return nil
	}
	return b[:0]
}
