package poller

import (
	"context"
	crypto "crypto/rand"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

// Source is what is needed of the LangSmith client.
type Source interface {
	Detect(ctx context.Context) (langsmith.Server, error)
	Projects(ctx context.Context, q langsmith.ProjectQuery) ([]langsmith.Project, error)
	QueryRuns(ctx context.Context, q langsmith.RunQuery, yield func(*langsmith.Run) error) (langsmith.Page, error)
	CountRuns(ctx context.Context, q langsmith.CountQuery) (int64, error)
	SumUsage(ctx context.Context, q langsmith.CountQuery) (langsmith.UsageSum, error)
	ValidateFilters(ctx context.Context, projectID langsmith.UUID, filter, traceFilter, treeFilter string) error
}

// Settings is what a poller works with.
type Settings struct {
	Source Source
	// Budget returns what bounds the requests of Source at present; it is only looked at. The function may be nil.
	Budget func() *langsmith.Budget
	// Ahead returns how far this machine's clock is ahead of the server's, negative when it is behind. It may be nil.
	Ahead func() time.Duration
	// Consumer is the pipeline. It has to tell permanent errors, see consumererror.
	Consumer consumer.Traces
	// Storage keeps checkpoints; nil keeps none.
	Storage storage.Client
	// StorageID names the storage in errors.
	StorageID string
	// Elected says that this poller may come back when another one has taken over the storage.
	Elected   bool
	Translate translate.Settings
	Meters    *Meters
	Logger    *zap.Logger
	// Status reports the component's status; it is not called after [Poller.Run] has returned.
	Status func(*componentstatus.Event)

	Selection   *Selection
	Experiments bool
	// Filter, TraceFilter and TreeFilter narrow what is read.
	Filter, TraceFilter, TreeFilter string
	Cursor                          cursor.Config
	// InitialLookback is how far the first start reads back, unless StartTime is set.
	InitialLookback time.Duration
	StartTime       langsmith.Time
	// Fingerprint stands for the configuration that decides which runs are read.
	Fingerprint string
	// Origin stands for the part of it that says whose runs those are: endpoint and workspace. What was stored for
	// another one is not used. Empty leaves that unknown.
	Origin string
	// Endpoint is what messages say of where LangSmith is.
	Endpoint string
	// APIVersion is the version of the API that the configuration asks for.
	APIVersion langsmith.APIVersion
	// KeyCanChange says that a refused key is not the end: it may be replaced while running.
	KeyCanChange bool
	// Shard is the part of the projects to read.
	Shard Shard
	// ProjectLabel adds metrics that name projects.
	ProjectLabel bool
	// Chance returns numbers in [0,1), concurrently; nil means random ones.
	Chance func() float64
}

const (
	// concurrency bounds the pages that are read at the same time, and backgroundConcurrency those of them that
	// catch up. They are enough to use v2's request budget when an answer takes half a second and more.
	concurrency           = 32
	backgroundConcurrency = 24
	// Pages with content are large: there are fewer of them in memory at a time.
	contentConcurrency           = 10
	contentBackgroundConcurrency = 8
	// discoveryInterval is the least time between two looks at the list of projects.
	discoveryInterval = time.Minute
	// absences is how many lists in a row a project must be missing from before it is not read any more: a list
	// that is paged while projects come and go may leave one out.
	absences = 3
	// storeRetry is the time between two attempts to have a storage hold all that it should.
	storeRetry = 5 * time.Second
	// saveTimeout bounds the last checkpoint, whose context must not be one that has ended already.
	saveTimeout = 5 * time.Second
)

// Poller reads all projects of one server.
type Poller struct {
	Settings
	header header
	// foreign says that what is stored for projects is of another origin.
	foreign bool
	owner   ownership
	// former are the keys of what an earlier poller stored.
	former []string
	// complete says that all that counts is stored by this poller: it is one more than the losses of the storage so far.
	complete int
	health   *health
	slots    chan struct{} // places for pages
	bulk     chan struct{} // places for pages in the background
	pipeline gate

	mu      sync.Mutex
	workers map[langsmith.UUID]*worker
	wait    sync.WaitGroup

	// over is closed once a newer poller uses the storage.
	over       chan struct{}
	giveUp     func()
	superseded sync.Once

	deprecated atomic.Int64
	// uncounted says that LangSmith does not tell how many runs there are, and unsummed that it does not sum their usage.
	uncounted, unsummed atomic.Bool
	allowance           allowance
	validated           bool
	badFilter           atomic.Bool // LangSmith refused one, and that was said
	unmatched           []string    // projects that were announced as such
	api                 langsmith.APIVersion
}

// New returns a poller that goes on where storage says that an earlier one stopped. It makes no request.
func New(ctx context.Context, settings Settings) (*Poller, error) {
	p := &Poller{
		Settings: settings,
		health:   newHealth(settings.Logger, settings.Status),
		slots:    make(chan struct{}, concurrency),
		bulk:     make(chan struct{}, backgroundConcurrency),
		workers:  map[langsmith.UUID]*worker{},
		over:     make(chan struct{}),
	}
	p.giveUp = sync.OnceFunc(func() { close(p.over) })
	if settings.Translate.Capture == translate.CaptureFull {
		p.slots, p.bulk = make(chan struct{}, contentConcurrency), make(chan struct{}, contentBackgroundConcurrency)
	}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	if len(p.workers) == 0 { // otherwise reading began with what is stored
		p.header.StartTime = p.StartTime
	} else {
		p.saveHeader(ctx)
	}
	return p, settings.Meters.observe(p.gauges)
}

// Run reads until the context ends, and then stores how far it came. It also ends when a newer poller has begun to use
// the same storage.
func (p *Poller) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.wait.Go(func() {
		defer cancel()
		select {
		case <-p.over:
		case <-ctx.Done():
		}
	})
	failures := backoff{first: time.Second, most: time.Minute}
	var throttling throttling
	for ctx.Err() == nil {
		err := p.discover(ctx)
		if ctx.Err() != nil {
			break
		}
		pause := max(discoveryInterval, p.Cursor.Interval)
		normal := throttling.ended(err, time.Now())
		if err != nil {
			if !normal {
				p.complain("api", "", "LangSmith cannot be read; trying again", err)
			}
			pause = failures.next(retryAfter(err), p.chance())
		} else {
			failures.reset()
		}
		p.rest(ctx, pause)
	}
	p.health.silence()
	p.wait.Wait()

	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer stop()
	for _, w := range p.snapshot() {
		w.save(ctx)
		w.unstored.Store(0) // what is not stored now stays so
	}
	if p.complete == 0 && len(p.workers) == 0 { // LangSmith could not be read, so there was nothing to store
		p.forgo(ctx)
	}
	last := p.gauges()
	_ = p.Meters.observe(func() gauges { return last }) // so that what this one remembers can be given back
}

// rest waits, and meanwhile tries to store what does not count before it is complete.
func (p *Poller) rest(ctx context.Context, pause time.Duration) {
	for ; pause > storeRetry && !p.stored(); pause -= storeRetry {
		if !sleep(ctx, storeRetry) {
			return
		}
		p.saveHeader(ctx)
	}
	sleep(ctx, pause)
}

// stored reports whether the header is stored, or not to be stored before there are projects.
func (p *Poller) stored() bool {
	_, losses, _ := p.owner.state()
	return p.Storage == nil || p.complete == losses+1 || p.header.Listed == 0
}

// discover looks which projects there are, and starts to read those that are new.
func (p *Poller) discover(ctx context.Context) error {
	server, err := p.Source.Detect(ctx)
	if err != nil {
		return err
	}
	asked := p.now()
	projects, err := p.Source.Projects(ctx, langsmith.ProjectQuery{Experiments: p.Experiments})
	if err != nil {
		return err
	}
	p.announce(server) // not before it is known to be a LangSmith at all
	p.health.resolved("api", "LangSmith can be read again")
	p.compareClocks()
	projects = slices.DeleteFunc(projects, func(project langsmith.Project) bool {
		return project.ID.IsZero() || (!p.Experiments && !project.ReferenceDatasetID.IsZero())
	})
	p.announceUnmatched(projects)

	chosen := map[langsmith.UUID]langsmith.Project{}
	for _, project := range projects {
		if p.Selection.Chosen(project) && p.Shard.Holds(project.ID) {
			chosen[project.ID] = project
		}
	}
	if !p.validated && len(chosen) > 0 && p.Filter+p.TraceFilter+p.TreeFilter != "" {
		p.validate(ctx, slices.MinFunc(slices.Collect(maps.Keys(chosen)), compareIDs))
	}
	p.admit(ctx, chosen, asked)
	p.retire(chosen)
	return nil
}

// announce tells about the server once, and again when it speaks another version of the API.
func (p *Poller) announce(server langsmith.Server) {
	if p.api == server.API {
		return
	}
	p.api = server.API
	fields := []zap.Field{zap.String("server_version", server.Version), zap.Stringer("api_version", server.API)}
	if server.API != langsmith.VersionV1 {
		p.deprecated.Store(0)
		p.Logger.Info("connected to LangSmith", fields...)
		return
	}
	p.deprecated.Store(1)
	if p.APIVersion == langsmith.VersionV1 {
		p.Logger.Warn("api_version: v1 is set; version 1 of the runs API is slow to read and ends with January 2027 in LangSmith Cloud "+
			"and with version 0.18 self-hosted; remove api_version to read by version 2, which is far faster, wherever the server offers it", fields...)
		return
	}
	p.Logger.Warn("this LangSmith server offers only version 1 of the runs API, which is slow to read and ends with January 2027 in LangSmith Cloud "+
		"and with version 0.18 self-hosted; upgrade the server to 0.16 or later", fields...)
}

// announceUnmatched names the projects that were asked for and do not exist (yet), each once.
func (p *Poller) announceUnmatched(projects []langsmith.Project) {
	names := slices.DeleteFunc(p.Selection.Unmatched(projects), func(name string) bool { return slices.Contains(p.unmatched, name) })
	if len(names) > 0 {
		p.unmatched = append(p.unmatched, names...)
		p.Logger.Warn("projects.include names projects that do not exist, or that the key may not see: check the names; "+
			"they are read as soon as they are there", zap.Strings("projects", names))
	}
}

// validate asks LangSmith for its opinion of each filter, so that the one that it refuses can be named.
func (p *Poller) validate(ctx context.Context, project langsmith.UUID) {
	for _, f := range []struct{ key, filter, trace, tree string }{
		{key: "filter", filter: p.Filter}, {key: "trace_filter", trace: p.TraceFilter}, {key: "tree_filter", tree: p.TreeFilter},
	} {
		err := p.Source.ValidateFilters(ctx, project, f.filter, f.trace, f.tree)
		if err != nil && classify(err) == transient {
			return // tried again after the next look at the projects
		}
		if err != nil {
			p.badFilter.Store(true)
			p.health.problem(f.key, fmt.Sprintf("%s: LangSmith refuses %q: correct it and restart", f.key, f.filter+f.trace+f.tree), err, true)
		}
	}
	p.validated = true
}

// admit starts to read projects that are not read yet.
func (p *Poller) admit(ctx context.Context, chosen map[langsmith.UUID]langsmith.Project, asked langsmith.Time) {
	var fresh []*worker
	for id, project := range chosen {
		p.mu.Lock()
		w := p.workers[id]
		p.mu.Unlock()
		if w == nil {
			var state *cursor.Project
			var err error
			if !p.foreign {
				state, err = p.loadProject(ctx, id)
			}
			if err != nil {
				p.health.problem("project "+id.String(), "the checkpoint of a project cannot be used; it is not read", p.unusable(err), false,
					zap.String("project", project.Name))
				continue
			}
			if state == nil {
				state = cursor.New(p.forProject(), p.from(id, asked))
			}
			w = newWorker(p, project, state)
			p.mu.Lock()
			p.workers[id] = w
			p.mu.Unlock()
		}
		w.name.Store(&project.Name)
		w.absent = 0
		if w.stop == nil {
			fresh = append(fresh, w)
		}
	}
	// Where the reading of a project begins is stored before anything is read, so that a restart does not move it.
	p.header.Listed = asked
	p.saveHeader(ctx)
	slices.SortFunc(fresh, func(a, b *worker) int { return compareIDs(a.id, b.id) })
	for _, w := range fresh {
		p.Logger.Info("reading LangSmith project", zap.String("project", *w.name.Load()), zap.Stringer("project_id", w.id),
			zap.Time("from", w.cursor.Safe().AsTime()))
		w.save(ctx)
		var running context.Context
		running, w.stop = context.WithCancel(ctx)
		p.wait.Go(func() { w.loop(running) })
	}
}

// from is where the reading of a project begins that was not read before.
func (p *Poller) from(id langsmith.UUID, now langsmith.Time) langsmith.Time {
	if p.StartTime != 0 {
		return p.StartTime
	}
	from := now.Add(-p.InitialLookback)
	if p.header.Listed != 0 {
		// A project that appeared since the last look is read from there on, however long ago that was.
		from = min(from, p.header.Listed.Add(-p.Cursor.Lookback))
		// One that was there already, and whose beginning could not be stored, began as all did.
		if slices.Contains(p.header.Projects, id.String()) {
			from = min(from, p.header.Listed.Add(-p.InitialLookback))
		}
	}
	return from
}

// retire stops to read projects that are gone. Their state is kept: they may come back.
func (p *Poller) retire(chosen map[langsmith.UUID]langsmith.Project) {
	for _, w := range p.snapshot() {
		if _, ok := chosen[w.id]; ok || w.stop == nil {
			continue
		}
		if w.absent++; w.absent >= absences {
			p.Logger.Info("LangSmith project is gone", zap.String("project", *w.name.Load()), zap.Stringer("project_id", w.id))
			w.stop()
			<-w.done
			w.stop, w.done = nil, make(chan struct{})
			p.health.resolved(w.key(), "project is not read any more", zap.Stringer("project_id", w.id))
		}
	}
}

// forProject is how one project is read. It spreads the reads of many over the interval, and never makes one longer.
func (p *Poller) forProject() cursor.Config {
	cfg := p.Cursor
	_, _ = crypto.Read(cfg.HashKey[:]) // never fails
	cfg.Interval -= time.Duration(p.chance() * 0.1 * float64(cfg.Interval))
	return cfg
}

func (p *Poller) chance() float64 {
	if p.Chance != nil {
		return p.Chance()
	}
	return rand.Float64()
}

func (p *Poller) snapshot() []*worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.workers))
}

func (p *Poller) gauges() gauges {
	g := gauges{deprecated: p.deprecated.Load()}
	now := p.now()
	for _, w := range p.snapshot() {
		if since := langsmith.Time(w.unstored.Load()); since != 0 {
			g.checkpointAge = max(g.checkpointAge, time.Duration(now-since).Seconds())
		}
		if !w.running.Load() {
			continue
		}
		lag := max(time.Duration(now-langsmith.Time(w.safe.Load())).Seconds(), 0)
		g.projects++
		g.lag = max(g.lag, lag)
		g.pending += w.pending.Load()
		g.windows += w.windows.Load()
		if p.ProjectLabel {
			g.lags = append(g.lags, projectLag{*w.name.Load(), lag})
		}
	}
	if p.Budget != nil {
		budget := p.Budget()
		for _, class := range langsmith.Classes {
			g.used = append(g.used, budget.Used(class))
		}
	}
	return g
}

func compareIDs(a, b langsmith.UUID) int { return slices.Compare(a[:], b[:]) }
