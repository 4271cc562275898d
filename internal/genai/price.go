package genai

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// PriceTable prices calls that nobody else priced. It is safe for concurrent use. A nil table prices nothing.
type PriceTable struct {
	sources [][]*priceRow // the first that has a price wins
	asOf    string

	// found is what calls of known names cost. It is copied to be changed, so that reading takes no lock: after
	// the first calls of each model it no longer changes.
	found   atomic.Pointer[map[priceKey]*priceEntry]
	finding sync.Mutex

	missing struct {
		sync.Mutex
		names  map[UnpricedModel]*atomic.Int64
		others atomic.Int64
	}
}

// Bounds of what a table remembers, since anybody can send it any names.
const (
	maxPriceNames   = 1024
	maxMissingNames = 100
	maxModelName    = 256
)

type priceKey struct{ provider, request, response string }

// priceEntry is what is known about the price of one model.
type priceEntry struct {
	rows  []*priceRow // the first that holds wins
	name  UnpricedModel
	calls atomic.Pointer[atomic.Int64] // of the name, when one was not priced
}

// UnpricedModel is the name of a model that a table has no price of.
type UnpricedModel struct{ Provider, Name string }

// Pricing says how a call came by its cost, or why it did not.
type Pricing uint8

const (
	// PricingOff is for everything without a price table, and for operations that are no calls of a model.
	PricingOff Pricing = iota
	// PricingLangSmith is a cost that LangSmith gave.
	PricingLangSmith
	// PricingInstrumentation is a cost that the instrumentation gave.
	PricingInstrumentation
	// PricingTable is a cost from the price table.
	PricingTable
	// PricingUnknownModel is a call without cost: the table has no price of the model at the time of the call.
	PricingUnknownModel
	// PricingNoUsage is a call without cost: it tells no token counts, or none that can be right.
	PricingNoUsage
	pricings
)

// Pricings is the number of values of [Pricing]: each is below it.
const Pricings = int(pricings)

var pricingNames = [pricings]string{"off", "langsmith", "instrumentation", "table", "unknown_model", "no_usage"}

// String returns a short name in lower case, fit for a metric label.
func (p Pricing) String() string {
	if p < pricings {
		return pricingNames[p]
	}
	return pricingNames[PricingOff]
}

// NewPriceTable makes the table that a configuration asks for, and reads its file. The table is nil when prices
// are switched off. Errors name the key and the remedy, with keys below that of the configuration.
func NewPriceTable(c PriceConfig) (*PriceTable, error) {
	if !c.Enabled {
		return nil, nil
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t := &PriceTable{}
	rows, err := priceRows("models", c.Models)
	if err != nil {
		return nil, err
	}
	t.sources = append(t.sources, rows)
	if c.File != "" {
		file, err := readPriceFile(c.File)
		if err != nil {
			return nil, err
		}
		t.sources = append(t.sources, file.rows)
	}
	if c.Builtin {
		file := builtinPrices()
		t.sources, t.asOf = append(t.sources, file.rows), file.asOf
	}
	t.found.Store(&map[priceKey]*priceEntry{})
	t.missing.names = map[UnpricedModel]*atomic.Int64{}
	return t, nil
}

// AsOf is the date, such as 2025-12-31, of the built-in prices; empty when the table has none.
func (t *PriceTable) AsOf() string {
	if t == nil {
		return ""
	}
	return t.asOf
}

// Price puts a cost on a call of a model that has none, with [CostTable] as its source. A call that has a cost
// keeps it, even when it is zero. attributes are those of the call's span, for the few token counts that a Call
// does not hold; they may be zero.
//
// The price is that of the end of the call. Price allocates nothing for models that it has seen before.
func (t *PriceTable) Price(call *Call, attributes pcommon.Map) Pricing {
	switch {
	case !call.Kind.ModelCall():
		return PricingOff
	case call.CostSource == CostLangSmith:
		return PricingLangSmith
	case call.CostSource == CostInstrumentation:
		return PricingInstrumentation
	case call.CostSource == CostTable:
		return PricingTable
	case t == nil:
		return PricingOff
	case call.InputTokens < 0 || call.OutputTokens < 0 && call.Kind != KindEmbeddings,
		call.InputTokens == 0 && call.OutputTokens <= 0:
		return PricingNoUsage
	}
	entry := t.entry(call)
	at := call.End
	if at == 0 {
		at = call.Start
	}
	for _, row := range entry.rows {
		if !row.holds(at) || call.Kind != KindEmbeddings && !row.generates() {
			continue
		}
		var parts usageParts
		if row.parts {
			parts = readParts(attributes)
		}
		cost := row.cost(call, parts)
		if cost > maxCost {
			return PricingNoUsage
		}
		call.Cost, call.CostSource = cost, CostTable
		return PricingTable
	}
	t.miss(entry)
	return PricingUnknownModel
}

// entry returns what is known about the models of a call.
func (t *PriceTable) entry(call *Call) *priceEntry {
	key := priceKey{call.Provider, call.RequestModel, call.ResponseModel}
	if entry := (*t.found.Load())[key]; entry != nil {
		return entry
	}
	if len(key.provider) > maxModelName || len(key.request) > maxModelName || len(key.response) > maxModelName {
		return &priceEntry{}
	}
	key = priceKey{strings.Clone(key.provider), strings.Clone(key.request), strings.Clone(key.response)}
	entry := &priceEntry{
		rows: t.find(key),
		name: UnpricedModel{strings.ToValidUTF8(key.provider, "?"), strings.ToValidUTF8(first(key.response, key.request), "?")},
	}

	t.finding.Lock()
	defer t.finding.Unlock()
	before := *t.found.Load()
	if other := before[key]; other != nil {
		return other
	}
	after := map[priceKey]*priceEntry{}
	if len(before) < maxPriceNames { // else start anew: what is in use comes back soon
		after = maps.Clone(before)
	}
	after[key] = entry
	t.found.Store(&after)
	return entry
}

// find returns the prices of a model in the order in which they win: by source, then by how specific the name
// is, then by their order in the source. The model that answered goes before the one that was asked for, which
// may be the name of a deployment.
func (t *PriceTable) find(key priceKey) []*priceRow {
	type model struct {
		provider string
		names    []string
	}
	var models []model
	for _, name := range []string{key.response, key.request} {
		if name != "" {
			models = append(models, model{providerFor(key.provider, name), candidates(name)})
		}
	}
	var rows []*priceRow
	for _, source := range t.sources {
		for _, model := range models {
			for _, name := range model.names {
				for _, row := range source {
					if !row.matches(model.provider, name) || slices.Contains(rows, row) {
						continue
					}
					rows = append(rows, row)
					if row.from == 0 && row.until == 0 && row.generates() {
						return rows // nothing comes after it
					}
				}
			}
		}
	}
	return rows
}

func (t *PriceTable) miss(entry *priceEntry) {
	calls := entry.calls.Load()
	if calls == nil {
		calls = t.missed(entry.name)
		entry.calls.Store(calls)
	}
	calls.Add(1)
}

// missed returns the count of a name, or of all other names when there are too many.
func (t *PriceTable) missed(name UnpricedModel) *atomic.Int64 {
	if name == (UnpricedModel{}) { // too long
		return &t.missing.others
	}
	t.missing.Lock()
	defer t.missing.Unlock()
	calls := t.missing.names[name]
	if calls == nil {
		if len(t.missing.names) >= maxMissingNames {
			return &t.missing.others
		}
		calls = new(atomic.Int64)
		t.missing.names[name] = calls
	}
	return calls
}

// Unpriced yields, in no order, the models that had no price and how many calls of each there were since the
// table was made; a call that names only its provider has an empty name. Beyond the first hundred, and for those
// that are too long or absent, both parts of the name are [ErrorOther]. It is for use as a range function.
func (t *PriceTable) Unpriced(yield func(model UnpricedModel, calls int64) bool) {
	if t == nil {
		return
	}
	t.missing.Lock()
	names := maps.Clone(t.missing.names)
	t.missing.Unlock()
	for name, calls := range names {
		if !yield(name, calls.Load()) {
			return
		}
	}
	if n := t.missing.others.Load(); n > 0 {
		yield(UnpricedModel{ErrorOther, ErrorOther}, n)
	}
}
