/* SPDX-License-Identifier: MIT */
/* The two parts of each work: the client's and the server's. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "loop.h"

/* Rounds of the cache-line round trip, and what ends it earlier. */
#define LINE_ROUNDS 30000
#define LINE_MOST_NS 5000000
#define LINE_BLOCK 1000
#define LINE_STOP UINT64_MAX

/* Before trips are timed: an end that slept is awake then. */
#define WARM_UP_TRIPS 3

/* Where the other end does not count along: that many times slower than the
 * last time, as seen after so many trips, is enough. */
#define SLOWER 5
#define LOOK_TRIPS 64

/* An idle time from here on is slept, below it is spun. */
#define SLEEP_FROM_US 1000

/* At most so much of a stream of short messages is taken at once. */
#define BULK_BYTES 4096

static uint8_t message[BENCH_MESSAGE_BYTES] __attribute__((aligned(4096)));

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* ---- The cache line ---------------------------------------------------- */

static void serve_line(struct bench *bench)
{
    struct bench_line *line = bench->page->line;
    uint64_t old = 0, word;

    do {
        while ((word = load(&line[0].word)) == old) {
        }
        store(&line[1].word, word);
        old = word;
    } while (word != LINE_STOP);
}

static void line_rounds(struct bench_line *line, uint64_t from, uint64_t count)
{
    for (uint64_t word = from; word < from + count; word++) {
        store(&line[0].word, word);
        while (load(&line[1].word) != word) {
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/*
 * The median of blocks: a process that takes the core away for milliseconds
 * would otherwise look like a far placement.
 */
static double use_line(struct bench *bench)
{
    struct bench_line *line = bench->page->line;
    uint64_t first, begin, now, blocks[LINE_ROUNDS / LINE_BLOCK];
    size_t count = 0;

    line_rounds(line, 1, LINE_BLOCK);
    first = now = hcl_now_ns();
    do {
        begin = now;
        line_rounds(line, (count + 1) * LINE_BLOCK + 1, LINE_BLOCK);
        now = hcl_now_ns();
        blocks[count++] = now - begin;
    } while (count < LINE_ROUNDS / LINE_BLOCK && now - first < LINE_MOST_NS);
    store(&line[0].word, LINE_STOP);
    while (load(&line[1].word) != LINE_STOP) {
    }
    qsort(blocks, count, sizeof(blocks[0]), compare);
    count /= 2;
    return (double)blocks[count] / LINE_BLOCK;
}

/* ---- The server -------------------------------------------------------- */

/* Answers each message with its words, each one more. */
/* The device of a peer: it takes its time, too. */
static void do_job(uint32_t job_us)
{
    uint64_t until = hcl_now_ns() + job_us * UINT64_C(1000);

    while (job_us && hcl_now_ns() < until) {
    }
}

static uint64_t serve_trips(struct bench *bench,
                            const struct bench_transport *transport)
{
    uint64_t *words = (uint64_t *)message;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < bench->work.count; i++) {
        transport->receive(bench, message, BENCH_TRIP_BYTES);
        for (size_t j = 0; j < BENCH_TRIP_BYTES / 8; j++) {
            sum += words[j];
            words[j]++;
        }
        do_job(bench->work.job_us);
        transport->send(bench, message, BENCH_TRIP_BYTES);
    }
    return sum;
}

static uint64_t serve_stream(struct bench *bench,
                             const struct bench_transport *transport)
{
    const struct bench_work *work = &bench->work;
    uint64_t left = work->count * work->bytes, sum = 0;
    size_t most = work->bytes;

    if (most < BULK_BYTES && work->variant & 1) {
        most = BULK_BYTES;
    }
    while (left > 0) {
        size_t got =
            transport->receive(bench, message, most < left ? most : left);

        sum += bench_add(message, got);
        left -= got;
    }
    if (bench->acknowledge) {
        memcpy(message, &sum, sizeof(sum));
        transport->send(bench, message, BENCH_TRIP_BYTES);
    }
    return sum;
}

static void serve(struct bench *bench)
{
    const struct bench_transport *transport =
        bench_transports[bench->work.transport];
    struct bench_page *page = bench->page;

    if (bench->work.op == BENCH_LINE) {
        store(&page->line[1].word, 0);
        bench_link_ready(bench);
        serve_line(bench);
        store(&page->line[0].word, 0);
        return;
    }
    if (bench->work.op == BENCH_QUIET) {
        bench_link_ready(bench);
        return;
    }
    if (bench->work.op != BENCH_TRIPS && bench->work.op != BENCH_STREAM) {
        bench->serve_other(bench);
        return;
    }
    transport->begin(bench);
    bench_link_ready(bench);
    page->sum = bench->work.op == BENCH_TRIPS ? serve_trips(bench, transport)
                                              : serve_stream(bench, transport);
}

void bench_serve(struct bench *bench)
{
    for (;;) {
        bench_link_next(bench);
        serve(bench);
        bench_link_done(bench);
    }
}

/* ---- The client -------------------------------------------------------- */

void bench_quieten(struct bench *bench)
{
    struct bench_work work = {.op = BENCH_QUIET};

    if (!bench->quiet) {
        bench_link_post(bench, &work);
        bench_link_finish(bench);
        bench->quiet = true;
    }
}

double bench_measure_line(struct bench *bench)
{
    struct bench_work work = {.op = BENCH_LINE};
    double ns;

    bench->quiet = false;
    bench_link_post(bench, &work);
    ns = use_line(bench);
    bench_link_finish(bench);
    return ns;
}

static void idle(uint32_t us)
{
    struct timespec time = {.tv_sec = us / 1000000,
                            .tv_nsec = (long)(us % 1000000) * 1000};
    uint64_t end;

    if (us >= SLEEP_FROM_US) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    } else if (us > 0) {
        end = hcl_now_ns() + us * UINT64_C(1000);
        while (hcl_now_ns() < end) {
        }
    }
}

static void trip(struct bench *bench, const struct bench_transport *transport,
                 uint64_t seed)
{
    uint64_t sum;

    if (transport->trip) {
        transport->trip(bench, seed);
        return;
    }
    sum = bench_fill(message, BENCH_TRIP_BYTES, seed);
    transport->send(bench, message, BENCH_TRIP_BYTES);
    transport->receive(bench, message, BENCH_TRIP_BYTES);
    if (bench_add(message, BENCH_TRIP_BYTES) != sum + BENCH_TRIP_BYTES / 8) {
        bench_die("%s: a wrong answer", transport->name);
    }
}

/* The time of all trips without what the client idled. */
static double use_trips(struct bench *bench,
                        const struct bench_transport *transport)
{
    uint32_t idle_us = bench->work.idle_us;
    uint64_t i, begin, spent = 0;

    for (i = 0; i < WARM_UP_TRIPS; i++) {
        trip(bench, transport, i);
    }
    begin = hcl_now_ns();
    for (; i < bench->work.count; i++) {
        if (transport->trip && i % LOOK_TRIPS == 0 &&
            hcl_now_ns() - begin > SLOWER * bench->part_ns) {
            break;
        }
        if (idle_us > 0) {
            idle(idle_us);
            begin = hcl_now_ns();
        }
        trip(bench, transport, i);
        if (idle_us > 0) {
            spent += hcl_now_ns() - begin;
        }
    }
    if (!idle_us) {
        spent = hcl_now_ns() - begin;
    }
    return (double)spent / (double)(i - WARM_UP_TRIPS);
}

/* Short messages are made anew; of long ones the first word is. */
static uint64_t use_stream(struct bench *bench,
                           const struct bench_transport *transport)
{
    const struct bench_work *work = &bench->work;
    uint64_t sum = 0, rest;

    if (work->bytes <= BENCH_TRIP_BYTES) {
        for (uint64_t i = 0; i < work->count; i++) {
            sum += bench_fill(message, work->bytes, i);
            transport->send(bench, message, work->bytes);
        }
        return sum;
    }
    rest = bench_fill(message, work->bytes, 0);
    for (uint64_t i = 0; i < work->count; i++) {
        *(uint64_t *)message = i;
        transport->send(bench, message, work->bytes);
    }
    return sum + work->count * (work->count - 1) / 2 + work->count * rest;
}

/* Nanoseconds of all messages, up to where they have been received. */
static uint64_t time_stream(struct bench *bench,
                            const struct bench_transport *transport)
{
    uint64_t begin = hcl_now_ns(), ns, sum;

    sum = use_stream(bench, transport);
    if (bench->acknowledge) {
        transport->receive(bench, message, BENCH_TRIP_BYTES);
        ns = hcl_now_ns() - begin;
        bench_link_finish(bench);
    } else {
        bench_link_finish(bench);
        ns = hcl_now_ns() - begin;
    }
    if (bench->page->sum != sum) {
        bench_die("%s: what came has a wrong sum", transport->name);
    }
    return ns;
}

double bench_do(struct bench *bench, const struct bench_work *work)
{
    const struct bench_transport *transport = bench_transports[work->transport];
    struct bench_work exact = *work;
    double ns;

    if (work->op == BENCH_TRIPS) {
        exact.count += WARM_UP_TRIPS;
    }
    if (transport->stream) {
        bench_quieten(bench);
        bench->work = exact;
    } else {
        bench->quiet = false;
        bench_link_post(bench, &exact);
    }
    transport->begin(bench);
    bench->done_count = work->count;
    if (work->op == BENCH_TRIPS && (transport->send || transport->trip)) {
        ns = use_trips(bench, transport);
        if (!transport->stream) {
            bench_link_finish(bench);
        }
    } else if (transport->stream) {
        ns = (double)transport->stream(bench);
        ns /= (double)bench->done_count;
    } else {
        ns = (double)time_stream(bench, transport);
        ns /= (double)work->count;
    }
    return ns;
}
