// What a user does instead: list the runs with the official client and observe six instruments with prom-client.
// node sdk.mjs URL PROJECT v1|v2 SINCE prints runs, CPU time and memory as JSON.
import { Client } from "langsmith";
import prom from "prom-client";

const [url, project, api, since] = process.argv.slice(2);
const client = new Client({ apiUrl: url, apiKey: "bench" });
const labelNames = ["operation", "provider", "request_model", "response_model", "project", "run_type", "status", "error_type"];
const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];
const usd = [1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10];
const calls = new prom.Counter({ name: "calls", help: "calls", labelNames });
const errors = new prom.Counter({ name: "errors", help: "errors", labelNames });
const duration = new prom.Histogram({ name: "duration", help: "duration", labelNames, buckets: seconds });
const input = new prom.Histogram({ name: "input_tokens", help: "input tokens", labelNames, buckets: tokens });
const output = new prom.Histogram({ name: "output_tokens", help: "output tokens", labelNames, buckets: tokens });
const cost = new prom.Histogram({ name: "cost", help: "cost", labelNames, buckets: usd });

function observe(run) {
  const metadata = run.extra?.metadata ?? {};
  const type = run.run_type.toLowerCase();
  const labels = {
    operation: type === "llm" ? "chat" : type,
    provider: metadata.ls_provider ?? "",
    request_model: metadata.ls_model_name ?? "",
    response_model: run.outputs?.model ?? "",
    project,
    run_type: type,
    status: run.status.toLowerCase(),
    error_type: run.error ? run.error.slice(0, 40).split("(")[0] : "",
  };
  calls.inc(labels);
  if (run.error) errors.inc(labels);
  duration.observe(labels, (Date.parse(run.end_time) - Date.parse(run.start_time)) / 1000);
  if (type === "llm") {
    input.observe(labels, Number(run.prompt_tokens ?? 0));
    output.observe(labels, Number(run.completion_tokens ?? 0));
    cost.observe(labels, Number(run.total_cost ?? 0));
  }
}

// The fields that the receiver asks for with content.
const selects = [
  "ID", "PROJECT_ID", "START_TIME", "END_TIME", "STATUS", "NAME", "RUN_TYPE", "TRACE_ID", "PARENT_RUN_IDS", "DOTTED_ORDER", "THREAD_ID",
  "TAGS", "REFERENCE_EXAMPLE_ID", "APP_PATH", "LATENCY_SECONDS", "TOTAL_TOKENS", "PROMPT_TOKENS", "COMPLETION_TOKENS", "TOTAL_COST",
  "PROMPT_COST", "COMPLETION_COST", "PROMPT_TOKEN_DETAILS", "COMPLETION_TOKEN_DETAILS", "PROMPT_COST_DETAILS", "COMPLETION_COST_DETAILS",
  "FIRST_TOKEN_TIME", "METADATA", "EXTRA", "ERROR", "INPUTS", "OUTPUTS",
];
const runs = api === "v1"
  ? client.listRuns({ projectId: project })
  : client.runs.query({ project_ids: [project], page_size: 1000, min_start_time: since, selects });

let n = 0;
const before = process.cpuUsage();
for await (const run of runs) {
  observe(run);
  n++;
}
const used = process.cpuUsage(before);
process.stdout.write(JSON.stringify({ runs: n, cpu: used.user + used.system, rss: process.memoryUsage.rss() }));
