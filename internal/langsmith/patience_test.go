package langsmith

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slow is a server whose answer begins and goes on when it is told to.
type slow struct {
	header time.Duration
	parts  []part
}

type part struct {
	after time.Duration
	text  string
	err   error
}

func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := sleepUntil(req.Context(), s.header); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: &slowBody{ctx: req.Context(), parts: s.parts},
	}, nil
}

type slowBody struct {
	ctx   context.Context
	parts []part
}

func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.parts) == 0 {
		return 0, io.EOF
	}
	next := b.parts[0]
	if err := sleepUntil(b.ctx, next.after); err != nil {
		return 0, err
	}
	n := copy(p, next.text)
	if b.parts[0] = (part{text: next.text[n:], err: next.err}); n < len(next.text) {
		return n, nil
	}
	b.parts = b.parts[1:]
	return n, next.err
}

func (b *slowBody) Close() error { return nil }

func sleepUntil(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}

func TestTimeoutIsAboutTheServer(t *testing.T) {
	// Each of these fills the decoder's buffer.
	blank := strings.Repeat(" ", firstBuffer)
	first, more := `{"items":[{"id":"`+runID+`"},`+blank, `{"id":"`+runID+`"},`+blank
	const (
		second = `{"id":"` + middleID + `"}],`
		last   = `"next_cursor":null}`
	)
	for name, tt := range map[string]struct {
		server slow
		yield  time.Duration
		runs   int
		kind   string // of the error, empty for none
		shrink bool
	}{
		"slow pipeline":   {slow{time.Second, []part{{0, first, nil}, {0, more, nil}, {0, second, nil}, {0, last, nil}}}, 10 * time.Minute, 3, "", false},
		"slow but steady": {slow{50 * time.Second, []part{{50 * time.Second, first, nil}, {50 * time.Second, second, nil}, {50 * time.Second, last, nil}}}, 0, 2, "", false},
		"no header":       {slow{time.Hour, nil}, 0, 0, "timeout", true},
		"no body":         {slow{0, []part{{time.Hour, first, nil}}}, 0, 0, "timeout", true},
		"stops halfway":   {slow{0, []part{{0, first, nil}, {time.Hour, second, nil}}}, 2 * time.Minute, 1, "timeout", true},
		"broken off":      {slow{0, []part{{0, first, nil}, {0, "", net.ErrClosed}}}, 0, 1, "unreadable", true},
		"given up on us":  {slow{0, []part{{0, first, nil}, {0, more, nil}, {0, "", net.ErrClosed}}}, 2 * time.Minute, 2, "unreadable", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := NewClient(ClientConfig{
					Endpoint: cloud, APIKey: func() string { return testKey }, HTTP: &http.Client{Transport: tt.server, Timeout: time.Minute},
				})
				require.NoError(t, err)
				c.server, c.detected = Server{API: VersionV2}, time.Now()
				runs := 0
				began := time.Now()
				_, err = c.QueryRuns(t.Context(), testQuery(t), func(*Run) error {
					runs++
					time.Sleep(tt.yield)
					return nil
				})
				assert.Equal(t, tt.runs, runs)
				if tt.kind == "" {
					require.NoError(t, err)
					return
				}
				failed := failureOf(t, err)
				assert.Equal(t, tt.kind, failed.Kind())
				assert.Equal(t, tt.shrink, failed.ShrinkPage())
				assert.True(t, failed.Retryable())
				if tt.kind == "timeout" {
					assert.ErrorContains(t, err, "timeout: nothing came from the server for 1m0s")
					assert.Equal(t, time.Minute+time.Duration(tt.runs)*tt.yield, time.Since(began))
				}
				if !tt.shrink {
					assert.ErrorContains(t, err, "after the pipeline had held it up for 2m0s")
				}
			})
		})
	}
}

func TestACancelledRequestIsNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClient(ClientConfig{
			Endpoint: cloud, APIKey: func() string { return testKey }, HTTP: &http.Client{Transport: slow{header: time.Hour}, Timeout: time.Minute},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = c.Projects(ctx, ProjectQuery{})
		assert.Equal(t, "canceled", failureOf(t, err).Kind())
		assert.True(t, errors.Is(err, context.Canceled))
	})
}
