package genai

import "strings"

// details are the token counts inside a JSON object or the text of a Python dict, as LangSmith's exporters
// write them.
type details struct {
	found                              uint16
	in, out, sum, read, created, lived int64
	thought                            int64
}

const (
	foundIn = 1 << iota
	foundOut
	foundSum
	foundRead
	foundCreated
	foundLived
	foundThought
)

// scan adds what a text holds. Text that is neither JSON nor a dict adds nothing or little; it never fails.
func (d *details) scan(text string) {
	for key, number := range members(text) {
		if !(0 <= number && number <= maxCount) || number != float64(int64(number)) {
			continue
		}
		n := int64(number)
		// Buckets by tier, such as flex_cache_read or cache_read_over_200k, are parts of their kind.
		switch {
		case key == "input_tokens":
			d.in, d.found = n, d.found|foundIn
		case key == "output_tokens":
			d.out, d.found = n, d.found|foundOut
		case key == "total_tokens":
			d.sum, d.found = n, d.found|foundSum
		case strings.Contains(key, "cache_read"):
			d.read, d.found = d.read+n, d.found|foundRead
		case strings.Contains(key, "cache_creation"), strings.Contains(key, "cache_write"):
			d.created, d.found = d.created+n, d.found|foundCreated
		case strings.HasPrefix(key, "ephemeral_"):
			d.lived, d.found = d.lived+n, d.found|foundLived
		case strings.Contains(key, "reasoning"):
			d.thought, d.found = d.thought+n, d.found|foundThought
		}
	}
}

func (d *details) pick(flag uint16, n int64) int64 {
	if d.found&flag == 0 || n > maxCount {
		return Absent
	}
	return n
}

func (d *details) input() int64     { return d.pick(foundIn, d.in) }
func (d *details) output() int64    { return d.pick(foundOut, d.out) }
func (d *details) total() int64     { return d.pick(foundSum, d.sum) }
func (d *details) cacheRead() int64 { return d.pick(foundRead, d.read) }
func (d *details) reasoning() int64 { return d.pick(foundThought, d.thought) }

func (d *details) cacheWrite() int64 {
	return known(d.pick(foundCreated, d.created), d.pick(foundLived, d.lived))
}

// costIn is the cost, in USD, that an object has under a key, or zero.
func costIn(text, key string) float64 {
	for member, number := range members(text) {
		if member == key && 0 < number && number <= maxCost {
			return number
		}
	}
	return 0
}

// members yields the members of an object, and of the objects inside it, whose values are numbers. Single
// quotes are as good as double ones. Escapes in keys are left as they are: no key of interest has any.
func members(text string) func(yield func(string, float64) bool) {
	return func(yield func(string, float64) bool) {
		var key string
		for i := 0; i < len(text); {
			switch c := text[i]; {
			case c == '"' || c == '\'':
				end := quoted(text, i)
				if rest := strings.TrimLeft(text[min(end+1, len(text)):], " \t\r\n"); strings.HasPrefix(rest, ":") {
					key = text[i+1 : end]
				}
				i = end + 1
			case c == '-' || '0' <= c && c <= '9':
				end := i + 1
				for end < len(text) && strings.IndexByte("0123456789.eE+-", text[end]) >= 0 {
					end++
				}
				if number, ok := parseNumber(text[i:end]); ok && key != "" && !yield(key, number) {
					return
				}
				key = ""
				i = end
			case c == ',' || c == '{' || c == '[':
				key = ""
				i++
			default:
				i++
			}
		}
	}
}

// quoted returns the index of the quote that closes the one at start, or the length of the text.
func quoted(text string, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[start]:
			return i
		}
	}
	return len(text)
}
