package langsmith

// content is the content of a string, nil for any other value.
func content(v Raw) Text {
	if v[0] != '"' {
		return nil
	}
	end := len(v) - 1
	return Text(v[1:end:end])
}

// scalar is a number or the content of a string.
func scalar(v Raw) []byte {
	if v[0] == '"' {
		return trimSpace(v[1 : len(v)-1])
	}
	return v
}

func setUUID(dst *UUID, v Raw) {
	if len(v) < 2 || v[0] != '"' {
		return
	}
	if u, ok := parseUUID(v[1 : len(v)-1]); ok {
		*dst = u
	}
}

func setTime(dst *Time, v Raw) {
	if v[0] == '"' {
		v = v[1 : len(v)-1]
	}
	if t, ok := parseTime(v); ok {
		*dst = t
	}
}

func numberOf(v Raw) Number {
	if v[0] == '{' {
		return v.Get("raw").Number()
	}
	return parseNumber(scalar(v))
}

func countOf(v Raw) Count {
	if v[0] == '{' {
		return v.Get("raw").Count()
	}
	return parseCount(scalar(v))
}

// detailsOf takes v2's wrapper {"raw":{…}} off.
func detailsOf(v Raw) Raw {
	if v[0] != '{' {
		return nil
	}
	for k, inner := range v.Members {
		if string(k) != "raw" {
			break
		}
		switch inner[0] {
		case '{':
			return inner
		case 'n':
			return nil
		}
		break
	}
	return v
}

func lastElement(v Raw) Raw {
	// The last of several ids in their usual form needs no walk.
	if end := len(v) - 1; end > UUIDLen+2 && v[end-1] == '"' && v[end-UUIDLen-2] == '"' && (v[end-UUIDLen-3] == '[' || v[end-UUIDLen-3] == ',') {
		if _, ok := parseUUID(v[end-UUIDLen-1 : end-1]); ok {
			return v[end-UUIDLen-2 : end]
		}
	}
	var last Raw
	for e := range v.Elements {
		last = e
	}
	return last
}

// lower writes a short ASCII text in lower case to dst.
func lower(dst *[16]byte, t Text) []byte {
	if len(t) > len(dst) {
		return nil
	}
	for i, c := range t {
		if c-'A' < 26 {
			c |= 0x20
		}
		dst[i] = c
	}
	return dst[:len(t)]
}

func statusOf(t Text) Status {
	if len(t) == 0 {
		return StatusUnknown
	}
	var word [16]byte
	switch string(lower(&word, t)) {
	case "pending":
		return StatusPending
	case "success":
		return StatusSuccess
	case "error":
		return StatusError
	case "interrupted":
		return StatusInterrupted
	default:
		return StatusOther
	}
}

func runTypeOf(t Text) RunType {
	if len(t) == 0 {
		return RunTypeUnknown
	}
	var word [16]byte
	switch string(lower(&word, t)) {
	case "chain":
		return RunTypeChain
	case "llm":
		return RunTypeLLM
	case "tool":
		return RunTypeTool
	case "retriever":
		return RunTypeRetriever
	case "embedding":
		return RunTypeEmbedding
	case "prompt":
		return RunTypePrompt
	case "parser":
		return RunTypeParser
	default:
		return RunTypeOther
	}
}
