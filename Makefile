# Two commands are all most people need: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMP := $(VENV)/.installed
CHECKED := build/checked

# uv does not read pip's settings. Without a wheel folder of one's own, torch comes from its CPU index.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
else
export UV_TORCH_BACKEND ?= cpu
endif

# Compiled bytecode is kept: without it every start of ZenML and torch compiles 5,000 files again.
unexport PYTHONDONTWRITEBYTECODE

# Prerequisites run in the order they are written.
.NOTPARALLEL:
.PHONY: help install demo fleet test lint types unit fuzz package system-packages lock audit clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

install: $(STAMP) ## Make .venv and install edgewright with everything the tests need

# constraints.txt: the versions that were tested together. constraints-sha256.txt: what their files must be; uv refuses others.
$(STAMP): pyproject.toml constraints.txt constraints-sha256.txt .ci/model-signing.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'uv>=0.9,<1'
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -c constraints-sha256.txt -e '.[all,dev]'
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/model-signing
	$(BIN)/uv pip install --quiet --python $(VENV)/model-signing/bin/python -r .ci/model-signing.txt
	touch $(STAMP)

demo: install ## Release a model trained on scikit-learn's digits to three edge targets
	cd examples/quickstart && ZENML_CONFIG_PATH=$(CURDIR)/.demo/zenml $(BIN)/edgewright run release.yaml

OPERATIONS := examples/operations

fleet: install $(OPERATIONS)/field.bundle ## Let 200 simulated devices report that their data have drifted; then `edgewright retrain` in examples/operations
	cd $(OPERATIONS) && rm -rf reports devices && $(BIN)/python simulate_fleet.py 1

$(OPERATIONS)/field.bundle: # what the devices run: the first release, whatever is champion by now
	cd $(OPERATIONS) && $(BIN)/python make_data.py && ZENML_CONFIG_PATH=$(CURDIR)/.demo/zenml $(BIN)/edgewright run release.yaml
	cd $(OPERATIONS)/edgewright-out/pump/artifacts && $(BIN)/edgewright verify controller.bundle && cp -r controller ../../../field
	cd $(OPERATIONS) && tar xf edgewright-out/pump/artifacts/controller.bundle reference.json
	cp $(OPERATIONS)/edgewright-out/pump/artifacts/controller.bundle $@

test: install system-packages lint types unit ## Lint, types, import contracts and every test

# Without restarts, since a worker that is replaced waits for ever for the rest of its file.
unit: install ## Every test, without lint and types
	@mkdir -p build
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --junitxml build/junit.xml

fuzz: install ## Hostile files by the ten thousand, others each time; takes a quarter of an hour
	$(BIN)/pytest --hypothesis-profile fuzz tests/unit/test_hostile_files.py

lint: install ## Style, and the direction of imports (on the built wheel)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory $(CHECKED)
	cp pyproject.toml $(CHECKED)/ && cd $(CHECKED) && PYTHONPATH=. $(BIN)/lint-imports --no-cache

types: install $(CHECKED) ## mypy --strict on the built wheel
	cd $(CHECKED) && MYPYPATH=. $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p edgewright

SOURCES := $(shell find edgewright steps pipelines integrations stacks -name '*.py' -o -name '*.j2' -o -name '*.css' -o -name '*.yaml')
$(CHECKED): $(SOURCES) pyproject.toml $(STAMP)
	rm -rf $(CHECKED) build/lib build/wheel && mkdir -p build
	$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel . > build/wheel.log 2>&1 || (cat build/wheel.log; exit 1)
	$(BIN)/uv pip install --quiet --no-deps --target $(CHECKED) build/wheel/*.whl
	touch $(CHECKED)

package: install ## Build wheel and source distribution into dist/
	$(BIN)/python -m build --no-isolation

system-packages: ## Debian packages the tests need (chromium for the report, gcc for C sources, sshd for the ssh device, qemu, a compiler for Arm, PostgreSQL, mosquitto, a software token)
	@.ci/system-packages

# torch and torchao have other files on torch's CPU index, on PyPI and in a wheel folder of one's own: no hashes for them.
lock: install ## Write constraints-sha256.txt anew from constraints.txt
	$(BIN)/uv pip compile --quiet --upgrade --all-extras --generate-hashes --no-annotate --no-header --no-emit-package torch --no-emit-package torchao \
		-c constraints.txt -o constraints-sha256.txt pyproject.toml

audit: install ## Look for known vulnerabilities of all dependencies; needs the network
	$(BIN)/uv tool run --quiet pip-audit --strict --progress-spinner off --disable-pip --no-deps -r constraints.txt -r .ci/model-signing.txt

clean: ## Remove everything that was made here
	git clean -qfdX examples
	rm -rf $(VENV) build dist .demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
