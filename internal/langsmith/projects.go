package langsmith

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

const (
	// maxListBytes bounds answers that are not pages of runs.
	maxListBytes = 64 << 20
	// listPage is the most that listings give at once.
	listPage = 100
	// maxListPages bounds how long a listing may go on.
	maxListPages = 10_000
)

// Project is a tracing project, which the API also calls session.
type Project struct {
	ID   UUID
	Name string
	// ReferenceDatasetID is set for experiments.
	ReferenceDatasetID UUID
	// LastRunStart is when its last run began, absent when the server does not tell.
	LastRunStart Time
}

// ProjectQuery narrows a listing.
type ProjectQuery struct {
	// Experiments includes projects that are tied to a dataset.
	Experiments bool
}

// wireProject is a project as both versions write it.
type wireProject struct {
	ID                 looseString `json:"id"`
	Name               looseString `json:"name"`
	ReferenceDatasetID looseString `json:"reference_dataset_id"`
	LastRunStartLive   looseString `json:"last_run_start_time_live"`
	LastRunStart       looseString `json:"last_run_start_time"`
}

// looseString takes any value, and is empty for all that are no strings.
type looseString string

// UnmarshalJSON never fails.
func (s *looseString) UnmarshalJSON(text []byte) error {
	var v string
	if json.Unmarshal(text, &v) != nil {
		v = ""
	}
	*s = looseString(v)
	return nil
}

// Projects lists all projects that the key may see, each once.
func (c *Client) Projects(ctx context.Context, q ProjectQuery) ([]Project, error) {
	projects, err := c.projectsV1(ctx, q)
	var failed *Error
	if errors.As(err, &failed) && failed.noRoute() {
		return c.projectsV2(ctx, q)
	}
	return projects, err
}

const opProjects = "list projects"

func (c *Client) projectsV1(ctx context.Context, q ProjectQuery) ([]Project, error) {
	list := newProjectList(q)
	// Some gateways refuse a listing without an order.
	query := url.Values{"sort_by": {"start_time"}, "limit": {strconv.Itoa(listPage)}}
	if !q.Experiments {
		query.Set("reference_free", "true")
	}
	for offset := 0; offset < maxListPages*listPage; offset += listPage {
		query.Set("offset", strconv.Itoa(offset))
		var page []wireProject
		if err := c.read(ctx, request{op: opProjects, method: http.MethodGet, path: "/api/v1/sessions", query: query}, maxListBytes, &page); err != nil {
			return nil, err
		}
		// Projects that are made meanwhile shift the rest, so some come twice. A page with nothing new is
		// the end even if it is full: such a server ignores the offset.
		if fresh := list.add(page); len(page) < listPage || !fresh {
			break
		}
	}
	return list.projects, nil
}

func (c *Client) projectsV2(ctx context.Context, q ProjectQuery) ([]Project, error) {
	list := newProjectList(q)
	query := url.Values{"sort_by": {"START_TIME"}, "page_size": {strconv.Itoa(listPage)}}
	seen := map[string]bool{}
	for range maxListPages {
		var page struct {
			Items      []wireProject `json:"items"`
			NextCursor looseString   `json:"next_cursor"`
		}
		if err := c.read(ctx, request{op: opProjects, method: http.MethodGet, path: "/api/v2/sessions", query: query}, maxListBytes, &page); err != nil {
			return nil, err
		}
		list.add(page.Items)
		next := string(page.NextCursor)
		if next == "" {
			break
		}
		if seen[next] {
			return nil, repeatedCursor(opProjects)
		}
		seen[next] = true
		query.Set("cursor", next)
	}
	return list.projects, nil
}

func repeatedCursor(op string) *Error {
	return &Error{Op: op, StatusCode: http.StatusOK, Detail: "the server gave the same cursor twice", cursor: true}
}

type projectList struct {
	query    ProjectQuery
	projects []Project
	seen     map[UUID]bool
}

func newProjectList(q ProjectQuery) *projectList {
	return &projectList{query: q, seen: map[UUID]bool{}}
}

// add tells whether any of the page was not in the list yet.
func (l *projectList) add(page []wireProject) (fresh bool) {
	for _, w := range page {
		id, err := ParseUUID(string(w.ID))
		if err != nil || l.seen[id] {
			continue
		}
		l.seen[id] = true
		fresh = true
		p := Project{ID: id, Name: string(w.Name)}
		p.ReferenceDatasetID, _ = ParseUUID(string(w.ReferenceDatasetID))
		if p.LastRunStart, _ = ParseTime(string(w.LastRunStartLive)); p.LastRunStart == 0 {
			p.LastRunStart, _ = ParseTime(string(w.LastRunStart))
		}
		if l.query.Experiments || p.ReferenceDatasetID.IsZero() {
			l.projects = append(l.projects, p)
		}
	}
	return fresh
}
