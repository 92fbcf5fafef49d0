/* SPDX-License-Identifier: MIT */
#include "pairs.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hcl.h>
#include <libxenvchan.h>

#include "loop.h"
#include "rows.h"

#define CONNECT_MS 10000

/* HCL's turn, then vchan's, and so on, each so long. */
#define TURN_MS 500

/* Trips of a client in one turn that are kept. */
#define MOST_TRIPS 500000

enum phase {
    PHASE_REST,
    PHASE_HCL,
    PHASE_VCHAN,
    PHASE_END,
};

struct client {
    uint32_t count;
    uint32_t ns[MOST_TRIPS];
};

/* Shared with the clients. */
struct pairs {
    uint32_t phase;
    uint32_t resting;
    struct client clients[BENCH_PAIRS];
};

/* One end of a client. */
struct ends {
    struct hcl_device *device;
    struct hcl_handle *handle;
    uint8_t *tx, *rx; /* in the pools */
    struct libxenvchan *vchan;
};

static struct pairs *pairs;
static pid_t pids[BENCH_PAIRS];

static void wake_and_sleep(uint32_t *word, int op, uint32_t value)
{
    syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* ---- A client ---------------------------------------------------------- */

static void connect_ends(struct ends *ends, int server_domid, int index)
{
    char name[16], path[64];
    struct hcl_err err;

    snprintf(name, sizeof(name), "echo%d", index + 1);
    snprintf(path, sizeof(path), "/local/domain/%d/data/bench/pair%d",
             server_domid, index);
    if (hcl_open(name, NULL, CONNECT_MS, &ends->device, &err) < 0 ||
        hcl_handle_open(ends->device, CONNECT_MS, &ends->handle, &err) < 0) {
        bench_die("%s: %s", name, err.text);
    }
    ends->tx = hcl_buffer_alloc(ends->device, BENCH_TRIP_BYTES, HCL_TX);
    ends->rx = hcl_buffer_alloc(ends->device, BENCH_TRIP_BYTES, HCL_RX);
    ends->vchan = libxenvchan_client_init(NULL, server_domid, path);
    if (!ends->tx || !ends->rx || !ends->vchan) {
        bench_die("%s: %s", path, strerror(errno));
    }
    ends->vchan->blocking = 1;
}

static void hcl_trip(const struct ends *ends, uint64_t seed)
{
    uint64_t sum = bench_fill(ends->tx, BENCH_TRIP_BYTES, seed);
    struct hcl_io io = {
        .opcode = HCL_EXCHANGE,
        .tx = ends->tx,
        .tx_bytes = BENCH_TRIP_BYTES,
        .rx = ends->rx,
        .rx_bytes = BENCH_TRIP_BYTES,
    };

    if (hcl_call(ends->handle, &io, -1, NULL, NULL) < 0 ||
        bench_add(ends->rx, BENCH_TRIP_BYTES) != sum) {
        bench_die("pairs: hcl: a wrong answer");
    }
}

static void vchan_trip(const struct ends *ends, uint64_t seed)
{
    uint8_t message[BENCH_TRIP_BYTES] __attribute__((aligned(64)));
    uint64_t sum = bench_fill(message, sizeof(message), seed);

    if (libxenvchan_send(ends->vchan, message, sizeof(message)) < 0 ||
        libxenvchan_recv(ends->vchan, message, sizeof(message)) < 0 ||
        bench_add(message, sizeof(message)) != sum) {
        bench_die("pairs: vchan: a wrong answer");
    }
}

static void run_phase(const struct ends *ends, struct client *client,
                      uint32_t phase)
{
    uint64_t before = hcl_now_ns(), after;

    for (uint64_t i = 0;
         __atomic_load_n(&pairs->phase, __ATOMIC_RELAXED) == phase; i++) {
        if (phase == PHASE_HCL) {
            hcl_trip(ends, i);
        } else {
            vchan_trip(ends, i);
        }
        after = hcl_now_ns();
        if (client->count < MOST_TRIPS) {
            client->ns[client->count++] = (uint32_t)(after - before);
        }
        before = after;
    }
}

__attribute__((noreturn)) static void run_client(int server_domid, int index)
{
    struct ends ends = {0};
    uint32_t phase;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    connect_ends(&ends, server_domid, index);
    do {
        __atomic_fetch_add(&pairs->resting, 1, __ATOMIC_SEQ_CST);
        wake_and_sleep(&pairs->resting, FUTEX_WAKE, 1);
        while ((phase = __atomic_load_n(&pairs->phase, __ATOMIC_SEQ_CST)) ==
               PHASE_REST) {
            wake_and_sleep(&pairs->phase, FUTEX_WAIT, PHASE_REST);
        }
        if (phase != PHASE_END) {
            run_phase(&ends, &pairs->clients[index], phase);
        }
    } while (phase != PHASE_END);
    libxenvchan_close(ends.vchan);
    hcl_close(ends.device);
    exit(0);
}

/* ---- All of them ------------------------------------------------------- */

void bench_pairs_start(int server_domid)
{
    pairs = mmap(NULL, sizeof(*pairs), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pairs == MAP_FAILED) {
        bench_die("no memory for the pairs");
    }
    for (int i = 0; i < BENCH_PAIRS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            run_client(server_domid, i);
        }
        if (pids[i] < 0) {
            bench_die("fork: %s", strerror(errno));
        }
    }
}

/* Until no client has a trip under way. */
static void wait_for_rest(void)
{
    uint32_t resting;

    while ((resting = __atomic_load_n(&pairs->resting, __ATOMIC_SEQ_CST)) <
           BENCH_PAIRS) {
        /* One that has failed never rests. */
        if (waitpid(-1, NULL, WNOHANG) > 0) {
            bench_die("pairs: a client has ended");
        }
        wake_and_sleep(&pairs->resting, FUTEX_WAIT, resting);
    }
}

static void set_phase(enum phase phase)
{
    __atomic_store_n(&pairs->phase, phase, __ATOMIC_SEQ_CST);
    wake_and_sleep(&pairs->phase, FUTEX_WAKE, BENCH_PAIRS);
}

static void turn(enum phase phase, struct bench_values *medians,
                 struct bench_values *tails)
{
    const struct timespec time = {.tv_nsec = TURN_MS * 1000000L};
    struct bench_values all = {0};

    wait_for_rest();
    pairs->resting = 0;
    for (int i = 0; i < BENCH_PAIRS; i++) {
        pairs->clients[i].count = 0;
    }
    set_phase(phase);
    nanosleep(&time, NULL);
    set_phase(PHASE_REST);
    wait_for_rest();
    for (int i = 0; i < BENCH_PAIRS; i++) {
        for (uint32_t j = 0; j < pairs->clients[i].count; j++) {
            bench_values_add(&all, pairs->clients[i].ns[j]);
        }
    }
    bench_values_add(medians, bench_values_at(&all, 0.5));
    bench_values_add(tails, bench_values_at(&all, 0.999));
    bench_values_clear(&all);
}

static void report(const char *title, struct bench_values *peers)
{
    struct bench_result result = {
        .id = "A10",
        .title = title,
        .unit = BENCH_UNIT_NS,
        .placement = BENCH_ANY,
        .limit = bench_values_at(&peers[BENCH_VCHAN_BLOCKING], 0.5),
        .hcl = &peers[BENCH_HCL],
        .peers = peers,
    };

    bench_report(&result);
    bench_values_clear(&peers[BENCH_HCL]);
    bench_values_clear(&peers[BENCH_VCHAN_BLOCKING]);
}

void bench_pairs_measure(double seconds)
{
    struct bench_values medians[BENCH_NUM_TRANSPORTS] = {0};
    struct bench_values tails[BENCH_NUM_TRANSPORTS] = {0};
    uint64_t end = hcl_now_ns() + (uint64_t)(seconds * 1e9);

    do {
        turn(PHASE_HCL, &medians[BENCH_HCL], &tails[BENCH_HCL]);
        turn(PHASE_VCHAN, &medians[BENCH_VCHAN_BLOCKING],
             &tails[BENCH_VCHAN_BLOCKING]);
    } while (hcl_now_ns() < end);
    report("64 B round trip, median, 4 pairs of processes on 2 cores", medians);
    report("64 B round trip, p99.9, 4 pairs of processes on 2 cores", tails);
}

void bench_pairs_end(void)
{
    set_phase(PHASE_END);
    for (int i = 0; i < BENCH_PAIRS; i++) {
        waitpid(pids[i], NULL, 0);
    }
}
