# Each target works as the first command after `git clone`: what it needs, it makes.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= out
WORKERS ?= auto
FOLDER ?= out/handed_in

.PHONY: help setup world small-world evening-world table1 evening table2 test test-faults lint bench bench-gpu notebooks rendered html \
  slides student exercises mark architecture normalise miniref-sheet one-look publish backbone shipped app

help:  ## what there is
	@grep -E '^[a-z0-9-]+:.*##' Makefile | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "TV-Net needs Python 3.11 or newer: name one with make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .
	@# on all cores, without the many files that nothing here imports; some need a newer Python
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests/|transformers/models/' .venv/lib || true
	@touch $@

setup: .venv/installed  ## install everything into .venv

world: setup  # drawn where it is missing, refused where another one lies there
	@$(BIN)/python -m data_setup miniref --root data/miniref --pictures 2000

evening-world: setup
	@$(BIN)/python -m data_setup miniref --root data/miniref-evening --pictures 8000

small-world: setup
	@$(BIN)/python -m data_setup miniref --root data/miniref-smoke --pictures 90

table1: world  ## Table 1, measured: about 15 minutes on two cores
	$(BIN)/python notebooks/run.py 09_ablations
	@echo "The result is in out/table1.json. To show it in README.md: make publish"

evening: evening-world  ## the published Table 1 again, stopped and resumed as you like: an evening
	$(BIN)/python notebooks/run.py -p PROFILE evening -p SEEDS 3 -p TABLE3 "unc gref referit" 09_ablations
	@echo "The result is in out/evening. To show it in README.md: make publish OUT=out/evening"

table2: evening-world  ## the twelve systems of Table 2, one seed, stopped and resumed as you like: an evening
	$(BIN)/python notebooks/run.py -p PROFILE evening -p STEPS 8000 \
	  -p SYSTEMS "LSTM-CNN RMI DMN KWA RRN MAttNet CMSA STEP BRINet CMPC LSCM TV-Net" 12_table2
	@echo "The result is in out/evening. To show it in the notebooks: make publish OUT=out/evening"

test: lint small-world  ## lint and tests, which run every notebook in the smoke profile
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

FAULTS := tests/data_setup/fetch/test_download.py tests/data_setup/convert tests/faults/counted.py \
  tests/faults/kill_loops.py tests/faults/training_kills.py

test-faults: setup  ## broken servers, hostile files, wrong bits, hundreds of kills: 10 minutes or more
	$(BIN)/python -m pytest $(FAULTS)

lint: setup  ## style of code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python notebooks/normalise.py --check

.venv/bench: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

bench: .venv/bench small-world  ## speed and memory beside what is possible: 15 minutes, two with FAST=1
	$(BIN)/python tests/benchmarks/record.py

bench-gpu: setup  ## the paper's step on a CUDA GPU against its limit
	$(BIN)/python tests/benchmarks/bench_gpu.py

# An upload is one message (tvnet/course/explorer/pictures.py holds its limits); files beside the
# notebook would be served to anybody without the token.
app: setup  ## the explorer in a browser, for this computer only; the link with its token is printed
	JUPYTER_PATH=notebooks/templates $(BIN)/python -m voila notebooks/templates/app.ipynb \
	  --template=offline_app --Voila.ip=127.0.0.1 --token \
	  --Voila.tornado_settings="{'websocket_max_message_size': 101000000}" \
	  --VoilaConfiguration.file_denylist='.*' \
	  --MappingKernelManager.cull_idle_timeout=300 --MappingKernelManager.cull_interval=60 \
	  --Voila.kernel_websocket_connection_class=notebooks.app.Connection

notebooks: small-world  ## run every notebook in the smoke profile
	$(BIN)/python notebooks/run.py -p PROFILE smoke

rendered: world  ## run the notebooks and write their rendered copies: make rendered [NOTEBOOK=04_enrichment]
	$(BIN)/python notebooks/render.py rendered $(NOTEBOOK)

html: world  ## the executed notebooks as pages for offline reading, in out/html
	$(BIN)/python notebooks/render.py html $(NOTEBOOK)

slides: world .venv/reveal  ## the executed notebooks as slides for offline use, in out/slides
	$(BIN)/python notebooks/render.py slides $(NOTEBOOK)

student: setup  ## copies for a class, without answers, in out/student
	$(BIN)/python notebooks/student.py

exercises: setup  ## a page of all exercises for printing, and one with their answers, in out/exercises
	$(BIN)/python notebooks/exercises.py

mark: setup  ## which exercises pass in handed-in copies: make mark FOLDER=out/handed_in
	$(BIN)/python notebooks/marking.py $(FOLDER)

.venv/reveal: | .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ sphinx-revealjs

architecture: setup  ## draw the pictures at the top of the notebooks again, and write the glossary
	$(BIN)/python notebooks/architecture.py
	$(BIN)/python notebooks/glossary.py

normalise: setup  ## bring notebooks into their committed form
	$(BIN)/python notebooks/normalise.py
	$(BIN)/ruff format .

miniref-sheet: world  ## the README's picture of MiniRef
	$(BIN)/python -m data_setup miniref-sheet --root data/miniref --out notebooks/figures/miniref.png

one-look: setup  ## the README's "paper in one look", and the moving pictures of notebooks 04 and 07
	$(BIN)/python -m tvnet.course.figures.one_look --out notebooks/figures/one_look.png
	$(BIN)/python -m tvnet.course.figures.motion --out notebooks/figures

publish: setup  ## put the figures of the last `make table1` into the README
	$(BIN)/python notebooks/publish.py --out $(OUT)

shipped: evening-world  ## train the shipped models again and cut the shipped pool: two hours
	$(BIN)/python -m tvnet.release.ship --data data/miniref-evening
	$(BIN)/python -m data_setup excerpt --source data/miniref-evening --root tvnet/shipped/pool --pictures 115 \
	  --also tvnet/shipped/models/examples.json
	$(BIN)/python -c 'import tvnet; tvnet.load().retriever.keep()'

backbone: setup  ## train the shipped backbone again, stopped and resumed as you like: two hours of one core
	$(BIN)/python -m data_setup minivoc --root data/minivoc
	$(BIN)/python -m tvnet.release.pretrain --data data/minivoc
