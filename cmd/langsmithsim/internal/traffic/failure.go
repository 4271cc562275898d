package traffic

import "fmt"

// failure is why a run did not succeed.
type failure struct {
	class   string
	message string
	after   float64 // median milliseconds until it shows
	// control marks what LangGraph raises to steer a graph and what a user's cancel raises.
	control bool
	// interrupted is how some servers call a graph that waits for a person.
	interrupted bool
}

func (f *failure) status() string {
	if f.interrupted {
		return "interrupted"
	}
	return "error"
}

// text is the error as the SDKs store it: the class and message, then where it happened.
func (f *failure) text(n *node) string {
	if n.t.js {
		switch f.class {
		case "CancelledError":
			return "Cancelled"
		case "GraphInterrupt":
			return fmt.Sprintf("[{\"value\":{\"question\":%q},\"id\":\"7d1f\"}]\n\nGraphInterrupt\n    at interrupt (file:///app/node_modules/@langchain/langgraph/dist/interrupt.js:71:8)", n.t.question)
		}
		return fmt.Sprintf("%s\n\n%s: %s\n    at %s (file:///app/dist/agent.js:118:11)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)\n    at async RunnableSequence.invoke (file:///app/node_modules/@langchain/core/dist/runnables/base.js:1308:27)", f.message, f.class, f.message, n.name)
	}
	sep := "\n\n"
	if n.shape == shapeLangChainChat || n.shape == shapeTool || n.shape == shapeGraph {
		sep = ""
	}
	return fmt.Sprintf("%s(%q)%sTraceback (most recent call last):\n\n  File \"/app/agents/%s.py\", line %d, in %s\n    return await call(request)\n           ^^^^^^^^^^^^^^^^^^^\n\n  File \"/usr/lib/python3.12/site-packages/langchain_core/runnables/base.py\", line 3047, in ainvoke\n    input_ = await coro_with_context(part(), context)\n\n%s: %s", f.class, f.message, sep, n.t.project.Name, 30+n.seed%400, n.name, f.class, f.message)
}

var (
	rateLimited     = &failure{class: "RateLimitError", message: "Error code: 429 - {'error': {'message': 'Rate limit reached for requests', 'type': 'requests', 'code': 'rate_limit_exceeded'}}", after: 180}
	timedOut        = &failure{class: "APITimeoutError", message: "Request timed out.", after: 20_000}
	contextLength   = &failure{class: "BadRequestError", message: "Error code: 400 - {'error': {'message': \"This model's maximum context length is 128000 tokens.\", 'code': 'context_length_exceeded'}}", after: 250}
	contentFilter   = &failure{class: "ContentFilterFinishReasonError", message: "Could not parse response content as the request was rejected by the content filter", after: 900}
	unauthorized    = &failure{class: "AuthenticationError", message: "Error code: 401 - {'error': {'message': 'Incorrect API key provided', 'code': 'invalid_api_key'}}", after: 90}
	serverDown      = &failure{class: "InternalServerError", message: "Error code: 500 - {'error': {'message': 'The server had an error while processing your request'}}", after: 3_000}
	overloaded      = &failure{class: "OverloadedError", message: "Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}", after: 400}
	throttled       = &failure{class: "ThrottlingException", message: "An error occurred (ThrottlingException) when calling the Converse operation: Too many tokens, please wait before trying again.", after: 150}
	exhausted       = &failure{class: "ResourceExhausted", message: "429 Resource has been exhausted (e.g. check quota).", after: 150}
	cancelled       = &failure{class: "CancelledError", message: "", control: true}
	interrupt       = &failure{class: "GraphInterrupt", message: "(Interrupt(value={'question': 'Approve the refund?'}, id='7d1f'),)", control: true}
	interruptStatus = &failure{class: "GraphInterrupt", message: "(Interrupt(value={'question': 'Approve the refund?'}, id='7d1f'),)", control: true, interrupted: true}
)

// modelFailure decides whether a call fails, and how: about one in forty.
func (t *trace) modelFailure(m *model) *failure {
	if !t.chance(0.025) {
		return nil
	}
	switch x := t.Float64(); {
	case x < 0.4:
		switch m.semconv {
		case "anthropic":
			return overloaded
		case "aws.bedrock":
			return throttled
		case "gcp.gemini", "gcp.vertex_ai":
			return exhausted
		}
		return rateLimited
	case x < 0.62:
		return timedOut
	case x < 0.74:
		return contextLength
	case x < 0.82:
		return contentFilter
	case x < 0.88:
		return unauthorized
	}
	return serverDown
}

func toolFailure(tl *tool) *failure {
	messages := map[string]string{
		"TimeoutError": "the service gave no answer in 2.0 s", "HTTPError": "502 Server Error: Bad Gateway",
		"ValidationError": "1 validation error for Args\norder_id\n  Field required [type=missing]", "ConnectionError": "[Errno 111] Connection refused",
		"RateLimitError": "429 Too Many Requests", "ToolException": "exit status 1: NameError: name 'df' is not defined",
	}
	return &failure{class: tl.fails, message: messages[tl.fails]}
}
