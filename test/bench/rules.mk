# SPDX-License-Identifier: MIT
#
# make bench: HCL against its peers on the simulated host (test/bench/run);
# make bench-xen: on real Xen (test/bench/run-xen).

BENCH := $(B)/bench
BENCH_PROGRAMS := $(addprefix $(BENCH)/,bench-server bench-client bench-worker)

# Objects of both ends, of the server, of the client.
BENCH_BOTH_SRCS := $(addprefix test/bench/,base.c link.c ends.c \
	transport_kernel.c transport_ring.c transport_vchan.c)
BENCH_SERVER_SRCS := $(BENCH_BOTH_SRCS) $(addprefix test/bench/,\
	pairs_server.c server.c)
BENCH_MEASURE_SRCS := $(addprefix test/bench/,count.c options.c report.c \
	rows_counted.c sample.c transport_hcl.c)
BENCH_CLIENT_SRCS := $(BENCH_BOTH_SRCS) $(BENCH_MEASURE_SRCS) $(addprefix \
	test/bench/,client.c guests.c pairs.c rows.c rows_fair.c)
BENCH_WORKER_SRCS := test/bench/count.c test/bench/sink.c

# The same on real Xen.
BENCH_XEN_PROGRAMS := $(addprefix $(BENCH)/,bench-xen-server bench-xen-client \
	bench-xen-console bench-worker)
BENCH_XEN_BOTH_SRCS := $(addprefix test/bench/,base.c link_xen.c ends.c \
	transport_net.c transport_vchan.c)
BENCH_XEN_SERVER_SRCS := $(BENCH_XEN_BOTH_SRCS) $(addprefix test/bench/,\
	transport_console.c xen_server.c)
BENCH_XEN_CLIENT_SRCS := $(BENCH_XEN_BOTH_SRCS) $(BENCH_MEASURE_SRCS) \
	$(addprefix test/bench/,transport_kernel.c rows_xen.c xen_client.c)
BENCH_XEN_CONSOLE_SRCS := $(addprefix test/bench/,base.c xen_console.c)

$(OBJ)/test/bench/%.o: HCL_CFLAGS += -Itest/bench

# What count.c counts, where HCL calls it.
BENCH_COUNTED := -Wl,--wrap=hcl_ports_notify,--wrap=memcpy,--wrap=hcl_gntdev_map

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

$(BENCH)/bench-xen-server: $(call objects,$(BENCH_XEN_SERVER_SRCS)) \
		$(OBJ)/libcommon.a
	$(link) $(BENCH_VCHAN_LIBS) $(XENSTORE_LIBS) $(XEN_LIBS)

$(BENCH)/bench-xen-client: $(call objects,$(BENCH_XEN_CLIENT_SRCS)) \
		$(LIB)/libhcl.a
	$(link) $(BENCH_COUNTED) $(BENCH_VCHAN_LIBS) $(XENSTORE_LIBS) \
		$(XEN_LIBS) $(JSON_LIBS) -lm -lpthread

$(BENCH)/bench-xen-console: $(call objects,$(BENCH_XEN_CONSOLE_SRCS))
	$(link) $(XENSTORE_LIBS)

# For the scripts.
export HCL_BENCH_BUILD ?= $(BENCH)

.PHONY: bench bench-programs bench-xen bench-xen-programs
bench-programs: sim $(BENCH_PROGRAMS)
bench:
	@test/setup build sim
	@$(MAKE) -s bench-programs
	@test/bench/run

bench-xen-programs: all $(BENCH_XEN_PROGRAMS)
bench-xen:
	@test/setup build lab
	@$(MAKE) -s bench-xen-programs
	@test/bench/run-xen
