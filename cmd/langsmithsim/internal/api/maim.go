package api

import (
	"bytes"
	"net/http"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/faults"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
)

// maim changes one run of a page, the one in the middle, as the faults want. start is where the run begins.
func maim(w *jsonw.W, start, i, n int, hit faults.Struck) {
	if hit.Get(faults.Offload) != nil {
		offload(w, start)
	}
	if i != n/2 {
		return
	}
	if f := hit.Get(faults.HugeRun); f != nil {
		filler := jsonw.W{}
		filler.Obj().KV("text", string(bytes.Repeat([]byte("all work and no play "), int(max(f.Bytes, 21))/21))).End()
		setMember(w, start, "inputs", filler.B)
	}
	if hit.Get(faults.AbsurdTimes) != nil {
		setMember(w, start, "end_time", []byte(`"1969-12-31T23:59:59Z"`))
		setMember(w, start, "first_token_time", []byte(`"9999-12-31T23:59:59.999999999Z"`))
	}
	if hit.Get(faults.UnknownEnum) != nil {
		setMember(w, start, "run_type", []byte(`"guardrail"`))
		setMember(w, start, "status", []byte(`"PAUSED"`))
	}
	if hit.Get(faults.MalformedRun) != nil {
		setMember(w, start, "name", []byte(`{"not":"a name"}`))
		setMember(w, start, "start_time", []byte(`"yesterday"`))
		setMember(w, start, "total_tokens", []byte(`"many"`))
	}
	if hit.Get(faults.InvalidUTF8) != nil {
		setMember(w, start, "name", []byte("\"caf\xe9 \xff\xfe\""))
	}
	if hit.Get(faults.InvalidJSON) != nil {
		setMember(w, start, "name", []byte(`"unfinished \x escape"`))
	}
}

// member finds the value of a top-level member of the object that starts at w.B[start], possibly behind a comma.
func member(w *jsonw.W, start int, key string) (from, to int, ok bool) {
	b := w.B
	depth, inText := 0, false
	want := []byte(`"` + key + `":`)
	for i := start; i < len(b); i++ {
		c := b[i]
		if inText {
			switch c {
			case '\\':
				i++
			case '"':
				inText = false
			}
			continue
		}
		switch c {
		case '"':
			if depth == 1 && (b[i-1] == '{' || b[i-1] == ',') && bytes.HasPrefix(b[i:], want) {
				from = i + len(want)
				return from, from + valueLength(b[from:]), true
			}
			inText = true
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return 0, 0, false
}

func valueLength(b []byte) int {
	depth, inText := 0, false
	for i, skip := 0, false; i < len(b); i++ {
		c := b[i]
		switch {
		case skip:
			skip = false
		case inText:
			skip = c == '\\'
			inText = c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return i
			}
			depth--
		case c == ',' && depth == 0:
			return i
		}
	}
	return len(b)
}

func setMember(w *jsonw.W, start int, key string, value []byte) {
	from, to, ok := member(w, start, key)
	if !ok {
		return
	}
	tail := append(bytes.Clone(value), w.B[to:]...)
	w.B = append(w.B[:from], tail...)
}

// offload replaces inputs and outputs by links, which only the older API does.
func offload(w *jsonw.W, start int) {
	from, to, ok := member(w, start, "id")
	if !ok {
		return
	}
	id := string(w.B[from+1 : to-1])
	for _, part := range []string{"inputs", "outputs"} {
		setMember(w, start, part, []byte("null"))
		setMember(w, start, part+"_s3_urls", []byte(`{"ROOT":{"presigned_url":"/blobs/`+id+`/`+part+`"}}`))
	}
}

func (s *Server) maimCursor(r *http.Request, next, given string) string {
	hit := faults.From(r.Context())
	if hit.Get(faults.RepeatCursor) != nil && given != "" {
		return given
	}
	if hit.Get(faults.DropCursor) != nil {
		return ""
	}
	return next
}
