/* SPDX-License-Identifier: MIT */
#include "guests.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "loop.h"

#define TIMEOUT_MS 10000
#define POOL_BYTES (4u << 20)

/* ---- Start and end ----------------------------------------------------- */

static void start_worker(struct guests *guests, uint32_t job_us,
                         uint32_t kib_ns)
{
    const char *build = getenv("HCL_BUILD");
    char path[4096], item[128];
    struct hcl_err err = {0};

    snprintf(path, sizeof(path), "%s/bin/hcl-worker", build ? build : "build");
    snprintf(item, sizeof(item), "name=fair,class=delay,job-us=%u,kib-ns=%u",
             job_us, kib_ns);
    if (hcl_bench_worker_start(&guests->worker, path, item, TIMEOUT_MS, &err) <
        0) {
        bench_die("A8: %s", err.text);
    }
    bench_pin(guests->worker.pid, BENCH_SERVER_CORE);
}

static void connect_guest(struct hcl_bench_worker *worker, struct guest *guest)
{
    const struct hcl_share share = {.weight = guest->weight};
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_err err = {0};

    options.ring_page_order = 1; /* some slots are not for requests */
    options.tx_pool_bytes = guest->bytes > 4096 ? POOL_BYTES : 4096;
    options.rx_pool_bytes = 4096;
    if (hcl_bench_worker_open(worker, &share, &options, &guest->local,
                              &guest->device, &err) < 0 ||
        hcl_handle_open(guest->device, TIMEOUT_MS, &guest->handle, &err) < 0) {
        bench_die("A8: %s", err.text);
    }
    guest->pool =
        hcl_buffer_alloc(guest->device, options.tx_pool_bytes, HCL_TX);
    if (!guest->pool) {
        bench_die("A8: no pool memory");
    }
}

void guests_start(struct guests *guests, uint32_t job_us, uint32_t kib_ns)
{
    start_worker(guests, job_us, kib_ns);
    for (uint32_t i = 0; i < guests->count; i++) {
        struct guest *guest = &guests->of[i];

        guest->job_ns =
            job_us * UINT64_C(1000) + ((uint64_t)guest->bytes * kib_ns >> 10);
        connect_guest(&guests->worker, guest);
    }
}

void guests_stop(struct guests *guests)
{
    for (uint32_t i = 0; i < guests->count; i++) {
        hcl_close(guests->of[i].device);
        hcl_local_close(&guests->of[i].local);
    }
    hcl_bench_worker_stop(&guests->worker);
}

/* ---- Requests ---------------------------------------------------------- */

/* The device never looks at the bytes: requests may share them. */
static void submit(struct guest *guest, uint64_t now_ns)
{
    uint32_t slot = guest->submitted % GUESTS_MOST_QUEUED;
    uint32_t places = guest->bytes > 4096 ? POOL_BYTES / guest->bytes : 1;
    const struct hcl_io io = {
        .opcode = HCL_WRITE,
        .tx = guest->pool + (size_t)(slot % places) * guest->bytes,
        .tx_bytes = guest->bytes,
    };

    if (hcl_submit(guest->handle, &io, NULL) < 0) {
        bench_die("A8: a guest cannot submit");
    }
    guest->start_ns[slot] = now_ns;
    guest->submitted++;
}

/* A guest's requests complete in order: there is one device and one queue. */
static void complete(struct guests *guests, struct guest *guest,
                     uint64_t now_ns)
{
    uint32_t slot = guest->done % GUESTS_MOST_QUEUED;

    guest->done++;
    if (guest == &guests->of[0] && guests->took) {
        guests->took(guests->arg, now_ns - guest->start_ns[slot]);
    }
}

void guests_turn(struct guests *guests)
{
    struct hcl_result results[GUESTS_MOST_QUEUED];

    for (uint32_t i = 0; i < guests->count; i++) {
        struct guest *guest = &guests->of[i];
        int count = hcl_reap(guest->device, results, GUESTS_MOST_QUEUED);
        uint64_t now_ns = hcl_now_ns();

        if (count < 0) {
            bench_die("A8: a connection has ended");
        }
        for (int j = 0; j < count; j++) {
            if (results[j].error) {
                bench_die("A8: a request has failed");
            }
            complete(guests, guest, now_ns);
        }
        while (guest->submitted - guest->done < guest->queued) {
            submit(guest, now_ns);
        }
    }
}
