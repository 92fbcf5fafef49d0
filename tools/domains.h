/* SPDX-License-Identifier: MIT */
/*
 * domains.h: the hypervisor's list of domains.  The only place that uses
 * libxenctrl, whose ABI changes with each Xen release.
 */
#ifndef HCL_DOMAINS_H
#define HCL_DOMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "guest.h"

/* Why a domain shut down; Xen's numbers (xen/sched.h). */
enum hcl_shutdown {
    HCL_SHUTDOWN_POWEROFF = 0,
    HCL_SHUTDOWN_REBOOT = 1,
    HCL_SHUTDOWN_SUSPEND = 2,
    HCL_SHUTDOWN_CRASH = 3,
    HCL_SHUTDOWN_NONE = 255, /* it runs */
};

struct hcl_domain {
    uint32_t domid;
    char uuid[HCL_GUEST_UUID];
    bool dying;                 /* destroyed; others still hold pages of it */
    enum hcl_shutdown shutdown; /* or another of Xen's numbers */
};

struct hcl_domains;

/* -EACCES, -ENOENT: not root, or not dom0. */
__attribute__((warn_unused_result)) int
hcl_domains_open(struct hcl_domains **ret_domains, struct hcl_err *err);

void hcl_domains_free(struct hcl_domains *domains);

/* All domains, by domid; the caller frees the array. */
__attribute__((warn_unused_result)) int
hcl_domains_list(struct hcl_domains *domains, struct hcl_domain **ret_list,
                 unsigned int *ret_count, struct hcl_err *err);

#endif /* HCL_DOMAINS_H */
