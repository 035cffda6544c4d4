# Everything runs in .venv, made on first use. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup demo test test-slow lint format bench docs results curve clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup
	$(RUN)/asradapt demo

test: setup lint
	$(RUN)/python -m pytest --numprocesses 2 --dist loadfile

test-slow: setup
	$(RUN)/python -m pytest -m slow

lint: setup
	$(RUN)/ruff format --check asradapt recipes tests tools
	$(RUN)/ruff check asradapt recipes tests tools
	$(RUN)/mypy

format: setup
	$(RUN)/ruff format asradapt recipes tests tools
	$(RUN)/ruff check --fix asradapt recipes tests tools

# Tables of docs/benchmarks; PYTHON_PEERS is an interpreter that also has the peers to compare with.
bench: setup
	$(RUN)/python tools/bench/run.py --out docs/benchmarks/cpu --python $(or $(PYTHON_PEERS),$(RUN)/python)

docs: setup
	$(RUN)/python tools/make_cli_docs.py

# The tables of docs/results.md; SPEECH is a folder laid out like speechocean762/manifest.jsonl and so on; needs flite.
WORK ?= .scratch/recipes
results: setup
	for corpus in speechocean762 philipp_lj fsdd simulated; do \
	    $(RUN)/python recipes/corpora/measure.py recipes/$$corpus/config.toml $(SPEECH) --work $(WORK) --lm lm_en --each || exit 1; \
	done

# The learning curve of docs/results.md, which takes an hour or more.
curve: setup
	$(RUN)/python recipes/corpora/measure.py recipes/philipp_lj/config.toml $(SPEECH) --work $(WORK) --curve

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
