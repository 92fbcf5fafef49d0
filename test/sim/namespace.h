/* SPDX-License-Identifier: MIT */
/*
 * namespace.h: what makes a simulated host private.  It has its own processes,
 * and its own /run, /tmp, /etc, /var/lib and /var/log, in which the machine's
 * real entries are seen, but for those of Xen and HCL, and anything can be made
 * without a trace outside.  Needs root, or unprivileged user namespaces.
 */
#ifndef SIM_NAMESPACE_H
#define SIM_NAMESPACE_H

#include <sys/types.h>

#include "err.h"

/*
 * Forks: in the parent returns the child's pid, in the child, which is process
 * 1 and root in there, 0.
 */
__attribute__((warn_unused_result)) pid_t
sim_namespace_fork(struct hcl_err *err);

/* In that child, at first. */
__attribute__((warn_unused_result)) int sim_namespace_host(struct hcl_err *err);

/* In dom0's process 1: /proc of its own. */
__attribute__((warn_unused_result)) int sim_namespace_dom0(struct hcl_err *err);

/* In a guest's init: /proc, and /tmp and /run of its own; @dir is kept. */
__attribute__((warn_unused_result)) int
sim_namespace_guest(const char *dir, struct hcl_err *err);

#endif /* SIM_NAMESPACE_H */
