package confcheck

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

var numeric = regexp.MustCompile(`^[-+]?[0-9]*\.?[0-9]+$`)

// takeDurations takes values out of conf that are no durations where the configuration wants some.
func takeDurations(conf *confmap.Conf, config reflect.Type) (errs []error) {
	walkDurations(config, "", func(key string) {
		path := strings.ReplaceAll(key, ".", confmap.KeyDelimiter)
		var number string
		switch value := conf.Get(path).(type) {
		case string:
			if _, err := time.ParseDuration(value); err == nil {
				return
			}
			if !numeric.MatchString(value) {
				errs = append(errs, fmt.Errorf("%s: %q is no duration: use a number with a unit, such as 30s or 5m", key, value))
				conf.Delete(path)
				return
			}
			number = value
		case int, int64, uint64, float64:
			if number = fmt.Sprint(value); number == "0" {
				return
			}
		case bool:
			errs = append(errs, fmt.Errorf("%s: %t is no duration: use a number with a unit, such as 30s or 5m", key, value))
			conf.Delete(path)
			return
		default:
			return // absent, or for the decoder to refuse
		}
		errs = append(errs, fmt.Errorf("%s: %s has no unit: add one, such as %[2]ss, %[2]sm or %[2]sh", key, number))
		conf.Delete(path)
	})
	return errs
}

// walkDurations yields the keys of all durations of a configuration, those of sections with dots.
func walkDurations(t reflect.Type, prefix string, yield func(key string)) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case !field.IsExported() || name == "-":
		case field.Type == reflect.TypeFor[time.Duration]() && name != "":
			yield(prefix + name)
		case field.Type.Kind() != reflect.Struct:
		case options == "squash":
			walkDurations(field.Type, prefix, yield)
		case name != "":
			walkDurations(field.Type, prefix+name+".", yield)
		}
	}
}
