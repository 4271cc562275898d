package genai

import "strings"

// foldOperation maps the name of an operation to the conventions'. Custom names are kept as they are; names of
// steps around the operations proper, such as chains, give KindNone.
func foldOperation(name string) (string, Kind) {
	switch name {
	case OperationChat:
		return OperationChat, KindInference
	case OperationExecuteTool, "tool":
		return OperationExecuteTool, KindTool
	case OperationEmbeddings, "embedding":
		return OperationEmbeddings, KindEmbeddings
	case OperationRetrieval, "vector_db_retrieve":
		return OperationRetrieval, KindRetrieval
	case OperationInvokeAgent, "agent":
		return OperationInvokeAgent, KindAgent
	case OperationInvokeWorkflow, "workflow":
		return OperationInvokeWorkflow, KindWorkflow
	case OperationGenerateContent:
		return OperationGenerateContent, KindInference
	case OperationTextCompletion, "completion":
		return OperationTextCompletion, KindInference
	case "generate", "inference", "llm_request", "responses.create":
		return OperationChat, KindInference
	case "chain", "prompt", "parser", // LangSmith's run types, written verbatim by its exporters
		"agent_step",            // Vercel AI SDK
		"vectordb", "framework", // OpenLIT
		"connect", "send", "recv", "close": // Azure voice
		return "", KindNone
	}
	return name, KindOther
}

// foldRunType maps LangSmith's run types.
func foldRunType(name string) (string, Kind) {
	switch {
	case is(name, "llm"):
		return OperationChat, KindInference
	case is(name, "tool"):
		return OperationExecuteTool, KindTool
	case is(name, "retriever"):
		return OperationRetrieval, KindRetrieval
	case is(name, "embedding"):
		return OperationEmbeddings, KindEmbeddings
	}
	return "", KindNone
}

// foldOIKind maps OpenInference's span kinds.
func foldOIKind(name string, prompts bool) (string, Kind) {
	switch {
	case is(name, "llm") && prompts:
		return OperationTextCompletion, KindInference
	case is(name, "llm"):
		return OperationChat, KindInference
	case is(name, "tool"):
		return OperationExecuteTool, KindTool
	case is(name, "retriever"):
		return OperationRetrieval, KindRetrieval
	case is(name, "embedding"):
		return OperationEmbeddings, KindEmbeddings
	case is(name, "agent"):
		return OperationInvokeAgent, KindAgent
	}
	return "", KindNone
}

// foldCallType maps OpenLLMetry's types of model calls.
func foldCallType(name string) (string, Kind) {
	switch name {
	case "chat":
		return OperationChat, KindInference
	case "completion":
		return OperationTextCompletion, KindInference
	case "embedding":
		return OperationEmbeddings, KindEmbeddings
	}
	return "", KindNone
}

// foldLoopKind maps OpenLLMetry's kinds of other spans.
func foldLoopKind(name string) (string, Kind) {
	switch name {
	case "tool":
		return OperationExecuteTool, KindTool
	case "agent":
		return OperationInvokeAgent, KindAgent
	case "workflow":
		return OperationInvokeWorkflow, KindWorkflow
	}
	return "", KindNone
}

// foldAIKind maps the operation ids of the Vercel AI SDK. Only the inner do… calls are calls of a model: the
// outer ones repeat their usage.
func foldAIKind(name string) (string, Kind) {
	switch name {
	case "ai.generateText.doGenerate", "ai.streamText.doStream",
		"ai.generateObject.doGenerate", "ai.streamObject.doStream":
		return OperationChat, KindInference
	case "ai.embed.doEmbed", "ai.embedMany.doEmbed":
		return OperationEmbeddings, KindEmbeddings
	case "ai.toolCall":
		return OperationExecuteTool, KindTool
	case "ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject":
		return OperationInvokeAgent, KindAgent
	}
	return "", KindNone
}

// foldFuseKind maps Langfuse's types of observations.
func foldFuseKind(name string) (string, Kind) {
	switch {
	case is(name, "generation"):
		return OperationChat, KindInference
	case is(name, "embedding"):
		return OperationEmbeddings, KindEmbeddings
	case is(name, "retriever"):
		return OperationRetrieval, KindRetrieval
	case is(name, "tool"):
		return OperationExecuteTool, KindTool
	case is(name, "agent"):
		return OperationInvokeAgent, KindAgent
	}
	return "", KindNone
}

// is compares with a word of ASCII letters in lower case, whatever the case of name.
func is(name, lower string) bool {
	return len(name) == len(lower) && (name == lower || strings.EqualFold(name, lower))
}

// operation decides what the span is. Names of the conventions come first, then the marks of one dialect after
// another, then evidence.
func (s *scan) operation(dialect Dialect) (string, Kind) {
	if name := s.textAt(slotOperation); name != "" {
		op, kind := foldOperation(name)
		// LangSmith's exporters call a retriever an embedding and a prompt template a chat.
		switch run := s.textAt(slotRunType); {
		case kind == KindEmbeddings && is(run, "retriever"):
			return OperationRetrieval, KindRetrieval
		case kind == KindInference && is(run, "prompt"):
			return "", KindNone
		}
		return op, kind
	}
	switch {
	case s.textAt(slotRunType) != "":
		return foldRunType(s.textAt(slotRunType))
	case s.textAt(slotAIKind) != "":
		return foldAIKind(s.textAt(slotAIKind))
	case s.textAt(slotOIKind) != "":
		return foldOIKind(s.textAt(slotOIKind), s.has(slotPrompts))
	case s.textAt(slotCallType) != "":
		return foldCallType(s.textAt(slotCallType))
	case s.textAt(slotLoopKind) != "":
		return foldLoopKind(s.textAt(slotLoopKind))
	case s.textAt(slotFuseKind) != "":
		return foldFuseKind(s.textAt(slotFuseKind))
	}
	// The order keeps what Write adds to a span from changing what the span is.
	canonical := func(at slot) bool { return s.best[at] == topRank }
	switch {
	case s.has(slotEvidence):
		return OperationRetrieval, KindRetrieval
	case canonical(slotTool):
		return OperationExecuteTool, KindTool
	case dialect == DialectPydantic && s.has(slotAgent):
		return OperationInvokeAgent, KindAgent
	case canonical(slotRequestModel) && (s.has(slotInput) || s.has(slotInputAlias) || s.has(slotOutput)):
		return OperationChat, KindInference
	case canonical(slotAgent) && s.has(slotProvider) && !s.has(slotRequestModel):
		// A name of an agent alone is no sign: it is often copied to every span below the agent.
		return OperationInvokeAgent, KindAgent
	}
	return "", KindNone
}
