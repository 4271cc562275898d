package poller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// headerKey is where the header is stored.
const headerKey = "checkpoint"

// header is what is stored beside the state of the projects.
type header struct {
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"`
	// Origin is empty in a checkpoint that does not tell.
	Origin string `json:"origin,omitempty"`
	// StartTime is what start_time was when reading began, zero when it was not set.
	StartTime langsmith.Time `json:"start_time,omitempty"`
	// Listed is when the projects were listed last: one that appears later has no run from before.
	Listed   langsmith.Time `json:"listed"`
	Projects []string       `json:"projects"`
}

// formerReads is how often the state of a former poller is read: it may be writing at the moment.
const (
	formerReads = 3
	formerPause = 500 * time.Millisecond
)

func projectKey(space string, id langsmith.UUID) string { return space + "project/" + id.String() }

// load reads what an earlier poller stored, and takes the storage over.
func (p *Poller) load(ctx context.Context) error {
	if p.Storage == nil {
		return nil
	}
	err := p.owner.candidate(ctx, p.Storage)
	if err == nil {
		err = p.loadHeader(ctx)
	}
	if err != nil {
		return p.unusable(err)
	}
	// A storage that cannot be written to is told, and tried again, by what is written later.
	if err := p.claim(ctx); errors.Is(err, errSuperseded) {
		return fmt.Errorf("storage: %w (%s)", err, p.StorageID)
	}
	for attempt := 1; ; attempt++ {
		if err = p.loadState(ctx); err == nil {
			break
		}
		if attempt == formerReads || !errors.Is(err, cursor.ErrCorrupt) || !sleep(ctx, formerPause) {
			p.forgo(ctx)
			return p.unusable(err)
		}
	}
	p.announceChanges()
	return nil
}

// loadHeader reads the header, if there is one.
func (p *Poller) loadHeader(ctx context.Context) error {
	p.header = header{}
	value, err := p.owner.header(ctx, p.Storage)
	if err != nil || value == nil {
		return err
	}
	if err := json.Unmarshal(value, &p.header); err != nil || p.header.Version < 1 {
		return fmt.Errorf("%w: key %q", cursor.ErrCorrupt, p.owner.from+headerKey)
	}
	if p.header.Version > cursor.Version {
		return cursor.ErrNewer
	}
	return nil
}

// loadState reads the header and the state of the projects that it names.
func (p *Poller) loadState(ctx context.Context) error {
	if err := p.loadHeader(ctx); err != nil {
		return err
	}
	clear(p.workers)
	p.former = nil
	for _, text := range p.header.Projects {
		id, err := langsmith.ParseUUID(text)
		if err != nil {
			return fmt.Errorf("%w: key %q", cursor.ErrCorrupt, p.owner.from+headerKey)
		}
		state, err := p.loadProject(ctx, id)
		if err != nil {
			return err
		}
		if state != nil {
			p.workers[id] = newWorker(p, langsmith.Project{ID: id}, state)
		}
	}
	if p.header.Version == 0 {
		return nil
	}
	// What is stored for another place is deleted, and not used.
	if p.foreign = p.header.Origin != "" && p.header.Origin != p.Origin; p.foreign {
		clear(p.workers)
	}
	// The header is the first to be deleted: if it is still there, so was all the rest.
	value, err := p.Storage.Get(ctx, p.owner.from+headerKey)
	if err == nil && value == nil {
		err = fmt.Errorf("%w: key %q", cursor.ErrCorrupt, p.owner.from+headerKey)
	}
	return err
}

// announceChanges tells what a changed configuration means for what was stored.
func (p *Poller) announceChanges() {
	if p.header.Version == 0 {
		return
	}
	if p.foreign {
		p.Logger.Warn("endpoint or workspace_id changed since the checkpoint was stored; its progress is of another place and is given up, "+
			"so reading begins as for the first time, with initial_lookback or start_time; to keep the progress of several places, give each a receiver of its own",
			zap.String("storage", p.StorageID))
		p.header = header{}
		return
	}
	if p.header.Fingerprint != p.Fingerprint {
		changed := "a filter"
		if p.header.Origin == "" {
			changed = "endpoint, workspace_id or a filter"
		}
		p.Logger.Warn(changed+" changed since the checkpoint was stored; reading goes on where it stopped, "+
			"so runs from before that only the new configuration selects are not read; to read them, move the storage away and set start_time",
			zap.String("storage", p.StorageID))
	}
	if len(p.workers) > 0 && p.StartTime != 0 && p.StartTime != p.header.StartTime {
		p.Logger.Warn("start_time was set or changed since the checkpoint was stored; projects that the checkpoint knows go on where they stopped, "+
			"and start_time is for others only; to read all projects again from start_time, move or delete the storage",
			zap.Time("start_time", p.StartTime.AsTime()), zap.String("storage", p.StorageID))
	}
}

// loadProject returns nil when nothing is stored. A project may be stored without being in the header, whose last
// write may have failed.
func (p *Poller) loadProject(ctx context.Context, id langsmith.UUID) (*cursor.Project, error) {
	if p.Storage == nil {
		return nil, nil
	}
	state, err := cursor.Load(p.forProject(), projectKey(p.owner.from, id), func(keys []string) ([][]byte, error) {
		values, err := p.get(ctx, keys)
		for i, value := range values {
			if value != nil {
				p.former = append(p.former, strings.TrimPrefix(keys[i], p.owner.from))
			}
		}
		return values, err
	})
	if state != nil {
		state.Rewrite() // under keys of this poller's own
	}
	return state, err
}

// unusable tells what to do about a checkpoint that cannot be used. To start afresh in silence would lose runs, or
// repeat them.
func (p *Poller) unusable(err error) error {
	switch {
	case errors.Is(err, cursor.ErrNewer):
		return fmt.Errorf("storage: %w (%s): run that version again, or move the storage away to start anew by start_time or initial_lookback", err, p.StorageID)
	case errors.Is(err, cursor.ErrCorrupt):
		return fmt.Errorf("storage: %w (%s): restore it from a backup, or move the storage away to start anew by start_time or initial_lookback", err, p.StorageID)
	}
	return fmt.Errorf("storage: cannot read the checkpoint from %s: %w", p.StorageID, err)
}

func (p *Poller) get(ctx context.Context, keys []string) ([][]byte, error) {
	ops := make([]*storage.Operation, len(keys))
	for i, key := range keys {
		ops[i] = storage.GetOperation(key)
	}
	if err := p.Storage.Batch(ctx, ops...); err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	for i, op := range ops {
		values[i] = op.Value
	}
	return values, nil
}

// saveHeader stores which projects there are. From the first time on, what this poller has stored counts, and no longer
// what a former one has.
func (p *Poller) saveHeader(ctx context.Context) {
	p.header.Version, p.header.Fingerprint, p.header.Origin = cursor.Version, p.Fingerprint, p.Origin
	p.header.Projects = p.header.Projects[:0]
	workers := p.snapshot()
	for _, w := range workers {
		p.header.Projects = append(p.header.Projects, w.id.String())
	}
	slices.Sort(p.header.Projects)
	if p.Storage == nil {
		return
	}
	value, err := json.Marshal(p.header)
	if err == nil {
		err = p.claim(ctx)
	}
	_, losses, _ := p.owner.state()
	if err == nil && (p.complete != losses+1 || len(p.former) > 0) {
		for _, w := range workers {
			if !w.save(ctx) {
				return // which told why
			}
		}
	}
	if err == nil {
		err = p.write(ctx, append([]*storage.Operation{storage.SetOperation(p.owner.space+headerKey, value)}, p.dropFormer()...))
	}
	if err != nil && ctx.Err() != nil { // a shutdown is no problem of the storage
		return
	}
	if p.wrote("storage/projects", err) {
		p.complete = losses + 1
		p.former = nil
	}
}

// dropFormer deletes what former pollers stored, as soon as it does not count any more.
func (p *Poller) dropFormer() (ops []*storage.Operation) {
	if len(p.former) == 0 {
		return nil
	}
	for _, space := range p.owner.former {
		for _, key := range append([]string{headerKey}, p.former...) {
			ops = append(ops, storage.DeleteOperation(space+key))
		}
	}
	return ops
}

// save stores what changed since the last time, in one write, and reports whether all is stored. When that fails,
// reading goes on: nothing is lost, but a restart would repeat what went out since. The next write holds it all.
func (w *worker) save(ctx context.Context) bool {
	// The lanes wait meanwhile: what is stored has to be what was true at one moment.
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Storage == nil {
		w.cursor.Saved()
		return true
	}
	held, losses, _ := w.owner.state()
	if w.losses != losses {
		if err := w.recallAll(ctx); err != nil {
			return w.wrote("storage/"+w.id.String(), err)
		}
		w.cursor.Rewrite()
		w.losses = losses
	}
	changes, err := w.cursor.Changes(projectKey(w.owner.space, w.id))
	if err == nil && len(changes) == 0 || ctx.Err() != nil { // the last write has a context of its own
		w.cursor.Release()
		return err == nil && len(changes) == 0
	}
	w.unstored.CompareAndSwap(0, int64(w.now()))
	ops := make([]*storage.Operation, len(changes))
	for i, c := range changes {
		if c.Value == nil {
			ops[i] = storage.DeleteOperation(c.Key)
		} else {
			ops[i] = storage.SetOperation(c.Key, c.Value)
		}
	}
	if err == nil && !held {
		err = w.claim(ctx)
	}
	if err == nil && !w.owns(ctx) {
		err = errSuperseded
	}
	if err == nil {
		err = w.write(ctx, ops)
	}
	if !w.wrote("storage/"+w.id.String(), err) {
		return false
	}
	w.cursor.Saved()
	w.cursor.Release()
	w.unstored.Store(0)
	return true
}

// wrote counts a write and tells about its failure.
func (p *Poller) wrote(key string, err error) bool {
	if err != nil {
		p.Meters.addWith(p.Meters.builder.ReceiverLangsmithCheckpointWrites, 1, "outcome", "failure")
		if errors.Is(err, errSuperseded) { // told already
			return false
		}
		p.health.problem(key, "the checkpoint cannot be stored; a restart would repeat runs", err, false,
			zap.String("storage", p.StorageID))
		return false
	}
	p.Meters.addWith(p.Meters.builder.ReceiverLangsmithCheckpointWrites, 1, "outcome", "success")
	p.health.resolved(key, "the checkpoint is stored again")
	return true
}
