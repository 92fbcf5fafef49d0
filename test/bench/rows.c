/* SPDX-License-Identifier: MIT */
/* The rows that are samples of HCL and its peers, with the figures to reach. */
#include "rows.h"

#define PEER(name) (1u << BENCH_##name)

#define VCHANS (PEER(VCHAN_POLLED) | PEER(VCHAN_BLOCKING))

#define TRIPS(id)                                                              \
    {                                                                          \
        .op = BENCH_TRIPS, .transport = (id), .bytes = BENCH_TRIP_BYTES        \
    }
#define IDLE_TRIPS(us)                                                         \
    {                                                                          \
        .op = BENCH_TRIPS, .transport = BENCH_HCL, .bytes = BENCH_TRIP_BYTES,  \
        .idle_us = (us)                                                        \
    }
#define STREAM(way_, bytes_)                                                   \
    {                                                                          \
        .op = BENCH_STREAM, .transport = BENCH_HCL, .way = (way_),             \
        .bytes = (bytes_)                                                      \
    }

#define JOB_TRIPS(us)                                                          \
    {                                                                          \
        .op = BENCH_TRIPS, .transport = BENCH_HCL, .bytes = BENCH_TRIP_BYTES,  \
        .job_us = (us)                                                         \
    }
#define JOB_STREAM(us)                                                         \
    {                                                                          \
        .op = BENCH_STREAM, .transport = BENCH_HCL, .way = BENCH_UNREAD,       \
        .bytes = BENCH_TRIP_BYTES, .job_us = (us), .depth = 2                  \
    }

/* Below line * L + add, and so much faster than a peer. */
#define LINE(line_, add_)                                                      \
    {                                                                          \
        .line = (line_), .add = (add_)                                         \
    }
#define LINE_AND(line_, add_, peer_, factor_)                                  \
    {                                                                          \
        .line = (line_), .add = (add_), .ratio = { {BENCH_##peer_, factor_} }  \
    }
#define BEAT(peer_, factor_)                                                   \
    {                                                                          \
        .ratio = { {BENCH_##peer_, factor_} }                                  \
    }
#define BEAT_VCHANS(factor_)                                                   \
    {                                                                          \
        .ratio = {                                                             \
            {BENCH_VCHAN_POLLED, factor_},                                     \
            {BENCH_VCHAN_BLOCKING, factor_},                                   \
        }                                                                      \
    }

const struct bench_row bench_rows[] = {
    {
        .id = "A1",
        .title = "64 B round trip, rings alone, polling",
        .work = TRIPS(BENCH_HCL_RING),
        .num_variants = 3,
        .peers = PEER(VCHAN_POLLED),
        .goals = {LINE_AND(1.25, 60, VCHAN_POLLED, 3),
                  LINE_AND(1.25, 60, VCHAN_POLLED, 3),
                  LINE_AND(1.25, 60, VCHAN_POLLED, 1.4)},
    },
    {
        .id = "A1e",
        .title = "64 B round trip, libhcl and worker, pool buffers",
        .work = TRIPS(BENCH_HCL),
        .peers = PEER(VCHAN_POLLED),
        .goals = {LINE(1.25, 150), LINE(1.25, 150), LINE(1.25, 150)},
    },
    {
        .id = "A1e",
        .title = "64 B round trip, libhcl and worker, copied",
        .work = {.op = BENCH_TRIPS,
                 .transport = BENCH_HCL,
                 .bytes = BENCH_TRIP_BYTES,
                 .variant = 1},
        .peers = PEER(VCHAN_POLLED),
        .goals = {LINE(1.25, 150), LINE(1.25, 150), LINE(1.25, 150)},
    },
    {
        .id = "A2",
        .title = "64 B round trip, think time 0",
        .work = TRIPS(BENCH_HCL),
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD) | PEER(PIPE) |
                 PEER(UNIX_STREAM) | PEER(UNIX_SEQPACKET),
        .goals = {BEAT(VCHAN_BLOCKING, 50), BEAT(VCHAN_BLOCKING, 50),
                  BEAT(VCHAN_BLOCKING, 50)},
    },
    {
        .id = "A2",
        .title = "64 B round trip, think time 2 us",
        .work = IDLE_TRIPS(2),
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {BEAT(VCHAN_BLOCKING, 50), BEAT(VCHAN_BLOCKING, 50),
                  BEAT(VCHAN_BLOCKING, 50)},
    },
    {
        .id = "A2",
        .title = "64 B round trip, think time 10 us",
        .work = IDLE_TRIPS(10),
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {BEAT(VCHAN_BLOCKING, 50), BEAT(VCHAN_BLOCKING, 50),
                  BEAT(VCHAN_BLOCKING, 50)},
    },
    {
        .id = "A2",
        .title = "64 B round trip, idle 100 ms before",
        .work = IDLE_TRIPS(100000),
        .any = true,
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(EVENTFD, 1 / 1.05)},
    },
    {
        .id = "A2c",
        .title = "64 B round trip on one core, think time 0",
        .work = TRIPS(BENCH_HCL),
        .any = true,
        .one_core = true,
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(VCHAN_BLOCKING, 1 / 1.1)},
    },
    {
        .id = "A2c",
        .title = "64 B round trip on one core, think time 2 us",
        .work = IDLE_TRIPS(2),
        .any = true,
        .one_core = true,
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(VCHAN_BLOCKING, 1 / 1.1)},
    },
    {
        .id = "A2c",
        .title = "64 B round trip on one core, think time 10 us",
        .work = IDLE_TRIPS(10),
        .any = true,
        .one_core = true,
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(VCHAN_BLOCKING, 1 / 1.1)},
    },
    {
        .id = "A2c",
        .title = "64 B round trip on one core, idle 100 ms before",
        .work = IDLE_TRIPS(100000),
        .any = true,
        .one_core = true,
        .peers = PEER(VCHAN_BLOCKING) | PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(VCHAN_BLOCKING, 1 / 1.1)},
    },
    {
        .id = "A3",
        .title = "64 B records one way, many to a pool buffer",
        .unit = BENCH_UNIT_RATE,
        .work = STREAM(BENCH_IN_PLACE, 64),
        .num_variants = 10,
        .peers = VCHANS | PEER(PIPE) | PEER(UNIX_STREAM) | PEER(UNIX_SEQPACKET),
        .goals = {{.ratio = {{BENCH_VCHAN_BLOCKING, 10}, {BENCH_PIPE, 40}}},
                  {.ratio = {{BENCH_VCHAN_BLOCKING, 10}, {BENCH_PIPE, 40}}},
                  {.ratio = {{BENCH_VCHAN_BLOCKING, 4}, {BENCH_PIPE, 40}}}},
    },
    {
        .id = "A3r",
        .title = "64 B records, a request and a completion each",
        .unit = BENCH_UNIT_RATE,
        .work = STREAM(BENCH_IN_PLACE, 64),
        .peers = VCHANS,
        .goals = {{.fixed = 10,
                   .ratio = {{BENCH_VCHAN_POLLED, 1.5},
                             {BENCH_VCHAN_BLOCKING, 1.5}}},
                  BEAT_VCHANS(1.5),
                  BEAT_VCHANS(1.5)},
    },
    {
        .id = "A5",
        .title = "4 KB messages one way, copied in and out",
        .unit = BENCH_UNIT_GBYTES,
        .work = STREAM(BENCH_COPIED, 4096),
        .num_variants = 6,
        .peers = VCHANS | PEER(PIPE) | PEER(UNIX_STREAM) | PEER(MEMCPY),
        .goals = {BEAT_VCHANS(1.6), BEAT_VCHANS(1), BEAT_VCHANS(1)},
    },
    {
        .id = "A5",
        .title = "64 KB messages one way, copied in and out",
        .unit = BENCH_UNIT_GBYTES,
        .work = STREAM(BENCH_COPIED, 65536),
        .num_variants = 2,
        .peers = VCHANS | PEER(PIPE) | PEER(UNIX_STREAM) | PEER(MEMCPY),
        .goals = {BEAT_VCHANS(1.2), BEAT_VCHANS(1), BEAT_VCHANS(1)},
    },
    {
        .id = "A9",
        .title = "added to a device's time of 1 us",
        .work = JOB_TRIPS(1),
        .goals = {LINE(1.25, 150), LINE(1.25, 150), LINE(1.25, 150)},
    },
    {
        .id = "A9",
        .title = "added to a device's time of 10 us",
        .work = JOB_TRIPS(10),
        .goals = {LINE(1.25, 150), LINE(1.25, 150), LINE(1.25, 150)},
    },
    {
        .id = "A9",
        .title = "added to a device's time of 100 us; eventfd: there and back",
        .work = JOB_TRIPS(100),
        .any = true,
        .peers = PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(EVENTFD, 2)},
    },
    {
        .id = "A9",
        .title = "added to a device's time of 1000 us; eventfd: there and back",
        .work = JOB_TRIPS(1000),
        .any = true,
        .peers = PEER(EVENTFD),
        .goals = {[BENCH_ANY] = BEAT(EVENTFD, 2)},
    },
    {
        .id = "A9",
        .title = "a device that takes 1 us is busy, depth 2",
        .unit = BENCH_UNIT_SHARE,
        .work = JOB_STREAM(1),
        .any = true,
        .goals = {[BENCH_ANY] = {.fixed = 0.98}},
    },
    {
        .id = "A9",
        .title = "a device that takes 10 us is busy, depth 2",
        .unit = BENCH_UNIT_SHARE,
        .work = JOB_STREAM(10),
        .any = true,
        .goals = {[BENCH_ANY] = {.fixed = 0.98}},
    },
    {
        .id = "A9",
        .title = "a device that takes 100 us is busy, depth 2",
        .unit = BENCH_UNIT_SHARE,
        .work = JOB_STREAM(100),
        .any = true,
        .goals = {[BENCH_ANY] = {.fixed = 0.98}},
    },
    {
        .id = "A9",
        .title = "a device that takes 1000 us is busy, depth 2",
        .unit = BENCH_UNIT_SHARE,
        .work = JOB_STREAM(1000),
        .any = true,
        .goals = {[BENCH_ANY] = {.fixed = 0.98}},
    },
};

const size_t bench_num_rows = sizeof(bench_rows) / sizeof(bench_rows[0]);
