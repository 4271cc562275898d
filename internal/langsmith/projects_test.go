package langsmith

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProjectsV1(t *testing.T) {
	total := 250
	f := newFake(t, map[string]func(http.ResponseWriter, call){"GET /api/v1/sessions": func(w http.ResponseWriter, c call) {
		var offset int
		_, _ = fmt.Sscanf(c.query[strings.Index(c.query, "offset="):], "offset=%d", &offset)
		var rows []string
		// A project is made during the listing, so each page repeats one row.
		if offset > 0 {
			offset--
		}
		for i := offset; i < min(offset+100, total); i++ {
			rows = append(rows, fmt.Sprintf(`{"id":"00000000-0000-0000-0000-%012d","name":"p%d","last_run_start_time_live":"2026-11-02T09:15:30.125043","reference_dataset_id":null}`, i+1, i))
		}
		jsonAnswer(w, 200, "["+strings.Join(rows, ",")+"]")
	}})
	projects, err := f.client(t, nil).Projects(t.Context(), ProjectQuery{})
	require.NoError(t, err)
	require.Len(t, projects, total)
	assert.Equal(t, Project{ID: mustUUID(t, "00000000-0000-0000-0000-000000000001"), Name: "p0", LastRunStart: mustTime(t, "2026-11-02T09:15:30.125043Z")}, projects[0])
	query := f.asked("GET /api/v1/sessions")[0].query
	assert.Contains(t, query, "sort_by=start_time")
	assert.Contains(t, query, "reference_free=true")
}

func TestProjectsV1Odd(t *testing.T) {
	rows := make([]string, 100)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"id":"00000000-0000-0000-0000-%012d","name":7,"reference_dataset_id":"%s"}`, i+1, projectID)
	}
	rows[7] = `{"id":null}`
	f := newFake(t, map[string]func(http.ResponseWriter, call){"GET /api/v1/sessions": answer(200, "["+strings.Join(rows, ",")+"]")})
	c := f.client(t, nil)
	projects, err := c.Projects(t.Context(), ProjectQuery{Experiments: true})
	require.NoError(t, err)
	assert.Len(t, projects, 99, "a server that ignores the offset does not go on for ever")
	assert.NotContains(t, f.calls[0].query, "reference_free")
	projects, err = c.Projects(t.Context(), ProjectQuery{})
	require.NoError(t, err)
	assert.Empty(t, projects, "experiments are left out, even by a server that does not filter")
}

func TestProjectsV2(t *testing.T) {
	routes := map[string]func(http.ResponseWriter, call){"GET /api/v2/sessions": func(w http.ResponseWriter, c call) {
		if strings.Contains(c.query, "cursor=next") {
			jsonAnswer(w, 200, `{"items":[{"id":"`+middleID+`","name":"b"}]}`)
			return
		}
		jsonAnswer(w, 200, `{"items":[{"id":"`+runID+`","name":"a","last_run_start_time":"2026-11-02T09:15:30Z"}],"next_cursor":"next"}`)
	}}
	f := newFake(t, routes)
	projects, err := f.client(t, nil).Projects(t.Context(), ProjectQuery{})
	require.NoError(t, err)
	require.Len(t, projects, 2)
	assert.Equal(t, "b", projects[1].Name)

	routes["GET /api/v2/sessions"] = answer(200, `{"items":[],"next_cursor":"same"}`)
	_, err = f.client(t, nil).Projects(t.Context(), ProjectQuery{})
	assert.True(t, failureOf(t, err).Cursor())
	routes["GET /api/v2/sessions"] = answer(200, `[]`)
	_, err = f.client(t, nil).Projects(t.Context(), ProjectQuery{})
	assert.True(t, failureOf(t, err).Retryable())
}

func TestValidateFilters(t *testing.T) {
	project := mustUUID(t, projectID)
	f := newFake(t, nil)
	c := f.client(t, nil)
	require.NoError(t, c.ValidateFilters(t.Context(), project, "", "", ""))
	require.NoError(t, c.ValidateFilters(t.Context(), UUID{}, "x", "", ""))
	assert.Empty(t, f.calls)

	f = newFake(t, v2Server(func(w http.ResponseWriter, c call) {
		if c.body["filter"] == "bad" {
			jsonAnswer(w, 400, `{"title":"Bad Request","detail":"cannot parse filter at 1:3","remedy":"see the docs"}`)
			return
		}
		emptyV2(w, c)
	}))
	c = f.client(t, nil)
	require.NoError(t, c.ValidateFilters(t.Context(), project, "good", "", ""))
	err := c.ValidateFilters(t.Context(), project, "bad", "", "")
	assert.EqualError(t, err, "check the filters: HTTP 400: Bad Request; cannot parse filter at 1:3; see the docs")
	assert.False(t, failureOf(t, err).Retryable())

	const validate = "POST /api/v1/runs/query/validate"
	routes := v1Server(answer(200, `{"runs":[]}`))
	f = newFake(t, routes)
	c = f.client(t, nil)
	require.NoError(t, c.ValidateFilters(t.Context(), project, "", "x", ""), "without the check, a query tells")
	assert.EqualValues(t, 1, f.asked(routeV1)[0].body["limit"])
	routes[validate] = answer(200, `{"valid":true,"errors":[]}`)
	require.NoError(t, c.ValidateFilters(t.Context(), project, "", "", "x"))
	assert.Len(t, f.asked(routeV1), 1)
	routes[validate] = answer(200, `{"valid":false,"errors":[{"field":"filter","message":"unknown attribute"}]}`)
	assert.EqualError(t, c.ValidateFilters(t.Context(), project, "x", "", ""), "check the filters: HTTP 400: filter: unknown attribute")
	routes[validate] = answer(500, `{"detail":"oops"}`)
	assert.True(t, failureOf(t, c.ValidateFilters(t.Context(), project, "x", "", "")).Retryable())
}
