package langsmith

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

// accepts tells whether the scanner takes a whole document.
func accepts(s *scanner, data []byte) bool {
	s.set(append(data, make([]byte, padding)...)[:len(data)])
	end := s.value(s.space(0))
	return end >= 0 && s.space(end) == s.n
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e+3,"\u00e9\n",null,true,false,{}],"b":[]}`, ` "x" `, "[\"\xff\"]", `01`, `[1,]`, `{"a":1,}`, `"\ud800"`, `nul`, `-`, `1.`, `1e`, `"`} {
		f.Add([]byte(seed))
	}
	var s scanner
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := accepts(&s, data), json.Valid(data); got != want && !tooDeep(data) {
			t.Fatalf("accepts = %v, json.Valid = %v: %q", got, want, data)
		}
	})
}

func tooDeep(data []byte) bool {
	depth, most := 0, 0
	for _, c := range data {
		if c == '[' || c == '{' {
			depth++
		}
		if c == ']' || c == '}' {
			depth--
		}
		most = max(most, depth)
	}
	return most > maxDepth
}

// Mutations of real pages reach places that a fuzzer without a corpus takes long to find.
func TestScanMutations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	alphabet := []byte("{}[]\",:\\/bfnrtu0123456789.eE+- \n\t\x00\x1f\x7f\x80\xffaxntf")
	var s scanner
	valid := 0
	for _, class := range []string{"1k", "esc"} {
		page := langsmithtest.Page(class, 1, 2)
		for range 8_000 {
			from := rnd.IntN(len(page))
			data := append([]byte("["), page[from:min(len(page), from+rnd.IntN(120))]...)
			if rnd.IntN(4) == 0 {
				data = append([]byte(`"`), append(data[1:], '"')...)
			} else {
				data = append([]byte(nil), page...)
			}
			for range rnd.IntN(3) {
				at := rnd.IntN(len(data))
				switch rnd.IntN(3) {
				case 0:
					data[at] = alphabet[rnd.IntN(len(alphabet))]
				case 1:
					data = append(data[:at], data[min(at+1, len(data)-1):]...)
				case 2:
					data = append(data[:at], append([]byte{alphabet[rnd.IntN(len(alphabet))]}, data[at:]...)...)
				}
			}
			want := json.Valid(data)
			if want {
				valid++
			}
			if accepts(&s, data) != want {
				t.Fatalf("json.Valid = %v: %q", want, data)
			}
		}
	}
	if valid < 500 {
		t.Fatal("too few valid documents to tell anything", valid)
	}
}

// Cutting a value anywhere is told apart from breaking it.
func TestScanShort(t *testing.T) {
	value := []byte(`{"a":[1,-0.5e+3,"\u00e9\n",null,true,false,{}],"b":[]}`)
	var s scanner
	for n := range value {
		s.set(append([]byte(nil), append(value[:n:n], make([]byte, padding)...)...)[:n])
		if end := s.value(0); end != scanShort {
			t.Fatal(n, end)
		}
	}
}
