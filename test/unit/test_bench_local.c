/* SPDX-License-Identifier: MIT */
/*
 * hcl-bench --local: libhcl in this process and a real hcl-worker in another,
 * over local.h; and what hcl-bench measures of that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static char worker[4096]; /* path of hcl-worker */
static struct hcl_bench_local local;
static struct hcl_device *device;
static struct hcl_histogram latency;
static struct hcl_bench_result result;
static struct hcl_err err;
static unsigned int fds_before;

static unsigned int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned int count = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static int start(const char *item, const struct hcl_open_options *wishes)
{
    struct hcl_open_options memory = HCL_OPEN_DEFAULTS;

    return hcl_bench_local_start(
        &local, worker, item, wishes ? wishes : &memory, 20000, &device, &err);
}

static void start_echo(const struct hcl_open_options *wishes)
{
    if (start(NULL, wishes) < 0) {
        fail_msg("%s", err.text);
    }
}

static int setup(void **state)
{
    (void)state;
    fds_before = open_fds();
    device = NULL;
    memset(&err, 0, sizeof(err));
    result.latency = &latency;
    return 0;
}

/* Nothing is left, whatever the test has done. */
static int teardown(void **state)
{
    (void)state;
    hcl_close(device);
    hcl_bench_local_stop(&local);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(open_fds(), fds_before);
    return 0;
}

static struct hcl_handle *open_handle(void)
{
    struct hcl_handle *handle;

    if (hcl_handle_open(device, 20000, &handle, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return handle;
}

/* ---- The connection ---------------------------------------------------- */

static void test_requests_of_all_sizes_are_answered(void **state)
{
    static const uint32_t sizes[] = {0, 1, 28, 29, 48, 49, 4096, 4097, 65536};
    static uint8_t sent[65536], got[65536];
    struct hcl_handle *handle;
    struct hcl_status status;

    (void)state;
    start_echo(NULL);
    hcl_status(device, &status);
    assert_string_equal(status.name, "local");
    assert_string_equal(status.class_name, "echo");
    assert_true(status.connected);
    handle = open_handle();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(sent, (int)(i + 1), sizes[i]);
        memset(got, 0, sizeof(got));
        assert_int_equal(
            hcl_exchange(handle, sent, sizes[i], got, sizes[i], 20000, &err),
            sizes[i]);
        assert_memory_equal(sent, got, sizes[i]);
    }
}

static void test_another_device_is_served_as_well(void **state)
{
    struct hcl_status status;
    uint8_t bytes[64] = {0};

    (void)state;
    if (start("name=dice,class=rng,path=/dev/urandom", NULL) < 0) {
        fail_msg("%s", err.text);
    }
    hcl_status(device, &status);
    assert_string_equal(status.name, "dice");
    assert_string_equal(status.class_name, "rng");
    assert_true(hcl_read(open_handle(), bytes, 64, 20000, &err) > 0);
}

static void test_a_device_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    assert_true(start("name=a,class=anvil", NULL) < 0);
    assert_non_null(strstr(err.text, "class=anvil"));
}

static void test_memory_beyond_the_protocol_is_refused(void **state)
{
    struct hcl_open_options large = {.tx_pool_bytes = 16 << 20,
                                     .rx_pool_bytes = 16 << 20};

    (void)state;
    assert_int_equal(start(NULL, &large), -EINVAL);
    assert_non_null(strstr(err.text, "make --size or --depth smaller"));
}

static void test_a_worker_that_is_not_there_is_named(void **state)
{
    struct hcl_open_options memory = HCL_OPEN_DEFAULTS;

    (void)state;
    assert_int_equal(hcl_bench_local_start(&local, "/nothing/here", NULL,
                                           &memory, 20000, &device, &err),
                     -ENOENT);
    assert_non_null(strstr(err.text, "/nothing/here"));
}

/* A call that waits for ever hears of it, and all later ones. */
static void test_the_workers_death_ends_the_connection(void **state)
{
    struct hcl_handle *handle;
    uint8_t byte;

    (void)state;
    start_echo(NULL);
    handle = open_handle();
    kill(local.worker.pid, SIGKILL);
    assert_int_equal(hcl_read(handle, &byte, 1, -1, &err), -ECONNRESET);
    assert_non_null(strstr(err.text, "has ended"));
    assert_int_equal(hcl_write(handle, &byte, 1, -1, &err), -ECONNRESET);
    assert_int_equal(hcl_process(device, &err), -ECONNRESET);
}

/* ---- Measuring --------------------------------------------------------- */

static struct hcl_bench_run exchanges(enum hcl_bench_mode mode, uint32_t bytes,
                                      uint32_t depth)
{
    return (struct hcl_bench_run){.mode = mode,
                                  .opcode = HCL_EXCHANGE,
                                  .check = true,
                                  .bytes = bytes,
                                  .depth = depth,
                                  .handles = 1,
                                  .count = 1000,
                                  .warmup = 10};
}

/* Each request of the run, and none of the warm-up, is counted everywhere. */
static void assert_counts_add_up(const struct hcl_bench_run *run)
{
    bool tx = run->opcode != HCL_READ, rx = run->opcode != HCL_WRITE;
    uint64_t bytes = run->count * run->bytes;

    assert_int_equal(latency.count, run->count);
    assert_int_equal(result.failed, 0);
    assert_int_equal(result.mismatched, 0);
    assert_int_equal(result.checked, tx && rx ? run->count : 0);
    assert_int_equal(result.tx_bytes, tx ? bytes : 0);
    assert_int_equal(result.rx_bytes, rx ? bytes : 0);
    assert_int_equal(result.counters.requests, run->count);
    assert_int_equal(result.counters.completions, run->count);
    assert_int_equal(result.counters.copied_bytes,
                     run->copy ? (tx ? bytes : 0) + (rx ? bytes : 0) : 0);
    assert_int_equal(result.counters.grant_operations, 0);
    assert_int_equal(result.counters.reconnects, 0);
    assert_true(result.counters.events_out <= run->count + run->depth);
    assert_true(result.elapsed_us > 0);
    assert_true(result.has_worker);
    assert_true(latency.minimum > 0);
    /* One after the other they do not take longer than all of it. */
    if (run->depth == 1) {
        assert_true(latency.sum / 1000 <= result.elapsed_us);
    }
}

static void measure(const struct hcl_bench_run *run)
{
    if (hcl_bench_measure(device, local.worker.pid, run, &result, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_counts_add_up(run);
}

static void test_every_mode_counts_what_it_does(void **state)
{
    static const uint8_t opcodes[] = {HCL_READ, HCL_WRITE, HCL_EXCHANGE};
    struct hcl_bench_run run;

    (void)state;
    start_echo(NULL);
    for (int mode = 0; mode < HCL_BENCH_MODES; mode++) {
        for (int copy = 0; copy < 2; copy++) {
            for (size_t i = 0; i < sizeof(opcodes); i++) {
                run = exchanges((enum hcl_bench_mode)mode, 1000,
                                mode == HCL_BENCH_LATENCY ? 1 : 16);
                run.copy = copy;
                run.opcode = opcodes[i];
                measure(&run);
            }
        }
    }
}

static void test_small_and_odd_payloads_are_checked_too(void **state)
{
    static const uint32_t sizes[] = {0, 1, 7, 27, 49};
    struct hcl_bench_run run;

    (void)state;
    start_echo(NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        run = exchanges(HCL_BENCH_DEPTH, sizes[i], 8);
        run.copy = true;
        measure(&run);
    }
}

static void test_handles_take_turns(void **state)
{
    struct hcl_bench_run run = exchanges(HCL_BENCH_DEPTH, 64, 8);

    (void)state;
    start_echo(NULL);
    run.handles = 40;
    measure(&run);
}

static void test_thinking_is_no_part_of_the_latency(void **state)
{
    struct hcl_bench_run run = exchanges(HCL_BENCH_LATENCY, 64, 1);

    (void)state;
    start_echo(NULL);
    run.count = 20;
    run.think_us = 2000;
    measure(&run);
    assert_true(result.elapsed_us >= 40000);
    assert_true(latency.sum / 1000 <= result.elapsed_us - 40000);
    run.think_us = 500; /* computing */
    measure(&run);
    assert_true(result.elapsed_us >= 10000);
}

static void test_a_time_limit_ends_it_and_the_depth_is_kept(void **state)
{
    struct hcl_bench_run run = exchanges(HCL_BENCH_RATE, 64, 32);

    (void)state;
    start_echo(NULL);
    run.count = 0;
    run.duration_us = 20000;
    assert_int_equal(
        hcl_bench_measure(device, local.worker.pid, &run, &result, &err), 0);
    assert_true(result.elapsed_us >= 20000);
    assert_true(latency.count >= 32);
    assert_int_equal(result.counters.requests, latency.count);
}

static void test_pools_that_are_too_small_are_said_to_be(void **state)
{
    struct hcl_bench_run run = exchanges(HCL_BENCH_DEPTH, 65536, 2);

    (void)state;
    start_echo(NULL);
    assert_int_equal(
        hcl_bench_measure(device, local.worker.pid, &run, &result, &err),
        -ENOBUFS);
    assert_non_null(strstr(err.text, "pools of 65536 and 65536 bytes"));
    assert_non_null(strstr(err.text, "--depth smaller"));
    /* It leaves the pools as they were. */
    run = exchanges(HCL_BENCH_DEPTH, 32768, 2);
    measure(&run);
}

static void test_what_the_device_cannot_do_is_told(void **state)
{
    struct hcl_bench_run run = exchanges(HCL_BENCH_LATENCY, 64, 1);

    (void)state;
    if (start("name=dice,class=rng,path=/dev/urandom", NULL) < 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(
        hcl_bench_measure(device, local.worker.pid, &run, &result, &err),
        -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "cannot exchange"));
    run.mode = HCL_BENCH_DEPTH;
    run.depth = 4;
    assert_int_equal(
        hcl_bench_measure(device, local.worker.pid, &run, &result, &err),
        -EOPNOTSUPP);
}

static void test_the_workers_death_ends_a_run(void **state)
{
    struct hcl_bench_run run = exchanges(HCL_BENCH_LATENCY, 64, 1);

    (void)state;
    start_echo(NULL);
    measure(&run);
    kill(local.worker.pid, SIGKILL);
    assert_int_equal(hcl_bench_measure(device, 0, &run, &result, &err),
                     -ECONNRESET);
}

/* ---- Signals; each in a process of its own ------------------------------ */

static struct hcl_bench_run endless(enum hcl_bench_mode mode)
{
    struct hcl_bench_run run =
        exchanges(mode, 64, mode == HCL_BENCH_LATENCY ? 1 : 4);

    run.count = 0;
    return run;
}

/* Never returns.  0: what was to happen did. */
static void in_child(int (*fn)(enum hcl_bench_mode mode),
                     enum hcl_bench_mode mode)
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        status = start(NULL, NULL) < 0 ? 99 : fn(mode);
        hcl_close(device);
        hcl_bench_local_stop(&local);
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The worker, stopped, answers nothing. */
static int stall(enum hcl_bench_mode mode)
{
    struct hcl_bench_run run = endless(mode);

    kill(local.worker.pid, SIGSTOP);
    if (hcl_bench_watch(100, &err) < 0) {
        return 1;
    }
    run.warmup = 0;
    if (hcl_bench_measure(device, local.worker.pid, &run, &result, &err) !=
        -ETIMEDOUT) {
        return 2;
    }
    hcl_bench_unwatch();
    kill(local.worker.pid, SIGKILL);
    return 0;
}

static void test_a_worker_that_hangs_ends_a_run(void **state)
{
    (void)state;
    in_child(stall, HCL_BENCH_LATENCY);
    in_child(stall, HCL_BENCH_DEPTH);
}

/* Some time after the run has begun. */
static int interrupt(enum hcl_bench_mode mode)
{
    struct itimerspec after = {.it_value = {.tv_nsec = 50000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGINT};
    struct hcl_bench_run run = endless(mode);
    timer_t timer;

    if (hcl_bench_watch(20000, &err) < 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
        timer_settime(timer, 0, &after, NULL) < 0) {
        return 1;
    }
    if (hcl_bench_measure(device, local.worker.pid, &run, &result, &err) != 0) {
        return 2;
    }
    hcl_bench_unwatch();
    if (hcl_bench_signal() != SIGINT) {
        return 3;
    }
    return result.counters.requests == result.counters.completions ? 0 : 4;
}

static void test_an_interrupt_ends_a_run_in_order(void **state)
{
    (void)state;
    in_child(interrupt, HCL_BENCH_LATENCY);
    in_child(interrupt, HCL_BENCH_DEPTH);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(test_requests_of_all_sizes_are_answered),
        T(test_another_device_is_served_as_well),
        T(test_a_device_that_cannot_be_opened_says_why),
        T(test_memory_beyond_the_protocol_is_refused),
        T(test_a_worker_that_is_not_there_is_named),
        T(test_the_workers_death_ends_the_connection),
        T(test_every_mode_counts_what_it_does),
        T(test_small_and_odd_payloads_are_checked_too),
        T(test_handles_take_turns),
        T(test_thinking_is_no_part_of_the_latency),
        T(test_a_time_limit_ends_it_and_the_depth_is_kept),
        T(test_pools_that_are_too_small_are_said_to_be),
        T(test_what_the_device_cannot_do_is_told),
        T(test_the_workers_death_ends_a_run),
        T(test_a_worker_that_hangs_ends_a_run),
        T(test_an_interrupt_ends_a_run_in_order),
    };
    char *slash = strrchr(argv[0], '/');

    (void)argc;
    /* As the build has it: test/test_bench_local, bin/hcl-worker. */
    snprintf(worker, sizeof(worker), "%.*s/../bin/hcl-worker",
             slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
