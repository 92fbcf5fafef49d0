# SPDX-License-Identifier: MIT
#
# `make help` lists the targets.  Everything that is built goes to build/.
# Lists of sources stand beside them, in */sources.mk.

PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

CC ?= cc
AR ?= ar
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g
WERROR ?=

VERSION := 0.1.0
SONAME := libhcl.so.0
B := build
BIN := $(B)/bin
LIB := $(B)/lib
OBJ := $(B)/obj

# For every object.  -fPIC, because each may end up in libhcl.so.
HCL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -fPIC -Wall -Wextra \
	$(if $(WERROR),-Werror) -Icommon -Ibackend -Ifrontend -Itools \
	-DHCL_VERSION='"$(VERSION)"' \
	-DHCL_HOTPLUG='"$(LIBDIR)/hcl/hcl-hotplug"'

# Evaluated when used: `make check` may first have to install pkg-config.
XENSTORE_LIBS = $(shell $(PKG_CONFIG) --libs xenstore)
XEN_LIBS = $(shell $(PKG_CONFIG) --libs xengnttab xenevtchn)
XENCTRL_LIBS = $(shell $(PKG_CONFIG) --libs xencontrol)
JSON_LIBS = $(shell $(PKG_CONFIG) --libs libcjson)
CMOCKA_LIBS = $(shell $(PKG_CONFIG) --libs cmocka)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

include common/sources.mk
include backend/sources.mk
include frontend/sources.mk
include tools/sources.mk

PROGRAMS := hcl-backend hcl-bench hcl-worker hclcat hclctl
LIBRARIES := libhcl.a $(SONAME) libhcl.so
PUBLIC_HEADERS := frontend/hcl.h common/err.h common/hclif.h
SCRIPTS := hcl-attach hcl-detach hcl-ls

.PHONY: all
all: $(PROGRAMS:%=$(BIN)/%) $(LIBRARIES:%=$(LIB)/%)

# ---- Objects ---------------------------------------------------------------

objects = $(patsubst %.c,$(OBJ)/%.o,$(1))

# A change of compiler or flags rebuilds everything.
FLAGS := $(CC) $(CFLAGS) $(CPPFLAGS) $(HCL_CFLAGS)
$(OBJ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(FLAGS))' > $@
FORCE:

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(HCL_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)

define archive
@mkdir -p $(@D)
@echo "  AR      $@"
@rm -f $@
@$(AR) rcs $@ $(filter %.o,$^)
endef

define link
@mkdir -p $(@D)
@echo "  LD      $@"
@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)
endef

$(OBJ)/libcommon.a: $(call objects,$(HCL_COMMON_SRCS))
	$(archive)
$(OBJ)/libbackend.a: $(call objects,$(filter-out %_main.c,$(HCL_BACKEND_SRCS) \
		$(HCL_WORKER_SRCS)))
	$(archive)
$(OBJ)/libtools.a: $(call objects,$(filter-out tools/hclctl.c,\
		$(HCL_HCLCTL_SRCS)))
	$(archive)
$(OBJ)/libbench.a: $(call objects,$(filter-out tools/hcl-bench.c,\
		$(HCL_BENCH_SRCS)))
	$(archive)

# ---- Libraries and programs ------------------------------------------------

$(LIB)/libhcl.a: $(call objects,$(HCL_LIB_SRCS) $(HCL_LIB_COMMON_SRCS))
	$(archive)

$(LIB)/$(SONAME): $(call objects,$(HCL_LIB_SRCS) $(HCL_LIB_COMMON_SRCS)) \
		frontend/libhcl.map
	$(link) -shared -Wl,-soname,$(SONAME) \
		-Wl,--version-script=frontend/libhcl.map -Wl,--no-undefined \
		$(XENSTORE_LIBS) $(XEN_LIBS) -lpthread

$(LIB)/libhcl.so: $(LIB)/$(SONAME)
	@ln -sf $(SONAME) $@

$(BIN)/hclcat: $(call objects,$(HCL_HCLCAT_SRCS)) $(LIB)/libhcl.a
	$(link) $(XENSTORE_LIBS) $(XEN_LIBS) -lm -lpthread

$(BIN)/hcl-bench: $(call objects,tools/hcl-bench.c) $(OBJ)/libbench.a \
		$(LIB)/libhcl.a $(OBJ)/libcommon.a
	$(link) $(XENSTORE_LIBS) $(XEN_LIBS) $(JSON_LIBS) -lpthread

$(BIN)/hcl-backend: $(call objects,$(HCL_BACKEND_SRCS) common/config.c) \
		$(OBJ)/libcommon.a
	$(link) $(HCL_XLUTIL_LIBS) $(XENSTORE_LIBS) $(XEN_LIBS)

$(BIN)/hcl-worker: $(call objects,$(HCL_WORKER_SRCS)) $(OBJ)/libcommon.a
	$(link) $(XEN_LIBS)

$(BIN)/hclctl: $(call objects,$(HCL_HCLCTL_SRCS) common/config.c) \
		$(OBJ)/libcommon.a
	$(link) $(HCL_XLUTIL_LIBS) $(XENSTORE_LIBS) $(XENCTRL_LIBS) $(JSON_LIBS)

# ---- Tests -----------------------------------------------------------------

UNIT_SRCS := $(sort $(wildcard test/unit/test_*.c))
UNIT_TESTS := $(UNIT_SRCS:test/unit/%.c=$(B)/test/%)

# What a unit test is linked with besides libcommon.a, by its name.
tests = $(filter $(B)/test/$(1),$(UNIT_TESTS))
BENCH_TESTS := $(call tests,test_bench_%)
CONFIG_TESTS := $(call tests,test_tools_%) $(call tests,test_config)
$(call tests,test_frontend_%): $(LIB)/libhcl.a
$(call tests,test_backend_%) $(call tests,test_config): $(OBJ)/libbackend.a
$(call tests,test_pair): $(OBJ)/libbackend.a $(LIB)/libhcl.a
$(BENCH_TESTS): $(OBJ)/libbench.a $(LIB)/libhcl.a
$(BENCH_TESTS): TEST_LIBS = $(JSON_LIBS)
$(CONFIG_TESTS): $(OBJ)/libtools.a $(OBJ)/common/config.o
$(CONFIG_TESTS): TEST_LIBS = $(HCL_XLUTIL_LIBS) $(XENCTRL_LIBS) $(JSON_LIBS)

.SECONDARY: $(UNIT_SRCS:%.c=$(OBJ)/%.o)
$(B)/test/%: $(OBJ)/test/unit/%.o $(OBJ)/libcommon.a
	$(link) $(OBJ)/libcommon.a $(TEST_LIBS) $(XENSTORE_LIBS) $(XEN_LIBS) \
		$(CMOCKA_LIBS) -lutil -lpthread

.PHONY: unit-tests
unit-tests: all $(UNIT_TESTS)

# For the scripts that run the tests.
export HCL_BUILD ?= $(B)

# The public targets install what is missing first, then build and run with
# a fresh make, which sees what was installed.
.PHONY: check check-quick check-unit check-xen demo lint
check:
	@test/setup build sim sanitize lab
	@$(MAKE) -s unit-tests sim
	@test/check unit sim asan xen

check-quick:
	@test/setup build sim
	@$(MAKE) -s unit-tests sim
	@test/check unit sim-quick

check-unit:
	@test/setup build
	@$(MAKE) -s unit-tests
	@test/check unit

check-xen:
	@test/setup build lab
	@$(MAKE) -s all
	@test/check xen

demo:
	@test/setup build lab
	@$(MAKE) -s all
	@test/xen/demo

lint:
	@test/setup build lint
	@CC='$(CC)' test/lint

include test/fuzz/rules.mk
include test/model/rules.mk
include test/mutants/rules.mk
include test/sim/rules.mk
include test/bench/rules.mk
include test/sanitize.mk

# ---- Installation ----------------------------------------------------------

.PHONY: install
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) \
		$(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(LIBDIR)/hcl \
		$(DESTDIR)$(INCLUDEDIR)/hcl $(DESTDIR)$(SYSCONFDIR)/hcl
	install $(BIN)/hclcat $(BIN)/hcl-bench $(DESTDIR)$(BINDIR)
	install $(BIN)/hcl-backend $(BIN)/hcl-worker $(BIN)/hclctl \
		$(SCRIPTS:%=xenstore-scripts/%) $(DESTDIR)$(SBINDIR)
	install xenstore-scripts/hcl-hotplug $(DESTDIR)$(LIBDIR)/hcl
	install -m 644 $(LIB)/libhcl.a $(DESTDIR)$(LIBDIR)
	install $(LIB)/$(SONAME) $(DESTDIR)$(LIBDIR)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libhcl.so
	install -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(INCLUDEDIR)/hcl
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		frontend/hcl.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/hcl.pc

.PHONY: clean
clean:
	rm -rf $(B)

.PHONY: help
help:
	@echo 'make             build programs and libraries in build/'
	@echo 'make demo        two guests share two devices, on real Xen in QEMU'
	@echo 'make demo-sim    the same on a simulated host, in seconds'
	@echo 'make check       all tests: unit, simulated host, sanitizers, real Xen'
	@echo 'make check-quick tests of less than a minute; doc/testing.md has all'
	@echo 'make check-unit  the unit tests (seconds)'
	@echo 'make check-xen   the scenarios on real Xen in QEMU (minutes)'
	@echo 'make check-asan, check-tsan, check-valgrind'
	@echo '                 the unit tests under sanitizers, under valgrind'
	@echo 'make bench       HCL against its peers, on the simulated host'
	@echo 'make bench-xen   the same on real Xen in QEMU'
	@echo 'make coverage    the lines that no test reaches'
	@echo 'make lint        formatting, static analysis, shell scripts'
	@echo 'make install     DESTDIR=, PREFIX= (default /usr/local)'
	@echo 'make clean       remove build/'
	@echo 'demo, check* and lint install missing Debian packages and say so.'
	@echo 'Variables: CC=clang, CFLAGS=, WERROR=1'
