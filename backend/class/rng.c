/* SPDX-License-Identifier: MIT */
/*
 * rng: random bytes of a hardware generator, each handed out once.  Key in
 * hcl.conf: path (default /dev/hwrng).
 *
 * The generator's driver may let a reader sleep in the kernel for long, so a
 * helper process reads it.  Jobs come one at a time, and wait for their bytes.
 * A regular file will do too: at its end the device has ended, and reads answer
 * 0 bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "class.h"
#include "helper.h"

struct rng {
    struct hcl_helper helper;
    struct hcl_source *source; /* NULL: the pipe has no writer any more */
    bool waits;                /* for EPOLLIN */
    struct hcl_job *job;       /* that waits for bytes, or NULL */
    bool finite;               /* a regular file, which may end */
    bool ended;
    struct hcl_err failure; /* code 0: none */
};

/* Ends a job when there will be no more bytes. */
static void rng_answer_end(struct rng *rng, struct hcl_job *job)
{
    if (rng->failure.code) {
        hcl_job_fail(job, HCLIF_STATUS_IO, rng->failure.text);
    } else {
        hcl_job_complete(job, HCLIF_STATUS_OK, 0, 0);
    }
}

/* The pipe has ended: @reason is 0 or the device's negative errno. */
static void rng_end(struct hcl_device *device, int reason)
{
    struct rng *rng = hcl_device_state(device);
    struct hcl_job *job = rng->job;

    hcl_source_free(rng->source);
    rng->source = NULL;
    if (reason == -ECHILD) {
        hcl_err_set(&rng->failure, reason, "its helper process was killed");
        hcl_device_failed(device, &rng->failure);
        return;
    }
    rng->ended = true;
    if (reason < 0) {
        hcl_err_sys(&rng->failure, reason, "cannot read random bytes");
    } else if (!rng->finite) {
        hcl_err_set(&rng->failure, -EIO, "the generator gave no more bytes");
    }
    rng->job = NULL;
    if (job) {
        rng_answer_end(rng, job);
    }
    if (rng->failure.code) {
        hcl_device_failed(device, &rng->failure);
    }
}

static void rng_wait(struct rng *rng, bool waits)
{
    if (rng->source && rng->waits != waits) {
        rng->waits = waits;
        hcl_source_events(rng->source, waits ? EPOLLIN : 0);
    }
}

/* Answers the job with the bytes that are there, if any. */
static void rng_serve(struct hcl_device *device)
{
    struct rng *rng = hcl_device_state(device);
    struct hcl_job *job = rng->job;
    ssize_t got;

    if (rng->failure.code == -ECHILD) {
        return; /* the worker ends; the next one gets this job again */
    }
    got = hcl_helper_read(&rng->helper, job->rx, job->rx_bytes);
    if (got == -EAGAIN) {
        rng_wait(rng, true);
    } else if (got <= 0) {
        rng_end(device, (int)got);
    } else {
        rng->job = NULL;
        hcl_job_complete(job, HCLIF_STATUS_OK, (uint32_t)got, 0);
    }
}

static void rng_ready(void *arg, uint32_t events)
{
    struct hcl_device *device = arg;
    struct rng *rng = hcl_device_state(device);

    if (events & (EPOLLHUP | EPOLLERR)) {
        int reason = hcl_helper_end(&rng->helper);

        if (reason < 0 || !rng->finite) {
            rng_end(device, reason);
            return;
        }
        /* What is left of the file can be read without waiting. */
        hcl_source_free(rng->source);
        rng->source = NULL;
    }
    if (rng->job) {
        rng_serve(device);
    } else {
        rng_wait(rng, false);
    }
}

static int rng_open(struct hcl_device *device, const struct hcl_spec *spec,
                    struct hcl_err *err)
{
    struct rng *rng = hcl_device_state(device);
    const char *path = hcl_spec_get(spec, "path");
    struct stat status;
    int file, rc;

    rng->helper.fd = -1;
    path = path ? path : "/dev/hwrng";
    /* Not to hang on a FIFO; the helper, though, shall wait for bytes. */
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return hcl_err_sys(err, errno == EINVAL ? -EIO : -errno,
                           "cannot open %s", path);
    }
    fcntl(file, F_SETFL, 0);
    rng->finite = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    rc = hcl_helper_start(&rng->helper, file, err);
    close(file);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_source_new(&rng->source, hcl_device_loop(device), rng->helper.fd,
                        0, rng_ready, device, err);
    if (rc < 0) {
        hcl_helper_stop(&rng->helper);
    }
    return rc;
}

static void rng_close(struct hcl_device *device)
{
    struct rng *rng = hcl_device_state(device);

    hcl_source_free(rng->source);
    hcl_helper_stop(&rng->helper);
}

static uint16_t rng_handle_open(struct hcl_device *device,
                                struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
    return HCLIF_STATUS_OK;
}

static void rng_handle_close(struct hcl_device *device,
                             struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
}

static void rng_submit(struct hcl_device *device, struct hcl_job *job)
{
    struct rng *rng = hcl_device_state(device);

    if (job->rx_bytes == 0) {
        hcl_job_complete(job, HCLIF_STATUS_INVALID, 0, 0);
    } else if (rng->ended) {
        rng_answer_end(rng, job);
    } else {
        rng->job = job;
        rng_serve(device);
    }
}

/* No bytes have been taken for a job that waits. */
static void rng_cancel(struct hcl_device *device, struct hcl_job *job)
{
    struct rng *rng = hcl_device_state(device);

    rng->job = NULL;
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const rng_keys[] = {"path", NULL};

const struct hcl_class hcl_class_rng = {
    .abi = HCL_CLASS_ABI,
    .flags = HCL_CLASS_MOVES_BYTES,
    .name = "rng",
    .opcodes = "3",
    .idempotent = "3",
    .device_bytes = sizeof(struct rng),
    .keys = rng_keys,
    /* What is scarce is its bytes. */
    .service = {.depth = 1, .job_ns = 1000, .kib_ns = 1024000},
    .open = rng_open,
    .close = rng_close,
    .handle_open = rng_handle_open,
    .handle_close = rng_handle_close,
    .submit = rng_submit,
    .cancel = rng_cancel,
};
