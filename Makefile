# One command per need. Each does its own set-up; nothing has to be installed by hand before.

CARGO ?= cargo

.PHONY: help siege build run demo install_haproxy run_haproxy run_test run_ha_node1 run_ha_node2 run_ha_node3 run_ha_node4 test suites conformance clients fuzz bench bench_edge deb lab lint check clean

help:  ## Shows this list
	@grep -E '^[a-z_0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build:  ## Builds the programs
	$(CARGO) build --release

run: build  ## Runs one edge on this machine: ws://127.0.0.1:8080/ws, pages at http://127.0.0.1:8080/
	target/release/crossbar-edge run --config docs/examples/edge-minimal.toml

demo: build  ## A master, four linked edges, HAProxy and the original's load through them, on this machine
	tests/demo/run

install_haproxy:  ## Installs HAProxy where it is missing
	tests/demo/cluster install_haproxy

run_ha_node1 run_ha_node2 run_ha_node3 run_ha_node4: build
	tests/demo/cluster edge $(@:run_ha_node%=%)

run_haproxy: install_haproxy  ## HAProxy in front of the nodes, which run_ha_node1 to run_ha_node4 run in a terminal each
	tests/demo/cluster haproxy

run_test: build  ## The original's small test against these
	target/release/crossbar-probe --url ws://localhost:8080/ws --realm realm1 --duration 5 --period 1 --clients 1 --connections 1 \
	    --loops 1 --rate 1 --stride 1 --size 512

test: clients  ## Passes all tests: units, transcripts, real binaries with real clients
	tests/run

suites: clients  ## Passes other makers' programs and test suites, on one edge and through HAProxy on four
	CROSSBAR_TEST_CLIENTS=required tests/run --test suites --test clients --test autobahn

clients:  ## Installs the real clients that the tests use (Python, Node, Chromium), and HAProxy, below target/
	tests/clients/setup
	tests/suites/setup
	tests/failover/setup
	tests/autobahn/setup

siege:  ## Attacks a cluster for a minute, with a pair of sessions beside it that is not to notice
	SIEGE=full $(CARGO) test --release --test siege -- --nocapture

conformance: clients  ## All 517 cases of the Autobahn WebSocket testsuite (ten minutes)
	AUTOBAHN_FULL=1 $(CARGO) test --release --test autobahn -- --nocapture

fuzz:  ## Runs every fuzz target for FUZZ_SECONDS (default 60) each
	fuzz/run

bench: build  ## The original's five loads through HAProxy and four edges, and Crossbar.io beside it (ten minutes)
	benches/bench/cluster $(BENCH_OPTIONS)

bench_edge:  ## CPU per event of one edge against a bare epoll program, and memory per idle session
	$(CARGO) bench --bench fanout
	$(CARGO) bench --bench fanout -- idle

deb:  ## The Debian package, with its debug symbols beside it, in target/debian/
	debian/build

lab:  ## Boots three Debian hosts on this machine, deploys to them, breaks them, and says what came of it (as root; a quarter of an hour)
	tests/lab/run

lint:  ## Formatting, clippy with warnings denied, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items

check: lint test  ## What has to hold before a change lands

clean:  ## Removes everything that was built or installed here
	rm -rf target fuzz/target
