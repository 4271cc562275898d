package langsmithreceiver

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.yaml.in/yaml/v3"
)

func loadConfig(t *testing.T, name string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub(name)
	require.NoError(t, err)
	cfg := createDefaultConfig()
	require.NoError(t, sub.Unmarshal(cfg))
	require.NoError(t, xconfmap.Validate(cfg))
	return cfg.(*Config)
}

func TestConfig(t *testing.T) {
	minimal := createDefaultConfig().(*Config)
	minimal.APIKey = "secret"
	assert.Equal(t, minimal, loadConfig(t, "langsmith"))

	storage := component.MustNewIDWithName("file_storage", "langsmith")
	all := createDefaultConfig().(*Config)
	all.ClientConfig.Endpoint = "https://eu.api.smith.langchain.com/"
	all.ClientConfig.Timeout = 10 * time.Second
	all.ClientConfig.Headers = configopaque.MapList{{Name: "X-Team", Value: "observability"}}
	all.APIKeyFile = "/run/secrets/langsmith"
	all.WorkspaceID = "9a1c3d52-0b7c-4a7e-9d57-0b6f0a1c2d3e"
	all.APIVersion = "v2"
	all.Projects.Include = []string{"prod-*", "6f03675a-1600-435a-8999-50d836f675cc"}
	all.Projects.Exclude = []string{"*-test"}
	all.Projects.Experiments = true
	all.Filter = `eq(run_type, "llm")`
	all.TraceFilter = `has(tags, "canary")`
	all.TreeFilter = `eq(status, "error")`
	all.CollectionInterval = 10 * time.Second
	all.InitialLookback = 2 * time.Hour
	all.twoStarts = true
	all.StartTime = "2026-01-02T03:04:05Z" // YAML reads a time without quotes as its own type
	all.SettleDelay = 30 * time.Second
	all.Lookback = time.Hour
	all.PendingTimeout = 48 * time.Hour
	all.OnUpdate = "emit"
	all.CaptureContent = "full"
	all.CaptureMetadata = []string{"team", "env_*"}
	all.ResponseDetails = true
	all.StorageID = &storage
	all.Telemetry.ProjectLabel = true
	all.Reconcile.Enabled = false
	elector := component.MustNewID("k8s_leader_elector")
	all.LeaderElector = &elector
	all.Shard.Index, all.Shard.Total = 2, 3
	assert.Equal(t, all, loadConfig(t, "langsmith/all"))
}

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.APIKey = "" }, "api_key: is missing: set api_key, for example to ${env:LANGSMITH_API_KEY}, or api_key_file"},
		{func(c *Config) { c.APIKeyFile = "key" }, "api_key: stands beside api_key_file: remove one of them"},
		{func(c *Config) { c.APIKey = "a b" }, "api_key: holds white space: copy the key again"},
		{func(c *Config) { c.ClientConfig.Timeout = 0 }, "timeout: 0s would wait forever for a server that hangs: use a time such as 60s"},
		{func(c *Config) { c.Shard.Total = 0 }, `shard.total: 0 is too few: use the number of collectors, at least 1`},
		{func(c *Config) { c.Shard.Index, c.Shard.Total = 3, 3 }, `shard.index: 3 is not one of 3 collectors: use a number from 0 to 2`},
		{func(c *Config) { c.OnUpdate = "send" }, `on_update: "send" is unknown: use ignore, or emit to send the span again`},
		{func(c *Config) { c.WorkspaceID = "main" }, `workspace_id: "main" is no UUID: copy it from the settings of the workspace`},
		{func(c *Config) { c.APIVersion = "v3" }, `api_version: "v3" is unknown: use auto, v1 or v2`},
		{func(c *Config) { c.Projects.Include = nil }, `projects.include: is empty, so nothing would be read: use ["*"] for all projects`},
		{func(c *Config) { c.Projects.Exclude = []string{"a["} }, `projects.exclude: "a[" is no valid glob: close the bracket, or write \[ for a literal one`},
		{func(c *Config) { c.Filter = "run_type:llm" }, `filter: "run_type:llm" is not in LangSmith's query language: this is the syntax of the search bar; the API wants calls, such as and(eq(run_type, "llm"), gt(latency, 5))`},
		{func(c *Config) { c.TreeFilter = `eq(name, "a"` }, `tree_filter: "eq(name, \"a\"" is not in LangSmith's query language: at character 13: a closing ) is missing`},
		{func(c *Config) { c.CollectionInterval = time.Millisecond }, "collection_interval: 1ms is too short: use at least 1s"},
		{func(c *Config) { c.InitialLookback = -time.Hour }, "initial_lookback: -1h0m0s is negative: use 0 or more"},
		{func(c *Config) { c.SettleDelay = -1 }, "settle_delay: -1ns is negative: use 0 or more"},
		{func(c *Config) { c.Lookback = -time.Second }, "lookback: -1s is negative: use 0 or more"},
		{func(c *Config) { c.Lookback = 25 * time.Hour }, "lookback: 25h0m0s is too long, every id would be kept in memory that long: use at most 24h0m0s"},
		{func(c *Config) { c.SettleDelay = 25 * time.Hour }, "settle_delay: 25h0m0s is longer than pending_timeout (24h0m0s), at which a run is given up: use less, or a longer pending_timeout"},
		{func(c *Config) { c.PendingTimeout = 0 }, "pending_timeout: 0s would give up every run that is not finished at once: use a time such as 24h"},
		{func(c *Config) { c.StartTime = "yesterday" }, `start_time: "yesterday" is no time in RFC 3339: write it like 2026-11-02T09:00:00Z`},
		{func(c *Config) { c.StartTime = "2200-01-01T00:00:00Z" }, `start_time: "2200-01-01T00:00:00Z" is in the future: use a time in the past, or leave it out`},
		{func(c *Config) { c.CaptureMetadata = []string{"env", "team_[ab]"} }, `capture_metadata: "team_[ab]" holds [ or \, which mean nothing here: use * for any characters and ? for one, and list several patterns for a choice`},
		{func(c *Config) { c.CaptureContent = "some" }, `capture_content: "some" is unknown: use none, preview or full`},
	} {
		cfg := createDefaultConfig().(*Config)
		cfg.APIKey = "secret"
		require.NoError(t, cfg.Validate())
		tt.change(cfg)
		err := cfg.Validate()
		require.EqualError(t, err, tt.want)
		assert.NotContains(t, err.Error(), "\n")
		assert.NotContains(t, fmt.Sprintf("%+v", cfg), "secret", "the key must not be printed")
	}
}

func TestConfigErrorsNameTheEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "api.smith.langchain.com", "https://smith.langchain.com"} {
		cfg := createDefaultConfig().(*Config)
		cfg.APIKey, cfg.ClientConfig.Endpoint = "secret", endpoint
		assert.ErrorContains(t, cfg.Validate(), "endpoint: ")
	}
}

func TestOrigin(t *testing.T) {
	origin := func(endpoint, workspace, filter string) (string, string) {
		cfg := createDefaultConfig().(*Config)
		cfg.ClientConfig.Endpoint, cfg.WorkspaceID, cfg.Filter = endpoint, workspace, filter
		return cfg.origin(), cfg.fingerprint()
	}
	where, what := origin("https://api.smith.langchain.com", "9a1c", "")
	same, alike := origin("https://api.smith.langchain.com/api/v1/", "9A1C", "")
	assert.Equal(t, []string{where, what}, []string{same, alike})
	same, other := origin("https://api.smith.langchain.com", "9a1c", `eq(run_type, "llm")`)
	assert.Equal(t, where, same)
	assert.NotEqual(t, what, other)
	for _, place := range [][2]string{{"https://eu.api.smith.langchain.com", "9a1c"}, {"https://api.smith.langchain.com", ""}} {
		elsewhere, other := origin(place[0], place[1], "")
		assert.NotEqual(t, where, elsewhere)
		assert.NotEqual(t, what, other)
	}
}

// keysOf are the keys of a configuration struct, those of nested ones with dots.
func keysOf(v reflect.Type, prefix string) []string {
	var keys []string
	for i := range v.NumField() {
		field := v.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case !field.IsExported() || tag == "":
		case field.Type.Kind() == reflect.Struct && field.Type.PkgPath() == v.PkgPath() && field.Type != v:
			keys = append(keys, keysOf(field.Type, prefix+tag+".")...)
		default:
			keys = append(keys, prefix+tag)
		}
	}
	slices.Sort(keys)
	return keys
}

// TestREADME holds the table of options to the code: the same keys, with the same defaults.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	conf := confmap.New()
	require.NoError(t, conf.Marshal(createDefaultConfig()))
	var keys []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (.+?) \\|").FindAllStringSubmatch(string(readme), -1) {
		key, written := row[1], strings.Trim(row[2], "`")
		value := conf.Get(strings.ReplaceAll(key, ".", "::"))
		if key != "endpoint" && key != "timeout" {
			keys = append(keys, key)
		}
		switch want := value.(type) {
		case nil:
			assert.Equal(t, "–", written, key)
		case time.Duration:
			d, err := time.ParseDuration(written)
			assert.NoError(t, err, key)
			assert.Equal(t, want, d, key)
		case string:
			if want == "" || strings.Contains(want, "REDACTED") {
				want = "–"
			}
			assert.Equal(t, want, written, key)
		default:
			var have any
			require.NoError(t, yaml.Unmarshal([]byte(written), &have))
			assert.Equal(t, fmt.Sprint(value), fmt.Sprint(have), key)
		}
	}
	slices.Sort(keys)
	assert.Equal(t, keysOf(reflect.TypeFor[Config](), ""), keys)
}

// TestSchema holds the schema to the code: the same keys, with the same defaults.
func TestSchema(t *testing.T) {
	type object struct {
		Properties map[string]struct {
			Default any    `yaml:"default"`
			Ref     string `yaml:"$ref"`
		} `yaml:"properties"`
	}
	var schema struct {
		object `yaml:",inline"`
		Defs   map[string]object `yaml:"$defs"`
	}
	text, err := os.ReadFile("config.schema.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &schema))
	conf := confmap.New()
	require.NoError(t, conf.Marshal(createDefaultConfig()))

	var keys []string
	var check func(prefix string, o object)
	check = func(prefix string, o object) {
		for key, property := range o.Properties {
			if nested, ok := schema.Defs[property.Ref]; ok {
				check(prefix+key+".", nested)
				continue
			}
			keys = append(keys, prefix+key)
			if property.Default == nil {
				continue
			}
			want := conf.Get(strings.ReplaceAll(prefix+key, ".", "::"))
			if d, ok := want.(time.Duration); ok {
				have, err := time.ParseDuration(fmt.Sprint(property.Default))
				assert.NoError(t, err, key)
				assert.Equal(t, d, have, key)
				continue
			}
			assert.Equal(t, fmt.Sprint(want), fmt.Sprint(property.Default), key)
		}
	}
	check("", schema.object)
	slices.Sort(keys)
	assert.Equal(t, keysOf(reflect.TypeFor[Config](), ""), keys)
}

// TestMistakesAreOneLine holds what the decoder finds to the form of all other errors.
func TestMistakesAreOneLine(t *testing.T) {
	for _, tt := range []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"collection_interval": "soon"}, `collection_interval: "soon" is no duration: use a number with a unit, such as 30s or 5m`},
		{map[string]any{"settle_delay": 30}, `settle_delay: 30 has no unit: add one, such as 30s, 30m or 30h`},
		{map[string]any{"tls": map[string]any{"reload_interval": 5}}, `tls.reload_interval: 5 has no unit: add one, such as 5s, 5m or 5h`},
		{map[string]any{"projects": []any{"a"}}, `projects: ["a"] is no section: put include, exclude or experiments under it`},
		{map[string]any{"capture_content": true}, `capture_content: true is unknown: use none, preview or full`},
		{map[string]any{"api_version": 2}, `api_version: 2 is unknown: use auto, v1 or v2`},
		{map[string]any{"on_update": true}, `on_update: true is unknown: use ignore, or emit to send the span again`},
		{map[string]any{"reconcile": "maybe"}, `reconcile: "maybe" is no section: put enabled under it`},
		{map[string]any{"reconcile": false}, `reconcile: false is no section: write enabled: false under it`},
		{map[string]any{"colection_interval": "1m"}, `colection_interval: is no option: did you mean collection_interval?`},
		{map[string]any{"projects": map[string]any{"includes": 1}}, `projects.includes: is no option: did you mean include?`},
		{map[string]any{"project": "lsv2_pt_secret"}, `project: is no option: did you mean projects?`},
	} {
		cfg := createDefaultConfig().(*Config)
		cfg.APIKey = "secret"
		require.NoError(t, confmap.NewFromStringMap(tt.values).Unmarshal(cfg))
		assert.EqualError(t, xconfmap.Validate(cfg), tt.want)
	}
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{"settle_delay": 0, "lookback": "2h"}).Unmarshal(cfg))
	assert.Zero(t, cfg.SettleDelay)
	assert.Equal(t, 2*time.Hour, cfg.Lookback)
}
