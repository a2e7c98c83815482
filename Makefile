# The developer's verbs. Each target makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo check test acceptance nano bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: setup
	$(BIN)/python -m eval demo --out runs/demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/test_architecture.py

test: setup
	$(BIN)/python -m pytest

# Clients whose packages cannot live beside ours, each in an environment of its own.
$(VENV)-%/.ready: examples/%.txt
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r $<
	touch $@

acceptance: setup $(VENV)-pipecat/.ready $(VENV)-livekit/.ready
	ACCEPTANCE=1 $(BIN)/python -m pytest tests/acceptance

nano: setup
	$(BIN)/python -m weights.check --small --out runs/nano-check

bench: setup
	$(BIN)/python -m eval bench

clean:
	rm -rf $(VENV) $(VENV)-* runs build dist .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
