package llmmetrics_test

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// memory is a storage extension that keeps everything in memory, and the host that has it.
type memory struct {
	component.StartFunc
	component.ShutdownFunc

	mu     sync.Mutex
	values map[string][]byte
}

func (m *memory) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("memory"): m}
}

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *memory) Set(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return nil
}

func (m *memory) Batch(ctx context.Context, operations ...*storage.Operation) error {
	for _, o := range operations {
		switch o.Type {
		case storage.Get:
			o.Value, _ = m.Get(ctx, o.Key)
		case storage.Set:
			_ = m.Set(ctx, o.Key, o.Value)
		case storage.Delete:
			_ = m.Delete(ctx, o.Key)
		}
	}
	return nil
}

func (*memory) Close(context.Context) error { return nil }
