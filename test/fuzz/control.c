/* SPDX-License-Identifier: MIT */
/*
 * A control page that a guest wrote (common/layout.c, doc/protocol.md 3.1): a
 * good one is made, then the input changes it and the limits it is held to.
 */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "layout.h"

#define GENERATION UINT64_C(0x91b0d2b5f4a98d11)
#define INCARNATION UINT64_C(0x0c1ffcd1e59a8e57)
#define CONTROL_REF 8
#define FIRST_EXTRA_REF 20
#define FIRST_REF 100

/* What the supervisor has: private copies, each of exactly its size. */
struct offer {
    struct hcl_limits limits;
    struct hclif_control *control;
    uint32_t (*extra)[HCLIF_EXTRA_REFS]; /* HCLIF_MAX_EXTRA_PAGES of them */
};

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (!memory) {
        abort();
    }
    return memory;
}

/* A layout that the lists have room for. */
static struct hcl_layout good_layout(struct fuzz_input *in)
{
    struct hcl_layout layout = {
        .num_queues = 1 + fuzz_below(in, HCLIF_MAX_QUEUES),
        .ring_page_order = fuzz_below(in, HCLIF_MAX_RING_PAGE_ORDER + 1),
    };

    layout.tx_pages = fuzz_u16(in) % 2040;
    layout.rx_pages = fuzz_u16(in) % 2040;
    return layout;
}

static void make(struct offer *offer, const struct hcl_layout *layout)
{
    uint32_t *refs = allocate(HCL_MAX_REFS * sizeof(*refs));
    uint32_t extra_refs[HCLIF_MAX_EXTRA_PAGES];
    uint32_t i;

    for (i = 0; i < HCLIF_MAX_EXTRA_PAGES; i++) {
        extra_refs[i] = FIRST_EXTRA_REF + i;
    }
    for (i = 0; i < HCL_MAX_REFS; i++) {
        refs[i] = FIRST_REF + i;
    }
    offer->control = allocate(sizeof(*offer->control));
    offer->extra = allocate(HCLIF_MAX_EXTRA_PAGES * sizeof(*offer->extra));
    hcl_control_fill(offer->control, offer->extra, layout, GENERATION,
                     INCARNATION, extra_refs, refs,
                     refs + hcl_layout_ro_pages(layout));
    free(refs);
}

static void set_limits(struct offer *offer, struct fuzz_input *in)
{
    offer->limits.max_queues = HCLIF_MAX_QUEUES;
    offer->limits.max_ring_page_order = HCLIF_MAX_RING_PAGE_ORDER;
    offer->limits.max_pool_pages = 4096;
    switch (fuzz_below(in, 4)) {
    case 1:
        offer->limits.max_queues = 1 + fuzz_below(in, HCLIF_MAX_QUEUES);
        offer->limits.max_ring_page_order = fuzz_below(in, 7);
        break;
    case 2:
        offer->limits.max_pool_pages = fuzz_u16(in);
        break;
    case 3:
        offer->limits.max_pool_pages = UINT32_MAX - fuzz_u8(in);
        break;
    default:
        break;
    }
}

/* What a guest may do to its own pages. */
static void change(struct offer *offer, struct fuzz_input *in)
{
    uint8_t *page = (uint8_t *)offer->control;
    uint32_t value, at;

    switch (fuzz_below(in, 4)) {
    case 0: /* one octet of what comes before the references */
        page[fuzz_below(in, 64)] = fuzz_u8(in);
        return;
    case 1: /* four */
        at = fuzz_below(in, 16);
        value = fuzz_u32(in);
        memcpy(page + (size_t)4 * at, &value, sizeof(value));
        return;
    case 2:
        at = fuzz_u16(in) % HCLIF_CONTROL_REFS;
        offer->control->refs[at] = fuzz_u16(in);
        return;
    default:
        at = fuzz_u16(in) % (HCLIF_MAX_EXTRA_PAGES * HCLIF_EXTRA_REFS);
        offer->extra[at / HCLIF_EXTRA_REFS][at % HCLIF_EXTRA_REFS] =
            fuzz_u16(in);
    }
}

/* doc/protocol.md 3.1 once more, in numbers that cannot wrap. */
static bool is_good(const struct offer *offer)
{
    const struct hclif_control *c = offer->control;
    const struct hcl_limits *limits = &offer->limits;
    uint64_t rings, refs;
    unsigned int i;

    for (i = 0; i < sizeof(c->reserved); i++) {
        if (c->reserved[i]) {
            return false;
        }
    }
    if (c->magic != HCLIF_CONTROL_MAGIC || c->version != HCLIF_VERSION ||
        c->generation != GENERATION || c->incarnation != INCARNATION ||
        c->features || !c->num_queues || c->num_queues > limits->max_queues ||
        c->ring_page_order > limits->max_ring_page_order ||
        (uint64_t)c->tx_pages + c->rx_pages > limits->max_pool_pages) {
        return false;
    }
    rings = (uint64_t)c->num_queues << c->ring_page_order;
    refs = 2 * (1 + rings) + c->tx_pages + c->rx_pages;
    return refs <= HCL_MAX_REFS && c->num_extra <= HCLIF_MAX_EXTRA_PAGES &&
           refs <= HCLIF_CONTROL_REFS + (uint64_t)c->num_extra * 1024 &&
           (c->num_extra == 0 ||
            refs > HCLIF_CONTROL_REFS + (uint64_t)(c->num_extra - 1) * 1024);
}

static uint32_t reference(const struct offer *offer, uint32_t index)
{
    if (index < HCLIF_CONTROL_REFS) {
        return offer->control->refs[index];
    }
    index -= HCLIF_CONTROL_REFS;
    return offer->extra[index / HCLIF_EXTRA_REFS][index % HCLIF_EXTRA_REFS];
}

/* References above 16 bits are not made here. */
static bool are_different(const struct offer *offer, uint32_t total)
{
    static uint8_t seen[1 << 16];
    bool different = true;
    uint32_t i;

    memset(seen, 0, sizeof(seen));
    seen[CONTROL_REF] = 1;
    for (i = 0; i < offer->control->num_extra; i++) {
        uint32_t ref = offer->control->extra_refs[i];

        if (ref > UINT16_MAX) {
            continue;
        }
        different = different && !seen[ref];
        seen[ref] = 1;
    }
    for (i = 0; i < total; i++) {
        different = different && !seen[reference(offer, i)];
        seen[reference(offer, i)] = 1;
    }
    /* Two large extra_refs may be equal. */
    for (i = 0; i + 1 < offer->control->num_extra; i++) {
        for (uint32_t j = i + 1; j < offer->control->num_extra; j++) {
            different = different && offer->control->extra_refs[i] !=
                                         offer->control->extra_refs[j];
        }
    }
    return different;
}

static void check_refs(const struct offer *offer,
                       const struct hcl_layout *layout)
{
    uint32_t total = hcl_layout_ro_pages(layout) + hcl_layout_rw_pages(layout);
    uint32_t *refs = allocate(total * sizeof(*refs));
    size_t extra_bytes = offer->control->num_extra * sizeof(*offer->extra);
    uint32_t(*extra)[HCLIF_EXTRA_REFS] = allocate(extra_bytes + 1);
    struct hcl_err err = {0};
    int ret;

    /* Pages that the guest did not grant are not there to be read. */
    memcpy(extra, offer->extra, extra_bytes);
    ret = hcl_control_refs(offer->control,
                           (const uint32_t(*)[HCLIF_EXTRA_REFS])extra,
                           CONTROL_REF, layout, refs, &err);
    assert((ret == 0) == are_different(offer, total));
    assert(ret == 0 || (err.code == ret && err.text[0]));
    for (uint32_t i = 0; ret == 0 && i < total; i++) {
        assert(refs[i] == reference(offer, i));
    }
    free(extra);
    free(refs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hcl_layout made = good_layout(&in), layout;
    struct hcl_err err = {0};
    struct offer offer;
    int ret;

    make(&offer, &made);
    set_limits(&offer, &in);
    while (fuzz_more(&in)) {
        change(&offer, &in);
    }
    ret = hcl_control_check(offer.control, &offer.limits, HCLIF_VERSION,
                            GENERATION, INCARNATION, &layout, &err);
    assert((ret == 0) == is_good(&offer));
    if (ret == 0) {
        assert(layout.num_queues == offer.control->num_queues);
        assert(layout.tx_pages == offer.control->tx_pages);
        check_refs(&offer, &layout);
    } else {
        assert(err.code == ret && err.text[0]);
    }
    free(offer.control);
    free(offer.extra);
    return 0;
}
