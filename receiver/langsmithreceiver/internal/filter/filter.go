// Package filter checks expressions of LangSmith's query language without a server, so that a typing error is
// found before the receiver starts. It knows the grammar, not the fields: those differ between servers.
package filter

import (
	"errors"
	"fmt"
	"strings"
)

// maxDepth bounds the nesting of calls.
const maxDepth = 64

// operators are the functions of the language with the number of their arguments: least and most, -1 for any.
var operators = map[string][2]int{
	"and": {1, -1}, "or": {1, -1}, "not": {1, 1},
	"eq": {2, 2}, "neq": {2, 2}, "gt": {2, 2}, "gte": {2, 2}, "lt": {2, 2}, "lte": {2, 2},
	"has": {2, 2}, "in": {2, 2}, "like": {2, 2}, "search": {1, 2},
}

var errSearchBar = errors.New(`this is the syntax of the search bar; the API wants calls, such as and(eq(run_type, "llm"), gt(latency, 5))`)

// Check reports what is wrong with an expression, with the position of the byte, counted from 1.
func Check(expression string) error {
	p := parser{text: expression}
	p.space()
	if p.done() {
		return errors.New("is empty: leave the key out instead")
	}
	if err := p.call(0); err != nil {
		if looksLikeSearchBar(expression) {
			return errSearchBar
		}
		return err
	}
	p.space()
	if !p.done() {
		if looksLikeSearchBar(expression) {
			return errSearchBar
		}
		return p.errorf("nothing may follow the expression; join several with and(…)")
	}
	return nil
}

// looksLikeSearchBar recognises name:value, name = value, and the like.
func looksLikeSearchBar(s string) bool {
	name := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && r != '.' && r != ' ' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	if name <= 0 {
		return name < 0 // words only
	}
	return strings.ContainsRune(":=<>!~", rune(s[name]))
}

type parser struct {
	text string
	at   int
}

func (p *parser) done() bool { return p.at >= len(p.text) }

func (p *parser) space() {
	for !p.done() && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("at character %d: %s", p.at+1, fmt.Sprintf(format, args...))
}

// accept consumes c after white space.
func (p *parser) accept(c byte) bool {
	p.space()
	if p.done() || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) word() string {
	start := p.at
	for !p.done() {
		c := p.text[p.at]
		if c != '_' && c != '.' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			break
		}
		p.at++
	}
	return p.text[start:p.at]
}

// call reads operator(arguments).
func (p *parser) call(depth int) error {
	if depth > maxDepth {
		return p.errorf("nested too deeply")
	}
	p.space()
	start := p.at
	name := p.word()
	arity, known := operators[name]
	if !known {
		p.at = start
		if _, lower := operators[strings.ToLower(name)]; lower {
			return p.errorf("operators are written in lower case: %s", strings.ToLower(name))
		}
		return p.errorf("expected an operator: and, or, not, eq, neq, gt, gte, lt, lte, has, in, like or search")
	}
	if !p.accept('(') {
		return p.errorf("expected ( after %s", name)
	}
	n := 0
	for {
		if err := p.argument(name, n, depth); err != nil {
			return err
		}
		n++
		if p.accept(',') {
			continue
		}
		if p.accept(')') {
			break
		}
		if p.done() {
			return p.errorf("a closing ) is missing")
		}
		return p.errorf("expected , or )")
	}
	if n < arity[0] || (arity[1] >= 0 && n > arity[1]) {
		return p.errorf("%s has %d arguments, which is the wrong number", name, n)
	}
	return nil
}

func (p *parser) argument(operator string, n, depth int) error {
	switch operator {
	case "and", "or", "not":
		return p.call(depth + 1)
	case "search":
		return p.either()
	case "in":
		if n == 1 {
			return p.list()
		}
	}
	if n == 0 {
		p.space()
		if p.word() == "" {
			return p.errorf("expected the name of a field")
		}
		return nil
	}
	return p.value()
}

// either reads a field or a value.
func (p *parser) either() error {
	p.space()
	if p.word() != "" {
		return nil
	}
	return p.value()
}

func (p *parser) list() error {
	if !p.accept('[') {
		return p.errorf("expected a list such as [\"a\", \"b\"]")
	}
	for {
		if err := p.value(); err != nil {
			return err
		}
		if p.accept(']') {
			return nil
		}
		if !p.accept(',') {
			return p.errorf("expected , or ]")
		}
	}
}

// value reads a string, a number, true, false or null.
func (p *parser) value() error {
	p.space()
	if p.done() {
		return p.errorf("expected a value")
	}
	start := p.at
	switch c := p.text[p.at]; {
	case c == '"' || c == '\'':
		for p.at++; !p.done(); p.at++ {
			switch p.text[p.at] {
			case '\\':
				p.at++
			case c:
				p.at++
				return nil
			}
		}
		p.at = start
		return p.errorf("the string has no end")
	case c == '-' || c == '+':
		p.at++
	}
	word := p.word()
	if n := len(word); n > 1 && (word[n-1] == 'e' || word[n-1] == 'E') && !p.done() && (p.text[p.at] == '-' || p.text[p.at] == '+') {
		p.at++
		p.word()
	}
	switch {
	case word == "true", word == "false", word == "null":
		return nil
	case word != "" && (word[0] >= '0' && word[0] <= '9' || word[0] == '.'):
		return nil
	}
	p.at = start
	return p.errorf("expected a value: a string in quotes, a number, true, false or null")
}
