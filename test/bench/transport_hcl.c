/* SPDX-License-Identifier: MIT */
/*
 * HCL as a program has it: libhcl here, hcl-backend's workers at the other end.
 *
 *   echo0    the product's hcl-worker: answers with what it got
 *   sink0    bench-worker (sink.c): reads every word in the pool
 *   drain0   bench-worker: reads every word in its private copy
 *   still0   as echo0; neither side looks before it sleeps
 *   delayN   the product's hcl-worker: a device that takes N us
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hcl.h>

#include "bench.h"
#include "count.h"
#include "loop.h"
#include "sink.h"

#define CONNECT_MS 10000
#define POOL_BYTES (512u << 10)
/* More than a core's cache, as the largest ring of a vchan. */
#define DRAIN_POOL_BYTES (1536u << 10)
#define TRIP_POOL_BYTES 4096
#define MAX_IN_FLIGHT 128
#define BATCH 32

struct side {
    struct hcl_device *device;
    struct hcl_handle *handle;
    struct sink_report *report; /* in the rx pool */
    uint8_t *trip_tx, *trip_rx; /* in the pools */
    uint8_t *pool;              /* of pool_bytes; or trip_tx */
};

static struct side echo, unpolled, sink, drain;

/* Opened when they are needed: by the times that they take. */
static const uint32_t delay_us[] = {1, 10, 100, 1000};

#define NUM_DELAYS (sizeof(delay_us) / sizeof(delay_us[0]))

static struct side delays[NUM_DELAYS];
static uint8_t message[BENCH_MESSAGE_BYTES] __attribute__((aligned(4096)));

/* ---- Connecting -------------------------------------------------------- */

static int connect_side(struct side *side, const char *name,
                        uint32_t pool_bytes, struct hcl_err *err)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_status status;
    int ret;

    if (side == &unpolled) {
        options.poll_us = 0;
    }
    if (pool_bytes) {
        options.ring_page_order = 2;
        options.tx_pool_bytes = pool_bytes + TRIP_POOL_BYTES;
    }
    ret = hcl_open(name, &options, CONNECT_MS, &side->device, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_handle_open(side->device, CONNECT_MS, &side->handle, err);
    if (ret < 0) {
        return ret;
    }
    side->report =
        hcl_buffer_alloc(side->device, sizeof(*side->report), HCL_RX);
    side->trip_tx = hcl_buffer_alloc(side->device, BENCH_TRIP_BYTES, HCL_TX);
    side->trip_rx = hcl_buffer_alloc(side->device, BENCH_TRIP_BYTES, HCL_RX);
    side->pool = pool_bytes ? hcl_buffer_alloc(side->device, pool_bytes, HCL_TX)
                            : side->trip_tx;
    if (!side->report || !side->trip_tx || !side->trip_rx || !side->pool) {
        hcl_status(side->device, &status);
        return hcl_err_set(err, -ENOMEM,
                           "no pool memory; granted: %u bytes to send, %u to "
                           "receive%s",
                           status.tx_pool_bytes, status.rx_pool_bytes,
                           status.connected ? "" : "; connection lost");
    }
    return 0;
}

static void must_connect(struct side *side, const char *name,
                         uint32_t pool_bytes)
{
    struct hcl_err err;

    if (connect_side(side, name, pool_bytes, &err) < 0) {
        bench_die("%s: %s", name, err.text);
    }
}

void bench_hcl_connect(void)
{
    must_connect(&echo, "echo0", 0);
    must_connect(&sink, "sink0", POOL_BYTES);
    must_connect(&drain, "drain0", DRAIN_POOL_BYTES);
    /* What is sent from private memory takes pool memory. */
    hcl_buffer_free(drain.device, drain.pool);
    drain.pool = NULL;
}

void bench_hcl_connect_unpolled(void)
{
    must_connect(&unpolled, "still0", 0);
}

void bench_hcl_disconnect(void)
{
    hcl_close(echo.device);
    hcl_close(unpolled.device);
    hcl_close(sink.device);
    hcl_close(drain.device);
    for (size_t i = 0; i < NUM_DELAYS; i++) {
        hcl_close(delays[i].device);
    }
}

/* NULL: none takes so long. */
static struct side *find_delay(uint32_t job_us)
{
    for (size_t i = 0; i < NUM_DELAYS; i++) {
        if (delay_us[i] == job_us) {
            return &delays[i];
        }
    }
    return NULL;
}

bool bench_hcl_has_delay(uint32_t job_us)
{
    struct side *side = find_delay(job_us);
    struct hcl_err err;
    char name[16];

    if (side->device) {
        return true;
    }
    snprintf(name, sizeof(name), "delay%u", job_us);
    if (connect_side(side, name, 0, &err) < 0) {
        printf("%s: %s\n", name, err.text);
        hcl_close(side->device);
        side->device = NULL;
        return false;
    }
    return true;
}

static void hcl_begin(struct bench *bench)
{
    (void)bench;
}

/* ---- Round trips ------------------------------------------------------- */

/* Variant 0: from and to pool buffers; 1: from and to private memory. */
static void hcl_trip(struct bench *bench, uint64_t seed)
{
    const struct side *side = bench->work.job_us
                                  ? find_delay(bench->work.job_us)
                              : bench->work.unpolled ? &unpolled
                                                     : &echo;
    bool copied = bench->work.variant == 1;
    uint8_t *tx = copied ? message : side->trip_tx;
    uint8_t *rx = copied ? message + BENCH_TRIP_BYTES : side->trip_rx;
    uint64_t sum = bench_fill(tx, BENCH_TRIP_BYTES, seed);
    struct hcl_io io = {
        .opcode = HCL_EXCHANGE,
        .tx = tx,
        .tx_bytes = BENCH_TRIP_BYTES,
        .rx = rx,
        .rx_bytes = BENCH_TRIP_BYTES,
    };
    int ret = hcl_call(side->handle, &io, -1, NULL, NULL);

    if (ret < 0 || bench_add(rx, BENCH_TRIP_BYTES) != sum) {
        bench_die("hcl: a wrong answer (%d)", ret);
    }
}

/* ---- Streams ----------------------------------------------------------- */

struct stream {
    struct side *side;
    uint64_t left, seed, sum;
    uint32_t bytes;   /* of a buffer: variant tells how many messages */
    uint32_t stride;  /* 0: all are the same, since nobody looks */
    uint32_t buffers; /* how many may be in flight */
    uint32_t free[MAX_IN_FLIGHT], num_free;
    bool copied, unread;
};

static void submit(struct stream *stream)
{
    uint32_t index = stream->free[stream->num_free - 1];
    uint8_t *tx = stream->copied
                      ? message
                      : stream->side->pool + (size_t)index * stream->stride;
    struct hcl_io io = {
        .opcode = HCL_WRITE,
        .tx = tx,
        .argument = stream->unread,
        .tx_bytes = stream->bytes,
        .user = (void *)(uintptr_t)index,
    };
    int ret;

    if (stream->copied) {
        *(uint64_t *)message = stream->seed;
        stream->sum += stream->seed;
    } else if (!stream->unread) {
        stream->sum += bench_fill(tx, stream->bytes, stream->seed);
    }
    ret = hcl_submit(stream->side->handle, &io, NULL);
    if (ret < 0) {
        bench_die("hcl_submit: %s", strerror(-ret));
    }
    stream->num_free--;
    stream->seed++;
    stream->left--;
}

static void reap(struct stream *stream)
{
    struct hcl_result results[BATCH];
    int count = hcl_reap(stream->side->device, results, BATCH);

    if (count == 0) {
        count = hcl_wait(stream->side->device, -1, NULL);
    }
    if (count < 0) {
        bench_die("hcl_reap: %s", strerror(-count));
    }
    for (int i = 0; i < count; i++) {
        if (results[i].error < 0) {
            bench_die("hcl: %s", strerror(-results[i].error));
        }
        stream->free[stream->num_free++] = (uint32_t)(uintptr_t)results[i].user;
    }
}

/* Asks a bench-worker for what it has received. */
static void ask(struct side *side, struct sink_report *ret_report)
{
    struct hcl_err err;

    /* In a pool buffer: a copy would be counted. */
    if (hcl_read(side->handle, side->report, sizeof(*ret_report), -1, &err) !=
        sizeof(*ret_report)) {
        bench_die("no report: %s", err.text);
    }
    *ret_report = *side->report;
}

static void set_up(struct stream *stream, const struct bench_work *work)
{
    uint32_t records = work->bytes > BENCH_TRIP_BYTES ? 1 : 1u << work->variant;

    if (work->job_us) {
        stream->side = find_delay(work->job_us);
        stream->bytes = work->bytes;
        stream->left = work->count;
        stream->buffers = work->depth;
        stream->unread = true;
        for (uint32_t i = 0; i < stream->buffers; i++) {
            stream->free[stream->num_free++] = i;
        }
        return;
    }
    stream->copied = work->way == BENCH_COPIED;
    stream->unread = work->way == BENCH_UNREAD;
    stream->side = stream->copied ? &drain : &sink;
    stream->bytes = records * work->bytes;
    stream->left = (work->count + records - 1) / records;
    stream->stride = stream->unread ? 0 : stream->bytes;
    stream->buffers = stream->copied ? 4u << work->variant : MAX_IN_FLIGHT;
    if (!stream->unread && POOL_BYTES / stream->bytes < stream->buffers) {
        stream->buffers = POOL_BYTES / stream->bytes;
    }
    for (uint32_t i = 0; i < stream->buffers; i++) {
        stream->free[stream->num_free++] = i;
    }
}

static uint64_t hcl_stream(struct bench *bench)
{
    struct stream stream = {0};
    struct sink_report before, after;
    uint64_t sum, buffers, begin, ns;

    set_up(&stream, &bench->work);
    buffers = stream.left;
    sum = stream.copied ? bench_fill(message, stream.bytes, 0) * buffers : 0;
    ask(stream.side, &before);
    begin = hcl_now_ns();
    while (stream.left > 0 || stream.num_free < stream.buffers) {
        while (stream.left > 0 && stream.num_free > 0) {
            submit(&stream);
        }
        reap(&stream);
    }
    ns = hcl_now_ns() - begin;
    ask(stream.side, &after);
    if (!stream.unread && after.sum - before.sum != stream.sum + sum) {
        bench_die("hcl: what came has a wrong sum");
    }
    bench->done_count = buffers * (stream.bytes / bench->work.bytes);
    return ns;
}

struct bench_count bench_hcl_count(enum bench_way way)
{
    struct side *side = way == BENCH_COPIED ? &drain : &sink;
    struct bench_count count;
    struct sink_report report;
    struct hcl_status status;

    ask(side, &report);
    hcl_status(side->device, &status);
    count = bench_count;
    count.grants = report.grants + status.grant_operations;
    count.notifications += report.notifications;
    count.copied += report.copied;
    return count;
}

const struct bench_transport bench_hcl = {
    .name = "hcl",
    .variants = 10,
    .begin = hcl_begin,
    .trip = hcl_trip,
    .stream = hcl_stream,
};
