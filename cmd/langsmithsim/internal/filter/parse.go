// Package filter reads and evaluates LangSmith's filter language, such as
// and(eq(run_type, "llm"), gt(latency, 5)).
package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the type of a [Value].
type Kind uint8

// The types of values.
const (
	Null Kind = iota
	String
	Number
	Bool
)

// Value is a literal.
type Value struct {
	Kind Kind
	Str  string
	Num  float64
	Bool bool
}

// Expr is a parsed expression.
type Expr struct {
	op    string
	args  []*Expr
	field string
	value Value
	list  []Value
}

// maxDepth bounds nesting, so that no expression exhausts the stack.
const maxDepth = 50

type family uint8

const (
	familyNone family = iota
	familyMetadata
	familyFeedback
	familyInput
	familyOutput
)

// fields are those that may be compared, with the family of pairs that they belong to.
var fields = map[string]family{
	"id": 0, "name": 0, "run_type": 0, "status": 0, "error": 0, "start_time": 0, "end_time": 0, "latency": 0, "first_token_time": 0,
	"execution_order": 0, "tags": 0, "tag": 0, "is_root": 0, "trace_id": 0, "parent_run_id": 0, "thread_id": 0, "total_tokens": 0, "prompt_tokens": 0,
	"completion_tokens": 0, "total_cost": 0, "prompt_cost": 0, "completion_cost": 0, "reference_example": 0, "price_model": 0, "session_id": 0, "metadata": 0,
	"feedback_key": familyFeedback, "feedback_score": familyFeedback, "feedback_value": familyFeedback, "feedback_source": familyFeedback, "feedback_comment": familyFeedback,
	"metadata_key": familyMetadata, "metadata_value": familyMetadata,
	"input_key": familyInput, "input_value": familyInput, "output_key": familyOutput, "output_value": familyOutput,
}

// Parse reads an expression. Its errors are meant for the user who wrote it.
func Parse(s string) (*Expr, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("filter is not valid UTF-8")
	}
	p := parser{s: s}
	e, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.s) {
		return nil, p.errorf("unexpected text after the expression")
	}
	return e, nil
}

type parser struct {
	s  string
	at int
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s at position %d", fmt.Sprintf(format, args...), p.at)
}

func (p *parser) space() {
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) peek() byte {
	p.space()
	if p.at < len(p.s) {
		return p.s[p.at]
	}
	return 0
}

func (p *parser) take(c byte) error {
	if p.peek() != c {
		return p.errorf("expected %q", string(c))
	}
	p.at++
	return nil
}

func (p *parser) word() string {
	p.space()
	start := p.at
	for p.at < len(p.s) {
		c := p.s[p.at]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9' || p.at == start) {
			break
		}
		p.at++
	}
	return p.s[start:p.at]
}

func (p *parser) expr(depth int) (*Expr, error) {
	if depth > maxDepth {
		return nil, p.errorf("nested too deeply")
	}
	op := p.word()
	if op == "" {
		return nil, p.errorf("expected an operator")
	}
	e := &Expr{op: op}
	if err := p.take('('); err != nil {
		return nil, err
	}
	var err error
	switch op {
	case "and", "or", "not":
		err = p.logical(e, depth)
	case "eq", "neq", "gt", "gte", "lt", "lte", "has", "like":
		err = p.comparison(e)
	case "in":
		err = p.membership(e)
	case "search":
		err = p.search(e)
	default:
		return nil, p.errorf("unknown operator %q", op)
	}
	if err != nil {
		return nil, err
	}
	if err := p.take(')'); err != nil {
		return nil, err
	}
	return e, nil
}

func (p *parser) logical(e *Expr, depth int) error {
	for {
		arg, err := p.expr(depth + 1)
		if err != nil {
			return err
		}
		e.args = append(e.args, arg)
		if p.peek() != ',' {
			break
		}
		p.at++
	}
	if e.op == "not" && len(e.args) != 1 {
		return p.errorf("not takes one argument")
	}
	return nil
}

func (p *parser) fieldName(e *Expr) error {
	e.field = p.word()
	if _, ok := fields[e.field]; !ok {
		return p.errorf("unknown attribute %q", e.field)
	}
	return p.take(',')
}

func (p *parser) comparison(e *Expr) (err error) {
	if err = p.fieldName(e); err != nil {
		return err
	}
	if e.value, err = p.value(); err != nil {
		return err
	}
	switch {
	case e.field == "error" && e.value.Kind == Null:
		return p.errorf("error cannot be compared with null; use the status")
	case e.op == "like" && e.value.Kind != String:
		return p.errorf("like takes a string")
	case e.op == "has" && e.field != "tags" && e.field != "metadata":
		return p.errorf("has applies to tags and metadata")
	case e.op == "has" && e.value.Kind != String:
		return p.errorf("has takes a string")
	case (e.field == "start_time" || e.field == "end_time" || e.field == "first_token_time") && e.value.Kind != Null:
		if _, ok := parseTime(e.value.Str); !ok || e.value.Kind != String {
			return p.errorf("%s takes a time such as \"2026-01-31T08:00:00Z\"", e.field)
		}
	case e.field == "latency":
		if _, ok := seconds(e.value); !ok {
			return p.errorf("latency takes seconds or a text such as \"5s\"")
		}
	}
	return nil
}

func (p *parser) membership(e *Expr) error {
	if err := p.fieldName(e); err != nil {
		return err
	}
	if err := p.take('['); err != nil {
		return err
	}
	for p.peek() != ']' {
		v, err := p.value()
		if err != nil {
			return err
		}
		e.list = append(e.list, v)
		if p.peek() != ',' {
			break
		}
		p.at++
	}
	return p.take(']')
}

func (p *parser) search(e *Expr) (err error) {
	if c := p.peek(); c != '"' && c != '\'' {
		e.field = p.word()
		if e.field == "" {
			return p.errorf("search takes a text")
		}
		if err := p.take(','); err != nil {
			return err
		}
	}
	if e.value, err = p.value(); err == nil && e.value.Kind != String {
		err = p.errorf("search takes a text")
	}
	return err
}

func (p *parser) value() (Value, error) {
	switch c := p.peek(); {
	case c == '"' || c == '\'':
		return p.text(c)
	case c == '-' || c >= '0' && c <= '9':
		start := p.at
		for p.at < len(p.s) && strings.IndexByte("+-.eE0123456789", p.s[p.at]) >= 0 {
			p.at++
		}
		n, err := strconv.ParseFloat(p.s[start:p.at], 64)
		if err != nil {
			return Value{}, p.errorf("bad number")
		}
		return Value{Kind: Number, Num: n}, nil
	}
	switch w := p.word(); w {
	case "true", "True":
		return Value{Kind: Bool, Bool: true}, nil
	case "false", "False":
		return Value{Kind: Bool}, nil
	case "null", "None":
		return Value{}, nil
	default:
		return Value{}, p.errorf("expected a value")
	}
}

func (p *parser) text(quote byte) (Value, error) {
	p.at++
	var b strings.Builder
	for p.at < len(p.s) {
		c := p.s[p.at]
		switch c {
		case quote:
			p.at++
			return Value{Kind: String, Str: b.String()}, nil
		case '\\':
			r, _, tail, err := strconv.UnquoteChar(strings.Replace(p.s[p.at:min(len(p.s), p.at+12)], `\/`, `/`, 1), quote)
			if err != nil {
				return Value{}, p.errorf("bad escape")
			}
			if strings.HasPrefix(p.s[p.at:], `\/`) {
				p.at += 2
			} else {
				p.at += len(p.s[p.at:min(len(p.s), p.at+12)]) - len(tail)
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			p.at++
		}
	}
	return Value{}, p.errorf("text without end")
}
