# SPDX-License-Identifier: MIT
#
# make fuzz DURATION=n, make fuzz-coverage.  CONTRIBUTING.md says how they are
# used.
#
# A target is a file test/fuzz/NAME.c, its name in FUZZ_TARGETS, below what it
# is linked with, and a folder test/fuzz/corpus/NAME.  Everything is compiled
# again, with clang, in $(B)/fuzz: with sanitizers in san, for the coverage of
# the corpora in cov.

FUZZ_CC ?= clang
FUZZ_TARGETS := ring control request completion backend_nodes \
	frontend_nodes message config item xl_command save_file
DURATION ?= 20

# Parts of HCL.  What a target defines itself stands before what they have.
FUZZ_PARTS := common backend frontend tools
FUZZ_common_SRCS := $(HCL_COMMON_SRCS) common/config.c
FUZZ_backend_SRCS := $(filter-out %_main.c,\
	$(sort $(HCL_BACKEND_SRCS) $(HCL_WORKER_SRCS)))
FUZZ_frontend_SRCS := $(HCL_LIB_SRCS)
FUZZ_tools_SRCS := $(filter-out tools/hclctl.c,$(HCL_HCLCTL_SRCS))

# Of a target: _WITH, files of its own besides its first; _PARTS, those above;
# _WRAP, functions of libc that it stands in for; _LIBS, libraries.
FUZZ_ring_PARTS := common
FUZZ_control_PARTS := common
FUZZ_request_WITH := request_devices request_memory fake_loop
FUZZ_request_PARTS := backend common
FUZZ_request_WRAP := open close read write ioctl tcsetattr tcflush
FUZZ_completion_PARTS := frontend common
FUZZ_backend_nodes_WITH := backend_workers backend_xen fake_loop fake_xenstore
FUZZ_backend_nodes_PARTS := backend common
FUZZ_backend_nodes_WRAP := kill waitpid getrandom
FUZZ_frontend_nodes_WITH := frontend_xen fake_loop fake_xenstore
FUZZ_frontend_nodes_PARTS := frontend common
FUZZ_frontend_nodes_WRAP := poll getrandom mmap munmap madvise
FUZZ_message_PARTS := backend common
FUZZ_config_PARTS := backend common
FUZZ_config_LIBS := $(HCL_XLUTIL_LIBS)
FUZZ_item_WITH := fake_xenstore
FUZZ_item_PARTS := tools common
FUZZ_item_LIBS := $(HCL_XLUTIL_LIBS)
FUZZ_xl_command_PARTS := tools
FUZZ_save_file_WITH := fake_xenstore
FUZZ_save_file_PARTS := tools common
FUZZ_save_file_LIBS = $(JSON_LIBS)

# ---- Building --------------------------------------------------------------

FUZZ_B := $(B)/fuzz
FUZZ_san_CFLAGS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer-no-link,address,undefined
FUZZ_san_LDFLAGS := -fsanitize=fuzzer,address,undefined
FUZZ_cov_CFLAGS := -O0 -g -fprofile-instr-generate -fcoverage-mapping
FUZZ_cov_LDFLAGS := -fsanitize=fuzzer -fprofile-instr-generate

# $(1): san or cov.
define fuzz_kind
FUZZ_$(1)_FLAGS := $$(FUZZ_CC) $$(FUZZ_$(1)_CFLAGS) $$(HCL_CFLAGS) -Itest/fuzz
$$(FUZZ_B)/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo '$$(subst ','\'',$$(FUZZ_$(1)_FLAGS))' | cmp -s - $$@ || \
		echo '$$(subst ','\'',$$(FUZZ_$(1)_FLAGS))' > $$@

$$(FUZZ_B)/$(1)/%.o: %.c $$(FUZZ_B)/$(1)/flags
	@mkdir -p $$(@D)
	@echo "  FUZZ-CC $(1) $$<"
	@$$(FUZZ_$(1)_FLAGS) -MMD -MP -c -o $$@ $$<

.PHONY: fuzz-$(1)
fuzz-$(1): $$(FUZZ_TARGETS:%=$$(FUZZ_B)/$(1)/bin/%)
endef

# $(1): san or cov; $(2): a part.
define fuzz_part
$$(FUZZ_B)/$(1)/lib$(2).a: $$(FUZZ_$(2)_SRCS:%.c=$$(FUZZ_B)/$(1)/%.o)
	@rm -f $$@
	@$$(AR) rcs $$@ $$^
endef

# $(1): san or cov; $(2): a target.
define fuzz_target
$$(FUZZ_B)/$(1)/bin/$(2): $$(patsubst %,$$(FUZZ_B)/$(1)/test/fuzz/%.o,\
		$(2) options $$(FUZZ_$(2)_WITH)) \
		$$(FUZZ_$(2)_PARTS:%=$$(FUZZ_B)/$(1)/lib%.a)
	@mkdir -p $$(@D)
	@echo "  FUZZ-LD $(1) $$@"
	@$$(FUZZ_CC) $$(FUZZ_$(1)_LDFLAGS) $$(FUZZ_$(2)_WRAP:%=-Wl,--wrap=%) \
		-o $$@ $$^ $$(FUZZ_$(2)_LIBS)
endef

$(foreach kind,san cov,\
	$(eval $(call fuzz_kind,$(kind)))\
	$(foreach part,$(FUZZ_PARTS),\
		$(eval $(call fuzz_part,$(kind),$(part))))\
	$(foreach target,$(FUZZ_TARGETS),\
		$(eval $(call fuzz_target,$(kind),$(target)))))

# ---- Running ---------------------------------------------------------------

# What parses or checks what somebody else wrote.
FUZZ_PARSERS := $(addprefix common/,config.c handshake.c layout.c ring.c \
		spec.c) \
	$(addprefix backend/,attachment_nodes.c device_config.c device_list.c \
		message.c offer.c request.c settings.c share.c watch_path.c) \
	$(addprefix frontend/,attachment.c list.c offer.c queue.c result.c) \
	$(addprefix tools/,item.c save_file.c xl_command.c)
FUZZ_COVERAGE ?= 90

.PHONY: fuzz fuzz-coverage fuzz-merge
fuzz:
	@test/setup build sanitize
	@$(MAKE) -s -j "$$(nproc)" fuzz-san
	@test/fuzz/run $(FUZZ_B) $(DURATION) $(FUZZ_TARGETS)

fuzz-coverage:
	@test/setup build sanitize
	@$(MAKE) -s -j "$$(nproc)" fuzz-cov
	@test/fuzz/coverage $(FUZZ_B) $(FUZZ_COVERAGE) $(FUZZ_PARSERS) -- \
		$(FUZZ_TARGETS)

fuzz-merge:
	@test/setup build sanitize
	@$(MAKE) -s -j "$$(nproc)" fuzz-san
	@test/fuzz/merge $(FUZZ_B) $(FUZZ_TARGETS)

-include $(shell find $(FUZZ_B) -name '*.d' 2>/dev/null)
