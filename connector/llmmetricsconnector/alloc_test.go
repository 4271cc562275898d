//go:build !race

package llmmetricsconnector

// Under the race detector sync.Pool drops things at random, so that this test would fail there.

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
)

// TestSpansAllocateNothing holds the promise of the steady state: when all series exist, spans cost no memory.
func TestSpansAllocateNothing(t *testing.T) {
	for _, kind := range []HistogramType{HistogramExplicit, HistogramExponential} {
		cfg := createDefaultConfig().(*Config)
		cfg.Histogram.Type = kind
		cfg.Dimensions = []Dimension{{Name: "tenant", Default: "none"}, {Name: "shard"}, {Name: "weight"}, {Name: "vip"}}
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		td := ptrace.NewTraces()
		epoch := time.Unix(1_700_000_000, 0)
		for i, fields := range []string{
			"took=1s op=chat provider=openai model=gpt-4o answered=gpt-4o-mini in=10 out=20 cost=0.01 first=0.1 read=2 write=3 reason=4 stream=true finish=stop,tool_calls tenant=a shard=3 weight=0.5 vip=true",
			"took=1s op=chat provider=openai model=gpt-4o error=timeout",
			"took=1s op=execute_tool tool=search",
			"took=1s op=invoke_agent agent=helper",
			"took=1s op=invoke_workflow workflow=support",
			"took=1s",
		} {
			scriptSpan(t, td, fields+fmt.Sprintf(" id=%d parent=%d", i+1, i), epoch)
		}
		td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(1).TraceState().FromRaw("a=b,ot=rv:6e6d1a75832a2f;th:5")
		ctx := t.Context()
		consume := func() {
			if err := c.ConsumeTraces(ctx, td); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			consume()
		}
		assert.Zero(t, testing.AllocsPerRun(500, consume), kind)
		require.NoError(t, c.Shutdown(t.Context()))
	}
}
