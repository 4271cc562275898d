package traffic

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func fill6000(t *testing.T) *store.Store {
	t.Helper()
	st := store.New(store.UUID{1})
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC).UnixMicro()
	g := New(DefaultConfig(), st, now)
	require.GreaterOrEqual(t, g.History(History{Runs: 6000}, 5, now), 6000)
	return st
}

var parts = []store.Part{
	store.PartInputs, store.PartOutputs, store.PartMetadata, store.PartExtra, store.PartEvents, store.PartSerialized, store.PartError, store.PartInputsPreview, store.PartOutputsPreview,
}

func TestBodiesAreJSONOfBelievableSize(t *testing.T) {
	total, runs := 0, 0
	for _, r := range fill6000(t).All {
		runs++
		for _, p := range parts {
			for _, v := range []store.View{{}, {V2: true}, {Pending: true}} {
				b := r.Body.Append(nil, r, p, v)
				require.True(t, json.Valid(b), "part %d of %s: %s", p, r.Name, b)
				assert.NotContains(t, string(b), "%!", "part %d of %s", p, r.Name)
				if v == (store.View{}) {
					total += len(b)
				}
			}
		}
		pending := string(r.Body.Append(nil, r, store.PartExtra, store.View{Pending: true}))
		assert.NotContains(t, pending, "usage_metadata", "a pending run has no usage")
	}
	assert.InDelta(t, 5500, total/runs, 2500, "bytes of a run's bodies")
}

func TestTrafficHasEverythingThatAgentsDo(t *testing.T) {
	types, statuses, classes, operations, providers, shapes := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[shape]int{}
	var outer, streamed, cached, reasoning, js, zeroPrefixed, threads, v4, runs int
	for _, r := range fill6000(t).All {
		runs++
		n := r.Body.(*node)
		types[r.Type]++
		statuses[r.Status]++
		classes[r.Truth.ErrorType]++
		operations[r.Truth.Operation]++
		providers[r.Truth.Provider]++
		shapes[n.shape]++
		count := func(into *int, yes bool) {
			if yes {
				*into++
			}
		}
		count(&outer, r.Outer)
		count(&streamed, r.FirstToken != 0)
		count(&js, n.t.js)
		count(&zeroPrefixed, strings.HasPrefix(r.ID.String(), "00000000-0000-0000-"))
		count(&threads, r.Thread != "")
		count(&v4, r.ID[6]>>4 == 4)
		if r.Usage != nil {
			count(&cached, r.Usage.CacheRead() > 0)
			count(&reasoning, r.Usage.Reasoning() > 0)
			assert.LessOrEqual(t, r.Usage.CacheRead()+r.Usage.CacheWrite(), r.Usage.Input)
			assert.LessOrEqual(t, r.Usage.Reasoning(), r.Usage.Output)
			assert.Positive(t, r.Usage.TotalCost())
		}
		if r.Done != 0 {
			assert.GreaterOrEqual(t, r.End+1000, r.Start, "%s ends before it starts", r.Name)
		}
		if r.Parent != nil {
			assert.Equal(t, r.Parent.TraceID, r.TraceID)
			assert.GreaterOrEqual(t, r.Start+1000, r.Parent.Start)
		}
	}
	for _, want := range []string{"chain", "llm", "tool", "retriever", "embedding", "prompt", "parser", "guardrail"} {
		assert.Positive(t, types[want], want)
	}
	for _, want := range []string{"success", "error", "interrupted", "pending"} {
		assert.Positive(t, statuses[want], want)
	}
	assert.InDelta(t, 0.025, float64(statuses["error"])/float64(runs), 0.02)
	for _, want := range []string{"RateLimitError", "APITimeoutError", "BadRequestError", "ContentFilterFinishReasonError", "AuthenticationError", "InternalServerError", "TimeoutError", "GraphInterrupt", "CancelledError"} {
		assert.Positive(t, classes[want], want)
	}
	for _, want := range []string{"chat", "text_completion", "embeddings", "retrieval", "execute_tool"} {
		assert.Positive(t, operations[want], want)
	}
	for _, want := range []string{"openai", "azure.ai.openai", "anthropic", "gcp.gemini", "gcp.vertex_ai", "aws.bedrock", "mistral_ai"} {
		assert.Positive(t, providers[want], want)
	}
	assert.Len(t, shapes, int(shapeGuardrail)+1)
	for i, n := range []int{outer, streamed, cached, reasoning, js, zeroPrefixed, threads, v4} {
		assert.Positive(t, n, "count %d", i)
	}
}

func TestIDsAreUnique(t *testing.T) {
	seen := map[store.UUID]bool{}
	halves := map[[8]byte]int{}
	for _, r := range fill6000(t).All {
		require.False(t, seen[r.ID])
		seen[r.ID] = true
		halves[[8]byte(r.ID[:8])]++
	}
	repeated := 0
	for _, n := range halves {
		if n > 1 {
			repeated++
		}
	}
	assert.Positive(t, repeated, "the first half of ids repeats inside a millisecond, as in UUIDv7 of the SDKs")
}

func TestPrices(t *testing.T) {
	u := gpt41mini.usage(412, 58, 128, 0, 0)
	assert.Equal(t, "0.0001264", u.InputCost.String(), "284 at 0.40 and 128 at 0.10 USD per million")
	assert.Equal(t, "0.0000928", u.OutputCost.String())
	sdk := &store.Usage{Input: 412, Output: 58, InputDetails: []store.Detail{{Key: "cache_read", Tokens: 128}}}
	Price("gpt-4.1-mini-2025-04-14", sdk)
	assert.Equal(t, u.TotalCost(), sdk.TotalCost())
	unknown := &store.Usage{Input: 1}
	Price("fake", unknown)
	assert.False(t, unknown.Priced)
}
