package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestRunServesUntilTheSignal(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	port := filepath.Join(t.TempDir(), "port")
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--history", "200", "--rate", "50", "--port-file", port}, &out, io.Discard)
	}()
	var number []byte
	require.Eventually(t, func() bool {
		number, _ = os.ReadFile(port)
		return len(number) > 0
	}, 10*time.Second, 5*time.Millisecond)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+string(number)+"/info", nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: transport}).Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	cancel()
	require.NoError(t, <-ended)
	assert.Contains(t, out.String(), "listening on http://127.0.0.1:"+string(number))
	transport.CloseIdleConnections()
}

func TestFlags(t *testing.T) {
	o, err := parse([]string{"--history", "50000", "--span", "50m", "--api", "v1"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 50000, o.cfg.History.Runs)
	assert.Zero(t, o.cfg.History.Duration)
	assert.Equal(t, 50*time.Minute, o.cfg.History.Span)
	assert.True(t, o.cfg.V1 && !o.cfg.V2)
	o, err = parse([]string{"--history", "15m"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 15*time.Minute, o.cfg.History.Duration)
	for want, args := range map[string][]string{
		"must be both, v1 or v2":              {"--api", "v3"},
		"a duration such as 1h or a number":   {"--history", "soon"},
		"--rate must be between":              {"--rate", "-1"},
		"--late must be between 0 and 1":      {"--late", "2"},
		`unexpected argument "here"`:          {"here"},
		"flag provided but not defined":       {"--nonsense"},
		"parsing time \"noon\" as \"2006-01-": {"--start", "noon"},
	} {
		_, err := parse(args, io.Discard)
		assert.ErrorContains(t, err, want)
	}
	var help bytes.Buffer
	_, err = parse([]string{"--help"}, &help)
	require.Error(t, err)
	for _, word := range []string{"--key", "-rate-limit", "/admin/totals", "repeat_cursor"} {
		assert.Contains(t, help.String(), word)
	}
	assert.ErrorContains(t, run(t.Context(), []string{"--listen", "127.0.0.1:nonsense"}, io.Discard, io.Discard), "choose another address")
}
