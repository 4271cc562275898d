package e2e

import (
	"github.com/stretchr/testify/require"
)

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
