package llmmetricsconnector

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// dimensions reads the values of configured attributes. Each has one slot, in the order of the configuration: first those
// that are read by name, then those whose values must match, then those of globs, which have as many slots as they have
// room for attributes.
type dimensions struct {
	names    []string // of the first slots
	slots    []string // what each slot is for
	defaults []string // of all slots
	matched  []matchedDimension
	globs    []globDimension
	skip     map[string]bool // attributes that no glob takes
}

// matchedDimension takes the values that match: of a list, those elements.
type matchedDimension struct {
	name  string
	slot  int
	match globs
}

// globDimension takes the attributes whose names match.
type globDimension struct {
	slot  int // the first one
	match globs
}

// maxGlobAttributes is how many attributes a glob takes of a span: more would be a document.
const maxGlobAttributes = 16

// dimensionValues holds the values of a span and the memory behind them.
type dimensionValues struct {
	values     []string
	resource   []string // values of the resource, defaults where it has none
	attributes pcommon.Map
	found      []foundAttribute
	text       []byte // numbers as text
}

type foundAttribute struct {
	name  string
	value pcommon.Value
}

func (v *dimensionValues) forget() {
	clear(v.values)
	clear(v.resource)
	clear(v.found)
	v.attributes = pcommon.Map{}
}

func newDimensions(config []Dimension) dimensions {
	d := dimensions{skip: map[string]bool{}}
	slot := func(c Dimension) int {
		d.slots = append(d.slots, c.Name)
		d.defaults = append(d.defaults, c.Default)
		return len(d.slots) - 1
	}
	for _, c := range config {
		if !c.glob() {
			d.skip[c.Name] = true
		}
		if !c.glob() && len(c.Match) == 0 {
			d.names = append(d.names, c.Name)
			slot(c)
		}
	}
	for _, c := range config {
		if !c.glob() && len(c.Match) > 0 {
			d.matched = append(d.matched, matchedDimension{c.Name, slot(c), newGlobs(c.Match)})
		}
	}
	for _, c := range config {
		if !c.glob() {
			continue
		}
		first := slot(c)
		for range maxGlobAttributes - 1 {
			slot(c)
		}
		d.globs = append(d.globs, globDimension{first, newGlobs([]string{c.Name})})
	}
	return d
}

// readResource prepares for the spans of a resource.
func (d *dimensions) readResource(attrs pcommon.Map, into *dimensionValues) {
	into.attributes = attrs
	into.resource = append(into.resource[:0], d.defaults...)
	for i, name := range d.names {
		if a, ok := attrs.Get(name); ok {
			if v := label(a, nil); v != "" {
				into.resource[i] = v
			}
		}
	}
	for _, m := range d.matched {
		if a, ok := attrs.Get(m.name); ok {
			if v := m.read(a, nil); v != "" {
				into.resource[m.slot] = v
			}
		}
	}
}

// readSpan returns the values of a span, given all its attributes, and those of the first slots. They are valid until the
// next call.
func (d *dimensions) readSpan(first []pcommon.Value, all pcommon.Map, from *dimensionValues) []string {
	values := append(from.values[:0], from.resource...)
	from.text = from.text[:0]
	for i, a := range first {
		if a == (pcommon.Value{}) {
			continue
		}
		if v := label(a, &from.text); v != "" {
			values[i] = v
		}
	}
	for _, m := range d.matched {
		if a, ok := all.Get(m.name); ok {
			if v := m.read(a, &from.text); v != "" {
				values[m.slot] = v
			}
		}
	}
	for i := range d.globs {
		d.readGlob(i, all, from, values)
	}
	return values
}

// readGlob takes what the glob matches, of the resource where the span does not have it, in the order of names.
func (d *dimensions) readGlob(i int, span pcommon.Map, from *dimensionValues, values []string) {
	from.found = from.found[:0]
	take := func(attrs pcommon.Map, unless pcommon.Map) {
		for name, value := range attrs.All() {
			if d.takes(i, name) {
				if _, there := unless.Get(name); !there {
					from.found = append(from.found, foundAttribute{name, value})
				}
			}
		}
	}
	take(span, noAttributes)
	take(from.attributes, span)
	slices.SortFunc(from.found, func(a, b foundAttribute) int { return cmp.Compare(a.name, b.name) })
	slot := d.globs[i].slot
	for _, a := range from.found {
		v := label(a.value, &from.text)
		if v == "" {
			continue
		}
		if slot == d.globs[i].slot+maxGlobAttributes {
			return
		}
		begin := len(from.text)
		from.text = llmmetrics.AppendNamed(from.text, a.name, v)
		values[slot] = view(from.text[begin:])
		slot++
	}
}

var noAttributes = pcommon.NewMap()

// takes reports whether a glob takes an attribute: one that is no other dimension.
func (d *dimensions) takes(glob int, name string) bool {
	if !d.globs[glob].match.has(name) || d.skip[name] || llmmetrics.IsAttribute(name) {
		return false
	}
	for _, before := range d.globs[:glob] {
		if before.match.has(name) {
			return false
		}
	}
	return true
}

// read returns what matches of a scalar, or of a list, in order and joined by commas; empty for nothing.
func (m *matchedDimension) read(v pcommon.Value, buf *[]byte) string {
	if v.Type() != pcommon.ValueTypeSlice {
		if text := label(v, buf); m.match.has(text) {
			return text
		}
		return ""
	}
	var found []string
	for _, element := range v.Slice().All() {
		if text := label(element, buf); text != "" && m.match.has(text) {
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), ",")
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
		return view((*buf)[from:])
	default:
		return ""
	}
}

// view is a string on bytes that do not change as long as it is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
