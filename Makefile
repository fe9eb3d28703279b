# The commands of this repository. `make help` lists them.
.DEFAULT_GOAL := help
VENV := .venv

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: test-tools
test-tools: $(VENV)/.installed ## Install what the tests need (Python packages, into .venv)

$(VENV)/.installed: tests/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
