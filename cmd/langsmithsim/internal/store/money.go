package store

import (
	"math/big"
	"strconv"
	"strings"
)

// Money is an amount in 10⁻¹² USD. List prices per million tokens have at most six decimals, so that every
// price of a run is a whole number of this unit and sums are exact.
type Money int64

const moneyDigits = 12

// Append appends the amount as a decimal number without needless zeros, such as 0.0002192.
func (m Money) Append(dst []byte) []byte {
	return appendDecimal(dst, strconv.FormatInt(int64(m), 10))
}

// String is the amount as a decimal number.
func (m Money) String() string { return string(m.Append(nil)) }

// DecimalOf is the sum n, in units of [Money], as a decimal number.
func DecimalOf(n *big.Int) string { return string(appendDecimal(nil, n.String())) }

func appendDecimal(dst []byte, digits string) []byte {
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		dst, digits = append(dst, '-'), rest
	}
	if pad := moneyDigits + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	whole, frac := digits[:len(digits)-moneyDigits], strings.TrimRight(digits[len(digits)-moneyDigits:], "0")
	dst = append(dst, whole...)
	if frac != "" {
		dst = append(append(dst, '.'), frac...)
	}
	return dst
}

// ParseMoney reads a decimal number, with or without an exponent, rounded to the unit.
func ParseMoney(s string) (Money, bool) {
	if len(s) > 64 {
		return 0, false
	}
	// An exponent of thousands of digits would be computed in full.
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if e, err := strconv.Atoi(s[i+1:]); err != nil || e > 12 || e < -40 {
			return 0, false
		}
	}
	r, ok := new(big.Rat).SetString(strings.TrimSpace(s))
	if !ok {
		return 0, false
	}
	r.Mul(r, big.NewRat(1_000_000_000_000, 1))
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		half.Neg(half)
	}
	r.Add(r, half)
	q := new(big.Int).Quo(r.Num(), r.Denom())
	if !q.IsInt64() {
		return 0, false
	}
	return Money(q.Int64()), true
}
