package filter

import (
	"strconv"
	"strings"
	"time"
)

// Pair is a key and value of a family, such as one entry of the metadata. For feedback Key is the feedback's
// key and Num its score.
type Pair struct {
	Key, Value string
	Num        float64
	IsNum      bool
	Source     string
	Comment    string
}

// Subject is what an expression is asked about. The methods are called only for fields that the expression names.
type Subject interface {
	// Field is the value of a plain field; Null when absent. Times are microseconds since the Unix epoch as a
	// number, latency is in seconds.
	Field(name string) Value
	Tags() []string
	Metadata() []Pair
	Feedback() []Pair
	Inputs() []Pair
	Outputs() []Pair
	// MetadataJSON is the metadata as JSON text, Text everything that full-text search looks at.
	MetadataJSON() string
	Text() string
}

// Match evaluates the expression.
func (e *Expr) Match(s Subject) bool {
	switch e.op {
	case "and":
		return e.all(s)
	case "or":
		for _, a := range e.args {
			if a.Match(s) {
				return true
			}
		}
		return false
	case "not":
		return !e.args[0].Match(s)
	case "search":
		return strings.Contains(strings.ToLower(s.Text()), strings.ToLower(e.value.Str))
	case "has":
		if e.field == "tags" {
			return contains(s.Tags(), e.value.Str)
		}
		return hasMetadata(s.MetadataJSON(), e.value.Str)
	}
	if f := fields[e.field]; f != familyNone {
		return e.anyPair(s, f, []*Expr{e})
	}
	if e.field == "tags" || e.field == "tag" {
		return e.anyTag(s.Tags())
	}
	return e.compare(s.Field(e.field))
}

// all is an and: comparisons with one family of pairs must hold for the same pair.
func (e *Expr) all(s Subject) bool {
	groups := map[family][]*Expr{}
	for _, a := range e.args {
		if f := fields[a.field]; f != familyNone && a.op != "has" && a.op != "search" {
			groups[f] = append(groups[f], a)
		} else if !a.Match(s) {
			return false
		}
	}
	for f, g := range groups {
		if !e.anyPair(s, f, g) {
			return false
		}
	}
	return true
}

func (e *Expr) anyPair(s Subject, f family, conditions []*Expr) bool {
	var pairs []Pair
	switch f {
	case familyMetadata:
		pairs = s.Metadata()
	case familyFeedback:
		pairs = s.Feedback()
	case familyInput:
		pairs = s.Inputs()
	case familyOutput:
		pairs = s.Outputs()
	}
	positive := conditions[:0:0]
	for _, c := range conditions {
		// "no such key" speaks of all pairs, not of one.
		if c.op == "neq" && strings.HasSuffix(c.field, "_key") {
			for _, p := range pairs {
				if p.Key == c.value.Str {
					return false
				}
			}
			continue
		}
		positive = append(positive, c)
	}
	if len(positive) == 0 {
		return true
	}
next:
	for _, p := range pairs {
		for _, c := range positive {
			if !c.compare(p.field(c.field)) {
				continue next
			}
		}
		return true
	}
	return false
}

func (p *Pair) field(name string) Value {
	switch {
	case strings.HasSuffix(name, "_key"):
		return Value{Kind: String, Str: p.Key}
	case strings.HasSuffix(name, "_source"):
		return Value{Kind: String, Str: p.Source}
	case strings.HasSuffix(name, "_comment"):
		return Value{Kind: String, Str: p.Comment}
	case name == "feedback_score":
		if p.IsNum {
			return Value{Kind: Number, Num: p.Num}
		}
		return Value{}
	case p.IsNum:
		return Value{Kind: Number, Num: p.Num, Str: p.Value}
	}
	return Value{Kind: String, Str: p.Value}
}

func (e *Expr) anyTag(tags []string) bool {
	for _, t := range tags {
		if e.op == "neq" {
			if t == e.value.Str {
				return false
			}
		} else if e.compare(Value{Kind: String, Str: t}) {
			return true
		}
	}
	return e.op == "neq"
}

func (e *Expr) compare(have Value) bool {
	if e.op == "in" {
		for _, v := range e.list {
			if equal(e.field, have, v) {
				return true
			}
		}
		return false
	}
	switch e.op {
	case "eq":
		return equal(e.field, have, e.value)
	case "neq":
		return !equal(e.field, have, e.value)
	case "like":
		return have.Kind == String && like(have.Str, e.value.Str)
	}
	c, ok := order(e.field, have, e.value)
	if !ok {
		return false
	}
	switch e.op {
	case "gt":
		return c > 0
	case "gte":
		return c >= 0
	case "lt":
		return c < 0
	default:
		return c <= 0
	}
}

func number(field string, v Value) (float64, bool) {
	switch {
	case v.Kind == Number:
		return v.Num, true
	case v.Kind != String:
		return 0, false
	case strings.HasSuffix(field, "_time"):
		us, ok := parseTime(v.Str)
		return float64(us), ok
	case field == "latency":
		return seconds(v)
	}
	n, err := strconv.ParseFloat(v.Str, 64)
	return n, err == nil
}

func equal(field string, have, want Value) bool {
	if have.Kind == Null || want.Kind == Null {
		return have.Kind == want.Kind
	}
	if have.Kind == Number {
		a, _ := number(field, have)
		b, ok := number(field, want)
		return ok && a == b
	}
	if have.Kind == Bool || want.Kind == Bool {
		return boolText(have) == boolText(want)
	}
	if want.Kind == Number {
		n, err := strconv.ParseFloat(have.Str, 64)
		return err == nil && n == want.Num
	}
	return have.Str == want.Str
}

func boolText(v Value) string {
	if v.Kind == Bool {
		return strconv.FormatBool(v.Bool)
	}
	return strings.ToLower(v.Str)
}

func order(field string, have, want Value) (int, bool) {
	a, okA := number(field, have)
	b, okB := number(field, want)
	switch {
	case okA && okB && a < b:
		return -1, true
	case okA && okB && a > b:
		return 1, true
	case okA && okB:
		return 0, true
	case have.Kind == String && want.Kind == String:
		return strings.Compare(have.Str, want.Str), true
	}
	return 0, false
}

// like matches a pattern in which % stands for any text, without regard to case.
func like(s, pattern string) bool {
	s, pattern = strings.ToLower(s), strings.ToLower(pattern)
	parts := strings.Split(pattern, "%")
	if len(parts) == 1 {
		return s == pattern
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}

// hasMetadata tests the JSON text of one or more members, as has(metadata, '{"env":"prod"}') has it.
func hasMetadata(all, want string) bool {
	want = strings.TrimSpace(want)
	want = strings.TrimSuffix(strings.TrimPrefix(want, "{"), "}")
	return strings.Contains(strings.ReplaceAll(all, " ", ""), strings.ReplaceAll(want, " ", ""))
}

func contains(list []string, s string) bool {
	for _, t := range list {
		if t == s {
			return true
		}
	}
	return false
}

func seconds(v Value) (float64, bool) {
	if v.Kind == Number {
		return v.Num, true
	}
	if d, err := time.ParseDuration(v.Str); err == nil {
		return d.Seconds(), true
	}
	n, err := strconv.ParseFloat(v.Str, 64)
	return n, err == nil
}

// parseTime reads a time with or without zone to microseconds since the Unix epoch.
func parseTime(s string) (int64, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}

// UsesFeedback reports whether the expression has a condition on feedback.
func (e *Expr) UsesFeedback() bool {
	if fields[e.field] == familyFeedback {
		return true
	}
	for _, a := range e.args {
		if a.UsesFeedback() {
			return true
		}
	}
	return false
}

// FullText reports whether the expression searches text, which servers limit harder.
func (e *Expr) FullText() bool {
	if e.op == "search" {
		return true
	}
	for _, a := range e.args {
		if a.FullText() {
			return true
		}
	}
	return false
}
