package traffic

// agent builds the runs of one request.
type agent struct {
	project string
	weight  int
	domain  *domain
	thread  string // metadata key of the conversation; empty for none
	dataset bool   // an experiment
	build   func(*trace)
}

var agents = []agent{
	{project: "support-agent", weight: 30, domain: &shop, thread: "thread_id", build: support},
	{project: "docs-rag", weight: 24, domain: &handbook, thread: "session_id", build: rag},
	{project: "chat-web", weight: 22, domain: &coding, thread: "conversation_id", build: chat},
	{project: "research-team", weight: 8, domain: &research, thread: "thread_id", build: team},
	{project: "invoice-pipeline", weight: 13, domain: &invoices, build: pipeline},
	{project: "docs-rag-eval-3f2a", weight: 3, domain: &handbook, dataset: true, build: rag},
}

// support is a tool-calling agent as LangGraph runs it: model and tools take turns.
func support(t *trace) {
	t.js = t.chance(0.2)
	t.otlp = !t.js && t.chance(0.04)
	m := pick(t.rng, []*model{gpt41mini, gpt41mini, gpt41, azure4o, sonnet, mistral})
	root := t.open(nil, "support-agent", "chain", shapeGraph)
	root.agent = "support-agent"
	root.tags = []string{"prod", pick(t.rng, []string{"web", "app", "mail"})}
	t.closeWith(root, t.reactLoop(root, m, int(t.between(0, 3)), shapeLangChainChat))
}

// reactLoop lets a model call tools until it answers.
func (t *trace) reactLoop(root *node, m *model, rounds int, s shape) *failure {
	for step := range rounds + 1 {
		n := t.open(root, "agent", "chain", shapeGraphNode)
		n.graph, n.step = "agent", 2*step+1
		n.tags = []string{"graph:step"}
		seq := t.open(n, "RunnableSequence", "chain", shapeSequence)
		p := t.open(seq, "ChatPromptTemplate", "prompt", shapePrompt)
		t.close(p)
		o := callOptions{stream: true, input: 600 + 350*float64(len(t.rounds)), output: 220}
		if step < rounds {
			o.calls, o.output = &t.domain.tools[t.IntN(len(t.domain.tools))], 45
		}
		llm, f := t.call(seq, m.class, m, s, o)
		if f != nil && (f == rateLimited || f == overloaded || f == serverDown) && t.chance(0.7) {
			t.wait(1500)
			llm, f = t.call(seq, m.class, m, s, o)
		}
		llm.tags = []string{"seq:step:2"}
		t.closeWith(seq, f)
		if t.closeWith(n, f) != nil {
			return f
		}
		if step == rounds {
			break
		}
		tools := t.open(root, "tools", "chain", shapeGraphNode)
		tools.graph, tools.step = "tools", 2*step+2
		tools.tags = []string{"graph:step"}
		t.toolRun(tools, o.calls, shapeTool)
		switch x := t.Float64(); {
		case x < 0.015:
			return t.closeWith(tools, interrupt)
		case x < 0.03:
			return t.closeWith(tools, interruptStatus)
		case x < 0.038:
			return t.closeWith(tools, cancelled)
		}
		t.close(tools)
	}
	return nil
}

// rag answers a question from documents.
func rag(t *trace) {
	t.js = t.chance(0.3)
	m := pick(t.rng, []*model{sonnet, haiku, flash, gpt41mini, bedrock})
	root := t.open(nil, "RetrievalChain", "chain", shapeSequence)
	root.tags = []string{"prod", "canary"}[:t.between(0, 2)]
	ret := t.open(root, "VectorStoreRetriever", "retriever", shapeRetriever)
	ret.tags = []string{pick(t.rng, []string{"PGVector", "Chroma"}), "OpenAIEmbeddings"}
	emb := t.open(ret, "OpenAIEmbeddings", "embedding", shapeEmbedding)
	emb.model = embedSmall
	emb.usage = embedSmall.usage(t.tokens(24, 0.4), 0, 0, 0, 0)
	t.wait(70)
	t.close(emb)
	t.wait(40)
	if t.chance(0.01) {
		f := &failure{class: "OperationalError", message: "connection to server at \"10.0.3.7\", port 5432 failed: timeout expired"}
		t.closeWith(ret, f)
		t.closeWith(root, f)
		return
	}
	t.close(ret)
	format := t.open(root, "format_documents", "chain", shapeFunction)
	t.close(format)
	prompt := t.open(root, "ChatPromptTemplate", "prompt", shapePrompt)
	t.close(prompt)
	_, f := t.call(root, m.class, m, shapeLangChainChat, callOptions{stream: t.chance(0.6), input: 1700, output: 190})
	if f == nil {
		parser := t.open(root, "StrOutputParser", "parser", shapeParser)
		t.close(parser)
	}
	t.closeWith(root, f)
}

// chat is a streaming chat without a framework around the model.
func chat(t *trace) {
	stream := callOptions{stream: true, input: 900, output: 380}
	switch x := t.Float64(); {
	case x < 0.35: // OpenAI's client, wrapped
		t.js = t.chance(0.4)
		root := t.open(nil, "chat", "chain", shapeFunction)
		o := stream
		o.noUsage = t.chance(0.06)
		_, f := t.call(root, "ChatOpenAI", pick(t.rng, []*model{gpt5, gpt5mini, gpt41}), shapeOpenAI, o)
		t.closeWith(root, f)
	case x < 0.6: // Anthropic's client, wrapped, as the root
		t.v4 = t.chance(0.3)
		n, _ := t.call(nil, "ChatAnthropic", pick(t.rng, []*model{sonnet, haiku}), shapeAnthropic, stream)
		n.tags = []string{"chat"}
	case x < 0.85: // Vercel AI SDK
		t.js = true
		root := t.open(nil, "POST /api/chat", "chain", shapeFunction)
		if t.chance(0.15) {
			guard := t.open(root, pick(t.rng, []string{"", "input guard\nrails", "guard"}), "guardrail", shapeGuardrail)
			guard.tags = []string{"", "a,b"}
			t.close(guard)
		}
		outer := t.open(root, "openai.chat", "chain", shapeAISDKOuter)
		_, f := t.call(outer, "openai.chat", pick(t.rng, []*model{gpt5mini, gpt41mini}), shapeAISDK, stream)
		t.closeWith(outer, f)
		t.closeWith(root, f)
	default: // the application's own client
		root := t.open(nil, "answer", "chain", shapeFunction)
		_, f := t.call(root, "call_llm", mistral, shapeTraceableChat, callOptions{input: 700, output: 240})
		t.closeWith(root, f)
	}
	if root := t.nodes[0]; t.chance(0.02) && root.typ == "chain" {
		root.fail, root.status = cancelled, "error"
	}
}

// team is a supervisor graph that runs other graphs.
func team(t *trace) {
	root := t.open(nil, "research-team", "chain", shapeGraph)
	root.agent = "supervisor"
	for _, name := range []string{"market-analyst", "data-analyst", "fact-checker"}[:t.between(1, 3)] {
		sup := t.open(root, "supervisor", "chain", shapeGraphNode)
		sup.graph, sup.step = "supervisor", len(t.rounds)+1
		_, f := t.call(sup, "ChatVertexAI", geminiPro, shapeLangChainChat, callOptions{stream: true, input: 1300, output: 120})
		t.closeWith(sup, f)
		if f != nil {
			t.closeWith(root, f)
			return
		}
		sub := t.open(root, name, "chain", shapeGraph)
		sub.agent, sub.graph = name, name
		f = t.reactLoop(sub, pick(t.rng, []*model{bedrock, flash, sonnet}), int(t.between(1, 3)), shapeLangChainChat)
		if t.closeWith(sub, f) != nil {
			t.closeWith(root, f)
			return
		}
	}
	w := t.open(root, "writer", "chain", shapeGraphNode)
	w.graph, w.step = "writer", 9
	_, f := t.call(w, "ChatVertexAI", geminiPro, shapeLangChainChat, callOptions{stream: true, input: 3500, output: 700})
	t.closeWith(w, f)
	t.closeWith(root, f)
}

// pipeline is plain code with some functions traced.
func pipeline(t *trace) {
	root := t.open(nil, "process_invoice", "chain", shapeFunction)
	root.tags = []string{"batch"}
	ocr := t.open(root, "read_pdf", "tool", shapeTraceableTool)
	ocr.tool = &tool{name: "read_pdf", arg: "path"}
	t.wait(350)
	t.close(ocr)
	var f *failure
	if t.chance(0.6) {
		_, f = t.call(root, "ChatGoogleGenerativeAI", flashNat, shapeGemini, callOptions{input: 2200, output: 260})
	} else {
		_, f = t.call(root, "ChatOpenAI", gpt41mini, shapeOpenAI, callOptions{input: 2200, output: 260})
	}
	if f == nil && t.chance(0.5) {
		find := t.open(root, "similar_suppliers", "retriever", shapeTraceableRetriever)
		t.wait(60)
		t.close(find)
	}
	if f == nil && t.chance(0.2) {
		_, f = t.call(root, "OpenAI", gptInstr, shapeLangChainCompletion, callOptions{input: 300, output: 60})
	}
	if f == nil {
		t.toolRun(root, &t.domain.tools[0], shapeTraceableTool)
		check := t.open(root, "check_totals", "chain", shapeFunction)
		if t.chance(0.03) {
			f = &failure{class: "ValueError", message: "net 1180.50 and tax 224.30 do not add up to gross 1404.81"}
		}
		t.closeWith(check, f)
	}
	t.closeWith(root, f)
}
