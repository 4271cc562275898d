package llmmetrics

import "math"

// Names of the metrics.
const (
	MetricOperationDuration = "gen_ai.client.operation.duration"
	MetricTokenUsage        = "gen_ai.client.token.usage"
	MetricTimeToFirstChunk  = "gen_ai.client.operation.time_to_first_chunk"
	MetricOperationErrors   = "gen_ai.client.operation.errors"
	MetricCost              = "gen_ai.usage.cost"
	MetricToolDuration      = "gen_ai.execute_tool.duration"
	MetricAgentDuration     = "gen_ai.invoke_agent.duration"
	MetricWorkflowDuration  = "gen_ai.invoke_workflow.duration"
)

// Names of the attributes of data points.
const (
	AttrOperationName = "gen_ai.operation.name"
	AttrProviderName  = "gen_ai.provider.name"
	AttrRequestModel  = "gen_ai.request.model"
	AttrResponseModel = "gen_ai.response.model"
	AttrTokenType     = "gen_ai.token.type"
	AttrToolName      = "gen_ai.tool.name"
	AttrAgentName     = "gen_ai.agent.name"
	AttrWorkflowName  = "gen_ai.workflow.name"
	AttrErrorType     = "error.type"
	AttrOverflow      = "otel.metric.overflow"
)

// Values of AttrTokenType.
const (
	TokenTypeInput  = "input"
	TokenTypeOutput = "output"
)

// InstrumentKind is the shape of a metric.
type InstrumentKind uint8

const (
	// KindHistogram is a histogram.
	KindHistogram InstrumentKind = iota
	// KindSum is a monotonic sum of integers.
	KindSum
)

// Instrument describes a metric. Unit and description never change for a name: backends refuse a metric that
// comes with two of either.
type Instrument struct {
	Name        string
	Description string
	Unit        string
	Kind        InstrumentKind
	Attributes  []string  // of data points, besides the configured dimensions and AttrOverflow
	Bounds      []float64 // explicit buckets, upper inclusive, in Unit; nil for a sum

	scale scale
}

// scale tells how a measured value is kept as an integer.
type scale uint8

const (
	scaleOne   scale = iota // integers in the metric's unit
	scaleNano               // nanoseconds, of a metric in seconds
	scaleFemto              // float64, summed in units of 1e-15
)

// Bucket boundaries of the OpenTelemetry GenAI conventions, except those of cost, which no convention has.
var (
	durationBounds = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	tokenBounds    = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	agentBounds    = []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6}
	workflowBounds = []float64{1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200}
	// A cheap embedding costs a millionth of a dollar, a long reasoning call some dollars. Two buckets a decade
	// are enough to see which; the sum is exact anyway.
	costBounds = []float64{1e-6, 1e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}
)

// Indexes into instruments.
const (
	insDuration = iota
	insTokens
	insFirstChunk
	insErrors
	insCost
	insTool
	insAgent
	insWorkflow

	instrumentCount
)

var (
	clientAttributes      = []string{AttrOperationName, AttrProviderName, AttrRequestModel, AttrResponseModel}
	clientErrorAttributes = append(append([]string{}, clientAttributes...), AttrErrorType)
	tokenAttributes       = append(append([]string{}, clientAttributes...), AttrTokenType)
)

var instruments = [instrumentCount]Instrument{
	insDuration: {
		Name: MetricOperationDuration, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleNano,
		Description: "Duration of GenAI client operations: model calls, embeddings, retrievals and other named operations.",
		Attributes:  clientErrorAttributes,
	},
	insTokens: {
		Name: MetricTokenUsage, Unit: "{token}", Kind: KindHistogram, Bounds: tokenBounds, scale: scaleOne,
		Description: "Input and output tokens of model calls.",
		Attributes:  tokenAttributes,
	},
	insFirstChunk: {
		Name: MetricTimeToFirstChunk, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleFemto,
		Description: "Time from the start of a streamed model call to its first chunk.",
		Attributes:  clientAttributes,
	},
	insErrors: {
		Name: MetricOperationErrors, Unit: "{error}", Kind: KindSum,
		Description: "GenAI client operations that failed.",
		Attributes:  clientErrorAttributes,
	},
	insCost: {
		Name: MetricCost, Unit: "USD", Kind: KindHistogram, Bounds: costBounds, scale: scaleFemto,
		Description: "Cost of model calls in US dollars.",
		Attributes:  clientAttributes,
	},
	insTool: {
		Name: MetricToolDuration, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleNano,
		Description: "Duration of tool executions.",
		Attributes:  []string{AttrToolName, AttrAgentName, AttrErrorType},
	},
	insAgent: {
		Name: MetricAgentDuration, Unit: "s", Kind: KindHistogram, Bounds: agentBounds, scale: scaleNano,
		Description: "Duration of agent invocations.",
		Attributes:  []string{AttrAgentName, AttrRequestModel, AttrErrorType},
	},
	insWorkflow: {
		Name: MetricWorkflowDuration, Unit: "s", Kind: KindHistogram, Bounds: workflowBounds, scale: scaleNano,
		Description: "Duration of workflow invocations.",
		Attributes:  []string{AttrWorkflowName, AttrErrorType},
	},
}

// Instruments lists every metric that an engine may emit, in the order of its output. The caller must not
// change what it points to.
func Instruments() []Instrument { return instruments[:] }

// IsAttribute reports whether a metric uses the attribute by itself, so that it cannot be a dimension.
func IsAttribute(name string) bool {
	if name == AttrOverflow {
		return true
	}
	for i := range instruments {
		for _, a := range instruments[i].Attributes {
			if a == name {
				return true
			}
		}
	}
	return false
}

// families maps a family to its duration metric and to the attributes at the head of a series' key.
var families = [familyCount]struct {
	duration int
	labels   []string
}{
	FamilyClient:   {insDuration, clientAttributes},
	FamilyTool:     {insTool, []string{AttrToolName, AttrAgentName}},
	FamilyAgent:    {insAgent, []string{AttrAgentName, AttrRequestModel}},
	FamilyWorkflow: {insWorkflow, []string{AttrWorkflowName}},
}

// ordered maps a boundary to an integer that compares as the kept values do.
func (s scale) ordered(bound float64) uint64 {
	switch s {
	case scaleNano:
		return uint64(math.Round(bound * 1e9))
	case scaleFemto:
		return math.Float64bits(bound) // the bits of positive numbers are in the order of the numbers
	default:
		return uint64(bound)
	}
}

// value is the inverse of ordered.
func (s scale) value(ordered uint64) float64 {
	switch s {
	case scaleNano:
		return float64(ordered) / 1e9
	case scaleFemto:
		return math.Float64frombits(ordered)
	default:
		return float64(ordered)
	}
}
