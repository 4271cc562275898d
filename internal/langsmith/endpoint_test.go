package langsmith

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUIBase(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://api.smith.langchain.com":             "https://smith.langchain.com",
		"https://API.smith.langchain.com/api/v1/":     "https://smith.langchain.com",
		"https://eu.api.smith.langchain.com/":         "https://eu.smith.langchain.com",
		"https://aws.api.smith.langchain.com/api":     "https://aws.smith.langchain.com",
		"https://apac.api.smith.langchain.com":        "https://apac.smith.langchain.com",
		"https://ls.example.com/api/v1":               "https://ls.example.com",
		"https://ls.example.com:8443/api/":            "https://ls.example.com:8443",
		"https://example.com/langsmith/api/v2":        "https://example.com/langsmith",
		"http://localhost:1984":                       "http://localhost:1984",
		"https://eu.example.com":                      "https://eu.example.com",
		"https://myapi.smith.langchain.com":           "https://myapi.smith.langchain.com",
		"https://api.smith.langchain.com.example.org": "https://api.smith.langchain.com.example.org",
		"https://smith.langchain.com":                 "",
		"https://user:secret@ls.example.com":          "",
		"no address":                                  "",
	} {
		assert.Equal(t, want, UIBase(endpoint), endpoint)
	}
}
