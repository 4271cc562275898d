package genai

import "strings"

// Classes of errors.
const (
	ErrorClassRateLimit      = "rate_limit"     // too many requests, or a quota that is used up
	ErrorClassTimeout        = "timeout"        // no answer in time
	ErrorClassContextLength  = "context_length" // more input than the model takes
	ErrorClassContentFilter  = "content_filter" // withheld by the provider or a guardrail
	ErrorClassAuthentication = "authentication" // no or not enough rights
	ErrorClassServer         = "server"         // a failure of the provider, or of the way to it
	ErrorClassCancelled      = "cancelled"      // given up by the caller
	ErrorClassTool           = "tool"           // a tool failed or is not there
	ErrorClassOther          = "other"
)

// errorClasses are parts of names in lower case and without separators, in the order in which they win. They
// are those of OpenAI, Azure, Anthropic, Google, Amazon, Cohere and Mistral, of their SDKs for Python,
// JavaScript, Java and Go, of HTTP clients, and of gRPC.
var errorClasses = []struct {
	class string
	parts []string
}{
	{ErrorClassRateLimit, []string{"ratelimit", "toomanyrequests", "resourceexhausted", "quota", "throttl", "requestlimit"}},
	{ErrorClassContextLength, []string{
		"contextlength", "contextwindow", "contextoverflow", "maxtokens", "promptistoolong", "prompttoolong", "stringabovemaxlength", "tokenlimit",
		"inputtoolong", "toomanytokens", "requesttoolarge",
	}},
	{ErrorClassContentFilter, []string{
		"contentfilter", "contentpolicy", "contentmanagement", "guardrail", "safety", "moderation", "responsibleai", "blockedprompt",
		"promptblocked", "stopcandidate", "refusal", "prohibitedcontent",
	}},
	{ErrorClassTimeout, []string{"timeout", "timedout", "deadline"}},
	{ErrorClassCancelled, []string{"cancel", "abort", "interrupt", "generatorexit", "clientclosedrequest"}},
	{ErrorClassAuthentication, []string{
		"authentication", "authorization", "unauthenticated", "unauthorized", "permission", "forbidden", "accessdenied", "apikey",
		"credential", "expiredtoken", "unrecognizedclient", "invalidsignature",
	}},
	{ErrorClassTool, []string{"tool"}},
	{ErrorClassServer, []string{
		"server", "serviceunavailable", "unavailable", "overloaded", "badgateway", "connection", "connect", "internalfailure",
		"modelnotready", "protocolerror", "networkerror", "econnre", "enotfound", "eaipro", "fetchfailed", "dataloss",
	}},
}

// ErrorClass groups error types, as error.type has them: classes of exceptions, codes of providers, HTTP
// statuses. It allocates.
func ErrorClass(errorType string) string {
	if len(errorType) == 3 {
		switch {
		case errorType == "429":
			return ErrorClassRateLimit
		case errorType == "408", errorType == "504", errorType == "524":
			return ErrorClassTimeout
		case errorType == "401", errorType == "403", errorType == "407":
			return ErrorClassAuthentication
		case errorType == "499":
			return ErrorClassCancelled
		case errorType == "413":
			return ErrorClassContextLength
		case errorType[0] == '5' && strings.Trim(errorType, "0123456789") == "":
			return ErrorClassServer
		}
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, errorType[strings.LastIndexByte(errorType, '.')+1:])
	for _, c := range errorClasses {
		for _, part := range c.parts {
			if strings.Contains(name, part) {
				return c.class
			}
		}
	}
	return ErrorClassOther
}
