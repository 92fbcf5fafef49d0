/* SPDX-License-Identifier: MIT */
/*
 * layout.h: the shape of a connection's shared memory (doc/protocol.md 3.1),
 * and the checks of a control page that a guest wrote.
 *
 * Two regions, one that the backend only reads and one that it writes:
 *
 *   ro page 0          front page (struct hclif_side)
 *      page 1 ..       request rings, queue 0 first, ring_pages each
 *      page tx_first.. tx pool
 *   rw page 0          back page (struct hclif_side)
 *      page 1 ..       completion rings
 *      page rx_first.. rx pool
 */
#ifndef HCL_LAYOUT_H
#define HCL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "hclif.h"

/* What a backend advertises, and what a frontend must stay within. */
struct hcl_limits {
    uint32_t max_queues;
    uint32_t max_ring_page_order;
    uint32_t max_pool_pages; /* tx and rx together */
    uint32_t max_handles;
};

struct hcl_layout {
    uint32_t num_queues;
    uint32_t ring_page_order;
    uint32_t tx_pages;
    uint32_t rx_pages;
};

/* Largest number of references that control and extra pages can list. */
#define HCL_MAX_REFS                                                           \
    (HCLIF_CONTROL_REFS + HCLIF_MAX_EXTRA_PAGES * HCLIF_EXTRA_REFS)

static inline uint32_t hcl_layout_slots(const struct hcl_layout *l)
{
    return (uint32_t)HCLIF_SLOTS_PER_PAGE << l->ring_page_order;
}

/* First pool page of either region; also the ring pages and the side page. */
static inline uint32_t hcl_layout_pool_page(const struct hcl_layout *l)
{
    return 1 + (l->num_queues << l->ring_page_order);
}

static inline uint32_t hcl_layout_ro_pages(const struct hcl_layout *l)
{
    return hcl_layout_pool_page(l) + l->tx_pages;
}

static inline uint32_t hcl_layout_rw_pages(const struct hcl_layout *l)
{
    return hcl_layout_pool_page(l) + l->rx_pages;
}

/* Byte offset of queue @queue's ring in either region. */
static inline size_t hcl_layout_ring_offset(const struct hcl_layout *l,
                                            uint32_t queue)
{
    return (size_t)(1 + (queue << l->ring_page_order)) * HCLIF_PAGE_BYTES;
}

/* Byte offset of the pool in either region. */
static inline size_t hcl_layout_pool_offset(const struct hcl_layout *l)
{
    return (size_t)hcl_layout_pool_page(l) * HCLIF_PAGE_BYTES;
}

/* Extra control pages that the reference list needs; above
 * HCLIF_MAX_EXTRA_PAGES: the layout is too large. */
uint32_t hcl_layout_extra_pages(const struct hcl_layout *l);

/*
 * Frontend: fills the control page and @extra (an array of
 * hcl_layout_extra_pages(l) pages of HCLIF_EXTRA_REFS each, with their
 * references in @extra_refs).  @ro_refs and @rw_refs have hcl_layout_ro_pages
 * and _rw_pages entries.  The layout must be valid.
 */
void hcl_control_fill(struct hclif_control *control, uint32_t (*extra)[1024],
                      const struct hcl_layout *l, uint64_t generation,
                      uint64_t incarnation, const uint32_t *extra_refs,
                      const uint32_t *ro_refs, const uint32_t *rw_refs);

/*
 * Backend: checks a private copy of a control page against the limits and what
 * xenstore said; fills @ret_layout.  -EBADMSG with the reason: a fault.
 */
__attribute__((warn_unused_result)) int
hcl_control_check(const struct hclif_control *control,
                  const struct hcl_limits *limits, uint32_t version,
                  uint64_t generation, uint64_t incarnation,
                  struct hcl_layout *ret_layout, struct hcl_err *err);

/*
 * Backend: gathers all references into @refs (HCL_MAX_REFS entries; the ro ones
 * first, then the rw ones) from private copies of the control page and its
 * extra pages, and checks that none stands twice, @control_ref included.
 * -EBADMSG with the reason.
 */
__attribute__((warn_unused_result)) int
hcl_control_refs(const struct hclif_control *control,
                 const uint32_t (*extra)[1024], uint32_t control_ref,
                 const struct hcl_layout *l, uint32_t *refs,
                 struct hcl_err *err);

#endif /* HCL_LAYOUT_H */
