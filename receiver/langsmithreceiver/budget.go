package langsmithreceiver

import (
	"sync"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// keyBudget is the request budget that all users of a key share. When the key is replaced, it becomes that of the new
// one. It is safe for concurrent use.
type keyBudget struct {
	endpoint string
	shares   int

	mu     sync.Mutex
	key    string
	budget *langsmith.Budget
	closed bool
}

func newKeyBudget(endpoint string, shares int, key string) *keyBudget {
	return &keyBudget{endpoint: endpoint, shares: shares, key: key, budget: langsmith.SharedBudget(endpoint, langsmith.KeyHash(key), shares)}
}

// of returns the budget of a key, which is the one in use from now on. Those who wait for the former one go on to.
func (b *keyBudget) of(key string) *langsmith.Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	if key != b.key && !b.closed {
		former := b.budget
		b.key, b.budget = key, langsmith.SharedBudget(b.endpoint, langsmith.KeyHash(key), b.shares)
		langsmith.ReleaseBudget(former)
	}
	return b.budget
}

func (b *keyBudget) current() *langsmith.Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.budget
}

// release gives the budget back. It may still be looked at.
func (b *keyBudget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		langsmith.ReleaseBudget(b.budget)
	}
}
