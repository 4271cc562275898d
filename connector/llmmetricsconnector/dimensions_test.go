package llmmetricsconnector

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestGlobs(t *testing.T) {
	for pattern, texts := range map[string]map[string]bool{
		"a.b":   {"a.b": true, "axb": false, "a.bc": false, "": false},
		"a.*":   {"a.b": true, "a.": true, "a": false, "b.a.": false},
		"a*b*c": {"abc": true, "a1b\n2c": true, "a1c": false, "abcd": false},
		"*":     {"": true, "x": true},
		"*a":    {"ba": true, "ab": false},
	} {
		for text, want := range texts {
			assert.Equal(t, want, newGlobs([]string{"never", pattern}).has(text), "%q of %q", text, pattern)
		}
	}
}

func TestDimensionsOfListsAndGlobs(t *testing.T) {
	d := newDimensions([]Dimension{
		{Name: "meta.*"},
		{Name: "tags", Match: []string{"team-*", "7"}, Default: "none"},
		{Name: "meta.plain"},
		{Name: "meta.a*"}, // has nothing left
	})
	require.Len(t, d.slots, 2+2*maxGlobAttributes)
	read := func(resource, span map[string]any) string {
		var values dimensionValues
		r, s := pcommon.NewMap(), pcommon.NewMap()
		require.NoError(t, r.FromRaw(resource))
		require.NoError(t, s.FromRaw(span))
		d.readResource(r, &values)
		first := make([]pcommon.Value, len(d.names))
		for i, name := range d.names {
			if v, ok := s.Get(name); ok {
				first[i] = v
			}
		}
		return strings.TrimRight(strings.Join(d.readSpan(first, s, &values), "|"), "|")
	}
	many := map[string]any{}
	all := []string{}
	for i := range 20 {
		many[fmt.Sprintf("meta.%02d", i)] = i
		if i < maxGlobAttributes {
			all = append(all, fmt.Sprintf("meta.%02d\x00%d", i, i))
		}
	}
	for want, in := range map[string][2]map[string]any{
		"|none": {},
		"|team-a,team-b": {
			{"tags": []any{"team-c"}}, {"tags": []any{"x", "team-b", "team-a", "team-b", ""}},
		},
		"|team-c": {{"tags": []any{"team-c"}}, {"tags": []any{"x"}}},
		"|7":      {{}, {"tags": 7}},
		"p|none|meta.a\x001|meta.b\x00r|meta.c\x00true": {
			{"meta.b": "r", "meta.a": "r", "other": "r"}, {"meta.c": true, "meta.a": 1, "meta.plain": "p", "meta.list": []any{"x"}, "meta.empty": ""},
		},
		"|none|" + strings.Join(all, "|"): {{}, many},
	} {
		assert.Equal(t, want, read(in[0], in[1]))
	}
}

// TestGlobsNeverTakeTheMetricsOwnAttributes holds that no attribute comes twice.
func TestGlobsNeverTakeTheMetricsOwnAttributes(t *testing.T) {
	d := newDimensions([]Dimension{{Name: "gen_ai.*"}})
	assert.False(t, d.takes(0, "gen_ai.request.model"))
	assert.True(t, d.takes(0, "gen_ai.request.seed"))
}
