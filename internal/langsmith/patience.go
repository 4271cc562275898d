package langsmith

import (
	"context"
	"fmt"
	"io"
	"time"
)

// patience bounds how long a request waits for the server: for the header of the answer, and then for each part of its
// body. The time that a reader takes between two parts does not count: a pipeline that is slow is no failure of the
// server. It is used by one goroutine at a time.
type patience struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil without a limit
	limit  time.Duration
}

// newPatience begins to wait. The request has to use the context, and [patience.end] is due in the end.
func newPatience(ctx context.Context, limit time.Duration) *patience {
	p := &patience{limit: limit}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	if limit > 0 {
		p.timer = time.AfterFunc(limit, func() { p.cancel(&stalledError{limit}) })
	}
	return p
}

// resume goes on waiting, and pause stops to.
func (p *patience) resume() {
	if p.timer != nil {
		p.timer.Reset(p.limit)
	}
}

func (p *patience) pause() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

func (p *patience) end() {
	p.pause()
	p.cancel(nil)
}

// explain replaces an error that the end of the patience has caused.
func (p *patience) explain(err error) error {
	if stalled, ok := context.Cause(p.ctx).(*stalledError); ok && err != nil && err != io.EOF {
		return stalled
	}
	return err
}

// patientBody is a body that is waited for with patience.
type patientBody struct {
	io.ReadCloser
	*patience
	// left is when the last part was handed out, and away the longest time until the next one was asked for.
	left time.Time
	away time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	if !b.left.IsZero() {
		b.away = max(b.away, time.Since(b.left))
	}
	b.resume()
	n, err := b.ReadCloser.Read(p)
	b.pause()
	b.left = time.Now()
	return n, b.explain(err)
}

func (b *patientBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// stalledError says that the server kept the client waiting for too long. It is a [net.Error].
type stalledError struct{ limit time.Duration }

func (e *stalledError) Error() string {
	return fmt.Sprintf("timeout: nothing came from the server for %v", e.limit)
}

// Timeout tells that waiting longer might have helped.
func (e *stalledError) Timeout() bool { return true }

// Temporary tells the same.
func (e *stalledError) Temporary() bool { return true }
