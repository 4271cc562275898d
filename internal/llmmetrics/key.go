package llmmetrics

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// maxLabelBytes bounds an attribute value. Longer ones are cut: a series must not hold a document.
const maxLabelBytes = 256

// A key is what makes a series: resource id, family, and the length-prefixed values of the family's
// attributes and of the dimensions. A series keeps its attributes in no other form.
const (
	keyHead         = 5    // resource id, family
	familyOverflow  = 0x80 // marks the family byte of an overflow series
	familyInference = 0x40 // marks an overflow series of inference, where that has metrics of its own
	familyView      = 0x30 // number of the view
	viewShift       = 4
	familyFlags     = familyOverflow | familyInference | familyView
)

func appendKeyHead(key []byte, resource uint32, family Family) []byte {
	return append(binary.LittleEndian.AppendUint32(key, resource), byte(family))
}

func appendKey(key []byte, resource uint32, o *Observation, dimensions int) []byte {
	key = appendKeyHead(key, resource, o.Family)
	switch o.Family {
	case FamilyClient:
		labels := [...]string{o.Operation, o.Provider, o.RequestModel, o.ResponseModel, o.DataSource}
		key = appendLabels(key, labels[:])
	case FamilyTool:
		key = appendLabel(key, o.ToolName)
		key = appendLabel(key, o.AgentName)
	case FamilyAgent:
		key = appendLabel(key, o.AgentName)
		key = appendLabel(key, o.RequestModel)
	case FamilyWorkflow:
		key = appendLabel(key, o.WorkflowName)
	case FamilyTrace, FamilyThread:
		key = appendLabel(key, o.WorkflowName)
		key = appendLabel(key, o.AgentName)
	case FamilyScore, FamilyVerdict:
		key = appendLabel(key, o.EvaluationName)
		key = appendLabel(key, o.EvaluationSource)
		if o.Family == FamilyVerdict {
			key = appendLabel(key, o.EvaluationLabel)
		}
	}
	key = appendLabels(key, o.Dimensions[:min(dimensions, len(o.Dimensions))])
	for range dimensions - len(o.Dimensions) {
		key = append(key, 0)
	}
	return key
}

// AppendNamed appends the value of a dimension that is for any attribute.
func AppendNamed(to []byte, name, value string) []byte {
	return append(append(append(to, name...), 0), value...)
}

// named takes the value of a dimension apart into name and value of the attribute.
func named(dimension, value string) (name, rest string) {
	if !strings.Contains(dimension, "*") {
		return dimension, value
	}
	name, rest, _ = strings.Cut(value, "\x00")
	return name, rest
}

// appendLabels appends labels, short ones without a call: most are so short that a call would cost as much as they do.
func appendLabels(key []byte, labels []string) []byte {
	for _, v := range labels {
		n := len(key)
		if len(v) > 32 || cap(key)-n <= 32 {
			key = appendLabel(key, v)
			continue
		}
		key = key[:n+1+len(v)]
		key[n] = byte(len(v))
		to := key[n+1:]
		switch n := len(v); {
		case n > 16:
			binary.LittleEndian.PutUint64(to, word(v))
			binary.LittleEndian.PutUint64(to[8:], word(v[8:]))
			binary.LittleEndian.PutUint64(to[n-16:], word(v[n-16:]))
			binary.LittleEndian.PutUint64(to[n-8:], word(v[n-8:]))
		case n >= 8:
			binary.LittleEndian.PutUint64(to, word(v))
			binary.LittleEndian.PutUint64(to[n-8:], word(v[n-8:]))
		case n >= 4:
			binary.LittleEndian.PutUint32(to, half(v))
			binary.LittleEndian.PutUint32(to[n-4:], half(v[n-4:]))
		default:
			for i := range n {
				to[i] = v[i]
			}
		}
	}
	return key
}

func appendLabel(key []byte, v string) []byte {
	if len(v) > maxLabelBytes {
		v = cut(v)
	}
	return append(binary.AppendUvarint(key, uint64(len(v))), v...)
}

// word is the first eight bytes of s, and half the first four: each is one instruction.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func half(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// cut shortens a long value, not inside a character.
func cut(v string) string {
	n := maxLabelBytes
	for n > maxLabelBytes-utf8.UTFMax && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n]
}

// nextLabel takes one value off the labels of a key.
func nextLabel[T string | []byte](labels T) (value, rest T) {
	n, used := uint64(labels[0]), 1
	if n >= 0x80 {
		n = n&0x7f | uint64(labels[1])<<7
		used = 2
	}
	return labels[used : used+int(n)], labels[used+int(n):]
}

// validLabels reports whether all values are UTF-8, which OTLP demands of strings.
func validLabels(labels string) bool {
	for labels != "" {
		var v string
		if v, labels = nextLabel(labels); !utf8.ValidString(v) {
			return false
		}
	}
	return true
}

// appendSanitized appends a key with every label made valid UTF-8. It allocates, which only odd input pays for.
func appendSanitized(to, key []byte) []byte {
	to = append(to, key[:keyHead]...)
	for labels := string(key[keyHead:]); labels != ""; {
		var v string
		v, labels = nextLabel(labels)
		to = appendLabel(to, sanitize(v))
	}
	return to
}

func sanitize(s string) string {
	if len(s) > maxLabelBytes {
		s = cut(s)
	}
	if s = strings.ToValidUTF8(s, "�"); len(s) > maxLabelBytes {
		s = cut(s)
	}
	return s
}
