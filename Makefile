# The commands that a developer types. CI runs .ci/run; the targets here run its steps.
.DEFAULT_GOAL := help
.PHONY: help build test race lint fmt bench versus fuzz torture run ci

FUZZTIME ?= 30s
BENCH    ?= .
ARGS     ?=
KILLS    ?= 100
CLONES   ?= 2000

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

fuzz: ## run each fuzz target for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

torture: ## kill the server KILLS (100) times, and crash the store CLONES (2000) times, under load
	THRONG_TEST_KILLS=$(KILLS) go test ./cmd/throng -count 1 -run 'NothingAcknowledgedIsLost' -timeout 60m -v
	THRONG_CRASH_CLONES=$(CLONES) go test ./shards -count 1 -run 'Crash' -timeout 60m -v

run: ## start a server on ./throng-data; ARGS="--flag ..." go to it
	go run ./cmd/throng serve $(ARGS)

ci: ## everything that CI checks
	.ci/run
