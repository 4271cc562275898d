package confcheck

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"
)

type Config struct {
	confighttp.ClientConfig `mapstructure:",squash"`

	Name     string              `mapstructure:"name"`
	Kind     kind                `mapstructure:"kind"`
	Key      configopaque.String `mapstructure:"key"`
	Count    int                 `mapstructure:"count"`
	Rate     *float64            `mapstructure:"rate"`
	Interval time.Duration       `mapstructure:"interval"`
	Names    []string            `mapstructure:"names"`
	Storage  *component.ID       `mapstructure:"storage"`
	Section  section             `mapstructure:"section"`
	Switch   onOff               `mapstructure:"switch"`
	Items    []item              `mapstructure:"items"`

	malformed error
}

type kind string

type section struct {
	Inner struct {
		Wait time.Duration `mapstructure:"wait"`
	} `mapstructure:"inner"`
	Other bool `mapstructure:"other"`
}

type onOff struct {
	Enabled bool `mapstructure:"enabled"`
	Size    int  `mapstructure:"size"`
}

type item struct {
	Label string `mapstructure:"label"`
	Rates `mapstructure:",squash"`
}

type Rates struct {
	Input *float64 `mapstructure:"input"`
}

func (c *Config) Unmarshal(conf *confmap.Conf) error {
	c.malformed = Unmarshal(conf, c, Remedies{"kind": "use a or b"})
	return nil
}

func (c *Config) Validate() error { return c.malformed }

func defaults() *Config {
	return &Config{Name: "default", Count: 7, Interval: time.Minute, Names: []string{"x"}, Switch: onOff{Size: 3}}
}

type values = map[string]any

func TestOneLineForEachMistake(t *testing.T) {
	for name, tt := range map[string]struct {
		values values
		want   []string
	}{
		"nothing":             {values{}, nil},
		"zero needs no unit":  {values{"interval": 0}, nil},
		"duration":            {values{"interval": "1h30m"}, nil},
		"no unit":             {values{"interval": 15}, []string{`interval: 15 has no unit: add one, such as 15s, 15m or 15h`}},
		"no unit, in quotes":  {values{"interval": "15"}, []string{`interval: 15 has no unit: add one, such as 15s, 15m or 15h`}},
		"no unit, a fraction": {values{"interval": 1.5}, []string{`interval: 1.5 has no unit: add one, such as 1.5s, 1.5m or 1.5h`}},
		"no unit, below":      {values{"section": values{"inner": values{"wait": 60}}}, []string{`section.inner.wait: 60 has no unit: add one, such as 60s, 60m or 60h`}},
		"no duration":         {values{"interval": "soon"}, []string{`interval: "soon" is no duration: use a number with a unit, such as 30s or 5m`}},
		"no duration at all":  {values{"interval": true}, []string{`interval: true is no duration: use a number with a unit, such as 30s or 5m`}},
		"a list as duration":  {values{"interval": []any{1}}, []string{`interval: [1] is no duration: use a number with a unit, such as 30s or 5m`}},
		"of the client":       {values{"tls": values{"reload_interval": 5}}, []string{`tls.reload_interval: 5 has no unit: add one, such as 5s, 5m or 5h`}},
		"one of a few":        {values{"kind": 2}, []string{`kind: 2 is unknown: use a or b`}},
		"text":                {values{"name": true}, []string{`name: true is no text: put it in quotes, as in "true"`}},
		"text is no list":     {values{"name": []any{"a"}}, []string{`name: ["a"] is no text: put it in quotes, if it is meant as text`}},
		"whole number":        {values{"count": "many"}, []string{`count: "many" is no whole number: use one, without quotes`}},
		"number":              {values{"rate": "dear"}, []string{`rate: "dear" is no number: use one, without quotes`}},
		"list":                {values{"names": 5}, []string{`names: 5 is no list: write it in brackets, such as [a, b]`}},
		"element":             {values{"names": []any{"a", 1}}, []string{`names[1]: 1 is no text: put it in quotes, as in "1"`}},
		"elements": {values{"names": []any{true, 1}}, []string{
			`names[0]: true is no text: put it in quotes, as in "true"`,
			`names[1]: 1 is no text: put it in quotes, as in "1"`,
		}},
		"id":                   {values{"storage": 5}, []string{`storage: 5 is no text: use text, such as file_storage for the id of an extension`}},
		"boolean":              {values{"section": values{"other": "maybe"}}, []string{`section.other: "maybe" is neither true nor false: use one of them`}},
		"section":              {values{"section": []any{"a"}}, []string{`section: ["a"] is no section: put inner or other under it`}},
		"switch":               {values{"switch": true}, []string{`switch: true is no section: write enabled: true under it`}},
		"item":                 {values{"items": []any{"a"}}, []string{`items[0]: "a" is no section: put label or input under it`}},
		"squashed in an item":  {values{"items": []any{values{}, values{"input": "dear"}}}, []string{`items[1].input: "dear" is no number: use one, without quotes`}},
		"misspelt":             {values{"intreval": 1}, []string{`intreval: is no option: did you mean interval?`}},
		"misspelt below":       {values{"section": values{"iner": 1}}, []string{`section.iner: is no option: did you mean inner?`}},
		"misspelt in an item":  {values{"items": []any{values{"lable": 1}}}, []string{`items[0].lable: is no option: did you mean label?`}},
		"unknown, one of few":  {values{"switch": values{"nothing_like_it": 1}}, []string{`switch.nothing_like_it: is no option: use enabled or size`}},
		"unknown, one of many": {values{"nothing_like_it": 1}, []string{`nothing_like_it: is no option: remove it, or look for its name in the README`}},
		"in what decodes itself": {values{"auth": values{"authenticater": "a"}}, []string{
			`auth.authenticater: is no option: remove it, or look for its name in the README`,
		}},
		"headers": {values{"headers": 5}, []string{`headers: is no section: put names and their values under it`}},
		"header": {values{"headers": values{"X-Team": []any{"a"}}}, []string{
			`headers[X-Team]: is no text: put it in quotes, if it is meant as text`,
		}},
		"several": {values{"count": "a", "interval": 3, "aaaaaaaa": 1, "bbbbbbbb": 2}, []string{
			`interval: 3 has no unit: add one, such as 3s, 3m or 3h`,
			`count: "a" is no whole number: use one, without quotes`,
			`aaaaaaaa: is no option: remove it, or look for its name in the README`,
			`bbbbbbbb: is no option: remove it, or look for its name in the README`,
		}},
		"long": {values{"count": strings.Repeat("é", 100)}, []string{
			`count: "` + strings.Repeat("é", 59) + `… is no whole number: use one, without quotes`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := defaults()
			require.NoError(t, confmap.NewFromStringMap(tt.values).Unmarshal(cfg))
			err := confmap.Validate(cfg)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			assert.EqualError(t, err, strings.Join(tt.want, "\n"))
		})
	}
}

func TestWhatIsRightIsDecodedAndTheRestKeepsItsDefault(t *testing.T) {
	cfg := defaults()
	require.NoError(t, confmap.NewFromStringMap(values{
		"name": "mine", "count": "many", "interval": 5, "names": []any{"a", 1}, "unknown": 1,
		"switch": values{"enabled": true, "size": "big"}, "items": []any{values{"label": "a"}, values{"label": 5}},
	}).Unmarshal(cfg))
	require.Error(t, cfg.malformed)
	cfg.malformed = nil
	want := defaults()
	want.Name, want.Switch.Enabled = "mine", true
	assert.Equal(t, want, cfg)
}

// TestSecretsAreNotNamed also holds that of a key that is not known, which may be a key misspelt.
func TestSecretsAreNotNamed(t *testing.T) {
	for _, v := range []values{
		{"key": []any{"s3cret"}},
		{"key": values{"s3cret": "s3cret"}},
		{"keyy": "s3cret"},
		{"headers": "s3cret"},
		{"headers": values{"authorization": []any{"s3cret"}}},
		{"headers": []any{values{"name": "a", "value": []any{"s3cret"}}}},
		{"tls": values{"key_pem": []any{"s3cret"}}},
		{"auth": values{"authenticator": []any{"s3cret"}}},
	} {
		cfg := defaults()
		require.NoError(t, confmap.NewFromStringMap(v).Unmarshal(cfg))
		require.Error(t, cfg.malformed, "%v", v)
		assert.NotContains(t, cfg.malformed.Error(), "s3cret")
		assert.NotContains(t, cfg.malformed.Error(), "\n", "%v", v)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flush_intervall", "flush_interval", 1}} {
		assert.Equal(t, tt.want, distance(tt.a, tt.b))
	}
}

// FuzzUnmarshal holds that whatever YAML says is decoded, or is told in lines that each begin with a key, and that what
// is left is decoded.
func FuzzUnmarshal(f *testing.F) {
	for _, text := range []string{
		"", "name: a", "interval: 15", "interval: [1, {a: b}]", "section: {inner: {wait: 1, x: y}, other: 5}", "items: [a, {label: [], input: x}, null]",
		"switch: true", "names: {a: 1}", "storage: 'a/b c'", "headers: {a: 5, b: [1]}", "headers: [{name: a, value: 5}, 7]", "auth: {x: 1}", "tls: {ca_pem: 1}",
		"kind: {a: b}", "rate: .inf", "count: 1e400", "a.b: 1", "'': 1", "name: null", "'[': 1", "'a[0]': 1", "'X.Y': 1", "items: {label: 1}",
		"cookies: [1]", "compression_params: {level: a}", "section::inner::wait: 5", "idle_conn_timeout: 0x10", "interval: 2026-01-02", "a, b: 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var section map[string]any
		if yaml.Unmarshal([]byte(text), &section) != nil {
			return
		}
		cfg := defaults()
		conf := confmap.NewFromStringMap(section)
		if err := cfg.Unmarshal(conf); err != nil {
			t.Fatal(err)
		}
		if cfg.malformed == nil {
			return
		}
		for line := range strings.SplitSeq(cfg.malformed.Error(), "\n") {
			key, rest, found := strings.Cut(line, ": ")
			if !found || rest == "" || key == "" && !strings.Contains(text, "''") && !strings.Contains(text, `""`) {
				t.Errorf("%q does not say what is wrong with which key in %q", line, text)
			}
		}
	})
}
