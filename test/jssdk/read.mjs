// Reads everything that the simulator tells, with the official client, and prints it as JSON.
import { Client } from "langsmith";

const client = new Client({
  apiUrl: process.env.LANGSMITH_ENDPOINT,
  apiKey: process.env.LANGSMITH_API_KEY,
});

const out = { projects: [], runs: [], sessions: [], feedback: [], queues: [], items: 0, traces: [] };

for await (const p of client.listProjects({ referenceFree: true })) {
  out.projects.push({ id: p.id, name: p.name });
}
for await (const s of client.sessions.listV2({ type: ["PROJECT"], page_size: 2 })) {
  out.sessions.push({ id: s.id, name: s.name });
}

const selects = [
  "ID", "NAME", "RUN_TYPE", "STATUS", "START_TIME", "END_TIME", "TRACE_ID", "PARENT_RUN_IDS", "PROJECT_ID", "THREAD_ID",
  "PROMPT_TOKENS", "COMPLETION_TOKENS", "PROMPT_TOKEN_DETAILS", "TOTAL_COST", "INPUTS", "OUTPUTS", "EXTRA", "EVENTS", "ERROR",
];
for (const p of out.projects) {
  const query = { project_ids: [p.id], page_size: 70, min_start_time: process.env.SINCE, selects };
  for await (const r of client.runs.query(query)) {
    out.runs.push({
      id: r.id, trace_id: r.trace_id, parent: r.parent_run_ids.at(-1) ?? null, project: p.name, name: r.name,
      run_type: r.run_type, status: r.status, start_time: r.start_time, end_time: r.end_time,
      prompt_tokens: r.prompt_tokens, completion_tokens: r.completion_tokens, total_cost: r.total_cost,
      cache_read: r.prompt_token_details?.raw?.cache_read ?? 0,
      has_inputs: typeof r.inputs === "object" && r.inputs !== null, has_error: typeof r.error === "string",
    });
  }
  for await (const t of client.traces.query({ project_id: p.id, page_size: 20, min_start_time: process.env.SINCE, selects: ["ID", "TOTAL_TOKENS", "TOTAL_COST"] })) {
    out.traces.push({ id: t.root_run.id, tokens: t.trace_aggregates.total_tokens });
  }
}

const roots = out.runs.filter((r) => r.parent === null).map((r) => r.id);
for (let i = 0; i < roots.length; i += 50) {
  for await (const f of client.listFeedback({ runIds: roots.slice(i, i + 50) })) {
    out.feedback.push({ id: f.id, key: f.key, run_id: f.run_id, score: f.score, value: f.value });
  }
}
for await (const q of client.listAnnotationQueues()) {
  const { count } = await client.annotationQueues.items.retrieveCount(q.id, { status: "all" });
  let listed = 0;
  for (const status of ["needs_my_review", "needs_others_review", "archived"]) {
    for await (const item of client.annotationQueues.items.list(q.id, { status, page_size: 3 })) {
      if (item.queue_id === q.id) listed++;
    }
  }
  out.queues.push({ id: q.id, name: q.name, count, listed });
}

process.stdout.write(JSON.stringify(out));
