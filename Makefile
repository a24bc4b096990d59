# Everything a newcomer needs: make install, make run, make test. GNU make 3.81 and Python 3.11 are enough.

PY  ?= python3
V   := .venv
BIN := $(V)/bin
# pytest options: make test ARGS='-x tests/ground'; ARGS='-n 8' for more workers, ARGS='-n 0' for none
ARGS ?=
PARALLEL := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test test-slow test-lowest fuzz lint docs bench dist lock audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

$(V)/.ok: pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PY) is missing or older than 3.11: name another one, as in make PY=python3.12" >&2; exit 1; }
	$(PY) -m venv $(V)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[all,dev]'
	$(BIN)/lowrank warmup
	@touch $@

install: $(V)/.ok ## create .venv, install lowrank and the tools of its tests, compile the kernels

run: $(V)/.ok ## factor a real matrix, save the factors, print the report
	@mkdir -p samples/out
	$(BIN)/lowrank approx samples/flow_vx.npy --rtol 0.01 -o samples/out/flow_vx.h5

test: lint ## style, import contract and the fast tests (LOWRANK_DATA names a folder of more real matrices)
	$(BIN)/pytest $(PARALLEL) $(ARGS)

test-slow: $(V)/.ok ## the long sweeps
	$(BIN)/pytest -m slow $(ARGS)

test-lowest: ## the fast tests with the oldest libraries that are allowed, in .venv-lowest
	$(PY) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install -q --disable-pip-version-check -e '.[all,dev]' -r .ci/lowest.txt
	.venv-lowest/bin/python -m pytest $(PARALLEL) $(ARGS)

fuzz: $(V)/.ok ## our parsers under coverage-guided fuzzing, SECONDS=20 each; needs a Python that atheris has wheels for
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[fuzz]'
	cd tests && for name in $$(ls fuzz/corpus); do ../$(BIN)/python -m fuzz.run $$name $(or $(SECONDS),20) || exit 1; done

lint: $(V)/.ok ## ruff and the import contract
	$(BIN)/ruff check -q .
	$(BIN)/ruff format --check -q .
	@log=$$($(BIN)/lint-imports) || { printf '%s\n' "$$log"; exit 1; }

docs: $(V)/.ok ## renew docs/cli.md, docs/lowrank.1 and docs/methods.md, run the sessions of the README, follow the links of every page
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_methods.py
	$(BIN)/pytest tests/docs $(ARGS)

bench: $(V)/.ok ## time everything against its peers, an hour or so; a trial is ARGS='--scale 10 --rounds 1'
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[bench]'
	$(BIN)/python bench/run.py $(ARGS)
	$(BIN)/python bench/process.py $(ARGS)
	$(BIN)/python bench/reading.py $(ARGS)
	$(BIN)/python bench/memory.py $(ARGS)
	$(BIN)/python bench/scaling.py $(ARGS)

dist: $(V)/.ok ## build the source archive and the wheel into dist/, use both in empty environments
	rm -rf dist
	$(BIN)/python -m build > /dev/null
	.ci/distribution

lock: $(V)/.ok ## renew .ci/requirements.lock: exact versions of everything, with hashes
	$(BIN)/python -m pip install -q --disable-pip-version-check pip-tools
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate --no-emit-options \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    $(addprefix --extra ,image plot zarr arrow hdf5 dask dev) -o .ci/requirements.lock pyproject.toml

audit: $(V)/.ok ## the lock installs as hashed, wheels only; none of it has a known vulnerability (needs the network)
	$(BIN)/python -m pip install -q --disable-pip-version-check pip-audit
	$(BIN)/python -m pip install -q --disable-pip-version-check --dry-run --ignore-installed --require-hashes \
	    --only-binary :all: -r .ci/requirements.lock
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r .ci/requirements.lock

clean: ## remove everything that was built, .venv too
	rm -rf $(V) .venv-lowest dist build samples/out .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
