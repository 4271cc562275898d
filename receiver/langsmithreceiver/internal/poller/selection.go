package poller

import (
	"fmt"
	"path"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Selection chooses projects. The zero value chooses none.
type Selection struct {
	include, exclude []pattern
}

type pattern struct {
	text string
	id   langsmith.UUID // zero for a name or glob
}

// NewSelection chooses the projects that match an include pattern and no exclude pattern. A pattern is the id of
// a project, its name, or a glob of it with *, ? and [a-z], in which * also stands for a slash.
func NewSelection(include, exclude []string) (*Selection, error) {
	s := &Selection{}
	var err error
	if s.include, err = parsePatterns("projects.include", include); err != nil {
		return nil, err
	}
	if s.exclude, err = parsePatterns("projects.exclude", exclude); err != nil {
		return nil, err
	}
	return s, nil
}

func parsePatterns(key string, texts []string) ([]pattern, error) {
	var patterns []pattern
	for _, text := range texts {
		if text == "" {
			return nil, fmt.Errorf("%s: an empty pattern matches no project: write a name, a glob such as \"prod-*\", or a project id", key)
		}
		p := pattern{text: text}
		if id, err := langsmith.ParseUUID(text); err == nil {
			p.id = id
		} else if _, err := path.Match(flatten(text), ""); err != nil {
			return nil, fmt.Errorf("%s: %q is no valid glob: close the bracket, or write \\[ for a literal one", key, text)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// flatten makes path.Match treat slashes like any other character.
func flatten(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

func (p pattern) matches(project langsmith.Project) bool {
	if !p.id.IsZero() {
		return p.id == project.ID
	}
	if p.text == project.Name {
		return true
	}
	ok, _ := path.Match(flatten(p.text), flatten(project.Name))
	return ok
}

// Chosen reports whether a project is to be read.
func (s *Selection) Chosen(project langsmith.Project) bool {
	return matchesAny(s.include, project) && !matchesAny(s.exclude, project)
}

// Unmatched are the include patterns without wildcard, names and ids, that no project matches.
func (s *Selection) Unmatched(projects []langsmith.Project) []string {
	var names []string
next:
	for _, p := range s.include {
		if p.id.IsZero() && strings.ContainsAny(p.text, `*?[\`) {
			continue
		}
		for _, project := range projects {
			if p.matches(project) {
				continue next
			}
		}
		names = append(names, p.text)
	}
	return names
}

func matchesAny(patterns []pattern, project langsmith.Project) bool {
	for _, p := range patterns {
		if p.matches(project) {
			return true
		}
	}
	return false
}
