package langsmith

import (
	"bytes"
	"slices"
)

// runDecoder reads one run in one pass: every byte is checked once, and what a run's consumer needs is noted on
// the way.
type runDecoder struct {
	scanner
	run   Run
	index Index
	// extraMetadata is extra.metadata of the run at hand. It swaps its place with run.Metadata when v2's
	// metadata is missing, so both keep their memory.
	extraMetadata []Member

	metadata    []byte // of v2, as it stands on the wire
	hasMetadata bool   // metadata was an object
	hasParent   bool   // the run itself tells its parent, or that it has none
	hasExtra    bool

	// What was like that in the runs before.
	order, extraOrder, metadataOrder keyOrder
	lastRuntime, lastSerialized      []byte
}

// restart begins a page.
func (d *runDecoder) restart() {
	d.order.restart()
	d.extraOrder.restart()
	d.metadataOrder.restart()
}

// decode takes the index of the run's opening brace. After a scan code, run holds what came before.
func (d *runDecoder) decode(i int) int {
	d.run = Run{Metadata: d.run.Metadata[:0], index: &d.index}
	d.tokens = d.tokens[:0]
	d.extraMetadata = d.extraMetadata[:0]
	d.metadata, d.hasMetadata, d.hasParent, d.hasExtra = nil, false, false, false

	d.order.at = 0
	for separator := byte('{'); ; separator = ',' {
		k, ok := d.order.next(d.b, i, separator)
		if !ok {
			end := 0
			if k, end = d.unexpected(&d.order, i, separator); end != 0 {
				if end > 0 {
					d.finish()
				}
				return end
			}
		}
		if i = d.field(k.field, k.value); i < 0 {
			return i
		}
	}
}

// unexpected reads a key that is not the one to expect. It takes the index of an object's opening brace, or the one
// behind a member's value, and returns the next member, or the index behind the object's end, or a scan code.
func (d *runDecoder) unexpected(o *keyOrder, i int, separator byte) (k memberKey, end int) {
	i = d.space(i)
	from := i
	if d.b[i] == separator {
		if i = d.space(i + 1); separator == '{' && d.b[i] == '}' {
			return k, i + 1
		}
	} else if d.b[i] == '}' {
		return k, i + 1
	} else {
		return k, d.fail(i)
	}
	if d.b[i] != '"' {
		return k, d.fail(i)
	}
	k.start = i + 1
	if i = d.str(k.start); i < 0 {
		return k, i
	}
	k.end = i - 1
	if i = d.space(i); d.b[i] != ':' {
		return k, d.fail(i)
	}
	k.value = d.space(i + 1)
	k.field = fieldOf(d.b, k.start, k.end)
	o.learn(d.b, from, k)
	return k, 0
}

// field reads the value of a member that begins at i.
func (d *runDecoder) field(f field, i int) int {
	r := &d.run
	switch f {
	case fieldExtra:
		if d.b[i] == '{' {
			return d.extra(i)
		}
		return d.value(i)
	case fieldMetadata:
		if d.b[i] == '{' {
			d.hasMetadata = true
			end := 0
			if r.Metadata, end = d.members(&d.metadataOrder, r.Metadata[:0], i); end > 0 {
				d.metadata = d.b[i:end]
			}
			return end
		}
		return d.value(i)
	}
	if d.b[i] == 'n' {
		if f == fieldParentRunID {
			d.hasParent = true
		}
		return d.literal(i)
	}
	end := 0
	switch f {
	case fieldUnknown:
		return d.value(i)
	case fieldID, fieldTraceID, fieldParentRunID, fieldProjectID:
		if end = d.uuid(f, i); end != 0 {
			return end
		}
		end = d.value(i)
	case fieldInputs, fieldOutputs, fieldTags:
		end = d.indexed(i)
	case fieldSerialized:
		end = d.repeated(&d.lastSerialized, i)
	default:
		end = d.value(i)
	}
	if end < 0 {
		return end
	}
	v := Raw(d.b[i:end:end])
	switch f {
	case fieldID:
		setUUID(&r.ID, v)
	case fieldTraceID:
		setUUID(&r.TraceID, v)
	case fieldParentRunID:
		d.hasParent = true
		setUUID(&r.ParentID, v)
	case fieldParentRunIDs:
		if v[0] == '[' {
			d.hasParent = true
			if r.ParentID.IsZero() {
				setUUID(&r.ParentID, lastElement(v))
			}
		}
	case fieldProjectID:
		setUUID(&r.ProjectID, v)
	case fieldReferenceExampleID:
		setUUID(&r.ReferenceExampleID, v)
	case fieldName:
		r.Name = content(v)
	case fieldRunType:
		r.RunTypeText = content(v)
		r.RunType = runTypeOf(r.RunTypeText)
	case fieldStatus:
		r.StatusText = content(v)
		r.Status = statusOf(r.StatusText)
	case fieldStartTime:
		setTime(&r.Start, v)
	case fieldEndTime:
		setTime(&r.End, v)
	case fieldFirstTokenTime:
		setTime(&r.FirstToken, v)
	case fieldLatencySeconds:
		r.LatencySeconds = numberOf(v)
	case fieldDottedOrder:
		r.DottedOrder = content(v)
	case fieldThreadID:
		if r.ThreadID = content(v); v[0] == '-' || v[0]-'0' <= 9 {
			r.ThreadID = Text(v)
		}
	case fieldAppPath:
		r.AppPath = content(v)
	case fieldError:
		r.Error = content(v)
	case fieldErrorPreview:
		r.ErrorPreview = content(v)
	case fieldPromptTokens:
		r.PromptTokens = countOf(v)
	case fieldCompletionTokens:
		r.CompletionTokens = countOf(v)
	case fieldTotalTokens:
		r.TotalTokens = countOf(v)
	case fieldPromptCost:
		r.PromptCost = numberOf(v)
	case fieldCompletionCost:
		r.CompletionCost = numberOf(v)
	case fieldTotalCost:
		r.TotalCost = numberOf(v)
	case fieldPromptTokenDetails:
		r.PromptTokenDetails = detailsOf(v)
	case fieldCompletionTokenDetails:
		r.CompletionTokenDetails = detailsOf(v)
	case fieldPromptCostDetails:
		r.PromptCostDetails = detailsOf(v)
	case fieldCompletionCostDetails:
		r.CompletionCostDetails = detailsOf(v)
	case fieldTags:
		if v[0] == '[' {
			r.Tags = v
		}
	case fieldInputs:
		r.Inputs = v
	case fieldOutputs:
		r.Outputs = v
	case fieldInputsPreview:
		r.InputsPreview = content(v)
	case fieldOutputsPreview:
		r.OutputsPreview = content(v)
	case fieldEvents:
		if v[0] == '[' {
			r.Events = v
		}
	case fieldSerialized:
		r.Serialized = v
	case fieldInputsURLs:
		r.InputsURL = v.Get("ROOT", "presigned_url").Text()
	case fieldOutputsURLs:
		r.OutputsURL = v.Get("ROOT", "presigned_url").Text()
	}
	return end
}

// uuid reads an id in its usual form, which needs no scan. It returns zero for anything else.
func (d *runDecoder) uuid(f field, i int) int {
	end := i + UUIDLen + 2
	if end > d.n || d.b[i] != '"' || d.b[end-1] != '"' {
		return 0
	}
	u, ok := parseUUID(d.b[i+1 : end-1])
	if !ok {
		return 0
	}
	switch r := &d.run; f {
	case fieldID:
		r.ID = u
	case fieldTraceID:
		r.TraceID = u
	case fieldParentRunID:
		d.hasParent = true
		r.ParentID = u
	case fieldProjectID:
		r.ProjectID = u
	}
	return end
}

// indexed scans a value that goes into the index.
func (d *runDecoder) indexed(i int) int {
	d.index.note(i, len(d.tokens))
	return d.noted(i)
}

// repeated scans a value that is mostly the same in all runs, such as a description of the machine. What stood
// there in the last run is known to be valid.
func (d *runDecoder) repeated(last *[]byte, i int) int {
	end := i + len(*last)
	if d.b[i] != '{' {
		return d.value(i)
	}
	if end > i && end <= d.n && bytes.Equal(d.b[i:end], *last) {
		return end
	}
	if end = d.value(i); end > 0 && end-i <= maxRepeated {
		*last = append((*last)[:0], d.b[i:end]...)
	}
	return end
}

// maxRepeated is the longest value that is worth remembering.
const maxRepeated = 4 << 10

// members appends the members of the object at i to dst.
func (d *runDecoder) members(order *keyOrder, dst []Member, i int) ([]Member, int) {
	b := d.b
	order.at = 0
	for separator := byte('{'); ; separator = ',' {
		k, ok := order.next(b, i, separator)
		if !ok {
			end := 0
			if k, end = d.unexpected(order, i, separator); end != 0 {
				return dst, end
			}
		}
		if i = d.value(k.value); i < 0 {
			return dst, i
		}
		// To append a whole member costs more while the garbage collector is at work.
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, 16)
		}
		dst = dst[:len(dst)+1]
		m := &dst[len(dst)-1]
		m.Key, m.Value = b[k.start:k.end:k.end], b[k.value:i:i]
	}
}

// extra reads the members of extra that have a place in [Run].
func (d *runDecoder) extra(i int) int {
	d.hasExtra = true
	b, r := d.b, &d.run
	d.extraOrder.at = 0
	for separator := byte('{'); ; separator = ',' {
		k, ok := d.extraOrder.next(b, i, separator)
		if !ok {
			end := 0
			if k, end = d.unexpected(&d.extraOrder, i, separator); end != 0 {
				return end
			}
		}
		value, object := k.value, b[k.value] == '{'
		switch {
		case k.field == fieldMetadata && object && !d.hasMetadata:
			d.extraMetadata, i = d.members(&d.metadataOrder, d.extraMetadata[:0], value)
		case k.field == fieldMetadata && object && bytes.HasPrefix(b[value:], d.metadata):
			i = value + len(d.metadata) // v2 sends it twice
		case k.field == fieldInvocationParams:
			i = d.indexed(value)
		case k.field == fieldRuntime:
			i = d.repeated(&d.lastRuntime, value)
		default:
			i = d.value(value)
		}
		if i < 0 {
			return i
		}
		switch k.field {
		case fieldInvocationParams:
			if object {
				r.InvocationParams = b[value:i:i]
			}
		case fieldRuntime:
			if object {
				r.Runtime = b[value:i:i]
			}
		case fieldToolCallID:
			r.ToolCallID = content(b[value:i:i])
		}
	}
}

// finish fills in what other fields tell about missing ones.
func (d *runDecoder) finish() {
	r := &d.run
	d.index.base, d.index.tokens = d.b[:d.n], d.tokens
	if !d.hasMetadata && d.hasExtra {
		r.Metadata, d.extraMetadata = d.extraMetadata, r.Metadata
	}
	if len(r.DottedOrder) > 0 && (r.TraceID.IsZero() || !d.hasParent || r.Start == 0) {
		order := parseDottedOrder(r.DottedOrder)
		if r.TraceID.IsZero() {
			r.TraceID = order.trace
		}
		if !d.hasParent {
			r.ParentID = order.parent
		}
		if r.Start == 0 {
			r.Start = order.start
		}
	}
	if r.ParentID == r.ID {
		r.ParentID = UUID{}
	}
	if r.TraceID.IsZero() && d.hasParent && r.ParentID.IsZero() {
		r.TraceID = r.ID
	}
}
