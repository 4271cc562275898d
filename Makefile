# make run, make test, make build: see README.md and CONTRIBUTING.md.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

DIST      := cmd/otelcol-langsmith
TOOL      := go tool -modfile=$(CURDIR)/tools/go.mod
COMPONENTS := receiver/langsmithreceiver processor/llmmetricsprocessor connector/llmmetricsconnector
GO_TEST_FLAGS ?=

.PHONY: help run build test test-unit test-race test-e2e generate lint fmt bench clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## run the distribution: against LangSmith when LANGSMITH_API_KEY is set, else against the simulator
	@scripts/run.sh

build: bin/otelcol-langsmith bin/langsmithsim ## the distribution and the simulator, in bin/

# go build knows best what is out of date, so these are always asked.
.PHONY: bin/otelcol-langsmith bin/langsmithsim
bin/otelcol-langsmith:
	@[ -e $@ ] || echo "building the distribution: the first time takes about ten minutes"
	@cd $(DIST) && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o ../../$@ .
bin/langsmithsim:
	@CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o $@ ./cmd/langsmithsim

test: lint test-unit test-race test-e2e ## everything that must pass before a change lands

test-unit: ## unit and component tests
	go test $(GO_TEST_FLAGS) $$(go list ./... | grep -v /test)
	cd bench && go vet ./...

# The cursor is left out: it is a state machine without goroutines, and its histories would take minutes.
test-race: ## the packages that run goroutines, under the race detector
	go test -race $(GO_TEST_FLAGS) $$(go list ./internal/... ./receiver/... ./processor/... ./connector/... ./cmd/langsmithsim/... | grep -v /internal/cursor)

# Two packages use the SDK, so it is installed before they run side by side. Without Node their tests skip.
test/jssdk/node_modules: test/jssdk/package-lock.json
	@if command -v npm >/dev/null; then cd test/jssdk && npm ci --no-audit --no-fund && touch node_modules; fi

# Real Prometheus comes from scripts/prometheus.sh; where it cannot be had, the tests that need it skip.
test-e2e: build test/jssdk/node_modules ## the built binaries against the simulator and real peers
	go test -timeout 50m $(GO_TEST_FLAGS) ./test/...

generate: ## code and docs that are generated: mdatagen, builder
	for c in $(COMPONENTS); do (cd $$c && $(TOOL) mdatagen metadata.yaml && chmod -R u=rwX,go=rX .); done
	cd connector/llmmetricsconnector && go run ./internal/metricsdoc
	scripts/generate-distribution.sh

lint: ## gofumpt, vet, staticcheck
	@out=$$($(TOOL) gofumpt -l $$(git ls-files '*.go' | grep -vE '/generated_|^cmd/otelcol-langsmith/')); [ -z "$$out" ] || { echo "not formatted (make fmt): $$out" >&2; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...

fmt: ## format the code
	$(TOOL) gofumpt -w $$(git ls-files '*.go' | grep -vE '/generated_|^cmd/otelcol-langsmith/')

bench: build ## benchmarks beside peers, side by side in one run
	bench/run.sh

clean: ## remove what was built and the state of make run
	rm -rf bin state
