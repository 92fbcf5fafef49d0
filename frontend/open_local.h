/* SPDX-License-Identifier: MIT */
/*
 * open_local.h: a device whose other end is a process of this domain, reached
 * over local.h instead of xenstore, grants and event channels.  Everything
 * above the connection is the same: hcl-bench --local measures what a guest
 * uses.  Not in the interface of libhcl.so.
 */
#ifndef HCL_OPEN_LOCAL_H
#define HCL_OPEN_LOCAL_H

#include "hcl.h"
#include "local.h"

struct hcl_local_setup {
    const char *name; /* of device and class, for hcl_status */
    const char *class_name;
    struct hcl_local *local; /* of hcl_local_new; outlives the device */
    uint32_t max_handles;    /* as the other end was told */
    int life_fd;             /* of a socket or pipe: hangs up when the other
                              * end dies; is not read; outlives the device */
};

/*
 * As hcl_open, for the connection that @setup describes and that the other end
 * has taken up; of @options (may be NULL) its memory does not count.  It is
 * never made anew: when the other end goes, requests and the connection end
 * with -ECONNRESET.
 */
__attribute__((warn_unused_result)) int
hcl_open_local(const struct hcl_local_setup *setup,
               const struct hcl_open_options *options,
               struct hcl_device **ret_device, struct hcl_err *err);

#endif /* HCL_OPEN_LOCAL_H */
