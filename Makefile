# Everything runs in a virtual environment that is made on the way: .venv, or .venv-X.Y for make PYTHON=pythonX.Y.
VENV := .venv$(if $(PYTHON),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
BIN := $(VENV)/bin

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: $(VENV)/.ready chromium ## Record a session of the demo in a browser, replay rush hour, get a verdict
	@$(BIN)/rushhour demo

test: $(VENV)/.ready chromium servers ## Run the tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not process and not browser"
	@$(BIN)/python -m pytest --numprocesses 3 --dist worksteal -m "process or browser"

check: $(VENV)/.ready ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

coverage: $(VENV)/.ready chromium servers ## Run the tests and show what they do not reach
	@$(BIN)/python -m pytest --cov --cov-report=term-missing

bench: $(VENV)/.ready ## Measure this tool against every load tool that is there or can be installed (a third of an hour, goes on where it was)
	@.ci/peers
	@$(BIN)/python -m benchmarks.peers

bench-captures: $(VENV)/.ready ## Measure reading and writing captures and what recording costs the proxy (minutes)
	@$(BIN)/python -m benchmarks.captures

bench-plan: $(VENV)/.ready ## Measure compiling captures of 5,000 to 50,000 exchanges, a cached plan, rendering
	@$(BIN)/python -m benchmarks.compile_plan

bench-merge: $(VENV)/.ready ## Measure what merging second-slots costs the controller, and the run file of an hour
	@$(BIN)/python -m benchmarks.merge_slots
	@$(BIN)/python -m benchmarks.run_file

bench-apps: $(VENV)/.ready chromium ## Record JupyterLab, a Socket.IO chat and a GraphQL shop, replay 20 users each (minutes)
	@$(BIN)/python -m benchmarks.applications

bench-load: $(VENV)/.ready ## Measure the schedule, memory per socket, storms against arithmetic, lag, cost per user
	@$(BIN)/python -m benchmarks.load_schedule
	@$(BIN)/python -m benchmarks.load_sockets

soak: $(VENV)/.ready ## Kill a writer of captures 1,000 times at random and look for lost records
	@$(BIN)/python -m benchmarks.soak_captures

pictures: $(VENV)/.ready chromium ## Make the pictures of the documentation again, from a real run
	@$(BIN)/python docs/pictures.py

chromium:
	@.ci/chromium

servers:
	@.ci/servers

$(VENV)/.ready: setup.cfg pyproject.toml .ci/venv
	@.ci/venv $(VENV) $(PYTHON)

.PHONY: help demo test check coverage bench bench-apps bench-captures bench-load bench-plan bench-merge soak pictures chromium servers
