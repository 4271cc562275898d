package genai

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Dialect names who wrote a span.
type Dialect uint8

const (
	// DialectUnknown is a span without any marker.
	DialectUnknown Dialect = iota
	// DialectOTel is the OpenTelemetry conventions, any generation.
	DialectOTel
	// DialectLangSmith is LangSmith's own exporters, and this project's receiver.
	DialectLangSmith
	// DialectOpenInference is Arize OpenInference.
	DialectOpenInference
	// DialectOpenLLMetry is Traceloop OpenLLMetry.
	DialectOpenLLMetry
	// DialectVercel is the Vercel AI SDK.
	DialectVercel
	// DialectOpenLIT is OpenLIT.
	DialectOpenLIT
	// DialectPydantic is Pydantic AI and Logfire.
	DialectPydantic
	// DialectStrands is Strands Agents.
	DialectStrands
	// DialectAzure is the Azure AI SDKs.
	DialectAzure
	// DialectLangfuse is the Langfuse SDK.
	DialectLangfuse
	dialects
)

var dialectNames = [dialects]string{
	"unknown", "otel", "langsmith", "openinference", "openllmetry", "vercel", "openlit", "pydantic", "strands", "azure",
	"langfuse",
}

// String returns a short name in lower case, fit for a metric label.
func (d Dialect) String() string {
	if d < dialects {
		return dialectNames[d]
	}
	return dialectNames[DialectUnknown]
}

// Dialects is the number of dialects: each is below it.
const Dialects = int(dialects)

// marks is a set of dialects.
type marks uint16

// byStrength orders the dialects: a span that bears the marks of several was written by the first. LangSmith
// and the dialects with marks of their own come before those that build on the conventions.
var byStrength = [...]Dialect{
	DialectLangSmith, DialectVercel, DialectOpenInference, DialectOpenLLMetry, DialectOpenLIT, DialectPydantic,
	DialectStrands, DialectLangfuse, DialectAzure,
}

// dialect decides who wrote the span: by the marks it bears, then by its scope, then by its resource.
func (s *scan) dialect(scopeName string, resource pcommon.Map) Dialect {
	if s.marks&^(1<<DialectOTel) != 0 {
		for _, d := range byStrength {
			if s.marks&(1<<d) != 0 {
				return d
			}
		}
	}
	if d := dialectOfScope(scopeName); d != DialectUnknown {
		return d
	}
	switch {
	case s.marks == 0:
		return DialectUnknown
	case s.textAt(slotFramework) == "strands-agents":
		return DialectStrands
	}
	switch s.textAt(slotProvider) {
	case "az.ai.agents", "azure.ai.agents", "microsoft.foundry", "microsoft.agents":
		return DialectAzure
	}
	if resource != (pcommon.Map{}) {
		if name, ok := resource.Get("telemetry.sdk.name"); ok && name.Str() == "openlit" {
			return DialectOpenLIT
		}
	}
	return DialectOTel
}

func dialectOfScope(name string) Dialect {
	switch name {
	case "":
		return DialectUnknown
	case "langsmith":
		return DialectLangSmith
	case "ai", "gen_ai":
		return DialectVercel
	case "langfuse-sdk":
		return DialectLangfuse
	}
	switch name[0] {
	case 'o':
		switch {
		case strings.HasPrefix(name, "openinference."):
			return DialectOpenInference
		case strings.HasPrefix(name, "openlit"):
			return DialectOpenLIT
		}
	case 'p':
		if strings.HasPrefix(name, "pydantic-ai") || strings.HasPrefix(name, "pydantic_ai") {
			return DialectPydantic
		}
	case 's':
		if strings.HasPrefix(name, "strands.") {
			return DialectStrands
		}
	case 'a':
		if strings.HasPrefix(name, "azure.ai.") {
			return DialectAzure
		}
	}
	return DialectUnknown
}
