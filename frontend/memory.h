/* SPDX-License-Identifier: MIT */
/*
 * memory.h: the pages of a connection, shared with the backend's domain
 * (doc/protocol.md 3).
 *
 * Rings, side pages and control page are new for each connection.  The pools
 * stay at their addresses for the device's life: between connections they are
 * private memory with the same contents, so that the program's pointers are
 * always good.
 *
 *   connected      [ shared pages                 ]   the old private pages
 *                                                     are gone
 *   between        [ private pages, same contents ]   the spare has taken the
 *                                                     shared pages' place
 */
#ifndef HCL_MEMORY_H
#define HCL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "grant.h"
#include "hclif.h"
#include "layout.h"

struct hcl_memory_pool {
    void *pages;  /* owned: at the same address for ever; NULL: not made */
    void *spare;  /* owned: untouched private pages, while shared */
    uint32_t num; /* pages; 0: there is no such pool */
    bool shared;
};

struct hcl_memory {
    struct hcl_layout layout;
    /* Shared pages; owned; NULL while not shared. */
    struct hclif_control *control;
    uint32_t (*extra)[HCLIF_EXTRA_REFS];
    struct hclif_side *front;
    struct hclif_side *back; /* the backend writes it */
    void *requests;
    void *completions; /* the backend writes them */
    struct hcl_memory_pool tx;
    struct hcl_memory_pool rx; /* the backend writes it */
    uint32_t num_extra;
    uint32_t control_ref;
};

/*
 * Makes the pools, private, of that many pages; once.  -ENOMEM.
 */
__attribute__((warn_unused_result)) int
hcl_memory_init(struct hcl_memory *memory, uint32_t tx_pages, uint32_t rx_pages,
                struct hcl_err *err);

/*
 * Allocates the pages of one connection with a queue of 64 << @ring_page_order
 * slots, shares them and the pools with @domid and fills the control page.
 * alive is set.  Errors as hcl_share_pages; nothing is shared then.
 */
__attribute__((warn_unused_result)) int
hcl_memory_share(struct hcl_memory *memory, struct hcl_share *share,
                 uint32_t domid, uint32_t ring_page_order, uint64_t generation,
                 uint64_t incarnation, struct hcl_err *err);

/*
 * Ends all of that; the pools become private again.  Nothing shared: fine.
 * -ENOMEM: a pool stays shared, since its address must stay good.
 */
__attribute__((warn_unused_result)) int
hcl_memory_release(struct hcl_memory *memory, struct hcl_share *share,
                   struct hcl_err *err);

/* After hcl_memory_release: the pools go too.  Takes a zeroed one. */
void hcl_memory_clear(struct hcl_memory *memory);

#endif /* HCL_MEMORY_H */
