package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
