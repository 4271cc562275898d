package genai

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// priceFile is a list of prices, in YAML or in JSON, which is YAML.
type priceFile struct {
	AsOf   string       `yaml:"as_of"`
	Prices []ModelPrice `yaml:"prices"`
}

// prices are those of a file, ready for use.
type prices struct {
	asOf string
	rows []*priceRow
}

// maxPriceFile bounds a price file, in bytes.
const maxPriceFile = 4 << 20

//go:embed prices.yaml
var builtinPriceFile []byte

// builtinPrices are the prices that come with the program.
var builtinPrices = sync.OnceValue(func() prices {
	p, err := parsePrices(builtinPriceFile)
	if err != nil {
		panic(err) // a test reads the file
	}
	return p
})

func readPriceFile(path string) (prices, error) {
	fail := func(err error) (prices, error) { return prices{}, fmt.Errorf("file: %q: %w", path, err) }
	file, err := os.Open(path)
	if err != nil {
		var reason *os.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return fail(fmt.Errorf("%w; name a readable price file", err))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxPriceFile+1))
	if err != nil {
		return fail(fmt.Errorf("%w; name a readable price file", err))
	}
	p, err := parsePrices(content)
	if err != nil {
		return fail(err)
	}
	return p, nil
}

// parsePrices reads the content of a price file.
func parsePrices(content []byte) (prices, error) {
	if len(content) > maxPriceFile {
		return prices{}, fmt.Errorf("is larger than %d bytes; split it, or leave out models that are not used", maxPriceFile)
	}
	var file priceFile
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return prices{}, fmt.Errorf("is no price file: %s; write prices: and under it a list", oneLine(err))
	}
	if len(file.Prices) == 0 {
		return prices{}, errors.New("has no prices; write prices: and under it a list")
	}
	rows, err := priceRows("prices", file.Prices)
	return prices{file.AsOf, rows}, err
}

func priceRows(key string, models []ModelPrice) ([]*priceRow, error) {
	rows := make([]*priceRow, 0, len(models))
	for i := range models {
		row, err := models[i].row()
		if err != nil {
			return nil, fmt.Errorf("%s[%d].%w", key, i, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// oneLine makes one line of an error of the decoder, without names of Go types.
func oneLine(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.NewReplacer(
		"unmarshal errors:\n  ", "", "\n  ", ", ", "\n", " ",
		" not found in type genai.priceFile", " is unknown", " not found in type genai.ModelPrice", " is unknown",
		" not found in type genai.PriceTier", " is unknown", "into genai.ModelPrice", "as a price", "into []genai.ModelPrice", "as a list of prices",
		"into genai.priceFile", "as a price file",
	).Replace(text)
	return text
}
