package filter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type fake struct {
	fields   map[string]Value
	tags     []string
	metadata []Pair
	feedback []Pair
}

func (f *fake) Field(n string) Value { return f.fields[n] }
func (f *fake) Tags() []string       { return f.tags }
func (f *fake) Metadata() []Pair     { return f.metadata }
func (f *fake) Feedback() []Pair     { return f.feedback }
func (f *fake) Inputs() []Pair       { return []Pair{{Key: "user.tier", Value: "gold"}} }
func (f *fake) Outputs() []Pair      { return nil }
func (f *fake) MetadataJSON() string { return `{"env":"prod","n":5}` }
func (f *fake) Text() string         { return "The pump TX-44 timed out" }

var subject = &fake{
	fields: map[string]Value{
		"run_type": {Kind: String, Str: "llm"}, "name": {Kind: String, Str: "ChatOpenAI"}, "status": {Kind: String, Str: "success"},
		"start_time": {Kind: Number, Num: 1_793_610_930_125_043}, // 2026-11-02T09:15:30.125043Z
		"latency":    {Kind: Number, Num: 1.5}, "is_root": {Kind: Bool, Bool: false}, "total_tokens": {Kind: Number, Num: 470},
	},
	tags:     []string{"prod", "canary"},
	metadata: []Pair{{Key: "env", Value: "prod"}, {Key: "n", Value: "5", Num: 5, IsNum: true}},
	feedback: []Pair{{Key: "helpful", Num: 1, IsNum: true, Source: "app"}, {Key: "tone", Value: "curt"}},
}

func TestMatch(t *testing.T) {
	for text, want := range map[string]bool{
		`eq(run_type, "llm")`: true, `neq(run_type, 'llm')`: false, `eq(run_type,"LLM")`: false,
		`and(eq(run_type, "llm"), gt(latency, 1))`: true, `gt(latency, "2s")`: false, `lte(latency, "1500ms")`: true,
		`gte(start_time, "2026-11-02T09:15:30.125043Z")`: true, `gt(start_time, "2026-11-02T09:15:30.125043")`: false,
		`lt(start_time, "2026-11-02T10:15:30.125044+01:00")`: true, `lt(start_time, "2026-11-02T09:15:30.125043Z")`: false,
		`eq(end_time, null)`: true, `gte(end_time, "2026-11-02T09:15:30Z")`: false,
		`has(tags, "canary")`: true, `has(tags, "beta")`: false, `has(metadata, '{"env": "prod"}')`: true, `has(metadata, '{"env":"dev"}')`: false,
		`eq(is_root, false)`: true, `eq(is_root, true)`: false, `in(run_type, ["tool","llm"])`: true, `in(run_type, [])`: false,
		`like(name, "%openai")`: true, `like(name, "Chat%AI")`: true, `like(name, "openai")`: false, `not(eq(status, "error"))`: true,
		`or(eq(status, "error"), eq(name, "ChatOpenAI"))`: true, `search("tx-44")`: true, `search(inputs, "gear")`: false,
		`and(eq(metadata_key,"env"), eq(metadata_value,"prod"))`: true, `and(eq(metadata_key,"env"), eq(metadata_value,"5"))`: false,
		`and(eq(metadata_key,"n"), gte(metadata_value, 5))`: true, `neq(metadata_key, "thread_id")`: true, `neq(metadata_key, "env")`: false,
		`and(in(metadata_key, ["x","env"]), eq(metadata_value, "prod"))`: true,
		`and(eq(feedback_key,"helpful"), gt(feedback_score, 0.5))`:       true,
		`and(eq(feedback_key,"tone"), gt(feedback_score, 0.5))`:          false,
		`and(eq(feedback_key,"tone"), eq(feedback_value, "curt"))`:       true,
		`and(eq(feedback_key,"helpful"), eq(feedback_source, "app"))`:    true,
		`and(eq(input_key, "user.tier"), eq(input_value, "gold"))`:       true,
		`gt(total_tokens, 469)`: true,
		"  and( eq( name ,\n\"Chat\\u004fpenAI\" ) , lt(latency,2.5e0) )": true,
	} {
		e, err := Parse(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, e.Match(subject), text)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``: "expected an operator", `eq(`: "unknown attribute", `eq(run_type)`: `expected ","`, `eq(trace_tier, "longlived")`: "unknown attribute",
		`foo(name, 1)`: `unknown operator "foo"`, `neq(error, null)`: "cannot be compared with null", `eq(name, "x"`: `expected ")"`,
		`eq(name, "x)`: "text without end", `eq(name, "x") eq(name, "y")`: "unexpected text", `eq(start_time, "yesterday")`: "takes a time",
		`gt(latency, "soon")`: "takes seconds", `has(name, "x")`: "has applies to", `not(eq(name,"a"),eq(name,"b"))`: "one argument",
		`in(name, "x")`: `expected "["`, `search(5)`: "search takes", `name:foo`: `expected "("`, "eq(name, \"\xff\")": "not valid UTF-8",
		`eq(latency, nan)`: "expected a value",
	} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, want, text)
	}
	deep := ""
	for range 60 {
		deep += "not("
	}
	_, err := Parse(deep)
	assert.ErrorContains(t, err, "nested too deeply")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`and(eq(run_type, "llm"), gt(latency, 5))`, `in(name, ["a", 'b', 1, true, null])`, `search("x\"y\u00e9\/")`, `not(has(tags, "é"))`, `eq(name, "\`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Parse(s)
		if (e == nil) == (err == nil) {
			t.Fatalf("%q: neither or both of expression and error", s)
		}
		if err == nil {
			e.Match(subject)
			e.UsesFeedback()
		}
	})
}
