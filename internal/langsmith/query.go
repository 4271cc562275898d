package langsmith

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// MaxIDs is how many ids one [RunQuery] may name: no version states a limit, and this many work everywhere.
const MaxIDs = 100

// RunQuery asks for one page of the runs of one project.
type RunQuery struct {
	ProjectID UUID
	// IDs asks for these runs only, at most [MaxIDs]. v1 then ignores window and filters; v2 applies them.
	IDs []UUID
	// MinStart and MaxStart are the half-open window [MinStart, MaxStart) of start times. Zero leaves a side
	// open; v2 takes an open end as now.
	MinStart, MaxStart Time
	// Filter, TraceFilter and TreeFilter are in LangSmith's query language, tested on the run, on its root and
	// on any run of its trace.
	Filter, TraceFilter, TreeFilter string
	Fields                          FieldSet
	// PageSize is how many runs to ask for at most; zero means as many as the server gives (v2 1000, v1 100).
	// Fewer are asked for while pages turn out too heavy.
	PageSize int
	// Cursor continues behind an earlier page: [Page.NextCursor] of a query with the same fields and window.
	Cursor string
	// Background lets other requests go first when the budget is short.
	Background bool
}

// Page tells about one page that was read. v1 pages are oldest first, v2 pages newest first.
type Page struct {
	// NextCursor is empty on the last page.
	NextCursor string
	// Runs is how many runs were yielded.
	Runs int
	// Skipped tells of runs on the page that were not yielded.
	Skipped []Skip
	// Bytes is the length of the page after decompression.
	Bytes int64
	// Repaired is how many of the yielded runs held invalid UTF-8, replaced by U+FFFD.
	Repaired int
	// API is the version that answered.
	API APIVersion
	// Sunset is when the server will remove that version, as it announced with this page.
	Sunset string
}

// Reasons of [Skip].
const (
	// SkipMalformed is a run that is no valid JSON, or no object.
	SkipMalformed = "malformed"
	// SkipTooLarge is a run above the limit of bytes.
	SkipTooLarge = "too_large"
	// SkipTooDeep is a run that nests deeper than 512 levels.
	SkipTooDeep = "too_deep"
	// SkipNoID is a run without a valid id.
	SkipNoID = "no_id"
)

// Skip counts runs that a page held and that could not be read.
type Skip struct {
	Reason string
	// ID is of the run when it could be read, else zero.
	ID    UUID
	Count int
}

const opQuery = "query runs"

// wireV1 is the body of v1's query. The cursor belongs into the body: in the address it is ignored, and the
// first page comes for ever.
type wireV1 struct {
	Session        []string `json:"session,omitempty"`
	ID             []string `json:"id,omitempty"`
	StartTime      string   `json:"start_time,omitempty"`
	Filter         string   `json:"filter,omitempty"`
	TraceFilter    string   `json:"trace_filter,omitempty"`
	TreeFilter     string   `json:"tree_filter,omitempty"`
	Select         []string `json:"select,omitempty"`
	Limit          int      `json:"limit"`
	Order          string   `json:"order,omitempty"`
	Cursor         string   `json:"cursor,omitempty"`
	SkipPrevCursor bool     `json:"skip_prev_cursor"`
}

// wireV2 is the body of v2's query.
type wireV2 struct {
	ProjectIDs  []string `json:"project_ids"`
	IDs         []string `json:"ids,omitempty"`
	MinStart    string   `json:"min_start_time"`
	MaxStart    string   `json:"max_start_time,omitempty"`
	Filter      string   `json:"filter,omitempty"`
	TraceFilter string   `json:"trace_filter,omitempty"`
	TreeFilter  string   `json:"tree_filter,omitempty"`
	Selects     []string `json:"selects"`
	PageSize    int      `json:"page_size"`
	Cursor      string   `json:"cursor,omitempty"`
}

func idTexts(ids ...UUID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return texts
}

// startText writes a bound of the window with LangSmith's microseconds, rounded up, which for a lower as for an
// upper bound keeps to the runs whose start it means.
func startText(t Time) string {
	return (t + 999).AsTime().Truncate(time.Microsecond).Format("2006-01-02T15:04:05.000000Z")
}

func (q *RunQuery) bodyV1(names []string, size int) wireV1 {
	w := wireV1{
		Session: idTexts(q.ProjectID), ID: idTexts(q.IDs...), Select: names, Limit: size, Order: "asc",
		TraceFilter: q.TraceFilter, TreeFilter: q.TreeFilter, Cursor: q.Cursor, SkipPrevCursor: true,
	}
	if q.MinStart != 0 {
		w.StartTime = startText(q.MinStart)
	}
	w.Filter = q.Filter
	if q.MaxStart != 0 {
		// v1's end_time bounds the end of runs, and so hides all that have not ended.
		w.Filter = fmt.Sprintf("lt(start_time, %q)", startText(q.MaxStart))
		if q.Filter != "" {
			w.Filter = "and(" + w.Filter + ", " + q.Filter + ")"
		}
	}
	return w
}

func (q *RunQuery) bodyV2(names []string, size int) wireV2 {
	w := wireV2{
		ProjectIDs: idTexts(q.ProjectID), IDs: idTexts(q.IDs...), Selects: names, PageSize: size, Cursor: q.Cursor,
		Filter: q.Filter, TraceFilter: q.TraceFilter, TreeFilter: q.TreeFilter,
		// Without a lower bound the server takes the last day.
		MinStart: "1970-01-01T00:00:00Z",
	}
	if q.MinStart != 0 {
		w.MinStart = startText(q.MinStart)
	}
	if q.MaxStart != 0 {
		w.MaxStart = startText(q.MaxStart)
	}
	return w
}

// QueryRuns reads one page and yields its runs while they arrive. A run is valid only inside yield. When yield
// fails, its error is returned as it is. Other errors are an *[Error]; runs yielded before them belong to a page
// that is to be asked for again. It waits for the request budget, but does not retry, except where the server
// refuses a field or page size that it does not know, which costs one more request once.
func (c *Client) QueryRuns(ctx context.Context, q RunQuery, yield func(*Run) error) (Page, error) {
	if len(q.IDs) > MaxIDs {
		return Page{}, &Error{Op: opQuery, StatusCode: http.StatusBadRequest, Detail: fmt.Sprintf("%d ids in one query; %d are allowed", len(q.IDs), MaxIDs)}
	}
	if q.ProjectID.IsZero() {
		return Page{}, &Error{Op: opQuery, StatusCode: http.StatusBadRequest, Detail: "no project in the query"}
	}
	server, err := c.Detect(ctx)
	if err != nil {
		return Page{}, err
	}
	page, err := c.queryAs(ctx, server.API, q, yield)
	var failed *Error
	if !errors.As(err, &failed) || !failed.noRoute() {
		return page, err
	}
	if q.Cursor != "" {
		// The other version would not understand the cursor: the window has to begin again.
		failed.cursor = true
		c.forget()
		return page, failed
	}
	// The server turned out not to have the version that it announced, or it had it until lately.
	switch {
	case server.API == VersionV2 && c.cfg.APIVersion == VersionV2:
		return page, noV2(opQuery, failed.StatusCode, server.Version)
	case server.API == VersionV1 && c.cfg.APIVersion == VersionV1:
		failed.Detail = tidy(failed.Detail+`; api_version: "v1" is not served here (any more); set api_version to "auto" or "v2"`, "")
		return page, failed
	case isCloud(c.base):
		return page, err
	case server.API == VersionV2 && failed.StatusCode >= 500:
		c.useV1()
	default:
		c.forget()
		again, detectErr := c.Detect(ctx)
		if detectErr != nil || again.API == server.API {
			return page, err
		}
		server.API = again.API
		return c.queryAs(ctx, server.API, q, yield)
	}
	return c.queryAs(ctx, VersionV1, q, yield)
}

// queryAs reads one page from a version.
func (c *Client) queryAs(ctx context.Context, api APIVersion, q RunQuery, yield func(*Run) error) (Page, error) {
	sizer := c.sizer(api, q.Fields)
	var dropped []string
	for {
		names := q.Fields.names(api, func(name string) bool { return c.isRefused(name) || slices.Contains(dropped, name) })
		size := sizer.ask(q.PageSize)
		page, err := c.page(ctx, api, q, names, size, yield)
		var failed *Error
		if err == nil {
			sizer.ok(size)
			c.refuse(dropped)
			return page, nil
		}
		if !errors.As(err, &failed) {
			return page, err
		}
		if failed.ShrinkPage() {
			sizer.tooHeavy(size)
			return page, err
		}
		if !failed.invalid() {
			return page, err
		}
		if limit, ok := allowedLimit(failed.Detail); ok && limit < size {
			sizer.limit(limit)
			continue
		}
		unknown := failed.refusedNames(names)
		if len(unknown) == 0 {
			return page, err
		}
		dropped = append(dropped, unknown...)
	}
}

// page does one query and reads its answer.
func (c *Client) page(ctx context.Context, api APIVersion, q RunQuery, names []string, size int, yield func(*Run) error) (Page, error) {
	r := request{op: opQuery, method: http.MethodPost, class: ClassRunsV2, path: "/api/v2/runs/query", background: q.Background}
	if api == VersionV1 {
		r.class, r.path, r.body = ClassRunsV1, "/api/v1/runs/query", q.bodyV1(names, size)
	} else {
		r.body = q.bodyV2(names, size)
	}
	resp, err := c.send(ctx, r)
	if err != nil {
		return Page{API: api}, err
	}
	defer drain(resp.Body)
	away := awayOf(resp.Body)

	d := c.decoders.Get().(*Decoder)
	defer c.decoders.Put(d)
	var stopped error
	page, err := d.Decode(&bounded{r: resp.Body, left: maxPageBytes(c.cfg.MaxRunBytes)}, func(r *Run) error {
		stopped = yield(r)
		return stopped
	})
	page.API = api
	page.Sunset = c.noteSunset(api, resp.Header)
	switch {
	case stopped != nil:
		return page, stopped
	case err != nil:
		failed := &Error{Op: opQuery, StatusCode: resp.StatusCode, Err: withoutAddress(err), unreadable: true}
		if held := away(); held >= longAway && !failed.timeout() {
			// The server, or something in between, gave up on us.
			failed.Detail, failed.held = fmt.Sprintf("the answer broke off after the pipeline had held it up for %v", held.Round(time.Second)), true
		} else if kind := resp.Header.Get("Content-Type"); errors.Is(err, errNotPage) && !strings.Contains(kind, "json") {
			failed.Detail = tidy("content type "+kind, "")
		}
		return page, failed
	case page.NextCursor != "" && page.NextCursor == q.Cursor:
		return page, repeatedCursor(opQuery)
	case api == VersionV1 && page.Runs == 0 && len(page.Skipped) == 0:
		page.NextCursor = ""
	}
	return page, nil
}

// longAway is how long an answer may wait to be read on until the server may take the connection for dead.
const longAway = 10 * time.Second

// awayOf returns how to get the longest time that a body waited to be read on.
func awayOf(body io.ReadCloser) func() time.Duration {
	if z, ok := body.(*unzipped); ok {
		body = z.body
	}
	if b, ok := body.(*patientBody); ok {
		return func() time.Duration { return b.away }
	}
	return func() time.Duration { return 0 }
}

func maxPageBytes(maxRun int64) int64 {
	if maxRun <= 0 {
		maxRun = defaultMaxRunBytes
	}
	return max(4*maxRun, 1<<30)
}

// bounded ends a body that goes on and on.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// noteSunset keeps what a server announces about the end of v1.
func (c *Client) noteSunset(api APIVersion, h http.Header) string {
	sunset := h.Get("Sunset")
	if sunset == "" && h.Get("Deprecation") != "" {
		sunset = "not announced"
	}
	sunset = tidy(sunset, "")
	if api == VersionV1 && sunset != "" {
		c.mu.Lock()
		c.sunset = sunset
		c.mu.Unlock()
	}
	return sunset
}

// sizerKey tells apart what makes pages of different weight.
type sizerKey struct {
	api   APIVersion
	heavy bool
}

func (c *Client) sizer(api APIVersion, fields FieldSet) *pageSizer {
	key := sizerKey{api, fields&heavyFields != 0}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.sizers[key]
	if p == nil {
		switch {
		case api == VersionV1:
			p = newPageSizer(100, 100)
		case key.heavy:
			p = newPageSizer(200, 1000)
		default:
			p = newPageSizer(1000, 1000)
		}
		c.sizers[key] = p
	}
	return p
}

func (c *Client) isRefused(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[name]
}

func (c *Client) refuse(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		c.refused[name] = true
	}
}

// refusedNames are the names of the select list that the server says it does not know. The id is never among
// them, since no run is of use without it.
func (e *Error) refusedNames(names []string) []string {
	var refused []string
	for _, i := range e.selected {
		if i >= 0 && i < len(names) && !strings.EqualFold(names[i], "id") {
			refused = append(refused, names[i])
		}
	}
	if len(e.selected) > 0 || !strings.Contains(strings.ToLower(e.Detail), "select") {
		return refused
	}
	words := strings.FieldsFunc(e.Detail, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	for _, name := range names {
		if slices.Contains(words, name) {
			refused = append(refused, name)
		}
	}
	// The text may list all names that are known; only a single one of ours can be the culprit.
	if len(refused) != 1 || strings.EqualFold(refused[0], "id") {
		return nil
	}
	return refused
}

// ValidateFilters asks the server whether it understands the filters. When it does not, the error is an
// *[Error] with its words. Nothing is asked when no filter is set, or when there is no project to ask about.
func (c *Client) ValidateFilters(ctx context.Context, projectID UUID, filter, traceFilter, treeFilter string) error {
	if projectID.IsZero() || filter == "" && traceFilter == "" && treeFilter == "" {
		return nil
	}
	server, err := c.Detect(ctx)
	if err != nil {
		return err
	}
	now := TimeOf(time.Now())
	q := RunQuery{
		ProjectID: projectID, Fields: FieldsIdentity, PageSize: 1, MinStart: now.Add(-time.Minute), MaxStart: now,
		Filter: filter, TraceFilter: traceFilter, TreeFilter: treeFilter,
	}
	if server.API == VersionV1 {
		known, err := c.validateV1(ctx, q)
		if known || err != nil {
			return err
		}
	}
	_, err = c.QueryRuns(ctx, q, func(*Run) error { return nil })
	var failed *Error
	if errors.As(err, &failed) {
		failed.Op = opFilters
	}
	return err
}

const opFilters = "check the filters"

// validateV1 uses v1's own check; known is false when the server does not have it.
func (c *Client) validateV1(ctx context.Context, q RunQuery) (known bool, err error) {
	var answer struct {
		Valid  *bool           `json:"valid"`
		Errors json.RawMessage `json:"errors"`
	}
	err = c.read(ctx, request{
		op: opFilters, method: http.MethodPost, path: "/api/v1/runs/query/validate",
		body: q.bodyV1(FieldsIdentity.names(VersionV1, c.isRefused), 1),
	}, maxListBytes, &answer)
	var failed *Error
	switch {
	case errors.As(err, &failed) && failed.noRoute():
		return false, nil
	case err != nil:
		return false, err
	case answer.Valid == nil:
		return false, nil
	case *answer.Valid:
		return true, nil
	}
	var parts []string
	for item := range Raw(answer.Errors).Elements {
		parts = append(parts, strings.Trim(item.Get("field").Text().String()+": "+item.Get("message").Text().String(), ": "))
	}
	return true, &Error{Op: opFilters, StatusCode: http.StatusBadRequest, Detail: tidy(strings.Join(parts, "; "), c.cfg.APIKey())}
}
