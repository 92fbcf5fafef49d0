/* SPDX-License-Identifier: MIT */
/*
 * echo: a device without hardware, for tests, benchmarks and as the shortest
 * example of a class.  Every job completes at once.
 */
#include <string.h>

#include "class.h"

static int echo_open(struct hcl_device *device, const struct hcl_spec *spec,
                     struct hcl_err *err)
{
    (void)device;
    (void)spec;
    (void)err;
    return 0;
}

static void echo_close(struct hcl_device *device)
{
    (void)device;
}

static uint16_t echo_handle_open(struct hcl_device *device,
                                 struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
    return HCLIF_STATUS_OK;
}

static void echo_handle_close(struct hcl_device *device,
                              struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
}

static void echo_submit(struct hcl_device *device, struct hcl_job *job)
{
    uint32_t bytes = 0;

    (void)device;
    switch (job->opcode) {
    case HCLIF_OP_EXCHANGE:
        bytes = job->tx_bytes < job->rx_bytes ? job->tx_bytes : job->rx_bytes;
        memcpy(job->rx, job->tx, bytes); /* moves, never looks */
        break;
    case HCLIF_OP_READ:
        bytes = job->rx_bytes;
        memset(job->rx, 0, bytes);
        break;
    default: /* WRITE: discarded */
        break;
    }
    hcl_job_complete(job, HCLIF_STATUS_OK, bytes, 0);
}

/* Never called: no job outlives echo_submit. */
static void echo_cancel(struct hcl_device *device, struct hcl_job *job)
{
    (void)device;
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const echo_keys[] = {NULL};

const struct hcl_class hcl_class_echo = {
    .abi = HCL_CLASS_ABI,
    .flags = HCL_CLASS_MOVES_BYTES,
    .name = "echo",
    .opcodes = "3,4,5",
    .idempotent = "3,4,5",
    .keys = echo_keys,
    .open = echo_open,
    .close = echo_close,
    .handle_open = echo_handle_open,
    .handle_close = echo_handle_close,
    .submit = echo_submit,
    .cancel = echo_cancel,
};
