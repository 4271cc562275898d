package translate

import "math/bits"

// Notes is what was odd about a run: a set of bits. None of them keeps the run from becoming a span.
type Notes uint16

const (
	// ClampedEnd is a run that ended before it started; its span ends where it starts.
	ClampedEnd Notes = 1 << iota
	// NoEnd is a run without an end time; its span ends where LangSmith's latency says, or where it starts.
	NoEnd
	// NoStart is a run without a start time; its span starts where it ends.
	NoStart
	// TimeOutOfRange is a run outside the years 2000 to 2100. Times before 1970 become 1970.
	TimeOutOfRange
	// UnknownStatus is a status that is not known; the span's status is unset and langsmith.status keeps it.
	UnknownStatus
	// UnknownType is a run type that is not known.
	UnknownType
	// NameTruncated is a name that was too long.
	NameTruncated
	// ContentTruncated is content that was longer than the limit.
	ContentTruncated
	// InvalidUsage is a negative or impossible number of tokens, or cost; it was left out.
	InvalidUsage
	// UnknownShape is a model call whose inputs or outputs have no known shape; they went out as they are.
	UnknownShape
	// MetadataLeftOut is metadata that was asked for and has too many keys, or a key that is too long; the rest went out.
	MetadataLeftOut
	// TagsLeftOut is a run with too many tags; the first ones went out.
	TagsLeftOut
)

var noteNames = [...]string{
	"clamped_end", "no_end", "no_start", "time_out_of_range", "unknown_status", "unknown_type", "name_truncated",
	"content_truncated", "invalid_usage", "unknown_shape", "metadata_left_out",
	"tags_left_out",
}

// Has reports whether all of other is among the notes.
func (n Notes) Has(other Notes) bool { return n&other == other }

// Reasons yields the name of each note, fit for an attribute of a metric: for reason := range notes.Reasons.
func (n Notes) Reasons(yield func(string) bool) {
	for n != 0 {
		i := bits.TrailingZeros16(uint16(n))
		if i >= len(noteNames) || !yield(noteNames[i]) {
			return
		}
		n &= n - 1
	}
}
