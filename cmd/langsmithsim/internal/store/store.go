package store

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Project is a tracing project, or an experiment when it has a reference dataset.
type Project struct {
	ID      UUID
	Name    string
	Created int64
	Dataset UUID

	runs []*Run // by start time, then id
}

// Store holds everything. It is safe for concurrent use.
type Store struct {
	Tenant UUID

	mu       sync.RWMutex
	projects []*Project // in order of creation
	byID     map[UUID]*Run
	traces   map[UUID][]*Run
	deleted  map[UUID]bool

	feedback      []*Feedback
	feedbackByID  map[UUID]*Feedback
	feedbackByRun map[UUID][]*Feedback
	queues        []*Queue
}

// New makes an empty store of one workspace.
func New(tenant UUID) *Store {
	return &Store{
		Tenant: tenant, byID: map[UUID]*Run{}, traces: map[UUID][]*Run{}, deleted: map[UUID]bool{},
		feedbackByID: map[UUID]*Feedback{}, feedbackByRun: map[UUID][]*Feedback{},
	}
}

// AddProject adds p unless a project of that name or id exists, and returns the one that is in the store.
func (s *Store) AddProject(p Project) *Project {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.projects {
		if q.Name == p.Name || q.ID == p.ID {
			return q
		}
	}
	p.runs = nil
	s.projects = append(s.projects, &p)
	return &p
}

// Projects lists the projects, newest first.
func (s *Store) Projects() []*Project {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := slices.Clone(s.projects)
	slices.SortStableFunc(out, func(a, b *Project) int { return cmp.Compare(b.Created, a.Created) })
	return out
}

// Project finds a project by its id; nil when there is none.
func (s *Store) Project(id UUID) *Project {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.project(id)
}

// ProjectNamed finds a project by its name; nil when there is none.
func (s *Store) ProjectNamed(name string) *Project {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.projects {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (s *Store) project(id UUID) *Project {
	for _, p := range s.projects {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// LastStart is the start of the newest run of a project that is visible at now; zero when it has none.
func (s *Store) LastStart(p *Project, now int64) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range slices.Backward(p.runs) {
		if r.Seen <= now {
			return r.Start
		}
	}
	return 0
}

func order(a, b *Run) int {
	if c := cmp.Compare(a.Start, b.Start); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

// Insert adds runs. It returns the number of those refused because their id is taken or their project unknown.
func (s *Store) Insert(runs ...*Run) (refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range runs {
		if s.byID[r.ID] != nil || !s.insert(r) {
			refused++
		}
	}
	return refused
}

func (s *Store) insert(r *Run) bool {
	p := s.project(r.ProjectID)
	if p == nil {
		return false
	}
	s.byID[r.ID] = r
	s.traces[r.TraceID] = append(s.traces[r.TraceID], r)
	i := len(p.runs)
	// Nearly every run starts later than all before it.
	if i > 0 && order(p.runs[i-1], r) > 0 {
		i, _ = slices.BinarySearchFunc(p.runs, r, order)
	}
	p.runs = slices.Insert(p.runs, i, r)
	return true
}

func (s *Store) remove(r *Run) {
	delete(s.byID, r.ID)
	same := func(o *Run) bool { return o == r }
	s.traces[r.TraceID] = slices.DeleteFunc(s.traces[r.TraceID], same)
	if len(s.traces[r.TraceID]) == 0 {
		delete(s.traces, r.TraceID)
	}
	if p := s.project(r.ProjectID); p != nil {
		if i, ok := slices.BinarySearchFunc(p.runs, r, order); ok {
			p.runs = slices.Delete(p.runs, i, i+1)
		}
	}
}

// Update replaces the run of that id by what change makes of a copy, which must not call the store. It reports
// whether there is such a run.
func (s *Store) Update(id UUID, change func(*Run)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byID[id]
	if old == nil {
		return false
	}
	r := *old
	change(&r)
	r.ID = old.ID
	s.remove(old)
	return s.insert(&r)
}

// DeleteTrace removes a trace: its runs stop appearing, without a tombstone. It returns how many there were.
func (s *Store) DeleteTrace(id UUID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := slices.Clone(s.traces[id])
	for _, r := range runs {
		s.remove(r)
	}
	return len(runs)
}

// Get finds a run that is visible at now; nil when there is none.
func (s *Store) Get(id UUID, now int64) *Run {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if r := s.byID[id]; r != nil && r.Seen <= now {
		return r
	}
	return nil
}

// Trace lists the runs of a trace that are visible at now, in order of their start.
func (s *Store) Trace(id UUID, now int64) []*Run {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return visible(s.traces[id], now)
}

func visible(runs []*Run, now int64) []*Run {
	out := make([]*Run, 0, len(runs))
	for _, r := range runs {
		if r.Seen <= now {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, order)
	return out
}

// All calls yield for every run, whether visible yet or not, in order of project and start.
func (s *Store) All(yield func(*Project, *Run) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.projects {
		for _, r := range p.runs {
			if !yield(p, r) {
				return
			}
		}
	}
}

// Subtree is the usage of a run and everything below it, and the earliest first token, as the server tells
// them at now. The outer of two nested model calls with the same usage adds nothing.
func (s *Store) Subtree(r *Run, now int64) (sum Usage, firstToken int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, d := range s.traces[r.TraceID] {
		if d.Seen > now || (d != r && d.ID != r.ID && !d.Has(r.ID)) {
			continue
		}
		if u := d.UsageAt(now); u != nil && !d.Outer {
			sum.Add(u)
		}
		if d.FirstToken != 0 && d.Finished(now) && (firstToken == 0 || d.FirstToken < firstToken) {
			firstToken = d.FirstToken
		}
	}
	return sum, firstToken
}

// Position is a place in the order of runs, for paging.
type Position struct {
	Start int64
	ID    UUID
}

// Filter decides about a run. It gets at the run's feedback by feedback, as it must not call the store.
type Filter func(r *Run, feedback func() []*Feedback) bool

// Query selects runs. Zero values do not restrict.
type Query struct {
	Projects           []UUID
	IDs                []UUID
	Trace, Parent      UUID
	Type               string
	Root, HasError     *bool
	MinStart, MaxStart int64 // [min, max)
	EndBefore          int64 // the older API's end_time: the run's own end, which drops pending runs
	Examples           []UUID

	// Match, RootMatch and TreeMatch are the filters on the run, on its root and on any run of its trace.
	Match, RootMatch, TreeMatch Filter

	Ascending bool
	After     *Position
	Limit     int
}

func (q *Query) accepts(s *Store, r *Run, now int64) bool {
	switch {
	case r.Seen > now,
		q.MinStart != 0 && r.Start < q.MinStart,
		q.MaxStart != 0 && r.Start >= q.MaxStart,
		q.Type != "" && r.Type != q.Type,
		!q.Trace.IsZero() && r.TraceID != q.Trace,
		!q.Parent.IsZero() && r.ParentID != q.Parent,
		q.Root != nil && *q.Root != r.ParentID.IsZero(),
		q.HasError != nil && *q.HasError != (r.Failed && r.Finished(now)),
		q.EndBefore != 0 && (!r.Finished(now) || r.End >= q.EndBefore),
		len(q.IDs) > 0 && !slices.Contains(q.IDs, r.ID),
		len(q.Examples) > 0 && !slices.Contains(q.Examples, r.Example):
		return false
	}
	match := func(f Filter, r *Run) bool {
		return f(r, func() []*Feedback { return s.feedbackOf(r.ID, now) })
	}
	if q.Match != nil && !match(q.Match, r) {
		return false
	}
	if q.RootMatch != nil {
		root := s.byID[r.TraceID]
		if root == nil || root.Seen > now || !match(q.RootMatch, root) {
			return false
		}
	}
	if q.TreeMatch != nil {
		return slices.ContainsFunc(s.traces[r.TraceID], func(o *Run) bool { return o.Seen <= now && match(q.TreeMatch, o) })
	}
	return true
}

// Find answers a query: up to Limit runs in order, and whether there are more.
func (s *Store) Find(q Query, now int64) (rows []*Run, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	lists := s.candidates(&q)
	for {
		r := next(lists, q.Ascending)
		if r == nil {
			return rows, false
		}
		if !q.accepts(s, r, now) {
			continue
		}
		if q.Limit > 0 && len(rows) == q.Limit {
			return rows, true
		}
		rows = append(rows, r)
	}
}

// candidates are sorted lists of runs, one of which holds every answer.
func (s *Store) candidates(q *Query) [][]*Run {
	inScope := func(r *Run) bool { return len(q.Projects) == 0 || slices.Contains(q.Projects, r.ProjectID) }
	var lists [][]*Run
	switch {
	case len(q.IDs) > 0:
		var list []*Run
		for _, id := range q.IDs {
			if r := s.byID[id]; r != nil && inScope(r) {
				list = append(list, r)
			}
		}
		slices.SortFunc(list, order)
		lists = [][]*Run{slices.Compact(list)}
	case !q.Trace.IsZero():
		list := slices.DeleteFunc(slices.Clone(s.traces[q.Trace]), func(r *Run) bool { return !inScope(r) })
		slices.SortFunc(list, order)
		lists = [][]*Run{list}
	default:
		for _, p := range s.projects {
			if len(q.Projects) == 0 || slices.Contains(q.Projects, p.ID) {
				lists = append(lists, p.runs)
			}
		}
	}
	for i, list := range lists {
		lists[i] = q.slice(list)
	}
	return lists
}

// slice cuts a sorted list down to the window and to what lies behind the cursor.
func (q *Query) slice(list []*Run) []*Run {
	at := func(p Position) int {
		i, _ := slices.BinarySearchFunc(list, p, func(r *Run, p Position) int {
			if c := cmp.Compare(r.Start, p.Start); c != 0 {
				return c
			}
			return bytes.Compare(r.ID[:], p.ID[:])
		})
		return i
	}
	lo, hi := 0, len(list)
	if q.MinStart != 0 {
		lo = at(Position{Start: q.MinStart})
	}
	if q.MaxStart != 0 {
		hi = at(Position{Start: q.MaxStart})
	}
	if q.After != nil {
		i := at(*q.After)
		if q.Ascending {
			if i < len(list) && list[i].Start == q.After.Start && list[i].ID == q.After.ID {
				i++
			}
			lo = max(lo, i)
		} else {
			hi = min(hi, i)
		}
	}
	if lo >= hi {
		return nil
	}
	return list[lo:hi]
}

// next takes the first run in order off the lists.
func next(lists [][]*Run, ascending bool) *Run {
	best := -1
	var run *Run
	for i, l := range lists {
		if len(l) == 0 {
			continue
		}
		c := l[len(l)-1]
		if ascending {
			c = l[0]
		}
		if run == nil || (order(c, run) < 0) == ascending {
			best, run = i, c
		}
	}
	if best < 0 {
		return nil
	}
	if l := lists[best]; ascending {
		lists[best] = l[1:]
	} else {
		lists[best] = l[:len(l)-1]
	}
	return run
}

// MatchName reports whether a name passes the two name parameters that listings have.
func MatchName(name, exact, contains string) bool {
	return (exact == "" || name == exact) &&
		(contains == "" || strings.Contains(strings.ToLower(name), strings.ToLower(contains)))
}
