# SPDX-License-Identifier: MIT
#
# make check-mutants: each mistake in test/mutants/*.patch is caught by the test
# that its patch names.  `test/mutants/check --help` says more.

.PHONY: check-mutants
check-mutants:
	@test/setup build sim sanitize model mutants
	@test/mutants/check

# For that script: the unit test TEST as make check-tsan builds it.
.PHONY: tsan-test
tsan-test:
	@$(MAKE) $(call build_in,tsan,$(SANITIZE_CC),$(TSAN_CFLAGS)) \
		$(B)/tsan/test/$(TEST)
