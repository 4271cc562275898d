package poller

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// recorded answers every query with the same page, under new ids.
type recorded struct {
	*server
	body    []byte
	decoder *langsmith.Decoder
	n       uint64
	now     langsmith.Time
}

func (s *recorded) QueryRuns(_ context.Context, _ langsmith.RunQuery, yield func(*langsmith.Run) error) (langsmith.Page, error) {
	return s.decoder.Decode(bytes.NewReader(s.body), func(run *langsmith.Run) error {
		s.n++
		binary.BigEndian.PutUint64(run.ID[:], s.n)
		run.Start, run.End = s.now-1_000_000_000, s.now
		return yield(run)
	})
}

type discard struct{ mutates bool }

func (d discard) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: d.mutates}
}

func (discard) ConsumeTraces(context.Context, ptrace.Traces) error { return nil }

// BenchmarkPage measures a page of 500 runs from bytes to the pipeline, with checkpoints. A pipeline that changes
// its data gets a copy.
func BenchmarkPage(b *testing.B) {
	const runs = 500
	for _, class := range []string{"1k", "5k", "50k"} {
		for name, mutates := range map[string]bool{"": false, "/mutating": true} {
			b.Run(class+name, func(b *testing.B) {
				w := newWorld(new(testing.T))
				s := w.settings()
				s.Logger, s.Consumer = zap.NewNop(), discard{mutates}
				source := &recorded{server: w.server, body: langsmithtest.PageV2(class, 1, runs), decoder: langsmith.NewDecoder(0), now: 1_700_000_000_000_000_000}
				s.Source = source
				p, err := New(b.Context(), s)
				require.NoError(b, err)
				b.SetBytes(int64(len(source.body)))
				b.ReportAllocs()
				n := 0
				var l *lane
				for b.Loop() {
					if n++; n%100 == 1 { // what is remembered stays small
						l = &lane{worker: newWorker(p, langsmith.Project{ID: projectID(1), Name: "one"}, cursor.New(s.Cursor, source.now-60_000_000_000)), batch: batch{keep: mutates}}
					}
					task := l.cursor.Urgent(source.now)
					if _, err := l.page(b.Context(), task, ""); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/runs, "ns/run")
			})
		}
	}
}
