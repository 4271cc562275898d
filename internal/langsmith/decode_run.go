package langsmith

// runDecoder reads one run in one pass: every byte is checked once, and what a run's consumer needs is noted on
// the way.
type runDecoder struct {
	scanner
	run   Run
	index Index
	// extraMetadata is extra.metadata of the run at hand. It swaps its place with run.Metadata when v2's
	// metadata is missing, so both keep their memory.
	extraMetadata []Member

	hasMetadata bool // metadata was an object
	hasParent   bool // the run itself tells its parent, or that it has none
	hasExtra    bool
}

// decode takes the index of the run's opening brace. After a scan code, run holds what came before.
func (d *runDecoder) decode(i int) int {
	d.run = Run{Metadata: d.run.Metadata[:0], index: &d.index}
	d.tokens = d.tokens[:0]
	d.extraMetadata = d.extraMetadata[:0]
	d.hasMetadata, d.hasParent, d.hasExtra = false, false, false

	b := d.b
	i = d.space(i + 1)
	if b[i] == '}' {
		return i + 1
	}
	for {
		start, end := i+1, 0
		if i, end = d.key(i); i < 0 {
			return i
		}
		if i = d.field(fieldOf(b, start, end), i); i < 0 {
			return i
		}
		i = d.space(i)
		if b[i] == ',' {
			i = d.space(i + 1)
			continue
		}
		if b[i] != '}' {
			return d.fail(i)
		}
		d.finish()
		return i + 1
	}
}

// key takes the index of a key's opening quote, and returns the index of its value and of its closing quote.
func (d *runDecoder) key(i int) (value, end int) {
	if d.b[i] != '"' {
		return d.fail(i), 0
	}
	if i = d.str(i + 1); i < 0 {
		return i, 0
	}
	end = i - 1
	if i = d.space(i); d.b[i] != ':' {
		return d.fail(i), 0
	}
	return d.space(i + 1), end
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
			r.Metadata, i = d.members(r.Metadata[:0], i)
			return i
		}
		return d.value(i)
	}
	end := 0
	if f == fieldInputs || f == fieldOutputs {
		end = d.noted(i)
	} else {
		end = d.value(i)
	}
	if end < 0 || f == fieldUnknown {
		return end
	}
	v := Raw(d.b[i:end:end])
	if v[0] == 'n' {
		if f == fieldParentRunID {
			d.hasParent = true
		}
		return end
	}
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

// members appends the members of the object at i to dst.
func (d *runDecoder) members(dst []Member, i int) ([]Member, int) {
	b := d.b
	i = d.space(i + 1)
	if b[i] == '}' {
		return dst, i + 1
	}
	for {
		start := i + 1
		value, end := d.key(i)
		if value < 0 {
			return dst, value
		}
		if i = d.value(value); i < 0 {
			return dst, i
		}
		dst = append(dst, Member{Key: b[start:end:end], Value: b[value:i:i]})
		i = d.space(i)
		if b[i] == ',' {
			i = d.space(i + 1)
			continue
		}
		if b[i] != '}' {
			return dst, d.fail(i)
		}
		return dst, i + 1
	}
}

// extra reads the members of extra that have a place in [Run].
func (d *runDecoder) extra(i int) int {
	d.hasExtra = true
	b, r := d.b, &d.run
	i = d.space(i + 1)
	if b[i] == '}' {
		return i + 1
	}
	for {
		start := i + 1
		value, end := d.key(i)
		if value < 0 {
			return value
		}
		key := b[start:end]
		switch {
		case string(key) == "metadata" && b[value] == '{' && !d.hasMetadata:
			d.extraMetadata, i = d.members(d.extraMetadata[:0], value)
		case string(key) == "invocation_params":
			i = d.noted(value)
		default:
			i = d.value(value)
		}
		if i < 0 {
			return i
		}
		switch string(key) {
		case "invocation_params":
			if b[value] == '{' {
				r.InvocationParams = b[value:i:i]
			}
		case "runtime":
			if b[value] == '{' {
				r.Runtime = b[value:i:i]
			}
		case "tool_call_id":
			r.ToolCallID = content(b[value:i:i])
		}
		i = d.space(i)
		if b[i] == ',' {
			i = d.space(i + 1)
			continue
		}
		if b[i] != '}' {
			return d.fail(i)
		}
		return i + 1
	}
}

// finish fills in what other fields tell about missing ones.
func (d *runDecoder) finish() {
	r := &d.run
	d.index = Index{base: d.b[:d.n], tokens: d.tokens}
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
