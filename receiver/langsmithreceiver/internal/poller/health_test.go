package poller

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// told returns what a health reported, one line for each event, and forgets it.
func told(events *[]*componentstatus.Event) (lines []string) {
	for _, e := range *events {
		line := e.Status().String()
		if e.Err() != nil {
			line += " " + e.Err().Error()
		}
		lines = append(lines, line)
	}
	*events = nil
	return lines
}

// TestTheStatusNamesWhatIsWrongNow checks that a problem of another kind or another project is news, that one that
// only words itself differently is told now and then, and that the worst one is named.
func TestTheStatusNamesWhatIsWrongNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []*componentstatus.Event
		h := newHealth(zap.NewNop(), func(e *componentstatus.Event) { events = append(events, e) })
		h.resolved("api", "works")
		h.resolved("api", "works")
		assert.Equal(t, []string{"StatusOK"}, told(&events))

		one, two := zap.String("project", "one"), zap.String("project", "two")
		h.problem("project 1", "may not be read", errors.New("403"), false, one)
		h.problem("project 1", "may not be read", errors.New("404"), false, one)
		assert.Equal(t, []string{`StatusRecoverableError may not be read (project "one"): 403`}, told(&events))
		time.Sleep(2 * time.Minute)
		h.problem("project 1", "may not be read", errors.New("404"), false, one)
		assert.Equal(t, []string{`StatusRecoverableError may not be read (project "one"): 404`}, told(&events))
		h.problem("project 1", "request is invalid", errors.New("422"), false, one)
		assert.Equal(t, []string{`StatusRecoverableError request is invalid (project "one"): 422`}, told(&events), "another kind")
		h.problem("project 2", "may not be read", errors.New("403"), false, two)
		assert.Empty(t, told(&events), "told when the details are refreshed")
		h.resolved("project 1", "works")
		assert.Equal(t, []string{`StatusRecoverableError may not be read (project "two"): 403`}, told(&events), "another project")
		h.problem("api", "refused", errors.New("401"), true)
		assert.Equal(t, []string{`StatusPermanentError refused: 401 (and 1 more)`}, told(&events))
		h.resolved("project 2", "works")
		h.resolved("api", "works")
		assert.Equal(t, []string{"StatusOK"}, told(&events))

		h.silence()
		h.problem("api", "refused", errors.New("401"), true)
		assert.Empty(t, told(&events))
	})
}

// TestAStatusThatBlocksHoldsNobodyUp checks that reports leave the lock alone, come in order, and skip what is outdated.
func TestAStatusThatBlocksHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []*componentstatus.Event
		goOn := make(chan struct{})
		h := newHealth(zap.NewNop(), func(e *componentstatus.Event) {
			<-goOn
			events = append(events, e)
		})
		var wait sync.WaitGroup
		wait.Go(func() { h.problem("api", "first", errors.New("no"), false) })
		synctest.Wait()
		h.problem("api", "second", errors.New("no"), false)
		h.problem("api", "third", errors.New("no"), false)
		silent := make(chan struct{})
		goOn <- struct{}{}
		synctest.Wait()
		go func() { h.silence(); close(silent) }()
		synctest.Wait()
		select {
		case <-silent:
			t.Fatal("a report is still on its way")
		default:
		}
		close(goOn)
		<-silent
		wait.Wait()
		h.problem("api", "fourth", errors.New("no"), false)
		assert.Equal(t, []string{"StatusRecoverableError first: no", "StatusRecoverableError third: no"}, told(&events))
	})
}

// TestAFullDisk checks that checkpoints that cannot be written are told once, however many projects there are, show in
// the status, and are made up for.
func TestAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		w := newWorld(t)
		w.log = zap.New(core)
		for n := range 4 {
			w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(n + 2), Name: fmt.Sprint("project ", n+2)})
		}
		for n := range 600 {
			start := time.Now().Add(time.Duration(n) * 3 * time.Second)
			w.server.rows = append(w.server.rows, row{project: projectID(n%5 + 1), id: runID(n + 1), start: start, arrives: start, ends: start, priced: start})
		}
		w.start()
		time.Sleep(2 * time.Minute)
		w.client.breaks(func() error { return fmt.Errorf("write checkpoint: %w", syscall.ENOSPC) })
		before := w.delivered()
		time.Sleep(9 * time.Minute)
		assert.Equal(t, componentstatus.StatusRecoverableError, w.lastStatus())
		assert.Greater(t, w.delivered(), before+100, "the reading goes on")
		warnings := logs.FilterLevelExact(zap.WarnLevel).All()
		require.Len(t, warnings, 1)
		assert.Equal(t, "the checkpoint cannot be stored; a restart would repeat runs", warnings[0].Message)
		assert.Equal(t, "write checkpoint: no space left on device", warnings[0].ContextMap()["error"])
		assert.Equal(t, "disk", warnings[0].ContextMap()["storage"])

		w.client.breaks(nil)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, componentstatus.StatusOK, w.lastStatus())
		assert.Len(t, logs.FilterMessage("the checkpoint is stored again").All(), 1)
		assert.Zero(t, w.kill(), "everything is stored now")
		w.start()
		time.Sleep(2 * time.Hour)
		w.stop()
		w.check("full disk")
		assert.Zero(t, w.repeats())
		assert.Len(t, logs.FilterLevelExact(zap.WarnLevel).All(), 1)
	})
}
