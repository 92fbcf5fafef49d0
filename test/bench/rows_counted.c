/* SPDX-License-Identifier: MIT */
/* A6 and A7: what is counted, and what must not depend on a length. */
#include <string.h>

#include "count.h"
#include "loop.h"
#include "rows.h"
#include "sink.h"

const char *const bench_counted_ids[] = {"A6", "A7", NULL};

#define SHORT_BYTES 64
#define LONG_BYTES 65536
#define MESSAGES 20000
#define LONG_MESSAGES 200

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

/* Until the time is up, but never with too few to be a result. */
static bool goes_on(const struct bench_values *values, uint64_t end)
{
    return hcl_now_ns() < end || values->count < BENCH_LEAST_SAMPLES;
}

/* What both sides of a way have done since @before. */
static struct bench_count since(enum bench_way way,
                                const struct bench_count *before)
{
    struct bench_count now = bench_hcl_count(way);

    now.notifications -= before->notifications;
    now.copied -= before->copied;
    now.grants -= before->grants;
    return now;
}

/* Bytes copied for LONG_MESSAGES long messages. */
static double copied_by(struct bench *bench, enum bench_way way)
{
    struct bench_count before = bench_hcl_count(way);

    stream(bench, way, LONG_BYTES, LONG_MESSAGES);
    return (double)since(way, &before).copied;
}

static void count_copied(struct bench *bench, const char *id, uint64_t end)
{
    struct bench_values copied = {0}, control = {0};

    while (goes_on(&copied, end)) {
        bench_values_add(&copied, copied_by(bench, BENCH_IN_PLACE));
        bench_values_add(&control, copied_by(bench, BENCH_COPIED));
    }
    /* Otherwise nothing was counted at all. */
    if (bench_values_at(&control, 0) < 2.0 * LONG_BYTES * LONG_MESSAGES) {
        bench_die("copies are not counted");
    }
    bench_values_clear(&control);
    bench_report_alone(id,
                       "bytes of payload that HCL copied, 64 KB pool buffers",
                       BENCH_UNIT_BYTES, &copied, 0);
}

static void count_lengths(struct bench *bench, uint64_t end)
{
    struct bench_values rates = {0}, shorts = {0};
    double limit;

    for (unsigned int turn = 0; hcl_now_ns() < end; turn++) {
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
    bench_report_alone(
        "A6", "descriptors of 64 KB pool buffers; limit: of 64 B, less 5 %",
        BENCH_UNIT_RATE, &rates, limit);
}

static void count_notifications(struct bench *bench, const char *id,
                                uint64_t end)
{
    struct bench_values each = {0};

    while (goes_on(&each, end)) {
        struct bench_count before = bench_hcl_count(BENCH_IN_PLACE);

        stream(bench, BENCH_IN_PLACE, SHORT_BYTES, MESSAGES);
        bench_values_add(&each,
                         (double)since(BENCH_IN_PLACE, &before).notifications /
                             MESSAGES);
    }
    bench_report_alone(id,
                       "notifications for each message, both ways, depth 128",
                       BENCH_UNIT_COUNT, &each, 0.05);
}

void bench_count_row(struct bench *bench, const char *id, double seconds)
{
    uint64_t ns = (uint64_t)(seconds * 1e9);

    if (strcmp(id, "A6") == 0) {
        count_copied(bench, id, hcl_now_ns() + ns / 2);
        count_lengths(bench, hcl_now_ns() + ns / 2);
    } else {
        count_notifications(bench, id, hcl_now_ns() + ns);
    }
}

/* How often pages were shared or mapped, on both sides; connecting does that.
 */
static void count_grants(struct bench *bench, uint64_t end)
{
    struct bench_values each = {0};
    struct bench_count none = {0};

    if (since(BENCH_IN_PLACE, &none).grants == 0) {
        bench_die("grant operations are not counted");
    }
    while (goes_on(&each, end)) {
        struct bench_count before = bench_hcl_count(BENCH_IN_PLACE);

        stream(bench, BENCH_IN_PLACE, SHORT_BYTES, MESSAGES);
        bench_values_add(&each, (double)since(BENCH_IN_PLACE, &before).grants /
                                    MESSAGES);
    }
    bench_report_alone("B4", "grant operations for each message",
                       BENCH_UNIT_COUNT, &each, 0);
}

void bench_count_xen_row(struct bench *bench, double seconds)
{
    uint64_t ns = (uint64_t)(seconds * 1e9);

    count_grants(bench, hcl_now_ns() + ns / 3);
    count_notifications(bench, "B4", hcl_now_ns() + ns / 3);
    count_copied(bench, "B4", hcl_now_ns() + ns / 3);
}
