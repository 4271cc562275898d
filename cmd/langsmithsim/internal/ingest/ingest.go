// Package ingest takes runs and feedback as the LangSmith SDKs send them.
package ingest

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// maxBody bounds a request after decompression.
const maxBody = 512 << 20

// delay is how long the server's queue holds what comes in, settle how long tokens and costs take on top.
const (
	delay  = 250 * time.Millisecond
	settle = time.Second
)

// forever is a time at which everything is visible.
const forever = 1 << 62

// fields is a run as the SDK sent it.
type fields map[string]json.RawMessage

// Ingest is the write side. It is safe for concurrent use.
type Ingest struct {
	store *store.Store
	now   func() time.Time

	mu sync.Mutex
	// orphans are changes to runs that have not come in yet.
	orphans map[store.UUID]fields
}

// New makes the write side of a store.
func New(st *store.Store, now func() time.Time) *Ingest {
	return &Ingest{store: st, now: now, orphans: map[store.UUID]fields{}}
}

// Mount adds the endpoints.
func (in *Ingest) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /runs", in.create)
	mux.HandleFunc("PATCH /runs/{id}", in.patch)
	mux.HandleFunc("POST /runs/batch", in.batch)
	mux.HandleFunc("POST /runs/multipart", in.multipart)
	mux.HandleFunc("POST /feedback", in.createFeedback)
	mux.HandleFunc("PATCH /feedback/{id}", in.patchFeedback)
	mux.HandleFunc("DELETE /feedback/{id}", in.deleteFeedback)
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	b, _ := json.Marshal(map[string]string{"error": fmt.Sprintf(format, args...), "details": "{}"})
	_, _ = w.Write(b)
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"message":"Run created"}`)
}

// body undoes the request's compression.
func body(r *http.Request) (io.ReadCloser, error) {
	limited := io.LimitReader(r.Body, maxBody)
	switch e := r.Header.Get("Content-Encoding"); e {
	case "", "identity":
		return io.NopCloser(limited), nil
	case "gzip":
		z, err := gzip.NewReader(limited)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(z, maxBody), z}, nil
	case "zstd":
		z, err := zstd.NewReader(limited, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBody))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("unsupported content encoding %q", e)
	}
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	b, err := body(r)
	if err == nil {
		defer func() { _ = b.Close() }()
		err = json.NewDecoder(b).Decode(v)
	}
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "cannot read body: %s", err)
		return false
	}
	return true
}

func (in *Ingest) create(w http.ResponseWriter, r *http.Request) {
	var f fields
	if !decode(w, r, &f) {
		return
	}
	err := in.post(f)
	switch {
	case errors.Is(err, errTaken):
		fail(w, http.StatusConflict, "%s", err)
	case err != nil:
		fail(w, http.StatusUnprocessableEntity, "%s", err)
	default:
		accept(w)
	}
}

func (in *Ingest) patch(w http.ResponseWriter, r *http.Request) {
	id, err := store.ParseUUID(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "run id: %s", err)
		return
	}
	var f fields
	if !decode(w, r, &f) {
		return
	}
	if err := in.change(id, f); err != nil {
		fail(w, http.StatusUnprocessableEntity, "%s", err)
		return
	}
	accept(w)
}

func (in *Ingest) batch(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Post  []fields `json:"post"`
		Patch []fields `json:"patch"`
	}
	if !decode(w, r, &b) {
		return
	}
	in.take(w, b.Post, b.Patch)
}

// take creates and changes runs. Runs whose id is taken do not keep the others out.
func (in *Ingest) take(w http.ResponseWriter, posts, patches []fields) {
	taken := 0
	for _, f := range posts {
		err := in.post(f)
		if errors.Is(err, errTaken) {
			taken++
		} else if err != nil {
			fail(w, http.StatusUnprocessableEntity, "%s", err)
			return
		}
	}
	for _, f := range patches {
		id, err := f.id("id")
		if err == nil {
			err = in.change(id, f)
		}
		if err != nil {
			fail(w, http.StatusUnprocessableEntity, "%s", err)
			return
		}
	}
	if taken > 0 && taken == len(posts) && len(patches) == 0 {
		fail(w, http.StatusConflict, "%s", errTaken)
		return
	}
	accept(w)
}

// multipart takes a body in which each large field of a run is a part of its own.
func (in *Ingest) multipart(w http.ResponseWriter, r *http.Request) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		fail(w, http.StatusBadRequest, "content type is not multipart/form-data with a boundary")
		return
	}
	b, err := body(r)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "cannot read body: %s", err)
		return
	}
	defer func() { _ = b.Close() }()
	c := collector{runs: map[string]fields{}}
	parts := multipart.NewReader(b, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a wrapped EOF is a body that ends too early
			break
		}
		if err == nil {
			err = c.part(p)
		}
		if err != nil {
			fail(w, http.StatusUnprocessableEntity, "multipart: %s", err)
			return
		}
	}
	for _, f := range c.feedback {
		if err := in.addFeedback(f); err != nil {
			fail(w, http.StatusUnprocessableEntity, "feedback: %s", err)
			return
		}
	}
	var posts, patches []fields
	for _, name := range c.order {
		if strings.HasPrefix(name, "post.") {
			posts = append(posts, c.runs[name])
		} else {
			patches = append(patches, c.runs[name])
		}
	}
	in.take(w, posts, patches)
}

type collector struct {
	order    []string // post.<id> and patch.<id> as they came
	runs     map[string]fields
	feedback []feedback
}

func (c *collector) part(p *multipart.Part) error {
	name := p.FormName()
	content, err := io.ReadAll(p)
	if err != nil {
		return err
	}
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "attachment":
		return nil
	case "feedback":
		var f feedback
		if err := json.Unmarshal(content, &f); err != nil {
			return fmt.Errorf("part %q: %w", name, err)
		}
		c.feedback = append(c.feedback, f)
		return nil
	case "post", "patch":
	default:
		return fmt.Errorf("unknown part %q", name)
	}
	if !json.Valid(content) {
		return fmt.Errorf("part %q is not JSON", name)
	}
	id, field, isField := strings.Cut(rest, ".")
	key := kind + "." + id
	if c.runs[key] == nil {
		c.runs[key] = fields{}
		c.order = append(c.order, key)
	}
	if isField {
		c.runs[key][field] = content
		return nil
	}
	var f fields
	if err := json.Unmarshal(content, &f); err != nil {
		return fmt.Errorf("part %q: %w", name, err)
	}
	maps.Copy(c.runs[key], f)
	if _, ok := f["id"]; !ok {
		c.runs[key]["id"] = json.RawMessage(`"` + id + `"`)
	}
	return nil
}

var errTaken = errors.New("run id is taken")

// post creates a run.
func (in *Ingest) post(f fields) error {
	id, err := f.id("id")
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if o := in.orphans[id]; o != nil {
		delete(in.orphans, id)
		maps.Copy(f, o)
	}
	now := in.now()
	run, err := build(f, in.store, now.UnixMicro())
	if err != nil {
		return err
	}
	run.Seen = now.Add(delay).UnixMicro()
	finish(run, now)
	if in.store.Insert(run) > 0 {
		return errTaken
	}
	in.nest(run)
	return nil
}

func finish(r *store.Run, now time.Time) {
	if r.Status == "pending" {
		r.Done, r.Settled = 0, 0
		return
	}
	if r.Done == 0 {
		r.Done = now.Add(delay).UnixMicro()
	}
	r.Settled = r.Done
	if r.Usage != nil {
		r.Settled = now.Add(delay + settle).UnixMicro()
	}
}

// maxOrphans bounds the changes that are kept for runs that have not come yet.
const maxOrphans = 10_000

// change overwrites top-level fields of a run, or keeps them until the run comes in.
func (in *Ingest) change(id store.UUID, f fields) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	old := in.store.Get(id, forever)
	if old == nil {
		if in.orphans[id] == nil {
			if len(in.orphans) >= maxOrphans {
				return errors.New("too many changes of runs that have not come")
			}
			in.orphans[id] = fields{}
		}
		maps.Copy(in.orphans[id], f)
		return nil
	}
	b, ok := old.Body.(*sent)
	if !ok {
		return errors.New("run is not from an SDK")
	}
	merged := maps.Clone(b.fields)
	for k, v := range f {
		if k != "id" && string(v) != "null" {
			merged[k] = v
		}
	}
	now := in.now()
	next, err := build(merged, in.store, now.UnixMicro())
	if err != nil {
		return err
	}
	next.ID, next.Seen, next.Done = old.ID, old.Seen, old.Done
	finish(next, now)
	in.store.Update(id, func(r *store.Run) { *r = *next })
	in.nest(next)
	return nil
}

// nest marks model calls that contain another with the same usage.
func (in *Ingest) nest(changed *store.Run) {
	if changed.Type != "llm" {
		return
	}
	all := in.store.Trace(changed.TraceID, forever)
	for _, outer := range all {
		if outer.Type != "llm" {
			continue
		}
		contains := false
		for _, inner := range all {
			if inner.Type == "llm" && inner.ID != outer.ID && inner.Has(outer.ID) && sameUsage(outer.Usage, inner.Usage) {
				contains = true
			}
		}
		if contains != outer.Outer {
			in.store.Update(outer.ID, func(r *store.Run) { r.Outer = contains })
		}
	}
}

func sameUsage(outer, inner *store.Usage) bool {
	return outer == nil || inner != nil && outer.Input == inner.Input && outer.Output == inner.Output
}
