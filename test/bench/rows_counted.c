/* SPDX-License-Identifier: MIT */
/* A6 and A7: what is counted, and what must not depend on a length. */
#include <string.h>

#include "count.h"
#include "rows.h"
#include "sink.h"

const char *const bench_counted_ids[] = {"A6", "A7", NULL};

#define SHORT_BYTES 64
#define LONG_BYTES 65536
#define MESSAGES 20000
#define LONG_MESSAGES 200

static struct bench_result result_of(const char *id, const char *title,
                                     enum bench_unit unit,
                                     struct bench_values *hcl, double limit)
{
    struct bench_result result = {.id = id,
                                  .title = title,
                                  .unit = unit,
                                  .placement = BENCH_ANY,
                                  .limit = limit,
                                  .hcl = hcl};

    return result;
}

static void show(const char *id, const char *title, enum bench_unit unit,
                 struct bench_values *hcl, double limit)
{
    struct bench_result result = result_of(id, title, unit, hcl, limit);

    bench_report(&result);
    bench_values_clear(hcl);
}

/* Streams @count messages; returns nanoseconds each. */
static double stream(struct bench *bench, enum bench_way way, uint32_t bytes,
                     uint64_t count)
{
    struct bench_work work = {.op = BENCH_STREAM,
                              .transport = BENCH_HCL,
                              .way = way,
                              .bytes = bytes,
                              .count = count};

    return bench_do(bench, &work);
}

/* What both sides of a way have done since @before. */
static struct bench_count since(enum bench_way way,
                                const struct bench_count *before)
{
    struct bench_count now = bench_hcl_count(way);

    now.notifications -= before->notifications;
    now.copied -= before->copied;
    return now;
}

/* Bytes copied for LONG_MESSAGES long messages. */
static double copied_by(struct bench *bench, enum bench_way way)
{
    struct bench_count before = bench_hcl_count(way);

    stream(bench, way, LONG_BYTES, LONG_MESSAGES);
    return (double)since(way, &before).copied;
}

static void count_copied(struct bench *bench, uint64_t end)
{
    struct bench_values copied = {0}, control = {0};

    while (bench_now_ns() < end) {
        bench_values_add(&copied, copied_by(bench, BENCH_IN_PLACE));
        bench_values_add(&control, copied_by(bench, BENCH_COPIED));
    }
    /* Otherwise nothing was counted at all. */
    if (bench_values_at(&control, 0) < 2.0 * LONG_BYTES * LONG_MESSAGES) {
        bench_die("A6: copies are not counted");
    }
    bench_values_clear(&control);
    show("A6", "bytes of payload that HCL copied, 64 KB pool buffers",
         BENCH_UNIT_BYTES, &copied, 0);
}

static void count_lengths(struct bench *bench, uint64_t end)
{
    struct bench_values rates = {0}, shorts = {0};
    double limit;

    for (unsigned int turn = 0; bench_now_ns() < end; turn++) {
        double a = stream(bench, BENCH_UNREAD,
                          turn & 1 ? LONG_BYTES : SHORT_BYTES, MESSAGES);
        double b = stream(bench, BENCH_UNREAD,
                          turn & 1 ? SHORT_BYTES : LONG_BYTES, MESSAGES);

        bench_values_add(&rates, 1e3 / (turn & 1 ? a : b));
        bench_values_add(&shorts, 1e3 / (turn & 1 ? b : a));
    }
    /* As fast as those of 64 bytes, but for noise. */
    limit = 0.95 * bench_values_at(&shorts, 0.5);
    bench_values_clear(&shorts);
    show("A6", "descriptors of 64 KB pool buffers; limit: of 64 B, less 5 %",
         BENCH_UNIT_RATE, &rates, limit);
}

static void count_notifications(struct bench *bench, uint64_t end)
{
    struct bench_values each = {0};

    while (bench_now_ns() < end) {
        struct bench_count before = bench_hcl_count(BENCH_IN_PLACE);

        stream(bench, BENCH_IN_PLACE, SHORT_BYTES, MESSAGES);
        bench_values_add(&each,
                         (double)since(BENCH_IN_PLACE, &before).notifications /
                             MESSAGES);
    }
    show("A7", "notifications for each message, both ways, depth 128",
         BENCH_UNIT_COUNT, &each, 0.05);
}

void bench_count_row(struct bench *bench, const char *id, double seconds)
{
    uint64_t ns = (uint64_t)(seconds * 1e9);

    if (strcmp(id, "A6") == 0) {
        count_copied(bench, bench_now_ns() + ns / 2);
        count_lengths(bench, bench_now_ns() + ns / 2);
    } else {
        count_notifications(bench, bench_now_ns() + ns);
    }
}
