package langsmith

import (
	"encoding/binary"
	"math"
	"time"
)

// AsTime is t in UTC, the zero time when t is absent.
func (t Time) AsTime() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}

// TimeOf is the inverse of AsTime. Times outside of the years 1678 to 2261 are absent.
func TimeOf(t time.Time) Time {
	if t.IsZero() || t.Year() < 1678 || t.Year() > 2261 {
		return 0
	}
	return Time(t.UnixNano())
}

// Add is t moved by d, absent when t is absent.
func (t Time) Add(d time.Duration) Time {
	if t == 0 {
		return 0
	}
	return t + Time(d)
}

// ParseTime reads the times that LangSmith writes: RFC 3339 with any number of fraction digits, with a zone or
// without one, which means UTC.
func ParseTime(s string) (Time, bool) { return parseTime([]byte(s)) }

// parseTime also reads epoch milliseconds in digits. Years that nanoseconds cannot hold are refused.
func parseTime(b []byte) (Time, bool) {
	if len(b) == 26 || len(b) == 27 && b[26] == 'Z' {
		if t, ok := parseMicros(b); ok {
			return t, true
		}
	}
	return parseAnyTime(b)
}

func parseAnyTime(b []byte) (Time, bool) {
	b = trimSpace(b)
	if len(b) < 19 || b[4] != '-' {
		return parseEpochMillis(b)
	}
	if b[7] != '-' || (b[10] != 'T' && b[10] != ' ' && b[10] != 't') || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year := digits2(b[0:])*100 + digits2(b[2:])
	month, day := digits2(b[5:]), digits2(b[8:])
	hour, minute, second := digits2(b[11:]), digits2(b[14:]), digits2(b[17:])
	if !isTime(year, month, day, hour, minute, second) {
		return 0, false
	}
	i := 19
	nanos := int64(0)
	if i < len(b) && (b[i] == '.' || b[i] == ',') {
		i++
		scale := int64(100_000_000)
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			nanos += int64(b[i]-'0') * scale
			scale /= 10
		}
	}
	offset, ok := parseZone(b[i:])
	if !ok {
		return 0, false
	}
	seconds := daysOf(year, month, day)*86400 + int64(hour*3600+minute*60+second) - offset
	return Time(seconds*1_000_000_000 + nanos), true
}

// The form of the times that LangSmith writes, 2026-11-02T09:15:30.125043, eight bytes at a time.
var (
	formDate   = digitsIn("0000-00-")
	formHour   = digitsIn("00T00:00")
	formSecond = digitsIn(":00.0000")
)

// digitForm has what to take off eight bytes, so that digits become their value and all else zero, and what to add
// then, so that the high bit tells what is neither.
type digitForm struct{ off, limit uint64 }

func digitsIn(form string) digitForm {
	f := digitForm{off: binary.LittleEndian.Uint64([]byte(form)), limit: 0x7F * ones}
	for i, c := range form {
		if c == '0' {
			f.limit -= 9 << (8 * i)
		}
	}
	return f
}

// pairs has in every byte the number that is written there in two digits; wrong is not zero for any other form.
func (f digitForm) pairs(b []byte) (pairs, wrong uint64) {
	x := binary.LittleEndian.Uint64(b) ^ f.off
	return x*10 + x>>8, (x | (x + f.limit)) & highs
}

// parseMicros reads times with six digits of fraction and no zone. b has at least 26 bytes.
func parseMicros(b []byte) (Time, bool) {
	b = b[:26]
	date, wrong := formDate.pairs(b)
	hour, wrongHour := formHour.pairs(b[8:])
	second, wrongSecond := formSecond.pairs(b[16:])
	tens, units := b[24]-'0', b[25]-'0'
	at := func(pairs uint64, i int) int { return int(pairs >> (8 * i) & 0xFF) }
	year, month, day := at(date, 0)*100+at(date, 2), at(date, 5), at(hour, 0)
	if wrong|wrongHour|wrongSecond != 0 || tens > 9 || units > 9 || !isTime(year, month, day, at(hour, 3), at(hour, 6), at(second, 1)) {
		return 0, false
	}
	seconds := daysOf(year, month, day)*86400 + int64(at(hour, 3)*3600+at(hour, 6)*60+at(second, 1))
	micros := int64(at(second, 4)*10_000 + at(second, 6)*100 + int(tens)*10 + int(units))
	return Time(seconds*1_000_000_000 + micros*1_000), true
}

// isTime refuses what is no time of day in a year that nanoseconds can hold. A leap second is one.
func isTime(year, month, day, hour, minute, second int) bool {
	return year >= 1678 && year <= 2261 && uint(month-1) < 12 && uint(day-1) < 31 &&
		uint(hour) < 24 && uint(minute) < 60 && uint(second) <= 60
}

// parseZone reads "", "Z", "+02", "+0200" or "+02:00" as seconds east of UTC.
func parseZone(b []byte) (int64, bool) {
	switch {
	case len(b) == 0:
		return 0, true
	case len(b) == 1:
		return 0, b[0] == 'Z' || b[0] == 'z'
	case b[0] != '+' && b[0] != '-':
		return 0, false
	}
	sign := int64(1)
	if b[0] == '-' {
		sign = -1
	}
	hour, minute := 0, 0
	switch {
	case len(b) == 3:
		hour = digits2(b[1:])
	case len(b) == 5:
		hour, minute = digits2(b[1:]), digits2(b[3:])
	case len(b) == 6 && b[3] == ':':
		hour, minute = digits2(b[1:]), digits2(b[4:])
	default:
		return 0, false
	}
	if uint(hour) > 23 || uint(minute) > 59 {
		return 0, false
	}
	return sign * int64(hour*3600+minute*60), true
}

// digits2 reads two digits. It is negative for anything else, by so much that no sum with it is valid.
func digits2(b []byte) int {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return -1 << 20
	}
	return int(hi)*10 + int(lo)
}

// daysOf counts the days from the Unix epoch to a date of the Gregorian calendar.
func daysOf(year, month, day int) int64 {
	// Years begin in March here, so that the leap day is the last of its year.
	if month <= 2 {
		year--
		month += 12
	}
	return int64(365*year+year/4-year/100+year/400+(153*(month-3)+2)/5+day-1) - 719468
}

func parseEpochMillis(b []byte) (Time, bool) {
	n := parseNumber(b)
	if !n.Valid || n.Value <= 0 || n.Value >= math.MaxInt64/1e6 {
		return 0, false
	}
	if n.Value == math.Trunc(n.Value) {
		return Time(int64(n.Value) * 1_000_000), true
	}
	whole, fraction := math.Modf(n.Value)
	return Time(int64(whole)*1_000_000 + int64(math.Round(fraction*1e3))*1_000), true
}
