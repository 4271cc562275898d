package translate

import (
	"bytes"
	"unicode"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// class groups runs by how they are translated.
type class uint8

const (
	classStep class = iota // chain, prompt, parser and unknown types: no GenAI operation
	classModel
	classEmbedding
	classRetriever
	classTool
	classAgent
)

// operation is what a run does, in the words of the GenAI conventions.
type operation struct {
	class class
	name  string // gen_ai.operation.name; empty for a step
	kind  ptrace.SpanKind
}

// operation tells what run does. A chain is an agent only when there is a sign of it: it bears the name in
// lc_agent_name, which its children inherit under names of their own, or it is the root of a LangGraph or an
// AgentExecutor. Calling every chain an agent would inflate the number of agents.
func (t *translation) operation(run *langsmith.Run) operation {
	switch run.RunType {
	case langsmith.RunTypeLLM:
		return operation{classModel, t.modelOperation(), ptrace.SpanKindClient}
	case langsmith.RunTypeEmbedding:
		return operation{classEmbedding, "embeddings", ptrace.SpanKindClient}
	case langsmith.RunTypeRetriever:
		// Only a store that says who it is, is known to be another service.
		if len(t.meta.vectorStore.Text()) > 0 {
			return operation{classRetriever, "retrieval", ptrace.SpanKindClient}
		}
		return operation{classRetriever, "retrieval", ptrace.SpanKindInternal}
	case langsmith.RunTypeTool:
		return operation{classTool, "execute_tool", ptrace.SpanKindInternal}
	case langsmith.RunTypeChain:
		if t.isAgent(run) {
			return operation{classAgent, "invoke_agent", ptrace.SpanKindInternal}
		}
	}
	return operation{classStep, "", ptrace.SpanKindInternal}
}

func (t *translation) isAgent(run *langsmith.Run) bool {
	if name := t.meta.agentName.Text(); len(name) > 0 && string(name) == string(run.Name) {
		return true
	}
	return isRoot(run) && (string(run.Name) == "LangGraph" || string(run.Name) == "AgentExecutor")
}

func isRoot(run *langsmith.Run) bool {
	return run.ParentID.IsZero() && (run.TraceID.IsZero() || run.TraceID == run.ID)
}

// modelOperation tells chat from completion. It goes by metadata alone, which is there at every level of
// capture: an operation must not change its name when content is switched on. Calls of Gemini's own client are
// chat too, because LangSmith's wrapper records them in the form of messages.
func (t *translation) modelOperation() string {
	if string(t.meta.modelType.Text()) == "llm" {
		return "text_completion"
	}
	return "chat"
}

// agentName is the agent that the run is or belongs to.
func (t *translation) agentName(run *langsmith.Run, op operation) string {
	if name := t.meta.agentName.Text(); len(name) > 0 {
		return t.short(name, maxSpanName)
	}
	if op.class == classAgent {
		return t.short(run.Name, maxSpanName)
	}
	return ""
}

// maxSpanName is the most bytes of a name or model that go into a span name.
const maxSpanName = 256

// spanName is the operation and what it is about; a step without an operation has the name of its run.
func (t *translation) spanName(run *langsmith.Run, op operation, model string, notes *Notes) string {
	t.scratch = append(t.scratch[:0], op.name...)
	switch op.class {
	case classModel, classEmbedding:
		if model != "" {
			t.scratch = append(append(t.scratch, ' '), model...)
		}
	case classTool:
		t.scratch = appendName(append(t.scratch, ' '), run.Name, notes)
	case classAgent:
		name := t.meta.agentName.Text()
		if len(name) == 0 {
			name = run.Name
		}
		t.scratch = appendName(append(t.scratch, ' '), name, notes)
	case classStep:
		t.scratch = appendName(t.scratch, run.Name, notes)
		if len(t.scratch) == 0 {
			if int(run.RunType) < len(runTypes) && runTypes[run.RunType] != "" {
				return runTypes[run.RunType]
			}
			return "run"
		}
	}
	if n := len(t.scratch); t.scratch[n-1] == ' ' {
		t.scratch = t.scratch[:n-1]
	}
	return t.strings.internBytes(t.scratch)
}

// appendName appends a name on one line: control characters become spaces, and spaces at the ends go.
func appendName(dst []byte, name langsmith.Text, notes *Notes) []byte {
	start := len(dst)
	dst, clipped := appendClipped(dst, name, maxSpanName)
	if clipped {
		*notes |= NameTruncated
	}
	for i := start; i < len(dst); i++ {
		if dst[i] < 0x20 || dst[i] >= 0x7f {
			dst = append(dst[:start], bytes.Map(oneLine, dst[start:])...)
			break
		}
	}
	return append(dst[:start], bytes.TrimSpace(dst[start:])...)
}

func oneLine(r rune) rune {
	if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
		return ' '
	}
	return r
}
