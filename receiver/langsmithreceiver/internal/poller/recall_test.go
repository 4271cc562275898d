package poller

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// steadily adds runs that can be read as soon as they start, one every ten seconds.
func (w *world) steadily(n int) {
	for i := range n {
		start := time.Now().Add(time.Duration(i) * 10 * time.Second)
		w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(i + 1), start: start, arrives: start, ends: start, priced: start})
	}
}

// TestTheStorageLosesIDsThatAreNotInMemory empties the storage of a poller that has ids nowhere else: nothing goes out
// twice, what comes later is read, and the log tells once.
func TestTheStorageLosesIDsThatAreNotInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cursor.ResidentBytes = -1
		core, logs := observer.New(zap.WarnLevel)
		w.log = zap.New(core)
		w.steadily(600)
		w.start()
		time.Sleep(25 * time.Minute)
		w.disk.mu.Lock()
		clear(w.disk.values)
		w.disk.mu.Unlock()
		time.Sleep(25 * time.Minute)
		assert.Zero(t, w.kill())
		w.start()
		time.Sleep(3 * time.Hour)
		w.stop()
		w.check("emptied")
		assert.Zero(t, w.repeats())
		assert.Len(t, logs.FilterMessageSnippet("storage lost ids").All(), 1)
		_, bytes := w.disk.size()
		assert.Less(t, bytes, 2000, "what was lost is not forgotten")
	})
}

// TestTheStorageCannotBeRead lets reads of the storage fail for a while: the live window goes on, what needs ids waits, and
// late runs are found afterwards, once.
func TestTheStorageCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cursor.ResidentBytes = -1
		w.steadily(600)
		late := row{project: projectID(1), id: runID(1000), start: time.Now().Add(20 * time.Minute)}
		late.arrives = late.start.Add(8 * time.Minute)
		late.ends, late.priced = late.start, late.start
		w.server.rows = append(w.server.rows, late)
		w.start()
		time.Sleep(25 * time.Minute)
		w.client.breaksReads(func() error { return errors.New("does not answer") })
		before := w.delivered()
		time.Sleep(8 * time.Minute)
		assert.Greater(t, w.delivered(), before+30, "the live window stands still")
		w.client.breaksReads(nil)
		time.Sleep(3 * time.Hour)
		w.stop()
		w.check("unreadable")
		assert.Zero(t, w.repeats())
	})
}
