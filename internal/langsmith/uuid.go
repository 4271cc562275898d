package langsmith

import (
	"encoding/binary"
	"errors"
)

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
	var x [4]uint64 // eight digits each
	switch len(b) {
	case UUIDLen:
		if b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
			return UUID{}, false
		}
		x[0] = binary.LittleEndian.Uint64(b)
		x[1] = uint64(binary.LittleEndian.Uint32(b[9:])) | uint64(binary.LittleEndian.Uint32(b[14:]))<<32
		x[2] = uint64(binary.LittleEndian.Uint32(b[19:])) | uint64(binary.LittleEndian.Uint32(b[24:]))<<32
		x[3] = binary.LittleEndian.Uint64(b[28:])
	case 32:
		for i := range x {
			x[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	default:
		return UUID{}, false
	}
	bad := uint64(0)
	for i := range x {
		word, wrong := fourBytes(x[i])
		bad |= wrong
		binary.LittleEndian.PutUint32(u[4*i:], word)
	}
	if bad != 0 {
		return UUID{}, false
	}
	return u, true
}

// fourBytes reads eight hexadecimal digits at once; wrong is not zero for anything else.
func fourBytes(x uint64) (word uint32, wrong uint64) {
	letters := x >> 6 & ones
	x |= letters << 5 // in lower case
	n := x&(0x0F*ones) + 9*letters
	// Written again, digits come out the same; letters behind f are those that need five bits.
	wrong = (n + '0'*ones + ('a'-'0'-10)*((n+6*ones)>>4&ones)) ^ x | n&(0xF0*ones)
	n = (n<<4 | n>>8) & 0x00FF00FF00FF00FF
	n = (n | n>>8) & 0x0000FFFF0000FFFF
	return uint32(n | n>>16), wrong
}

// dashed is where the digits of each byte stand in the form with dashes.
var dashed = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}
