package langsmith

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// cloudDomain is of LangSmith's own service: api.… and, for other regions, eu.api.… and so on.
const cloudDomain = "smith.langchain.com"

// NormalizeEndpoint turns what a user wrote into the base of all addresses: without a trailing slash, /api,
// /api/v1 or /api/v2. Any other path stays, for servers behind a prefix. The error is one line that names the
// key endpoint, the value and what to write instead.
func NormalizeEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(endpoint))
	switch {
	case err != nil:
		// The parser's own text repeats the value, which may hold a password.
		return "", errors.New("endpoint: not a URL; write it as https://api.smith.langchain.com")
	case u.User != nil:
		return "", fmt.Errorf("endpoint: %q holds credentials; leave them out and set api_key", u.Redacted())
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", fmt.Errorf("endpoint: %q is no http or https URL; write it as https://api.smith.langchain.com", endpoint)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("endpoint: %q has a query or fragment; write the base of the API only, such as %s://%s", endpoint, u.Scheme, u.Host)
	}
	host := strings.ToLower(u.Hostname())
	if region, ok := strings.CutSuffix(host, cloudDomain); ok && !strings.HasSuffix(region, "api.") && (region == "" || strings.Count(region, ".") == 1) {
		return "", fmt.Errorf("endpoint: %q is the user interface and not the API; use https://%sapi.%s", endpoint, region, cloudDomain)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	for _, suffix := range []string{"/api/v1", "/api/v2", "/api"} {
		if cut, ok := strings.CutSuffix(path, suffix); ok {
			path = strings.TrimRight(cut, "/")
			break
		}
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// UIBase is where the pages of LangSmith's user interface begin that belong to an endpoint, without a trailing
// slash: append [Run.AppPath]. LangSmith's own service has a host of its own for them in every region; a
// self-hosted server answers both from one. It is empty when the endpoint is none.
func UIBase(endpoint string) string {
	base, err := NormalizeEndpoint(endpoint)
	if err != nil {
		return ""
	}
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	if region, ok := strings.CutSuffix(strings.ToLower(u.Hostname()), "api."+cloudDomain); ok && (region == "" || strings.HasSuffix(region, ".")) {
		return "https://" + region + cloudDomain
	}
	return base
}

// isCloud tells whether a normalized endpoint is LangSmith's own service.
func isCloud(base string) bool {
	host := hostOf(base)
	return host == "api."+cloudDomain || strings.HasSuffix(host, ".api."+cloudDomain)
}

// region is the part of a cloud endpoint's host that names its region, such as eu; empty for the first one, and for
// other servers.
func region(base string) string {
	name, ok := strings.CutSuffix(hostOf(base), ".api."+cloudDomain)
	if !ok {
		return ""
	}
	return name
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
