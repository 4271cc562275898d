package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// simulator is a running langsmithsim.
type simulator struct {
	*process
	url string
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

func startSimulator(t *testing.T, args ...string) *simulator {
	t.Helper()
	s := &simulator{process: start(t, t.TempDir(), nil, "langsmithsim", append([]string{"--listen", "127.0.0.1:0"}, args...)...)}
	eventually(t, 60*time.Second, "the simulator listens", func() bool {
		if m := listening.FindStringSubmatch(s.output()); m != nil {
			s.url = m[1]
		}
		return s.url != ""
	})
	return s
}

// simulatedRun is a finished run as the simulator knows it.
type simulatedRun struct {
	ID            string  `json:"id"`
	TraceID       string  `json:"trace_id"`
	ParentID      *string `json:"parent_run_id"`
	Project       string  `json:"project"`
	Name          string  `json:"name"`
	Type          string  `json:"run_type"`
	Status        string  `json:"status"`
	Start         string  `json:"start_time"`
	End           string  `json:"end_time"`
	InputTokens   int64   `json:"input_tokens"`
	OutputTokens  int64   `json:"output_tokens"`
	CacheRead     int64   `json:"cache_read_tokens"`
	Reasoning     int64   `json:"reasoning_tokens"`
	Cost          string  `json:"cost"`
	FirstToken    string  `json:"first_token_time"` // empty when the call was not streamed
	Operation     string  `json:"operation"`
	Provider      string  `json:"provider"`
	RequestModel  string  `json:"request_model"`
	ResponseModel string  `json:"response_model"`
	ErrorType     string  `json:"error_type"`
	SpanID        string  `json:"otel_span_id"` // of roots that came in over OTLP; others follow from the run id
	Settled       bool    `json:"settled"`
	Outer         bool    `json:"outer"`
	Thread        string  `json:"thread_id"`
}

// operationTotals are the exact sums of one operation, provider and pair of models in one project.
type operationTotals struct {
	Project       string           `json:"project"`
	Operation     string           `json:"operation"`
	Provider      string           `json:"provider"`
	RequestModel  string           `json:"request_model"`
	ResponseModel string           `json:"response_model"`
	Calls         int64            `json:"calls"`
	Errors        map[string]int64 `json:"errors"`
	InputTokens   int64            `json:"input_tokens"`
	OutputTokens  int64            `json:"output_tokens"`
	Cost          string           `json:"cost"` // exact decimal, USD
}

type totals struct {
	Projects []struct {
		Name       string `json:"name"`
		Experiment bool   `json:"experiment"`
		Finished   int    `json:"finished"`
		Open       int    `json:"open"`
		Unsettled  int    `json:"unsettled"`
		Stuck      int    `json:"stuck"`
		Hidden     int    `json:"hidden"`
	} `json:"projects"`
	Operations []operationTotals `json:"operations"`
}

func (s *simulator) totals(t *testing.T) totals {
	t.Helper()
	var out totals
	require.NoError(t, json.Unmarshal(get(t, s.url+"/admin/totals"), &out))
	return out
}

// experiments are the names of the projects that the receiver leaves out by default.
func (s *simulator) experiments(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, p := range s.totals(t).Projects {
		out[p.Name] = p.Experiment
	}
	return out
}

// finished is the number of finished runs, experiments included.
func (s *simulator) finished(t *testing.T) (n int) {
	t.Helper()
	for _, p := range s.totals(t).Projects {
		n += p.Finished
	}
	return n
}

// runs are the finished runs of all projects but experiments.
func (s *simulator) runs(t *testing.T) map[string]simulatedRun {
	t.Helper()
	experiment := s.experiments(t)
	runs := map[string]simulatedRun{}
	for dec := json.NewDecoder(bytes.NewReader(get(t, s.url+"/admin/runs"))); ; {
		var r simulatedRun
		if err := dec.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			require.NoError(t, err)
		}
		if !experiment[r.Project] {
			runs[r.ID] = r
		}
	}
	return runs
}

// quiesce ends the traffic and waits until every run but the stuck ones has ended and is settled and visible.
func (s *simulator) quiesce(t *testing.T) {
	t.Helper()
	post(t, s.url+"/admin/traffic", map[string]any{"rate": 0})
	eventually(t, 5*time.Minute, "the simulator's traffic has settled", func() bool {
		for _, p := range s.totals(t).Projects {
			if p.Open > p.Stuck || p.Unsettled > 0 || p.Hidden > 0 {
				return false
			}
		}
		return true
	})
}
