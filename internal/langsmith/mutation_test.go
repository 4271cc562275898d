package langsmith

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

// mutants are texts close to JSON: real ones with a few bytes changed, left out or put in.
type mutants struct {
	rnd *rand.Rand
}

// what a mutation puts in: what the grammar and UTF-8 turn on, and words that the decoder knows.
var insertions = []string{
	"{", "}", "[", "]", `"`, ",", ":", `\`, "/", "0", "9", "-", ".", "e", "E", "+", " ", "\n", "\t", "\x00", "\x1f", "\x7f",
	"\x80", "\xc0", "\xe4", "\xe4\xb8", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "中", "é", "😀",
	`\u00e9`, `\ud83d`, `\u12`, `\n`, `\x`, "null", "nul", "true", "false", "NaN", "{}", "[]", `""`, `,"a":1`, `"a":1,`, `"a":`,
	`"id":"` + runID + `"`, `,"error":null`, `,"extra":{`, `"metadata":{}`, `"runtime":{}`,
}

func (m mutants) of(text []byte, changes int) []byte {
	text = bytes.Clone(text)
	for range changes {
		at := m.rnd.IntN(len(text))
		what := insertions[m.rnd.IntN(len(insertions))]
		switch m.rnd.IntN(5) {
		case 0:
			text = slices.Insert(text, at, []byte(what)...)
		case 1:
			text = slices.Replace(text, at, min(at+len(what), len(text)), []byte(what)...)
		case 2:
			text = slices.Delete(text, at, min(at+1+m.rnd.IntN(3), len(text)-1))
		case 3: // a piece stands twice
			piece := bytes.Clone(text[at:min(at+m.rnd.IntN(60), len(text))])
			text = slices.Insert(text, m.rnd.IntN(len(text)), piece...)
		case 4:
			text[at] ^= 1 << m.rnd.IntN(8)
		}
	}
	return text
}

// pageOf is the page of a run between two others that are fine.
func pageOf(good, run []byte) []byte {
	return bytes.Join([][]byte{[]byte(`{"runs":[`), good, []byte(`,`), run, []byte(`,`), good, []byte(`],"cursors":null}`)}, nil)
}

// assertStrict decodes run between two good ones with a decoder that has seen many others, and with a new one. What
// was seen before must not change anything, and a run is taken as it stands exactly when it is JSON and UTF-8. It
// reports whether it is.
func assertStrict(t testing.TB, seasoned *Decoder, good, run []byte) bool {
	read := func(d *Decoder) ([]Run, Page, error) {
		var runs []Run
		page, err := d.Decode(bytes.NewReader(pageOf(good, run)), func(r *Run) error {
			runs = append(runs, clone(r))
			return nil
		})
		return runs, page, err
	}
	runs, page, err := read(&Decoder{max: defaultMaxRunBytes, buf: make([]byte, 32<<10)})
	seasonedRuns, seasonedPage, seasonedErr := read(seasoned)
	require.Equal(t, err, seasonedErr, "%q", run)
	require.Equal(t, page, seasonedPage, "%q", run)
	require.Equal(t, runs, seasonedRuns, "%q", run)

	switch {
	case json.Valid(run) && len(run) > 0 && run[0] == '{':
		require.NoError(t, err, "%q", run)
		require.Equal(t, 3, page.Runs+skipped(page), "%q", run)
		require.Equal(t, !utf8.Valid(run), page.Repaired > 0, "%q", run)
		if skipped(page) > 0 { // the id got lost, or it is deep
			require.Contains(t, []string{SkipNoID, SkipTooDeep}, page.Skipped[0].Reason, "%q", run)
		}
		return utf8.Valid(run)
	case !json.Valid(pageOf(good, run)):
		require.True(t, err != nil || skipped(page) > 0, "%q", run)
	}
	return false
}

func skipped(page Page) (n int) {
	for _, s := range page.Skipped {
		n += s.Count
	}
	return n
}

// runsOf are the runs of a page of one class, as they stand on the wire.
func runsOf(t testing.TB, class string, v2 bool, n int) (runs [][]byte) {
	page := langsmithtest.Page(class, 5, n)
	if v2 {
		page = langsmithtest.PageV2(class, 5, n)
	}
	for k, v := range Raw(page).Members {
		if string(k) == "runs" || string(k) == "items" {
			for run := range v.Elements {
				runs = append(runs, run)
			}
		}
	}
	require.Len(t, runs, n)
	return runs
}

func TestDecodeMutations(t *testing.T) {
	m := mutants{rand.New(rand.NewPCG(3, 4))}
	seasoned := NewDecoder(0)
	taken, refused := 0, 0
	for _, class := range []string{"1k", "5k", "cjk", "esc"} {
		for _, v2 := range []bool{false, true} {
			runs := runsOf(t, class, v2, 20)
			for range 200 {
				good := runs[m.rnd.IntN(len(runs))]
				if assertStrict(t, seasoned, good, m.of(runs[m.rnd.IntN(len(runs))], 1+m.rnd.IntN(2))) {
					taken++
				} else {
					refused++
				}
			}
		}
	}
	require.Greater(t, taken, 150, "too few valid documents to tell anything")
	require.Greater(t, refused, 150)
}

// FuzzStrict is [TestDecodeMutations] with the runs that a fuzzer finds.
func FuzzStrict(f *testing.F) {
	var good []byte
	for _, v2 := range []bool{false, true} {
		for _, run := range runsOf(f, "1k", v2, 6) {
			good = run
			f.Add([]byte(run))
		}
	}
	seasoned := NewDecoder(0)
	f.Fuzz(func(t *testing.T, run []byte) { assertStrict(t, seasoned, good, run) })
}
