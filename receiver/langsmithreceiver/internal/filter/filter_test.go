package filter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckAccepts(t *testing.T) {
	for _, expression := range []string{
		`eq(run_type, "llm")`,
		`and(eq(is_root, true), eq(status, "error"))`,
		`and(gte(start_time, "2026-11-02T09:00:00Z"), lt(start_time, "2026-11-02T09:10:00Z"))`,
		` or ( has(tags,"canary") , not(gt(latency, 5.5)) ) `,
		`has(metadata, '{"env": "prod"}')`,
		`and(in(metadata_key, ["session_id","thread_id"]), eq(metadata_value, "a \" ) b"))`,
		`search("timeout")`,
		`search(inputs, "timeout")`,
		`neq(error, null)`,
		`gt(feedback_score, -1.5e-3)`,
		`like(name, "Chat%")`,
	} {
		assert.NoError(t, Check(expression), expression)
	}
}

func TestCheckRefuses(t *testing.T) {
	for expression, want := range map[string]string{
		``:                        `is empty: leave the key out instead`,
		`eq(run_type, "llm"`:      `at character 19: a closing ) is missing`,
		`eq(run_type, "llm`:       `at character 14: the string has no end`,
		`eq(run_type, llm)`:       `at character 14: expected a value: a string in quotes, a number, true, false or null`,
		`equals(run_type, "llm")`: `at character 1: expected an operator: and, or, not, eq, neq, gt, gte, lt, lte, has, in, like or search`,
		`EQ(run_type, "llm")`:     `at character 1: operators are written in lower case: eq`,
		`eq(run_type)`:            `at character 13: eq has 1 arguments, which is the wrong number`,
		`and()`:                   `at character 5: expected an operator: and, or, not, eq, neq, gt, gte, lt, lte, has, in, like or search`,
		`in(name, "a")`:           `at character 10: expected a list such as ["a", "b"]`,
		`eq(a, 1) eq(b, 2)`:       `at character 10: nothing may follow the expression; join several with and(…)`,
		`run_type:llm`:            errSearchBar.Error(),
		`status = "error"`:        errSearchBar.Error(),
		`error timeout`:           errSearchBar.Error(),
		`and(run_type:llm)`:       `at character 5: expected an operator: and, or, not, eq, neq, gt, gte, lt, lte, has, in, like or search`,
		`eq(a, "x")) `:            `at character 11: nothing may follow the expression; join several with and(…)`,
	} {
		require.EqualError(t, Check(expression), want, expression)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(`and(eq(run_type, "llm"), in(name, ["a", 'b']))`)
	f.Add(`not(not(not(search("\`)
	f.Fuzz(func(t *testing.T, expression string) {
		if Check(expression) == nil {
			require.NoError(t, Check("not("+expression+")"))
			require.Error(t, Check(expression+")"))
		}
	})
}
