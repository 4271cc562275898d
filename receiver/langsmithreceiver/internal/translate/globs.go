package translate

import (
	"errors"
	"fmt"
	"strings"
)

// GlobSet is a set of patterns for keys: '*' stands for any run of bytes, '?' for one byte, everything else for
// itself. It is safe for concurrent use.
type GlobSet struct {
	patterns []string
}

// NewGlobSet returns a set that matches what any of the patterns matches. It is nil for no patterns, and an
// error for an empty one and for what only other kinds of globs know.
func NewGlobSet(patterns []string) (*GlobSet, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	for _, p := range patterns {
		if p == "" {
			return nil, errors.New("an empty pattern matches nothing; remove it or name a key such as \"env\" or \"team_*\"")
		}
		if strings.ContainsAny(p, `[\`) {
			return nil, fmt.Errorf("%q holds [ or \\, which mean nothing here: use * for any characters and ? for one, and list several patterns for a choice", p)
		}
	}
	return &GlobSet{patterns: append([]string(nil), patterns...)}, nil
}

// Match reports whether any pattern matches the whole key.
func (g *GlobSet) Match(key string) bool { return g != nil && g.match([]byte(key)) }

func (g *GlobSet) match(key []byte) bool {
	for _, p := range g.patterns {
		if matchGlob(p, key) {
			return true
		}
	}
	return false
}

// matchGlob goes back to the last star only, so it takes at most len(pattern)·len(key) steps.
func matchGlob(pattern string, key []byte) bool {
	p, k, star, mark := 0, 0, -1, 0
	for k < len(key) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, k
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == key[k]):
			p++
			k++
		case star >= 0:
			mark++
			p, k = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
