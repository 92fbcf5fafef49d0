/* SPDX-License-Identifier: MIT */
/* The rows of `make bench-xen` that are samples of HCL and its peers. */
#include "rows.h"

#define PEER(name) (1u << BENCH_##name)

#define VCHANS (PEER(VCHAN_POLLED) | PEER(VCHAN_BLOCKING))

/* The vchan's variants with rings of 1 MiB are from here on. */
#define MIB_RINGS 6

#define STREAM(way_, bytes_)                                                   \
    {                                                                          \
        .op = BENCH_STREAM, .transport = BENCH_HCL, .way = (way_),             \
        .bytes = (bytes_)                                                      \
    }

const struct bench_row bench_rows[] = {
    {
        .id = "B1",
        .title = "64 B round trip, default waiting",
        .work = {.op = BENCH_TRIPS,
                 .transport = BENCH_HCL,
                 .bytes = BENCH_TRIP_BYTES},
        .any = true,
        .peers =
            VCHANS | PEER(NETFRONT_TCP) | PEER(NETFRONT_UDP) | PEER(CONSOLE),
        .goals = {[BENCH_ANY] = {.ratio = {{BENCH_VCHAN_BLOCKING, 8},
                                           {BENCH_NETFRONT_TCP, 8},
                                           {BENCH_NETFRONT_UDP, 8}}}},
    },
    {
        .id = "B1b",
        .title = "64 B round trip, polling off",
        .work = {.op = BENCH_TRIPS,
                 .transport = BENCH_HCL,
                 .bytes = BENCH_TRIP_BYTES,
                 .unpolled = 1},
        .any = true,
        .peers = PEER(VCHAN_BLOCKING) | PEER(NETFRONT_TCP) | PEER(NETFRONT_UDP),
        .goals = {[BENCH_ANY] = {.ratio = {{BENCH_VCHAN_BLOCKING, 1.3}}}},
    },
    {
        .id = "B2",
        .title = "64 B records one way, many to a pool buffer",
        .unit = BENCH_UNIT_RATE,
        .work = STREAM(BENCH_IN_PLACE, 64),
        .num_variants = 10,
        .any = true,
        .peers = VCHANS | PEER(NETFRONT_TCP),
        .goals = {[BENCH_ANY] = {.ratio = {{BENCH_VCHAN_POLLED, 5},
                                           {BENCH_VCHAN_BLOCKING, 5}}}},
    },
    {
        .id = "B3",
        .title = "64 KB pieces one way, from pool buffers",
        .unit = BENCH_UNIT_GBYTES,
        .work = STREAM(BENCH_IN_PLACE, 65536),
        .any = true,
        .peers = VCHANS | PEER(NETFRONT_TCP) | PEER(MEMCPY),
        .peer_variant = MIB_RINGS,
        .goals = {[BENCH_ANY] = {.ratio = {{BENCH_VCHAN_POLLED, 5},
                                           {BENCH_VCHAN_BLOCKING, 5},
                                           {BENCH_NETFRONT_TCP, 5}}}},
    },
    {
        .id = "B3c",
        .title = "64 KB pieces one way, copied in and out",
        .unit = BENCH_UNIT_GBYTES,
        .work = STREAM(BENCH_COPIED, 65536),
        .num_variants = 2,
        .any = true,
        .peers = VCHANS | PEER(NETFRONT_TCP) | PEER(MEMCPY),
        .peer_variant = MIB_RINGS,
        .goals = {[BENCH_ANY] = {.ratio = {{BENCH_VCHAN_POLLED, 0.95},
                                           {BENCH_VCHAN_BLOCKING, 0.95},
                                           {BENCH_NETFRONT_TCP, 5}}}},
    },
};

const size_t bench_num_rows = sizeof(bench_rows) / sizeof(bench_rows[0]);
