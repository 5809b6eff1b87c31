# Many Cores, One GIL: "make" lists what there is to make.
# Written for GNU make 3.81 and a POSIX shell, so that macOS can run it too.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# uv installs everything. A machine without one gets it inside .venv.
ifneq ($(shell uv --version 2>/dev/null),)
UV := uv
MADE := $(BIN)/python
MAKE_VENV = uv venv --quiet --python "$(PYTHON)" $(VENV)
else
UV := $(BIN)/uv
MADE := $(UV)
MAKE_VENV = "$(PYTHON)" -m venv $(VENV) && $(BIN)/python -m pip install \
	--quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
NEEDS := , ensurepip, venv
endif

# JupyterLab refuses root without the first; without a screen the second
# keeps a text browser from taking over the terminal.
LAB_OPTIONS := $(if $(filter 0,$(shell id -u)),--allow-root) \
	$(if $(DISPLAY)$(WAYLAND_DISPLAY)$(BROWSER)$(filter Darwin,$(shell uname)),,--no-browser)

# The version of a Python, or nothing where there is none.
version = $(shell "$(1)" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3] + sys.abiflags)' 2>/dev/null)

# The lessons, and those that are named: 01, or 01_the_gil.
LESSONS := $(patsubst notebooks/%.ipynb,%,$(sort $(wildcard notebooks/[0-9][0-9]_*.ipynb)))
LESSON_NAMED = $(foreach name,$(LESSON),$(filter $(name) $(name)_%,$(LESSONS)))

.PHONY: help lab slides test test-all bench lessons record site requirements clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

lab: $(VENV)/lab.stamp ## open JupyterLab at lesson 00
	@exec $(BIN)/python -m jupyterlab $(LAB_OPTIONS) --ServerApp.ip=127.0.0.1 \
		--ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

# make slides LESSON=01
ifneq ($(filter slides,$(MAKECMDGOALS)),)
ifneq ($(words $(LESSON_NAMED)),1)
$(error Which lesson? LESSON= takes one of $(LESSONS), or its number)
endif
endif
slides: $(VENV)/slides.stamp ## open a lesson as slides: make slides LESSON=01
	@exec $(BIN)/python -m jupyterlab $(LAB_OPTIONS) --ServerApp.ip=127.0.0.1 \
		--ServerApp.root_dir=. \
		--LabApp.default_url=/rise/notebooks/$(LESSON_NAMED).ipynb

test: $(VENV)/test.stamp ## run every test, the lessons included
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile tests --ignore-glob='*/test_browser*.py'
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/test_browser_*.py
	$(BIN)/python -m pytest --nbval tests/test_browser.py notebooks

# make test-all ONLY="3.14 spawn"
test-all: $(VENV)/test.stamp ## test with every Python here, under each start method
	@$(BIN)/python tools/matrix.py $(ONLY)

bench: $(VENV)/test.stamp ## print the table of benchmarks
	@$(BIN)/python tools/bench.py

lessons: $(VENV)/test.stamp ## run the lessons again and store their outputs
	@$(BIN)/python tools/lessons.py

record: $(VENV)/test.stamp ## record the runs in notebooks/recorded again
	@$(BIN)/python tools/record.py $(ONLY)

site: $(VENV)/test.stamp ## build the site of the lessons in site/
	@$(BIN)/python tools/website.py

# The tests' pins come first: the lab's are then the same, only fewer.
COMPILE = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command "make requirements"
requirements: $(MADE) ## pin the newest versions of everything
	@mkdir -p requirements
	@$(COMPILE) pyproject.toml --group build --extra cluster --extra slides \
		--extra test -o requirements/test.txt
	@$(COMPILE) pyproject.toml --group build --extra cluster --extra slides \
		-c requirements/test.txt -o requirements/slides.txt
	@$(COMPILE) pyproject.toml --group build --extra cluster -c requirements/test.txt \
		-o requirements/lab.txt
	@$(COMPILE) --group uv -o requirements/uv.txt

clean: ## remove what setting up made
	rm -rf $(VENV) $(VENV)-* build site

# A Python named on the command line replaces one of another version.
ifeq ($(origin PYTHON),command line)
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
.PHONY: $(MADE)
endif
endif

$(MADE):
	$(if $(shell "$(PYTHON)" -c 'import sys; print("new" if sys.version_info >= (3, 11) else "")' 2>/dev/null),,$(error \
		$(PYTHON) is $(or $(call version,$(PYTHON)),not there); this needs Python 3.11 or later. \
		Name another one: make $(MAKECMDGOALS) PYTHON=python3.13))
	$(if $(shell "$(PYTHON)" -c 'import sys$(NEEDS); print("ok")' 2>/dev/null),,$(error \
		$(PYTHON) cannot make virtual environments. Install python3-venv (Debian, Ubuntu) or uv))
	@echo "Setting up (about a minute, this once) ..."
	@rm -rf $(VENV)
	@$(MAKE_VENV)

# The tests need all that the lab needs, so that setting them up serves both.
$(VENV)/%.stamp: requirements/%.txt pyproject.toml jupyterlab.json \
		$(wildcard labextension/* labextension/static/*) $(MADE)
	@$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode \
		--require-hashes -r $<
	@$(UV) pip install --quiet --python $(BIN)/python \
		--no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/lab.stamp
