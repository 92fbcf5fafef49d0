/* SPDX-License-Identifier: MIT */
/*
 * delay: a device without hardware that takes its time as hardware does, for
 * tests and benchmarks.  Keys in hcl.conf: job-us and kib-ns (what a request
 * takes, and each KiB of its payload and answer), units (how many requests the
 * device works at, at the same time), depth (how many it takes at a time; what
 * it does not work at yet waits within, in order).
 *
 * READ answers zeros, WRITE discards, EXCHANGE answers its payload, cut.  It
 * sends no events: poll finds what is done.
 */
#include <string.h>

#include "class.h"

#define MAX_DEPTH 64

struct delay {
    uint32_t units;
    uint64_t job_ns;
    uint64_t kib_ns;
    uint32_t num_running;
    struct hcl_job *running[MAX_DEPTH];
    uint32_t num_behind;
    struct hcl_job *behind[MAX_DEPTH]; /* oldest first */
};

struct delay_job {
    uint64_t came_ns;
    uint64_t due_ns; /* of one that runs */
};

static int delay_open(struct hcl_device *device, const struct hcl_spec *spec,
                      struct hcl_err *err)
{
    struct hcl_service *service = hcl_device_service(device);
    struct delay *delay = hcl_device_state(device);
    uint32_t job_us, kib_ns;
    int rc;

    rc = hcl_spec_get_u32(spec, "job-us", 0, 10000000, 10, &job_us, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_spec_get_u32(spec, "kib-ns", 0, 1000000000, 0, &kib_ns, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_spec_get_u32(spec, "units", 1, MAX_DEPTH, 1, &delay->units, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_spec_get_u32(spec, "depth", delay->units, MAX_DEPTH,
                          delay->units < MAX_DEPTH ? delay->units + 1
                                                   : MAX_DEPTH,
                          &service->depth, err);
    if (rc < 0) {
        return rc;
    }
    delay->job_ns = job_us * UINT64_C(1000);
    delay->kib_ns = kib_ns;
    service->units = delay->units;
    service->job_ns = delay->job_ns;
    service->kib_ns = delay->kib_ns;
    return 0;
}

static void delay_close(struct hcl_device *device)
{
    (void)device;
}

static uint16_t delay_handle_open(struct hcl_device *device,
                                  struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
    return HCLIF_STATUS_OK;
}

static void delay_handle_close(struct hcl_device *device,
                               struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
}

/* The device begins with a job, at the earliest when it came. */
static void run(struct delay *delay, struct hcl_job *job, uint64_t now_ns)
{
    uint64_t bytes = (uint64_t)job->tx_bytes + job->rx_bytes;
    struct delay_job *state = job->state;

    state->due_ns = now_ns > state->came_ns ? now_ns : state->came_ns;
    state->due_ns += delay->job_ns + (bytes * delay->kib_ns >> 10);
    delay->running[delay->num_running++] = job;
}

/* Takes one out of those that wait; the others keep their order. */
static struct hcl_job *take_behind(struct delay *delay, uint32_t index)
{
    struct hcl_job *job = delay->behind[index];

    delay->num_behind--;
    for (; index < delay->num_behind; index++) {
        delay->behind[index] = delay->behind[index + 1];
    }
    return job;
}

/* A place is free: takes @index out, and begins with the one that waits. */
static void run_next(struct delay *delay, uint32_t index, uint64_t now_ns)
{
    delay->running[index] = delay->running[--delay->num_running];
    if (delay->num_behind > 0) {
        run(delay, take_behind(delay, 0), now_ns);
    }
}

static void delay_submit(struct hcl_device *device, struct hcl_job *job)
{
    struct delay *delay = hcl_device_state(device);
    struct delay_job *state = job->state;

    state->came_ns = hcl_now_ns();
    if (delay->num_running < delay->units) {
        run(delay, job, 0);
    } else {
        delay->behind[delay->num_behind++] = job;
    }
}

static void finish(struct hcl_job *job)
{
    uint32_t bytes = 0;

    if (job->opcode == HCLIF_OP_EXCHANGE) {
        bytes = job->tx_bytes < job->rx_bytes ? job->tx_bytes : job->rx_bytes;
        memcpy(job->rx, job->tx, bytes); /* moves, never looks */
    } else if (job->opcode == HCLIF_OP_READ) {
        bytes = job->rx_bytes;
        memset(job->rx, 0, bytes);
    }
    hcl_job_complete(job, HCLIF_STATUS_OK, bytes, 0);
}

static uint64_t due_ns(const struct hcl_job *job)
{
    return ((const struct delay_job *)job->state)->due_ns;
}

/* Of those that run, the one that ends first. */
static uint32_t find_first(const struct delay *delay)
{
    uint32_t first = 0;

    for (uint32_t i = 1; i < delay->num_running; i++) {
        if (due_ns(delay->running[i]) < due_ns(delay->running[first])) {
            first = i;
        }
    }
    return first;
}

/* However late we look: the next one began when the one before it ended. */
static uint64_t delay_poll(struct hcl_device *device, uint64_t now_ns)
{
    struct delay *delay = hcl_device_state(device);

    while (delay->num_running > 0) {
        uint32_t first = find_first(delay);
        struct hcl_job *job = delay->running[first];

        if (due_ns(job) > now_ns) {
            return due_ns(job);
        }
        run_next(delay, first, due_ns(job));
        finish(job);
    }
    return HCL_POLL_NEVER;
}

/* Index of a job, or @count. */
static uint32_t find(struct hcl_job *const *jobs, uint32_t count,
                     const struct hcl_job *job)
{
    uint32_t i = 0;

    while (i < count && jobs[i] != job) {
        i++;
    }
    return i;
}

static void delay_cancel(struct hcl_device *device, struct hcl_job *job)
{
    struct delay *delay = hcl_device_state(device);
    uint32_t index = find(delay->running, delay->num_running, job);

    if (index < delay->num_running) {
        run_next(delay, index, hcl_now_ns());
    } else {
        take_behind(delay, find(delay->behind, delay->num_behind, job));
    }
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const delay_keys[] = {
    "job-us", "kib-ns", "units", "depth", NULL,
};

const struct hcl_class hcl_class_delay = {
    .abi = HCL_CLASS_ABI,
    .flags = HCL_CLASS_MOVES_BYTES,
    .name = "delay",
    .opcodes = "3,4,5",
    .idempotent = "3,4,5",
    .device_bytes = sizeof(struct delay),
    .job_bytes = sizeof(struct delay_job),
    .keys = delay_keys,
    .service = {.measured = true},
    .open = delay_open,
    .close = delay_close,
    .handle_open = delay_handle_open,
    .handle_close = delay_handle_close,
    .submit = delay_submit,
    .cancel = delay_cancel,
    .poll = delay_poll,
};
