package langsmithreceiver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/poller"
)

const (
	// stopTimeout bounds how long the elector waits for reading to stop: it gives the lease back afterwards.
	stopTimeout = 10 * time.Second
	// termRetry is how long a leader waits that could not open the storage or read the checkpoint.
	termRetry = 5 * time.Second
	// supersededRetry is how long a leader waits that lost the storage to another collector. If that one leads no
	// more, it has noticed by then.
	supersededRetry = 30 * time.Second
)

// leaderElector is what k8s_leader_elector and extensions like it offer.
type leaderElector interface {
	SetCallBackFuncs(onStartLeading func(context.Context), onStopLeading func())
}

// findElector returns nil when none is configured.
func findElector(host component.Host, id *component.ID) (leaderElector, error) {
	if id == nil {
		return nil, nil
	}
	extension, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("leader_elector: there is no extension %q: define it under extensions and list it in service::extensions", id)
	}
	elector, ok := extension.(leaderElector)
	if !ok {
		return nil, fmt.Errorf("leader_elector: extension %q does not elect leaders: use one such as k8s_leader_elector", id)
	}
	return elector, nil
}

// leadership runs a poller while this collector leads. Each term opens the storage, which the former leader may hold
// until it has stopped, and has a new poller, which reads the checkpoint anew: another leader has gone on meanwhile.
type leadership struct {
	elector  leaderElector
	open     func(context.Context) (storage.Client, error) // returns nil when there is no storage
	settings poller.Settings

	mu     sync.Mutex
	closed bool
	cancel context.CancelFunc // of the term under way, or the last one
	done   chan struct{}      // closed when that term has ended, nil before the first
}

func newLeadership(elector leaderElector, open func(context.Context) (storage.Client, error), settings poller.Settings) *leadership {
	settings.Elected = true
	return &leadership{elector: elector, open: open, settings: settings}
}

// run takes part in the election until the context ends, and until reading has stopped then. Callbacks cannot be taken
// back, so later ones are ignored.
func (l *leadership) run(ctx context.Context) {
	l.settings.Meters.Leading(false)
	l.settings.Status(componentstatus.NewEvent(componentstatus.StatusOK))
	l.settings.Logger.Info("waiting to be elected as the collector that reads LangSmith")
	// An elector may call back at once.
	l.elector.SetCallBackFuncs(l.start, l.stop)
	<-ctx.Done()
	l.mu.Lock()
	l.closed = true
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if done != nil {
		cancel()
		<-done
	}
}

// start begins a term. The elector calls it with its lock held, and may do so late: when a term was very short, after
// its end, which the context tells.
func (l *leadership) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || ctx.Err() != nil {
		return
	}
	before := l.done
	if before != nil {
		l.cancel()
	}
	done := make(chan struct{})
	ctx, l.cancel = context.WithCancel(ctx)
	l.done = done
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		l.term(ctx)
	}()
}

// stop ends a term. The elector also calls it when there is none.
func (l *leadership) stop() {
	l.mu.Lock()
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if done == nil {
		return
	}
	cancel()
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
		l.settings.Logger.Warn("reading did not stop in time at the end of leadership; the next leader may repeat a batch")
	}
}

// term reads as long as the context lasts.
func (l *leadership) term(ctx context.Context) {
	told := ""
	for ctx.Err() == nil {
		retry, err := supersededRetry, l.read(ctx)
		if err != nil && ctx.Err() == nil {
			retry = termRetry
			if err.Error() != told {
				told = err.Error()
				l.settings.Logger.Warn("this collector leads and cannot use the checkpoint, so nothing is read yet; trying again "+
					"(a storage that only one process may open is free once the former leader has stopped)", zap.Error(err))
				l.settings.Status(componentstatus.NewRecoverableErrorEvent(err))
			}
		}
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if !closed { // waiting for the next term is no error
		l.settings.Status(componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// read reads until the context ends, or another collector has taken over the storage.
func (l *leadership) read(ctx context.Context) error {
	settings := l.settings
	client, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := closeStorage(client); err != nil {
			l.settings.Logger.Warn("closing the storage failed", zap.Error(err))
		}
	}()
	settings.Storage = client
	p, err := poller.New(ctx, settings)
	if err != nil {
		return err
	}
	l.settings.Meters.Leading(true)
	l.settings.Logger.Info("this collector reads LangSmith now")
	p.Run(ctx)
	l.settings.Meters.Leading(false)
	l.settings.Logger.Info("this collector does not read LangSmith any more")
	return nil
}
