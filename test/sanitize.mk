# SPDX-License-Identifier: MIT
#
# make check-asan, check-tsan, check-valgrind, coverage: the tests under tools
# that see more than they do.  test/under says what each tool looks for.
#
# The first two and the last need everything compiled for them, which a make of
# its own does in $(B)/asan, $(B)/tsan and $(B)/coverage.  HCL_BUILD tells the
# tests where that is; scenarios on the simulated host run the programs there,
# too, with the host itself from the ordinary build.

# The suites of test/check that run with each.
ASAN_SUITES ?= unit sim
TSAN_SUITES ?= unit
VALGRIND_SUITES ?= unit
COVERAGE_SUITES ?= unit

JOBS ?= $(shell nproc)

# clang's runtimes are part of each program, so that the library which plays the
# Xen devices can be preloaded; a shared library cannot have one, so libhcl.so
# is left out.
SANITIZE_CC ?= clang
SANITIZE_CFLAGS := -O1 -g -fno-omit-frame-pointer
ASAN_CFLAGS := $(SANITIZE_CFLAGS) -fsanitize=address,undefined \
	-fno-sanitize-recover=all
# It executes fences but does not know what they order, of which gcc warns
# (-Wtsan).  Nothing is missed by that, and nothing reported that is none: data
# is ordered by release and acquire alone (common/barrier.h), and two atomics are
# no race.  That the fences are there is shown by test_ring_threads and by the
# model.
TSAN_CFLAGS := $(SANITIZE_CFLAGS) -fsanitize=thread
# Threads count, too; gcc alone writes what gcovr reads.
COVERAGE_CFLAGS := -O0 -g --coverage -fprofile-update=atomic

# What make is told; $(1): the folder in $(B), $(2): compiler, $(3): its flags.
build_in = -s $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS)) B=$(B)/$(1) \
	CC=$(2) CFLAGS='$(3)' LIBRARIES=libhcl.a

.PHONY: check-asan check-tsan check-valgrind coverage
check-asan:
	@test/setup build sim sanitize
	@$(MAKE) -s sim
	@$(MAKE) $(call build_in,asan,$(SANITIZE_CC),$(ASAN_CFLAGS)) unit-tests \
		sim-programs
	@HCL_BUILD=$(B)/asan HCL_TEST_UNDER=asan HCL_TEST_SLOWER=3 \
		test/check $(ASAN_SUITES)

check-tsan:
	@test/setup build sanitize
	@$(MAKE) $(call build_in,tsan,$(SANITIZE_CC),$(TSAN_CFLAGS)) unit-tests
	@HCL_BUILD=$(B)/tsan HCL_TEST_UNDER=tsan HCL_TEST_SLOWER=5 \
		test/check $(TSAN_SUITES)

check-valgrind:
	@test/setup build sanitize
	@$(MAKE) -s unit-tests
	@HCL_TEST_UNDER=valgrind HCL_TEST_SLOWER=5 \
		test/check $(VALGRIND_SUITES)

# ---- Coverage --------------------------------------------------------------

# Counts add up over the runs of a program; those of before are dropped.  A
# process that is killed leaves none.
COVERAGE_EXIT := $(B)/coverage/obj/test/coverage_exit.o
COVERAGE_MAKE = $(call build_in,coverage,gcc,$(COVERAGE_CFLAGS))

coverage:
	@test/setup build coverage
	@$(MAKE) $(COVERAGE_MAKE) $(COVERAGE_EXIT)
	@$(MAKE) $(COVERAGE_MAKE) LDFLAGS='-Wl,--wrap=_exit $(COVERAGE_EXIT)' \
		unit-tests
	@find $(B)/coverage -name '*.gcda' -delete
	@status=0; \
	HCL_BUILD=$(B)/coverage test/check $(COVERAGE_SUITES) || status=1; \
	gcovr --root . --object-directory $(B)/coverage/obj \
		$(foreach dir,common backend frontend tools,--filter $(dir)/) \
		--exclude-unreachable-branches --print-summary \
		--html-details $(B)/coverage/index.html --txt - \
		$(B)/coverage/obj || status=1; \
	echo 'coverage: $(B)/coverage/index.html shows each line'; \
	exit $$status
