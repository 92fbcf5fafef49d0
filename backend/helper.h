/* SPDX-License-Identifier: MIT */
/*
 * helper.h: a process that reads a device whose reads may hang in the kernel,
 * and passes the bytes on through a pipe, which never hangs.  Started while the
 * device is opened, before any guest's memory is mapped: a process that is
 * stuck in the kernel then keeps no dead guest from going away.
 */
#ifndef HCL_HELPER_H
#define HCL_HELPER_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

struct hcl_helper {
    pid_t pid; /* 0: none */
    int fd;    /* the pipe, non-blocking; -1: none.  Wait for EPOLLIN on it */
};

/* Starts a helper that reads @file, which stays the caller's.  -errno. */
__attribute__((warn_unused_result)) int
hcl_helper_start(struct hcl_helper *helper, int file, struct hcl_err *err);

/*
 * Takes at most @bytes (> 0): their number, 0 when the file has ended, -EAGAIN
 * when there is none now, -ECHILD when the helper was killed, or the negative
 * errno with which the device failed.  Never blocks.
 */
__attribute__((warn_unused_result)) ssize_t
hcl_helper_read(struct hcl_helper *helper, void *buf, size_t bytes);

/*
 * When the pipe has hung up: 0 if the file has ended, -ECHILD if the helper was
 * killed, or the negative errno with which the device failed.  Bytes may be
 * left in the pipe.
 */
__attribute__((warn_unused_result)) int
hcl_helper_end(struct hcl_helper *helper);

/* Ends the helper, without waiting for it; takes a stopped one. */
void hcl_helper_stop(struct hcl_helper *helper);

#endif /* HCL_HELPER_H */
