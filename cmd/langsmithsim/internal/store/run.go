// Package store keeps the simulator's projects, runs, feedback and annotation queues, and answers questions
// about them as of a point in time.
//
// Times are microseconds since the Unix epoch, the server's own resolution; zero means absent.
package store

import (
	"time"
)

// Part names a large field of a run, which is rendered only when somebody asks for it.
type Part uint8

// The large fields. Each is a JSON value.
const (
	PartInputs Part = iota
	PartOutputs
	PartMetadata
	PartExtra
	PartEvents
	PartSerialized
	PartError
	PartInputsPreview
	PartOutputsPreview
)

// View says how a large field is rendered.
type View struct {
	// V2 asks for the form of the newer API where the two differ, such as in the times of events.
	V2 bool
	// Pending asks for what is known of a run before it has ended.
	Pending bool
}

// Body renders the large fields of a run. An absent part appends null.
type Body interface {
	Append(dst []byte, r *Run, p Part, v View) []byte
}

// Detail is one kind of tokens inside a usage, such as cache_read.
type Detail struct {
	Key    string
	Tokens int64
	Cost   Money
}

// Usage is what a model call consumed. Input includes cached tokens, output includes reasoning.
type Usage struct {
	Input, Output         int64
	InputCost, OutputCost Money
	// Priced tells a call that costs nothing from a call whose price is not known.
	Priced        bool
	InputDetails  []Detail
	OutputDetails []Detail
}

// TotalCost is the cost of input and output together.
func (u *Usage) TotalCost() Money { return u.InputCost + u.OutputCost }

// Add adds another usage to this one.
func (u *Usage) Add(o *Usage) {
	u.Input += o.Input
	u.Output += o.Output
	u.InputCost += o.InputCost
	u.OutputCost += o.OutputCost
	u.Priced = u.Priced || o.Priced
	u.InputDetails = addDetails(u.InputDetails, o.InputDetails)
	u.OutputDetails = addDetails(u.OutputDetails, o.OutputDetails)
}

func addDetails(dst, src []Detail) []Detail {
next:
	for _, d := range src {
		for i := range dst {
			if dst[i].Key == d.Key {
				dst[i].Tokens += d.Tokens
				dst[i].Cost += d.Cost
				continue next
			}
		}
		dst = append(dst, d)
	}
	return dst
}

// Detail sums the tokens of the kinds named.
func sumDetails(ds []Detail, keys ...string) (n int64) {
	for _, d := range ds {
		for _, k := range keys {
			if d.Key == k {
				n += d.Tokens
			}
		}
	}
	return n
}

// CacheRead is the number of input tokens read from a cache.
func (u *Usage) CacheRead() int64 { return sumDetails(u.InputDetails, "cache_read") }

// CacheWrite is the number of input tokens written to a cache.
func (u *Usage) CacheWrite() int64 {
	return sumDetails(u.InputDetails, "cache_creation", "cache_write")
}

// Reasoning is the number of output tokens spent on reasoning.
func (u *Usage) Reasoning() int64 { return sumDetails(u.OutputDetails, "reasoning") }

// Truth is what the simulator knows about a call and an observer has to find out: names by the OpenTelemetry
// GenAI conventions.
type Truth struct {
	// SpanID is the span id of a root that came in over OTLP; others follow from the run id.
	SpanID        string
	Operation     string
	Provider      string
	RequestModel  string
	ResponseModel string
	ErrorType     string
}

// Run is one run. It does not change once it is in the store: what the server knows of it at a point in time
// follows from Seen, Done and Settled, and an edit puts a changed copy in its place.
type Run struct {
	ID, TraceID, ParentID, ProjectID UUID
	// Parent is the run's parent when it is known; nil for roots and for runs whose parent came in later.
	Parent *Run

	Name string
	Type string // lower case
	// Status is the final state, lower case: success, error, interrupted; pending for a run that never ends.
	Status string

	Start, End, FirstToken int64
	// Seen is when the server learns of the run, Done when it learns of its end (zero: never), Settled when it
	// has filled in tokens and costs.
	Seen, Done, Settled int64

	// Dotted is the dotted order as the client sent it; empty when it follows from Parent.
	Dotted  string
	Thread  string
	Tags    []string
	Usage   *Usage
	Body    Body
	Truth   *Truth
	Example UUID // reference example of an experiment

	// Failed tells that there is an error text.
	Failed bool
	// Outer marks a model call that contains another one with the same usage: a wrapper. It never counts.
	Outer bool
}

// Finished reports whether the server knows at now that the run has ended.
func (r *Run) Finished(now int64) bool { return r.Done != 0 && r.Done <= now }

// StatusAt is the state that the server tells at now.
func (r *Run) StatusAt(now int64) string {
	if r.Finished(now) {
		return r.Status
	}
	return "pending"
}

// EndAt is the end time that the server tells at now; zero while the run is pending.
func (r *Run) EndAt(now int64) int64 {
	if r.Finished(now) {
		return r.End
	}
	return 0
}

// UsageAt is the run's own usage that the server tells at now; nil when it has none.
func (r *Run) UsageAt(now int64) *Usage {
	if r.Finished(now) && r.Settled <= now {
		return r.Usage
	}
	return nil
}

// Ancestors appends the ids from the root down to the direct parent.
func (r *Run) Ancestors(dst []UUID) []UUID {
	if r.Dotted != "" {
		segments := splitDotted(r.Dotted)
		return append(dst, segments[:max(len(segments)-1, 0)]...)
	}
	if r.Parent != nil {
		return append(r.Parent.Ancestors(dst), r.Parent.ID)
	}
	if !r.ParentID.IsZero() {
		return append(dst, r.ParentID)
	}
	return dst
}

func splitDotted(s string) (ids []UUID) {
	for s != "" {
		end := 0
		for end < len(s) && s[end] != '.' {
			end++
		}
		if end >= 36 {
			if id, err := ParseUUID(s[end-36 : end]); err == nil {
				ids = append(ids, id)
			}
		}
		s = s[min(end+1, len(s)):]
	}
	return ids
}

// AppendDotted appends the dotted order.
func (r *Run) AppendDotted(dst []byte) []byte {
	if r.Dotted != "" {
		return append(dst, r.Dotted...)
	}
	if r.Parent != nil {
		dst = append(r.Parent.AppendDotted(dst), '.')
	}
	dst = time.UnixMicro(r.Start).UTC().AppendFormat(dst, "20060102T150405")
	us := r.Start % 1_000_000
	for div := int64(100_000); div > 0; div /= 10 {
		dst = append(dst, byte('0'+us/div%10))
	}
	dst = append(dst, 'Z')
	return r.ID.Append(dst)
}

// Has reports whether id is an ancestor of the run.
func (r *Run) Has(id UUID) bool {
	if r.Dotted == "" {
		for p := r; p != nil; p = p.Parent {
			if p.ParentID == id {
				return true
			}
		}
		return false
	}
	for _, a := range r.Ancestors(nil) {
		if a == id {
			return true
		}
	}
	return false
}
