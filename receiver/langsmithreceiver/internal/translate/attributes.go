package translate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/xpdata"
)

// attributes collects the attributes of one span. Unlike a [pcommon.Map] it does not look for each key among all that
// are there, so no key may be put twice. Its memory goes into the span.
type attributes struct {
	builder xpdata.MapBuilder
}

func (a *attributes) PutStr(key, value string) { a.builder.AppendEmpty(key).SetStr(value) }

func (a *attributes) PutInt(key string, value int64) { a.builder.AppendEmpty(key).SetInt(value) }

func (a *attributes) PutDouble(key string, value float64) {
	a.builder.AppendEmpty(key).SetDouble(value)
}

func (a *attributes) PutBool(key string, value bool) { a.builder.AppendEmpty(key).SetBool(value) }

func (a *attributes) PutEmptySlice(key string) pcommon.Slice {
	return a.builder.AppendEmpty(key).SetEmptySlice()
}
