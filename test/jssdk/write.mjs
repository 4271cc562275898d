// Runs a LangGraph agent with a fake model, some traceable functions and a wrapped OpenAI-like client, all traced
// by the official SDK, and prints what the simulator should know of them afterwards.
import { tool } from "@langchain/core/tools";
import { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import { Annotation, END, START, StateGraph, messagesStateReducer } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { Client } from "langsmith";
import { traceable } from "langsmith/traceable";
import { wrapOpenAI } from "langsmith/wrappers";
import { z } from "zod";

const client = new Client();
const expected = { calls: 0, input_tokens: 0, output_tokens: 0, errors: 0 };
const count = (usage) => {
  expected.calls++;
  expected.input_tokens += usage.input_tokens;
  expected.output_tokens += usage.output_tokens;
};

// A model that asks for a tool once and answers then.
class FakeModel extends BaseChatModel {
  model = "gpt-4.1-mini";
  _llmType() {
    return "fake";
  }
  getLsParams() {
    return { ls_provider: "openai", ls_model_name: this.model, ls_model_type: "chat", ls_temperature: 0.2 };
  }
  invocationParams() {
    return { model: this.model, temperature: 0.2 };
  }
  message(messages, Class) {
    const seen = messages.some((m) => m.getType() === "tool");
    const usage_metadata = {
      input_tokens: 100 + messages.length, output_tokens: 11, total_tokens: 111 + messages.length,
      input_token_details: { cache_read: 32 },
    };
    count(usage_metadata);
    return new Class({
      content: seen ? "It is in stock." : "",
      tool_calls: seen ? [] : [{ name: "inventory_lookup", args: { part: "K-210" }, id: "call_1", type: "tool_call" }],
      response_metadata: { model_name: "gpt-4.1-mini-2025-04-14", finish_reason: seen ? "stop" : "tool_calls" },
      usage_metadata,
    });
  }
  async _generate(messages) {
    const message = this.message(messages, AIMessage);
    return { generations: [{ text: message.content, message }] };
  }
  async *_streamResponseChunks(messages, _options, manager) {
    const message = this.message(messages, AIMessageChunk);
    const chunk = new ChatGenerationChunk({ text: message.content, message });
    yield chunk;
    await manager?.handleLLMNewToken(message.content, undefined, undefined, undefined, undefined, { chunk });
  }
}

const lookup = tool(async ({ part }) => `42 pieces of ${part}`, {
  name: "inventory_lookup", description: "Stock of a part", schema: z.object({ part: z.string() }),
});
const model = new FakeModel({});
const State = Annotation.Root({ messages: Annotation({ reducer: messagesStateReducer, default: () => [] }) });
const graph = new StateGraph(State)
  .addNode("agent", async (s) => ({ messages: [await model.invoke(s.messages)] }))
  .addNode("tools", new ToolNode([lookup]))
  .addEdge(START, "agent")
  .addConditionalEdges("agent", (s) => (s.messages.at(-1).tool_calls?.length ? "tools" : END))
  .addEdge("tools", "agent")
  .compile();
for (let i = 0; i < 3; i++) {
  await graph.invoke({ messages: [{ role: "user", content: `Is part K-21${i} in stock?` }] }, { metadata: { thread_id: `conv-${i}` }, tags: ["js"] });
}
for await (const _ of await model.stream([{ role: "user", content: "Tell me more" }])) {
}

const openai = wrapOpenAI({
  chat: {
    completions: {
      async create(body) {
        const usage = { prompt_tokens: 30, completion_tokens: 7, total_tokens: 37, prompt_tokens_details: { cached_tokens: 8 } };
        count({ input_tokens: 30, output_tokens: 7 });
        return {
          id: "chatcmpl-1", object: "chat.completion", created: 1, model: "gpt-4.1-mini-2025-04-14", usage,
          choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: body.messages[0].content } }],
        };
      },
    },
  },
  completions: { async create() {} },
});
const answer = traceable(
  async (question) => {
    const documents = await traceable(async () => [{ page_content: "K-210 is a seal.", type: "Document", metadata: {} }], { name: "find", run_type: "retriever" })(question);
    const reply = await openai.chat.completions.create({ model: "gpt-4.1-mini", messages: [{ role: "user", content: question + documents[0].page_content }] });
    return reply.choices[0].message.content;
  },
  { name: "answer", tags: ["plain"] },
);
await answer('What is "K-210"?\n部品 \u{1f529}');

const failing = traceable(
  async () => {
    throw new RangeError("part number out of range");
  },
  { name: "failing", run_type: "tool" },
);
await failing().catch(() => expected.errors++);

const streamed = traceable(
  async function* () {
    yield "one ";
    yield "two";
  },
  {
    name: "streamed", run_type: "llm", metadata: { ls_provider: "mistralai", ls_model_name: "mistral-large-latest" },
    aggregator: (chunks) => {
      const usage_metadata = { input_tokens: 5, output_tokens: 2, total_tokens: 7 };
      count(usage_metadata);
      return { content: chunks.join(""), role: "assistant", usage_metadata };
    },
  },
);
for await (const _ of streamed("count")) {
}

await client.awaitPendingTraceBatches();
// The functions above trace with the SDK's shared client.
const { RunTree } = await import("langsmith/run_trees");
await RunTree.getSharedClient?.()?.awaitPendingTraceBatches();
const { awaitAllCallbacks } = await import("@langchain/core/callbacks/promises");
await awaitAllCallbacks();

// Feedback on one of the runs, once the server has it.
let root;
for (let i = 0; i < 50 && root === undefined; i++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { id } = await client.readProject({ projectName: process.env.LANGSMITH_PROJECT }).catch(() => ({}));
  if (id === undefined) continue;
  for await (const r of client.runs.query({ project_ids: [id], is_root: true, selects: ["ID", "NAME", "TRACE_ID", "START_TIME", "PROJECT_ID"] })) {
    if (r.name === "answer") root = r;
  }
}
const feedback = await client.createFeedback(root.id, "helpful", {
  score: 1, comment: "yes", sessionId: root.project_id, startTime: root.start_time, traceId: root.trace_id,
});
process.stdout.write(JSON.stringify({ ...expected, feedback: { id: feedback.id, run_id: root.id } }));
