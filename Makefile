# Two commands for a new user: `make study` and `make test`. Both set up .venv from the lock files first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help study test test-all lint lock clean

help:
	@echo "make study     trains, scores and fits the pocket study: outputs/pocket/report/index.html"
	@echo "make test      the tests (make test-all: the slow proofs too)"
	@echo "make lint      ruff and mypy"
	@echo "make lock      makes lock/*.txt anew from pyproject.toml"
	@echo "make clean     removes .venv (outputs/ stays)"

# What running needs, with the hash of every package. torch comes apart: its CPU and CUDA builds have different hashes.
$(VENV)/.run: lock/run.txt lock/torch.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "zeroscale needs Python 3.11 or newer; set PYTHON=")'
	@echo "setting up $(VENV) (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r lock/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r lock/torch.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run lock/test.txt
	@echo "adding what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r lock/test.txt
	@touch $@

study: export ZEROSCALE_DIE_WITH_PARENT := 1
study: $(VENV)/.run
	@$(BIN)/zeroscale train +sweeps=pocket
	@$(BIN)/zeroscale fit runs=outputs/pocket
	@$(BIN)/zeroscale report study=outputs/pocket

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto

test-all: $(VENV)/.test
	$(BIN)/python -m pytest -m "slow or not slow"

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# uv resolves for every Python and platform at once; pyproject.toml tells it torch's dependencies, so that neither build
# of torch is downloaded. No address of an index is written.
UV := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-package torch --constraint lock/torch.txt --quiet
lock:
	$(UV) --output-file lock/run.txt
	$(UV) --extra test --constraint lock/run.txt --output-file lock/test.txt

clean:
	rm -rf $(VENV)
