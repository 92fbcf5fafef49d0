/* SPDX-License-Identifier: MIT */
/*
 * xl.h: runs xl, the only other program that hclctl starts.
 */
#ifndef HCL_XL_H
#define HCL_XL_H

#include "err.h"

/*
 * Runs xl (found in PATH) with the arguments @argv, argv[0] being "xl", ended
 * by NULL, with our standard files, and waits for it.  0 if it exited with 0;
 * -EREMOTEIO if not, after it printed why.
 */
__attribute__((warn_unused_result)) int hcl_xl_run(const char *const *argv,
                                                   struct hcl_err *err);

#endif /* HCL_XL_H */
