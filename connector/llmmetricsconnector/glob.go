package llmmetricsconnector

import (
	"regexp"
	"strings"
)

// globs match text in which * stands for anything.
type globs []glob

type glob struct {
	prefix  string
	pattern *regexp.Regexp // nil when * is at the end only
}

func newGlobs(patterns []string) globs {
	var all globs
	for _, p := range patterns {
		g := glob{prefix: p}
		if at := strings.IndexByte(p, '*'); at >= 0 {
			g.prefix = p[:at]
		}
		if g.prefix+"*" != p {
			g.pattern = regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
		}
		all = append(all, g)
	}
	return all
}

func (g globs) has(text string) bool {
	for i := range g {
		if strings.HasPrefix(text, g[i].prefix) && (g[i].pattern == nil || g[i].pattern.MatchString(text)) {
			return true
		}
	}
	return false
}
