/* SPDX-License-Identifier: MIT */
/*
 * The classes that only bench-worker has: they read every word of what is
 * written to them.  sink reads it where it lies, in the guest's pool: for a sum
 * it does not matter when the guest changes it.  drain gets a private copy, as
 * a class does that has to look twice.  A WRITE with an argument is not read.
 * READ answers with a struct sink_report.
 *
 * --wrap=hcl_class_find in rules.mk adds them to the worker's own.
 */
#include <string.h>

#include "bench.h"
#include "class.h"
#include "count.h"
#include "sink.h"

static int sink_open(struct hcl_device *device, const struct hcl_spec *spec,
                     struct hcl_err *err)
{
    (void)device;
    (void)spec;
    (void)err;
    return 0;
}

static void sink_close(struct hcl_device *device)
{
    (void)device;
}

static uint16_t sink_handle_open(struct hcl_device *device,
                                 struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
    return HCLIF_STATUS_OK;
}

static void sink_handle_close(struct hcl_device *device,
                              struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
}

static void sink_submit(struct hcl_device *device, struct hcl_job *job)
{
    struct sink_report *report = hcl_device_state(device);
    uint32_t bytes = 0;

    if (job->opcode == HCLIF_OP_READ) {
        report->notifications = bench_count.notifications;
        report->copied = bench_count.copied;
        report->grants = bench_count.grants;
        bytes =
            sizeof(*report) < job->rx_bytes ? sizeof(*report) : job->rx_bytes;
        memcpy(job->rx, report, bytes);
    } else if (!job->argument) {
        report->sum += bench_add(job->tx, job->tx_bytes);
    }
    hcl_job_complete(job, HCLIF_STATUS_OK, bytes, 0);
}

static void sink_cancel(struct hcl_device *device, struct hcl_job *job)
{
    (void)device;
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const sink_keys[] = {NULL};

#define SINK_CLASS                                                             \
    .abi = HCL_CLASS_ABI, .opcodes = "3,4", .idempotent = "3",                 \
    .device_bytes = sizeof(struct sink_report), .keys = sink_keys,             \
    .open = sink_open, .close = sink_close, .handle_open = sink_handle_open,   \
    .handle_close = sink_handle_close, .submit = sink_submit,                  \
    .cancel = sink_cancel

static const struct hcl_class class_sink = {
    .name = "sink", .flags = HCL_CLASS_MOVES_BYTES, SINK_CLASS};
static const struct hcl_class class_drain = {.name = "drain", SINK_CLASS};

const struct hcl_class *__real_hcl_class_find(const char *name);
const struct hcl_class *__wrap_hcl_class_find(const char *name);

const struct hcl_class *__wrap_hcl_class_find(const char *name)
{
    if (strcmp(name, class_sink.name) == 0) {
        return &class_sink;
    }
    return strcmp(name, class_drain.name) == 0 ? &class_drain
                                               : __real_hcl_class_find(name);
}
