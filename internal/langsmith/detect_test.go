package langsmith

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDetect(t *testing.T) {
	noProject := answer(400, `{"title":"Bad Request","detail":"project_ids is required"}`)
	for _, c := range []struct {
		name   string
		config APIVersion
		info   func(http.ResponseWriter, call)
		v2     func(http.ResponseWriter, call)
		want   APIVersion
		fail   string
	}{
		{"new", VersionAuto, answer(200, `{"version":"0.16.0"}`), noProject, VersionV2, ""},
		{"old", VersionAuto, answer(200, `{"version":"0.15.9"}`), noProject, VersionV1, ""},
		{"new without v2", VersionAuto, answer(200, `{"version":"0.17.1"}`), nil, VersionV1, ""},
		{"not implemented", VersionAuto, answer(200, `{"version":"0.17.1"}`), answer(501, `{"detail":"no"}`), VersionV1, ""},
		{"no database", VersionAuto, answer(200, `{"version":"0.17.1"}`), answer(503, `{"detail":"SmithDB is off"}`), VersionV1, ""},
		{"cloud-like version", VersionAuto, answer(200, `{"version":"2026.11"}`), noProject, VersionV2, ""},
		{"old number, new database", VersionAuto, answer(200, `{"version":"0.15.0","instance_flags":{"ch_query_enabled":false,"sdb_query_enabled":true}}`), noProject, VersionV2, ""},
		{"no info", VersionAuto, nil, noProject, VersionV2, ""},
		{"no info, no v2", VersionAuto, nil, nil, VersionV1, ""},
		{"html info", VersionAuto, answer(200, `<html>`), noProject, VersionV2, ""},
		{"forced v1", VersionV1, answer(200, `{"version":"0.17.1"}`), noProject, VersionV1, ""},
		{"forced v1, info fails", VersionV1, answer(500, `{}`), noProject, VersionV1, ""},
		{"forced v2", VersionV2, answer(200, `{"version":"0.13.5"}`), noProject, VersionV2, ""},
		{"forced v2 on v1", VersionV2, answer(200, `{"version":"0.13.5"}`), nil, 0, `api_version: "v2" needs LangSmith 0.16 or newer with SmithDB, and the server is 0.13.5; set api_version to "auto" or "v1"`},
		{"wrong key", VersionAuto, answer(401, `{"detail":"Invalid token"}`), nil, 0, "Invalid token"},
		{"down", VersionAuto, answer(503, `{"detail":"down"}`), nil, 0, "HTTP 503"},
		{"query down", VersionAuto, answer(200, `{"version":"0.17.1"}`), answer(503, `{"detail":"down"}`), 0, "HTTP 503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, map[string]func(http.ResponseWriter, call){routeInfo: c.info, routeV2: c.v2})
			client := f.client(t, func(cfg *ClientConfig) { cfg.APIVersion = c.config })
			server, err := client.Detect(t.Context())
			if c.fail != "" {
				assert.ErrorContains(t, err, c.fail)
				failureOf(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, server.API)
		})
	}
	assert.Equal(t, []string{"auto", "v1", "v2"}, []string{VersionAuto.String(), VersionV1.String(), VersionV2.String()})
}
