package api

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/filter"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// subject shows a run to a filter.
type subject struct {
	r        *store.Run
	now      int64
	feedback func() []*store.Feedback
}

// compile reads a filter; an empty one is nil. window, when not nil, restricts the feedback that it sees.
func compile(text string, now int64, window func(*store.Feedback) bool) (store.Filter, *filter.Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, nil
	}
	e, err := filter.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	return func(r *store.Run, feedback func() []*store.Feedback) bool {
		return e.Match(&subject{r: r, now: now, feedback: func() []*store.Feedback {
			all := feedback()
			if window == nil {
				return all
			}
			kept := all[:0:0]
			for _, f := range all {
				if window(f) {
					kept = append(kept, f)
				}
			}
			return kept
		}})
	}, e, nil
}

func fullTextFilter(text string) bool {
	e, err := filter.Parse(text)
	return err == nil && e.FullText()
}

func str(s string) filter.Value {
	if s == "" {
		return filter.Value{}
	}
	return filter.Value{Kind: filter.String, Str: s}
}

func num(f float64) filter.Value { return filter.Value{Kind: filter.Number, Num: f} }

func timeValue(us int64) filter.Value {
	if us == 0 {
		return filter.Value{}
	}
	return num(float64(us))
}

func (s *subject) Field(name string) filter.Value {
	r := s.r
	switch name {
	case "id":
		return str(r.ID.String())
	case "name":
		return filter.Value{Kind: filter.String, Str: r.Name}
	case "run_type":
		return str(r.Type)
	case "status":
		return str(r.StatusAt(s.now))
	case "error":
		if !r.Failed || !r.Finished(s.now) {
			return filter.Value{}
		}
		return str(partString(r, store.PartError))
	case "start_time":
		return timeValue(r.Start)
	case "end_time":
		return timeValue(r.EndAt(s.now))
	case "first_token_time":
		return timeValue(r.FirstToken)
	case "latency":
		if end := r.EndAt(s.now); end != 0 {
			return num(float64(end-r.Start) / 1e6)
		}
		return filter.Value{}
	case "execution_order":
		if r.ParentID.IsZero() {
			return num(1)
		}
		return num(2)
	case "is_root":
		return filter.Value{Kind: filter.Bool, Bool: r.ParentID.IsZero()}
	case "trace_id":
		return str(r.TraceID.String())
	case "parent_run_id":
		if r.ParentID.IsZero() {
			return filter.Value{}
		}
		return str(r.ParentID.String())
	case "session_id":
		return str(r.ProjectID.String())
	case "thread_id":
		return str(r.Thread)
	case "reference_example":
		if r.Example.IsZero() {
			return filter.Value{}
		}
		return str(r.Example.String())
	case "total_tokens", "prompt_tokens", "completion_tokens", "total_cost", "prompt_cost", "completion_cost":
		return s.usage(name)
	}
	return filter.Value{}
}

func (s *subject) usage(name string) filter.Value {
	u := s.r.UsageAt(s.now)
	if u == nil {
		if strings.HasSuffix(name, "_cost") {
			return filter.Value{}
		}
		return num(0)
	}
	switch name {
	case "total_tokens":
		return num(float64(u.Input + u.Output))
	case "prompt_tokens":
		return num(float64(u.Input))
	case "completion_tokens":
		return num(float64(u.Output))
	case "total_cost":
		return num(float64(u.TotalCost()) / 1e12)
	case "prompt_cost":
		return num(float64(u.InputCost) / 1e12)
	default:
		return num(float64(u.OutputCost) / 1e12)
	}
}

func (s *subject) Tags() []string { return s.r.Tags }

func (s *subject) MetadataJSON() string { return string(part(s.r, store.PartMetadata)) }

func (s *subject) Metadata() []filter.Pair { return pairs(part(s.r, store.PartMetadata)) }

func (s *subject) Inputs() []filter.Pair { return pairs(part(s.r, store.PartInputs)) }

func (s *subject) Outputs() []filter.Pair {
	if !s.r.Finished(s.now) {
		return nil
	}
	return pairs(part(s.r, store.PartOutputs))
}

func (s *subject) Text() string {
	text := s.r.Name + "\n" + string(part(s.r, store.PartInputs))
	if s.r.Finished(s.now) {
		text += "\n" + string(part(s.r, store.PartOutputs)) + "\n" + string(part(s.r, store.PartError))
	}
	return text
}

func (s *subject) Feedback() (out []filter.Pair) {
	for _, f := range s.feedback() {
		p := filter.Pair{Key: f.Key, Value: strings.Trim(f.Value, `"`), Source: f.SourceType, Comment: f.Comment}
		switch f.Score {
		case "true":
			p.Num, p.IsNum = 1, true
		case "false":
			p.Num, p.IsNum = 0, true
		default:
			n, err := strconv.ParseFloat(f.Score, 64)
			p.Num, p.IsNum = n, err == nil
		}
		out = append(out, p)
	}
	return out
}

func part(r *store.Run, p store.Part) []byte {
	if r.Body == nil {
		return []byte("null")
	}
	return r.Body.Append(nil, r, p, store.View{})
}

func partString(r *store.Run, p store.Part) string {
	var s string
	_ = json.Unmarshal(part(r, p), &s)
	return s
}

// pairs flattens a JSON object to dotted keys.
func pairs(b []byte) []filter.Pair {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	var out []filter.Pair
	flatten("", v, &out)
	return out
}

func flatten(key string, v any, out *[]filter.Pair) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			full := k
			if key != "" {
				full = key + "." + k
			}
			flatten(full, v[k], out)
		}
	case string:
		*out = append(*out, filter.Pair{Key: key, Value: v})
	case json.Number:
		f, err := v.Float64()
		*out = append(*out, filter.Pair{Key: key, Value: v.String(), Num: f, IsNum: err == nil})
	case bool:
		*out = append(*out, filter.Pair{Key: key, Value: strconv.FormatBool(v)})
	case nil:
	default:
		b, _ := json.Marshal(v)
		*out = append(*out, filter.Pair{Key: key, Value: string(b)})
	}
}
