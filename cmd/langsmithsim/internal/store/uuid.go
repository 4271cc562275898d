package store

import (
	"encoding/hex"
	"errors"
)

// UUID is the id of a run, trace, project, feedback or queue. The zero value means absent.
type UUID [16]byte

// IsZero reports whether the id is absent.
func (u UUID) IsZero() bool { return u == UUID{} }

// Append appends the usual form with dashes.
func (u UUID) Append(dst []byte) []byte {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], u[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], u[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], u[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], u[10:16])
	return append(dst, b[:]...)
}

// String is the usual form with dashes.
func (u UUID) String() string { return string(u.Append(nil)) }

var errUUID = errors.New("badly formed uuid")

// ParseUUID reads the usual form, with or without dashes, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	var digits [32]byte
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23) && len(s) == 36 {
			continue
		}
		if n == 32 {
			return u, errUUID
		}
		digits[n] = s[i]
		n++
	}
	if n != 32 {
		return u, errUUID
	}
	if _, err := hex.Decode(u[:], digits[:]); err != nil {
		return UUID{}, errUUID
	}
	return u, nil
}
