package langsmithreceiver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/poller"
)

const (
	// stopTimeout bounds how long the elector waits for reading to stop: it gives the lease back afterwards.
	stopTimeout = 10 * time.Second
	// termRetry is how long a leader waits that could not read the checkpoint.
	termRetry = 5 * time.Second
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

// leadership runs a poller while this collector leads. Each term is a new poller, which reads the checkpoint anew:
// another leader has gone on meanwhile.
type leadership struct {
	elector  leaderElector
	settings poller.Settings

	mu     sync.Mutex
	closed bool
	cancel context.CancelFunc // of the term under way, or the last one
	done   chan struct{}      // closed when that term has ended, nil before the first
}

func newLeadership(elector leaderElector, settings poller.Settings) *leadership {
	return &leadership{elector: elector, settings: settings}
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

func (l *leadership) term(ctx context.Context) {
	for ctx.Err() == nil {
		p, err := poller.New(ctx, l.settings)
		if err == nil {
			l.settings.Meters.Leading(true)
			l.settings.Logger.Info("this collector reads LangSmith now")
			p.Run(ctx)
			l.settings.Meters.Leading(false)
			l.settings.Logger.Info("this collector does not read LangSmith any more")
			return
		}
		if ctx.Err() == nil {
			l.settings.Logger.Error("the checkpoint cannot be used, so nothing is read; trying again", zap.Error(err))
			l.settings.Status(componentstatus.NewRecoverableErrorEvent(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(termRetry):
		}
	}
}
