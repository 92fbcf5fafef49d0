/* SPDX-License-Identifier: MIT */
/*
 * guests.h: A8: this process plays several guests of one device, which is of
 * class delay and served by the product's hcl-worker, over local.h.
 */
#ifndef GUESTS_H
#define GUESTS_H

#include "bench_local.h"

#define GUESTS_MOST 64
#define GUESTS_MOST_QUEUED 64

struct guest {
    uint32_t weight;
    uint32_t queued; /* requests that it has outstanding, always */
    uint32_t bytes;  /* of each */
    uint64_t job_ns; /* that the device takes for one */
    uint64_t done;   /* requests, so far */
    /* The rest is of guests.c alone. */
    struct hcl_local local;
    struct hcl_device *device;
    struct hcl_handle *handle;
    uint8_t *pool;
    uint64_t submitted;
    uint64_t start_ns[GUESTS_MOST_QUEUED];
};

struct guests {
    struct hcl_bench_worker worker;
    uint32_t count;
    struct guest of[GUESTS_MOST];
    /* Told how long each request of the first guest took. */
    void (*took)(void *arg, uint64_t ns);
    void *arg;
};

/*
 * Connects all guests, whose weight, queued and bytes are set, to a device that
 * takes @job_us for a request and @kib_ns for each KiB of it.
 */
void guests_start(struct guests *guests, uint32_t job_us, uint32_t kib_ns);

/* Takes what is done, and queues as many again. */
void guests_turn(struct guests *guests);

void guests_stop(struct guests *guests);

#endif /* GUESTS_H */
