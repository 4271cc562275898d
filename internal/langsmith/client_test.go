package langsmith

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "lsv2_sk_0123456789abcdef_fedcba"

// call is one request that a fake server got.
type call struct {
	method, path, query string
	header              http.Header
	body                map[string]any
	raw                 string
}

func (c call) route() string { return c.method + " " + c.path }

// fake is a server that answers by route and keeps what it was asked.
type fake struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	routes map[string]func(http.ResponseWriter, call)
}

func newFake(t *testing.T, routes map[string]func(http.ResponseWriter, call)) *fake {
	f := &fake{routes: routes}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		c := call{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, header: r.Header, raw: string(text)}
		_ = json.Unmarshal(text, &c.body)
		f.mu.Lock()
		f.calls = append(f.calls, c)
		f.mu.Unlock()
		if h := f.routes[c.route()]; h != nil {
			h(w, c)
			return
		}
		jsonAnswer(w, http.StatusNotFound, `{"detail":"Not Found"}`)
	}))
	t.Cleanup(f.Server.Close)
	return f
}

func (f *fake) asked(route string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []call
	for _, c := range f.calls {
		if c.route() == route {
			calls = append(calls, c)
		}
	}
	return calls
}

func (f *fake) client(t *testing.T, change func(*ClientConfig)) *Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := ClientConfig{
		Endpoint: f.URL + "/api/v1/", APIKey: func() string { return testKey }, WorkspaceID: "ws", UserAgent: "test/1",
		HTTP: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClient(cfg)
	require.NoError(t, err)
	return c
}

func jsonAnswer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func answer(status int, text string) func(http.ResponseWriter, call) {
	return func(w http.ResponseWriter, _ call) { jsonAnswer(w, status, text) }
}

const (
	routeInfo = "GET /api/v1/info"
	routeV1   = "POST /api/v1/runs/query"
	routeV2   = "POST /api/v2/runs/query"
)

// v2Server answers v2 queries; an empty query is refused as LangSmith does.
func v2Server(query func(http.ResponseWriter, call)) map[string]func(http.ResponseWriter, call) {
	return map[string]func(http.ResponseWriter, call){
		routeInfo: answer(200, `{"version":"0.17.2"}`),
		routeV2: func(w http.ResponseWriter, c call) {
			if len(c.body) == 0 {
				jsonAnswer(w, 400, `{"title":"Bad Request","detail":"project_ids is required"}`)
				return
			}
			query(w, c)
		},
	}
}

func v1Server(query func(http.ResponseWriter, call)) map[string]func(http.ResponseWriter, call) {
	return map[string]func(http.ResponseWriter, call){routeInfo: answer(200, `{"version":"0.13.5"}`), routeV1: query}
}

func emptyV2(w http.ResponseWriter, _ call) { jsonAnswer(w, 200, `{"items":[],"next_cursor":null}`) }

func ignore(*Run) error { return nil }

func testQuery(t testing.TB) RunQuery {
	return RunQuery{ProjectID: mustUUID(t, projectID), Fields: FieldsMeasures}
}

func failureOf(t *testing.T, err error) *Error {
	t.Helper()
	var failed *Error
	require.ErrorAs(t, err, &failed)
	assert.NotContains(t, err.Error(), testKey)
	assert.NotContains(t, err.Error(), "\n")
	return failed
}

func TestNormalizeEndpoint(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.smith.langchain.com": "https://api.smith.langchain.com", "https://eu.api.smith.langchain.com/": "https://eu.api.smith.langchain.com",
		"https://ls.example.com/api/v1": "https://ls.example.com", "https://ls.example.com/api/": "https://ls.example.com", "https://ls.example.com/api/v2/": "https://ls.example.com",
		" http://localhost:1984 ": "http://localhost:1984", "https://example.com/langsmith/api/v1": "https://example.com/langsmith", "https://example.com/myapi": "https://example.com/myapi",
		"http://[::1]:80//": "http://[::1]:80",
	} {
		got, err := NormalizeEndpoint(text)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for text, hint := range map[string]string{
		"": "https://api.smith.langchain.com", "api.smith.langchain.com": "https://", "ftp://x": "http", "https://": "http", "https://x/?a=b": "query", "https://x/#y": "query",
		"https://user:secret@x": "api_key", "https://smith.langchain.com/o/1": "use https://api.smith.langchain.com", "https://eu.smith.langchain.com": "use https://eu.api.smith.langchain.com",
		"https://u:secret@x/%zz": "not a URL",
	} {
		_, err := NormalizeEndpoint(text)
		require.Error(t, err, text)
		assert.Contains(t, err.Error(), hint)
		assert.Contains(t, err.Error(), "endpoint")
		assert.NotContains(t, err.Error(), "secret")
	}
	assert.True(t, isCloud("https://api.smith.langchain.com"))
	assert.True(t, isCloud("https://eu.api.smith.langchain.com"))
	assert.False(t, isCloud("https://api.smith.langchain.com.evil.org"))
	_, err := NewClient(ClientConfig{Endpoint: "https://x"})
	assert.ErrorContains(t, err, "api_key")
	_, err = NewClient(ClientConfig{Endpoint: "x", APIKey: func() string { return "" }})
	assert.ErrorContains(t, err, "endpoint")
}

func TestKeyStaysAtItsHost(t *testing.T) {
	other := newFake(t, nil)
	for _, status := range []int{301, 302, 307, 308} {
		f := newFake(t, v2Server(func(w http.ResponseWriter, _ call) {
			w.Header().Set("Location", other.URL+"/api/v2/runs/query")
			w.WriteHeader(status)
		}))
		_, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
		failed := failureOf(t, err)
		assert.Equal(t, status, failed.StatusCode)
		assert.Contains(t, err.Error(), "endpoint")
		assert.False(t, failed.Retryable())
	}
	assert.Empty(t, other.calls)

	// On the same host, a redirect that keeps the body is followed.
	routes := v2Server(func(w http.ResponseWriter, _ call) {
		w.Header().Set("Location", "/moved")
		w.WriteHeader(http.StatusPermanentRedirect)
	})
	routes["POST /moved"] = emptyV2
	f := newFake(t, routes)
	_, err := f.client(t, nil).QueryRuns(t.Context(), testQuery(t), ignore)
	require.NoError(t, err)
	assert.Equal(t, testKey, f.asked("POST /moved")[0].header.Get("X-API-Key"))
}

func TestUnreachable(t *testing.T) {
	f := newFake(t, nil)
	c := f.client(t, nil)
	f.Close()
	_, err := c.QueryRuns(t.Context(), testQuery(t), ignore)
	failed := failureOf(t, err)
	assert.True(t, failed.Retryable())
	assert.False(t, failed.Auth() || failed.NotFound() || failed.Cursor())
}
