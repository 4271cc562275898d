package poller

import (
	"context"
	"sync"
)

// gate is closed while somebody waits for the pipeline to take what it refused. The zero value is open.
type gate struct {
	mu      sync.Mutex
	blocked int
	opened  chan struct{}
}

func (g *gate) block() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.blocked++; g.blocked == 1 {
		g.opened = make(chan struct{})
	}
}

func (g *gate) unblock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.blocked--; g.blocked == 0 {
		close(g.opened)
	}
}

// open waits until nobody blocks, or returns false when the context ends first.
func (g *gate) open(ctx context.Context) bool {
	for {
		g.mu.Lock()
		blocked, opened := g.blocked > 0, g.opened
		g.mu.Unlock()
		if !blocked {
			return ctx.Err() == nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return false
		}
	}
}
