/* SPDX-License-Identifier: MIT */
/*
 * local.h: the memory and the doorbells of a connection between two processes
 * of one domain, without Xen: a memfd for both regions of layout.h, an eventfd
 * for each direction.  It is to them what grant.h and port.h are between two
 * domains; hcl-bench --local and tests use it.
 *
 *     memfd   [ ro region | rw region ]
 *     events    frontend --> backend, backend --> frontend
 *
 * One thread.  Nothing logs.
 */
#ifndef HCL_LOCAL_H
#define HCL_LOCAL_H

#include "err.h"
#include "layout.h"

/* Descriptors that the other end needs: memory, its way in, its way out. */
#define HCL_LOCAL_FDS 3

struct hcl_local {
    struct hcl_layout layout;
    int fds[HCL_LOCAL_FDS]; /* owned, close-on-exec; -1: none */
    void *ro;               /* mapped, or NULL; the backend's is read-only */
    void *rw;
};

/* Closed, with nothing mapped. */
#define HCL_LOCAL_NONE                                                         \
    {                                                                          \
        .fds = { -1, -1, -1 }                                                  \
    }

/*
 * Frontend: makes memory of that layout, which must be valid, zeroed but for
 * `alive` = 1 in the front page, and the doorbells.  -errno.
 */
__attribute__((warn_unused_result)) int
hcl_local_new(struct hcl_local *local, const struct hcl_layout *layout,
              struct hcl_err *err);

/* What to send to the backend: descriptors that stay @local's. */
void hcl_local_peer_fds(const struct hcl_local *local, int *ret_fds);

/*
 * Backend: takes over @fds, also on failure, and maps the memory.  -EINVAL: it
 * is not a memfd of that size which nobody can shrink; touching what is not
 * there would be our death.
 */
__attribute__((warn_unused_result)) int
hcl_local_adopt(struct hcl_local *local, const struct hcl_layout *layout,
                const int *fds, struct hcl_err *err);

/* Unmaps and closes; takes a closed one. */
void hcl_local_close(struct hcl_local *local);

/* Wakes the other end. */
void hcl_local_ring(const struct hcl_local *local);

/* Readable when the other end has rung. */
int hcl_local_fd(const struct hcl_local *local);

/* Takes what has been rung; call it before looking at the rings. */
void hcl_local_drain(const struct hcl_local *local);

#endif /* HCL_LOCAL_H */
