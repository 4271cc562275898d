package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	queryV1 = "/api/v1/runs/query"
	queryV2 = "/api/v2/runs/query"
)

func (b *bench) fault(list string) { b.Helper(); b.ok("POST", "/admin/faults", list, nil) }

func (b *bench) text(path, body string) string {
	b.Helper()
	resp := b.do("POST", path, body)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.Equal(b, 200, resp.StatusCode, "%s", raw)
	return string(raw)
}

func TestStatusFaults(t *testing.T) {
	b := start(t, nil)
	id := b.project("docs-rag")
	body := `{"project_ids":["` + id + `"],"session":["` + id + `"]}`
	b.fault(`[{"match":"POST /api/v2","kind":"status","status":429,"count":2,"skip":1,"retry_after":"7"},{"match":"POST /api/v1","kind":"html403","count":1}]`)
	require.Equal(t, 200, b.do("POST", queryV2, body).StatusCode, "one is let through")
	resp := b.do("POST", queryV2, body)
	assert.Equal(t, 429, resp.StatusCode)
	assert.Equal(t, "7", resp.Header.Get("Retry-After"))
	assert.Equal(t, 429, b.do("POST", queryV2, body).StatusCode)
	assert.Equal(t, 200, b.do("POST", queryV2, body).StatusCode)
	resp = b.do("POST", queryV1, body)
	assert.Equal(t, 403, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("Content-Type"), "html")

	var faults []struct{ Struck int }
	b.ok("GET", "/admin/faults", "", &faults)
	assert.Equal(t, []int{2, 1}, []int{faults[0].Struck, faults[1].Struck})
	var requests map[string]map[string]int
	b.ok("GET", "/admin/requests", "", &requests)
	assert.Equal(t, map[string]int{"200": 2, "429": 2}, requests["POST /v2/runs/query"])

	b.fault(`[{"match":"runs/query","kind":"too_large","bytes":2000}]`)
	assert.Equal(t, 413, b.do("POST", queryV1, body).StatusCode)
	assert.Equal(t, 200, b.do("POST", queryV1, `{"session":["`+id+`"],"limit":1,"select":["id"]}`).StatusCode)
	assert.Contains(t, b.refused(400, "POST", "/admin/faults", `[{"kind":"nonsense"}]`), "unknown kind")
	assert.Contains(t, b.refused(400, "POST", "/admin/faults", `[{"kind":"status"}]`), "status must be")
	assert.Contains(t, b.refused(400, "POST", "/admin/faults", `[{"kind":"slow","match":"("}]`), "match")
}

func TestFaultsInPages(t *testing.T) {
	b := start(t, nil)
	id := b.project("docs-rag")
	body := `{"project_ids":["` + id + `"],"session":["` + id + `"],"page_size":10,"limit":10,"selects":["ID","NAME","RUN_TYPE","STATUS","START_TIME","END_TIME","INPUTS","TOTAL_TOKENS"]}`
	for _, path := range []string{queryV1, queryV2} {
		whole := b.text(path, body)
		b.fault(`[{"kind":"malformed_run","match":"runs/query"}]`)
		maimed := b.text(path, body)
		assert.True(t, json.Valid([]byte(maimed)))
		assert.Equal(t, 1, strings.Count(maimed, `"start_time":"yesterday"`))
		b.fault(`[{"kind":"invalid_utf8","match":"runs/query"}]`)
		maimed = b.text(path, body)
		assert.False(t, utf8.ValidString(maimed))
		b.fault(`[{"kind":"invalid_json","match":"runs/query"}]`)
		assert.False(t, json.Valid([]byte(b.text(path, body))))
		b.fault(`[{"kind":"huge_run","match":"runs/query","bytes":3000000}]`)
		maimed = b.text(path, body)
		assert.True(t, json.Valid([]byte(maimed)))
		assert.Greater(t, len(maimed), len(whole)+2_900_000)
		b.fault(`[{"kind":"absurd_times","match":"runs/query"},{"kind":"unknown_enum","match":"runs/query"}]`)
		maimed = b.text(path, body)
		assert.True(t, json.Valid([]byte(maimed)))
		assert.Contains(t, maimed, "1969-12-31")
		assert.Contains(t, maimed, "guardrail")
		b.fault(`[]`)
		assert.Equal(t, whole, b.text(path, body))
	}

	b.fault(`[{"kind":"offload","match":"/api/v1"}]`)
	var page pageV1
	b.ok("POST", queryV1, body, &page)
	assert.Nil(t, page.Runs[0]["inputs"])
	link := page.Runs[0]["inputs_s3_urls"].(object)["ROOT"].(object)["presigned_url"].(string)
	assert.True(t, strings.HasPrefix(link, "/"), "links are relative")
	var inputs object
	resp := b.do("GET", link, "", "X-API-Key", "")
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&inputs))
	assert.NotEmpty(t, inputs)
}

func TestFaultsInCursors(t *testing.T) {
	b := start(t, nil)
	id := b.project("docs-rag")
	var first, second pageV2
	b.fault(`[{"kind":"repeat_cursor"}]`)
	b.ok("POST", queryV2, `{"project_ids":["`+id+`"],"page_size":10}`, &first)
	b.ok("POST", queryV2, `{"project_ids":["`+id+`"],"page_size":10,"cursor":"`+*first.Next+`"}`, &second)
	assert.Equal(t, *first.Next, *second.Next)
	b.fault(`[{"kind":"drop_cursor"}]`)
	var cut pageV2
	b.ok("POST", queryV2, `{"project_ids":["`+id+`"],"page_size":10}`, &cut)
	assert.Nil(t, cut.Next)
}

func TestFaultsInTime(t *testing.T) {
	b := start(t, nil)
	id := b.project("docs-rag")
	var page pageV2
	b.fault(`[{"kind":"clock","delay":"-48h","match":"runs/query"}]`)
	resp := b.do("POST", queryV2, `{"project_ids":["`+id+`"]}`)
	assert.Contains(t, resp.Header.Get("Date"), "31 Oct 2026")
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&page))
	assert.Empty(t, page.Items)
	b.fault(`[{"kind":"late","delay":"5s","match":"runs/query"}]`)
	b.ok("POST", queryV2, `{"project_ids":["`+id+`"],"page_size":1,"selects":["START_TIME"]}`, &page)
	require.Len(t, page.Items, 1)
	assert.LessOrEqual(t, page.Items[0]["start_time"], "2026-11-02T11:59:55Z")
}

func TestBrokenConnections(t *testing.T) {
	b := start(t, nil)
	id := b.project("docs-rag")
	server := httptest.NewServer(b.handler)
	defer server.Close()
	body := `{"project_ids":["` + id + `"],"selects":["ID","INPUTS"]}`
	post := func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+queryV2, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("X-API-Key", "k")
		return server.Client().Do(req)
	}
	b.fault(`[{"kind":"reset","count":1,"match":"runs/query"}]`)
	resp, err := post()
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err)
	b.fault(`[{"kind":"truncate","count":1,"match":"runs/query"}]`)
	resp, err = post()
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	require.Error(t, err)
	resp, err = post()
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	require.NoError(t, err)
	assert.True(t, json.Valid(bytes.TrimSpace(raw)))
}
