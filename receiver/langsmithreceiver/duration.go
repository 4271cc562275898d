package langsmithreceiver

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// takeMalformedDurations removes values that are no durations where Config wants some, and tells about them. The
// decoder's own error does not name the value, and a number without a unit would be nanoseconds to it.
func takeMalformedDurations(conf *confmap.Conf) error {
	var errs []error
	walkDurations(reflect.TypeFor[Config](), "", func(key string) {
		var err error
		path := strings.ReplaceAll(key, ".", confmap.KeyDelimiter)
		switch value := conf.Get(path).(type) {
		case string:
			if _, wrong := time.ParseDuration(value); wrong != nil {
				err = fmt.Errorf("%s: %q is no duration: use a number with a unit, such as 30s or 5m", key, value)
			}
		case int, int64, uint64, float64:
			if number := fmt.Sprint(value); number != "0" {
				err = fmt.Errorf("%s: %s has no unit: write it like 30s or 5m", key, number)
			}
		case bool:
			err = fmt.Errorf("%s: %t is no duration: use a number with a unit, such as 30s or 5m", key, value)
		}
		if err != nil {
			conf.Delete(path)
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}

// walkDurations yields the keys of all durations of a configuration struct.
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
