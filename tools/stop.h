/* SPDX-License-Identifier: MIT */
/*
 * stop.h: SIGINT, SIGTERM and SIGHUP held back while a command is in the midst
 * of something that it has to undo.  One thread.
 */
#ifndef HCL_STOP_H
#define HCL_STOP_H

#include <signal.h>
#include <stdbool.h>

#include "err.h"

/* Until the program ends these signals only make hcl_stop_wanted true. */
__attribute__((warn_unused_result)) int hcl_stop_hold(struct hcl_err *err);

/* One of them came.  Never, if they are not held back. */
bool hcl_stop_wanted(void);

/* Readable when one of them came; -1 if they are not held back. */
int hcl_stop_fd(void);

/* The mask before hcl_stop_hold, for children; NULL if there is none. */
const sigset_t *hcl_stop_old_mask(void);

#endif /* HCL_STOP_H */
