package langsmithreceiver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/confcheck"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/filter"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/poller"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

// Config is the configuration of the receiver. The README describes every key.
type Config struct {
	// ClientConfig is how to reach LangSmith. Its Endpoint is the base of the API.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`

	// APIKey or APIKeyFile is required. The file is read again when it changes.
	APIKey     configopaque.String `mapstructure:"api_key"`
	APIKeyFile string              `mapstructure:"api_key_file"`
	// WorkspaceID picks the workspace of a key that can see several.
	WorkspaceID string `mapstructure:"workspace_id"`
	// APIVersion is auto, v1 or v2.
	APIVersion string `mapstructure:"api_version"`

	Projects ProjectsConfig `mapstructure:"projects"`
	// Filter is tested on each run, TraceFilter on its root, TreeFilter on any run of its trace.
	Filter      string `mapstructure:"filter"`
	TraceFilter string `mapstructure:"trace_filter"`
	TreeFilter  string `mapstructure:"tree_filter"`

	CollectionInterval time.Duration `mapstructure:"collection_interval"`
	// InitialLookback is how far the very first start reads back.
	InitialLookback time.Duration `mapstructure:"initial_lookback"`
	// StartTime is in RFC 3339. It takes precedence over InitialLookback.
	StartTime string `mapstructure:"start_time"`
	// SettleDelay is how long a finished run waits for tokens and cost.
	SettleDelay time.Duration `mapstructure:"settle_delay"`
	// Lookback is how late a run may arrive.
	Lookback time.Duration `mapstructure:"lookback"`
	// PendingTimeout is the age at which a run that does not finish is given up.
	PendingTimeout time.Duration `mapstructure:"pending_timeout"`
	// OnUpdate is ignore or emit: what happens with a run that changes after it went out.
	OnUpdate string `mapstructure:"on_update"`

	// CaptureContent is none, preview or full.
	CaptureContent string `mapstructure:"capture_content"`
	// CaptureMetadata are globs of metadata keys.
	CaptureMetadata []string `mapstructure:"capture_metadata"`
	// ResponseDetails reads the model, id and finish reasons of responses out of the outputs.
	ResponseDetails bool `mapstructure:"response_details"`

	// StorageID names the storage extension that keeps checkpoints.
	StorageID *component.ID `mapstructure:"storage"`

	Reconcile ReconcileConfig `mapstructure:"reconcile"`
	// LeaderElector names the extension that decides which of several collectors reads.
	LeaderElector *component.ID `mapstructure:"leader_elector"`
	Shard         ShardConfig   `mapstructure:"shard"`

	Telemetry TelemetryConfig `mapstructure:"telemetry"`

	// malformed is what could not be decoded.
	malformed error
	// twoStarts says that initial_lookback is set beside start_time.
	twoStarts bool

	// prevent unkeyed literal initialization
	_ struct{}
}

// ProjectsConfig chooses projects.
type ProjectsConfig struct {
	// Include and Exclude are names, globs or ids.
	Include []string `mapstructure:"include"`
	Exclude []string `mapstructure:"exclude"`
	// Experiments includes projects that are tied to a dataset.
	Experiments bool `mapstructure:"experiments"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// ReconcileConfig is about the comparison with LangSmith's own count of runs and sums of tokens and cost.
type ReconcileConfig struct {
	Enabled bool `mapstructure:"enabled"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// ShardConfig divides the projects among several collectors.
type ShardConfig struct {
	// Index is which of them this one is, from 0 on.
	Index int `mapstructure:"index"`
	// Total is how many there are.
	Total int `mapstructure:"total"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// TelemetryConfig chooses what the receiver tells about itself.
type TelemetryConfig struct {
	// ProjectLabel adds metrics that name projects.
	ProjectLabel bool `mapstructure:"project_label"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// remedies of keys that have one of a few values.
var remedies = confcheck.Remedies{
	"api_version":     "use auto, v1 or v2",
	"on_update":       "use ignore, or emit to send the span again",
	"capture_content": "use none, preview or full",
}

const (
	minInterval = time.Second
	maxLookback = 24 * time.Hour
)

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "https://api.smith.langchain.com"
	client.Timeout = 60 * time.Second
	return &Config{
		ClientConfig:       client,
		APIVersion:         "auto",
		Projects:           ProjectsConfig{Include: []string{"*"}, Exclude: []string{}},
		CollectionInterval: 30 * time.Second,
		InitialLookback:    time.Hour,
		SettleDelay:        time.Minute,
		Lookback:           15 * time.Minute,
		PendingTimeout:     24 * time.Hour,
		OnUpdate:           "ignore",
		CaptureContent:     "none",
		CaptureMetadata:    []string{},
		Reconcile:          ReconcileConfig{Enabled: true},
		Shard:              ShardConfig{Total: 1},
	}
}

// Unmarshal takes start_time as YAML's own type too, which is what a time without quotes becomes.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if t, ok := conf.Get("start_time").(time.Time); ok {
		if err := conf.Merge(confmap.NewFromStringMap(map[string]any{"start_time": t.Format(time.RFC3339Nano)})); err != nil {
			return err
		}
	}
	// Validate tells, so that this error looks like the others and comes with them.
	c.malformed = confcheck.Unmarshal(conf, c, remedies)
	c.twoStarts = c.StartTime != "" && conf.IsSet("initial_lookback")
	return nil
}

// Validate checks what can be checked without a server.
func (c *Config) Validate() error {
	return errors.Join(c.malformed, c.validateAccess(), c.validateSelection(), c.validateTimes(), c.validateCapture())
}

func (c *Config) validateAccess() error {
	var errs []error
	switch {
	case c.APIKey == "" && c.APIKeyFile == "":
		errs = append(errs, errors.New("api_key: is missing: set api_key, for example to ${env:LANGSMITH_API_KEY}, or api_key_file"))
	case c.APIKey != "" && c.APIKeyFile != "":
		errs = append(errs, errors.New("api_key: stands beside api_key_file: remove one of them"))
	case strings.ContainsAny(string(c.APIKey), " \t\r\n"):
		errs = append(errs, errors.New("api_key: holds white space: copy the key again"))
	}
	if _, err := langsmith.NormalizeEndpoint(c.ClientConfig.Endpoint); err != nil {
		errs = append(errs, err)
	}
	if c.ClientConfig.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %v would wait forever for a server that hangs: use a time such as 60s", c.ClientConfig.Timeout))
	}
	if c.WorkspaceID != "" {
		if _, err := langsmith.ParseUUID(c.WorkspaceID); err != nil {
			errs = append(errs, fmt.Errorf("workspace_id: %q is no UUID: copy it from the settings of the workspace", c.WorkspaceID))
		}
	}
	if _, err := parseAPIVersion(c.APIVersion); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Config) validateSelection() error {
	var errs []error
	if _, err := poller.NewSelection(c.Projects.Include, c.Projects.Exclude); err != nil {
		errs = append(errs, err)
	}
	if len(c.Projects.Include) == 0 {
		errs = append(errs, errors.New(`projects.include: is empty, so nothing would be read: use ["*"] for all projects`))
	}
	switch {
	case c.Shard.Total < 1:
		errs = append(errs, fmt.Errorf("shard.total: %d is too few: use the number of collectors, at least 1", c.Shard.Total))
	case c.Shard.Index < 0 || c.Shard.Index >= c.Shard.Total:
		errs = append(errs, fmt.Errorf("shard.index: %d is not one of %d collectors: use a number from 0 to %d", c.Shard.Index, c.Shard.Total, c.Shard.Total-1))
	}
	for _, f := range []struct{ key, expression string }{
		{"filter", c.Filter}, {"trace_filter", c.TraceFilter}, {"tree_filter", c.TreeFilter},
	} {
		if f.expression == "" {
			continue
		}
		if err := filter.Check(f.expression); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not in LangSmith's query language: %w", f.key, f.expression, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateTimes() error {
	var errs []error
	if c.CollectionInterval < minInterval {
		errs = append(errs, fmt.Errorf("collection_interval: %v is too short: use at least %v", c.CollectionInterval, minInterval))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"initial_lookback", c.InitialLookback}, {"settle_delay", c.SettleDelay}, {"lookback", c.Lookback},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %v is negative: use 0 or more", d.key, d.value))
		}
	}
	if c.Lookback > maxLookback {
		errs = append(errs, fmt.Errorf("lookback: %v is too long, every id would be kept in memory that long: use at most %v", c.Lookback, maxLookback))
	}
	if c.PendingTimeout <= 0 {
		errs = append(errs, fmt.Errorf("pending_timeout: %v would give up every run that is not finished at once: use a time such as 24h", c.PendingTimeout))
	}
	if c.SettleDelay > c.PendingTimeout && c.PendingTimeout > 0 {
		errs = append(errs, fmt.Errorf("settle_delay: %v is longer than pending_timeout (%v), at which a run is given up: use less, or a longer pending_timeout",
			c.SettleDelay, c.PendingTimeout))
	}
	if c.OnUpdate != "ignore" && c.OnUpdate != "emit" {
		errs = append(errs, fmt.Errorf("on_update: %q is unknown: %s", c.OnUpdate, remedies["on_update"]))
	}
	if start, err := parseStartTime(c.StartTime); err != nil {
		errs = append(errs, err)
	} else if start.After(time.Now()) {
		errs = append(errs, fmt.Errorf("start_time: %q is in the future: use a time in the past, or leave it out", c.StartTime))
	}
	return errors.Join(errs...)
}

func (c *Config) validateCapture() error {
	var errs []error
	if _, err := parseCapture(c.CaptureContent); err != nil {
		errs = append(errs, err)
	}
	if _, err := translate.NewGlobSet(c.CaptureMetadata); err != nil {
		errs = append(errs, fmt.Errorf("capture_metadata: %w", err))
	}
	return errors.Join(errs...)
}

func parseAPIVersion(s string) (langsmith.APIVersion, error) {
	for _, v := range []langsmith.APIVersion{langsmith.VersionAuto, langsmith.VersionV1, langsmith.VersionV2} {
		if s == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("api_version: %q is unknown: %s", s, remedies["api_version"])
}

func parseCapture(s string) (translate.Capture, error) {
	switch s {
	case "none":
		return translate.CaptureNone, nil
	case "preview":
		return translate.CapturePreview, nil
	case "full":
		return translate.CaptureFull, nil
	}
	return 0, fmt.Errorf("capture_content: %q is unknown: %s", s, remedies["capture_content"])
}

// parseStartTime returns the zero time when there is none.
func parseStartTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || langsmith.TimeOf(t) <= 0 {
		return time.Time{}, fmt.Errorf("start_time: %q is no time in RFC 3339: write it like 2026-11-02T09:00:00Z", s)
	}
	return t, nil
}

// keyFile reads the key out of a file, and again whenever the file changed.
type keyFile struct {
	path string

	changed time.Time
	size    int64
	key     string
}

// read returns the key. After an error the key from before is still good.
func (f *keyFile) read() (string, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return f.key, err
	}
	if f.key != "" && info.ModTime().Equal(f.changed) && info.Size() == f.size {
		return f.key, nil
	}
	content, err := os.ReadFile(f.path)
	if err != nil {
		return f.key, err
	}
	key := strings.TrimSpace(string(content))
	if key == "" || strings.ContainsAny(key, " \t\r\n") {
		return f.key, errors.New("the file does not hold one key and nothing else")
	}
	f.changed, f.size, f.key = info.ModTime(), info.Size(), key
	return key, nil
}
