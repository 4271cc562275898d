package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// queriesPage is docs/queries.md.
type queriesPage struct {
	text    string
	turnOn  string                       // the configuration it asks for
	datadog string                       // the further one for Datadog
	queries map[string]map[string]string // by chart and backend
	charts  []string                     // in the order of the page
}

func readQueriesPage(t *testing.T) queriesPage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repo, "docs", "queries.md"))
	require.NoError(t, err)
	page := queriesPage{text: string(text), queries: map[string]map[string]string{}}
	var chart, language string
	var block strings.Builder
	for line := range strings.Lines(page.text) {
		line = strings.TrimRight(line, "\n")
		switch fence, opens := strings.CutPrefix(line, "```"); {
		case opens && language == "":
			language = fence
			block.Reset()
		case opens:
			switch language {
			case "yaml":
				require.Empty(t, page.datadog, "two configurations")
				if page.turnOn == "" {
					page.turnOn = block.String()
				} else {
					page.datadog = block.String()
				}
			case "promql", "datadog":
				require.NotEmpty(t, chart, "a query under no chart: %s", block.String())
				require.NotContains(t, page.queries[chart], language, "%s has two queries", chart)
				page.queries[chart][language] = strings.TrimSpace(block.String())
			default:
				require.Fail(t, "a block of an unknown language", "%s: %s", chart, language)
			}
			language = ""
		case language != "":
			block.WriteString(line + "\n")
		case strings.HasPrefix(line, "### "):
			chart = line[4:]
			require.NotContains(t, page.queries, chart)
			page.queries[chart] = map[string]string{}
			page.charts = append(page.charts, chart)
		case strings.HasPrefix(line, "## "):
			chart = ""
		}
	}
	require.NotEmpty(t, page.datadog)
	return page
}

// TestQueriesPage finds every chart from the table at the top, and every link of it.
func TestQueriesPage(t *testing.T) {
	page := readQueriesPage(t)
	anchors := map[string]bool{}
	for line := range strings.Lines(page.text) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimLeft(line, "#")), ""); ok && strings.HasPrefix(line, "##") {
			anchors[strings.ReplaceAll(strings.ToLower(strings.NewReplacer("?", "", ",", "").Replace(heading)), " ", "-")] = true
		}
	}
	linked := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(page.text, -1) {
		assert.True(t, anchors[m[1]], "a link leads nowhere: #%s", m[1])
		linked[m[1]] = true
	}
	for _, chart := range page.charts {
		assert.True(t, linked[strings.ReplaceAll(strings.ToLower(chart), " ", "-")], "%s is in no table", chart)
		assert.Contains(t, page.queries[chart], "promql", chart)
		assert.Contains(t, page.queries[chart], "datadog", chart)
		assert.Contains(t, expectedCharts, chart)
	}
	assert.Len(t, expectedCharts, len(page.charts), "every expectation has its chart")
	for _, m := range regexp.MustCompile(`\]\((\.\./[^)#]+)`).FindAllStringSubmatch(page.text, -1) {
		assert.FileExists(t, filepath.Join(repo, "docs", m[1]))
	}
}

// fact is a run that counts, as the simulator knows it, and the span that it became.
type fact struct {
	simulatedRun
	span span
}

func (f fact) seconds(t *testing.T) float64 {
	t.Helper()
	return max(0, secondsBetween(t, f.Start, f.End))
}

func secondsBetween(t *testing.T, from, to string) float64 {
	t.Helper()
	start, err := time.Parse(time.RFC3339Nano, from)
	require.NoError(t, err)
	end, err := time.Parse(time.RFC3339Nano, to)
	require.NoError(t, err)
	return end.Sub(start).Seconds()
}

// facts are what the charts are about.
type facts struct {
	t      *testing.T
	runs   []fact
	traces []traceFact
	scores []scoreFact
}

// traceFact is a trace with what its model calls add up to.
type traceFact struct {
	root          fact
	input, output *float64 // nil when no call told any
	cost          *float64
	calls, tools  float64
}

// want is what a chart should show: a number for each group, or the values whose quantile it shows.
type want struct {
	numbers  map[string]float64
	quantile float64
	values   map[string][]float64
	bounds   []float64 // of the buckets of the values
}

// gatherFacts waits until the collector has read all that the simulator has.
func gatherFacts(t *testing.T, sim *simulator, c *collector, scores []scoreFact) *facts {
	t.Helper()
	runs := sim.runs(t)
	path := filepath.Join(c.dir, "spans.jsonl")
	eventually(t, 2*time.Minute, "every run is a span", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && strings.Count(string(data), `"key":"langsmith.run.id"`) == len(runs) && data[len(data)-1] == '\n'
	})
	spans := spansOf(t, path)
	f := &facts{t: t, scores: scores}
	byRun := map[string]span{}
	for _, s := range spans {
		byRun[s.str("langsmith.run.id")] = s
	}
	require.Equal(t, len(runs), len(byRun))
	traces := map[string]*traceFact{}
	genAI := map[string]bool{}
	for id, r := range runs {
		tr := traces[r.TraceID]
		if tr == nil {
			tr = &traceFact{}
			traces[r.TraceID] = tr
		}
		if r.Operation == "" { // agents and workflows, which the simulator does not tell from other chains
			r.Operation = byRun[id].str("gen_ai.operation.name")
		}
		one := fact{r, byRun[id]}
		if r.ParentID == nil {
			tr.root = one
		}
		if r.Operation == "" {
			continue
		}
		genAI[r.TraceID] = true
		if r.Outer {
			continue
		}
		f.runs = append(f.runs, one)
		switch {
		case modelCalls(one) || one.Operation == "embeddings":
			tr.calls++
			addTo(&tr.input, one, "gen_ai.usage.input_tokens", float64(one.InputTokens))
			addTo(&tr.output, one, "gen_ai.usage.output_tokens", float64(one.OutputTokens))
			addTo(&tr.cost, one, "gen_ai.usage.cost", decimal(t, one.Cost))
		case one.Operation == "execute_tool":
			tr.tools++
		}
	}
	for id, tr := range traces {
		if genAI[id] {
			require.NotEmpty(t, tr.root.ID, "a trace without its root")
			f.traces = append(f.traces, *tr)
		}
	}
	return f
}

func addTo(sum **float64, f fact, attribute string, v float64) {
	if !f.has(attribute) {
		return
	}
	if *sum == nil {
		*sum = new(float64)
	}
	**sum += v
}

func (f fact) has(attribute string) bool {
	_, ok := f.span.Attributes().Get(attribute)
	return ok
}

func modelCalls(f fact) bool {
	return f.Operation == "chat" || f.Operation == "text_completion" || f.Operation == "generate_content"
}

func clientCalls(f fact) bool {
	return modelCalls(f) || f.Operation == "embeddings" || f.Operation == "retrieval"
}

func embeddings(f fact) bool { return f.Operation == "embeddings" }
func tools(f fact) bool      { return f.Operation == "execute_tool" }
func agents(f fact) bool     { return f.Operation == "invoke_agent" }
func failed(f fact) bool     { return errorType(f.ErrorType) != "" }

func both(a, b func(fact) bool) func(fact) bool { return func(f fact) bool { return a(f) && b(f) } }

func attribute(name string) func(fact) string { return func(f fact) string { return f.span.str(name) } }

var (
	everything  = func(fact) string { return "" }
	byModel     = func(f fact) string { return f.RequestModel }
	byProvider  = func(f fact) string { return f.Provider }
	byOperation = func(f fact) string { return f.Operation }
	byProject   = func(f fact) string { return f.Project }
	byTool      = attribute("gen_ai.tool.name")
	byAgent     = attribute("gen_ai.agent.name")
)

// count is how many runs there are of each group.
func (f *facts) count(keep func(fact) bool, by func(fact) string) map[string]float64 {
	return f.sum(keep, by, func(fact) float64 { return 1 })
}

func (f *facts) sum(keep func(fact) bool, by func(fact) string, of func(fact) float64) map[string]float64 {
	out := map[string]float64{}
	for _, r := range f.runs {
		if keep(r) {
			out[by(r)] += of(r)
		}
	}
	return out
}

// quantile is about durations unless of says otherwise.
func (f *facts) quantile(q float64, bounds []float64, keep func(fact) bool, by func(fact) string, of func(fact) float64) want {
	w := want{quantile: q, bounds: bounds, values: map[string][]float64{}}
	for _, r := range f.runs {
		if keep(r) {
			w.values[by(r)] = append(w.values[by(r)], of(r))
		}
	}
	return w
}

func (f *facts) seconds(r fact) float64 { return r.seconds(f.t) }
func (f *facts) cost(r fact) float64    { return decimal(f.t, r.Cost) }

func priced(f fact) bool { return clientCalls(f) && f.has("gen_ai.usage.cost") }

func (f *facts) tokens(keep func(fact) bool) (input, output map[string]float64) {
	input = f.sum(both(keep, func(r fact) bool { return r.has("gen_ai.usage.input_tokens") }), everything, func(r fact) float64 { return float64(r.InputTokens) })
	output = f.sum(both(keep, func(r fact) bool { return r.has("gen_ai.usage.output_tokens") }), everything, func(r fact) float64 { return float64(r.OutputTokens) })
	return input, output
}

func (f *facts) overTraces(of func(traceFact) *float64) float64 {
	var sum, n float64
	for _, tr := range f.traces {
		if v := of(tr); v != nil {
			sum += *v
			n++
		}
	}
	return sum / n
}

// threadFact is a conversation with what its turns add up to.
type threadFact struct {
	start, end string
	turns      float64
	cost       *float64
}

// threads are the conversations of each project.
func (f *facts) threads() map[[2]string]threadFact {
	out := map[[2]string]threadFact{}
	for _, tr := range f.traces {
		if tr.root.Thread == "" {
			continue
		}
		key := [2]string{tr.root.Project, tr.root.Thread}
		th, later := out[key]
		th.turns++
		if !later || secondsBetween(f.t, tr.root.Start, th.start) > 0 {
			th.start = tr.root.Start
		}
		if !later || secondsBetween(f.t, th.end, tr.root.End) > 0 {
			th.end = tr.root.End
		}
		if tr.cost != nil {
			sum := *tr.cost
			if th.cost != nil {
				sum += *th.cost
			}
			th.cost = &sum
		}
		out[key] = th
	}
	return out
}

func overThreads(threads map[[2]string]threadFact, of func(threadFact) *float64) float64 {
	var sum, n float64
	for _, th := range threads {
		if v := of(th); v != nil {
			sum += *v
			n++
		}
	}
	return sum / n
}

func number(v float64) want { return want{numbers: map[string]float64{"": v}} }

func share(part, whole map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for k, v := range part {
		out[k] = v / whole[k]
	}
	return out
}

func without(m map[string]float64, key string) map[string]float64 {
	delete(m, key)
	return m
}

func top(n int, m map[string]float64) map[string]float64 {
	var all []float64
	for _, v := range m {
		all = append(all, v)
	}
	slices.Sort(all)
	slices.Reverse(all)
	out := map[string]float64{}
	for k, v := range m {
		if v >= all[min(n, len(all))-1] {
			out[k] = v
		}
	}
	return out
}

var (
	agentBounds    = []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6}
	workflowBounds = []float64{1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200}
	threadBounds   = []float64{1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400}
	speedBounds    = []float64{1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000}
)

// errorClasses are those of the simulator's failures.
var errorClasses = map[string]string{
	"RateLimitError": "rate_limit", "ResourceExhausted": "rate_limit", "ThrottlingException": "rate_limit",
	"APITimeoutError": "timeout", "TimeoutError": "timeout", "AuthenticationError": "authentication",
	"ContentFilterFinishReasonError": "content_filter", "InternalServerError": "server", "OverloadedError": "server",
	"CancelledError": "cancelled", "OperationalError": "other", "ConnectionError": "other",
	"context_length_exceeded": "context_length",
}

// expectedCharts says what each chart of the page should show, by what the simulator knows.
var expectedCharts = map[string]func(*facts) want{
	"Traces": func(f *facts) want { return number(float64(len(f.traces))) },
	"Latency of traces": func(f *facts) want {
		w := want{quantile: 0.95, bounds: workflowBounds, values: map[string][]float64{}}
		for _, tr := range f.traces {
			w.values[""] = append(w.values[""], tr.root.seconds(f.t))
		}
		return w
	},
	"Error rate of traces": func(f *facts) want {
		n := 0.0
		for _, tr := range f.traces {
			if failed(tr.root) {
				n++
			}
		}
		return number(n / float64(len(f.traces)))
	},
	"Tokens per trace": func(f *facts) want {
		return want{numbers: map[string]float64{
			"input":  f.overTraces(func(tr traceFact) *float64 { return tr.input }),
			"output": f.overTraces(func(tr traceFact) *float64 { return tr.output }),
		}}
	},
	"Cost per trace":        func(f *facts) want { return number(f.overTraces(func(tr traceFact) *float64 { return tr.cost })) },
	"Model calls per trace": func(f *facts) want { return number(f.overTraces(func(tr traceFact) *float64 { return &tr.calls })) },
	"Tool calls per trace":  func(f *facts) want { return number(f.overTraces(func(tr traceFact) *float64 { return &tr.tools })) },

	"Threads": func(f *facts) want { return number(float64(len(f.threads()))) },
	"Turns per thread": func(f *facts) want {
		return number(overThreads(f.threads(), func(th threadFact) *float64 { return &th.turns }))
	},
	"Duration of threads": func(f *facts) want {
		w := want{quantile: 0.95, bounds: threadBounds, values: map[string][]float64{}}
		for _, th := range f.threads() {
			w.values[""] = append(w.values[""], secondsBetween(f.t, th.start, th.end))
		}
		return w
	},
	"Cost per thread": func(f *facts) want {
		return number(overThreads(f.threads(), func(th threadFact) *float64 { return th.cost }))
	},

	"Model calls":            func(f *facts) want { return want{numbers: f.count(modelCalls, everything)} },
	"Calls by model":         func(f *facts) want { return want{numbers: without(f.count(clientCalls, byModel), "")} },
	"Top models":             func(f *facts) want { return want{numbers: top(5, without(f.count(clientCalls, byModel), ""))} },
	"Calls by provider":      func(f *facts) want { return want{numbers: without(f.count(clientCalls, byProvider), "")} },
	"Calls by operation":     func(f *facts) want { return want{numbers: f.count(clientCalls, byOperation)} },
	"Calls by project":       func(f *facts) want { return want{numbers: f.count(clientCalls, byProject)} },
	"Latency of model calls": func(f *facts) want { return f.quantile(0.95, durationBounds, modelCalls, everything, f.seconds) },
	"Latency by model":       func(f *facts) want { return f.quantile(0.95, durationBounds, modelCalls, byModel, f.seconds) },
	"Average latency": func(f *facts) want {
		return want{numbers: share(f.sum(modelCalls, everything, f.seconds), f.count(modelCalls, everything))}
	},
	"Time to first token": func(f *facts) want {
		streamed := func(r fact) bool { return r.has("gen_ai.response.time_to_first_chunk") }
		return f.quantile(0.99, durationBounds, both(modelCalls, streamed), everything, func(r fact) float64 { return secondsBetween(f.t, r.Start, r.FirstToken) })
	},
	"Streamed calls": func(f *facts) want {
		streamed := func(r fact) bool { v, _ := r.span.Attributes().Get("gen_ai.request.stream"); return v.Bool() }
		return want{numbers: share(f.count(both(modelCalls, streamed), everything), f.count(modelCalls, everything))}
	},
	"Output speed": func(f *facts) want {
		spoke := func(r fact) bool { return !failed(r) && r.OutputTokens > 0 && r.seconds(f.t) > 0 }
		return f.quantile(0.5, speedBounds, both(modelCalls, spoke), byModel, func(r fact) float64 { return float64(r.OutputTokens) / r.seconds(f.t) })
	},
	"Finish reasons": func(f *facts) want {
		reason := func(r fact) string {
			v, _ := r.span.Attributes().Get("gen_ai.response.finish_reasons")
			require.Equal(f.t, 1, v.Slice().Len())
			return v.Slice().At(0).Str()
		}
		known := func(r fact) bool { return r.has("gen_ai.response.finish_reasons") }
		return want{numbers: f.count(both(clientCalls, known), reason)}
	},
	"Error rate of model calls": func(f *facts) want {
		return want{numbers: share(f.count(both(modelCalls, failed), everything), f.count(modelCalls, everything))}
	},
	"Errors by class": func(f *facts) want {
		class := func(r fact) string {
			require.Contains(f.t, errorClasses, errorType(r.ErrorType))
			return errorClasses[errorType(r.ErrorType)]
		}
		return want{numbers: f.count(both(clientCalls, failed), class)}
	},
	"Calls that were rate limited": func(f *facts) want {
		limited := func(r fact) bool { return errorClasses[errorType(r.ErrorType)] == "rate_limit" }
		return want{numbers: f.count(both(clientCalls, limited), byProvider)}
	},

	"Tokens": func(f *facts) want {
		input, output := f.tokens(clientCalls)
		return want{numbers: map[string]float64{"input": input[""], "output": output[""]}}
	},
	"Tokens per call": func(f *facts) want {
		input, output := f.tokens(modelCalls)
		told := func(name string) func(fact) bool { return func(r fact) bool { return r.has(name) } }
		return want{numbers: map[string]float64{
			"input":  input[""] / f.count(both(modelCalls, told("gen_ai.usage.input_tokens")), everything)[""],
			"output": output[""] / f.count(both(modelCalls, told("gen_ai.usage.output_tokens")), everything)[""],
		}}
	},
	"Total tokens per call": func(f *facts) want {
		input, output := f.tokens(modelCalls)
		return number((input[""] + output[""]) / f.count(modelCalls, everything)[""])
	},
	"Cached input": func(f *facts) want {
		input, _ := f.tokens(clientCalls)
		return want{numbers: share(f.sum(modelCalls, everything, func(r fact) float64 { return float64(r.CacheRead) }), input)}
	},
	"Reasoning tokens": func(f *facts) want {
		reasoned := func(r fact) bool { return r.Reasoning > 0 }
		return want{numbers: f.sum(both(modelCalls, reasoned), byModel, func(r fact) float64 { return float64(r.Reasoning) })}
	},
	"Embedding tokens": func(f *facts) want {
		input, output := f.tokens(embeddings)
		return number(input[""] + output[""])
	},
	"Cost":                func(f *facts) want { return want{numbers: f.sum(priced, everything, f.cost)} },
	"Cost by model":       func(f *facts) want { return want{numbers: f.sum(priced, byModel, f.cost)} },
	"Cost by project":     func(f *facts) want { return want{numbers: f.sum(priced, byProject, f.cost)} },
	"Cost by environment": func(f *facts) want { return want{numbers: f.sum(priced, attribute("langsmith.metadata.env"), f.cost)} },
	"Cost by user": func(f *facts) want {
		return want{numbers: top(10, f.sum(priced, attribute("langsmith.metadata.user_id"), f.cost))}
	},
	"Cost per call": func(f *facts) want {
		return want{numbers: share(f.sum(priced, everything, f.cost), f.count(priced, everything))}
	},
	"Cost of embeddings": func(f *facts) want { return want{numbers: f.sum(both(priced, embeddings), everything, f.cost)} },

	"Tool calls": func(f *facts) want { return want{numbers: top(5, f.count(tools, byTool))} },
	"Error rate of tools": func(f *facts) want {
		return want{numbers: share(f.count(both(tools, failed), byTool), f.count(tools, byTool))}
	},
	"Latency of tools": func(f *facts) want { return f.quantile(0.95, durationBounds, tools, byTool, f.seconds) },
	"Agents":           func(f *facts) want { return want{numbers: f.count(agents, byAgent)} },
	"Error rate of agents": func(f *facts) want {
		return want{numbers: share(f.count(both(agents, failed), byAgent), f.count(agents, byAgent))}
	},
	"Latency of agents": func(f *facts) want { return f.quantile(0.95, agentBounds, agents, byAgent, f.seconds) },

	"Average score": func(f *facts) want {
		sum, n := map[string]float64{}, map[string]float64{}
		for _, s := range f.scores {
			if s.score != nil {
				sum[s.name] += *s.score
				n[s.name]++
			}
		}
		return want{numbers: share(sum, n)}
	},
	"Scores by category": func(f *facts) want { return want{numbers: f.categories(func(string) bool { return true })} },
	"Detections": func(f *facts) want {
		return want{numbers: f.categories(func(name string) bool { return name == "hallucination" || name == "bias" || name == "toxicity" })}
	},
}

// categories counts labels, by name and label.
func (f *facts) categories(keep func(string) bool) map[string]float64 {
	out := map[string]float64{}
	for _, s := range f.scores {
		if s.label != "" && keep(s.name) {
			out[s.name+" "+s.label]++
		}
	}
	return out
}

// ranges are those of PromQL.
var ranges = regexp.MustCompile(`\[\d+[smhd]\]`)

// group names an element of an answer by the values of its labels, in the order of their names.
func group(metric model.Metric) string {
	var names []string
	for name := range metric {
		if name != model.MetricNameLabel {
			names = append(names, string(name))
		}
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = string(metric[model.LabelName(name)])
	}
	return strings.Join(names, " ")
}

// TestQueries reads a history out of the simulator, with what the page says to turn on, into a real Prometheus and a
// stand-in for Datadog's intake, and asks every query of the page there.
func TestQueries(t *testing.T) {
	t.Parallel()
	page := readQueriesPage(t)
	// A history that ended some time ago, so that every trace of it is complete.
	sim := startSimulator(t, "--history", "4000", "--span", "1h", "--rate", "0", "--stuck", "0", "--late", "0",
		"--start", time.Now().Add(-10*time.Minute).UTC().Format(time.RFC3339))
	for _, backend := range []string{"Prometheus", "Datadog"} {
		t.Run(backend, func(t *testing.T) {
			if backend == "Prometheus" {
				queriesOfPrometheus(t, page, sim)
			} else {
				queriesOfDatadog(t, page, sim)
			}
		})
	}
}

func queriesOfPrometheus(t *testing.T, page queriesPage, sim *simulator) {
	t.Helper()
	prometheusBinary(t, "prometheus") // skips before anything is started
	otlp := freePort(t)
	c := startReading(t, sim, otlp, page.turnOn, "connectors::llm_metrics::flush_interval: 8s") // some scrapes
	// A scrape of so many series takes its time on a slow machine, and its interval is all it has.
	p := startPrometheus(t, strings.Replace(scrapeConfig(t, c), "scrape_interval: 1s", "scrape_interval: 3s", 1))
	f := gatherFacts(t, sim, c, sendScores(t, otlp))
	p.awaitCalls(t, "", int(f.count(clientCalls, everything)[""]))
	eventually(t, 2*time.Minute, "Prometheus counts every trace, every thread and every score", func() bool {
		return p.number(t, "sum(gen_ai_trace_duration_seconds_count)", time.Time{}) == float64(len(f.traces)) &&
			p.number(t, "sum(gen_ai_conversation_turns_count)", time.Time{}) == float64(len(f.threads())) &&
			p.number(t, "sum(gen_ai_evaluation_results_total)", time.Time{}) == float64(len(f.scores))
	})
	at := p.lastScrape(t)

	for _, chart := range page.charts {
		expect, ok := expectedCharts[chart]
		if !ok {
			continue // TestQueriesPage tells
		}
		t.Run(chart, func(t *testing.T) {
			f.t = t
			query := page.queries[chart]["promql"]
			assert.NotEmpty(t, p.vector(t, query, at), "as it stands on the page")
			// Over a range that holds all there is, the answer is known to the last digit.
			query = ranges.ReplaceAllString(query, "[2h]")
			got := map[string]float64{}
			for _, sample := range p.vector(t, query, at) {
				if v := float64(sample.Value); v != 0 && !math.IsNaN(v) {
					got[group(sample.Metric)] = v
				}
			}
			compareChart(t, expect(f), got, func(w want) map[string]float64 {
				expected := map[string]float64{}
				for k, values := range w.values {
					expected[k] = bucketQuantile(w.quantile, w.bounds, countBuckets(w.bounds, values))
				}
				return expected
			}, 1e-9)
		})
	}
}

func queriesOfDatadog(t *testing.T, page queriesPage, sim *simulator) {
	t.Helper()
	intake := newDatadogIntake(t)
	otlp := freePort(t)
	c := startReading(t, sim, otlp, page.turnOn, "exporters::datadog: {api: {key: \"00000000000000000000000000000000\"}, hostname: e2e, host_metadata: {enabled: false}, metrics: {endpoint: \""+
		intake.url+"\", resource_attributes_as_tags: true}}", "service::pipelines::metrics::exporters: [datadog]", page.datadog)
	f := gatherFacts(t, sim, c, sendScores(t, otlp))
	eventually(t, 2*time.Minute, "every call, trace, thread and score comes to the intake", func() bool {
		return float64(intake.distribution("gen_ai.client.operation.duration").count) == f.count(clientCalls, everything)[""] &&
			intake.distribution("gen_ai.trace.duration").count == int64(len(f.traces)) &&
			intake.distribution("gen_ai.conversation.turns").count == int64(len(f.threads())) &&
			intake.count("gen_ai.evaluation.results") == float64(len(f.scores))
	})

	for _, chart := range page.charts {
		expect, ok := expectedCharts[chart]
		if !ok {
			continue
		}
		t.Run(chart, func(t *testing.T) {
			f.t = t
			answer, err := datadogQuery(intake, page.queries[chart]["datadog"])
			require.NoError(t, err)
			w := expect(f)
			off := 1e-9
			if w.values != nil {
				off = exponentialOff
			}
			compareChart(t, w, answer, func(w want) map[string]float64 {
				expected := map[string]float64{}
				for k, values := range w.values {
					expected[k] = valueQuantile(w.quantile, values)
				}
				return expected
			}, off)
		})
	}
}

// startReading is a collector that reads the simulator, with further configurations and with an OTLP receiver for
// scores.
func startReading(t *testing.T, sim *simulator, otlp int, more ...string) *collector {
	t.Helper()
	dir := t.TempDir()
	more = append(more, "connectors::llm_metrics::traces::idle: 15s", "connectors::llm_metrics::threads::idle_timeout: 20s",
		fmt.Sprintf("receivers::otlp::protocols::http::endpoint: localhost:%d", otlp),
		"service::pipelines::logs: {receivers: [otlp], exporters: [llm_metrics]}")
	var args []string
	for _, one := range more {
		args = append(args, "--config", "yaml:"+one)
	}
	return startCollectorWith(t, dir, pullConfig, args, "{endpoint}", sim.url, "{api_version}", "auto")
}

// compareChart compares a chart with what it should show, which quantiles tells where that is a quantile. Groups that
// are zero may be missing.
func compareChart(t *testing.T, w want, got map[string]float64, quantiles func(want) map[string]float64, off float64) {
	t.Helper()
	expected := w.numbers
	if expected == nil {
		expected = quantiles(w)
	}
	require.NotEmpty(t, expected)
	for k, v := range expected {
		if v != 0 {
			assert.InEpsilon(t, v, got[k], off, "%q", k)
		}
	}
	for k := range got {
		assert.Contains(t, expected, k)
	}
}
