/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool.h"

#define BYTES 1024

/* With some bytes before it. */
static uint8_t block[64 + BYTES];
static uint8_t *const memory = block + 64;

static void pool_make(struct hcl_pool *pool)
{
    assert_int_equal(hcl_pool_init(pool, memory, BYTES), 0);
}

static void test_pieces_are_aligned_and_do_not_overlap(void **state)
{
    struct hcl_pool pool;
    uint8_t *a, *b, *c;

    (void)state;
    pool_make(&pool);
    a = hcl_pool_alloc(&pool, 1);
    b = hcl_pool_alloc(&pool, 65);
    c = hcl_pool_alloc(&pool, 64);
    assert_ptr_equal(a, memory);
    assert_ptr_equal(b, memory + 64);
    assert_ptr_equal(c, memory + 192);
    hcl_pool_clear(&pool);
}

static void test_nothing_is_given_beyond_the_end(void **state)
{
    struct hcl_pool pool;

    (void)state;
    pool_make(&pool);
    assert_null(hcl_pool_alloc(&pool, BYTES + 1));
    assert_null(hcl_pool_alloc(&pool, SIZE_MAX));
    assert_non_null(hcl_pool_alloc(&pool, BYTES));
    assert_null(hcl_pool_alloc(&pool, 1));
    assert_int_equal(hcl_pool_largest(&pool), 0);
    hcl_pool_clear(&pool);
}

static void test_nothing_bytes_are_a_piece_of_their_own(void **state)
{
    struct hcl_pool pool;
    void *a, *b;

    (void)state;
    pool_make(&pool);
    a = hcl_pool_alloc(&pool, 0);
    b = hcl_pool_alloc(&pool, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    hcl_pool_clear(&pool);
}

static void test_freed_neighbours_become_one_piece(void **state)
{
    struct hcl_pool pool;
    void *pieces[4];
    int i;

    (void)state;
    pool_make(&pool);
    for (i = 0; i < 4; i++) {
        pieces[i] = hcl_pool_alloc(&pool, BYTES / 4);
        assert_non_null(pieces[i]);
    }
    assert_true(hcl_pool_free(&pool, pieces[1]));
    assert_int_equal(hcl_pool_largest(&pool), BYTES / 4);
    assert_true(hcl_pool_free(&pool, pieces[3]));
    assert_int_equal(hcl_pool_largest(&pool), BYTES / 4);
    assert_true(hcl_pool_free(&pool, pieces[2]));
    assert_int_equal(hcl_pool_largest(&pool), 3 * BYTES / 4);
    assert_ptr_equal(hcl_pool_alloc(&pool, 3 * BYTES / 4), pieces[1]);
    hcl_pool_clear(&pool);
}

static void test_first_fit_takes_the_first_hole_that_is_large_enough(void **s)
{
    struct hcl_pool pool;
    void *a, *b, *c, *d;

    (void)s;
    pool_make(&pool);
    a = hcl_pool_alloc(&pool, 64);
    b = hcl_pool_alloc(&pool, 64);
    c = hcl_pool_alloc(&pool, 128);
    d = hcl_pool_alloc(&pool, 64);
    assert_non_null(b);
    assert_non_null(d);
    hcl_pool_free(&pool, c);
    hcl_pool_free(&pool, a);
    assert_ptr_equal(hcl_pool_alloc(&pool, 100), c);
    assert_ptr_equal(hcl_pool_alloc(&pool, 10), a);
    hcl_pool_free(&pool, c);
    hcl_pool_free(&pool, b);
    assert_ptr_equal(hcl_pool_alloc(&pool, 192), b);
    assert_ptr_equal(hcl_pool_alloc(&pool, 1), (uint8_t *)d + 64);
    hcl_pool_clear(&pool);
}

/* Pieces that fill the pool do so whatever came and went before. */
static void test_what_was_taken_before_leaves_no_gap(void **state)
{
    struct hcl_pool pool;
    void *small, *pieces[4];

    (void)state;
    pool_make(&pool);
    for (int round = 0; round < 3; round++) {
        small = hcl_pool_alloc(&pool, 64);
        pieces[0] = hcl_pool_alloc(&pool, 64);
        hcl_pool_free(&pool, small);
        hcl_pool_free(&pool, pieces[0]);
        for (int i = 0; i < 4; i++) {
            pieces[i] = hcl_pool_alloc(&pool, BYTES / 4);
            assert_non_null(pieces[i]);
        }
        assert_null(hcl_pool_alloc(&pool, 1));
        for (int i = 0; i < 4; i++) {
            hcl_pool_free(&pool, pieces[(i + round) % 4]);
        }
    }
    hcl_pool_clear(&pool);
}

static void test_only_used_pieces_can_be_freed(void **state)
{
    struct hcl_pool pool;
    uint8_t *a, other;

    (void)state;
    pool_make(&pool);
    a = hcl_pool_alloc(&pool, 128);
    assert_false(hcl_pool_free(&pool, NULL));
    assert_false(hcl_pool_free(&pool, &other));
    assert_false(hcl_pool_free(&pool, a + 1));
    assert_false(hcl_pool_free(&pool, a + 64));
    assert_false(hcl_pool_free(&pool, a + 128));
    assert_true(hcl_pool_free(&pool, a));
    assert_false(hcl_pool_free(&pool, a));
    hcl_pool_clear(&pool);
}

static void test_what_the_peer_writes_changes_no_piece(void **state)
{
    struct hcl_pool pool;
    void *a, *b;

    (void)state;
    pool_make(&pool);
    a = hcl_pool_alloc(&pool, 512);
    memset(memory, 0xff, BYTES);
    b = hcl_pool_alloc(&pool, 512);
    assert_ptr_equal(b, memory + 512);
    memset(memory, 0, BYTES);
    assert_true(hcl_pool_free(&pool, a));
    assert_int_equal(hcl_pool_largest(&pool), 512);
    hcl_pool_clear(&pool);
}

static void test_holds_knows_the_edges(void **state)
{
    struct hcl_pool pool;

    (void)state;
    pool_make(&pool);
    assert_true(hcl_pool_holds(&pool, memory, BYTES));
    assert_true(hcl_pool_holds(&pool, memory + BYTES - 1, 1));
    assert_false(hcl_pool_holds(&pool, memory, BYTES + 1));
    assert_false(hcl_pool_holds(&pool, memory + BYTES, 0));
    assert_false(hcl_pool_holds(&pool, memory + 1, SIZE_MAX));
    assert_false(hcl_pool_holds(&pool, memory - 1, 1));
    hcl_pool_clear(&pool);
}

static void test_an_empty_pool_has_nothing(void **state)
{
    struct hcl_pool pool;

    (void)state;
    assert_int_equal(hcl_pool_init(&pool, NULL, 0), 0);
    assert_null(hcl_pool_alloc(&pool, 0));
    assert_null(hcl_pool_alloc(&pool, 1));
    assert_false(hcl_pool_holds(&pool, NULL, 0));
    assert_false(hcl_pool_free(&pool, NULL));
    assert_int_equal(hcl_pool_largest(&pool), 0);
    hcl_pool_clear(&pool);
}

/* Against a plain table of bytes in use. */
static void test_random_use_never_overlaps_and_ends_whole(void **state)
{
    static uint8_t owner[BYTES];
    struct hcl_pool pool;
    uint8_t *pieces[8] = {NULL};
    size_t bytes[8] = {0}, i;
    unsigned int round, at, seed = 1;

    (void)state;
    pool_make(&pool);
    for (round = 0; round < 20000; round++) {
        at = (unsigned int)rand_r(&seed) % 8;
        if (pieces[at]) {
            for (i = 0; i < bytes[at]; i++) {
                assert_int_equal(owner[pieces[at] - memory + i], at + 1);
                owner[pieces[at] - memory + i] = 0;
            }
            assert_true(hcl_pool_free(&pool, pieces[at]));
            pieces[at] = NULL;
            continue;
        }
        bytes[at] = (size_t)rand_r(&seed) % 400;
        pieces[at] = hcl_pool_alloc(&pool, bytes[at]);
        for (i = 0; pieces[at] && i < bytes[at]; i++) {
            assert_int_equal(owner[pieces[at] - memory + i], 0);
            owner[pieces[at] - memory + i] = (uint8_t)(at + 1);
        }
    }
    for (at = 0; at < 8; at++) {
        hcl_pool_free(&pool, pieces[at]);
    }
    assert_int_equal(hcl_pool_largest(&pool), BYTES);
    hcl_pool_clear(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(test_nothing_is_given_beyond_the_end),
        cmocka_unit_test(test_nothing_bytes_are_a_piece_of_their_own),
        cmocka_unit_test(test_freed_neighbours_become_one_piece),
        cmocka_unit_test(
            test_first_fit_takes_the_first_hole_that_is_large_enough),
        cmocka_unit_test(test_what_was_taken_before_leaves_no_gap),
        cmocka_unit_test(test_only_used_pieces_can_be_freed),
        cmocka_unit_test(test_what_the_peer_writes_changes_no_piece),
        cmocka_unit_test(test_holds_knows_the_edges),
        cmocka_unit_test(test_an_empty_pool_has_nothing),
        cmocka_unit_test(test_random_use_never_overlaps_and_ends_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
