package llmmetricsconnector

import (
	"strconv"
	"unsafe"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// dimensions reads the values of configured attributes.
type dimensions struct {
	names    []string
	defaults []string
}

// dimensionValues holds the values of a span and the memory behind them.
type dimensionValues struct {
	values   []string
	resource []string // values of the resource, defaults where it has none
	text     []byte   // numbers as text
}

func (v *dimensionValues) forget() {
	clear(v.values)
	clear(v.resource)
}

func newDimensions(config []Dimension) dimensions {
	var d dimensions
	for _, c := range config {
		d.names = append(d.names, c.Name)
		d.defaults = append(d.defaults, c.Default)
	}
	return d
}

// readResource prepares for the spans of a resource.
func (d *dimensions) readResource(attrs pcommon.Map, into *dimensionValues) {
	into.resource = append(into.resource[:0], d.defaults...)
	for i, name := range d.names {
		if a, ok := attrs.Get(name); ok {
			if v := label(a, nil); v != "" {
				into.resource[i] = v
			}
		}
	}
}

// readSpan returns the values of a span, given its attributes in the order of the configuration. They are valid
// until the next call.
func (d *dimensions) readSpan(attrs []pcommon.Value, from *dimensionValues) []string {
	values := append(from.values[:0], from.resource...)
	from.text = from.text[:0]
	for i, a := range attrs {
		if a == (pcommon.Value{}) {
			continue
		}
		if v := label(a, &from.text); v != "" {
			values[i] = v
		}
	}
	return values
}

// label is the value of a scalar as text; empty for others. Text of numbers is put into buf when there is one.
func label(v pcommon.Value, buf *[]byte) string {
	if text := v.Str(); text != "" {
		return text
	}
	switch v.Type() {
	case pcommon.ValueTypeBool:
		return strconv.FormatBool(v.Bool())
	case pcommon.ValueTypeInt, pcommon.ValueTypeDouble:
		if buf == nil {
			return v.AsString()
		}
		from := len(*buf)
		if v.Type() == pcommon.ValueTypeInt {
			*buf = strconv.AppendInt(*buf, v.Int(), 10)
		} else {
			*buf = strconv.AppendFloat(*buf, v.Double(), 'g', -1, 64)
		}
		// A string of its own for every number of every span would be the only allocation on this path.
		text := (*buf)[from:]
		return unsafe.String(unsafe.SliceData(text), len(text))
	default:
		return ""
	}
}
