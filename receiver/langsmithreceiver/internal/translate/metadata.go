package translate

import (
	"slices"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// metadata holds the values of the metadata keys that translation looks at, collected in one pass.
type metadata struct {
	provider, modelName, modelType, temperature, maxTokens, stop langsmith.Raw
	invocationParams, usage                                      langsmith.Raw
	embeddingModel, vectorStore                                  langsmith.Raw
	agentName                                                    langsmith.Raw
	otelTraceID, otelSpanID                                      langsmith.Raw
	sessionID, conversationID, threadID                          langsmith.Raw
	hubRepo, hubOwner, hubCommit                                 langsmith.Raw
	errorInterrupt                                               langsmith.Raw
}

func (m *metadata) read(members []langsmith.Member) {
	for i := range members {
		v := members[i].Value
		switch string(members[i].Key) {
		case "ls_provider":
			m.provider = v
		case "ls_model_name":
			m.modelName = v
		case "ls_model_type":
			m.modelType = v
		case "ls_temperature":
			m.temperature = v
		case "ls_max_tokens":
			m.maxTokens = v
		case "ls_stop":
			m.stop = v
		case "ls_invocation_params":
			m.invocationParams = v
		case "usage_metadata":
			m.usage = v
		case "ls_embedding_model":
			m.embeddingModel = v
		case "ls_vector_store_provider":
			m.vectorStore = v
		case "lc_agent_name":
			m.agentName = v
		case metaOTelTraceID:
			m.otelTraceID = v
		case metaOTelSpanID:
			m.otelSpanID = v
		case "session_id":
			m.sessionID = v
		case "conversation_id":
			m.conversationID = v
		case "thread_id":
			m.threadID = v
		case "lc_hub_repo":
			m.hubRepo = v
		case "lc_hub_owner":
			m.hubOwner = v
		case "lc_hub_commit_hash":
			m.hubCommit = v
		case "ls_is_error_interrupt":
			m.errorInterrupt = v
		}
	}
}

const (
	maxMetadataValue = 4 << 10
	maxMetadataKeys  = 128
	maxMetadataKey   = 256
)

// captured is a member of the metadata that becomes an attribute.
type captured struct {
	name   string
	member int
}

// captureMetadata writes the members that the user asked for: scalars with their type, everything else as JSON
// text. Of a key that is there twice the last counts, as in every JSON parser. What is left out is noted: keys longer
// than maxMetadataKey, and those beyond the first maxMetadataKeys.
func (t *Translator) captureMetadata(members []langsmith.Member, attrs *attributes, notes *Notes) {
	if t.settings.Metadata == nil {
		return
	}
	t.captured = t.captured[:0]
	taken := uint64(0) // the marks of the names that are captured
	for i := range members {
		key := members[i].Key
		if len(key) > maxMetadataKey {
			t.scratch = key.Append(t.scratch[:0])
			if t.settings.Metadata.match(t.scratch) {
				*notes |= MetadataLeftOut
			}
			t.scratch = keepScratch(t.scratch)
			continue
		}
		found := t.metadataName(key)
		if !found.wanted {
			continue
		}
		at := -1
		if taken&found.mark != 0 {
			at = slices.IndexFunc(t.captured, func(c captured) bool { return c.name == found.name })
		}
		switch {
		case at >= 0:
			t.captured[at].member = i
		case members[i].Value.Kind() == langsmith.KindAbsent:
		case len(t.captured) == maxMetadataKeys:
			*notes |= MetadataLeftOut
		default:
			taken |= found.mark
			t.captured = append(t.captured, captured{found.name, i})
		}
	}
	for _, c := range t.captured {
		t.metadataAttribute(c.name, members[c.member].Value, attrs, notes)
	}
}

func (t *Translator) metadataAttribute(name string, value langsmith.Raw, attrs *attributes, notes *Notes) {
	switch value.Kind() {
	case langsmith.KindAbsent:
	case langsmith.KindBool:
		v, _ := value.Bool()
		attrs.PutBool(name, v)
	case langsmith.KindNumber:
		putNumber(attrs, name, value)
	case langsmith.KindString:
		text := value.Text()
		if len(text) > maxMetadataValue {
			*notes |= ContentTruncated
		}
		attrs.PutStr(name, t.once(text, maxMetadataValue))
	default:
		attrs.PutStr(name, t.boundedJSON(value, maxMetadataValue, notes))
	}
}

// metadataName is the attribute that a key of the metadata becomes, if the user asked for it.
func (t *Translator) metadataName(key langsmith.Text) *metadataName {
	place := &t.metadataNames[hash(key)%metadataNames]
	if !place.known || place.key != string(key) {
		t.scratch = key.Append(append(t.scratch[:0], keyMetadataPrefix...))
		*place = metadataName{known: true, key: string(key)}
		if own := t.scratch[len(keyMetadataPrefix):]; t.settings.Metadata.match(own) {
			place.wanted, place.name, place.mark = true, string(t.scratch), 1<<(hash(own)%64)
		}
	}
	return place
}

// metadataNames is how many keys are remembered, each at the place that its bytes give.
const metadataNames = 256

// metadataName is what a key becomes.
type metadataName struct {
	known, wanted bool
	key           string // as it stands on the wire
	name          string
	mark          uint64 // one bit that its name gives: names of different marks differ
}

// putNumber writes a whole number as an integer and any other as a double. What no double can hold goes out as
// text.
func putNumber(attrs *attributes, key string, value langsmith.Raw) {
	whole := len(value) <= 18
	for i, c := range value {
		if c-'0' > 9 && !(i == 0 && c == '-') {
			whole = false
			break
		}
	}
	if whole {
		attrs.PutInt(key, value.Count().Value)
		return
	}
	if v := value.Number(); v.Valid {
		attrs.PutDouble(key, v.Value)
		return
	}
	attrs.PutStr(key, string(clipText(langsmith.Text(value), maxMetadataValue)))
}

// scalar is the text of a string or a number; nil for anything else. LangSmith takes both as ids.
func scalar(v langsmith.Raw) langsmith.Text {
	switch v.Kind() {
	case langsmith.KindString:
		return v.Text()
	case langsmith.KindNumber:
		return langsmith.Text(v)
	default:
		return nil
	}
}
