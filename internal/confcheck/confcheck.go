// Package confcheck decodes the configuration of a component and tells what is wrong with it as its Validate does: in one
// line for each mistake, with the key, the value and the remedy. The Collector's own decoder takes several lines, names
// types of Go instead of values, and takes a number without a unit for nanoseconds.
package confcheck

import (
	"errors"
	"reflect"
	"regexp"

	"github.com/go-viper/mapstructure/v2"
	"go.opentelemetry.io/collector/confmap"
)

// Remedies say what to write in place of a value that a key cannot have, such as "use g1 or g2". Keys of sections are
// joined by dots.
type Remedies map[string]string

// Unmarshal decodes conf into a pointer to a configuration, which holds the defaults; call it in the method Unmarshal of
// that configuration, and return what it returns from Validate. The error has a line for each key that cannot be
// decoded; those are taken out of conf and keep their defaults. It never names a value of a type of configopaque, nor
// that of a key it does not know.
func Unmarshal(conf *confmap.Conf, into any, remedies Remedies) error {
	config := reflect.ValueOf(into).Elem()
	defaults := reflect.New(config.Type()).Elem()
	defaults.Set(config)

	errs := takeDurations(conf, config.Type())
	err := conf.Unmarshal(into)
	if err == nil {
		return errors.Join(errs...)
	}
	mistakes := mistakesOf(err, "")
	for _, m := range mistakes {
		m.conf, m.config, m.remedies = conf, config.Type(), remedies
		errs = append(errs, m.explain()...)
	}
	for _, m := range mistakes {
		m.takeOut()
	}
	if len(errs) == 0 { // another tree than is known here
		errs = append(errs, errors.New(oneLine(err, false)))
	}
	// What is right is decoded all the same, so that Validate tells what else is wrong, and nothing that follows from this.
	config.Set(defaults)
	_ = conf.Unmarshal(into)
	return errors.Join(errs...)
}

// mistakesOf are the leaves of the tree of errors that the decoder returns. A section that decodes itself has a tree of
// its own with names of its own.
func mistakesOf(err error, path string) []*mistake {
	switch e := err.(type) {
	case *mapstructure.DecodeError:
		path = join(path, e.Name())
		if below := mistakesOf(e.Unwrap(), path); len(below) > 0 {
			return below
		}
		return []*mistake{{path: path, cause: e.Unwrap()}}
	case interface{ Unwrap() []error }:
		var all []*mistake
		for _, one := range e.Unwrap() {
			all = append(all, mistakesOf(one, path)...)
		}
		return all
	case interface{ Unwrap() error }:
		return mistakesOf(e.Unwrap(), path)
	}
	return nil
}

var goType = regexp.MustCompile(`^[a-z][a-z0-9]*\.[A-Z][A-Za-z0-9]*$`)

// join adds the name of a value to the path of the section that it is in. A section itself has the name of its Go type.
func join(path, name string) string {
	switch {
	case name == "" || goType.MatchString(name):
		return path
	case path == "" || name[0] == '[':
		return path + name
	}
	return path + "." + name
}
