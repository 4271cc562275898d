package langsmith

import "bytes"

// dottedOrder is what the dotted order of a run tells: its way from the root, one segment of start time and id
// for each run.
type dottedOrder struct {
	trace, parent UUID
	start         Time
}

func parseDottedOrder(t []byte) (o dottedOrder) {
	t = bytes.TrimSuffix(t, []byte{'.'})
	first, rest, more := bytes.Cut(t, []byte{'.'})
	o.trace, o.start = parseSegment(first)
	if !more {
		return o
	}
	parent := first
	if cut := bytes.LastIndexByte(rest, '.'); cut >= 0 {
		parent = rest[:cut]
		parent = parent[bytes.LastIndexByte(parent, '.')+1:]
		rest = rest[cut+1:]
	}
	o.parent, _ = parseSegment(parent)
	_, o.start = parseSegment(rest)
	return o
}

// parseSegment reads YYYYMMDDTHHMMSSffffffZ<uuid>. Old segments have three digits of fraction.
func parseSegment(t []byte) (id UUID, start Time) {
	z := bytes.IndexByte(t, 'Z')
	if z < 0 {
		return id, 0
	}
	id, _ = parseUUID(t[z+1:])
	if z < 15 || t[8] != 'T' {
		return id, 0
	}
	var long [40]byte
	text := append(long[:0], t[0:4]...)
	text = append(text, '-', t[4], t[5], '-', t[6], t[7], 'T', t[9], t[10], ':', t[11], t[12], ':', t[13], t[14])
	if z > 15 && z <= 24 {
		text = append(append(text, '.'), t[15:z]...)
	}
	start, _ = parseTime(text)
	return id, start
}
