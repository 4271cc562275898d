package langsmith

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

func TestQueryV2(t *testing.T) {
	f := newFake(t, v2Server(func(w http.ResponseWriter, c call) {
		if c.body["cursor"] == "c1" {
			jsonAnswer(w, 200, `{"items":[{"id":"`+middleID+`"}],"next_cursor":null}`)
			return
		}
		jsonAnswer(w, 200, `{"items":[{"id":"`+runID+`"}],"next_cursor":"c1"}`)
	}))
	c := f.client(t, nil)
	q := testQuery(t)
	q.IDs = []UUID{mustUUID(t, runID)}
	q.MinStart, q.MaxStart = mustTime(t, "2026-11-02T09:00:00Z"), mustTime(t, "2026-11-02T10:00:00.0000001Z")
	q.Filter, q.TraceFilter, q.TreeFilter, q.PageSize = `gt(latency, 5)`, `a`, `b`, 50
	var ids []string
	for {
		page, err := c.QueryRuns(t.Context(), q, func(r *Run) error {
			ids = append(ids, r.ID.String())
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, VersionV2, page.API)
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			break
		}
	}
	assert.Equal(t, []string{runID, middleID}, ids)

	calls := f.asked(routeV2)
	require.Len(t, calls, 3) // the first is the probe
	body := calls[1].body
	selects := body["selects"].([]any)
	delete(body, "selects")
	assert.Equal(t, map[string]any{
		"project_ids": []any{projectID}, "ids": []any{runID}, "min_start_time": "2026-11-02T09:00:00.000000Z", "max_start_time": "2026-11-02T10:00:00.000001Z",
		"filter": "gt(latency, 5)", "trace_filter": "a", "tree_filter": "b", "page_size": 50.0,
	}, body)
	assert.Contains(t, selects, "METADATA")
	assert.NotContains(t, selects, "INPUTS")
	assert.NotContains(t, calls[1].raw, "SHARE")
	h := calls[1].header
	assert.Equal(t, testKey, h.Get("X-API-Key"))
	assert.Equal(t, "ws", h.Get("X-Tenant-Id"))
	assert.Equal(t, "application/json", h.Get("Accept"))
	assert.Equal(t, "test/1", h.Get("User-Agent"))
	assert.Equal(t, "gzip", h.Get("Accept-Encoding"))
	assert.Equal(t, "c1", calls[2].body["cursor"])
	assert.Empty(t, calls[2].query, "the cursor belongs into the body")
}

func TestQueryV2OpenWindow(t *testing.T) {
	f := newFake(t, v2Server(emptyV2))
	_, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	body := f.asked(routeV2)[1].body
	assert.Equal(t, "1970-01-01T00:00:00Z", body["min_start_time"], "the server's own default hides runs older than a day")
	assert.NotContains(t, body, "max_start_time")
	assert.EqualValues(t, 1000, body["page_size"])
}

func TestQueryV1(t *testing.T) {
	f := newFake(t, v1Server(func(w http.ResponseWriter, _ call) {
		w.Header().Set("Deprecation", "true")
		w.Header().Set("Sunset", "Sun, 31 Jan 2027 00:00:00 GMT")
		jsonAnswer(w, 200, `{"runs":[{"id":"`+runID+`","start_time":"2026-11-02T09:15:30.125043"}],"cursors":{"next":"c1"}}`)
	}))
	c := f.client(t, nil)
	q := testQuery(t)
	q.Fields |= FieldInputs
	q.MinStart, q.MaxStart, q.Filter = mustTime(t, "2026-11-02T09:00:00Z"), mustTime(t, "2026-11-02T10:00:00Z"), `eq(status, "error")`
	q.PageSize = 500
	page, err := c.QueryRuns(t.Context(), q, ignore)
	require.NoError(t, err)
	assert.Equal(t, Page{NextCursor: "c1", Runs: 1, Bytes: page.Bytes, API: VersionV1, Sunset: "Sun, 31 Jan 2027 00:00:00 GMT"}, page)
	server, err := c.Detect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Server{Version: "0.13.5", API: VersionV1, Sunset: "Sun, 31 Jan 2027 00:00:00 GMT"}, server)
	assert.Len(t, f.asked(routeInfo), 1, "the answer is kept")

	body := f.asked(routeV1)[0].body
	assert.Contains(t, body["select"], "extra")
	assert.Contains(t, body["select"], "inputs_s3_urls")
	assert.NotContains(t, body["select"], "share_token")
	delete(body, "select")
	assert.Equal(t, map[string]any{
		"session": []any{projectID}, "start_time": "2026-11-02T09:00:00.000000Z", "filter": `and(lt(start_time, "2026-11-02T10:00:00.000000Z"), eq(status, "error"))`,
		"limit": 100.0, "order": "asc", "skip_prev_cursor": true,
	}, body)
	q.Cursor = "c1"
	_, err = c.QueryRuns(t.Context(), q, ignore)
	failed := failureOf(t, err)
	assert.True(t, failed.Cursor() && failed.Retryable(), "a repeated cursor must not go on for ever")
}

func TestQueryV1EmptyPageIsTheLast(t *testing.T) {
	f := newFake(t, v1Server(answer(200, `{"runs":[],"cursors":{"next":"again"}}`)))
	page, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	assert.Empty(t, page.NextCursor)
}

func TestQueryChecksItself(t *testing.T) {
	f := newFake(t, nil)
	c := f.client(t, nil)
	q := testQuery(t)
	q.IDs = make([]UUID, MaxIDs+1)
	_, err := c.QueryRuns(t.Context(), q, ignore)
	assert.False(t, failureOf(t, err).Retryable())
	_, err = c.QueryRuns(t.Context(), RunQuery{}, ignore)
	assert.False(t, failureOf(t, err).Retryable())
	assert.Empty(t, f.calls)
}

func TestFieldNames(t *testing.T) {
	none := func(string) bool { return false }
	assert.Equal(t, []string{"ID"}, FieldSet(0).names(VersionV2, none))
	assert.Equal(t, []string{"ID", "PROJECT_ID", "START_TIME", "END_TIME", "STATUS"}, FieldsIdentity.names(VersionV2, none))
	all := ^FieldSet(0)
	for _, version := range []APIVersion{VersionV1, VersionV2} {
		seen := map[string]bool{}
		for _, name := range all.names(version, none) {
			assert.False(t, seen[name], name)
			seen[name] = true
			assert.NotContains(t, strings.ToLower(name), "share")
		}
	}
	assert.NotContains(t, all.names(VersionV2, func(s string) bool { return s == "EXTRA" }), "EXTRA")
}

// The version may change under a running client.
func TestQueryFollowsTheServer(t *testing.T) {
	routes := v2Server(emptyV2)
	f := newFake(t, routes)
	c := f.client(t, nil)
	_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)

	v2 := routes[routeV2]
	delete(routes, routeV2)
	routes[routeV1] = answer(200, `{"runs":[]}`)
	page, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	assert.Equal(t, VersionV1, page.API)

	delete(routes, routeV1)
	routes[routeV2] = v2
	page, err = c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	assert.Equal(t, VersionV2, page.API)

	routes[routeV2] = answer(501, `{"detail":"not here"}`)
	routes[routeV1] = answer(200, `{"runs":[]}`)
	page, err = c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	assert.Equal(t, VersionV1, page.API)

	// A cursor of the other version is of no use.
	delete(routes, routeV1)
	q := testQuery(t)
	q.Cursor = "c"
	_, err = c.QueryRuns(t.Context(), q, ignore)
	failed := failureOf(t, err)
	assert.True(t, failed.Cursor() && failed.Retryable() && !failed.NotFound())

	// A project that does not exist says nothing about the version.
	routes[routeV1] = answer(404, `{"detail":"Session not found"}`)
	_, err = c.QueryRuns(t.Context(), testQuery(t), ignore)
	assert.True(t, failureOf(t, err).NotFound())
}

func TestQueryForcedVersionIsMissing(t *testing.T) {
	f := newFake(t, map[string]func(http.ResponseWriter, call){routeInfo: answer(200, `{"version":"0.18.0"}`)})
	_, err := f.client(t, func(cfg *ClientConfig) { cfg.APIVersion = VersionV1 }).QueryRuns(t.Context(), testQuery(t), ignore)
	assert.ErrorContains(t, err, `set api_version to "auto" or "v2"`)
}

func TestQueryDropsRefusedFields(t *testing.T) {
	refuse := func(detail func(names []any) string) *fake {
		return newFake(t, v2Server(func(w http.ResponseWriter, c call) {
			names := c.body["selects"].([]any)
			for _, name := range names {
				if name == "ERROR_PREVIEW" || name == "EXTRA" {
					jsonAnswer(w, 422, detail(names))
					return
				}
			}
			emptyV2(w, c)
		}))
	}
	index := func(names []any, want string) int {
		for i, name := range names {
			if name == want {
				return i
			}
		}
		return -1
	}
	for name, detail := range map[string]func(names []any) string{
		"by place": func(names []any) string {
			i := index(names, "EXTRA")
			if i < 0 {
				i = index(names, "ERROR_PREVIEW")
			}
			return fmt.Sprintf(`{"detail":[{"loc":["body","selects",%d],"msg":"permitted: 'ID', 'NAME', 'STATUS'","type":"enum"}]}`, i)
		},
		"all at once": func(names []any) string {
			if index(names, "EXTRA") < 0 || index(names, "ERROR_PREVIEW") < 0 {
				return `{"detail":"told all at once before"}`
			}
			return fmt.Sprintf(`{"detail":[{"loc":["body","selects",%d],"msg":"bad"},{"loc":["body","selects",%d],"msg":"bad"},{"loc":["body","selects",999],"msg":"bad"}]}`,
				index(names, "EXTRA"), index(names, "ERROR_PREVIEW"))
		},
		"by name": func(names []any) string {
			if index(names, "EXTRA") >= 0 {
				return `{"title":"Invalid","detail":"unknown value \"EXTRA\" in selects"}`
			}
			return `{"title":"Invalid","detail":"unknown value \"ERROR_PREVIEW\" in selects"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := refuse(detail)
			c := f.client(t, nil)
			_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
			require.NoError(t, err)
			asked := len(f.asked(routeV2))
			require.LessOrEqual(t, asked, 4) // probe, two refusals at most, success
			_, err = c.QueryRuns(t.Context(), testQuery(t), ignore)
			require.NoError(t, err)
			assert.Len(t, f.asked(routeV2), asked+1, "remembered")
		})
	}
	// A bad filter that names a field is no reason to drop the field.
	f := newFake(t, v2Server(answer(400, `{"detail":"unknown attribute STATUS in filter"}`)))
	_, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
	assert.ErrorContains(t, err, "unknown attribute")
	assert.Len(t, f.asked(routeV2), 2)
	// Without an id no run can be used.
	f = newFake(t, v2Server(answer(422, `{"detail":"bad selects: ID"}`)))
	_, err = f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
	assert.Error(t, err)
}

func TestQueryLearnsThePageSize(t *testing.T) {
	f := newFake(t, v2Server(func(w http.ResponseWriter, c call) {
		if c.body["page_size"].(float64) > 250 {
			jsonAnswer(w, 400, `{"detail":"Limit exceeds maximum allowed value of 250"}`)
			return
		}
		emptyV2(w, c)
	}))
	c := f.client(t, nil)
	for range 2 {
		_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
		require.NoError(t, err)
	}
	calls := f.asked(routeV2)
	require.Len(t, calls, 4)
	assert.EqualValues(t, 1000, calls[1].body["page_size"])
	assert.EqualValues(t, 250, calls[2].body["page_size"])
	assert.EqualValues(t, 250, calls[3].body["page_size"])
}

func TestQueryShrinksHeavyPages(t *testing.T) {
	f := newFake(t, v2Server(func(w http.ResponseWriter, c call) {
		switch size := c.body["page_size"].(float64); {
		case size > 600:
			w.WriteHeader(http.StatusBadGateway)
		case size > 300:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case size > 200:
			_, _ = io.WriteString(w, `{"items":[{"id":"`+runID+`"},{"id`)
		default:
			emptyV2(w, c)
		}
	}))
	c := f.client(t, nil)
	for range 3 {
		_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
		assert.True(t, failureOf(t, err).ShrinkPage())
	}
	_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	calls := f.asked(routeV2)
	assert.EqualValues(t, 125, calls[len(calls)-1].body["page_size"])
}

func TestQueryTimeoutShrinks(t *testing.T) {
	release := make(chan struct{})
	f := newFake(t, v2Server(func(_ http.ResponseWriter, _ call) { <-release }))
	c := f.client(t, nil)
	_, err := c.Detect(t.Context())
	require.NoError(t, err)
	c.timeout = 20 * time.Millisecond
	_, err = c.QueryRuns(t.Context(), testQuery(t), ignore)
	close(release)
	failed := failureOf(t, err)
	assert.True(t, failed.ShrinkPage() && failed.Retryable())
	assert.NotContains(t, err.Error(), f.URL)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.QueryRuns(ctx, testQuery(t), ignore)
	failed = failureOf(t, err)
	assert.False(t, failed.Retryable() || failed.ShrinkPage())
	assert.ErrorIs(t, err, context.Canceled)
}

func TestQueryGzip(t *testing.T) {
	page := langsmithtest.PageV2("5k", 1, 200)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(page)
	require.NoError(t, z.Close())
	broken := zipped.Len() / 2
	send := zipped.Bytes()
	f := newFake(t, v2Server(func(w http.ResponseWriter, _ call) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(send)
	}))
	c := f.client(t, nil)
	c.server, c.detected = Server{API: VersionV2}, time.Now()
	for range 3 {
		got, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
		require.NoError(t, err)
		assert.Equal(t, 200, got.Runs)
		assert.EqualValues(t, len(page), got.Bytes)
	}
	// Cut, damaged and empty answers are errors that may pass.
	for name, text := range map[string][]byte{"cut": send[:broken], "no checksum": send[:len(send)-8], "empty": nil, "no gzip": []byte("{}")} {
		send = text
		_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
		assert.True(t, failureOf(t, err).Retryable(), name)
	}
}

func TestQueryYieldError(t *testing.T) {
	f := newFake(t, v2Server(answer(200, `{"items":[{"id":"`+runID+`"},{"id":"`+middleID+`"}]}`)))
	stop := errors.New("stop")
	n := 0
	_, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), func(*Run) error { n++; return stop })
	assert.Equal(t, stop, err)
	assert.Equal(t, 1, n)
}

func TestQueryConcurrently(t *testing.T) {
	page := string(langsmithtest.PageV2("1k", 1, 50))
	f := newFake(t, v2Server(answer(200, page)))
	c := f.client(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
			assert.NoError(t, err)
			assert.Equal(t, 50, got.Runs)
		})
	}
	wg.Wait()
	assert.Len(t, f.asked(routeInfo), 1)
}

func TestThrottledRequestsPause(t *testing.T) {
	f := newFake(t, v2Server(func(w http.ResponseWriter, _ call) {
		w.Header().Set("Retry-After", "30")
		jsonAnswer(w, 429, `{"detail":"slow down"}`)
	}))
	c := f.client(t, nil)
	_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
	failed := failureOf(t, err)
	assert.True(t, failed.Throttled() && failed.Retryable())
	assert.Equal(t, 30*time.Second, failed.RetryAfter)
	assert.Zero(t, c.budget.Rate(ClassRunsV2))
	assert.Positive(t, c.budget.Rate(ClassOther))

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = c.QueryRuns(ctx, testQuery(t), ignore)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// A proxy's sign-in page is neither a page of runs nor a reason for smaller pages.
func TestQueryForeignPage(t *testing.T) {
	f := newFake(t, v2Server(func(w http.ResponseWriter, _ call) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>sign in</html>")
	}))
	_, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
	failed := failureOf(t, err)
	assert.True(t, failed.Retryable() && !failed.ShrinkPage())
	assert.EqualError(t, err, "query runs: content type text/html: the answer is no page of runs")
}

func TestQueryTellsExchanges(t *testing.T) {
	f := newFake(t, v2Server(emptyV2))
	var exchanges []Exchange
	c := f.client(t, func(cfg *ClientConfig) { cfg.OnExchange = func(e Exchange) { exchanges = append(exchanges, e) } })
	_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	f.Close()
	_, err = c.QueryRuns(t.Context(), testQuery(t), ignore)
	require.Error(t, err)
	require.Len(t, exchanges, 4)
	assert.Equal(t, 400, exchanges[1].StatusCode)
	assert.Equal(t, 200, exchanges[2].StatusCode)
	assert.Equal(t, "query runs", exchanges[2].Op)
	assert.Positive(t, exchanges[2].Took)
	assert.Zero(t, exchanges[3].StatusCode)
}
