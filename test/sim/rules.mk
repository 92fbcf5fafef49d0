# The simulated host: hcl-sim and its xl, and the library that plays the Xen
# device nodes for programs on it.  In a folder of its own: nothing of it is
# ever beside the product's programs and libraries.

SIM := $(B)/sim
SIM_CFLAGS := -Itest/sim

SIM_DEVICE_SRCS := $(sort $(wildcard test/sim/device*.c))
SIM_XL_SRCS := test/sim/client.c test/sim/guests.c test/sim/toolstack.c \
	test/sim/xl.c
SIM_HOST_SRCS := $(filter-out $(SIM_DEVICE_SRCS) test/sim/toolstack.c \
	test/sim/xl.c test/sim/main.c,$(sort $(wildcard test/sim/*.c)))

$(OBJ)/test/sim/%.o: HCL_CFLAGS += $(SIM_CFLAGS)
$(OBJ)/test/unit/test_sim_%.o: HCL_CFLAGS += $(SIM_CFLAGS)

$(OBJ)/libsim.a: $(call objects,$(SIM_HOST_SRCS))
	$(archive)

$(SIM)/bin/hcl-sim: $(call objects,test/sim/main.c) $(OBJ)/libsim.a \
		$(OBJ)/libcommon.a
	$(link) $(XENSTORE_LIBS)

$(SIM)/bin/xl: $(call objects,$(SIM_XL_SRCS) common/config.c) \
		$(OBJ)/libtools.a $(OBJ)/libcommon.a
	$(link) $(HCL_XLUTIL_LIBS) $(XENSTORE_LIBS) $(XENCTRL_LIBS) $(JSON_LIBS)

# Never with a sanitizer: it is loaded before the program's own runtime.
$(call objects,$(SIM_DEVICE_SRCS)): override CFLAGS := -O2 -g
$(SIM)/lib/libhclsim.so: $(call objects,$(SIM_DEVICE_SRCS))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) -shared -o $@ $^ -lpthread -ldl

$(call tests,test_sim_%): $(OBJ)/libsim.a | $(SIM)/lib/libhclsim.so

# No memory, once; for programs on the host, and as plain as the one above.
$(call objects,test/sim/nomem/nomem.c): override CFLAGS := -O2 -g
$(SIM)/lib/libnomem.so: $(call objects,test/sim/nomem/nomem.c)
	@echo "  LD      $@"
	@$(CC) -shared -o $@ $^

# Programs of scenarios.
SIM_PROGRAMS := $(patsubst test/sim/programs/%.c,$(SIM)/programs/%,\
	$(wildcard test/sim/programs/*.c))
.SECONDARY: $(patsubst %.c,$(OBJ)/%.o,$(wildcard test/sim/programs/*.c))
$(SIM)/programs/%: $(OBJ)/test/sim/programs/%.o $(LIB)/libhcl.a
	$(link) $(SIM_LIBS) $(XENSTORE_LIBS) $(XEN_LIBS) -lm -lpthread
$(SIM)/programs/vchan: SIM_LIBS = $(shell $(PKG_CONFIG) --libs xenvchan)

# For the scripts that run scenarios.
export HCL_SIM_BUILD ?= $(SIM)

.PHONY: sim sim-programs check-sim demo-sim
sim-programs: $(SIM_PROGRAMS)
sim: all $(SIM)/bin/hcl-sim $(SIM)/bin/xl $(SIM)/lib/libhclsim.so \
	$(SIM)/lib/libnomem.so \
	$(SIM_PROGRAMS)

check-sim:
	@test/setup build sim
	@$(MAKE) -s sim
	@test/check sim

demo-sim:
	@test/setup build sim
	@$(MAKE) -s sim
	@test/sim/demo
