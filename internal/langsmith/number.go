package langsmith

import (
	"math"
	"strconv"
)

// pow10 holds the powers of ten that a float64 holds exactly.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseNumber reads a decimal number. NaN and infinities are no numbers here.
func parseNumber(b []byte) Number {
	// Up to 15 digits without an exponent cover all usual costs, and one division of two exact values rounds
	// correctly.
	var mantissa uint64
	digits, fraction, i := 0, 0, 0
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		i++
	}
	point := false
	for ; i < len(b); i++ {
		if c := b[i] - '0'; c <= 9 {
			mantissa = mantissa*10 + uint64(c)
			digits++
			if point {
				fraction++
			}
			if digits > 18 {
				return parseNumberSlow(b)
			}
			continue
		}
		if b[i] == '.' && !point {
			point = true
			continue
		}
		return parseNumberSlow(b)
	}
	if digits == 0 {
		return Number{}
	}
	if mantissa >= 1<<53 {
		return parseNumberSlow(b)
	}
	v := float64(mantissa) / pow10[fraction]
	if negative {
		v = -v
	}
	return Number{Value: v, Valid: true}
}

func parseNumberSlow(b []byte) Number {
	if len(b) == 0 || len(b) > 512 || !(b[0] == '-' || b[0] == '+' || b[0] == '.' || b[0]-'0' <= 9) {
		return Number{}
	}
	for _, c := range b {
		// ParseFloat also knows hexadecimal, underscores, infinities and NaN.
		if !(c-'0' <= 9 || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-') {
			return Number{}
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return Number{}
	}
	return Number{Value: v, Valid: true}
}

// parseCount reads a whole number; fractions, as in 12.0, are cut off.
func parseCount(b []byte) Count {
	i := 0
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		i++
	}
	if n := len(b) - i; n > 0 && n <= 18 {
		var v int64
		for ; i < len(b); i++ {
			c := b[i] - '0'
			if c > 9 {
				break
			}
			v = v*10 + int64(c)
		}
		if i == len(b) {
			if negative {
				v = -v
			}
			return Count{Value: v, Valid: true}
		}
	}
	n := parseNumber(b)
	if !n.Valid || n.Value >= math.MaxInt64 || n.Value <= math.MinInt64 {
		return Count{}
	}
	return Count{Value: int64(n.Value), Valid: true}
}
