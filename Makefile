# Set up, try, test. Everything happens in .venv and in $ATELIER_HOME (default ./var).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
SHARE ?= 0.01
FULL_SIZE ?= $(ATELIER_HOME)/full-size
BENCH_FIGURES ?= $(ATELIER_HOME)/bench
GPU_FIGURES ?= $(ATELIER_HOME)/gpu
export OPENBLAS_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
export GX_ANALYTICS_ENABLED ?= false
export DAGSTER_DISABLE_TELEMETRY ?= 1
# One home: Dagster's follows from Atelier's. Where only DAGSTER_HOME is set and lies in a home, it is that home.
ifeq ($(ATELIER_HOME),)
ATELIER_HOME := $(patsubst %/atelier.toml,%,$(wildcard $(patsubst %/dagster,%/atelier.toml,$(filter %/dagster,$(DAGSTER_HOME)))))
endif
ifeq ($(ATELIER_HOME),)
ATELIER_HOME := $(CURDIR)/var
endif
export ATELIER_HOME
override export DAGSTER_HOME = $(ATELIER_HOME)/dagster

.PHONY: help setup demo test test-all test-fast ui report serve lint types format bench bench-full-size bench-gpu lock docs clean

help:            ## what there is
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

setup: $(READY)  ## the environment, exactly as locked

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Atelier needs Python 3.11 or newer; set PYTHON=…"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { \
	  echo "Annoy is compiled on set-up and there is no C++ compiler. Install one: Debian and Ubuntu: apt-get install g++ python3-dev; Fedora: dnf install gcc-c++ python3-devel; macOS: xcode-select --install"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q assets atelier dagster_project resources sql
	@touch $(READY)

demo: setup      ## the sample retailer, two days of the daily job, the leaderboard
	$(BIN)/python -m dagster_project.demo

ui: setup        ## Dagster on loopback, with the demo's runs and assets
	@$(BIN)/atelier init --if-absent
	@$(BIN)/python -m dagster_project.ui --port $${PORT:-3000}

report:          ## open the newest daily page
	@$(BIN)/atelier report

serve:           ## read-only pages to look up customers, articles and figures by day, on loopback
	@$(BIN)/atelier serve --port $${PORT:-3100}

test: setup      ## the tests, a module at a time on each of $(WORKERS) processes; without the longest (test-all)
	$(BIN)/pytest --numprocesses $(WORKERS) -m "not nightly" --durations=40

test-all: setup  ## also whole nights that are killed, kept in object storage, or deployed with PostgreSQL
	$(BIN)/pytest --numprocesses $(WORKERS) --durations=40

test-fast: setup ## the tests for people at work: without the whole DAG, servers, browsers and kills
	$(BIN)/pytest --numprocesses $(WORKERS) -m "not slow and not nightly"

lint: setup      ## ruff, and the strict type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

types: setup
	$(BIN)/mypy

format: setup    ## rewrite what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup     ## side-by-side measurements, as ratios: one table, and docs/speed.svg; BENCH_FIGURES=folder
	$(BIN)/python -m benchmarks.speed $(BENCH_FIGURES)

bench-full-size: setup ## the daily job on a generated retailer; SHARE=0.01 (of H&M's size, or several: "0.01 0.1 1"), FULL_SIZE=folder
	@echo "SHARE=$(SHARE) in $(FULL_SIZE). A day of 1% took 7 processor minutes, one of 10% 21 and one of the full size 68 (37 by the clock on two idle"
	@echo "cores), two years of ingest 4 at 1%, 15 at 10% and 49 at full size. Interrupt it at will: the same command goes on where it was."
	for share in $(SHARE); do $(BIN)/python -m benchmarks.full_size $(FULL_SIZE) --share $$share --plot $(FULL_SIZE)/full_size.svg || exit 1; done

bench-gpu: setup ## what a CUDA device is used for, beside what limits it; GPU_FIGURES=folder
	@echo "It says what is left to do, and goes on where it was interrupted."
	$(BIN)/python -m benchmarks.gpu $(GPU_FIGURES) --plot $(GPU_FIGURES)/gpu.svg

docs: setup      ## what the code writes of itself
	$(BIN)/python -m resources.data_dictionary
	$(BIN)/python -m resources.recommender_settings_page

lock:            ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --group dev --extra deploy --extra kubernetes --extra ray pyproject.toml -o requirements.lock

clean:           ## remove the environment and the demo's home
	rm -rf $(VENV) var
