/* SPDX-License-Identifier: MIT */
/*
 * worker.h: the data plane of one device: its connections, served in turn.
 * Everything it may do comes in messages from the supervisor (message.h).
 */
#ifndef HCL_WORKER_H
#define HCL_WORKER_H

#include <stdbool.h>

#include "err.h"

struct hcl_worker;

/*
 * Makes a worker that talks to the supervisor over @fd (which stays the
 * caller's), waits for CONFIG and opens the device it names.  An error of the
 * device has been reported to the supervisor already.  Blocks until CONFIG.
 */
__attribute__((warn_unused_result)) int
hcl_worker_new(struct hcl_worker **ret_worker, int fd, struct hcl_err *err);

/*
 * Tells the supervisor READY and serves until STOP or until the supervisor has
 * gone.  All connections are closed then.
 */
__attribute__((warn_unused_result)) int
hcl_worker_run(struct hcl_worker *worker, struct hcl_err *err);

/* Closes the device.  Takes NULL. */
void hcl_worker_free(struct hcl_worker *worker);

#endif /* HCL_WORKER_H */
