# Two commands are enough: `make run` and `make test`. Everything else is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_FOLDER ?= .frontdesk
PORT ?= 7860
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
export HF_HUB_OFFLINE ?= 1
export ANONYMIZED_TELEMETRY ?= False

.PHONY: run setup demo test test-engines test-all check migration lock audit format types clean

run: setup demo            ## install, build the demo shop's knowledge base, serve at 127.0.0.1:7860
	$(BIN)/python app.py --home $(HOME_FOLDER) --port $(PORT)

setup: $(VENV)/.installed  ## the virtual environment

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "torch>=2.6,<2.14" -e ".[dev,browser]"
	touch $@

demo: setup                ## give the home the demo shop's documents, adapter, orders and products, once
	@test -f $(HOME_FOLDER)/knowledge/current || \
		$(BIN)/python -m knowledge refresh assistant/demo/shop/documents --home $(HOME_FOLDER)
	@test -f $(HOME_FOLDER)/adapters/pointer.json || \
		$(BIN)/python -m finetune promote assistant/demo/weights/maplewick --home $(HOME_FOLDER)
	@test -f $(HOME_FOLDER)/records.sqlite || $(BIN)/python -m assistant.demo --home $(HOME_FOLDER)
	@test -f $(HOME_FOLDER)/propensity/pointer.json || \
		$(BIN)/python -m finetune promote-propensity assistant/demo/weights/outlook --home $(HOME_FOLDER)
	@test -f $(HOME_FOLDER)/recommender/pointer.json || \
		$(BIN)/python -m finetune promote-recommender assistant/demo/weights/recommender --home $(HOME_FOLDER)
	@test -f $(HOME_FOLDER)/catalogue/current || \
		($(BIN)/python -m assistant.demo --goods $(HOME_FOLDER)/goods.jsonl && \
		$(BIN)/python -m knowledge catalogue $(HOME_FOLDER)/goods.jsonl --home $(HOME_FOLDER))

test: setup                ## the quick suite, a process a core
	$(BIN)/python -m pytest $(PARALLEL)

test-engines: setup        ## the engines of a large shop, each started for real
	$(BIN)/python -m pytest -m slow -n 2 tests/assistant/test_postgres.py \
		tests/assistant/web/test_several_processes.py tests/assistant/test_transformers_serve.py \
		tests/knowledge/test_chroma_server.py tests/knowledge/test_ray_embedding.py

test-all: test             ## with browser journeys, servers and kill loops
	$(BIN)/python -m pytest -m slow

check: setup               ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

migration: setup           ## draft a step for what changed in tables.py: make migration m="what for"
	rm -f build/step.sqlite && mkdir -p build
	$(BIN)/alembic -x url=sqlite:///build/step.sqlite upgrade head
	$(BIN)/alembic -x url=sqlite:///build/step.sqlite revision --autogenerate -m "$(m)" \
		--rev-id $$(printf %04d $$(($$(ls assistant/migrations/versions/0*.py | wc -l) + 1)))

lock: setup                ## pin what a shop installs, with hashes: deploy/requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra oidc --extra postgres --extra redis --extra fast --extra otel --quiet \
		--generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--no-annotate --no-header --output-file deploy/requirements.lock

audit: setup               ## ask for advisories against what is locked (needs a network)
	$(BIN)/pip-audit --requirement deploy/requirements.lock --no-deps --disable-pip \
		$(shell sed -n '/^- id: /{s/^- id: /--ignore-vuln /;h};/^  accepted:/{g;p}' deploy/advisories.yaml)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:                     ## forget the demo's state, keep the environment
	rm -rf $(HOME_FOLDER)
