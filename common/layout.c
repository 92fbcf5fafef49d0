/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t total_refs(const struct hcl_layout *l)
{
    return hcl_layout_ro_pages(l) + hcl_layout_rw_pages(l);
}

uint32_t hcl_layout_extra_pages(const struct hcl_layout *l)
{
    uint32_t refs = total_refs(l);

    if (refs <= HCLIF_CONTROL_REFS) {
        return 0;
    }
    return (refs - HCLIF_CONTROL_REFS + HCLIF_EXTRA_REFS - 1) /
           HCLIF_EXTRA_REFS;
}

void hcl_control_fill(struct hclif_control *control, uint32_t (*extra)[1024],
                      const struct hcl_layout *l, uint64_t generation,
                      uint64_t incarnation, const uint32_t *extra_refs,
                      const uint32_t *ro_refs, const uint32_t *rw_refs)
{
    uint32_t ro = hcl_layout_ro_pages(l), total = total_refs(l);
    uint32_t num_extra = hcl_layout_extra_pages(l);
    uint32_t i, ref;

    assert(num_extra <= HCLIF_MAX_EXTRA_PAGES);
    memset(control, 0, sizeof(*control));
    control->magic = HCLIF_CONTROL_MAGIC;
    control->version = HCLIF_VERSION;
    control->generation = generation;
    control->incarnation = incarnation;
    control->num_queues = (uint16_t)l->num_queues;
    control->ring_page_order = (uint8_t)l->ring_page_order;
    control->num_extra = (uint8_t)num_extra;
    control->tx_pages = l->tx_pages;
    control->rx_pages = l->rx_pages;
    for (i = 0; i < num_extra; i++) {
        control->extra_refs[i] = extra_refs[i];
    }
    for (i = 0; i < total; i++) {
        ref = i < ro ? ro_refs[i] : rw_refs[i - ro];
        if (i < HCLIF_CONTROL_REFS) {
            control->refs[i] = ref;
        } else {
            extra[(i - HCLIF_CONTROL_REFS) / HCLIF_EXTRA_REFS]
                 [(i - HCLIF_CONTROL_REFS) % HCLIF_EXTRA_REFS] = ref;
        }
    }
}

/* magic, version, lives and what must be zero. */
static int check_identity(const struct hclif_control *control, uint32_t version,
                          uint64_t generation, uint64_t incarnation,
                          struct hcl_err *err)
{
    static const uint8_t zero[sizeof(control->reserved)];

    if (control->magic != HCLIF_CONTROL_MAGIC) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: magic is 0x%08x, not 0x%08x",
                           control->magic, HCLIF_CONTROL_MAGIC);
    }
    if (control->version != version) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: version is %u, in xenstore it is %u",
                           control->version, version);
    }
    if (control->generation != generation ||
        control->incarnation != incarnation) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: generation or incarnation differs "
                           "from xenstore");
    }
    if (control->features ||
        memcmp(control->reserved, zero, sizeof(zero)) != 0) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: features and reserved must be 0");
    }
    return 0;
}

int hcl_control_check(const struct hclif_control *control,
                      const struct hcl_limits *limits, uint32_t version,
                      uint64_t generation, uint64_t incarnation,
                      struct hcl_layout *ret_layout, struct hcl_err *err)
{
    struct hcl_layout l;
    int ret = check_identity(control, version, generation, incarnation, err);

    if (ret < 0) {
        return ret;
    }
    l.num_queues = control->num_queues;
    l.ring_page_order = control->ring_page_order;
    l.tx_pages = control->tx_pages;
    l.rx_pages = control->rx_pages;
    if (l.num_queues < 1 || l.num_queues > limits->max_queues) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: %u queues, 1 to %u are offered",
                           l.num_queues, limits->max_queues);
    }
    if (l.ring_page_order > limits->max_ring_page_order) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: ring page order %u, at most %u is "
                           "offered",
                           l.ring_page_order, limits->max_ring_page_order);
    }
    /* Without a sum, which could wrap. */
    if (l.tx_pages > limits->max_pool_pages ||
        l.rx_pages > limits->max_pool_pages - l.tx_pages) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: %u tx and %u rx pool pages, %u "
                           "together are offered",
                           l.tx_pages, l.rx_pages, limits->max_pool_pages);
    }
    /* The pools first: under a very high limit total_refs could wrap. */
    if (l.tx_pages + l.rx_pages > HCL_MAX_REFS ||
        total_refs(&l) > HCL_MAX_REFS ||
        control->num_extra != hcl_layout_extra_pages(&l)) {
        return hcl_err_set(err, -EBADMSG,
                           "control page: %u extra pages for %u references",
                           control->num_extra, total_refs(&l));
    }
    *ret_layout = l;
    return 0;
}

static int compare_refs(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* gntdev maps duplicates happily; two pages of one frame would be chaos. */
static int check_unique(const struct hclif_control *control,
                        uint32_t control_ref, const uint32_t *refs,
                        uint32_t count, struct hcl_err *err)
{
    uint32_t sorted[HCL_MAX_REFS + HCLIF_MAX_EXTRA_PAGES + 1];
    uint32_t used = 0, i;

    sorted[used++] = control_ref;
    for (i = 0; i < control->num_extra; i++) {
        sorted[used++] = control->extra_refs[i];
    }
    memcpy(sorted + used, refs, count * sizeof(*refs));
    used += count;
    qsort(sorted, used, sizeof(*sorted), compare_refs);
    for (i = 1; i < used; i++) {
        if (sorted[i] == sorted[i - 1]) {
            return hcl_err_set(err, -EBADMSG,
                               "control page: grant reference %u stands twice",
                               sorted[i]);
        }
    }
    return 0;
}

int hcl_control_refs(const struct hclif_control *control,
                     const uint32_t (*extra)[1024], uint32_t control_ref,
                     const struct hcl_layout *l, uint32_t *refs,
                     struct hcl_err *err)
{
    uint32_t total = total_refs(l), i, at;

    assert(total <= HCL_MAX_REFS);
    for (i = 0; i < total; i++) {
        if (i < HCLIF_CONTROL_REFS) {
            refs[i] = control->refs[i];
        } else {
            at = i - HCLIF_CONTROL_REFS;
            refs[i] = extra[at / HCLIF_EXTRA_REFS][at % HCLIF_EXTRA_REFS];
        }
    }
    return check_unique(control, control_ref, refs, total, err);
}
