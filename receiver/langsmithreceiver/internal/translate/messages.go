package translate

import (
	"bytes"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// input holds the parts of a model call's inputs that are content, as the tracers name them.
type input struct {
	messages, input, contents, prompts, prompt langsmith.Raw
	system                                     langsmith.Raw
}

// read collects the content and the parameters of a request in one pass: content may be long, and every pass
// costs as much as its length.
func (in *input) read(x *langsmith.Index, inputs langsmith.Raw, p *params) {
	for k, v := range x.Members(inputs) {
		switch string(k) {
		case "messages":
			first(&in.messages, v)
		case "input":
			first(&in.input, v)
		case "contents":
			first(&in.contents, v)
		case "prompts":
			first(&in.prompts, v)
		case "prompt":
			first(&in.prompt, v)
		case "system", "instructions", "system_instruction", "systemInstruction":
			first(&in.system, v)
		case "config":
			first(&in.system, firstOf(x, v, "system_instruction", "systemInstruction"))
			p.read(x, v)
		default:
			p.set(x, k, v)
		}
	}
}

// systemInstructions writes the instructions that were passed apart from the messages: Anthropic's and the AI
// SDK's system, the instructions of OpenAI's Responses, Gemini's system_instruction.
func (e *encoder) systemInstructions(in *input) bool {
	found := in.system
	if parts := e.index.Get(found, "parts"); parts != nil {
		found = parts
	}
	if isEmptyJSON(found) {
		return false
	}
	e.raw("[")
	e.parts(found, false)
	e.raw("]")
	return true
}

// inputMessages writes what was sent to a model. It reports false, and the text is void, when the shape is not
// known.
func (e *encoder) inputMessages(in *input) bool {
	for _, v := range [...]langsmith.Raw{in.messages, in.contents, in.prompts, in.prompt, in.input} {
		if v == nil {
			continue
		}
		e.buf = append(e.buf[:0], '[')
		if e.messages(v, "user", 0) && len(e.buf) > 1 {
			e.raw("]")
			return true
		}
	}
	return false
}

// messages writes a list of messages, a list of lists of them, one message, or a text. The commas are its own,
// the brackets are not.
func (e *encoder) messages(v langsmith.Raw, role string, depth int) bool {
	switch v.Kind() {
	case langsmith.KindString:
		e.beginMessage(role)
		e.textPart(v.Text())
		e.endMessage("")
		return true
	case langsmith.KindObject:
		return e.message(v, role, "")
	case langsmith.KindArray:
		if depth > 2 {
			return false
		}
		if role, text, ok := e.tuple(v); ok {
			e.beginMessage(role)
			e.textPart(text)
			e.endMessage("")
			return true
		}
		for el := range e.index.Elements(v) {
			if !e.messages(el, role, depth+1) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// tuple reads LangChain's short form of a message, ["user", "text"].
func (e *encoder) tuple(v langsmith.Raw) (role string, text langsmith.Text, ok bool) {
	// To look at an element costs as much as it is long; most lists hold objects.
	if inner := bytes.TrimLeft(v[1:], " \t\r\n"); len(inner) == 0 || inner[0] != '"' {
		return "", nil, false
	}
	n := 0
	for el := range e.index.Elements(v) {
		switch n {
		case 0:
			if role = roleOf(el.Text()); role == "" || role == string(el.Text()) && !isRole(role) {
				return "", nil, false
			}
		case 1:
			text = el.Text()
		}
		if n++; n > 2 {
			return "", nil, false
		}
	}
	return role, text, n == 2 && text != nil
}

func isRole(role string) bool {
	switch role {
	case "user", "assistant", "system", "tool", "developer":
		return true
	}
	return false
}

// roleOf is the role in the words of the conventions. Roles that they do not know stay what they are, as long as
// they are one word.
func roleOf(role langsmith.Text) string {
	switch string(role) {
	case "human", "HumanMessage", "HumanMessageChunk":
		return "user"
	case "ai", "model", "AIMessage", "AIMessageChunk":
		return "assistant"
	case "SystemMessage", "SystemMessageChunk":
		return "system"
	case "function", "ToolMessage", "ToolMessageChunk", "FunctionMessage":
		return "tool"
	default:
		return cleanToken(role, false)
	}
}

// fields holds the members of a message of any tracer.
type fields struct {
	role, kind, content, parts, name           langsmith.Raw
	toolCalls, functionCall, toolCallID        langsmith.Raw
	additional, reasoning, refusal, text, args langsmith.Raw
	callID, output                             langsmith.Raw
	class, kwargs, data                        langsmith.Raw // of the wrappers that LangChain puts around a message
}

func (f *fields) read(x *langsmith.Index, object langsmith.Raw) {
	for k, v := range x.Members(object) {
		switch string(k) {
		case "role":
			first(&f.role, v)
		case "type":
			first(&f.kind, v)
		case "content":
			first(&f.content, v)
		case "parts":
			first(&f.parts, v)
		case "name":
			first(&f.name, v)
		case "tool_calls", "toolCalls":
			if !isEmptyJSON(v) {
				first(&f.toolCalls, v)
			}
		case "function_call":
			first(&f.functionCall, v)
		case "tool_call_id", "toolCallId":
			first(&f.toolCallID, v)
		case "additional_kwargs", "additionalKwargs":
			first(&f.additional, v)
		case "reasoning", "reasoning_content", "reasoningText":
			first(&f.reasoning, v)
		case "refusal":
			first(&f.refusal, v)
		case "text":
			first(&f.text, v)
		case "arguments":
			first(&f.args, v)
		case "call_id":
			first(&f.callID, v)
		case "output":
			first(&f.output, v)
		case "id":
			first(&f.class, v)
		case "kwargs":
			first(&f.kwargs, v)
		case "data":
			first(&f.data, v)
		}
	}
}

// message writes one message of any tracer. role is what it has when it does not say.
func (e *encoder) message(v langsmith.Raw, role, finish string) bool {
	var f fields
	f.read(e.index, v)
	var class langsmith.Raw
	switch kwargs, kind, data := f.kwargs, f.kind, f.data; {
	case kwargs != nil: // LangChain's constructor dump: {id: [..., class], kwargs}
		class = f.class
		f = fields{}
		f.read(e.index, kwargs)
	case kind != nil && data.Kind() == langsmith.KindObject: // {type, data}
		f = fields{}
		f.read(e.index, data)
		first(&f.kind, kind)
	}

	switch string(f.kind.Text()) { // items of OpenAI's Responses that are no messages
	case "function_call", "custom_tool_call":
		e.beginMessage("assistant")
		e.toolCall(f.callID.Text(), f.name.Text(), f.args)
		e.endMessage(finish)
		return true
	case "function_call_output", "custom_tool_call_output":
		e.beginMessage("tool")
		e.toolResponse(f.callID.Text(), f.output)
		e.endMessage(finish)
		return true
	case "reasoning":
		if f.role == nil {
			before := len(e.buf)
			e.beginMessage("assistant")
			empty := len(e.buf)
			e.reasoningPart(v)
			if len(e.buf) == empty { // the thoughts themselves are not told
				e.buf = e.buf[:before]
				return true
			}
			e.endMessage(finish)
			return true
		}
	}

	switch {
	case len(f.role.Text()) > 0:
		role = roleOf(f.role.Text())
	case isMessageType(f.kind.Text()):
		role = roleOf(f.kind.Text())
	case isMessageType(e.lastText(class)):
		role = roleOf(e.lastText(class))
	case f.content == nil && f.parts == nil && f.toolCalls == nil:
		return false
	}
	if role == "" {
		role = "user"
	}
	if f.toolCalls == nil {
		if calls := e.index.Get(f.additional, "tool_calls"); !isEmptyJSON(calls) {
			f.toolCalls = calls
		}
	}
	first(&f.functionCall, e.index.Get(f.additional, "function_call"))
	first(&f.reasoning, e.index.Get(f.additional, "reasoning_content"))
	if f.content == nil && f.parts == nil && f.toolCalls == nil && f.functionCall == nil && f.text == nil && f.refusal == nil && f.role == nil {
		return false
	}

	e.beginMessage(role)
	if text := f.reasoning.Text(); len(text) > 0 {
		e.typedText("reasoning", text)
	}
	switch {
	case role == "tool" && len(f.toolCallID.Text()) > 0:
		e.toolResponse(f.toolCallID.Text(), f.content)
	case f.parts != nil:
		e.parts(f.parts, f.toolCalls != nil)
	case f.content.Kind() == langsmith.KindObject && e.index.Get(f.content, "parts") != nil: // a candidate of Gemini
		e.parts(e.index.Get(f.content, "parts"), f.toolCalls != nil)
	case f.content != nil:
		e.parts(f.content, f.toolCalls != nil)
	case f.text != nil:
		e.parts(f.text, f.toolCalls != nil)
	}
	if text := f.refusal.Text(); len(text) > 0 {
		e.typedText("refusal", text)
	}
	e.toolCalls(f.toolCalls)
	if f.functionCall != nil && f.toolCalls == nil {
		e.toolCall(nil, e.index.Get(f.functionCall, "name").Text(), e.index.Get(f.functionCall, "arguments"))
	}
	e.raw("]")
	if name := f.name.Text(); len(name) > 0 {
		e.text("name", name)
	}
	e.finishMember(finish)
	e.raw("}")
	return true
}

// lastText is the last element of an array of strings.
func (e *encoder) lastText(array langsmith.Raw) (last langsmith.Text) {
	for v := range e.index.Elements(array) {
		last = v.Text()
	}
	return last
}

// isMessageType reports whether LangChain uses this word for a kind of message.
func isMessageType(t langsmith.Text) bool {
	switch string(t) {
	case "human", "ai", "system", "tool", "function", "developer":
		return true
	}
	return bytes.HasSuffix(t, []byte("Message")) || bytes.HasSuffix(t, []byte("MessageChunk"))
}

func (e *encoder) beginMessage(role string) {
	e.comma()
	e.raw("{")
	e.word("role", role)
	e.raw(`,"parts":[`)
}

func (e *encoder) endMessage(finish string) {
	e.raw("]")
	e.finishMember(finish)
	e.raw("}")
}

func (e *encoder) finishMember(finish string) {
	if finish != "" {
		e.word("finish_reason", finish)
	}
}

// outputMessages writes what a model answered. It reports false, and the text is void, when the shape is not
// known. name folds a finish reason into the words of the conventions.
func (e *encoder) outputMessages(outputs langsmith.Raw, name func(langsmith.Text) string) bool {
	e.buf = append(e.buf[:0], '[')
	if !e.answers(outputs, name, 0) || len(e.buf) == 1 {
		return false
	}
	e.raw("]")
	return true
}

func (e *encoder) answers(outputs langsmith.Raw, name func(langsmith.Text) string, depth int) bool {
	if depth > 3 {
		return false
	}
	var generations, choices, candidates, message, messages, output, text, content, role, kwargs, calls langsmith.Raw
	var reason langsmith.Text
	for k, v := range e.index.Members(outputs) {
		switch string(k) {
		case "generations":
			first(&generations, v)
		case "choices":
			first(&choices, v)
		case "candidates":
			first(&candidates, v)
		case "message":
			first(&message, v)
		case "messages":
			first(&messages, v)
		case "output", "outputs":
			first(&output, v)
		case "text":
			first(&text, v)
		case "content":
			first(&content, v)
		case "role":
			first(&role, v)
		case "kwargs":
			first(&kwargs, v)
		case "tool_calls", "toolCalls":
			first(&calls, v)
		case "finish_reason", "finishReason", "stop_reason", "stopReason":
			if reason == nil {
				reason = reasonOf(v)
			}
		}
	}
	finish := ""
	if reason != nil {
		finish = name(reason)
	}
	switch {
	case generations != nil:
		return e.generations(generations, name)
	case choices != nil:
		for choice := range e.index.Elements(choices) {
			if !e.choice(choice, name) {
				return false
			}
		}
		return true
	case candidates != nil:
		for candidate := range e.index.Elements(candidates) {
			if !e.message(e.index.Get(candidate, "content"), "assistant", reasonIn(e.index, candidate, name)) {
				return false
			}
		}
		return true
	case message.Kind() == langsmith.KindObject:
		return e.message(message, "assistant", finish)
	case role != nil || kwargs != nil || content != nil:
		return e.message(outputs, "assistant", finish)
	case text.Kind() == langsmith.KindString || !isEmptyJSON(calls):
		return e.message(outputs, "assistant", finish)
	case messages != nil:
		return e.messages(messages, "assistant", 0)
	case output.Kind() == langsmith.KindString:
		e.beginMessage("assistant")
		e.textPart(output.Text())
		e.endMessage(finish)
		return true
	case output.Kind() == langsmith.KindArray: // the items of OpenAI's Responses, or ["assistant", "text"]
		return e.messages(output, "assistant", 0)
	case output.Kind() == langsmith.KindObject:
		return e.answers(output, name, depth+1)
	default:
		return false
	}
}

// generations writes LangChain's result: for each prompt, its alternatives.
func (e *encoder) generations(generations langsmith.Raw, name func(langsmith.Text) string) bool {
	for prompt := range e.index.Elements(generations) {
		for v := range (alternatives{e.index, prompt}).all {
			g := readGeneration(e.index, v)
			finish := reasonIn(e.index, g.info, name)
			if g.message != nil {
				if finish == "" {
					finish = reasonIn(e.index, e.index.Get(g.message, "kwargs", "response_metadata"), name)
				}
				if !e.message(g.message, "assistant", finish) {
					return false
				}
				continue
			}
			e.beginMessage("assistant")
			e.textPart(g.text.Text())
			e.endMessage(finish)
		}
	}
	return true
}

// choice writes one of OpenAI's choices: a message, the delta of a stream, or the text of a completion.
func (e *encoder) choice(choice langsmith.Raw, name func(langsmith.Text) string) bool {
	var message, text langsmith.Raw
	var reason langsmith.Text
	for k, v := range e.index.Members(choice) {
		switch string(k) {
		case "message", "delta":
			first(&message, v)
		case "text":
			first(&text, v)
		case "finish_reason", "finishReason":
			if reason == nil {
				reason = reasonOf(v)
			}
		}
	}
	finish := ""
	if reason != nil {
		finish = name(reason)
	}
	if message.Kind() == langsmith.KindObject {
		return e.message(message, "assistant", finish)
	}
	if text := text.Text(); text != nil {
		e.beginMessage("assistant")
		e.textPart(text)
		e.endMessage(finish)
		return true
	}
	return false
}

// reasonIn is why the answer ended, "" when the object does not say.
func reasonIn(x *langsmith.Index, object langsmith.Raw, name func(langsmith.Text) string) string {
	for k, v := range x.Members(object) {
		switch string(k) {
		case "finish_reason", "finishReason", "stop_reason", "stopReason":
			if reason := reasonOf(v); reason != nil {
				return name(reason)
			}
		}
	}
	return ""
}
