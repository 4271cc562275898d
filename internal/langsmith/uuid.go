package langsmith

import "errors"

var errUUID = errors.New("not a uuid")

// String is the usual form with dashes, in lower case. The zero value is "".
func (u UUID) String() string {
	if u.IsZero() {
		return ""
	}
	return string(u.Append(make([]byte, 0, UUIDLen)))
}

// UUIDLen is how long the form with dashes is.
const UUIDLen = 36

// Append appends the form with dashes to dst, of the zero value too.
func (u UUID) Append(dst []byte) []byte {
	var text [UUIDLen]byte
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	for i, at := range dashed {
		pair := hexPairs[u[i]]
		text[at], text[at+1] = byte(pair), byte(pair>>8)
	}
	return append(dst, text[:]...)
}

// hexPairs has the two digits of every byte, the first one low.
var hexPairs = func() (pairs [256]uint16) {
	const digits = "0123456789abcdef"
	for i := range pairs {
		pairs[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
	}
	return pairs
}()

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
	case UUIDLen:
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
