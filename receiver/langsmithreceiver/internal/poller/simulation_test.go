package poller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// row is a run as it happens on the server.
type row struct {
	project, id          langsmith.UUID
	start, arrives, ends time.Time // ends is zero for a run that never ends
	priced               time.Time
	edited               time.Time // zero for never
	repriced             time.Time // zero for never
	tags                 string
	// kind is that of a model call unless it is set.
	kind   langsmith.RunType
	parent langsmith.UUID
}

// at is what the API tells of the run.
func (r *row) at(now time.Time) langsmith.Run {
	run := langsmith.Run{
		ID: r.id, TraceID: r.id, ParentID: r.parent, ProjectID: r.project, Name: langsmith.Text("ChatModel"), RunType: langsmith.RunTypeLLM,
		Start: langsmith.TimeOf(r.start), Status: langsmith.StatusPending, Tags: langsmith.Raw(r.tags),
	}
	if r.kind != langsmith.RunTypeUnknown {
		run.RunType = r.kind
	}
	if !r.edited.IsZero() && !r.edited.After(now) {
		run.Tags = langsmith.Raw(`["edited"]`)
	}
	if r.ends.IsZero() || r.ends.After(now) {
		return run
	}
	run.End, run.Status = langsmith.TimeOf(r.ends), langsmith.StatusSuccess
	if !r.priced.After(now) {
		run.TotalTokens, run.TotalCost = langsmith.Count{Value: 5, Valid: true}, langsmith.Number{Value: 1, Valid: true}
	}
	if !r.repriced.IsZero() && !r.repriced.After(now) {
		run.TotalTokens, run.TotalCost = langsmith.Count{Value: 7, Valid: true}, langsmith.Number{Value: 1.25, Valid: true}
	}
	return run
}

// server is a LangSmith in memory, with the faults of a real one.
type server struct {
	mu       sync.Mutex
	projects []langsmith.Project
	rows     []row
	pageSize int
	latency  time.Duration
	api      langsmith.APIVersion
	// delay is the latency of a request, if it is set, and deaf lets it ignore its page cursor.
	delay func(q langsmith.RunQuery) time.Duration
	deaf  func(q langsmith.RunQuery) bool
	// fault decides about a request: an error, and after how many rows it strikes; -1 for before the first.
	fault   func(q langsmith.RunQuery) (int, error)
	list    func() error // decides about a request for the projects
	queries int
	counts  int
	sums    int
	// noStats is what a count or a sum fails with, and statsFault decides about one of them.
	noStats    error
	statsFault func(q langsmith.CountQuery) error
	// distort makes sums other ones than those of the runs.
	distort func(*langsmith.UsageSum)

	index   map[langsmith.UUID][]indexed
	indexed int // how many rows are in the index
}

// indexed is a row with its start as the API tells it.
type indexed struct {
	start langsmith.Time
	row   int
}

// find returns the rows of a project that are visible in a window, oldest first. It needs mu.
func (s *server) find(project langsmith.UUID, from, to langsmith.Time, ids []langsmith.UUID) []*row {
	if s.indexed != len(s.rows) {
		s.index, s.indexed = map[langsmith.UUID][]indexed{}, len(s.rows)
		for i, r := range s.rows {
			s.index[r.project] = append(s.index[r.project], indexed{langsmith.TimeOf(r.start), i})
		}
		for _, of := range s.index {
			slices.SortStableFunc(of, func(a, b indexed) int { return cmp.Compare(a.start, b.start) })
		}
	}
	of := s.index[project]
	first, _ := slices.BinarySearchFunc(of, from, func(x indexed, from langsmith.Time) int { return cmp.Compare(x.start, from) })
	now := time.Now()
	var found []*row
	for _, x := range of[first:] {
		if x.start >= to {
			break
		}
		if r := &s.rows[x.row]; !r.arrives.After(now) && (len(ids) == 0 || slices.Contains(ids, r.id)) {
			found = append(found, r)
		}
	}
	return found
}

func (s *server) Detect(context.Context) (langsmith.Server, error) {
	return langsmith.Server{Version: "0.17.0", API: s.api}, nil
}

func (s *server) Projects(context.Context, langsmith.ProjectQuery) ([]langsmith.Project, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list != nil {
		if err := s.list(); err != nil {
			return nil, err
		}
	}
	return slices.Clone(s.projects), nil
}

func (s *server) ValidateFilters(context.Context, langsmith.UUID, string, string, string) error {
	return nil
}

func (s *server) CountRuns(ctx context.Context, q langsmith.CountQuery) (int64, error) {
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts++
	if s.statsFault != nil {
		if err := s.statsFault(q); err != nil {
			return 0, err
		}
	}
	if s.noStats != nil || ctx.Err() != nil {
		return 0, s.noStats
	}
	return int64(len(s.find(q.ProjectID, q.MinStart, q.MaxStart, nil))), nil
}

func (s *server) SumUsage(ctx context.Context, q langsmith.CountQuery) (sum langsmith.UsageSum, err error) {
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sums++
	if s.statsFault != nil {
		if err := s.statsFault(q); err != nil {
			return sum, err
		}
	}
	if s.noStats != nil || ctx.Err() != nil {
		return sum, s.noStats
	}
	sum.Tokens.Valid, sum.Cost.Valid = true, true
	for _, r := range s.find(q.ProjectID, q.MinStart, q.MaxStart, nil) {
		if run := r.at(time.Now()); run.RunType == langsmith.RunTypeLLM {
			sum.Tokens.Value += run.TotalTokens.Value
			sum.Cost.Value += run.TotalCost.Value
		}
	}
	if s.distort != nil {
		s.distort(&sum)
	}
	return sum, nil
}

func (s *server) QueryRuns(ctx context.Context, q langsmith.RunQuery, yield func(*langsmith.Run) error) (langsmith.Page, error) {
	s.mu.Lock()
	latency := s.latency
	if s.delay != nil {
		latency = s.delay(q)
	}
	if s.deaf != nil && s.deaf(q) {
		q.Cursor = ""
	}
	s.mu.Unlock()
	time.Sleep(latency)
	s.mu.Lock()
	s.queries++
	var fault error
	strikes := -1
	if s.fault != nil {
		strikes, fault = s.fault(q)
	}
	found := s.find(q.ProjectID, q.MinStart, q.MaxStart, q.IDs)
	if s.api != langsmith.VersionV1 { // newest first, and those of the same start in the order in which they came
		slices.SortStableFunc(found, func(a, b *row) int { return b.start.Compare(a.start) })
	}
	now := time.Now()
	from, _ := strconv.Atoi(q.Cursor)
	to := min(from+s.pageSize, len(found))
	var rows []row // a test may change those of the server meanwhile
	for _, r := range found[min(from, to):to] {
		rows = append(rows, *r)
	}
	s.mu.Unlock()
	if ctx.Err() != nil {
		return langsmith.Page{}, &langsmith.Error{Op: "query runs", Err: ctx.Err()}
	}
	if fault != nil && strikes < 0 {
		return langsmith.Page{}, fault
	}
	page := langsmith.Page{}
	var run langsmith.Run
	for i, r := range rows {
		if fault != nil && i >= strikes {
			return page, fault
		}
		run = r.at(now)
		if err := yield(&run); err != nil {
			return page, err
		}
		page.Runs++
	}
	if fault != nil {
		return page, fault
	}
	if to < len(found) {
		page.NextCursor = strconv.Itoa(to)
	}
	return page, nil
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// ledger knows what reached the pipeline, and which of it a crash now may repeat: what the pipeline accepted
// since the last checkpoint of the project.
type ledger struct {
	mu        sync.Mutex
	delivered map[string]int
	mayRepeat map[string]int
	starts    map[string]langsmith.Time
	unstored  map[string][]string // by project
	// latest is the last batch of each project.
	latest map[string][]string
	// unfinished is how many of the delivered spans were given up.
	unfinished int
}

func newLedger() *ledger {
	return &ledger{delivered: map[string]int{}, mayRepeat: map[string]int{}, starts: map[string]langsmith.Time{}, unstored: map[string][]string{}, latest: map[string][]string{}}
}

func (l *ledger) accept(traces ptrace.Traces) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, rs := range traces.ResourceSpans().All() {
		project, _ := rs.Resource().Attributes().Get("langsmith.project.id")
		from := len(l.unstored[project.Str()])
		defer func() { l.latest[project.Str()] = slices.Clone(l.unstored[project.Str()][from:]) }()
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			id, _ := span.Attributes().Get("langsmith.run.id")
			l.delivered[id.Str()]++
			l.starts[id.Str()] = langsmith.Time(span.StartTimestamp())
			l.unstored[project.Str()] = append(l.unstored[project.Str()], id.Str())
			if _, ok := span.Attributes().Get("langsmith.run.unfinished"); ok {
				l.unfinished++
			}
		}
	}
}

// stored notes a checkpoint of a project. Another lane may have written it before the poller heard that the pipeline
// took the latest batch: what the checkpoint does not hold of that one may still come again.
func (l *ledger) stored(project string, holds func(id string, start langsmith.Time) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unstored, project)
	for _, id := range l.latest[project] {
		if !holds(id, l.starts[id]) {
			l.unstored[project] = append(l.unstored[project], id)
		}
	}
	l.latest[project] = slices.Clone(l.unstored[project])
}

// crashed forgives the repeats that the crash of this moment entails, and returns how many there are.
func (l *ledger) crashed() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ids := range l.unstored {
		for _, id := range ids {
			l.mayRepeat[id]++
			n++
		}
	}
	clear(l.unstored)
	return n
}

// sink is the pipeline.
type sink struct {
	*ledger
	mutates bool
	latency time.Duration
	// before and after run around the acceptance of a batch; an error of before refuses it.
	before func(n int) error
	after  func()
}

func (s *sink) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: s.mutates}
}

func (s *sink) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	time.Sleep(s.latency)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(traces.SpanCount()); err != nil {
			if s.mutates { // a half-processed batch must not be what comes again
				traces.ResourceSpans().RemoveIf(func(ptrace.ResourceSpans) bool { return true })
			}
			return err
		}
	}
	s.accept(traces)
	if after != nil {
		after()
	}
	return nil
}

func (s *sink) set(before func(int) error, after func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// world is a server, a pipeline and a disk, through which pollers come and go.
type world struct {
	t      *testing.T
	server *server
	sink   *sink
	disk   *disk
	cursor cursor.Config
	client *client
	log    *zap.Logger

	mu     sync.Mutex
	status []componentstatus.Status

	lookback  time.Duration
	ahead     func() time.Duration
	selection *Selection
	chance    func() float64

	stop func()
}

func newWorld(t *testing.T) *world {
	all, err := NewSelection([]string{"*"}, nil)
	require.NoError(t, err)
	return &world{
		t:      t,
		server: &server{api: langsmith.VersionV2, pageSize: 50, latency: 100 * time.Millisecond, projects: []langsmith.Project{{ID: projectID(1), Name: "one"}}},
		sink:   &sink{ledger: newLedger(), latency: 5 * time.Millisecond},
		disk:   &disk{values: map[string][]byte{}},
		cursor: cursor.Config{
			Interval: 30 * time.Second, Lookback: 15 * time.Minute, Settle: time.Minute, PendingTimeout: 2 * time.Hour, WindowPages: 4,
		},
		log: zap.NewNop(), lookback: time.Hour, selection: all,
	}
}

func (w *world) settings() Settings {
	builder, err := metadata.NewTelemetryBuilder(componenttest.NewNopTelemetrySettings())
	require.NoError(w.t, err)
	w.client = &client{disk: w.disk, ledger: w.sink.ledger}
	return Settings{
		Source: w.server, Consumer: w.sink, Storage: w.client, StorageID: "disk", Meters: NewMeters(builder, "langsmith"),
		Logger: w.log, Status: func(e *componentstatus.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.status = append(w.status, e.Status())
		},
		Selection: w.selection, Cursor: w.cursor, InitialLookback: w.lookback, Fingerprint: "same", Origin: "here", Chance: w.chance, Ahead: w.ahead,
	}
}

func (w *world) start() { w.startWith(nil) }

// startWith starts a poller whose storage client was changed.
func (w *world) startWith(change func(*client)) {
	settings := w.settings()
	if change != nil {
		change(w.client)
	}
	p, err := New(w.t.Context(), settings)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-done
	}
}

// kill ends the poller without letting it write anything more, and returns how many runs may come again.
func (w *world) kill() int {
	w.client.freeze()
	w.stop()
	return w.sink.crashed()
}

// check requires every run of the server to have gone out once, but for repeats that a crash excuses.
func (w *world) check(seed any) {
	w.t.Helper()
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	lost, repeated := []string{}, []string{}
	for _, r := range w.server.rows {
		id := r.id.String()
		n := w.sink.delivered[id]
		describe := fmt.Sprintf("%s start %s arrives +%s ends +%s: %d times", id[24:], r.start.Format(time.TimeOnly), r.arrives.Sub(r.start), r.ends.Sub(r.start), n)
		if n == 0 {
			lost = append(lost, describe)
		}
		allowed := 1
		for _, change := range []time.Time{r.edited, r.repriced} {
			if w.cursor.EmitUpdates && !change.IsZero() {
				allowed++
			}
		}
		if n > allowed+w.sink.mayRepeat[id] {
			repeated = append(repeated, describe)
		}
	}
	require.Empty(w.t, lost, "seed %v: lost", seed)
	require.Empty(w.t, repeated, "seed %v: repeated", seed)
}

// delivered is how many runs went out.
func (w *world) delivered() int {
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	return len(w.sink.delivered)
}

// queries is how many requests for runs the server got.
func (w *world) queries() int {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	return w.server.queries
}

// lastStatus is what the component reported last.
func (w *world) lastStatus() componentstatus.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.status) == 0 {
		return componentstatus.StatusNone
	}
	return w.status[len(w.status)-1]
}

// total is how many spans went out.
func (w *world) total() (n int) {
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	for _, times := range w.sink.delivered {
		n += times
	}
	return n
}

func (w *world) repeats() (n int) {
	for id := range maps.Keys(w.sink.delivered) {
		n += w.sink.delivered[id] - 1
	}
	return n
}

func projectID(n int) (u langsmith.UUID) {
	u[0], u[15] = 0x6f, byte(n)
	return u
}

func runID(n int) (u langsmith.UUID) {
	u[6] = 0x70
	for i := range 4 {
		u[15-i] = byte(n >> (8 * i))
	}
	return u
}

func status(code int) error { return &langsmith.Error{Op: "query runs", StatusCode: code} }
