package translate

import (
	"bytes"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// parts writes the parts of a message's content: a text, or a list of blocks. Where the message names its tool
// calls apart, the blocks that repeat them are left out.
func (e *encoder) parts(content langsmith.Raw, skipToolCalls bool) {
	switch content.Kind() {
	case langsmith.KindString:
		if text := content.Text(); len(text) > 0 {
			e.textPart(text)
		}
	case langsmith.KindArray:
		for block := range e.index.Elements(content) {
			e.part(block, skipToolCalls)
		}
	case langsmith.KindObject:
		e.part(content, skipToolCalls)
	}
}

// part writes one block of content, of OpenAI, Anthropic, Gemini, LangChain or the AI SDK.
func (e *encoder) part(block langsmith.Raw, skipToolCalls bool) {
	switch block.Kind() {
	case langsmith.KindString:
		e.textPart(block.Text())
		return
	case langsmith.KindObject:
	default:
		return
	}
	kind := e.index.Get(block, "type").Text()
	switch string(kind) {
	case "text", "input_text", "output_text", "text_delta":
		e.textPart(e.index.Get(block, "text").Text())
	case "reasoning", "thinking":
		e.reasoningPart(block)
	case "redacted_thinking":
		e.typedText("reasoning", nil)
	case "refusal":
		e.typedText("refusal", e.index.Get(block, "refusal").Text())
	case "tool_use", "tool_call", "tool-call", "function_call":
		if !skipToolCalls {
			e.toolCallObject(block)
		}
	case "input_json_delta": // left over from a stream; the call itself stands elsewhere
	case "tool_result", "tool-result", "function_call_output":
		e.toolResultPart(block)
	case "image_url", "image", "input_image", "audio", "input_audio", "video", "file", "input_file", "document", "media":
		e.mediaPart(string(kind), block)
	case "":
		e.geminiPart(block)
	default:
		e.comma()
		e.any(block)
	}
}

// geminiPart writes a part of Gemini, which says what it is by its one member.
func (e *encoder) geminiPart(block langsmith.Raw) {
	for k, v := range e.index.Members(block) {
		switch string(k) {
		case "text":
			if thought, _ := e.index.Get(block, "thought").Bool(); thought {
				e.typedText("reasoning", v.Text())
			} else {
				e.textPart(v.Text())
			}
			return
		case "functionCall", "function_call":
			e.toolCall(e.index.Get(v, "id").Text(), e.index.Get(v, "name").Text(), firstOf(e.index, v, "args", "arguments"))
			return
		case "functionResponse", "function_response":
			id := e.index.Get(v, "id").Text()
			if id == nil {
				id = e.index.Get(v, "name").Text()
			}
			e.toolResponse(id, e.index.Get(v, "response"))
			return
		case "inlineData", "inline_data":
			mime := firstOf(e.index, v, "mimeType", "mime_type").Text()
			e.blob(modality("", mime), mime, e.index.Get(v, "data").Text())
			return
		case "fileData", "file_data":
			mime := firstOf(e.index, v, "mimeType", "mime_type").Text()
			e.uri(modality("", mime), mime, firstOf(e.index, v, "fileUri", "file_uri").Text())
			return
		}
	}
	e.comma()
	e.raw("{")
	e.word("type", "unknown")
	e.value("content", block)
	e.raw("}")
}

func (e *encoder) textPart(text langsmith.Text) { e.typedText("text", text) }

func (e *encoder) typedText(kind string, text langsmith.Text) {
	e.comma()
	e.raw("{")
	e.word("type", kind)
	e.text("content", text)
	e.raw("}")
}

// reasoningPart writes what a model thought: a text, or the summaries that OpenAI gives instead.
func (e *encoder) reasoningPart(block langsmith.Raw) {
	if text := firstOf(e.index, block, "reasoning", "thinking", "text", "content").Text(); text != nil {
		e.typedText("reasoning", text)
		return
	}
	for summary := range e.index.Elements(e.index.Get(block, "summary")) {
		e.typedText("reasoning", e.index.Get(summary, "text").Text())
	}
}

// toolCalls writes the calls that a message names apart from its content.
func (e *encoder) toolCalls(calls langsmith.Raw) {
	for call := range e.index.Elements(calls) {
		e.toolCallObject(call)
	}
}

// toolCallObject writes a call of OpenAI ({id, function: {name, arguments}}), LangChain ({id, name, args}),
// Anthropic ({id, name, input}) or the AI SDK ({toolCallId, toolName, input}).
func (e *encoder) toolCallObject(call langsmith.Raw) {
	var id, name, arguments, function langsmith.Raw
	read := func(object langsmith.Raw) {
		for k, v := range e.index.Members(object) {
			switch string(k) {
			case "id", "toolCallId", "call_id", "tool_call_id":
				first(&id, v)
			case "name", "toolName":
				first(&name, v)
			case "args", "input", "arguments":
				first(&arguments, v)
			case "function":
				first(&function, v)
			}
		}
	}
	if read(call); function.Kind() == langsmith.KindObject {
		name, arguments = nil, nil
		read(function)
	}
	e.toolCall(id.Text(), name.Text(), arguments)
}

func (e *encoder) toolCall(id, name langsmith.Text, arguments langsmith.Raw) {
	e.comma()
	e.raw("{")
	e.word("type", "tool_call")
	e.optional("id", id)
	e.text("name", name)
	if arguments != nil {
		e.embedded("arguments", arguments)
	}
	e.raw("}")
}

func (e *encoder) toolResultPart(block langsmith.Raw) {
	id := firstOf(e.index, block, "tool_use_id", "toolCallId", "call_id", "tool_call_id").Text()
	e.toolResponse(id, firstOf(e.index, block, "content", "output", "result"))
}

func (e *encoder) toolResponse(id langsmith.Text, response langsmith.Raw) {
	e.comma()
	e.raw("{")
	e.word("type", "tool_call_response")
	e.optional("id", id)
	e.value("response", response)
	e.raw("}")
}

// mediaPart writes an image, a sound, a video or a file: as a link, as an id, or as the data itself.
func (e *encoder) mediaPart(kind string, block langsmith.Raw) {
	mime := firstOf(e.index, block, "mime_type", "mimeType", "mediaType", "media_type").Text()
	var source langsmith.Raw
	for _, key := range [...]string{"image_url", "source", "input_audio", "file", "image", "audio", "video", "data", "url", "file_id", "file_data", "file_url", "fileId"} {
		if source = e.index.Get(block, key); source != nil {
			if key == "file_id" || key == "fileId" {
				e.file(modality(kind, mime), mime, source.Text())
				return
			}
			break
		}
	}
	if source.Kind() == langsmith.KindObject {
		if m := firstOf(e.index, source, "media_type", "mime_type", "format").Text(); m != nil {
			mime = m
		}
		if id := e.index.Get(source, "file_id").Text(); id != nil {
			e.file(modality(kind, mime), mime, id)
			return
		}
		source = firstOf(e.index, source, "url", "data", "file_data", "uri")
	}
	data := source.Text()
	switch {
	case bytes.HasPrefix(data, []byte("data:")):
		head, body, _ := bytes.Cut(data[len("data:"):], []byte(","))
		mime, _, _ = bytes.Cut(head, []byte(";"))
		e.blob(modality(kind, mime), mime, body)
	case isLink(data):
		e.uri(modality(kind, mime), mime, data)
	default:
		e.blob(modality(kind, mime), mime, data)
	}
}

func isLink(data langsmith.Text) bool {
	for _, scheme := range [...]string{"https:", "http:", "gs:", "s3:", "file:"} {
		if bytes.HasPrefix(data, []byte(scheme)) {
			return true
		}
	}
	return false
}

// blob writes data that stands in the message. Half of it would be of no use, so long data is left out whole.
func (e *encoder) blob(modality string, mime, data langsmith.Text) {
	e.comma()
	e.raw("{")
	e.word("type", "blob")
	e.optional("mime_type", mime)
	e.word("modality", modality)
	if len(data) > e.limit/4 {
		e.clipped = true
		data = nil
	}
	e.text("content", data)
	e.raw("}")
}

func (e *encoder) uri(modality string, mime, uri langsmith.Text) {
	e.comma()
	e.raw("{")
	e.word("type", "uri")
	e.optional("mime_type", mime)
	e.word("modality", modality)
	e.text("uri", uri)
	e.raw("}")
}

func (e *encoder) file(modality string, mime, id langsmith.Text) {
	e.comma()
	e.raw("{")
	e.word("type", "file")
	e.optional("mime_type", mime)
	e.word("modality", modality)
	e.text("file_id", id)
	e.raw("}")
}

// modality is what kind of medium a block or a MIME type is of.
func modality(kind string, mime langsmith.Text) string {
	for _, m := range [...]string{"image", "audio", "video"} {
		if bytes.Contains([]byte(kind), []byte(m)) || bytes.HasPrefix(mime, []byte(m)) {
			return m
		}
	}
	return "document"
}

// toolDefinitions writes the tools that a model was offered, of any tracer, in one shape.
func (e *encoder) toolDefinitions(tools langsmith.Raw) bool {
	if isEmptyJSON(tools) {
		return false
	}
	e.raw("[")
	switch tools.Kind() {
	case langsmith.KindArray:
		for tool := range e.index.Elements(tools) {
			e.toolDefinition(nil, tool)
		}
	case langsmith.KindObject: // the AI SDK: {name: tool}
		for name, tool := range e.index.Members(tools) {
			e.toolDefinition(name, tool)
		}
	}
	e.raw("]")
	return len(e.buf) > 2
}

func (e *encoder) toolDefinition(name langsmith.Text, tool langsmith.Raw) {
	if tool.Kind() != langsmith.KindObject {
		return
	}
	var d definition
	if d.read(e.index, tool); d.declarations != nil { // Gemini
		for declaration := range e.index.Elements(d.declarations) {
			e.toolDefinition(nil, declaration)
		}
		return
	}
	kind := d.kind.Text()
	if function := d.function; function.Kind() == langsmith.KindObject {
		d = definition{}
		d.read(e.index, function)
	}
	if n := d.name.Text(); len(n) > 0 {
		name = n
	}
	e.comma()
	e.raw("{")
	if len(kind) == 0 {
		e.word("type", "function")
	} else {
		e.text("type", kind)
	}
	e.optional("name", name)
	e.optional("description", d.description.Text())
	if d.schema != nil {
		e.value("parameters", d.schema)
	}
	e.raw("}")
}

// definition holds the members of a tool's definition of any tracer.
type definition struct {
	kind, name, description, schema, function, declarations langsmith.Raw
}

func (d *definition) read(x *langsmith.Index, tool langsmith.Raw) {
	for k, v := range x.Members(tool) {
		switch string(k) {
		case "type":
			first(&d.kind, v)
		case "name":
			first(&d.name, v)
		case "description":
			first(&d.description, v)
		case "parameters", "input_schema", "inputSchema", "parametersJsonSchema":
			first(&d.schema, v)
		case "function":
			first(&d.function, v)
		case "function_declarations", "functionDeclarations":
			first(&d.declarations, v)
		}
	}
}

// firstOf is the first of the members that there is.
func firstOf(x *langsmith.Index, object langsmith.Raw, keys ...string) langsmith.Raw {
	for _, key := range keys {
		if v := x.Get(object, key); v != nil {
			return v
		}
	}
	return nil
}
