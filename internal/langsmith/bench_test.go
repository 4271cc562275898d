package langsmith

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

// structPage is what one would write with encoding/json: every field that Run has, content as raw text.
type structPage struct {
	Runs []structRun `json:"runs"`
}

type structRun struct {
	ID                     string                     `json:"id"`
	TraceID                string                     `json:"trace_id"`
	ParentRunID            *string                    `json:"parent_run_id"`
	ParentRunIDs           []string                   `json:"parent_run_ids"`
	SessionID              string                     `json:"session_id"`
	ReferenceExampleID     *string                    `json:"reference_example_id"`
	Name                   string                     `json:"name"`
	RunType                string                     `json:"run_type"`
	Status                 string                     `json:"status"`
	StartTime              string                     `json:"start_time"`
	EndTime                *string                    `json:"end_time"`
	FirstTokenTime         *string                    `json:"first_token_time"`
	DottedOrder            string                     `json:"dotted_order"`
	ThreadID               *string                    `json:"thread_id"`
	AppPath                string                     `json:"app_path"`
	Error                  *string                    `json:"error"`
	PromptTokens           int64                      `json:"prompt_tokens"`
	CompletionTokens       int64                      `json:"completion_tokens"`
	TotalTokens            int64                      `json:"total_tokens"`
	PromptCost             *string                    `json:"prompt_cost"`
	CompletionCost         *string                    `json:"completion_cost"`
	TotalCost              *string                    `json:"total_cost"`
	PromptTokenDetails     map[string]int64           `json:"prompt_token_details"`
	CompletionTokenDetails map[string]int64           `json:"completion_token_details"`
	PromptCostDetails      map[string]string          `json:"prompt_cost_details"`
	CompletionCostDetails  map[string]string          `json:"completion_cost_details"`
	Extra                  structExtra                `json:"extra"`
	Tags                   []string                   `json:"tags"`
	Inputs                 json.RawMessage            `json:"inputs"`
	Outputs                json.RawMessage            `json:"outputs"`
	InputsPreview          *string                    `json:"inputs_preview"`
	OutputsPreview         *string                    `json:"outputs_preview"`
	Events                 json.RawMessage            `json:"events"`
	Serialized             json.RawMessage            `json:"serialized"`
	InputsS3URLs           map[string]json.RawMessage `json:"inputs_s3_urls"`
}

type structExtra struct {
	Metadata         map[string]json.RawMessage `json:"metadata"`
	InvocationParams json.RawMessage            `json:"invocation_params"`
	Runtime          json.RawMessage            `json:"runtime"`
	ToolCallID       *string                    `json:"tool_call_id"`
}

// BenchmarkDecode reads whole pages: our decoder beside encoding/json into structs.
func BenchmarkDecode(b *testing.B) {
	const runs = 100
	for _, class := range langsmithtest.Classes {
		var pages [8][]byte
		for i := range pages {
			pages[i] = langsmithtest.Page(class, int64(i), runs)
		}
		report := func(b *testing.B) {
			b.ReportMetric(float64(b.N*runs)/b.Elapsed().Seconds(), "runs/s")
		}
		b.Run(class+"/decoder", func(b *testing.B) {
			d := NewDecoder(0)
			b.ReportAllocs()
			b.SetBytes(int64(len(pages[0])))
			var r bytes.Reader
			yield := func(*Run) error { return nil }
			for i := 0; b.Loop(); i++ {
				r.Reset(pages[i%len(pages)])
				if page, err := d.Decode(&r, yield); err != nil || page.Runs != runs {
					b.Fatal(page, err)
				}
			}
			report(b)
		})
		b.Run(class+"/encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(pages[0])))
			for i := 0; b.Loop(); i++ {
				var page structPage
				if err := json.Unmarshal(pages[i%len(pages)], &page); err != nil || len(page.Runs) != runs {
					b.Fatal(err)
				}
			}
			report(b)
		})
	}
}

func TestDecoderDoesNotAllocate(t *testing.T) {
	for _, class := range langsmithtest.Classes {
		for name, page := range map[string][]byte{"v1": langsmithtest.Page(class, 1, 50), "v2": langsmithtest.PageV2(class, 1, 50)} {
			d := NewDecoder(0)
			var r bytes.Reader
			yield := func(*Run) error { return nil }
			allocs := testing.AllocsPerRun(10, func() {
				r.Reset(page)
				if page, err := d.Decode(&r, yield); err != nil || page.Runs != 50 {
					t.Fatal(page, err)
				}
			})
			require.Zero(t, allocs, "%s %s", class, name)
		}
	}
}

// The corpus has the sizes that its documentation tells, and is what encoding/json takes.
func TestCorpus(t *testing.T) {
	for class, want := range map[string]int{"1k": 1100, "5k": 5400, "50k": 52000, "mix": 8000, "cjk": 5600, "esc": 7000} {
		page := langsmithtest.Page(class, 3, 200)
		require.True(t, json.Valid(page), class)
		require.True(t, json.Valid(langsmithtest.PageV2(class, 3, 200)), class)
		require.InEpsilon(t, want, len(page)/200, 0.25, class)
		require.Equal(t, page, langsmithtest.Page(class, 3, 200))
	}
}
