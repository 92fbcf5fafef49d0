/* SPDX-License-Identifier: MIT */
#include "bench.h"
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

/* Results that are taken at a time; the clock is looked at once for them. */
#define BATCH 32

/* Longer than that the program sleeps, as one that waits would. */
#define MAX_SPIN_US 1000

/* One request that may be under way. */
struct slot {
    uint8_t *tx;
    uint8_t *rx;
    uint64_t start_ns;
};

struct bench {
    struct hcl_device *device;
    const struct hcl_bench_run *run;
    struct hcl_bench_result *result;
    struct hcl_handle **handles; /* run->handles; owned, as all below */
    struct slot *slots;          /* run->depth */
    uint8_t *memory;             /* of copies */
    bool counts;                 /* not in the warm-up */
    uint64_t submitted;          /* in this phase */
    uint64_t completed;
    uint64_t limit;  /* requests; 0: none */
    uint64_t end_ns; /* UINT64_MAX: none */
    uint64_t pattern;
    struct hcl_err failure; /* of the first request that failed */
};

/* ---- Clock and signals ------------------------------------------------- */

static volatile sig_atomic_t stopped; /* the signal */
static volatile sig_atomic_t stalled;
static volatile sig_atomic_t asleep; /* on purpose */
static volatile uint64_t answers;
static int patience_ms = 10000;

uint64_t hcl_bench_clock_ns(void)
{
    uint64_t best = UINT64_MAX, start, ns;

    for (int round = 0; round < 5; round++) {
        start = hcl_now_ns();
        for (int i = 0; i < 99; i++) {
            (void)hcl_now_ns();
        }
        ns = (hcl_now_ns() - start) / 100;
        best = ns < best ? ns : best;
    }
    return best;
}

static void on_stop(int number)
{
    stopped = number;
}

/* Interrupts a call that waits for an answer which does not come. */
static void on_alarm(int number)
{
    static uint64_t seen = UINT64_MAX;

    (void)number;
    if (answers == seen && !asleep) {
        stalled = 1;
    }
    seen = answers;
}

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};

#define NUM_STOP_SIGNALS (sizeof(stop_signals) / sizeof(stop_signals[0]))

int hcl_bench_watch(int timeout_ms, struct hcl_err *err)
{
    struct timeval interval = {.tv_sec = timeout_ms / 1000,
                               .tv_usec = timeout_ms % 1000 * 1000L};
    struct itimerval timer = {interval, interval};
    struct sigaction action = {.sa_handler = on_stop};

    for (size_t i = 0; i < NUM_STOP_SIGNALS; i++) {
        sigaction(stop_signals[i], &action, NULL);
    }
    patience_ms = timeout_ms;
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    if (setitimer(ITIMER_REAL, &timer, NULL) < 0) {
        return hcl_err_sys(err, -errno, "cannot set a timer");
    }
    return 0;
}

void hcl_bench_unwatch(void)
{
    const struct itimerval none = {0};

    setitimer(ITIMER_REAL, &none, NULL);
    for (size_t i = 0; i < NUM_STOP_SIGNALS; i++) {
        signal(stop_signals[i], SIG_DFL);
    }
}

int hcl_bench_signal(void)
{
    return stopped;
}

/* Lets the program's own work take its time. */
static void think(uint32_t us)
{
    uint64_t end_ns = hcl_now_ns() + us * 1000ull;
    struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000),
                           .tv_nsec = (long)(end_ns % 1000000000)};

    if (us > MAX_SPIN_US) {
        asleep = 1;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) ==
                   EINTR &&
               !stopped) {
            /* an alarm */
        }
        answers++; /* none is missing */
        asleep = 0;
        return;
    }
    while (hcl_now_ns() < end_ns) {
        /* computing */
    }
}

/* ---- Payloads ---------------------------------------------------------- */

/* No two payloads are alike, so that an old answer is no right one. */
static void fill(struct bench *bench, uint8_t *at)
{
    uint64_t word = ++bench->pattern * 0x9e3779b97f4a7c15ull;
    uint32_t bytes = bench->run->bytes;

    for (; bytes >= sizeof(word); bytes -= (uint32_t)sizeof(word)) {
        memcpy(at, &word, sizeof(word));
        at += sizeof(word);
        word += 0x9e3779b97f4a7c15ull;
    }
    memcpy(at, &word, bytes);
}

static void check(struct bench *bench, const struct slot *slot, uint32_t bytes)
{
    const struct hcl_bench_run *run = bench->run;

    if (!run->check || run->opcode != HCL_EXCHANGE) {
        return;
    }
    bench->result->checked += bench->counts;
    if (bytes == run->bytes && memcmp(slot->rx, slot->tx, bytes) == 0) {
        return;
    }
    bench->result->mismatched++;
    if (!bench->failure.code) {
        hcl_err_set(&bench->failure, -EBADMSG,
                    "an answer of %u bytes is not the %u bytes that were sent "
                    "(is the device of class echo?)",
                    bytes, run->bytes);
    }
}

/* ---- Requests ---------------------------------------------------------- */

static struct hcl_io io_of(struct bench *bench, struct slot *slot)
{
    const struct hcl_bench_run *run = bench->run;
    struct hcl_io io = {.opcode = run->opcode, .user = slot};

    if (run->opcode != HCL_READ) {
        io.tx = slot->tx;
        io.tx_bytes = run->bytes;
        if (run->check) {
            fill(bench, slot->tx);
        }
    }
    if (run->opcode != HCL_WRITE) {
        io.rx = slot->rx;
        io.rx_bytes = run->bytes;
    }
    return io;
}

static struct hcl_handle *next_handle(const struct bench *bench)
{
    return bench->run->handles == 1
               ? bench->handles[0]
               : bench->handles[bench->submitted % bench->run->handles];
}

/* One answer, @now_ns; what it took counts from @slot's start. */
static void completed(struct bench *bench, const struct slot *slot,
                      const struct hcl_result *result, uint64_t now_ns)
{
    struct hcl_bench_result *total = bench->result;

    answers++;
    bench->completed++;
    if (result->error) {
        total->failed += bench->counts;
        /* The connection was made anew: the others go on. */
        if (!bench->failure.code && result->error != -ECONNRESET) {
            hcl_err_sys(&bench->failure, result->error,
                        "the device cannot %s%s%s",
                        hcl_bench_opcode_name(bench->run->opcode),
                        result->text[0] ? ": " : "", result->text);
        }
        return;
    }
    check(bench, slot, result->rx_bytes);
    if (bench->counts) {
        hcl_histogram_add(total->latency, now_ns - slot->start_ns);
        if (bench->run->opcode != HCL_READ) {
            total->tx_bytes += bench->run->bytes;
        }
        total->rx_bytes += result->rx_bytes;
    }
}

static bool goes_on(const struct bench *bench, uint64_t now_ns)
{
    return !stopped && !stalled && !bench->failure.code &&
           now_ns < bench->end_ns &&
           (!bench->limit || bench->submitted < bench->limit);
}

/* ---- One at a time ----------------------------------------------------- */

static int run_calls(struct bench *bench, struct hcl_err *err)
{
    uint32_t think_us = bench->counts ? bench->run->think_us : 0;
    struct slot *slot = &bench->slots[0];
    uint64_t now_ns = hcl_now_ns();
    bool fresh = think_us > 0 || bench->run->check;
    struct hcl_result result = {0};
    struct hcl_io io;
    int ret;

    while (goes_on(bench, now_ns)) {
        if (think_us) {
            think(think_us);
        }
        io = io_of(bench, slot);
        /* Without anything between them one look at the clock is enough. */
        slot->start_ns = fresh ? hcl_now_ns() : now_ns;
        result.error = 0;
        ret = hcl_call(next_handle(bench), &io, -1, &result, err);
        now_ns = hcl_now_ns();
        if (ret == -EINTR) {
            continue; /* a signal: either it ends, or it is asked again */
        }
        if (ret < 0 && (!result.error || hcl_process(bench->device, err) < 0)) {
            return ret; /* not submitted, or the connection has ended */
        }
        bench->submitted++;
        completed(bench, slot, &result, now_ns);
    }
    return 0;
}

/* ---- Many at a time ---------------------------------------------------- */

static int submit(struct bench *bench, struct slot *slot, uint64_t now_ns,
                  struct hcl_err *err)
{
    struct hcl_io io = io_of(bench, slot);
    int ret;

    slot->start_ns = now_ns;
    ret = hcl_submit(next_handle(bench), &io, NULL);
    if (ret < 0) {
        return hcl_process(bench->device, err) < 0
                   ? ret
                   : hcl_err_sys(err, ret, "cannot submit a request");
    }
    bench->submitted++;
    return 0;
}

/* Waits for results, takes them and sends as many requests anew. */
static int turn(struct bench *bench, struct hcl_err *err)
{
    struct hcl_result results[BATCH];
    int i, count, ret = hcl_wait(bench->device, -1, err);
    uint64_t now_ns;

    if (ret < 0) {
        return ret == -EINTR ? 0 : ret; /* goes on as far as it may */
    }
    count = hcl_reap(bench->device, results, BATCH);
    if (count < 0) {
        return hcl_process(bench->device, err);
    }
    now_ns = hcl_now_ns();
    for (i = 0; i < count; i++) {
        struct slot *slot = results[i].user;

        completed(bench, slot, &results[i], now_ns);
        if (!goes_on(bench, now_ns)) {
            continue;
        }
        ret = submit(bench, slot, now_ns, err);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static int run_many(struct bench *bench, struct hcl_err *err)
{
    uint64_t now_ns = hcl_now_ns();
    uint32_t i;
    int ret = 0;

    for (i = 0; ret == 0 && i < bench->run->depth && goes_on(bench, now_ns);
         i++) {
        ret = submit(bench, &bench->slots[i], now_ns, err);
    }
    while (ret == 0 && !stalled && bench->completed < bench->submitted) {
        ret = turn(bench, err);
    }
    return ret;
}

/* ---- One run ----------------------------------------------------------- */

static int too_small(const struct bench *bench, struct hcl_err *err)
{
    const struct hcl_bench_run *run = bench->run;
    struct hcl_status status;

    hcl_status(bench->device, &status);
    return hcl_err_set(err, -ENOBUFS,
                       "the backend allows pools of %u and %u bytes, too small "
                       "for %u requests of %u bytes at a time: make --size or "
                       "--depth smaller",
                       status.tx_pool_bytes, status.rx_pool_bytes, run->depth,
                       run->bytes);
}

/* Memory for each request, in the pools or not. */
static int make_slots(struct bench *bench, struct hcl_err *err)
{
    const struct hcl_bench_run *run = bench->run;
    uint32_t i;

    bench->slots = calloc(run->depth, sizeof(*bench->slots));
    bench->memory =
        run->copy ? calloc(run->depth, 2 * (size_t)run->bytes + 1) : NULL;
    if (!bench->slots || (run->copy && !bench->memory)) {
        return hcl_err_sys(err, -ENOMEM, "memory for %u requests", run->depth);
    }
    for (i = 0; i < run->depth; i++) {
        struct slot *slot = &bench->slots[i];

        if (run->copy) {
            slot->tx = bench->memory + 2 * (size_t)i * run->bytes;
            slot->rx = slot->tx + run->bytes;
        }
        if (!run->copy && run->opcode != HCL_READ) {
            slot->tx = hcl_buffer_alloc(bench->device, run->bytes, HCL_TX);
        }
        if (!run->copy && run->opcode != HCL_WRITE) {
            slot->rx = hcl_buffer_alloc(bench->device, run->bytes, HCL_RX);
        }
        if ((run->opcode != HCL_READ && !slot->tx) ||
            (run->opcode != HCL_WRITE && !slot->rx)) {
            return too_small(bench, err);
        }
        if (slot->tx) {
            fill(bench, slot->tx);
        }
    }
    return 0;
}

static int timed_out(struct hcl_err *err)
{
    return hcl_err_set(err, -ETIMEDOUT, "timed out: no answer");
}

/* -EINTR: a signal stops us. */
static int open_handles(struct bench *bench, struct hcl_err *err)
{
    uint32_t i, count = bench->run->handles;
    int ret;

    bench->handles = calloc(count, sizeof(struct hcl_handle *));
    if (!bench->handles) {
        return hcl_err_sys(err, -ENOMEM, "memory for %u handles", count);
    }
    for (i = 0; i < count; i++) {
        do {
            ret = hcl_handle_open(bench->device, patience_ms,
                                  &bench->handles[i], err);
        } while (ret == -EINTR && !stopped && !stalled);
        if (ret < 0) {
            return stalled ? timed_out(err) : ret;
        }
    }
    return 0;
}

/* Handles first: they end all requests. */
static void clear(struct bench *bench)
{
    uint32_t i;

    for (i = 0; bench->handles && i < bench->run->handles; i++) {
        hcl_handle_close(bench->handles[i]);
    }
    for (i = 0; bench->slots && !bench->run->copy && i < bench->run->depth;
         i++) {
        hcl_buffer_free(bench->device, bench->slots[i].tx);
        hcl_buffer_free(bench->device, bench->slots[i].rx);
    }
    free(bench->handles);
    free(bench->slots);
    /* After a stall an answer may still come, until the device is closed. */
    if (bench->completed == bench->submitted) {
        free(bench->memory);
    }
}

static int run_phase(struct bench *bench, struct hcl_err *err)
{
    int ret;

    bench->submitted = bench->completed = 0;
    ret = bench->run->mode == HCL_BENCH_LATENCY ? run_calls(bench, err)
                                                : run_many(bench, err);
    if (ret == 0 && stalled) {
        ret = timed_out(err);
    }
    if (ret == 0 && bench->failure.code) {
        *err = bench->failure;
        ret = err->code;
    }
    return ret;
}

/* ---- What it costs ----------------------------------------------------- */

struct costs {
    uint64_t now_ns;
    struct rusage usage;
    uint64_t worker_us;
    struct hcl_status status;
};

static uint64_t us_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000u + (uint64_t)time->tv_usec;
}

static bool worker_time(pid_t worker, uint64_t *ret_us)
{
    struct timespec used;
    clockid_t clock;

    if (!worker || clock_getcpuclockid(worker, &clock) != 0 ||
        clock_gettime(clock, &used) < 0) {
        return false;
    }
    *ret_us = (uint64_t)used.tv_sec * 1000000u + (uint64_t)used.tv_nsec / 1000;
    return true;
}

static void take_costs(const struct bench *bench, pid_t worker,
                       struct costs *costs)
{
    getrusage(RUSAGE_SELF, &costs->usage);
    bench->result->has_worker = worker_time(worker, &costs->worker_us);
    hcl_status(bench->device, &costs->status);
    costs->now_ns = hcl_now_ns();
}

static void subtract(struct hcl_bench_result *result,
                     const struct costs *before, const struct costs *after)
{
    const struct hcl_status *old = &before->status, *now = &after->status;

    result->elapsed_us = (after->now_ns - before->now_ns) / 1000;
    result->user_us =
        us_of(&after->usage.ru_utime) - us_of(&before->usage.ru_utime);
    result->system_us =
        us_of(&after->usage.ru_stime) - us_of(&before->usage.ru_stime);
    if (result->has_worker) {
        result->worker_us = after->worker_us - before->worker_us;
    }
    result->counters = (struct hcl_bench_counters){
        .requests = now->requests - old->requests,
        .completions = now->completions - old->completions,
        .copied_bytes = now->copied_bytes - old->copied_bytes,
        .events_out = now->events_out - old->events_out,
        .events_in = now->events_in - old->events_in,
        .grant_operations = now->grant_operations - old->grant_operations,
        .reconnects = now->reconnects - old->reconnects,
    };
}

/* Warm-up, then what counts. */
static int run_both(struct bench *bench, pid_t worker, struct hcl_err *err)
{
    const struct hcl_bench_run *run = bench->run;
    struct costs before = {0}, after = {0};
    int ret = 0;

    bench->end_ns = UINT64_MAX;
    bench->limit = run->warmup;
    if (run->warmup) {
        ret = run_phase(bench, err);
    }
    if (ret < 0) {
        return ret;
    }
    bench->counts = true;
    bench->limit = run->count;
    take_costs(bench, worker, &before);
    if (run->duration_us) {
        bench->end_ns = before.now_ns + run->duration_us * 1000;
    }
    ret = run_phase(bench, err);
    take_costs(bench, worker, &after);
    subtract(bench->result, &before, &after);
    return ret;
}

int hcl_bench_measure(struct hcl_device *device, pid_t worker,
                      const struct hcl_bench_run *run,
                      struct hcl_bench_result *ret_result, struct hcl_err *err)
{
    struct hcl_histogram *latency = ret_result->latency;
    struct bench bench = {.device = device, .run = run, .result = ret_result};
    int ret;

    memset(ret_result, 0, sizeof(*ret_result));
    hcl_histogram_clear(latency);
    ret_result->latency = latency;
    ret = open_handles(&bench, err);
    if (ret == 0) {
        ret = make_slots(&bench, err);
    }
    if (ret == 0) {
        ret = run_both(&bench, worker, err);
    }
    clear(&bench);
    return ret == -EINTR && stopped ? 0 : ret;
}
