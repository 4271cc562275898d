package langsmithreceiver

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestANewKeyHasItsOwnBudget checks that a receiver whose key file changes shares the budget of the new key with those
// who use it already, and leaves the old one.
func TestANewKeyHasItsOwnBudget(t *testing.T) {
	server := newFakeServer(t)
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte("lsv2_pt_old\n"), 0o600))
	cfg := testConfig(server)
	cfg.APIKey, cfg.APIKeyFile = "", path
	r := newTracesReceiver(receivertest.NewNopSettings(component.MustNewType("langsmith")), cfg, &consumertest.TracesSink{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, budget, err := r.newClient(&http.Client{Transport: transport}, nil)
	require.NoError(t, err)
	old := langsmith.SharedBudget(server.URL, langsmith.KeyHash("lsv2_pt_old"), 1)
	assert.Same(t, old, budget.current())
	langsmith.ReleaseBudget(old)
	_, err = client.Projects(t.Context(), langsmith.ProjectQuery{})
	require.Error(t, err)

	theirs := langsmith.SharedBudget(server.URL, langsmith.KeyHash(fakeKey), 1)
	require.NoError(t, os.WriteFile(path, []byte(fakeKey+"\n"), 0o600))
	_, err = client.Projects(t.Context(), langsmith.ProjectQuery{})
	require.NoError(t, err)
	assert.Same(t, theirs, budget.current())
	again := langsmith.SharedBudget(server.URL, langsmith.KeyHash("lsv2_pt_old"), 1)
	assert.NotSame(t, old, again, "the old key's budget was not released")
	langsmith.ReleaseBudget(again)

	langsmith.ReleaseBudget(theirs)
	budget.release()
	budget.release()
	fresh := langsmith.SharedBudget(server.URL, langsmith.KeyHash(fakeKey), 1)
	assert.NotSame(t, theirs, fresh, "the new key's budget was not released")
	langsmith.ReleaseBudget(fresh)
}
