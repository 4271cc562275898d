package langsmith

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOffloadedBody(t *testing.T) {
	var abroad []http.Header
	body, status := `{"a":1}`, http.StatusOK
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		abroad = append(abroad, r.Header)
		jsonAnswer(w, status, body)
	}))
	defer storage.Close()
	f := newFake(t, map[string]func(http.ResponseWriter, call){"GET /blob": answer(200, `{"b":2}`)})
	c := f.client(t, func(cfg *ClientConfig) { cfg.Storage = storage.Client() })

	raw, err := c.OffloadedBody(t.Context(), Text(storage.URL+`/x?sig=secret\u0026b=1`), 100)
	require.NoError(t, err)
	assert.Equal(t, `{"a":1}`, string(raw))
	require.Len(t, abroad, 1)
	assert.Empty(t, abroad[0].Get("X-API-Key"))
	assert.Empty(t, abroad[0].Get("X-Tenant-Id"))

	for _, link := range []string{"/blob?a=1", "blob?a=1", f.URL + "/blob?a=1"} {
		raw, err = c.OffloadedBody(t.Context(), Text(link), 100)
		require.NoError(t, err, link)
		assert.Equal(t, `{"b":2}`, string(raw))
	}
	calls := f.asked("GET /blob")
	require.Len(t, calls, 3)
	for _, got := range calls {
		assert.Equal(t, testKey, got.header.Get("X-API-Key"))
		assert.Equal(t, "a=1", got.query)
	}

	for _, bad := range []string{"", "ftp://x/y?sig=secret", ":?sig=secret", "http://?sig=secret"} {
		_, err = c.OffloadedBody(t.Context(), Text(bad), 100)
		assert.False(t, failureOf(t, err).Retryable(), bad)
		assert.NotContains(t, err.Error(), "secret")
	}
	_, err = c.OffloadedBody(t.Context(), Text(storage.URL), 3)
	assert.ErrorIs(t, err, errTooLarge)
	body = "{"
	_, err = c.OffloadedBody(t.Context(), Text(storage.URL), 100)
	assert.ErrorIs(t, err, errSyntax)
	status = http.StatusForbidden
	_, err = c.OffloadedBody(t.Context(), Text(storage.URL+"/?sig=secret"), 100)
	assert.Equal(t, http.StatusForbidden, failureOf(t, err).StatusCode)
	assert.False(t, failureOf(t, err).Auth(), "an expired link says nothing about the key")
	assert.NotContains(t, err.Error(), "secret")
}
