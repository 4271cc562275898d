package genai

import (
	"slices"
	"strings"
)

// candidates are the names under which a price list may have a model, the most specific first: the name as it
// is; then, one after the other and in lower case, without what gateways and clouds put around it. The list
// is for one look-up and may be long; each name is there once.
func candidates(model string) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	name := lowered(model)
	add(name)
	// provider/model, models/name, publishers/google/models/name, and the resource of an ARN.
	for range 8 {
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			break
		}
		name = rest
		add(name)
	}
	// Each step takes from what the steps before have left.
	for _, strip := range []func(string) string{
		withoutGeo, withoutMaker, withoutVersion, withoutAt, withoutRevision, withoutDate, withoutRelease, dashed,
	} {
		name = strip(name)
		add(name)
	}
	return names
}

// withoutGeo strips the region of an inference profile of Bedrock.
func withoutGeo(name string) string {
	geo, rest, ok := strings.Cut(name, ".")
	if !ok || !strings.Contains(rest, ".") {
		return name
	}
	switch geo {
	case "us", "eu", "apac", "jp", "au", "ca", "sa", "us-gov":
		return rest
	case "global":
		return withoutMaker(rest) // with its maker alone, it is the model in one region, which may cost more
	}
	return name
}

// withoutMaker strips the maker that Bedrock puts before a model.
func withoutMaker(name string) string {
	maker, rest, ok := strings.Cut(name, ".")
	if !ok {
		return name
	}
	switch maker {
	case "anthropic", "amazon", "meta", "mistral", "cohere", "deepseek", "openai", "qwen", "ai21", "google":
		return rest
	}
	return name
}

// withoutVersion strips :0, and :0:200k, but neither :free nor :8b, which are other models.
func withoutVersion(name string) string {
	base, rest, ok := strings.Cut(name, ":")
	if version, _, _ := strings.Cut(rest, ":"); !ok || version == "" || !digits(version) {
		return name
	}
	return base
}

// withoutAt strips @20240620, @default and the like.
func withoutAt(name string) string {
	base, _, _ := strings.Cut(name, "@")
	return base
}

// withoutRevision strips the -v1 of Bedrock.
func withoutRevision(name string) string {
	at := strings.LastIndex(name, "-v")
	if at <= 0 || at+2 == len(name) || !digits(name[at+2:]) {
		return name
	}
	return name[:at]
}

// withoutDate strips -20240620, -2024-06-20 and -latest.
func withoutDate(name string) string {
	if base, ok := strings.CutSuffix(name, "-latest"); ok {
		return base
	}
	if n := len(name) - len("-2024-06-20"); n > 0 {
		if date := name[n:]; date[0] == '-' && digits(date[1:5]) && date[5] == '-' && digits(date[6:8]) && date[8] == '-' && digits(date[9:]) {
			return name[:n]
		}
	}
	if n := len(name) - len("-20240620"); n > 0 && name[n] == '-' && digits(name[n+1:]) {
		return name[:n]
	}
	return name
}

// withoutRelease strips the -001 of Google.
func withoutRelease(name string) string {
	if n := len(name) - len("-001"); n > 0 && strings.HasPrefix(name[n:], "-0") && digits(name[n+1:]) {
		return name[:n]
	}
	return name
}

// dashed spells Anthropic's models as Anthropic does: gateways write claude-3.5-sonnet.
func dashed(name string) string {
	if !strings.HasPrefix(name, "claude-") {
		return name
	}
	return strings.ReplaceAll(name, ".", "-")
}

// providerFor is the provider whose prices are looked up: that of the call, or the one that the name of the model
// tells where the call names a framework, a gateway or nothing.
func providerFor(provider, model string) string {
	folded, framework := foldProvider(provider)
	if folded != "" && !framework && !gateway(folded) {
		return folded
	}
	if maker, _, ok := strings.Cut(model, "/"); ok {
		if known, framework, ok := knownProvider(lowered(maker)); ok && !framework {
			return known
		}
	}
	return first(providerOfModel(lowered(model)), folded)
}

// gateway reports providers that pass calls and prices of others on.
func gateway(provider string) bool {
	switch provider {
	case "openrouter", "gateway", "portkey", "vercel", "unknown", "_OTHER":
		return true
	}
	return false
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func lowered(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// flat makes a slash a character like any other for globs.
func flat(name string) string { return strings.ReplaceAll(name, "/", "\x00") }
