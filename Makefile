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

# The nextest of .venv, or the machine's, or as a last resort the one that is installed into .venv.
NEXTEST := $(if $(shell PATH="$(TOOLS)/bin:$$PATH" command -v cargo-nextest),,$(TOOLS)/.rust-tools)

.PHONY: check
check: $(NEXTEST) ## Formatting, lints and unit tests, in under a minute after a small change
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	$(CARGO_TOOL) nextest run --workspace --all-features --lib --bins --profile check

TESTS := --workspace --all-targets --all-features
.PHONY: test
test: test-tools ## Run every test
	$(CARGO_TOOL) nextest run $(TESTS)
	cargo test --workspace --all-features --doc --quiet

.PHONY: build-tests
build-tests: test-tools ## Compile the tests and the program
	$(CARGO_TOOL) nextest run $(TESTS) --no-run

SEEDS ?= 5000
.PHONY: faults
faults: test-tools ## Worlds in which everything goes wrong: SEEDS=5000 of them, or the one of SEED=N again
	FAULT_SEEDS=$(SEEDS) FAULT_SEED=$(SEED) MALLOC_ARENA_MAX=2 $(CARGO_TOOL) nextest run --workspace --all-features --test faults \
		--profile faults --no-capture --filterset 'test(whatever_goes_wrong)'

.PHONY: lint
lint: test-tools ## Formatting, lints, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --all-features --lib --bins --examples --no-deps --quiet
	cargo fetch --quiet # of every platform: a build fetches only what this one needs
	$(CARGO_TOOL) deny --offline check bans licenses sources

.PHONY: advisories
advisories: test-tools ## Look the dependencies up in the RustSec database (needs the network)
	$(CARGO_TOOL) deny check advisories

.PHONY: fuzz
fuzz: ## Every fuzz target for a minute or 200,000 runs (needs cargo-fuzz, a nightly compiler and 20 minutes)
	python3 fuzz/run.py

.PHONY: test-packages
test-packages: ## The published crates: package them, build them with their oldest Rust, compare their interface
	python3 packaging/libraries.py

.PHONY: bench
bench: ## Compare `send` with the smallest client that could make the same calls (Linux, two processors, 10 minutes)
	cargo build --release --package ecs-task-notifier --package bench
	target/release/bench

.PHONY: bench-ask
bench-ask: ## Compare the cost of `ask` with that of `send` (Linux, two processors, 5 minutes)
	cargo build --release --package ecs-task-notifier --package bench
	target/release/bench ask

.PHONY: bench-functions
bench-functions: test-tools ## The time of a broadcast through the functions on an emulator of AWS (x86_64 Linux, 10 minutes)
	$(MAKE) lambda ARCH=x86_64
	cargo build --release --package ecs-task-notifier
	$(TOOLS)/bin/python bench/ministack.py target/release/ecs-task-notifier target/lambda/x86_64

.PHONY: rivals
rivals: ## Compare reach and cost with NATS, Redis, Mosquitto, Serf, Ansible and curl (skips what is not installed; 12 minutes)
	cargo build --release --package ecs-task-notifier
	python3 bench/rivals.py target/release/ecs-task-notifier

.PHONY: test-tools
test-tools: $(TOOLS)/.installed examples/receivers/node/node_modules/.package-lock.json ## Install what the tests need

$(TOOLS)/.rust-tools: tests/rust-tools.txt
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(TOOLS)/.installed: tests/requirements.txt tests/rust-tools.txt
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	tests/promtool.sh $(TOOLS)/bin || echo 'no promtool: the metrics are judged by prometheus_client alone' >&2
	touch $@

# npm writes this file itself, last.
examples/receivers/node/node_modules/.package-lock.json: examples/receivers/node/package-lock.json
	npm ci --prefix $(dir $<) --ignore-scripts --no-audit --no-fund --silent

# The program as the tests build it. `--examples` adds the dependencies of tests, and so their features: with other features
# Cargo would compile the AWS SDK once more.
PROGRAM := target/debug/ecs-task-notifier
BUILD_PROGRAM := cargo build --workspace --all-features --bin ecs-task-notifier --examples

# The functions' processor: arm64 or x86_64.
ARCH ?= arm64
TF ?= terraform
TERRAFORM := $(TF) -chdir=infra/terraform
DEPLOYED := -var architecture=$(ARCH) -var 'archives={files="../../target/lambda/$(ARCH)"}'

.PHONY: lambda
lambda: test-tools ## The functions' archives, in target/lambda (needs `rustup target add` for another processor)
	$(CARGO_TOOL) lambda build --package lambdas --profile lambda --output-format zip \
		--$(subst _,-,$(ARCH)) --lambda-dir $(CURDIR)/target/lambda/$(ARCH)

.PHONY: plan
plan: ## What `make deploy` would change (needs terraform, AWS credentials and the archives; variables as TF_VAR_...)
	$(TERRAFORM) init -input=false
	$(TERRAFORM) plan $(DEPLOYED)

.PHONY: deploy
deploy: lambda ## Build the archives and apply the Terraform module (needs what `plan` needs; asks first)
	$(TERRAFORM) init -input=false
	$(TERRAFORM) apply $(DEPLOYED)

.PHONY: destroy
destroy: ## Remove everything that `make deploy` created (needs what `plan` needs; asks first)
	$(TERRAFORM) destroy $(DEPLOYED)

LOCK := infra/terraform/.terraform.lock.hcl

.PHONY: lock
lock: ## Write the checksums of the newest providers, for every platform, into the module's lock file (needs terraform)
	$(TERRAFORM) providers lock -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_amd64 -platform=darwin_arm64

# A copy: tests neither use nor write a lock file, so that other providers than the registry's can stand in.
TERRAFORM_COPIES := target/test-terraform
TERRAFORM_COPY := $(TERRAFORM_COPIES)/terraform

.PHONY: test-terraform
test-terraform: ## The Terraform module's own tests and a look for insecure settings (needs terraform)
	$(TERRAFORM) fmt -check -recursive
	cmp LICENSE infra/terraform/LICENSE
	cmp LICENSE infra/terraform/modules/cluster-role/LICENSE
	! git ls-files --error-unmatch $(LOCK) 2>/dev/null || grep -q '"zh:' $(LOCK) # only the registry's has these
	python3 infra/terraform/tests/readme.py --check
	$(TF) -chdir=infra/acceptance fmt -check -recursive
	rm -rf $(TERRAFORM_COPIES) && mkdir -p $(TERRAFORM_COPIES)
	tar -c -C infra --exclude='.terraform*' --exclude='*.tfstate*' terraform acceptance | tar -x -C $(TERRAFORM_COPIES)
	$(TF) -chdir=$(TERRAFORM_COPY) init -input=false -backend=false
	$(TF) -chdir=$(TERRAFORM_COPY) validate
	$(TF) -chdir=$(TERRAFORM_COPY) test
	TF="$(TF)" python3 infra/terraform/tests/fetch_release.py $(TERRAFORM_COPY)
	TF="$(TF)" python3 infra/terraform/tests/examples.py $(TERRAFORM_COPY)/modules/* $(TERRAFORM_COPY)/examples/* $(TERRAFORM_COPIES)/acceptance
	test -x $(TOOLS)-checkov/bin/checkov || python3 -m venv $(TOOLS)-checkov
	$(TOOLS)-checkov/bin/pip install --quiet --disable-pip-version-check --requirement infra/terraform/tests/requirements.txt
	$(TOOLS)-checkov/bin/checkov --directory infra --framework terraform --compact --quiet --skip-download

REGION ?=
BUDGET ?=
ACCEPTANCE = $(TOOLS)/bin/python infra/acceptance/run.py --region "$(REGION)" --budget "$(BUDGET)" --terraform $(TF)
.PHONY: acceptance
acceptance: test-tools ## Try everything on a real account, REGION=... BUDGET=USD, and destroy it (shows the cost and asks first)
	$(ACCEPTANCE) --dry-run # before minutes of building
	$(MAKE) lambda
	cargo build --release --package ecs-task-notifier
	$(ACCEPTANCE) --architecture $(ARCH) --program $(CURDIR)/target/release/ecs-task-notifier

.PHONY: test-deployed
test-deployed: test-tools ## The module applied to an emulator: the functions running, people with its policies, events of its sources (needs terraform or TF=...)
	$(MAKE) lambda ARCH=x86_64
	TF=$(TF) $(CARGO_TOOL) nextest run --workspace --all-features --test deployed --run-ignored only
	$(BUILD_PROGRAM)
	TF=$(TF) $(TOOLS)/bin/python infra/terraform/tests/people.py $(PROGRAM)
	TF=$(TF) $(TOOLS)/bin/python infra/terraform/tests/sources.py

.PHONY: test-acceptance
test-acceptance: test-tools ## `make acceptance` rehearsed on emulators, and what it does when it is cut off (needs terraform or TF=...)
	$(MAKE) lambda ARCH=x86_64
	$(BUILD_PROGRAM)
	$(TOOLS)/bin/python infra/acceptance/tests/lifecycle.py
	TF=$(TF) $(TOOLS)/bin/python infra/acceptance/tests/rehearsal.py $(PROGRAM)

.PHONY: cold-start
cold-start: ## Zip size, and time from process start to ready, of the functions built for this machine (ARCH=x86_64)
	python3 crates/lambdas/cold_start.py target/lambda/$(ARCH)/*/bootstrap.zip

# Rust targets of the program and processors of the functions. STRICT=1: whatever cannot be built here is a failure.
RELEASE_TARGETS ?= x86_64-unknown-linux-musl aarch64-unknown-linux-musl
RELEASE_ARCHS ?= x86_64 arm64
RELEASE_TOOLS := .venv-release
RELEASE = PATH="$(CURDIR)/$(RELEASE_TOOLS)/bin:$$PATH" python3 packaging/release.py $(if $(STRICT),--strict) \
	$(if $(TAG),--tag $(TAG)) \
	--targets "$(RELEASE_TARGETS)" --architectures "$(RELEASE_ARCHS)"

.PHONY: release
release: release-tools ## What a release consists of, in target/dist, as far as this machine can build it
	rm -rf target/dist
	$(RELEASE) programs functions image sbom sums

.PHONY: release-programs
release-programs: release-tools ## The program's archives and wheels alone
	$(RELEASE) programs

.PHONY: release-sums
release-sums: ## The checksums of whatever is in target/dist
	python3 packaging/release.py sums

.PHONY: test-release
test-release: release-tools ## Look at target/dist as a user does: install, unpack, run
	$(RELEASE_TOOLS)/bin/python packaging/check.py

.PHONY: test-quickstart
test-quickstart: test-tools release-tools ## The commands of docs/deploy.md's quickstart on emulators (needs `make release`, terraform or TF=...)
	TF=$(TF) $(RELEASE_TOOLS)/bin/python packaging/quickstart.py

.PHONY: image
image: release-tools ## The daemon's container image for both processors, as `ecs-task-notifier` (needs buildah or docker)
	$(RELEASE) programs image

.PHONY: picture
picture: ## Draw docs/demo.svg anew from what the demo prints
	$(BUILD_PROGRAM)
	python3 packaging/picture.py $(PROGRAM)

.PHONY: test-picture
test-picture: ## Whether docs/demo.svg shows what the demo prints
	$(BUILD_PROGRAM)
	python3 packaging/picture.py $(PROGRAM) --check

PAGE_TOOLS := .venv-page

$(PAGE_TOOLS)/.installed: tests/page/requirements.txt tests/page/package-lock.json
	python3 -m venv $(PAGE_TOOLS)
	$(PAGE_TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	npm ci --prefix tests/page --ignore-scripts --no-audit --no-fund --silent
	touch $@

.PHONY: test-page
test-page: $(PAGE_TOOLS)/.installed ## The page in a browser, screenshots in target/page (needs Debian's chromium)
	$(BUILD_PROGRAM)
	$(PAGE_TOOLS)/bin/python tests/page/browser.py $(PROGRAM)

.PHONY: push-image
push-image: ## The release's image to REPOSITORY, by its version (needs skopeo, REGISTRY_USER and REGISTRY_PASSWORD)
	sh packaging/push-image.sh "$(REPOSITORY)"

.PHONY: lint-workflows
lint-workflows: release-tools ## Check the workflows of GitHub
	$(RELEASE_TOOLS)/bin/actionlint .github/workflows/*.yml

.PHONY: release-tools
release-tools: $(RELEASE_TOOLS)/.installed

$(RELEASE_TOOLS)/.installed: packaging/requirements.txt
	python3 -m venv $(RELEASE_TOOLS)
	$(RELEASE_TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
