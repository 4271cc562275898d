package ingest

import (
	"encoding/json"
	"testing"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func FuzzFromAPI(f *testing.F) {
	const id = `"01a19b8a-d7cd-78b4-a652-e44da7f29e26"`
	for _, s := range []string{
		`{"id":` + id + `,"start_time":"2026-11-02T11:59:00.5Z","end_time":1793620801500,"status":"SUCCESS","run_type":"LLM","dotted_order":".x.","tags":["a"]}`,
		`{"id":` + id + `,"start_time":"2026-11-02T11:59:00","outputs":{"generations":[[{"message":{"kwargs":{"usage_metadata":{"input_tokens":1}}}}]]},"run_type":"llm"}`,
		`{"id":` + id + `,"start_time":1,"total_cost":"1e400","prompt_tokens":"5","prompt_token_details":{"raw":{"x":1}},"metadata":{"thread_id":5},"sim":{"seen_after":"1s"}}`,
		`{"id":` + id + `,"start_time":1,"outputs":{"llmOutput":{"tokenUsage":{"promptTokens":3}}},"run_type":"llm","events":[{"name":"new_token","time":null}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st := store.New(store.UUID{})
		r, err := FromAPI(b, st, 1)
		if err != nil {
			return
		}
		if st.Insert(r) != 0 {
			t.Fatal("refused")
		}
		for p := store.PartInputs; p <= store.PartOutputsPreview; p++ {
			if out := r.Body.Append(nil, r, p, store.View{}); !json.Valid(out) {
				t.Fatalf("part %d: %s", p, out)
			}
		}
		r.AppendDotted(nil)
	})
}
