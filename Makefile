# `make demo` and `make test` need Python 3.11+, make and a C compiler, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test slow ssh docker image sam kube helm helm-expected terraform google-source lint types contracts check clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Old pips, such as Debian's, cannot resolve extras under constraints.
$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) 'pip>=24'
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml constraints.txt
	$(PIP_INSTALL) -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml constraints.txt
	$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## Outpost and a JupyterHub that uses it, on this machine
	@exec $(BIN)/python -m local.demo

# Workers have servers of their own. One more than cores, because tests wait too; WORKERS=0 is one process for all.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
IN_PARALLEL = --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal

# What must be installed beside Python: .ci/run does, and runs each.
NEED_TOOLS = docker or helm or image or kube or sam or ssh or terraform

test: $(VENV)/.dev  ## everything that needs no Docker, Go, Node or SSH server
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not (slow or $(NEED_TOOLS))"

slow: $(VENV)/.dev  ## crashes and races of real processes
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "slow and not (alone or $(NEED_TOOLS))"
	$(BIN)/python -m pytest -m "slow and alone"

ssh: $(VENV)/.dev  ## servers behind a real SSH server
	$(BIN)/python -m pytest --numprocesses 2 -m ssh

docker: $(VENV)/.dev  ## Spawners of containers; .ci/docker brings the engine this needs
	$(BIN)/python -m pytest -m docker

sam: $(VENV)/.dev  ## functions as they are packaged, in Docker; .ci/sam brings what this needs
	$(BIN)/python -m pytest -m sam

image: $(VENV)/.dev  ## the container image and its SSH node; .ci/image brings what this needs
	$(BIN)/python -m pytest -m image

kube: $(VENV)/.dev  ## pods on a real API server; .ci/kube brings what this needs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m kube

helm: $(VENV)/.dev  ## the chart, with the real Helm; .ci/helm brings what this needs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m helm

helm-expected: $(VENV)/.dev  ## write anew what tests/helm expects of its values files; look at the difference then
	OUTPOST_WRITE_EXPECTED=1 $(BIN)/python -m pytest --quiet -m helm tests/helm/test_expected.py

terraform: $(VENV)/.dev  ## infra/google in Terraform; .ci/terraform brings what this needs
	$(BIN)/python -m pytest -m terraform

lint: $(VENV)/.dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## who may import whom
	$(BIN)/lint-imports

check: lint types contracts test  ## all of the above

# What `sam build` asks for: see template.yaml. FUNCTION_PACKAGES are Spawners and hooks' packages beside KubeSpawner.
FUNCTION_PACKAGES ?=
FUNCTION_FILES ?= $(wildcard outpost_config.py flavors.yaml credits.yaml rds-ca.pem)

build-DependenciesArm64: $(VENV)/.pip
	$(BIN)/python -m local.lambda_layer arm64 "$(ARTIFACTS_DIR)" $(FUNCTION_PACKAGES)

build-DependenciesX86: $(VENV)/.pip
	$(BIN)/python -m local.lambda_layer x86_64 "$(ARTIFACTS_DIR)" $(FUNCTION_PACKAGES)

# Lambda sets files' times anew: compiled files are checked by content, so that an edit in the console counts.
build-%Function: $(VENV)/.pip
	cp -R core handlers infra $(FUNCTION_FILES) "$(ARTIFACTS_DIR)"
	find "$(ARTIFACTS_DIR)" -name __pycache__ -prune -exec rm -rf {} +
	$(BIN)/python -m compileall -q --invalidation-mode checked-hash -s "$(ARTIFACTS_DIR)" -p /var/task "$(ARTIFACTS_DIR)"

google-source:  ## the functions' source for infra/google; needs Python alone
	$(PYTHON) -m local.google_source build/google-source.zip $(FUNCTION_PACKAGES)

clean:  ## remove the environment, and the demo's and the emulator's state
	rm -rf $(VENV) .outpost .outpost-demo .aws-sam .cache build
