package genai

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
)
