PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
TEST_JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo check test goldens docs bench reproduce-codes reproduce-fashion-gans reproduce-memory reproduce-modes \
	reproduce-text clean

help: ## print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -q -c constraints.txt -e .
	$(BIN)/python -m compileall -q __init__.py cli.py compiler runtime
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	@touch $@

setup: $(VENV)/.installed ## make .venv and install netwright into it

setup-dev: $(VENV)/.installed-dev

demo: setup ## check, compile, train, evaluate, export and predict on real digits
	$(BIN)/netwright run specs/digits_cnn.yaml -o runs/demo --overwrite

check: setup-dev ## ruff, mypy --strict and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(TEST_JOBS) -m "not slow"

test: setup-dev ## all tests
	$(BIN)/pytest -n $(TEST_JOBS)

goldens: setup-dev ## rewrite the recorded outputs; review the diff as code
	$(BIN)/pytest -n $(TEST_JOBS) --update-goldens

docs: setup ## regenerate the pages of docs/ that are made from the source
	$(BIN)/python docs/generate.py

bench: setup-dev ## side-by-side timings; prints the tables of benchmarks/RESULTS.md
	$(BIN)/python benchmarks/compile_and_export.py
	$(BIN)/python benchmarks/generated_module.py
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/time_to_accuracy.py
	$(BIN)/python benchmarks/vae_reference.py
	$(BIN)/python benchmarks/gan_reference.py

reproduce-memory: setup-dev ## how far back RNN, LSTM and GRU remember; writes docs/results/memory.*
	$(BIN)/python benchmarks/reproduce_memory.py

reproduce-fashion-gans: setup-dev ## what GANs make of Fashion-MNIST; writes docs/results/fashion_gans.*
	$(BIN)/python benchmarks/reproduce_fashion_gans.py

reproduce-codes: setup-dev ## what codes of VAEs hold, over three seeds; writes docs/results/codes.*
	$(BIN)/python benchmarks/reproduce_codes.py

reproduce-modes: setup-dev ## which GANs find all points of a ring, over five seeds; writes docs/results/modes.*
	$(BIN)/python benchmarks/reproduce_modes.py

reproduce-text: setup-dev ## what a character costs language models and n-grams; writes docs/results/text.md
	$(BIN)/python benchmarks/reproduce_text.py

clean:
	rm -rf $(VENV) runs build dist *.egg-info
