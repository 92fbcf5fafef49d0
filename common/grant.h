/* SPDX-License-Identifier: MIT */
/*
 * grant.h: grant references, from both ends, with counting.
 *
 * struct hcl_share: a guest's pages, granted to the backend's domain.
 * struct hcl_gntdev: another domain's pages, registered and mapped.
 * Both sit on Xen's stable interfaces (libxengnttab, sys/gntdev.h), and both
 * belong to one thread.  Nothing logs.
 */
#ifndef HCL_GRANT_H
#define HCL_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* ---- Frontend: sharing own pages --------------------------------------- */

struct hcl_share;

/* -ENOENT or -ENODEV: no Xen, or the module xen-gntalloc is missing. */
__attribute__((warn_unused_result)) int
hcl_share_open(struct hcl_share **ret_share, struct hcl_err *err);

/* Everything must be unmapped, or is abandoned to the kernel.  Takes NULL. */
void hcl_share_free(struct hcl_share *share);

/*
 * Allocates @count zeroed pages and grants them to @domid, read-only unless
 * @writable.  @refs has @count entries.  -ENOSPC: the guest kernel's limit of
 * shared pages (module parameter xen_gntalloc.limit), which all its programs
 * share.
 */
__attribute__((warn_unused_result)) int
hcl_share_pages(struct hcl_share *share, uint32_t domid, uint32_t count,
                bool writable, uint32_t *refs, void **ret_pages,
                struct hcl_err *err);

/*
 * One page whose byte @offset the kernel clears when the page is unmapped, also
 * by the death of the process.  No event: after a restore its port would
 * be another driver's.
 */
__attribute__((warn_unused_result)) int
hcl_share_page_notify(struct hcl_share *share, uint32_t domid, bool writable,
                      uint32_t offset, uint32_t *ret_ref, void **ret_page,
                      struct hcl_err *err);

/* Ends the grant of @count pages; NULL is fine. */
void hcl_share_unmap(struct hcl_share *share, void *pages, uint32_t count);

/*
 * Moves the mapping of @count shared pages to the address @at, over whatever is
 * mapped there, in one step.  The pages are unshared at the new address.
 */
__attribute__((warn_unused_result)) int hcl_share_move(struct hcl_share *share,
                                                       void *pages,
                                                       uint32_t count, void *at,
                                                       struct hcl_err *err);

/*
 * Ends the grant of @count pages, and in the same step moves as many private
 * pages from @private to their address: at no moment is nothing mapped there.
 */
__attribute__((warn_unused_result)) int
hcl_share_replace(struct hcl_share *share, void *pages, uint32_t count,
                  void *private, struct hcl_err *err);

/* The descriptor, to be closed in a forked child; nothing else. */
int hcl_share_fd(const struct hcl_share *share);

/* Pages shared now. */
uint32_t hcl_share_count(const struct hcl_share *share);

/* How often pages were shared or unshared; each costs some hypercalls. */
uint64_t hcl_share_operations(const struct hcl_share *share);

/* ---- Backend: mapping another domain's pages --------------------------- */

/*
 * A gntdev descriptor.  The supervisor registers references on it, which costs
 * no hypercall and maps nothing; the worker that receives the descriptor can
 * map just these.
 */
struct hcl_gntdev {
    int fd;              /* -1: none */
    uint32_t registered; /* pages registered by us and not unregistered */
    uint32_t mapped;     /* pages mapped by us */
};

/* Opens /dev/xen/gntdev, close-on-exec. */
__attribute__((warn_unused_result)) int
hcl_gntdev_open(struct hcl_gntdev *gntdev, struct hcl_err *err);

/* Closes the descriptor; takes a closed one. */
void hcl_gntdev_close(struct hcl_gntdev *gntdev);

/* Registers @count references of @domid: *@ret_offset is what to map. */
__attribute__((warn_unused_result)) int
hcl_gntdev_register(struct hcl_gntdev *gntdev, uint32_t domid,
                    const uint32_t *refs, uint32_t count, uint64_t *ret_offset,
                    struct hcl_err *err);

/* Takes the registration back; its pages must not be mapped by us. */
void hcl_gntdev_unregister(struct hcl_gntdev *gntdev, uint64_t offset,
                           uint32_t count);

/* Maps a whole registration.  -EINVAL: a reference is bad or revoked. */
__attribute__((warn_unused_result)) int
hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t count,
               bool writable, void **ret_pages, struct hcl_err *err);

void hcl_gntdev_unmap(struct hcl_gntdev *gntdev, void *pages, uint32_t count);

/*
 * When the page at registration @offset, byte @byte, is unmapped, also by the
 * death of the process, the kernel clears that byte and signals the own
 * port @port.  The page must be mapped writable.
 */
__attribute__((warn_unused_result)) int
hcl_gntdev_notify(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t byte,
                  uint32_t port, struct hcl_err *err);

/*
 * Copies @count granted pages to @buffer (@count * 4096 bytes): maps them read-
 * only, copies once, unmaps.
 */
__attribute__((warn_unused_result)) int
hcl_gntdev_read(struct hcl_gntdev *gntdev, uint32_t domid, const uint32_t *refs,
                uint32_t count, void *buffer, struct hcl_err *err);

#endif /* HCL_GRANT_H */
