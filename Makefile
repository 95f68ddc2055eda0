# `make` without a target lists the targets with their descriptions.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build test test-libostree check msrv semver demo bench torture rebuild-check fuzz seeds docs install srpm rpm deb release-check clean

export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET_DIR)/release/ostree-go
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
RPMBUILD_ARGS ?=

help: ## List the targets
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) CARGO_TARGET_DIR=$(TARGET_DIR) BENCH_ARGS=$(BENCH_ARGS) FUZZ_SECONDS=$(FUZZ_SECONDS)"

build: ## Build the release binary, after installing the system packages it needs
	scripts/install-deps.sh build
	$(CARGO) build --release --locked -p ostree-go-cli

test: ## Run all tests, including the examples in the documentation (with CI=1, missing tools are errors)
	scripts/install-deps.sh build test
	$(CARGO) test --workspace --locked

test-libostree: ## Run the tests of the core workflow with Debian sid's libostree, in a chroot (needs root)
	scripts/install-deps.sh build test
	scripts/test-libostree.sh

check: ## Check format, lints, features, the minimum Rust version, rustdoc, dependencies, the book, and the workflows
	scripts/install-deps.sh build docs fuzz lint
	$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	command -v mdbook >/dev/null || $(CARGO) install --locked mdbook
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(CARGO) check -p ostree-go-sdk --no-default-features --locked
	$(CARGO) check --manifest-path fuzz/Cargo.toml --target-dir '$(TARGET_DIR)' --locked
	scripts/check-msrv.sh
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features --locked
	$(CARGO) deny --log-level error --all-features check bans licenses sources
	scripts/check-advisories.sh
	mdbook build docs
	scripts/lint-workflows.sh
	shellcheck packaging/hooks/*

msrv: ## Check that the workspace compiles with the minimum Rust version
	scripts/install-deps.sh build
	scripts/check-msrv.sh

semver: ## Compare the interface of the library with that of the last release
	scripts/install-deps.sh build
	scripts/check-semver.sh

demo: ## Run the whole workflow with real SDKs, from compose to rollback, in build/demo
	scripts/install-deps.sh build demo
	scripts/demo.sh

bench: ## Run all benchmarks, compared with the stock tools (BENCH_ARGS="--runs 5 --update-docs")
	scripts/install-deps.sh build bench
	$(CARGO) build --release --locked -p ostree-go-cli
	for subject in limits compose delta client build images inspect workspace proxy growth; do \
	    python3 -m bench $$subject --bin $(BIN) --json build/bench/$$subject.json $(BENCH_ARGS); \
	done
	python3 -m bench chart $(BENCH_ARGS)

torture: ## Kill, fault and cut the power of each changing command (TORTURE_KILLS, TORTURE_FAULTS, TORTURE_CUTS)
	scripts/install-deps.sh build test
	$(CARGO) build --release --locked -p ostree-go-cli
	OSTREE_GO_BIN=$(abspath $(BIN)) $(CARGO) run --locked -p ostree-go-tests --bin torture
	OSTREE_GO_TEST_MOD_FILES=100000 $(CARGO) test --workspace --locked --test e2e mod_files

rebuild-check: ## Compile all programs of Go's releases for both architectures, and compare their bytes (several minutes)
	scripts/install-deps.sh build test
	$(CARGO) test --workspace --locked --test e2e -- --ignored rebuild:: architectures::

fuzz: ## Fuzz each parser for untrusted input for FUZZ_SECONDS; FUZZ_TARGETS selects parsers
	scripts/install-deps.sh build fuzz
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
	    RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1; \
	done

seeds: ## Write the seed corpora of the fuzz targets into fuzz/seeds
	scripts/install-deps.sh build test
	$(CARGO) run --locked -p ostree-go-tests --bin fuzz_seeds

docs: ## Build the book (docs/book) and the rustdoc of the library
	scripts/install-deps.sh build docs
	command -v mdbook >/dev/null || $(CARGO) install --locked mdbook
	mdbook build docs
	$(CARGO) doc --workspace --no-deps --locked

install: ## Install what `make build` has built into DESTDIR/PREFIX; needs no cargo
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh '$(BIN)'

srpm: ## Build the source RPM of ostree-go, including its dependencies, in build/rpm
	scripts/install-deps.sh rpm
	scripts/srpm.sh build/rpm

rpm: srpm ## Build the RPM of ostree-go from the source RPM, in build/rpm (RPMBUILD_ARGS=--nodeps)
	scripts/install-deps.sh build
	rpmbuild --rebuild --define "_topdir $(CURDIR)/build/rpm/build" --define "_rpmdir $(CURDIR)/build/rpm" \
	    $(RPMBUILD_ARGS) build/rpm/ostree-go-*.src.rpm

deb: build ## Build the .deb of ostree-go, in build/deb (on Debian and Ubuntu)
	scripts/install-deps.sh deb
	scripts/deb.sh build/deb '$(BIN)'

release-check: rpm deb ## Build the crates, the RPM and the .deb, and check their contents (on Debian and Ubuntu)
	scripts/release-check.sh

clean: ## Remove the files that the other targets created in the source tree
	$(CARGO) clean
	rm -rf build docs/book
