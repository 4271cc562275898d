package langsmith

import "errors"

var errUUID = errors.New("not a uuid")

// String is the usual form with dashes, in lower case. The zero value is "".
func (u UUID) String() string {
	if u.IsZero() {
		return ""
	}
	return string(u.Append(make([]byte, 0, 36)))
}

// Append appends the form with dashes to dst, of the zero value too.
func (u UUID) Append(dst []byte) []byte {
	const digits = "0123456789abcdef"
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}

// ParseUUID reads a UUID in any case, with or without its dashes.
func ParseUUID(s string) (UUID, error) {
	u, ok := parseUUID([]byte(s))
	if !ok {
		return UUID{}, errUUID
	}
	return u, nil
}

func parseUUID(b []byte) (u UUID, ok bool) {
	bad := uint8(0)
	switch len(b) {
	case 36:
		if b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
			return UUID{}, false
		}
		for i, at := range dashed {
			hi, lo := hexValue[b[at]], hexValue[b[at+1]]
			bad |= hi | lo
			u[i] = hi<<4 | lo
		}
	case 32:
		for i := range u {
			hi, lo := hexValue[b[2*i]], hexValue[b[2*i+1]]
			bad |= hi | lo
			u[i] = hi<<4 | lo
		}
	default:
		return UUID{}, false
	}
	if bad > 15 {
		return UUID{}, false
	}
	return u, true
}

// dashed is where the digits of each byte stand in the form with dashes.
var dashed = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}
