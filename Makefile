# Everything that is done with this checkout. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv demo lab lab-down test test-unit test-sanity test-integration test-molecule molecule lint docs \
        bench bench-smoke clean venv-test venv-lint venv-bench leftovers

LAB ?= lab
HOSTS ?= 3
RELEASES ?= bookworm
CORES ?=
PARTS ?=
VENV := $(CURDIR)/.venv
TIMED := scripts/timed.sh

help: ## this list
	@printf 'stowage.fleet: a container scheduler that lives in Ansible\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nLAB=%s names the lab, HOSTS=%s its size, RELEASES=%s what its hosts run (bookworm,trixie mixes).\n' \
	  '$(LAB)' '$(HOSTS)' '$(RELEASES)'

venv: ## virtual environment (.venv) with the collection linked into it
	@$(TIMED) 'virtual environment' scripts/venv.sh run

venv-test:
	@$(TIMED) 'virtual environment, tests' scripts/venv.sh test

venv-lint:
	@$(TIMED) 'virtual environment, lint' scripts/venv.sh lint

venv-bench:
	@$(TIMED) 'virtual environment, peers' scripts/venv.sh bench

demo: venv ## a fleet of three hosts on this machine, two tenants on it, and the map on the screen
	@LAB='$(LAB)' HOSTS='$(HOSTS)' RELEASES='$(RELEASES)' scripts/demo.sh

lab: venv ## HOSTS=n [LAB=name] [RELEASES=a,b]: a fleet of real hosts on this machine, no tenant on it yet
	@$(TIMED) 'lab $(LAB) up' scripts/lab.sh up '$(LAB)' '$(HOSTS)' '$(RELEASES)'

lab-down: venv ## [LAB=name]: takes the lab away, and all that it made
	@$(TIMED) 'lab $(LAB) down' scripts/lab.sh down '$(LAB)'

test: ## all that CI runs: lint, unit tests and sanity on three ansible-cores, engine tests, molecule
	@scripts/test.sh

test-unit: ## [CORES=2.19]: unit tests on the oldest, the usual and the newest ansible-core
	@$(TIMED) 'unit tests' scripts/matrix.sh unit $(CORES)

test-sanity: ## [CORES=2.19] [PYTHONS=3.11]: ansible-test sanity on the same
	@$(TIMED) 'sanity' scripts/matrix.sh sanity $(CORES)

test-integration: venv-test ## [PARTS=disks]: modules, disks, networks and roles against real Docker engines
	@$(TIMED) 'engine tests' scripts/integration.sh $(PARTS)

molecule: venv-test ## SCENARIO=x: one scenario on the lab for tests; without it, all of them
	@$(TIMED) 'molecule $(SCENARIO)' scripts/molecule.sh $(SCENARIO)

lint: venv-test venv-lint ## ruff, mypy, yamllint, shellcheck, ansible-lint, docs, changelog, galaxy-importer
	@$(TIMED) 'lint' scripts/lint.sh

docs: venv-lint ## the README of each role, from its argument specs
	@$(TIMED) 'docs' .venv-lint/bin/python scripts/role_readme.py

bench: venv-bench ## BENCH=x [CASES="a b"] [SMOKE=1]: a benchmark beside its peer (tests/benchmarks/README.md lists them)
	@scripts/bench.sh '$(BENCH)' $(addprefix --case ,$(CASES))

bench-smoke: venv-bench ## every benchmark at a small size, to see that it works
	@$(TIMED) 'benchmarks, smoke' scripts/bench.sh smoke

clean: ## virtual environments, caches and build results; labs stay (lab-down takes them)
	@rm -rf .venv .venv-* .cache build .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/output .ansible
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
