package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"
)

// rowTable holds the simulator's own rows as patterns: as it tells them for a version and a choice of fields.
type rowTable struct {
	simulator string
	projects  []string
	chosen    []string // ids of runs

	mu    sync.Mutex
	known map[string][]row
}

// runSize is about the mean size of a row.
const runSize = 5600

// row is a row in which ids and times are replaced.
type row struct {
	text    []byte
	patches []patch // in the order of their places
}

type patch struct {
	at     int
	length int
	id     int           // number of a run, from 1 on, for an id; zero for a time
	after  time.Duration // of a time, since the start
	zone   string        // of a time
}

var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

var times = regexp.MustCompile(`"(?:start_time|end_time|first_token_time)":"([^"]+)"`)

// choose picks the runs that are shown: of chats, retrieval and agents, complete, and none that came over OTLP, whose
// ids stand elsewhere.
func (t *rowTable) choose() error {
	var projects []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	body, err := t.ask("GET", "/api/v1/sessions", nil)
	if err == nil {
		err = json.Unmarshal(body, &projects)
	}
	if err != nil {
		return err
	}
	for _, p := range projects {
		if !strings.Contains(p.Name, "eval") {
			t.projects = append(t.projects, p.ID)
		}
	}
	rows, err := t.fetch(false, nil)
	if err != nil {
		return err
	}
	for id, text := range rows {
		var r struct {
			End    *string `json:"end_time"`
			Type   string  `json:"run_type"`
			Tokens int     `json:"total_tokens"`
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		if r.End == nil || bytes.Contains(text, []byte("OTEL_")) || (r.Type == "llm" && (r.Tokens == 0 || bytes.Contains(text, []byte(`"total_cost":null`)))) {
			continue
		}
		t.chosen = append(t.chosen, id)
	}
	if len(t.chosen) == 0 {
		return errors.New("the simulator has no runs")
	}
	// The shortest rows are left out until a run takes about so much as it does in production.
	sort.Slice(t.chosen, func(i, j int) bool { return len(rows[t.chosen[i]]) > len(rows[t.chosen[j]]) })
	size := 0
	for i, id := range t.chosen {
		if size += len(rows[id]); i >= 20 && size < runSize*(i+1) {
			t.chosen = t.chosen[:i]
			break
		}
	}
	sort.Strings(t.chosen)
	t.known = map[string][]row{}
	return nil
}

// with returns the rows of a version with the selected fields.
func (t *rowTable) with(v2 bool, selects json.RawMessage) ([]row, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := fmt.Sprint(v2, string(selects))
	if rows := t.known[key]; rows != nil {
		return rows, nil
	}
	texts, err := t.fetch(v2, selects)
	if err != nil {
		return nil, err
	}
	number := map[string]int{}
	for i, id := range t.chosen {
		number[id] = i + 1
	}
	var rows []row
	for _, id := range t.chosen {
		if texts[id] == nil {
			return nil, fmt.Errorf("the simulator does not tell run %s any more", id)
		}
		r, err := newRow(texts[id], number)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", id, err)
		}
		rows = append(rows, r)
	}
	t.known[key] = rows
	return rows, nil
}

func newRow(text []byte, number map[string]int) (row, error) {
	r := row{text: text}
	for _, at := range ids.FindAllIndex(text, -1) {
		if n := number[string(text[at[0]:at[1]])]; n > 0 {
			r.patches = append(r.patches, patch{at: at[1] - 12, length: 12, id: n})
		}
	}
	var begin time.Time
	parse := func(s string) (time.Time, error) {
		if v, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return v, nil
		}
		return time.Parse("2006-01-02T15:04:05.999999", s)
	}
	found := times.FindAllSubmatchIndex(text, -1)
	for _, at := range found {
		if bytes.HasPrefix(text[at[0]:], []byte(`"start_time"`)) {
			var err error
			if begin, err = parse(string(text[at[2]:at[3]])); err != nil {
				return row{}, err
			}
		}
	}
	for _, at := range found {
		value := string(text[at[2]:at[3]])
		p := patch{at: at[2], length: at[3] - at[2]}
		if !begin.IsZero() {
			v, err := parse(value)
			if err != nil {
				return row{}, err
			}
			p.after = max(0, min(v.Sub(begin), settled-time.Millisecond))
		}
		for _, zone := range []string{"Z", "+00:00"} {
			if strings.HasSuffix(value, zone) {
				p.zone = zone
			}
		}
		r.patches = append(r.patches, p)
	}
	sort.Slice(r.patches, func(i, j int) bool { return r.patches[i].at < r.patches[j].at })
	return r, nil
}

// append writes the row as it is told of another instance, which started then.
func (r row) append(to *bytes.Buffer, instance int64, start time.Time) {
	at := 0
	for _, p := range r.patches {
		to.Write(r.text[at:p.at])
		at = p.at + p.length
		if p.id > 0 {
			const hex = "0123456789abcdef"
			var id [12]byte
			for i, v := 11, instance<<12|int64(p.id); i >= 0; i, v = i-1, v>>4 {
				id[i] = hex[v&15]
			}
			to.Write(id[:])
			continue
		}
		to.Write(start.Add(p.after).UTC().AppendFormat(to.AvailableBuffer(), "2006-01-02T15:04:05.000000"))
		to.WriteString(p.zone)
	}
	to.Write(r.text[at:])
}

// fetch asks the simulator for the first rows of each project.
func (t *rowTable) fetch(v2 bool, selects json.RawMessage) (map[string][]byte, error) {
	rows := map[string][]byte{}
	for _, project := range t.projects {
		q, path := map[string]any{"session": []string{project}, "limit": 100}, "/api/v1/runs/query"
		if v2 {
			q = map[string]any{"project_ids": []string{project}, "page_size": 100, "min_start_time": "1970-01-01T00:00:00Z"}
			path = "/api/v2/runs/query"
		}
		if len(selects) > 0 {
			q[map[bool]string{false: "select", true: "selects"}[v2]] = selects
		}
		body, err := t.ask("POST", path, q)
		if err != nil {
			return nil, err
		}
		var page struct {
			Runs  []json.RawMessage `json:"runs"`
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		for _, text := range append(page.Runs, page.Items...) {
			var r struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(text, &r); err != nil {
				return nil, err
			}
			rows[r.ID] = text
		}
	}
	return rows, nil
}

func (t *rowTable) ask(method, path string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, t.simulator+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-Key", "bench")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer, err
}
