/* SPDX-License-Identifier: MIT */
/* run_lock.h: one daemon for each runtime directory. */
#ifndef HCL_RUN_LOCK_H
#define HCL_RUN_LOCK_H

#include "err.h"

/*
 * Makes @dir if need be, locks @dir/hcl-backend.pid and writes the own pid into
 * it.  The lock goes with *@ret_fd.  -EBUSY: another daemon has it; the text
 * has its pid.
 */
__attribute__((warn_unused_result)) int
hcl_run_lock(const char *dir, int *ret_fd, struct hcl_err *err);

#endif /* HCL_RUN_LOCK_H */
