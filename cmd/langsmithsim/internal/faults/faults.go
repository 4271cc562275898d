// Package faults holds the misbehaviour that a test has asked for.
package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Kind names a misbehaviour.
type Kind string

// The misbehaviours. The first group replaces or maims the answer, the second changes what a page of runs holds.
const (
	Status   Kind = "status"    // answers Status with a JSON error
	HTML403  Kind = "html403"   // answers 403 with HTML, as a firewall does
	Slow     Kind = "slow"      // waits Delay before it answers
	Truncate Kind = "truncate"  // breaks the connection in the middle of the body
	Reset    Kind = "reset"     // resets the connection without an answer
	TooLarge Kind = "too_large" // answers Status (413 by default) when the body is larger than Bytes
	Clock    Kind = "clock"     // the server's clock is off by Delay, which may be negative

	RepeatCursor Kind = "repeat_cursor" // next_cursor is the cursor of the request
	DropCursor   Kind = "drop_cursor"   // next_cursor is absent although there is more
	MalformedRun Kind = "malformed_run" // one run of the page breaks the types of its fields
	InvalidJSON  Kind = "invalid_json"  // one run of the page breaks the JSON grammar
	InvalidUTF8  Kind = "invalid_utf8"  // one run's name holds bytes that are no UTF-8
	HugeRun      Kind = "huge_run"      // one run's inputs grow to Bytes
	AbsurdTimes  Kind = "absurd_times"  // one run ends before it starts, another in the year 9999
	UnknownEnum  Kind = "unknown_enum"  // one run has a run type and status that nobody knows
	Offload      Kind = "offload"       // inputs and outputs are null, with links to them (older API)
	Late         Kind = "late"          // the answer is as of Delay ago: newer runs and ends are not there yet
)

var kinds = []Kind{
	Status, HTML403, Slow, Truncate, Reset, TooLarge, Clock, RepeatCursor, DropCursor, MalformedRun, InvalidJSON,
	InvalidUTF8, HugeRun, AbsurdTimes, UnknownEnum, Offload, Late,
}

// Fault is one misbehaviour and the requests that it strikes.
type Fault struct {
	// Match is a regular expression on method and path, such as "POST /api/v2/runs/query". Empty matches all
	// but the admin endpoints.
	Match string `json:"match,omitempty"`
	Kind  Kind   `json:"kind"`
	// Count is how many requests are struck; zero means without end. Skip lets so many matching requests pass first.
	Count int `json:"count,omitempty"`
	Skip  int `json:"skip,omitempty"`
	// Probability strikes only a share of the matching requests; zero means all.
	Probability float64 `json:"probability,omitempty"`
	Status      int     `json:"status,omitempty"`
	// Body is the answer's body, for status; a JSON error by default.
	Body string `json:"body,omitempty"`
	// RetryAfter is the header's value, for status; none when empty.
	RetryAfter string   `json:"retry_after,omitempty"`
	Delay      Duration `json:"delay,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"`

	// Struck counts the requests struck so far.
	Struck int `json:"struck"`

	pattern *regexp.Regexp
}

// Duration is a duration that JSON has as text ("1.5s") or as a number of seconds.
type Duration time.Duration

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		v, err := time.ParseDuration(s)
		*d = Duration(v)
		return err
	}
	var f float64
	err := json.Unmarshal(b, &f)
	*d = Duration(f * float64(time.Second))
	return err
}

// MarshalJSON implements [json.Marshaler].
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// List is the faults in force. It is safe for concurrent use.
type List struct {
	mu     sync.Mutex
	faults []*Fault
	random *rand.Rand
}

// NewList makes an empty list whose chances follow from the seed.
func NewList(seed uint64) *List { return &List{random: rand.New(rand.NewPCG(seed, 0xfa17))} }

// Set replaces all faults.
func (l *List) Set(fs []*Fault) error {
	for i, f := range fs {
		if !slices.Contains(kinds, f.Kind) {
			return fmt.Errorf("fault %d: unknown kind %q; use one of %v", i, f.Kind, kinds)
		}
		pattern, err := regexp.Compile(f.Match)
		if err != nil {
			return fmt.Errorf("fault %d: match: %w", i, err)
		}
		f.pattern = pattern
		f.Struck = 0
		switch f.Kind {
		case Status:
			if f.Status < 100 || f.Status > 599 {
				return fmt.Errorf("fault %d: status must be an HTTP status, is %d", i, f.Status)
			}
		case TooLarge:
			if f.Status == 0 {
				f.Status = http.StatusRequestEntityTooLarge
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = fs
	return nil
}

// All lists copies of the faults with their counts.
func (l *List) All() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Fault, 0, len(l.faults))
	for _, f := range l.faults {
		out = append(out, *f)
	}
	return out
}

// Strike takes the faults that hit a request off the list, in order.
func (l *List) Strike(r *http.Request) Struck {
	l.mu.Lock()
	defer l.mu.Unlock()
	var hit Struck
	for _, f := range l.faults {
		if f.Count > 0 && f.Struck >= f.Count {
			continue
		}
		if !f.pattern.MatchString(r.Method + " " + r.URL.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Probability > 0 && l.random.Float64() >= f.Probability {
			continue
		}
		f.Struck++
		hit = append(hit, *f)
	}
	return hit
}

// Struck are the faults that hit one request.
type Struck []Fault

// Get finds a fault by its kind; nil when there is none.
func (s Struck) Get(k Kind) *Fault {
	for i := range s {
		if s[i].Kind == k {
			return &s[i]
		}
	}
	return nil
}

type contextKey struct{}

// With puts the faults into a context.
func (s Struck) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// From are the faults of a request's context.
func From(ctx context.Context) Struck {
	s, _ := ctx.Value(contextKey{}).(Struck)
	return s
}
