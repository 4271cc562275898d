package confcheck

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/confmap"
)

// A mistake is a value that the decoder could not decode, or a section in which it found keys that it does not know.
type mistake struct {
	path  string // keys joined by dots, places in lists in brackets
	cause error

	conf     *confmap.Conf
	config   reflect.Type
	remedies Remedies
}

// unknownKeys is how the decoder begins the list of keys that it does not know.
const unknownKeys = "has invalid keys: "

const (
	maxValue   = 60 // of the characters of a value that are quoted
	maxOptions = 8  // of the options of a section that are listed
)

// explain says in one line, or in one for each unknown key, what is wrong and what to do.
func (m *mistake) explain() (errs []error) {
	if keys, ok := m.unknown(); ok {
		for _, key := range keys {
			errs = append(errs, fmt.Errorf("%s: is no option: %s", join(m.path, key), m.instead(key)))
		}
		return errs
	}
	of, secret := typeAt(m.config, m.path)
	value := quote(valueAt(m.conf, m.path)) + " "
	if secret = secret || of == nil; secret {
		value = ""
	}
	if remedy := m.remedies[m.path]; remedy != "" {
		return []error{fmt.Errorf("%s: %sis unknown: %s", m.path, value, remedy)}
	}
	return []error{fmt.Errorf("%s: %s%s", m.path, value, m.wanted(of, secret))}
}

// wanted says what a value should be.
func (m *mistake) wanted(of reflect.Type, secret bool) string {
	given := valueAt(m.conf, m.path)
	switch {
	case of == nil || given == nil:
		return "cannot be used: " + oneLine(m.cause, secret)
	case of == reflect.TypeFor[time.Duration]():
		return "is no duration: use a number with a unit, such as 30s or 5m"
	case reflect.PointerTo(of).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		if _, text := given.(string); text {
			return "cannot be used: " + oneLine(m.cause, secret)
		}
		return "is no text: use text, such as file_storage for the id of an extension"
	}
	switch of.Kind() {
	case reflect.Bool:
		return "is neither true nor false: use one of them"
	case reflect.String:
		if _, scalar := scalarText(given); scalar && !secret {
			return fmt.Sprintf("is no text: put it in quotes, as in %q", fmt.Sprint(given))
		}
		return "is no text: put it in quotes, if it is meant as text"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "is no whole number: use one, without quotes"
	case reflect.Float32, reflect.Float64:
		return "is no number: use one, without quotes"
	case reflect.Slice, reflect.Array:
		if opaque(of) {
			return "is no section: put names and their values under it"
		}
		return "is no list: write it in brackets, such as [a, b]"
	case reflect.Map:
		return "is no section: put names and their values under it"
	case reflect.Struct:
		options := optionsOf(of)
		switch on, isBool := given.(bool); {
		case len(options) == 0:
		case isBool && options[0] == "enabled":
			return fmt.Sprintf("is no section: write enabled: %t under it", on)
		case len(options) > maxOptions:
			return fmt.Sprintf("is no section: put options such as %s under it", options[0])
		default:
			return fmt.Sprintf("is no section: put %s under it", either(options))
		}
	}
	return "cannot be used: " + oneLine(m.cause, secret)
}

// unknown are the keys that the decoder does not know, if that is what is wrong.
func (m *mistake) unknown() ([]string, bool) {
	list, ok := strings.CutPrefix(m.cause.Error(), unknownKeys)
	if !ok {
		return nil, false
	}
	return strings.Split(list, ", "), true
}

// instead says what to write in place of an unknown key.
func (m *mistake) instead(key string) string {
	of, _ := typeAt(m.config, m.path)
	options := optionsOf(of)
	near, least := "", len(key)/3+1
	for _, option := range options {
		if d := distance(key, option); d <= least && (near == "" || d < least) {
			near, least = option, d
		}
	}
	switch {
	case near != "":
		return fmt.Sprintf("did you mean %s?", near)
	case len(options) == 0 || len(options) > maxOptions:
		return "remove it, or look for its name in the README"
	}
	return "use " + either(options)
}

// takeOut takes what is wrong out of conf; of a list, all of it.
func (m *mistake) takeOut() {
	keys := []string{""}
	if unknown, ok := m.unknown(); ok {
		keys = unknown
	}
	for _, key := range keys {
		path, _, _ := strings.Cut(join(m.path, key), "[")
		m.conf.Delete(strings.ReplaceAll(path, ".", confmap.KeyDelimiter))
	}
}

var steps = regexp.MustCompile(`[^.\[\]]+`)

// valueAt is what the configuration has at a path, nil for nothing.
func valueAt(conf *confmap.Conf, path string) any {
	key, rest, list := strings.Cut(path, "[")
	value := conf.Get(strings.ReplaceAll(key, ".", confmap.KeyDelimiter))
	if !list {
		return value
	}
	for _, step := range steps.FindAllString(rest, -1) {
		switch v := value.(type) {
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		case map[string]any:
			value = v[step]
		default:
			return nil
		}
	}
	return value
}

// typeAt is the type of what is at a path, nil if it cannot be told, and whether its value is a secret.
func typeAt(t reflect.Type, path string) (of reflect.Type, secret bool) {
	for _, step := range append([]string{""}, steps.FindAllString(path, -1)...) {
		for step != "" && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case step == "":
		case opaque(t) && t.Kind() == reflect.Slice && strings.Trim(step, "0123456789") != "":
			return reflect.TypeFor[string](), true // a list of names and values, written as a section
		case t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map:
			t = t.Elem()
		case t.Kind() == reflect.Struct:
			if t = fieldType(t, step); t == nil {
				return nil, secret
			}
		default:
			return nil, secret
		}
		secret = secret || opaque(t)
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, secret
}

// opaque reports whether the values of a type are secrets.
func opaque(t reflect.Type) bool { return strings.HasSuffix(t.PkgPath(), "/config/configopaque") }

func fieldType(t reflect.Type, key string) (found reflect.Type) {
	fields(t, func(name string, of reflect.Type) {
		if name == key {
			found = of
		}
	})
	return found
}

// optionsOf are the keys of a section.
func optionsOf(t reflect.Type) (keys []string) {
	if t != nil && t.Kind() == reflect.Struct {
		fields(t, func(name string, _ reflect.Type) { keys = append(keys, name) })
	}
	return keys
}

// fields yields the keys of a section, also those of structs that are squashed into it.
func fields(t reflect.Type, yield func(name string, of reflect.Type)) {
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case !field.IsExported() || name == "-":
		case options == "squash":
			fields(field.Type, yield)
		case name != "":
			yield(name, field.Type)
		}
	}
}

func scalarText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v), true
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// quote is a value as text, in one line and not too long.
func quote(value any) string {
	text, scalar := scalarText(value)
	if !scalar {
		if t, ok := value.(time.Time); ok {
			text = t.Format(time.RFC3339)
		} else if content, err := json.Marshal(value); err == nil {
			text = string(content)
		}
	}
	if utf8.RuneCountInString(text) > maxValue {
		text = string([]rune(text)[:maxValue]) + "…"
	}
	return text
}

// oneLine is the innermost reason of an error, without the lines around it.
func oneLine(err error, secret bool) string {
	if secret {
		return "look it up in the README"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

func either(options []string) string {
	if len(options) == 1 {
		return options[0]
	}
	last := len(options) - 1
	return strings.Join(options[:last], ", ") + " or " + options[last]
}

// distance is how many letters must be added, removed or replaced to make one word of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
