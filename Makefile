# The commands of this repository. `make help` lists them.
.DEFAULT_GOAL := help
TOOLS := .venv
CARGO_TOOL := PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" cargo

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: ## A whole broadcast on loopback: no AWS account, no set-up
	cargo run --quiet -- demo

.PHONY: test
test: test-tools ## Run every test
	$(CARGO_TOOL) nextest run --workspace --all-targets
	cargo test --workspace --doc --quiet

.PHONY: lint
lint: test-tools ## Formatting, lints, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet
	$(CARGO_TOOL) deny --offline check bans licenses sources

.PHONY: advisories
advisories: test-tools ## Look the dependencies up in the RustSec database (needs the network)
	$(CARGO_TOOL) deny check advisories

.PHONY: bench
bench: ## Compare a broadcast with the smallest client that could make it (Linux, two processors)
	cargo run --release --package bench

.PHONY: test-tools
test-tools: $(TOOLS)/.installed ## Install what the tests need, into .venv

$(TOOLS)/.installed: tests/requirements.txt
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
