package translate

import (
	"bytes"
	"encoding/json"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// previews writes what LangSmith itself keeps of inputs and outputs for its lists.
func (t *Translator) previews(run *langsmith.Run, attrs *attributes, notes *Notes) {
	t.putContent(attrs, keyInputsPreview, run.InputsPreview, notes)
	t.putContent(attrs, keyOutputsPreview, run.OutputsPreview, notes)
}

// content writes inputs and outputs: in the schemas of the conventions where the operation has one and the shape
// is known, else as the JSON they are.
func (t *translation) content(run *langsmith.Run, op operation, attrs *attributes, notes *Notes) {
	switch op.class {
	case classModel:
		t.modelContent(run, attrs, notes)
	case classEmbedding:
		// The outputs are vectors: large, and of no use to a reader.
		t.putJSON(attrs, keyInputs, run.Inputs, notes)
	case classRetriever:
		if query := t.retrievalQuery(run.Inputs); query != nil {
			t.putContent(attrs, keyRetrievalQuery, query, notes)
		} else {
			t.putJSON(attrs, keyInputs, run.Inputs, notes)
		}
		if !t.putEncoded(attrs, keyRetrievalDocuments, len(run.Outputs), notes, func(e *encoder) bool { return e.documents(run.Outputs) }) {
			t.putJSON(attrs, keyOutputs, run.Outputs, notes)
		}
	case classTool:
		t.putValue(attrs, keyToolCallArguments, t.toolArguments(run.Inputs), notes)
		t.putValue(attrs, keyToolCallResult, t.toolResult(run.Outputs), notes)
	default:
		t.putJSON(attrs, keyInputs, run.Inputs, notes)
		t.putJSON(attrs, keyOutputs, run.Outputs, notes)
	}
}

func (t *translation) modelContent(run *langsmith.Run, attrs *attributes, notes *Notes) {
	in, tools := &t.input, t.params.tools
	if !isEmptyJSON(in.system) {
		t.putEncoded(attrs, keySystemInstructions, len(in.system), notes, func(e *encoder) bool { return e.systemInstructions(in) })
	}
	if !t.putEncoded(attrs, keyInputMessages, len(run.Inputs), notes, func(e *encoder) bool { return e.inputMessages(in) }) && !isEmptyJSON(run.Inputs) {
		*notes |= UnknownShape
		t.putJSON(attrs, keyInputs, run.Inputs, notes)
	}
	if !t.putEncoded(attrs, keyOutputMessages, len(run.Outputs), notes, func(e *encoder) bool { return e.outputMessages(run.Outputs, t.finishReason) }) && !isEmptyJSON(run.Outputs) {
		*notes |= UnknownShape
		t.putJSON(attrs, keyOutputs, run.Outputs, notes)
	}
	t.putTools(attrs, tools, notes)
}

// toolsText is what the tools of the model call before were written as: an agent offers the same ones each time.
type toolsText struct {
	tools []byte
	text  string
	notes Notes
}

// putTools writes the tools that a model was offered.
func (t *Translator) putTools(attrs *attributes, tools langsmith.Raw, notes *Notes) {
	if tools == nil {
		return
	}
	last := &t.tools
	if !bytes.Equal(last.tools, tools) {
		*last = toolsText{tools: append(last.tools[:0], tools...)}
		if text, ok := t.encoded(len(tools), &last.notes, func(e *encoder) bool { return e.toolDefinitions(tools) }); ok {
			last.text = text
		}
	}
	*notes |= last.notes
	if last.text != "" {
		attrs.PutStr(keyToolDefinitions, last.text)
	}
	if cap(last.tools) > 1<<20 {
		*last = toolsText{}
	}
}

// putEncoded writes the text that encode makes of about size bytes of content. It reports false when encode does.
func (t *Translator) putEncoded(attrs *attributes, key string, size int, notes *Notes, encode func(*encoder) bool) bool {
	text, ok := t.encoded(size, notes, encode)
	if ok {
		attrs.PutStr(key, text)
	}
	return ok
}

// encoded is the text that encode makes of about size bytes of content, in the memory where it stays.
func (t *Translator) encoded(size int, notes *Notes, encode func(*encoder) bool) (text string, ok bool) {
	e, limit := &t.encoder, t.settings.ContentLimit
	e.reset(t.strings.room(min(size, limit)+encodingSlack), limit)
	if !encode(e) {
		t.strings.take(e.buf[:0])
		return "", false
	}
	return t.strings.take(e.finish(notes)), true
}

// encodingSlack is how much longer a text may become in the schemas of the conventions, so that it is seldom moved.
const encodingSlack = 128

// putContent writes a text of any length.
func (t *Translator) putContent(attrs *attributes, key string, text langsmith.Text, notes *Notes) {
	limit := t.settings.ContentLimit
	switch {
	case len(text) == 0:
	case len(text) <= limit:
		attrs.PutStr(key, t.strings.text(text))
	default:
		b, clipped := appendClipped(nil, text, limit)
		if clipped {
			*notes |= ContentTruncated
		}
		attrs.PutStr(key, string(b))
	}
}

// putJSON writes a value as JSON text, unless there is nothing in it.
func (t *Translator) putJSON(attrs *attributes, key string, v langsmith.Raw, notes *Notes) {
	if !isEmptyJSON(v) {
		attrs.PutStr(key, t.boundedJSON(v, t.settings.ContentLimit, notes))
	}
}

// putValue writes a string as itself and anything else as JSON text.
func (t *Translator) putValue(attrs *attributes, key string, v langsmith.Raw, notes *Notes) {
	if text := v.Text(); text != nil {
		t.putContent(attrs, key, text, notes)
		return
	}
	t.putJSON(attrs, key, v, notes)
}

// unwrap takes the value out of an object with this one key, as tracers make of a value that is no object.
func (t *Translator) unwrap(v langsmith.Raw, key string) langsmith.Raw {
	if k, inner := t.only(v); string(k) == key && inner != nil {
		return inner
	}
	return v
}

// only is the member of an object that has just one; value is nil for any other.
func (t *Translator) only(v langsmith.Raw) (key langsmith.Text, value langsmith.Raw) {
	n := 0
	for key, value = range t.index.Members(v) {
		if n++; n > 1 {
			return nil, nil
		}
	}
	return key, value
}

// toolArguments is what a tool was called with, without the wrappers around it: LangChain's {"input": x}, and the
// AI SDK's {"args": [x, options]}, whose options repeat the whole conversation.
func (t *Translator) toolArguments(inputs langsmith.Raw) langsmith.Raw {
	list := inputs
	switch key, inner := t.only(inputs); string(key) {
	case "input":
		return inner
	case "args":
		list = inner
	}
	if arguments, options := t.sdkArguments(list); options != nil {
		return arguments
	}
	return inputs
}

// sdkArguments takes the arguments of a call of the AI SDK apart; options is nil for any other.
func (t *Translator) sdkArguments(list langsmith.Raw) (arguments, options langsmith.Raw) {
	n := 0
	for el := range t.index.Elements(list) {
		switch n++; n {
		case 1:
			arguments = el
		case 2:
			options = el
		}
	}
	if n != 2 || t.index.Get(options, "toolCallId") == nil {
		return nil, nil
	}
	return arguments, options
}

// toolResult is what a tool gave back, without the wrappers around it: {"output": x}, {"outputs": x}, and
// LangChain's ToolMessage.
func (t *Translator) toolResult(outputs langsmith.Raw) langsmith.Raw {
	v := t.unwrap(t.unwrap(outputs, "output"), "outputs")
	if kwargs := t.index.Get(v, "kwargs"); kwargs != nil {
		if content := t.index.Get(kwargs, "content"); content != nil {
			return content
		}
	}
	if string(t.index.Get(v, "type").Text()) == "tool" {
		if content := t.index.Get(v, "content"); content != nil {
			return content
		}
	}
	return v
}

// toolCallID is the id of the call that a tool answers, where LangChain puts it.
func (t *Translator) toolCallID(inputs, outputs langsmith.Raw) langsmith.Text {
	if id := t.index.Get(inputs, "tool_call_id").Text(); len(id) > 0 {
		return id
	}
	if _, options := t.sdkArguments(t.unwrap(inputs, "args")); options != nil {
		return t.index.Get(options, "toolCallId").Text()
	}
	for _, v := range [...]langsmith.Raw{outputs, t.index.Get(outputs, "output"), t.index.Get(outputs, "outputs")} {
		if id := t.index.Get(v, "tool_call_id").Text(); len(id) > 0 {
			return id
		}
		if id := t.index.Get(v, "kwargs", "tool_call_id").Text(); len(id) > 0 {
			return id
		}
	}
	return nil
}

// retrievalQuery is the text of a search; nil when the inputs are of another shape.
func (t *Translator) retrievalQuery(inputs langsmith.Raw) langsmith.Text {
	for _, key := range [...]string{"query", "input", "question"} {
		if text := t.index.Get(inputs, key).Text(); text != nil {
			return text
		}
	}
	return nil
}

// documents writes the documents that a search found.
func (e *encoder) documents(outputs langsmith.Raw) bool {
	list := e.index.Get(outputs, "documents")
	for _, key := range [...]string{"output", "outputs"} {
		if list.Kind() != langsmith.KindArray {
			list = e.index.Get(outputs, key)
		}
	}
	if list.Kind() != langsmith.KindArray {
		return false
	}
	e.raw("[")
	for doc := range e.index.Elements(list) {
		e.comma()
		e.document(doc)
	}
	e.raw("]")
	return true
}

func (e *encoder) document(doc langsmith.Raw) {
	e.raw("{")
	defer e.raw("}")
	if doc.Kind() != langsmith.KindObject {
		e.value("content", doc)
		return
	}
	var d document
	if d.read(e.index, doc); d.kwargs != nil { // LangChain's constructor dump
		doc, d = d.kwargs, document{}
		if doc.Kind() != langsmith.KindObject {
			e.value("content", doc)
			return
		}
		d.read(e.index, doc)
	}
	if len(scalar(d.id)) > 0 {
		e.text("id", scalar(d.id))
	}
	if d.score.Number().Valid {
		e.value("score", d.score)
	}
	if d.content != nil {
		e.value("content", d.content)
	}
	if !isEmptyJSON(d.meta) {
		e.value("metadata", d.meta)
	}
}

// document is what a search found, as LangChain writes it or like that.
type document struct {
	id, score, content, meta, kwargs langsmith.Raw
}

func (d *document) read(x *langsmith.Index, object langsmith.Raw) {
	for k, v := range x.Members(object) {
		switch string(k) {
		case "id":
			first(&d.id, v)
		case "score":
			first(&d.score, v)
		case "page_content", "pageContent", "content", "text":
			first(&d.content, v)
		case "metadata":
			first(&d.meta, v)
		case "kwargs":
			first(&d.kwargs, v)
		}
	}
	first(&d.id, x.Get(d.meta, "id"))
	first(&d.score, x.Get(d.meta, "score"))
	first(&d.score, x.Get(d.meta, "relevance_score"))
}

// validJSON reports whether b is one JSON value.
func validJSON(b []byte) bool { return json.Valid(b) }
