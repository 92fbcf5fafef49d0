/* SPDX-License-Identifier: MIT */
/*
 * device.h: a device as libhcl holds it: its connection, its session, its
 * lock, and the loop that drives them while a call of the program runs.
 */
#ifndef HCL_DEVICE_H
#define HCL_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "forkguard.h"
#include "hcl.h"
#include "loop.h"
#include "session.h"
#include "spin.h"

/* No deadline. */
#define HCL_FOR_EVER UINT64_MAX

struct hcl_device {
    struct hcl_loop *loop; /* owned */
    struct hcl_fork_guard guard;
    bool guarded;
    int lock_fd; /* owned, or -1 */
    struct hcl_session session;
    struct hcl_connection connection;
    struct hcl_spin spin;
    bool exposed;               /* the program may wait for the descriptor */
    struct hcl_timer attention; /* armed while results wait to be reaped */
    uint64_t processed_ms;      /* when, of the coarse clock */
};

/*
 * A device without a connection, which hcl_close ends.  Checks @options and
 * fills in the times.  -EINVAL, -ENOMEM and others of the system.
 */
__attribute__((warn_unused_result)) int
hcl_device_new(struct hcl_device **ret_device, struct hcl_open_options *options,
               struct hcl_err *err);

/*
 * Drives the device until @done(@arg), which is asked after each step: 0.
 * -ETIMEDOUT after @timeout_ms (-1: never); -EINTR after a signal handler ran,
 * if @interruptible; the reason when the connection ends.
 */
__attribute__((warn_unused_result)) int
hcl_device_wait(struct hcl_device *device, int timeout_ms, bool interruptible,
                bool (*done)(const void *arg), const void *arg);

/* 0, or why the device is of no use any more. */
int hcl_device_usable(const struct hcl_device *device, struct hcl_err *err);

/*
 * One step without waiting: of the rings, and of all the rest if they brought
 * nothing or the last time is some while ago.  System calls are what costs.
 */
void hcl_device_progress(struct hcl_device *device);

/*
 * Before returning to the program, which may wait for the descriptor: asks for
 * an event, and makes it readable now if there are results that the program has
 * not seen, or rings that were not looked through.
 */
void hcl_device_settle(struct hcl_device *device);

/* The device of a handle. */
static inline struct hcl_device *
hcl_handle_device(const struct hcl_handle *handle)
{
    return handle->session->owner;
}

#endif /* HCL_DEVICE_H */
