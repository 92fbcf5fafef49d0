# SPDX-License-Identifier: MIT
#
# make bench: HCL against its peers on the simulated host (test/bench/run).

BENCH := $(B)/bench
BENCH_PROGRAMS := $(addprefix $(BENCH)/,bench-server bench-client bench-worker)

# Objects of both ends, of the server, of the client.
BENCH_BOTH_SRCS := $(addprefix test/bench/,link.c ends.c transport_kernel.c \
	transport_ring.c transport_vchan.c)
BENCH_SERVER_SRCS := $(BENCH_BOTH_SRCS) $(addprefix test/bench/,\
	pairs_server.c server.c)
BENCH_CLIENT_SRCS := $(BENCH_BOTH_SRCS) $(addprefix test/bench/,client.c \
	count.c guests.c pairs.c report.c rows.c rows_counted.c rows_fair.c \
	sample.c transport_hcl.c)
BENCH_WORKER_SRCS := test/bench/count.c test/bench/sink.c

$(OBJ)/test/bench/%.o: HCL_CFLAGS += -Itest/bench

# What count.c counts, where HCL calls it.
BENCH_COUNTED := -Wl,--wrap=hcl_ports_notify,--wrap=memcpy

BENCH_VCHAN_LIBS = $(shell $(PKG_CONFIG) --libs xenvchan)

$(BENCH)/bench-server: $(call objects,$(BENCH_SERVER_SRCS)) $(OBJ)/libcommon.a
	$(link) $(BENCH_VCHAN_LIBS) $(XEN_LIBS)

$(BENCH)/bench-client: $(call objects,$(BENCH_CLIENT_SRCS)) \
		$(OBJ)/libbench.a $(LIB)/libhcl.a $(OBJ)/libcommon.a
	$(link) $(BENCH_COUNTED) $(BENCH_VCHAN_LIBS) $(XENSTORE_LIBS) \
		$(XEN_LIBS) $(JSON_LIBS) -lm -lpthread

$(BENCH)/bench-worker: $(call objects,$(BENCH_WORKER_SRCS) \
		$(HCL_WORKER_SRCS)) $(OBJ)/libcommon.a
	$(link) $(BENCH_COUNTED) -Wl,--wrap=hcl_class_find $(XEN_LIBS)

# For the scripts.
export HCL_BENCH_BUILD ?= $(BENCH)

.PHONY: bench bench-programs
bench-programs: sim $(BENCH_PROGRAMS)
bench:
	@test/setup build sim
	@$(MAKE) -s bench-programs
	@test/bench/run
