/* SPDX-License-Identifier: MIT */
/* layout.c: a control page as a frontend fills it and a backend checks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "layout.h"

#define GENERATION 0x91b0d2b5f4a98d11u
#define INCARNATION 0x0c1ffcd1e59a8e57u
#define CONTROL_REF 7
#define FIRST_EXTRA_REF 20
#define FIRST_RO_REF 10000
#define FIRST_RW_REF 30000

/* A filled control page, its extra pages and all that went into it. */
struct page {
    struct hclif_control control;
    uint32_t extra[HCLIF_MAX_EXTRA_PAGES][HCLIF_EXTRA_REFS];
    struct hcl_layout layout;
    struct hcl_limits limits;
    uint32_t extra_refs[HCLIF_MAX_EXTRA_PAGES];
    uint32_t ro_refs[HCL_MAX_REFS];
    uint32_t rw_refs[HCL_MAX_REFS];
};

static const struct hcl_limits widest = {
    .max_queues = 8,
    .max_ring_page_order = 6,
    .max_pool_pages = HCL_MAX_REFS,
    .max_handles = 65535,
};

/* 2 queues with rings of 4 pages, pools of 5 and 3 pages. */
static const struct hcl_layout usual = {
    .num_queues = 2,
    .ring_page_order = 2,
    .tx_pages = 5,
    .rx_pages = 3,
};

static void page_fill(struct page *page, const struct hcl_layout *layout)
{
    uint32_t i;

    memset(page, 0, sizeof(*page));
    page->layout = *layout;
    page->limits = widest;
    for (i = 0; i < HCLIF_MAX_EXTRA_PAGES; i++) {
        page->extra_refs[i] = FIRST_EXTRA_REF + i;
    }
    for (i = 0; i < HCL_MAX_REFS; i++) {
        page->ro_refs[i] = FIRST_RO_REF + i;
        page->rw_refs[i] = FIRST_RW_REF + i;
    }
    hcl_control_fill(&page->control, page->extra, layout, GENERATION,
                     INCARNATION, page->extra_refs, page->ro_refs,
                     page->rw_refs);
}

static int page_check(const struct page *page, struct hcl_layout *ret_layout,
                      struct hcl_err *err)
{
    return hcl_control_check(&page->control, &page->limits, HCLIF_VERSION,
                             GENERATION, INCARNATION, ret_layout, err);
}

static int page_refs(const struct page *page, uint32_t *refs,
                     struct hcl_err *err)
{
    return hcl_control_refs(&page->control,
                            (const uint32_t(*)[HCLIF_EXTRA_REFS])page->extra,
                            CONTROL_REF, &page->layout, refs, err);
}

/* The check fails, says @word and gives no layout. */
static void assert_rejected(const struct page *page, const char *word)
{
    struct hcl_layout layout, untouched;
    struct hcl_err err = {0};

    memset(&layout, 0x5a, sizeof(layout));
    untouched = layout;
    assert_int_equal(page_check(page, &layout, &err), -EBADMSG);
    assert_int_equal(err.code, -EBADMSG);
    assert_non_null(strstr(err.text, word));
    assert_memory_equal(&layout, &untouched, sizeof(layout));
}

static void assert_accepted(const struct page *page)
{
    struct hcl_layout layout;
    struct hcl_err err = {0};

    if (page_check(page, &layout, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_memory_equal(&layout, &page->layout, sizeof(layout));
}

/* The references come out in the order in which they went in. */
static void assert_refs_come_back(const struct page *page)
{
    uint32_t ro = hcl_layout_ro_pages(&page->layout);
    uint32_t rw = hcl_layout_rw_pages(&page->layout);
    uint32_t refs[HCL_MAX_REFS];

    assert_int_equal(page_refs(page, refs, NULL), 0);
    assert_memory_equal(refs, page->ro_refs, ro * sizeof(*refs));
    assert_memory_equal(refs + ro, page->rw_refs, rw * sizeof(*refs));
}

/* A reference stands twice: refused, with the number in the text. */
static void assert_twice(const struct page *page, const char *number)
{
    uint32_t refs[HCL_MAX_REFS];
    struct hcl_err err = {0};

    assert_int_equal(page_refs(page, refs, &err), -EBADMSG);
    assert_non_null(strstr(err.text, number));
    assert_non_null(strstr(err.text, "twice"));
}

/* A layout with one queue, rings of one page and @total references. */
static struct hcl_layout layout_of(uint32_t total)
{
    struct hcl_layout layout = {.num_queues = 1, .tx_pages = total - 4};

    return layout;
}

/* ---- The shape of the regions ------------------------------------------ */

static void ring_of_order_n_has_64_shifted_slots(void **state)
{
    struct hcl_layout layout = {.num_queues = 1};

    (void)state;
    assert_int_equal(hcl_layout_slots(&layout), 64);
    layout.ring_page_order = 6;
    assert_int_equal(hcl_layout_slots(&layout), 4096);
}

static void regions_are_side_page_rings_and_pool(void **state)
{
    (void)state;
    assert_int_equal(hcl_layout_pool_page(&usual), 1 + 2 * 4);
    assert_int_equal(hcl_layout_ro_pages(&usual), 1 + 2 * 4 + 5);
    assert_int_equal(hcl_layout_rw_pages(&usual), 1 + 2 * 4 + 3);
}

static void rings_follow_the_side_page_queue_0_first(void **state)
{
    (void)state;
    assert_int_equal(hcl_layout_ring_offset(&usual, 0), 4096);
    assert_int_equal(hcl_layout_ring_offset(&usual, 1), 4096 + 4 * 4096);
    assert_int_equal(hcl_layout_pool_offset(&usual), 4096 + 8 * 4096);
}

static void extra_pages_are_as_many_as_the_list_needs(void **state)
{
    static const struct {
        uint32_t refs;
        uint32_t pages;
    } cases[] = {
        {4, 0},           {1008, 0},        {1009, 1},
        {1008 + 1024, 1}, {1008 + 1025, 2}, {1008 + 2 * 1024, 2},
        {1008 + 2049, 3}, {1008 + 3073, 4}, {1008 + 4 * 1024, 4},
        {1008 + 4097, 5},
    };
    struct hcl_layout layout;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        layout = layout_of(cases[i].refs);
        assert_int_equal(hcl_layout_extra_pages(&layout), cases[i].pages);
    }
}

/* ---- Fill -------------------------------------------------------------- */

static void fill_writes_the_header(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    assert_int_equal(page.control.magic, 0x314c4348);
    assert_int_equal(page.control.version, 1);
    assert_true(page.control.generation == GENERATION);
    assert_true(page.control.incarnation == INCARNATION);
    assert_int_equal(page.control.num_queues, 2);
    assert_int_equal(page.control.ring_page_order, 2);
    assert_int_equal(page.control.num_extra, 0);
    assert_int_equal(page.control.tx_pages, 5);
    assert_int_equal(page.control.rx_pages, 3);
}

static void fill_lists_read_only_pages_then_writable_ones(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    assert_memory_equal(page.control.refs, page.ro_refs, 14 * sizeof(uint32_t));
    assert_memory_equal(page.control.refs + 14, page.rw_refs,
                        12 * sizeof(uint32_t));
}

static void fill_leaves_nothing_of_what_the_page_held(void **state)
{
    static const uint8_t zero[HCLIF_CONTROL_REFS * sizeof(uint32_t)];
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    memset(&page.control, 0xff, sizeof(page.control));
    hcl_control_fill(&page.control, page.extra, &usual, GENERATION, INCARNATION,
                     page.extra_refs, page.ro_refs, page.rw_refs);
    assert_int_equal(page.control.features, 0);
    assert_memory_equal(page.control.reserved, zero, 8);
    assert_memory_equal(page.control.extra_refs, zero, 16);
    assert_memory_equal(page.control.refs + 26, zero,
                        (1008 - 26) * sizeof(uint32_t));
}

static void fill_goes_on_in_the_extra_pages(void **state)
{
    struct hcl_layout layout = layout_of(1008 + 1024 + 1);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    assert_int_equal(page.control.num_extra, 2);
    assert_int_equal(page.control.extra_refs[0], FIRST_EXTRA_REF);
    assert_int_equal(page.control.extra_refs[1], FIRST_EXTRA_REF + 1);
    assert_int_equal(page.control.extra_refs[2], 0);
    assert_int_equal(page.control.refs[1007], FIRST_RO_REF + 1007);
    assert_int_equal(page.extra[0][0], FIRST_RO_REF + 1008);
    /* Of the 2033 references the last two are writable: back page, ring. */
    assert_int_equal(page.extra[0][1023], FIRST_RW_REF);
    assert_int_equal(page.extra[1][0], FIRST_RW_REF + 1);
    assert_int_equal(page.extra[1][1], 0);
}

static void what_was_filled_passes_and_comes_back(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    assert_accepted(&page);
    assert_refs_come_back(&page);
}

static void every_number_of_extra_pages_comes_back(void **state)
{
    static const uint32_t totals[] = {1008, 1009, 2032, 2033, 4080, 5104};
    struct hcl_layout layout;
    struct page page;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(totals) / sizeof(*totals); i++) {
        layout = layout_of(totals[i]);
        page_fill(&page, &layout);
        assert_accepted(&page);
        assert_refs_come_back(&page);
    }
}

static void every_shape_of_rings_comes_back(void **state)
{
    struct hcl_layout layout = {.tx_pages = 2, .rx_pages = 1};
    struct page page;

    (void)state;
    for (layout.num_queues = 1; layout.num_queues <= 8; layout.num_queues++) {
        for (layout.ring_page_order = 0; layout.ring_page_order <= 6;
             layout.ring_page_order++) {
            page_fill(&page, &layout);
            assert_accepted(&page);
            assert_refs_come_back(&page);
        }
    }
}

static void layout_at_all_limits_passes(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits = (struct hcl_limits){
        .max_queues = 2,
        .max_ring_page_order = 2,
        .max_pool_pages = 8,
        .max_handles = 1,
    };
    assert_accepted(&page);
}

static void layout_without_pools_passes(void **state)
{
    struct hcl_layout layout = {.num_queues = 1};
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.limits.max_pool_pages = 0;
    assert_accepted(&page);
    assert_refs_come_back(&page);
}

/* ---- Each thing that hcl_control_check rejects ------------------------- */

static void wrong_magic_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.magic ^= 0x100;
    assert_rejected(&page, "magic");
}

static void version_that_is_not_xenstores_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.version = 2;
    assert_rejected(&page, "version");
}

static void generation_that_is_not_xenstores_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.generation ^= (uint64_t)1 << 63;
    assert_rejected(&page, "generation");
}

static void incarnation_that_is_not_xenstores_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.incarnation ^= 1;
    assert_rejected(&page, "incarnation");
}

static void any_feature_is_rejected(void **state)
{
    struct page page;
    uint32_t bit;

    (void)state;
    for (bit = 1; bit; bit <<= 1) {
        page_fill(&page, &usual);
        page.control.features = bit;
        assert_rejected(&page, "features");
    }
}

static void any_reserved_octet_is_rejected(void **state)
{
    struct page page;
    int i;

    (void)state;
    for (i = 0; i < 8; i++) {
        page_fill(&page, &usual);
        page.control.reserved[i] = 1;
        assert_rejected(&page, "reserved");
    }
}

static void no_queue_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.num_queues = 0;
    assert_rejected(&page, "queues");
}

static void one_queue_too_many_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_queues = 1;
    assert_rejected(&page, "queues");
}

static void most_queues_of_the_field_are_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.num_queues = 0xffff;
    assert_rejected(&page, "queues");
}

static void ring_page_order_above_the_limit_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_ring_page_order = 1;
    assert_rejected(&page, "order");
}

static void largest_ring_page_order_of_the_field_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.ring_page_order = 0xff;
    assert_rejected(&page, "order");
}

static void tx_pool_above_the_limit_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_pool_pages = 4;
    page.control.rx_pages = 0;
    assert_rejected(&page, "pool pages");
}

static void rx_pool_above_the_limit_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_pool_pages = 2;
    page.control.tx_pages = 0;
    assert_rejected(&page, "pool pages");
}

static void pools_together_above_the_limit_are_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_pool_pages = 7;
    assert_rejected(&page, "pool pages");
}

/* 0xfffffffd + 8 is 5, and with the rings a list of 23 references. */
static void pools_whose_sum_wraps_are_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.tx_pages = 0xfffffffd;
    page.control.rx_pages = 8;
    assert_rejected(&page, "pool pages");
    page.control.tx_pages = 8;
    page.control.rx_pages = 0xfffffffd;
    assert_rejected(&page, "pool pages");
}

/* A limit that lets each pool through does not let a wrapped sum through. */
static void pools_whose_sum_wraps_are_rejected_under_any_limit(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_pool_pages = 0x80000000;
    page.control.tx_pages = 0x80000000;
    page.control.rx_pages = 0x80000000;
    assert_rejected(&page, "control page");
}

/* 0xfffffff0 + 2 * 9 is 2: a list that would need no extra page. */
static void references_whose_number_wraps_are_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.limits.max_pool_pages = UINT32_MAX;
    page.control.tx_pages = 0xfffffff0;
    page.control.rx_pages = 0;
    assert_rejected(&page, "control page");
}

static void extra_page_too_many_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.num_extra = 1;
    assert_rejected(&page, "extra pages");
}

static void extra_page_too_few_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(1008 + 1025);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.control.num_extra = 1;
    assert_rejected(&page, "extra pages");
}

static void list_beyond_four_extra_pages_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(5104);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.limits.max_pool_pages = 100000;
    page.control.tx_pages += 1;
    page.control.num_extra = 5;
    assert_rejected(&page, "extra pages");
}

/* ---- Each thing that hcl_control_refs rejects -------------------------- */

static void ref_twice_in_the_control_page_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.refs[3] = page.control.refs[11];
    assert_twice(&page, "10011");
}

static void ref_read_only_and_writable_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.refs[25] = page.control.refs[0];
    assert_twice(&page, "10000");
}

static void control_pages_own_ref_in_the_list_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.refs[25] = CONTROL_REF;
    assert_twice(&page, "7");
}

static void ref_twice_in_an_extra_page_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(1100);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.extra[0][50] = page.extra[0][51];
    assert_twice(&page, "11059");
}

static void ref_in_control_and_extra_page_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(1100);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.extra[0][0] = page.control.refs[1007];
    assert_twice(&page, "11007");
}

static void ref_of_an_extra_page_in_the_list_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(1100);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.control.refs[9] = FIRST_EXTRA_REF;
    assert_twice(&page, "20");
}

static void highest_ref_twice_is_rejected(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.refs[24] = page.control.refs[25];
    assert_twice(&page, "30011");
}

static void ref_of_an_extra_page_twice_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(2100);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.control.extra_refs[1] = FIRST_EXTRA_REF;
    assert_twice(&page, "20");
}

static void
ref_of_an_extra_page_that_is_the_control_page_is_rejected(void **state)
{
    struct hcl_layout layout = layout_of(1100);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.control.extra_refs[0] = CONTROL_REF;
    assert_twice(&page, "7");
}

static void last_ref_of_the_longest_list_is_checked_too(void **state)
{
    struct hcl_layout layout = layout_of(5104);
    struct page page;

    (void)state;
    page_fill(&page, &layout);
    page.extra[3][1023] = page.control.refs[0];
    assert_twice(&page, "10000");
}

static void what_stands_behind_the_list_does_not_matter(void **state)
{
    struct page page;

    (void)state;
    page_fill(&page, &usual);
    page.control.refs[26] = page.control.refs[0];
    page.control.extra_refs[0] = page.control.refs[0];
    assert_refs_come_back(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_of_order_n_has_64_shifted_slots),
        cmocka_unit_test(regions_are_side_page_rings_and_pool),
        cmocka_unit_test(rings_follow_the_side_page_queue_0_first),
        cmocka_unit_test(extra_pages_are_as_many_as_the_list_needs),
        cmocka_unit_test(fill_writes_the_header),
        cmocka_unit_test(fill_lists_read_only_pages_then_writable_ones),
        cmocka_unit_test(fill_leaves_nothing_of_what_the_page_held),
        cmocka_unit_test(fill_goes_on_in_the_extra_pages),
        cmocka_unit_test(what_was_filled_passes_and_comes_back),
        cmocka_unit_test(every_number_of_extra_pages_comes_back),
        cmocka_unit_test(every_shape_of_rings_comes_back),
        cmocka_unit_test(layout_at_all_limits_passes),
        cmocka_unit_test(layout_without_pools_passes),
        cmocka_unit_test(wrong_magic_is_rejected),
        cmocka_unit_test(version_that_is_not_xenstores_is_rejected),
        cmocka_unit_test(generation_that_is_not_xenstores_is_rejected),
        cmocka_unit_test(incarnation_that_is_not_xenstores_is_rejected),
        cmocka_unit_test(any_feature_is_rejected),
        cmocka_unit_test(any_reserved_octet_is_rejected),
        cmocka_unit_test(no_queue_is_rejected),
        cmocka_unit_test(one_queue_too_many_is_rejected),
        cmocka_unit_test(most_queues_of_the_field_are_rejected),
        cmocka_unit_test(ring_page_order_above_the_limit_is_rejected),
        cmocka_unit_test(largest_ring_page_order_of_the_field_is_rejected),
        cmocka_unit_test(tx_pool_above_the_limit_is_rejected),
        cmocka_unit_test(rx_pool_above_the_limit_is_rejected),
        cmocka_unit_test(pools_together_above_the_limit_are_rejected),
        cmocka_unit_test(pools_whose_sum_wraps_are_rejected),
        cmocka_unit_test(pools_whose_sum_wraps_are_rejected_under_any_limit),
        cmocka_unit_test(references_whose_number_wraps_are_rejected),
        cmocka_unit_test(extra_page_too_many_is_rejected),
        cmocka_unit_test(extra_page_too_few_is_rejected),
        cmocka_unit_test(list_beyond_four_extra_pages_is_rejected),
        cmocka_unit_test(ref_twice_in_the_control_page_is_rejected),
        cmocka_unit_test(ref_read_only_and_writable_is_rejected),
        cmocka_unit_test(control_pages_own_ref_in_the_list_is_rejected),
        cmocka_unit_test(ref_twice_in_an_extra_page_is_rejected),
        cmocka_unit_test(ref_in_control_and_extra_page_is_rejected),
        cmocka_unit_test(ref_of_an_extra_page_in_the_list_is_rejected),
        cmocka_unit_test(highest_ref_twice_is_rejected),
        cmocka_unit_test(ref_of_an_extra_page_twice_is_rejected),
        cmocka_unit_test(
            ref_of_an_extra_page_that_is_the_control_page_is_rejected),
        cmocka_unit_test(last_ref_of_the_longest_list_is_checked_too),
        cmocka_unit_test(what_stands_behind_the_list_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
