# paylink: make help lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
SEED ?= 0
RUNS ?= 1
OPS ?= 2000
PAYMENTS ?= 1000000
RUN ?= 5000
FOR ?= 0
LINT_VERSION := v2.15.0
# One way to compile for all but the race detector and DuckDB, which need C: what build
# has made, the chart and the tests find in Go's cache. Lint asks for what the race
# detector's tests need (scripts/race.sh).
export CGO_ENABLED := 0
export GOFLAGS := -trimpath

.PHONY: help run build test check race large pages looks lint chart lake generate fuzz sim sim-million mutate bench screenshots needs needs-check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## build and start everything on ./data with a demo account
	@bin/paylink serve --demo --allow-private-webhooks --data ./data --listen 127.0.0.1:8080

build: ## bin/paylink, one static binary
	@$(GO) build -ldflags '$(LDFLAGS)' -o bin/paylink ./cmd/paylink

test: ## every test with every real engine: SQLite, PostgreSQL, DynamoDB Local, Chromium
	@$(MAKE) --no-print-directory -j 2 needs build # downloads while it compiles
	@echo "tests: a line for each package, and for each test of 5 seconds or more; events in .cache/quick.json"
	@PAYLINK_BINARY=$(CURDIR)/bin/paylink GO=$(GO) scripts/test.sh quick

check: needs-check build race pages large lint chart lake ## what test leaves out: race detector, dashboard's accessibility, large sizes, lint, chart, lake

race: needs-check ## the tests again under the race detector
	@GO=$(GO) scripts/test.sh race

large: needs build ## lists of a million rows, floods, and what is measured
	@PAYLINK_BINARY=$(CURDIR)/bin/paylink GO=$(GO) scripts/test.sh large

pages: needs build ## accessibility of the dashboard and of accounts
	@PAYLINK_BINARY=$(CURDIR)/bin/paylink GO=$(GO) scripts/test.sh pages

looks: needs build ## accessibility of every page in every theme, width and language; takes minutes, and is no part of check
	@PAYLINK_BINARY=$(CURDIR)/bin/paylink GO=$(GO) scripts/test.sh looks

lint: needs-check ## formatting, and golangci-lint, which has go vet's own checks in it
	@test -z "$$(gofmt -l client cmd e2e internal docs tools)" || { echo "gofmt would change:"; gofmt -l client cmd e2e internal docs tools; exit 1; }
	@$(GO) -C tools/tally test -count 1 ./...
	@scripts/lint.sh

chart: build ## the Helm chart and the compose file, against Kubernetes' own checks
	@scripts/chart.sh

lake: build ## the lake that paylink writes, read back by DuckDB
	@scripts/lake.sh

generate: ## the templates' Go code, and the licenses of what is linked
	@for pages in internal/gateway/pages internal/gateway/dashboard internal/gateway/apidocs; do $(GO) tool -modfile=tools/templ/go.mod templ generate -path $$pages; done
	@$(GO) run ./tools/licenses

fuzz: ## a minute for each fuzzer, beyond the committed seeds that test runs
	@scripts/fuzz.sh

mutate: ## plant known bugs, one at a time, and write into docs/safety.md which test finds each
	@$(GO) run ./tools/mutate

sim: needs ## payments under random faults on every engine: SEED=n repeats a run, RUNS=n makes n runs of OPS=n operations
	@$(GO) test -count $(RUNS) -timeout 0 -run TestSimulation ./internal/sim -sim.seed=$(SEED) -sim.ops=$(OPS)

sim-million: ## a million payments in the simulation, on SQLite in memory: PAYMENTS=n for fewer, RUN=n in one run, FOR=30m for the time
	@$(GO) test -v -count 1 -timeout 0 -parallel 4 -run '^TestManyPayments$$' -exec 'env GOGC=300 $(if $(wildcard /dev/shm),TMPDIR=/dev/shm)' \
		./internal/sim -sim.seed=$(SEED) -sim.payments=$(PAYMENTS) -sim.run=$(RUN) -sim.for=$(FOR) | grep --line-buffered -v '^=== '

bench: needs build ## throughput and latency beside the machine's own limits
	@PAYLINK_BINARY=$(CURDIR)/bin/paylink $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./cmd/paylink/bench

screenshots: needs build ## the pages as pictures, in bin/screenshots
	@PAYLINK_BINARY=$(CURDIR)/bin/paylink PAYLINK_SCREENSHOTS=$(CURDIR)/bin/screenshots $(GO) test -count 1 -run 'TestStory|Accessibility' ./e2e/...

needs:
	@scripts/needs.sh

needs-check:
	@scripts/needs.sh check

clean: ## remove what was built
	@rm -rf bin .cache
