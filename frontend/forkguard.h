/* SPDX-License-Identifier: MIT */
/*
 * forkguard.h: what a forked child must not keep.
 *
 * A descriptor that the child holds keeps event channels bound, the lock taken
 * and the epoll set shared: it would hide its parent's death from the backend,
 * and change its parent's descriptors.  So they are closed in the child at
 * once, plainly: nothing is unbound, that would be the parent's.
 */
#ifndef HCL_FORKGUARD_H
#define HCL_FORKGUARD_H

#include <stdbool.h>

enum hcl_fork_fd {
    HCL_FORK_LOOP,
    HCL_FORK_LOCK,
    HCL_FORK_SHARE,
    HCL_FORK_PORTS,
    HCL_FORK_FDS
};

/* Embedded in its owner, which stays the owner of the descriptors. */
struct hcl_fork_guard {
    struct hcl_fork_guard *next;
    int fds[HCL_FORK_FDS]; /* -1: none */
    bool forked;           /* this is the child: all are closed */
};

/* Any thread; never blocks for long.  0 or a negative errno. */
__attribute__((warn_unused_result)) int
hcl_fork_guard_start(struct hcl_fork_guard *guard);

/*
 * From one to the other no thread forks.  A descriptor and its entry in fds
 * come and go between them: a child would keep one that has no entry yet, and
 * close another's that has got its number already.  Not nested; nothing that
 * waits for others stands between them.
 */
void hcl_fork_guard_hold(void);
void hcl_fork_guard_let_go(void);

/*
 * The descriptor @which stays open for ever and has no owner any more: the
 * event channels of another life, which nobody may be the last to close.  A
 * child closes it while its parent still has it.  Without memory for that, a
 * child keeps it.
 */
void hcl_fork_guard_park(struct hcl_fork_guard *guard, enum hcl_fork_fd which);

/* Once, after a start that succeeded. */
void hcl_fork_guard_stop(struct hcl_fork_guard *guard);

#endif /* HCL_FORKGUARD_H */
