/* SPDX-License-Identifier: MIT */
/*
 * load DEVICE DEPTH BYTES COUNT: keeps DEPTH writes of BYTES bytes with the
 * device until COUNT are done, and prints the time of each completion, in
 * microseconds of a clock that all domains of the simulated host share.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hcl.h"

#define BATCH 64

static unsigned long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000 +
           (unsigned long long)now.tv_nsec / 1000;
}

static int fail(const char *what, const char *text)
{
    fprintf(stderr, "load: %s: %s\n", what, text);
    return 1;
}

/* Takes what is done, and prints it; how many, or -1. */
static int reap(struct hcl_device *device)
{
    struct hcl_result results[BATCH];
    struct pollfd pollfd = {.fd = hcl_device_fd(device), .events = POLLIN};
    int count;

    while ((count = hcl_reap(device, results, BATCH)) == 0) {
        poll(&pollfd, 1, -1);
    }
    for (int i = 0; i < count; i++) {
        if (results[i].error) {
            fail("result", results[i].text);
            return -1;
        }
        printf("%llu\n", now_us());
    }
    return count;
}

/* All of the requests, so many at a time. */
static int load(struct hcl_device *device, struct hcl_handle *handle,
                const struct hcl_io *io, unsigned int depth, unsigned int count)
{
    unsigned int sent = 0, done = 0;

    while (done < count) {
        int got;

        while (sent < count && sent - done < depth) {
            int rc = hcl_submit(handle, io, NULL);

            if (rc == -EAGAIN && sent > done) {
                break; /* no more fit */
            }
            if (rc < 0) {
                return fail("submit", strerror(-rc));
            }
            sent++;
        }
        got = reap(device);
        if (got < 0) {
            return 1;
        }
        done += (unsigned int)got;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_device *device = NULL;
    struct hcl_handle *handle = NULL;
    struct hcl_err err = {0};
    int status;

    if (argc != 5) {
        fprintf(stderr, "usage: load DEVICE DEPTH BYTES COUNT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    io.tx_bytes = (uint32_t)atoi(argv[3]);
    if (hcl_open(argv[1], &options, 20000, &device, &err) < 0 ||
        hcl_handle_open(device, 20000, &handle, &err) < 0) {
        hcl_close(device);
        return fail(argv[1], err.text);
    }
    /* All of them send the same: it does not matter what. */
    io.tx = hcl_buffer_alloc(device, io.tx_bytes, HCL_TX);
    status = io.tx ? load(device, handle, &io, (unsigned int)atoi(argv[2]),
                          (unsigned int)atoi(argv[4]))
                   : fail(argv[1], "no memory in the pool");
    hcl_close(device);
    return status;
}
