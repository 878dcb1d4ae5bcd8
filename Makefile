# The commands that a developer types. CI runs .ci/run; the targets here run its steps.
.DEFAULT_GOAL := help
.PHONY: help build test race lint fmt bench versus fuzz sabotage torture run ci

FUZZTIME ?= 200000x
BENCH    ?= .
ARGS     ?=
KILLS    ?= 1000
CUTS     ?= 1000
CLONES   ?= 100000
TORTURE  ?= $(CURDIR)/torture-data
TALLY     = THRONG_TORTURE_TALLY=$(TORTURE)/tally.json
CAMPAIGN  = -count 1 -v -timeout 24h -artifacts -outputdir $(TORTURE)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## compile every package, and the commands into bin/
	go build ./...
	go build -o bin/ ./cmd/...

test: ## run the tests
	go test ./...

race: ## run the short tests under the race detector
	.ci/run race

lint: ## check format, go vet and the linter
	.ci/run format vet lint

fmt: ## format the code and group its imports
	go tool -modfile=.ci/tools.mod golangci-lint fmt

bench: ## run the Go benchmarks; BENCH=regexp picks some
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

versus: ## compare with Redis, NATS and PostgreSQL, all started here (ten minutes)
	go run ./cmd/throng-bench versus $(ARGS)

fuzz: ## run each fuzz target for FUZZTIME (200000x)
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

sabotage: ## break each rule of the code in turn, and see that a test notices
	THRONG_SABOTAGE=. go test -count 1 -v -timeout 40m ./bench/torture/sabotage -run Caught

# Each run goes on where the last of the same commit stopped. What a failure leaves behind is in $(TORTURE) too.
# A round of the store's campaign is 20 clones.
torture: ## long campaigns: KILLS (1000) of the server, CUTS (1000) of its power, CLONES (100000) of the crashing store
	mkdir -p $(TORTURE)
	$(TALLY) THRONG_TORTURE_ROUNDS=$(KILLS) go test ./bench/torture/crash $(CAMPAIGN)
	$(TALLY) THRONG_TORTURE_ROUNDS=$(CUTS) go test ./bench/torture/power -run PowerCut $(CAMPAIGN)
	$(TALLY) THRONG_TORTURE_ROUNDS=$$(($(CLONES) / 20)) go test ./shards -run CrashesUnderLoad $(CAMPAIGN)

run: ## start a server on ./throng-data; ARGS="--flag ..." go to it
	go run ./cmd/throng serve $(ARGS)

ci: ## everything that CI checks
	.ci/run
