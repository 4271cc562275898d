package jsonw

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestCommas(t *testing.T) {
	w := new(W).Obj().KV("a", "x,").KInt("b", 1).Key("c").Arr().Obj().End().Arr().EndArr().Int(1).Null().EndArr().KStrs("d", nil).KNull("e").KBool("f", true).KFloat("g", 0.5).End()
	assert.Equal(t, `{"a":"x,","b":1,"c":[{},[],1,null],"d":[],"e":null,"f":true,"g":0.5}`, string(w.B))
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "\x00\x1f\n\t", "é\xff\xc3", "部品 🔩", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendString(nil, s)
		if !utf8.Valid(b) {
			t.Fatalf("%q is not valid UTF-8", b)
		}
		var back string
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(s)); back != want && back != strings.ToValidUTF8(s, "\ufffd") {
			t.Fatalf("%q became %q", s, back)
		}
	})
}
