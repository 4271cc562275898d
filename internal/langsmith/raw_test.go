package langsmith

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRawKinds(t *testing.T) {
	for text, want := range map[string]ValueKind{
		"": KindAbsent, "null": KindAbsent, " null": KindAbsent, "true": KindBool, "false": KindBool,
		"-1": KindNumber, "0": KindNumber, `""`: KindString, "[]": KindArray, " {}": KindObject,
	} {
		assert.Equal(t, want, Raw(text).Kind(), text)
	}
	assert.Equal(t, KindAbsent, Raw(nil).Kind())
}

func TestRawMembersAndElements(t *testing.T) {
	raw := Raw(`{ "a" : 1 ,"b\"":[1, "x]}" ,{"y":"}"}], "c":{"d":null},"e":"" }`)
	var keys []string
	var values []string
	for k, v := range raw.Members {
		keys = append(keys, k.String())
		values = append(values, string(v))
	}
	assert.Equal(t, []string{"a", `b"`, "c", "e"}, keys)
	assert.Equal(t, []string{"1", `[1, "x]}" ,{"y":"}"}]`, `{"d":null}`, `""`}, values)

	var elements []string
	for v := range raw.Get(`b"`).Elements {
		elements = append(elements, string(v))
	}
	assert.Equal(t, []string{"1", `"x]}"`, `{"y":"}"}`}, elements)
	for range raw.Elements {
		t.Fatal("an object has no elements")
	}
	for range Raw("[1]").Members {
		t.Fatal("an array has no members")
	}
	for range Raw("[ ]").Elements {
		t.Fatal("empty")
	}
	for range Raw("{ }").Members {
		t.Fatal("empty")
	}
}

func TestRawGet(t *testing.T) {
	raw := Raw(`{"a":{"b":[{"c":1}],"n":null,"t":true},"x":"7","y":2.5}`)
	assert.Equal(t, `[{"c":1}]`, string(raw.Get("a", "b")))
	assert.Nil(t, raw.Get("a", "n"))
	assert.Nil(t, raw.Get("a", "nope", "c"))
	assert.Nil(t, raw.Get("x", "b"))
	assert.Equal(t, string(raw), string(raw.Get()))
	assert.Equal(t, Count{7, true}, raw.Get("x").Count())
	assert.Equal(t, Number{2.5, true}, raw.Get("y").Number())
	assert.Equal(t, Count{2, true}, raw.Get("y").Count())
	v, ok := raw.Get("a", "t").Bool()
	assert.True(t, v && ok)
	_, ok = raw.Get("x").Bool()
	assert.False(t, ok)
	assert.Nil(t, raw.Get("y").Text())
	assert.Equal(t, Text{}, Raw(`""`).Text())
	assert.Equal(t, Number{}, raw.Get("a").Number())
}

// The walker is documented for valid JSON only, but must not fall over anything.
func TestRawSurvivesInvalid(t *testing.T) {
	for _, text := range []string{`{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `[`, `[1`, `[,`, `[}`, `"`, `"\`, `"\"`, `{"a" 1}`, `[1 2]`, `]`, `:`} {
		raw := Raw(text)
		for range raw.Members { //nolint:revive // walking is the test
		}
		n := 0
		for range raw.Elements {
			if n++; n > 10 {
				t.Fatal("endless", text)
			}
		}
		raw.Text()
		raw.Number()
		raw.Get("a", "b")
	}
}

func TestText(t *testing.T) {
	for escaped, want := range map[string]string{
		``: "", `abc`: "abc", `a\"b\\c\/d`: `a"b\c/d`, `\b\f\n\r\t`: "\b\f\n\r\t", `\u00e9\u4e2d`: "é中",
		`\ud83d\ude00!`: "😀!", `\ud83d`: "\ufffd", `\ud83dx`: "\ufffdx", `\ude00\ud83d`: "\ufffd\ufffd",
		`\ud83d\u0041`: "\ufffdA", `\ufffd`: "\ufffd", "é": "é",
	} {
		text := Text(escaped)
		assert.Equal(t, want, text.String(), escaped)
		assert.Equal(t, "x"+want, string(text.Append([]byte("x"))), escaped)
		assert.True(t, text.Equal(want), escaped)
		assert.False(t, text.Equal(want+"z"), escaped)
		assert.False(t, text.Equal("z"+want), escaped)
	}
	assert.False(t, Text(`\u0041`).Equal(`\u0041`))
	assert.False(t, Text(`a\\`).Equal(`a\\`))
	assert.False(t, Text(`abc\n`).Equal("ab"))
}

// Escapes at any distance from each other come out the same, and broken ones neither panic nor end the text.
func TestTextAppend(t *testing.T) {
	for pad := range 20 {
		x := strings.Repeat("x", pad)
		text, want := Text(x+`\n`+x+`\u4e2d\u6587`+x+`\\`+x), x+"\n"+x+"中文"+x+"\\"+x
		assert.Equal(t, want, string(text.Append(nil)))
		assert.Equal(t, "ab"+want, string(text.Append(append(make([]byte, 0, 100), "ab"...))))
		for _, broken := range []string{`\`, `\u`, `\u12`, `\u\u\u\u\u\u\u\u\u\u\u\u`, `\uzzzz`} {
			assert.Contains(t, string(Text(x+broken).Append(nil)), x+"\ufffd")
		}
	}
}

func TestTextAppendUnicode(t *testing.T) {
	for r := range rune(1 << 16) {
		for _, form := range []string{`\u%04x`, `\u%04X`} {
			require.Equal(t, string(r), Text(fmt.Sprintf(form, r)).String())
		}
	}
}

func TestUUID(t *testing.T) {
	const text = "01a19b8a-d7cd-78b4-a652-e44da7f29e26"
	u, err := ParseUUID(text)
	require.NoError(t, err)
	assert.Equal(t, text, u.String())
	assert.False(t, u.IsZero())
	for _, same := range []string{"01A19B8A-D7CD-78B4-A652-E44DA7F29E26", "01a19b8ad7cd78b4a652e44da7f29e26"} {
		v, err := ParseUUID(same)
		require.NoError(t, err)
		assert.Equal(t, u, v)
	}
	for _, bad := range []string{
		"", "x", "01a19b8a-d7cd-78b4-a652-e44da7f29e2g", "01a19b8a-d7cd-78b4-a652-e44da7f29e2",
		"01a19b8a_d7cd-78b4-a652-e44da7f29e26", "g1a19b8ad7cd78b4a652e44da7f29e26",
	} {
		_, err := ParseUUID(bad)
		assert.Error(t, err, bad)
	}
	assert.Equal(t, "", UUID{}.String())
}

func TestParseTime(t *testing.T) {
	at := func(s string) Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return TimeOf(v)
	}
	for text, want := range map[string]Time{
		"2026-11-02T09:15:30.125043":       at("2026-11-02T09:15:30.125043Z"),
		"2026-11-02T09:15:30.125043Z":      at("2026-11-02T09:15:30.125043Z"),
		"2026-11-02T09:15:30":              at("2026-11-02T09:15:30Z"),
		"2026-11-02 09:15:30.1":            at("2026-11-02T09:15:30.1Z"),
		"2026-11-02T09:15:30.12Z":          at("2026-11-02T09:15:30.12Z"),
		"2026-11-02T09:15:30.123456789Z":   at("2026-11-02T09:15:30.123456789Z"),
		"2026-11-02T09:15:30.1234567899Z":  at("2026-11-02T09:15:30.123456789Z"),
		"2026-11-02T09:15:30.129155+00:00": at("2026-11-02T09:15:30.129155Z"),
		"2026-11-02T09:15:30.129155+02:00": at("2026-11-02T07:15:30.129155Z"),
		"2026-11-02T09:15:30-0530":         at("2026-11-02T14:45:30Z"),
		"2026-11-02T09:15:30+02":           at("2026-11-02T07:15:30Z"),
		"2024-02-29T23:59:59Z":             at("2024-02-29T23:59:59Z"),
		"1969-12-31T23:59:59Z":             at("1969-12-31T23:59:59Z"),
		"1700-03-01T00:00:00Z":             at("1700-03-01T00:00:00Z"),
		"2261-12-31T00:00:00Z":             at("2261-12-31T00:00:00Z"),
		"1793610930125":                    at("2026-11-02T09:15:30.125Z"),
		"1793610930125.5":                  at("2026-11-02T09:15:30.1255Z"),
		" 2026-11-02T09:15:30Z ":           at("2026-11-02T09:15:30Z"),
	} {
		got, ok := ParseTime(text)
		assert.True(t, ok, text)
		assert.Equal(t, want.AsTime(), got.AsTime(), text)
	}
	for _, bad := range []string{
		"", "x", "2026-13-02T09:15:30", "2026-11-32T09:15:30", "2026-11-02T24:15:30", "2026-11-02T09:60:30",
		"2026-11-02T09:15", "2026-1x-02T09:15:30", "9999-11-02T09:15:30", "0001-01-01T00:00:00Z", "2026-11-02T09:15:30X",
		"2026-11-02T09:15:30+2", "2026-11-02T09:15:30+99:00", "-5", "1e30", "NaN",
	} {
		_, ok := ParseTime(bad)
		assert.False(t, ok, bad)
	}
	assert.True(t, Time(0).AsTime().IsZero())
	assert.Equal(t, Time(0), TimeOf(time.Time{}))
	assert.Equal(t, Time(0), TimeOf(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// The way for the usual form takes and refuses what the way for all forms does.
func TestParseTimeUsualForm(t *testing.T) {
	const text = "2026-11-02T09:15:30.125043"
	taken := 0
	for at := range text {
		for c := range 256 {
			b := []byte(text)
			b[at] = byte(c)
			for _, zone := range []string{"", "Z"} {
				whole := append(bytes.Clone(b), zone...)
				want, wantOK := parseAnyTime(whole)
				got, ok := parseTime(whole)
				require.Equal(t, wantOK, ok, "%q", whole)
				require.Equal(t, want, got, "%q", whole)
			}
			if _, ok := parseMicros(b); ok {
				taken++
			}
		}
	}
	require.Greater(t, taken, 100)
}

func TestParseTimeEveryDay(t *testing.T) {
	for day := time.Date(1890, 1, 1, 5, 4, 3, 2000, time.UTC); day.Year() < 2110; day = day.AddDate(0, 0, 1) {
		got, ok := ParseTime(day.Format("2006-01-02T15:04:05.000000"))
		require.True(t, ok)
		require.Equal(t, day, got.AsTime())
	}
}

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-0": 0, "12": 12, "-1.5": -1.5, "0.0002192": 0.0002192, "1e3": 1000, "1E-7": 1e-7, "123456789012345678": 123456789012345678,
		"0.1234567890123456789": 0.1234567890123456789, "9007199254740993": 9007199254740993, "0.30000000000000004": 0.30000000000000004,
		"1234567890123456789012": 1234567890123456789012,
	} {
		assert.Equal(t, Number{want, true}, parseNumber([]byte(text)), text)
	}
	for _, bad := range []string{"", "-", ".", "x", "NaN", "Infinity", "-Inf", "0x1p-2", "1_0", "1e999", "1.2.3", "true"} {
		assert.Equal(t, Number{}, parseNumber([]byte(bad)), bad)
	}
	for text, want := range map[string]int64{"0": 0, "470": 470, "-3": -3, "12.0": 12, "1e3": 1000, "999999999999999999": 999999999999999999} {
		assert.Equal(t, Count{want, true}, parseCount([]byte(text)), text)
	}
	for _, bad := range []string{"", "-", "x", "1e30", "-1e30"} {
		assert.Equal(t, Count{}, parseCount([]byte(bad)), bad)
	}
}

// FuzzRaw holds the walker against encoding/json.
func FuzzRaw(f *testing.F) {
	f.Add([]byte(`{"a":[1,"b\n\u00e9",{"c":null}],"d":"\ud800","e":-1.5e3,"f":true}`))
	f.Add([]byte(` [ ] `))
	f.Add([]byte(`"\\"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		raw := Raw(data)
		if !json.Valid(data) || !utf8.Valid(data) {
			raw.Get("a", "b")
			raw.Text()
			n := 0
			for range raw.Elements {
				n++
			}
			for range raw.Members {
				n++
			}
			if n > len(data) {
				t.Fatal("more values than bytes")
			}
			return
		}
		compareWithJSON(t, raw)
	})
}

func compareWithJSON(t *testing.T, raw Raw) {
	switch raw.Kind() {
	case KindObject:
		dec := json.NewDecoder(bytes.NewReader(raw))
		_, err := dec.Token()
		require.NoError(t, err)
		for k, v := range raw.Members {
			want, err := dec.Token()
			require.NoError(t, err)
			require.Equal(t, want, k.String())
			require.True(t, k.Equal(want.(string)))
			var rest json.RawMessage
			require.NoError(t, dec.Decode(&rest))
			require.Equal(t, string(rest), string(v))
			compareWithJSON(t, v)
		}
		require.False(t, dec.More())
	case KindArray:
		var want []json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &want))
		n := 0
		for v := range raw.Elements {
			require.Equal(t, string(want[n]), string(v))
			compareWithJSON(t, v)
			n++
		}
		require.Equal(t, len(want), n)
	case KindString:
		var want string
		require.NoError(t, json.Unmarshal(raw, &want))
		require.Equal(t, want, raw.Text().String())
		require.True(t, raw.Text().Equal(want))
	case KindNumber:
		var want float64
		if err := json.Unmarshal(raw, &want); err != nil {
			require.False(t, raw.Number().Valid)
		} else if len(trimSpace(raw)) <= 512 {
			require.Equal(t, Number{want, true}, raw.Number())
		}
	case KindBool:
		var want bool
		require.NoError(t, json.Unmarshal(raw, &want))
		got, ok := raw.Bool()
		require.True(t, ok)
		require.Equal(t, want, got)
	case KindAbsent:
		require.Equal(t, "null", string(trimSpace(raw)))
	}
}
