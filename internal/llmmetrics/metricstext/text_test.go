package metricstext

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func TestString(t *testing.T) {
	epoch := time.Unix(100, 0)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "bot")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("calls")
	m.SetUnit("{call}")
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	dp := m.Sum().DataPoints().AppendEmpty()
	dp.Attributes().PutStr("z", "1")
	dp.Attributes().PutStr("a", "2")
	dp.SetTimestamp(pcommon.NewTimestampFromTime(epoch.Add(time.Second)))
	dp.SetIntValue(3)

	assert.Equal(t, `resource service.name=bot
  calls ({call}) monotonic sum, delta
    {a=2 z=1} none-1s value=3
`, String(md, epoch))
}
