# SPDX-License-Identifier: GPL-2.0
#
# The commands of the suite. Each does the set-up that it needs first; see `make help`.
# What Kbuild builds is in Kbuild.

SHELL := /bin/bash
.SUFFIXES:
.DEFAULT_GOAL := help

# Several scripts run a make of their own; they find out themselves how many jobs fit.
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# What is said on make's command line is text for the scripts, not for make to expand: CMD='echo $(nproc)'.
$(foreach name,CMD T LAB_QEMU_ARGS LAB_APPEND,$(if $(filter command line,$(origin $(name))),\
	$(eval override $(name) := $$(value $(name)))))

# Said on make's command line or in the environment, heard by the scripts.
export MIRROR KDIR LAB_KERNEL LAB_QEMU_ARGS LAB_APPEND LAB_DEVICES LAB_CPUS LAB_MEM LAB_TIMEOUT CMD T LONG

.PHONY: help
help:
	@echo 'make demo           real interrupts through every path, reconciled with /proc'
	@echo 'make test           the tests; T=NAME runs those whose name contains NAME, LONG=1 all of'
	@echo '                    them, with hundreds of rounds where others have a few'
	@echo 'make test-debug     those for the kernel on the debug kernel (KASAN, lockdep, kmemleak, ...)'
	@echo "make lab            a root shell in the guest; CMD='...' runs a command there instead"
	@echo 'make check          rustfmt, clippy, checkpatch, shellcheck, the audit of unsafe'
	@echo 'make modules        the modules for KDIR, by default the running kernel if it is 7.3'
	@echo '                    or later, else the kernel of the lab; they are put into build/'
	@echo 'make install        puts them under that kernel'"'"'s updates/ and runs depmod'
	@echo 'make doctor         what is here, what is missing, and how to get it'
	@echo 'make rust-analyzer  rust-project.json for the editor'
	@echo 'make clean          removes build/'
	@echo 'make distclean      removes build/ and the cache, with kernels and guest'
	@echo
	@echo 'LAB_KERNEL=debian|rt|kunit|debug chooses the kernel of demo, test and lab.'

.PHONY: demo
demo:
	@scripts/setup/all "$${LAB_KERNEL:-debian}" image
	@scripts/demo

.PHONY: test
test:
	@scripts/setup/all "$${LAB_KERNEL:-debian}" kunit image
	@LAB_LONG="$$LONG" tests/run $${T:+-k "$$T"}

.PHONY: test-debug
test-debug:
	@scripts/setup/all debug image
	@LAB_KERNEL=debug LAB_LONG="$$LONG" tests/run $${T:+-k "$$T"}

.PHONY: lab
lab:
	@scripts/setup/all "$${LAB_KERNEL:-debian}" image
	@export LAB_DEVICES="$${LAB_DEVICES:-edu2-intx+edu-msi+rng}"; \
	if [ -n "$$CMD" ]; then exec scripts/lab "$$CMD"; else exec scripts/lab; fi

.PHONY: check
check:
	@scripts/check

.PHONY: modules
modules:
	@scripts/modules

.PHONY: install
install:
	@scripts/install

.PHONY: doctor
doctor:
	@scripts/doctor

.PHONY: rust-analyzer
rust-analyzer:
	@scripts/rust-analyzer

.PHONY: clean
clean:
	@scripts/clean

.PHONY: distclean
distclean:
	@scripts/clean cache
