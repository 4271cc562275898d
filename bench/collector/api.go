package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
)

const projectID = "11111111-2222-4333-8444-555555555555"

// api answers like LangSmith with a project of its own making: run number k started at base + k*gap, and there is an
// end of them unless count is zero. What it does not know itself, the simulator answers.
type api struct {
	rows  *rowTable
	count int64
	base  time.Time
	gap   time.Duration
	zip   bool
	rest  http.Handler

	writers sync.Pool
	told    told
}

// told is what was told of whole runs, before compression.
type told struct {
	Runs  atomic.Int64
	Bytes atomic.Int64
}

// settled is how old a run is when it is there.
const settled = time.Second

func serve(args []string) {
	fs := flag.NewFlagSet("serve", flag.ExitOnError)
	simulator := fs.String("simulator", "", "URL of the simulator")
	count := fs.Int64("count", 0, "number of runs in the past; 0 for live ones")
	rate := fs.Float64("rate", 0, "live runs a second")
	past := fs.Duration("past", 0, "how long there have been live runs already")
	zip := fs.Bool("gzip", true, "compress pages")
	_ = fs.Parse(args)
	target, err := url.Parse(*simulator)
	if err != nil {
		log.Fatal(err)
	}
	a := &api{rows: &rowTable{simulator: *simulator}, count: *count, zip: *zip, rest: httputil.NewSingleHostReverseProxy(target)}
	switch {
	case *count > 0: // between 55 and 5 minutes ago
		a.base, a.gap = time.Now().Add(-55*time.Minute), 50*time.Minute/time.Duration(*count)
	case *rate > 0:
		a.base, a.gap = time.Now().Add(-*past), time.Duration(float64(time.Second) / *rate)
	default:
		a.base, a.gap = time.Now().Add(1000*time.Hour), time.Hour
	}
	if err := a.rows.choose(); err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	log.Fatal(http.Serve(l, a))
}

// query is what both versions ask for.
type query struct {
	ProjectIDs []string        `json:"project_ids"`
	Session    []string        `json:"session"`
	IDs        []string        `json:"ids"`
	ID         []string        `json:"id"`
	MinStart   string          `json:"min_start_time"`
	MaxStart   string          `json:"max_start_time"`
	StartTime  string          `json:"start_time"`
	Filter     string          `json:"filter"`
	Selects    json.RawMessage `json:"selects"`
	Select     json.RawMessage `json:"select"`
	PageSize   int64           `json:"page_size"`
	Limit      int64           `json:"limit"`
	Order      string          `json:"order"`
	Cursor     string          `json:"cursor"`
}

var before = regexp.MustCompile(`lt\(start_time, "([^"]+)"\)`)

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/traces": // the backend
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	case "/told":
		_, _ = fmt.Fprint(w, a.told.Bytes.Load()/max(a.told.Runs.Load(), 1))
	case "/api/v1/sessions", "/sessions":
		a.write(w, r, []byte(`[{"id":"`+projectID+`","name":"bench","reference_dataset_id":null}]`))
	case "/api/v2/sessions":
		a.write(w, r, []byte(`{"items":[{"id":"`+projectID+`","name":"bench","reference_dataset_id":null}],"next_cursor":null}`))
	case "/api/v1/runs/stats":
		q, _, err := readQuery(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		first, end := a.span(q)
		a.write(w, r, fmt.Appendf(nil, `{"run_count":%d}`, max(end-first, 0)))
	case "/api/v1/runs/query", "/runs/query", "/api/v2/runs/query":
		q, body, err := readQuery(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if len(q.ProjectIDs)+len(q.Session) == 0 { // the client asks which versions there are
			r.Body = io.NopCloser(bytes.NewReader(body))
			a.rest.ServeHTTP(w, r)
			return
		}
		a.page(w, r, q, strings.HasPrefix(r.URL.Path, "/api/v2"))
	default:
		a.rest.ServeHTTP(w, r)
	}
}

func readQuery(r *http.Request) (q query, body []byte, err error) {
	if body, err = io.ReadAll(r.Body); err == nil {
		err = json.Unmarshal(body, &q)
	}
	return q, body, err
}

// span is the numbers of the runs that a query is about, the end excluded.
func (a *api) span(q query) (first, end int64) {
	number := func(text string) (int64, bool) {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return 0, false
		}
		n := int64(t.Sub(a.base) / a.gap)
		if a.at(n).Before(t) {
			n++
		}
		return n, true
	}
	end = int64(time.Since(a.base.Add(settled)) / a.gap)
	if a.count > 0 {
		end = min(end, a.count)
	}
	for _, text := range []string{q.MinStart, q.StartTime} {
		if n, ok := number(text); ok {
			first = max(first, n)
		}
	}
	upper := q.MaxStart
	if m := before.FindStringSubmatch(q.Filter); m != nil {
		upper = m[1]
	}
	if n, ok := number(upper); ok {
		end = min(end, n)
	}
	return first, end
}

func (a *api) at(n int64) time.Time {
	return a.base.Add(time.Duration(n) * a.gap).Truncate(time.Microsecond)
}

func (a *api) page(w http.ResponseWriter, r *http.Request, q query, v2 bool) {
	selects, size := q.Select, q.Limit
	if v2 {
		selects, size = q.Selects, q.PageSize
	}
	rows, err := a.rows.with(v2, selects)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if size <= 0 {
		size = 100
	}
	first, end := a.span(q)
	if len(q.IDs)+len(q.ID) > 0 {
		end = first
	}
	step := int64(-1)
	at := end - 1
	if q.Order == "asc" {
		step, at = 1, first
	}
	if q.Cursor != "" {
		if at, err = strconv.ParseInt(q.Cursor, 10, 64); err != nil {
			http.Error(w, "cursor: "+err.Error(), http.StatusBadRequest)
			return
		}
	}
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if v2 {
		body.WriteString(`{"items":[`)
	} else {
		body.WriteString(`{"runs":[`)
	}
	n := int64(0)
	for ; n < size && at >= first && at < end; n++ {
		if n > 0 {
			body.WriteByte(',')
		}
		rows[at%int64(len(rows))].append(body, at/int64(len(rows)), a.at(at))
		at += step
	}
	if len(selects) == 0 || bytes.Contains(bytes.ToLower(selects), []byte(`"inputs"`)) {
		a.told.Runs.Add(n)
		a.told.Bytes.Add(int64(body.Len()))
	}
	next := "null"
	if at >= first && at < end {
		next = `"` + strconv.FormatInt(at, 10) + `"`
	}
	if v2 {
		fmt.Fprintf(body, `],"next_cursor":%s}`, next)
	} else {
		fmt.Fprintf(body, `],"cursors":{"next":%s}}`, next)
	}
	a.write(w, r, body.Bytes())
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (a *api) write(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	if !a.zip || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
		return
	}
	z, ok := a.writers.Get().(*gzip.Writer)
	if !ok {
		z = gzip.NewWriter(w)
	} else {
		z.Reset(w)
	}
	defer a.writers.Put(z)
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = z.Write(body)
	_ = z.Close()
}
