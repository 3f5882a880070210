# The commands of the README. Nothing but Python 3.11+, make and a shell is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export OMP_NUM_THREADS := 1

.PHONY: help install demo bench test soak screenshots check constraints protos catalogue artifact clean

help: ## the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

install: $(INSTALLED) ## set up .venv with pinned packages

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Linli needs Python 3.11 or 3.12; $(PYTHON) is {v[0]}.{v[1]}. Say: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) with pinned packages; the first time takes a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-warn-script-location -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## a district on this machine (PANEL=file.csv[.gz], SEED=n, KEEP=1)
	$(BIN)/linli-sim demo --out demo $(if $(PANEL),--panel "$(PANEL)") $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep)

test: $(INSTALLED) ## everything that proves it works without other programs
	$(BIN)/python -m tests.check

soak: $(INSTALLED) ## 1,000 seeds x 30 virtual days x 5 communities, all faults; hours (SEEDS=n, MINUTES=n, INTO=file to go on from)
	$(BIN)/python -m simulation.soak --days 30 --communities 5 $(if $(SEEDS),--seeds $(SEEDS)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(INTO),--into $(INTO))

bench: $(INSTALLED) ## our figures against their opponents (ROUNDS=n, ONLY=gas|ledger|transfers|alone|growth|repairs)
	$(BIN)/python -m bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

screenshots: $(INSTALLED) ## docs/screenshots anew, from a small made-up community (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots

constraints: $(INSTALLED) ## refresh the exact pins from pyproject.toml's ranges
	$(PYTHON) -m venv build/constraints-venv
	build/constraints-venv/bin/pip install --quiet '.[dev]'
	build/constraints-venv/bin/pip freeze --exclude-editable | grep -v '^linli' | sed -E 's/\+cpu//' > constraints.txt

protos: $(INSTALLED) ## generate the message classes from protos/*.proto
	$(BIN)/python -m protos.generate

artifact: ## recompile the contract (needs node and npm)
	cd contracts && npm ci --silent && node compile.mjs

clean: ## remove what the commands above made
	rm -rf $(VENV) build demo *.egg-info
