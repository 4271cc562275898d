package llmmetrics

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

const (
	serviceName    = "service.name"
	unknownService = "unknown_service"

	// maxResources bounds the groups of output. Spans of further resources are counted in overflow series
	// under a resource without attributes.
	maxResources = 1000
)

// resource is a group of output: the resources that agree in the configured attributes.
type resource struct {
	id     uint32
	key    string // length-prefixed values of the configured attributes
	series atomic.Int64

	users int // recorders that hold it; guarded by resources.mu
}

// resources finds resources by the values of the configured attributes.
type resources struct {
	attributes []string

	mu     sync.Mutex
	byKey  map[string]*resource
	nextID uint32
	other  *resource // stands for all beyond the bound
}

func newResources(attributes []string) *resources {
	return &resources{
		attributes: attributes,
		byKey:      map[string]*resource{},
		nextID:     1,
		other:      &resource{},
	}
}

// acquire finds or makes the resource and protects it from removal until release.
func (r *resources) acquire(buf []byte, attrs pcommon.Map) (*resource, []byte) {
	key := buf[:0]
	for _, name := range r.attributes {
		v := ""
		if a, ok := attrs.Get(name); ok {
			if a.Type() == pcommon.ValueTypeStr {
				v = a.Str()
			} else {
				v = a.AsString()
			}
		}
		if v == "" && name == serviceName {
			v = unknownService
		}
		if !utf8.ValidString(v) {
			v = sanitize(v)
		}
		key = appendLabel(key, v)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	res := r.byKey[string(key)]
	if res == nil {
		return r.add(string(key)), key
	}
	res.users++
	return res, key
}

// named is acquire for a resource whose key is known.
func (r *resources) named(key string) *resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	if res := r.byKey[key]; res != nil {
		res.users++
		return res
	}
	return r.add(key)
}

func (r *resources) add(key string) *resource {
	if len(r.byKey) >= maxResources {
		return r.other
	}
	res := &resource{id: r.nextID, key: key, users: 1}
	r.nextID++
	r.byKey[res.key] = res
	return res
}

func (r *resources) release(res *resource) {
	if res == r.other {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	res.users--
}

// sweep forgets resources that have neither series nor users.
func (r *resources) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, res := range r.byKey {
		if res.users == 0 && res.series.Load() == 0 {
			delete(r.byKey, key)
		}
	}
}

// fill writes the attributes of res.
func (r *resources) fill(res *resource, to pcommon.Map) {
	if res == r.other {
		to.PutBool(AttrOverflow, true)
		return
	}
	to.EnsureCapacity(len(r.attributes))
	values := res.key
	for _, name := range r.attributes {
		var v string
		if v, values = nextLabel(values); v != "" {
			to.PutStr(name, v)
		}
	}
}
