package ingest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/api"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

type feedback = fields

func newID() (u store.UUID) {
	_, _ = rand.Read(u[:])
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

func orNull(v json.RawMessage) string {
	if string(v) == "null" {
		return ""
	}
	return string(v)
}

// entry makes feedback of what an SDK sent.
func (in *Ingest) entry(f feedback) (*store.Feedback, error) {
	now := in.now().UnixMicro()
	e := &store.Feedback{Key: text(f["key"]), Created: now, Modified: now}
	if e.Key == "" || len(e.Key) > 180 {
		return nil, errors.New("key must have 1 to 180 characters")
	}
	var err error
	if e.ID, err = f.id("id"); err != nil {
		e.ID = newID()
	}
	e.RunID, _ = f.id("run_id")
	e.TraceID, _ = f.id("trace_id")
	e.ProjectID, _ = f.id("session_id")
	if t := timeOf(f["created_at"]); t != 0 {
		e.Created = t
	}
	if t := timeOf(f["modified_at"]); t != 0 {
		e.Modified = t
	}
	e.Score, e.Value, e.Correction, e.Extra = orNull(f["score"]), orNull(f["value"]), orNull(f["correction"]), orNull(f["extra"])
	e.Comment, e.Group, e.Thread = text(f["comment"]), text(f["feedback_group_id"]), text(f["feedback_thread_id"])
	e.SourceType = first(text(get(f["feedback_source"], "type")), "api")
	e.Source = orNull(f["feedback_source"])
	if e.Source == "" {
		e.Source = `{"type":"api","metadata":null,"user_id":null,"ls_user_id":null,"user_name":null}`
	}
	if r := in.store.Get(e.RunID, forever); r != nil {
		e.TraceID, e.ProjectID, e.RunStart, e.Root = r.TraceID, r.ProjectID, r.Start, r.ParentID.IsZero()
	}
	return e, nil
}

func (in *Ingest) addFeedback(f feedback) error {
	e, err := in.entry(f)
	if err == nil {
		in.store.AddFeedback(e)
	}
	return err
}

func tell(w http.ResponseWriter, e *store.Feedback) {
	j := new(jsonw.W)
	api.WriteFeedback(j, e)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(j.B)
}

func (in *Ingest) createFeedback(w http.ResponseWriter, r *http.Request) {
	var f feedback
	if !decode(w, r, &f) {
		return
	}
	e, err := in.entry(f)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "%s", err)
		return
	}
	in.store.AddFeedback(e)
	tell(w, e)
}

func (in *Ingest) patchFeedback(w http.ResponseWriter, r *http.Request) {
	var f feedback
	if !decode(w, r, &f) {
		return
	}
	id, _ := store.ParseUUID(r.PathValue("id"))
	now := in.now().UnixMicro()
	old := in.store.FeedbackByID(id, now)
	if old == nil {
		fail(w, http.StatusNotFound, "feedback not found")
		return
	}
	e := *old
	e.Edit, e.Modified = nil, now
	e.Score, e.Value, e.Correction, e.Comment = orNull(f["score"]), orNull(f["value"]), orNull(f["correction"]), strings.TrimSpace(text(f["comment"]))
	in.store.AddFeedback(&e)
	tell(w, &e)
}

func (in *Ingest) deleteFeedback(w http.ResponseWriter, r *http.Request) {
	id, _ := store.ParseUUID(r.PathValue("id"))
	if !in.store.DeleteFeedback(id) {
		fail(w, http.StatusNotFound, "feedback not found")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
