// Package sim puts the simulator together: a store, the traffic that fills it, and the API that tells of it.
package sim

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/api"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/faults"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/ingest"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/traffic"
)

// Config says what is simulated.
type Config struct {
	Traffic traffic.Config
	History traffic.History
	Rate    float64 // traces per second; zero for none
	V1, V2  bool
	Version string // of the server; empty for one that fits V1 and V2
	Key     string
	Limit   bool // enforce the published rate limits
	// Start is the time up to which history reaches; zero means now.
	Start time.Time
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// tenant is the workspace of every simulation.
var tenant = store.UUID{0x17, 0x38, 0xf7, 0xd9, 0x3d, 0x9c, 0x47, 0x24, 0x91, 0xe2, 0x0b, 0x8f, 0x6b, 0x0d, 0x54, 0x9b}

// Sim is a running simulation. It is safe for concurrent use.
type Sim struct {
	cfg    Config
	Store  *store.Store
	Faults *faults.List
	Server *api.Server
	// History is the number of runs that were there at the start.
	History int

	mu   sync.Mutex // guards what follows
	gen  *traffic.Generator
	rate float64
	next int64 // start of the next live trace
}

// New makes a simulation with its history. Live traffic needs [Sim.Run].
func New(cfg Config) *Sim {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Start.IsZero() {
		cfg.Start = cfg.Now()
	}
	if cfg.Version == "" {
		switch {
		case cfg.V1 && cfg.V2:
			cfg.Version = "0.16.20"
		case cfg.V1:
			cfg.Version = "0.13.5"
		default:
			cfg.Version = "0.18.2"
		}
	}
	s := &Sim{cfg: cfg, Store: store.New(tenant), Faults: faults.NewList(cfg.Traffic.Seed), rate: cfg.Rate}
	start := cfg.Start.UnixMicro()
	s.gen = traffic.New(cfg.Traffic, s.Store, start-30*24*3_600_000_000)
	s.History = s.gen.History(cfg.History, cfg.Rate, start)
	s.next = start
	in := ingest.New(s.Store, cfg.Now)
	s.Server = api.New(api.Config{V1: cfg.V1, V2: cfg.V2, Version: cfg.Version, Key: cfg.Key, RateLimit: cfg.Limit, Now: cfg.Now}, s.Store, s.Faults, in.Mount)
	return s
}

// Advance adds the live traces that have started by now.
func (s *Sim) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now().UnixMicro()
	for s.rate > 0 && s.next <= now {
		s.next += s.gen.Live(s.next, s.rate)
	}
}

// SetRate changes the number of traces per second from now on; zero stops new ones.
func (s *Sim) SetRate(rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rate == 0 {
		s.next = s.cfg.Now().UnixMicro()
	}
	s.rate = rate
}

// Run keeps the traffic going until the context ends.
func (s *Sim) Run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Advance()
		}
	}
}

// Handler answers the API and, under /admin/, questions about the simulation.
func (s *Sim) Handler() http.Handler {
	admin := s.admin()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/admin/") {
			admin.ServeHTTP(w, r)
			return
		}
		s.Server.ServeHTTP(w, r)
	})
}
