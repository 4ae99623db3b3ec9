# make demo    watch a takeover and a return with real packets (installs what it needs)
# make test    run every test (installs what it needs)
# make lint    ruff and mypy
# make test-machines  as root: the suite on bare Debian 12 and 13 and Ubuntu 24.04, and on this
#              machine made odd: half an hour to some; CASES="young umask" for these alone
# make sim     live through SEEDS seeds of the simulated world on all cores
# make soak    100,000 seeds, and every test of the lab ROUNDS times over: some hours
# make terraform   Terraform itself beside nathb; TERRAFORM_MIRROR is a folder with the AWS provider
# make clean   remove what the above have made here
#
# make install     as root: into PREFIX (/usr/local), the program itself into /opt/nathb; below
#                  DESTDIR if that is set; with EXTRAS=metrics,plot what those need too.
#                  Afterwards run `systemctl enable --now nathb@GROUP`
# make uninstall   remove it; what is in /etc/nathb stays
# make deb         build a Debian package for this release of Debian, in dist/
# make wheels      collect in dist/wheels what `make install` takes from an index
# make lock        lock the newest versions that setup.cfg allows; PACKAGE=NAME: of that one alone

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SANDBOX := tests/lab/sandbox
PYTEST := $(RUN) -m pytest
WORKERS ?= 4

SEEDS ?= 1000
ROUNDS ?= 5

.PHONY: demo test test-core test-clocks test-lab test-machines terraform sim budgets soak lint clean install uninstall deb wheels \
    lock

demo: $(VENV)/ready
	$(SANDBOX) $(RUN) -m tests.lab.demo

# In two rounds, so that arithmetic does not steal time from what is measured in milliseconds.
.NOTPARALLEL:
test: lint test-core test-clocks test-lab

test-core: $(VENV)/ready $(VENV)/wheels/ready
	$(SANDBOX) $(PYTEST) -n 2 --ignore tests/lab

# As on machines that have just come up, and that have been up for three years. Only the files that
# have such tests are read: to read them all takes longer than the tests.
CLOCK_TESTS = $(shell grep -rl --include='test_*.py' pytest.mark.clock tests)
test-clocks: $(VENV)/ready
	for seconds in 0 94608000; do \
	    $(SANDBOX) $(RUN) -m tests.uptime $$seconds $(PYTEST) -n 2 -m clock $(CLOCK_TESTS) || exit 1; \
	done

test-lab: $(VENV)/ready $(VENV)/wheels/ready
	@tests/prepare_frr
	$(SANDBOX) $(PYTEST) -n $(WORKERS) --maxschedchunk 1 tests/lab

test-machines:
	tests/machines $(CASES)

# No part of `make test`. TERRAFORM_MIRROR is what `terraform providers mirror` makes.
terraform: $(VENV)/ready
	TERRAFORM_MIRROR=$(abspath $(TERRAFORM_MIRROR)) $(SANDBOX) $(PYTEST) -s tests/lab/terraform_beside_nathb.py

sim: $(VENV)/ready
	$(RUN) -m tests.sim --seeds $(SEEDS)

# What each fault costs: the table in docs/proven.md.
budgets: $(VENV)/ready
	@$(RUN) -m tests.sim --budgets

soak: $(VENV)/ready
	$(RUN) -m tests.sim --seeds 100000
	@tests/prepare_frr
	for round in $$(seq $(ROUNDS)); do $(SANDBOX) $(PYTEST) -n $(WORKERS) tests/lab || exit 1; done

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Exactly what is locked; nathb itself is built with the locked setuptools.
LOCK := packaging/lock
PIP := $(RUN) -m pip --quiet --disable-pip-version-check

$(VENV)/ready: setup.cfg pyproject.toml $(LOCK)/build.txt $(LOCK)/dev.txt
	@PYTHON=$(PYTHON) tests/prepare
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo 'Installing Python packages into $(VENV), which takes about a minute'
	@$(PIP) install --require-hashes --requirement $(LOCK)/build.txt
	@$(PIP) install --use-pep517 --no-build-isolation --require-hashes --requirement $(LOCK)/dev.txt
	@$(PIP) install --use-pep517 --no-build-isolation --no-deps --editable .
	@touch $@

# What tests install from, as there is no network where they run.
$(VENV)/wheels/ready: $(VENV)/ready
	@echo 'Collecting wheels in $(@D) for the tests of the installation'
	@rm -rf $(@D)
	@EXTRAS=metrics WITH_SOURCE=yes $(RUN) -B packaging/wheels.py $(@D)
	@touch $@

PREFIX ?= /usr/local
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
HOME_OF_ALL := /opt/nathb
NAT_FILES := rules.nft rules-ipv6.nft settings.env sysctl.conf sysctl-ipv6.conf

BIN := $(PREFIX)/bin/nathb
UNITS := $(PREFIX)/lib/systemd/system
CATALOG := $(PREFIX)/lib/systemd/catalog/nathb.catalog
PAGE := $(PREFIX)/share/man/man8/nathb.8
BASH_COMPLETION := $(PREFIX)/share/bash-completion/completions/nathb
ZSH_COMPLETION := $(ZSH_COMPLETIONS)/_nathb
DOC := $(PREFIX)/share/doc/nathb
# What runs here is told only when it is this machine that is installed to.
RUNNING := test -n '$(DESTDIR)' -o ! -d /run/systemd/system || systemctl
STAGED := test -n '$(DESTDIR)' ||

install:
	@packaging/check-system '$@' '$(DESTDIR)'
	@set -e; umask 022; \
	python=$$(PYTHON='$(if $(filter file,$(origin PYTHON)),,$(PYTHON))' packaging/prepare); \
	echo "Installing into $(DESTDIR)$(HOME_OF_ALL) for $$python"; \
	EXTRAS='$(EXTRAS)' "$$python" -B packaging/environment.py $(HOME_OF_ALL) '$(DESTDIR)'
	@set -e; umask 022; pages=$$(mktemp -d); trap 'rm -rf "$$pages"' EXIT; \
	page() { $(DESTDIR)$(HOME_OF_ALL)/bin/python packaging/pages.py "$$@"; }; \
	page man docs/nathb.8.in >$$pages/man; page bash >$$pages/bash; page zsh >$$pages/zsh; \
	install -Dm644 $$pages/man $(DESTDIR)$(PAGE); \
	install -Dm644 $$pages/bash $(DESTDIR)$(BASH_COMPLETION); \
	install -Dm644 $$pages/zsh $(DESTDIR)$(ZSH_COMPLETION)
	@install -d $(DESTDIR)$(dir $(BIN))
	@ln -sfn $(HOME_OF_ALL)/bin/nathb $(DESTDIR)$(BIN)
	@install -Dm644 -t $(DESTDIR)$(UNITS) systemd/nathb@.service systemd/nathb-nat.service
	@install -Dm644 systemd/nathb.catalog $(DESTDIR)$(CATALOG)
	@install -Dm644 -t $(DESTDIR)$(DOC) README.md LICENSE
	@install -Dm644 -t $(DESTDIR)$(DOC)/docs docs/*.md docs/*.svg
	@install -Dm644 -t $(DESTDIR)$(DOC)/examples etc/nathb/*.yaml
	@for one in $(NAT_FILES); do packaging/settle etc/nathb/nat/$$one $(DESTDIR)/etc/nathb/nat; done
	@$(STAGED) journalctl --update-catalog
	@$(RUNNING) daemon-reload
	@$(STAGED) $(BIN) --version

uninstall:
	@packaging/check-system '$@' '$(DESTDIR)'
	@$(RUNNING) stop 'nathb@*.service' nathb-nat.service
	rm -f $(DESTDIR)/etc/systemd/system/*.wants/nathb@*.service
	rm -f $(DESTDIR)/etc/systemd/system/*.wants/nathb-nat.service
	rm -f $(DESTDIR)$(BIN) $(DESTDIR)$(UNITS)/nathb@.service $(DESTDIR)$(UNITS)/nathb-nat.service
	rm -f $(DESTDIR)$(CATALOG) $(DESTDIR)$(PAGE)
	rm -f $(DESTDIR)$(BASH_COMPLETION) $(DESTDIR)$(ZSH_COMPLETION)
	rm -rf $(DESTDIR)$(DOC) $(DESTDIR)$(HOME_OF_ALL)
	@$(STAGED) journalctl --update-catalog
	@$(RUNNING) daemon-reload

deb:
	@packaging/debian/build dist

wheels:
	@set -e; python=$$(PYTHON='$(if $(filter file,$(origin PYTHON)),,$(PYTHON))' packaging/prepare); \
	EXTRAS='$(EXTRAS)' "$$python" -B packaging/wheels.py dist/wheels; \
	echo "Collected for $$python in dist/wheels"

lock:
	@$(PYTHON) $(LOCK)/renew.py $(PACKAGE)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -exec rm -rf {} +
