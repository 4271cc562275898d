package poller

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// failure is what kind of error a request ended with.
type failure uint8

const (
	// transient is the network, the rate limit or the server: it passes.
	transient failure = iota
	// refused is the key.
	refused
	// forbidden is one project that the key may not read, or that is gone.
	forbidden
	// invalid is a request that the server does not accept.
	invalid
)

func classify(err error) failure {
	var e *langsmith.Error
	switch {
	case !errors.As(err, &e) || e.Retryable():
		return transient
	case e.StatusCode == http.StatusUnauthorized:
		return refused
	case e.Auth() || e.NotFound():
		return forbidden
	case e.StatusCode >= 400:
		return invalid
	}
	return transient
}

func throttled(err error) bool {
	var e *langsmith.Error
	return errors.As(err, &e) && e.Throttled()
}

func retryAfter(err error) time.Duration {
	var e *langsmith.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// throttlePatience is how long nothing but refusals for the rate limit is normal weather. A refusal pauses requests for ten
// seconds or as long as it says, so what lasts longer was refused again.
const throttlePatience = 15 * time.Second

// throttling is since when requests are refused for the rate limit and nothing else, zero when they are not.
type throttling struct{ since time.Time }

// ended notes how a request ended at this time, and reports whether only the rate limit refuses requests, and not for long.
func (t *throttling) ended(err error, now time.Time) (normal bool) {
	if !throttled(err) {
		t.since = time.Time{}
		return false
	}
	if t.since.IsZero() {
		t.since = now
	}
	return now.Sub(t.since) < throttlePatience
}

// complain tells the log and the status what is wrong and what helps. Project is empty when no single one is
// concerned.
func (p *Poller) complain(key, project, message string, err error, fields ...zap.Field) {
	if throttled(err) {
		message = "LangSmith keeps refusing requests for the rate limit of this key: nothing is lost, but spans come late until it lets some through; " +
			"look what else uses the key, or use one of its own"
	}
	permanent := false
	var e *langsmith.Error
	errors.As(err, &e)
	switch classify(err) {
	case transient:
		switch {
		case e == nil || throttled(err):
		case e.Kind() == "network", e.Kind() == "timeout" && project == "": // a page that takes too long is another matter
			message = fmt.Sprintf("LangSmith does not answer: check endpoint (%s), DNS, tls and proxy_url; trying again", p.Endpoint)
		case e.Foreign(), e.Kind() == "unreadable" && project == "":
			message = p.foreigner()
		}
	case refused:
		message = "LangSmith refuses the key: check api_key or api_key_file, and that endpoint is of the same region"
		permanent = !p.KeyCanChange
	case forbidden:
		message = "the key may not read this project, or it is gone; trying again now and then"
		switch {
		case project != "":
		case e.NotFound():
			message = "this is no LangSmith API, or it lacks the configured version: check endpoint and api_version"
		default:
			message = "the key may not list projects: check its permissions, and workspace_id for an organization's key"
		}
	case invalid:
		message = "LangSmith does not accept the request"
		switch {
		case e.Foreign():
			message = p.foreigner()
		case p.badFilter.Load():
			return // the filter is named, and no project can do better
		case p.Filter+p.TraceFilter+p.TreeFilter != "":
			message += ": check filter, trace_filter and tree_filter"
		}
	}
	p.health.problem(key, message, err, permanent, fields...)
}

// foreigner says that the answer is not LangSmith's own.
func (p *Poller) foreigner() string {
	return fmt.Sprintf("the answer is not one of LangSmith's API: check endpoint (%s), and what stands between; trying again", p.Endpoint)
}
