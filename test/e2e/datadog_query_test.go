package e2e

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// datadogAnswer is a number for each group, over all there is.
type datadogAnswer map[string]float64

// datadogQuery evaluates one metric query of Datadog, or a formula of several, over what came to the intake. It knows
// of the language what docs/queries.md uses, and fails at the rest.
func datadogQuery(intake *datadogIntake, text string) (answer datadogAnswer, err error) {
	p := &datadogParser{intake: intake, text: text, rest: text}
	defer func() {
		if problem := recover(); problem != nil {
			complaint, ok := problem.(datadogProblem)
			if !ok {
				panic(problem)
			}
			err = fmt.Errorf("%s, before %q", complaint, p.rest)
		}
	}()
	answer = p.sum()
	if p.space(); p.rest != "" {
		panic(datadogProblem("more than a query"))
	}
	return answer, nil
}

type datadogParser struct {
	intake     *datadogIntake
	text, rest string
}

type datadogProblem string

func (p *datadogParser) space() { p.rest = strings.TrimLeft(p.rest, " \n") }

func (p *datadogParser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *datadogParser) expect(token string) {
	if !p.take(token) {
		panic(datadogProblem("no " + token))
	}
}

// match takes what an expression matches at the beginning.
func (p *datadogParser) match(re *regexp.Regexp) []string {
	p.space()
	m := re.FindStringSubmatch(p.rest)
	if m != nil {
		p.rest = p.rest[len(m[0]):]
	}
	return m
}

func (p *datadogParser) sum() datadogAnswer {
	left := p.product()
	for {
		switch {
		case p.take("+"):
			left = combine(left, p.product(), func(a, b float64) float64 { return a + b })
		case p.take("-"):
			left = combine(left, p.product(), func(a, b float64) float64 { return a - b })
		default:
			return left
		}
	}
}

func (p *datadogParser) product() datadogAnswer {
	left := p.factor()
	for {
		switch {
		case p.take("*"):
			left = combine(left, p.factor(), func(a, b float64) float64 { return a * b })
		case p.take("/"):
			left = combine(left, p.factor(), func(a, b float64) float64 { return a / b })
		default:
			return left
		}
	}
}

// combine joins groups of the same tags; a number without groups goes with each.
func combine(a, b datadogAnswer, f func(a, b float64) float64) datadogAnswer {
	out := datadogAnswer{}
	alone := func(m datadogAnswer) (float64, bool) { v, ok := m[""]; return v, ok && len(m) == 1 }
	if v, ok := alone(b); ok {
		for k := range a {
			out[k] = f(a[k], v)
		}
		return out
	}
	if v, ok := alone(a); ok {
		for k := range b {
			out[k] = f(v, b[k])
		}
		return out
	}
	for k := range a {
		if v, ok := b[k]; ok {
			out[k] = f(a[k], v)
		}
	}
	return out
}

var (
	numberToken = regexp.MustCompile(`^\d+(\.\d+)?`)
	queryHead   = regexp.MustCompile(`^(sum|avg|min|max|count|p50|p75|p90|p95|p99):([a-z][a-z0-9_.]*)\{`)
	groupTag    = regexp.MustCompile(`^[a-z][a-z0-9_.]*`)
	topTail     = regexp.MustCompile(`^, (\d+), 'sum', 'desc'\)`)
	inFilter    = regexp.MustCompile(`^([a-z][a-z0-9_.]*) IN \(([^)]*)\)`)
	tagFilter   = regexp.MustCompile(`^(!?)([a-z][a-z0-9_.]*):([^,} ]+)`)
)

func (p *datadogParser) factor() datadogAnswer {
	switch {
	case p.take("("):
		inner := p.sum()
		p.expect(")")
		return inner
	case p.take("default_zero("):
		inner := p.sum()
		p.expect(")")
		if len(inner) == 0 {
			inner = datadogAnswer{"": 0}
		}
		return inner
	case p.take("top("):
		inner := p.sum()
		m := p.match(topTail)
		if m == nil {
			panic(datadogProblem("top() without its number, function and order"))
		}
		n, _ := strconv.Atoi(m[1])
		return top(n, inner)
	}
	if m := p.match(numberToken); m != nil {
		v, _ := strconv.ParseFloat(m[0], 64)
		return datadogAnswer{"": v}
	}
	return p.query()
}

// query is aggregator:metric{filter} by {tags}.as_count().
func (p *datadogParser) query() datadogAnswer {
	m := p.match(queryHead)
	if m == nil {
		panic(datadogProblem("no query"))
	}
	aggregator, metric := m[1], m[2]
	keep := p.filter()
	var by []string
	if p.take("by {") {
		for {
			tag := p.match(groupTag)
			if tag == nil {
				panic(datadogProblem("no tag to group by"))
			}
			by = append(by, tag[0])
			if p.take("}") {
				break
			}
			p.expect(",")
		}
	}
	counted := p.take(".as_count()")
	sort.Strings(by) // as answers of Prometheus are named

	groups := map[string][]datadogPoint{}
	for _, point := range p.intake.recorded(metric) {
		if keep(point) {
			values := make([]string, len(by))
			for i, key := range by {
				values[i], _ = point.tag(key)
			}
			name := strings.Join(values, " ")
			groups[name] = append(groups[name], point)
		}
	}
	out := datadogAnswer{}
	for name, points := range groups {
		out[name] = aggregate(aggregator, counted, points)
	}
	return out
}

// aggregate is over space and all of time.
func aggregate(aggregator string, counted bool, points []datadogPoint) float64 {
	all := &sketch{}
	sum := 0.0
	for _, p := range points {
		if p.sketch != nil {
			all.add(p.sketch)
		}
		sum += p.value
	}
	distribution := points[0].sketch != nil
	switch {
	case distribution && (aggregator == "sum" || aggregator == "count") != counted:
		panic(datadogProblem("sum and count of a distribution add up over time only with .as_count()"))
	case distribution && aggregator == "count":
		return float64(all.count)
	case distribution && aggregator == "sum":
		return all.sum
	case distribution && aggregator == "avg":
		return all.sum / float64(all.count)
	case distribution && aggregator == "min":
		return all.min
	case distribution && aggregator == "max":
		return all.max
	case distribution && aggregator[0] == 'p':
		percent, _ := strconv.ParseFloat(aggregator[1:], 64)
		return all.quantile(percent / 100)
	case !distribution && aggregator == "sum" && counted && points[0].kind == 1:
		return sum
	}
	panic(datadogProblem(aggregator + " of " + points[0].metric + " is not to be had"))
}

// filter is what stands in braces, to the closing one.
func (p *datadogParser) filter() func(datadogPoint) bool {
	if p.take("*}") {
		return func(datadogPoint) bool { return true }
	}
	var all []func(datadogPoint) bool
	for {
		if m := p.match(inFilter); m != nil {
			key, values := m[1], strings.Split(m[2], ",")
			all = append(all, func(point datadogPoint) bool {
				v, _ := point.tag(key)
				for _, one := range values {
					if strings.TrimSpace(one) == v {
						return true
					}
				}
				return false
			})
		} else if m := p.match(tagFilter); m != nil {
			not, key, value := m[1] == "!", m[2], m[3]
			all = append(all, func(point datadogPoint) bool {
				v, ok := point.tag(key)
				return not != (ok && (value == "*" || v == value))
			})
		} else {
			panic(datadogProblem("no filter"))
		}
		if p.take("}") {
			break
		}
		if !p.take(",") {
			p.expect("AND")
		}
	}
	return func(point datadogPoint) bool {
		for _, keep := range all {
			if !keep(point) {
				return false
			}
		}
		return true
	}
}

func TestDatadogQuery(t *testing.T) {
	tags := func(list ...string) map[string]bool {
		set := map[string]bool{}
		for _, tag := range list {
			set[tag] = true
		}
		return set
	}
	dist := func(count int64, sum float64) *sketch {
		return &sketch{count: count, sum: sum, min: 1, max: 4, bins: map[int32]uint64{sketchBias: uint64(count)}}
	}
	intake := &datadogIntake{points: []datadogPoint{
		{metric: "latency", tags: tags("model:a", "kind:x"), sketch: dist(3, 6)},
		{metric: "latency", tags: tags("model:a", "kind:y"), sketch: dist(1, 4)},
		{metric: "latency", tags: tags("model:b", "kind:x"), sketch: dist(2, 2)},
		{metric: "errors", tags: tags("model:a"), kind: 1, value: 2},
	}}
	for query, want := range map[string]datadogAnswer{
		"count:latency{*}.as_count()":                                                {"": 6},
		"sum:latency{kind:x} by {model}.as_count()":                                  {"a": 6, "b": 2},
		"avg:latency{!kind:y} by {kind,model}":                                       {"x a": 2, "x b": 1},
		"p95:latency{*}":                                                             {"": 1},
		"count:latency{kind IN (x, y),model:a}.as_count()":                           {"": 4},
		"default_zero(sum:errors{model:b}.as_count()) / count:latency{*}.as_count()": {"": 0},
		"top(count:latency{model:*} by {model}.as_count(), 1, 'sum', 'desc')":        {"a": 4},
		"1 - (sum:errors{*}.as_count() + 1) / count:latency{*}.as_count()":           {"": 0.5},

		"sum:errors{*} by {model}.as_count()\n  / count:latency{*} by {model}.as_count()": {"a": 0.5},
	} {
		got, err := datadogQuery(intake, query)
		require.NoError(t, err, query)
		assert.Equal(t, want, got, query)
	}
	for _, wrong := range []string{
		"latency{*}", "count:latency{*}", "count:latency", "p95:latency{*}.as_count()", "p42:latency{*}", "count:latency{*} by model.as_count()",
		"count:latency{*}.as_count() /", "sum:errors{*}", "avg:errors{*}", "top(count:latency{*}.as_count())", "count:latency{*}.as_count() x",
	} {
		_, err := datadogQuery(intake, wrong)
		assert.Error(t, err, wrong)
	}
}
