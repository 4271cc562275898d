package ingest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// projectNamed finds or makes a project. Its id follows from its name.
func projectNamed(name string, st *store.Store, now int64) store.UUID {
	sum := sha256.Sum256([]byte("project " + name))
	var id store.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return st.AddProject(store.Project{ID: id, Name: name, Created: now}).ID
}

// FromAPI makes a run of one that either API told. It is visible at once, unless a member "sim" says otherwise:
// {"seen_after": "5s", "done_after": "10s", "settled_after": "60s"}, counted from now.
func FromAPI(raw json.RawMessage, st *store.Store, now int64) (*store.Run, error) {
	var f fields
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	rename := func(from, to string) {
		if v, ok := f[from]; ok && f[to] == nil {
			f[to] = v
			delete(f, from)
		}
	}
	rename("project_id", "session_id")
	rename("manifest", "serialized")
	if f["metadata"] != nil && get(f["extra"], "metadata") == nil {
		var extra map[string]json.RawMessage
		if json.Unmarshal(f["extra"], &extra) != nil || extra == nil {
			extra = map[string]json.RawMessage{}
		}
		extra["metadata"] = f["metadata"]
		f["extra"], _ = json.Marshal(extra)
	}
	var parents []string
	if json.Unmarshal(f["parent_run_ids"], &parents) == nil && len(parents) > 0 && f["parent_run_id"] == nil {
		f["parent_run_id"], _ = json.Marshal(parents[len(parents)-1])
	}
	r, err := build(f, st, now)
	if err != nil {
		return nil, err
	}
	if v := text(f["thread_id"]); v != "" {
		r.Thread = v
	}
	if t := timeOf(f["first_token_time"]); t != 0 {
		r.FirstToken = t
	}
	if u := columns(f); u != nil {
		r.Usage = u
	}
	r.Seen, r.Settled = now, now
	if r.Status != "pending" {
		r.Done = now
	}
	var sim struct {
		Seen    string `json:"seen_after"`
		Done    string `json:"done_after"`
		Settled string `json:"settled_after"`
	}
	_ = json.Unmarshal(f["sim"], &sim)
	for _, x := range []struct {
		text string
		into *int64
	}{{sim.Seen, &r.Seen}, {sim.Done, &r.Done}, {sim.Settled, &r.Settled}} {
		if x.text == "" {
			continue
		}
		d, err := time.ParseDuration(x.text)
		if err != nil {
			return nil, fmt.Errorf("sim: %w", err)
		}
		*x.into = now + d.Microseconds()
	}
	return r, nil
}

// columns reads the usage that a server told.
func columns(f fields) *store.Usage {
	number := func(key string) (int64, bool) {
		n, err := strconv.ParseInt(text(f[key]), 10, 64)
		return n, err == nil
	}
	in, okIn := number("prompt_tokens")
	out, okOut := number("completion_tokens")
	inCost, okInCost := store.ParseMoney(text(f["prompt_cost"]))
	outCost, okOutCost := store.ParseMoney(text(f["completion_cost"]))
	total, okTotal := store.ParseMoney(text(f["total_cost"]))
	if in == 0 && out == 0 && !okInCost && !okOutCost && !okTotal || !okIn && !okOut && !okTotal {
		return nil
	}
	u := &store.Usage{Input: in, Output: out, InputCost: inCost, OutputCost: outCost, Priced: okInCost || okOutCost || okTotal}
	if okTotal && !okInCost && !okOutCost {
		u.InputCost = total
	}
	u.InputDetails = columnDetails(f["prompt_token_details"], f["prompt_cost_details"])
	u.OutputDetails = columnDetails(f["completion_token_details"], f["completion_cost_details"])
	return u
}

func columnDetails(tokens, costs json.RawMessage) (out []store.Detail) {
	unwrap := func(v json.RawMessage) (m map[string]json.RawMessage) {
		if inner := get(v, "raw"); inner != nil {
			v = inner
		}
		_ = json.Unmarshal(v, &m)
		return m
	}
	t, c := unwrap(tokens), unwrap(costs)
	for _, k := range sortedKeys(t) {
		d := store.Detail{Key: k}
		d.Tokens, _ = strconv.ParseInt(text(t[k]), 10, 64)
		d.Cost, _ = store.ParseMoney(text(c[k]))
		out = append(out, d)
	}
	return out
}
