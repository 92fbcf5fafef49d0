/* SPDX-License-Identifier: MIT */
/*
 * histogram.c against sorted arrays of the same values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"

#define VALUES 20000

static uint64_t values[VALUES];
static struct hcl_histogram histogram, other;

static int setup(void **state)
{
    (void)state;
    hcl_histogram_clear(&histogram);
    hcl_histogram_clear(&other);
    return 0;
}

/* Any fixed sequence does; xorshift64. */
static uint64_t next_random(void)
{
    static uint64_t word = 88172645463325252ull;

    word ^= word << 13;
    word ^= word >> 7;
    word ^= word << 17;
    return word;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void assert_close(uint64_t value, uint64_t truth)
{
    uint64_t difference = value > truth ? value - truth : truth - value;

    assert_in_range(difference, 0, truth / 32);
}

/* Values of all sizes, sorted. */
static void fill_values(void)
{
    uint32_t i;

    for (i = 0; i < VALUES; i++) {
        values[i] = next_random() >> (next_random() % 64);
        hcl_histogram_add(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), compare);
}

static void test_buckets_follow_one_another(void **state)
{
    uint32_t order, last = 0, bucket;
    uint64_t step, at;

    (void)state;
    for (at = 0; at < 4096; at++) {
        bucket = hcl_histogram_bucket(at);
        assert_in_range(bucket, last, last + 1);
        last = bucket;
    }
    for (order = 12; order < 64; order++) {
        /* A power of two begins a bucket; 1/16 further the next one begins. */
        for (step = 0; step < 16; step++) {
            at = (1ull << order) + (step << (order - 4));
            assert_int_equal(hcl_histogram_bucket(at), last + 1);
            assert_int_equal(hcl_histogram_bucket(at - 1), last);
            last++;
        }
    }
    assert_int_equal(last, HCL_HISTOGRAM_BUCKETS - 1);
    assert_int_equal(hcl_histogram_bucket(UINT64_MAX), last);
}

static void test_empty_has_only_zeros(void **state)
{
    (void)state;
    assert_int_equal(hcl_histogram_percentile(&histogram, 500000), 0);
    assert_int_equal(hcl_histogram_percentile(&histogram, 1000000), 0);
    assert_int_equal(hcl_histogram_mean(&histogram), 0);
}

static void test_one_value_is_every_percentile(void **state)
{
    static const uint64_t ones[] = {0, 1, 31, 32, 1000003, UINT64_MAX};
    uint32_t i;

    (void)state;
    for (i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
        hcl_histogram_clear(&histogram);
        hcl_histogram_add(&histogram, ones[i]);
        assert_int_equal(histogram.count, 1);
        assert_int_equal(histogram.minimum, ones[i]);
        assert_int_equal(histogram.maximum, ones[i]);
        assert_int_equal(hcl_histogram_mean(&histogram), ones[i]);
        assert_int_equal(hcl_histogram_percentile(&histogram, 0), ones[i]);
        assert_int_equal(hcl_histogram_percentile(&histogram, 1), ones[i]);
        assert_int_equal(hcl_histogram_percentile(&histogram, 500000), ones[i]);
        assert_int_equal(hcl_histogram_percentile(&histogram, UINT32_MAX),
                         ones[i]);
    }
}

static void test_small_values_are_exact(void **state)
{
    uint32_t i;

    (void)state;
    for (i = 0; i < 32; i++) {
        hcl_histogram_add(&histogram, i);
    }
    for (i = 1; i <= 32; i++) {
        assert_int_equal(hcl_histogram_percentile(&histogram, i * 31250),
                         i - 1);
        /* A millionth more is the next value. */
        assert_int_equal(hcl_histogram_percentile(&histogram, i * 31250 + 1),
                         i < 32 ? i : 31);
    }
}

static void test_percentiles_are_within_a_32nd(void **state)
{
    uint32_t per_million, rank;

    (void)state;
    fill_values();
    for (per_million = 50; per_million <= 1000000; per_million += 50) {
        rank = per_million / (1000000 / VALUES);
        assert_close(hcl_histogram_percentile(&histogram, per_million),
                     values[rank - 1]);
    }
    assert_int_equal(hcl_histogram_percentile(&histogram, 1000000),
                     values[VALUES - 1]);
}

static void test_count_ends_and_mean_are_exact(void **state)
{
    uint64_t sum = 0;
    uint32_t i, value;

    (void)state;
    for (i = 0; i < 1000; i++) {
        value = 5000 + i * 7919 % 100000;
        sum += value;
        hcl_histogram_add(&histogram, value);
        values[i] = value;
    }
    qsort(values, 1000, sizeof(values[0]), compare);
    assert_int_equal(histogram.count, 1000);
    assert_int_equal(histogram.minimum, values[0]);
    assert_int_equal(histogram.maximum, values[999]);
    assert_int_equal(hcl_histogram_mean(&histogram), sum / 1000);
}

static void test_merge_is_as_if_all_went_into_one(void **state)
{
    struct hcl_histogram all;
    uint64_t value;
    uint32_t i;

    (void)state;
    hcl_histogram_clear(&all);
    for (i = 0; i < VALUES; i++) {
        value = next_random() >> 30;
        hcl_histogram_add(&all, value);
        hcl_histogram_add(i % 3 == 0 ? &histogram : &other, value);
    }
    hcl_histogram_merge(&histogram, &other);
    assert_memory_equal(&histogram, &all, sizeof(all));
}

static void test_merge_with_an_empty_one_changes_nothing(void **state)
{
    struct hcl_histogram before;

    (void)state;
    hcl_histogram_add(&histogram, 77);
    before = histogram;
    hcl_histogram_merge(&histogram, &other);
    assert_memory_equal(&histogram, &before, sizeof(before));
    hcl_histogram_merge(&other, &histogram);
    assert_memory_equal(&other, &before, sizeof(before));
}

static void test_full_bucket_stays_full(void **state)
{
    uint32_t bucket = hcl_histogram_bucket(1000);

    (void)state;
    histogram.count = histogram.buckets[bucket] = UINT32_MAX;
    histogram.minimum = histogram.maximum = 1000;
    hcl_histogram_add(&histogram, 1000);
    assert_int_equal(histogram.buckets[bucket], UINT32_MAX);
    assert_int_equal(histogram.count, UINT32_MAX + 1ull);

    other = histogram;
    hcl_histogram_merge(&histogram, &other);
    assert_int_equal(histogram.buckets[bucket], UINT32_MAX);
    assert_int_equal(hcl_histogram_percentile(&histogram, 999000), 1000);
}

static void test_full_buckets_do_not_overflow_the_rank(void **state)
{
    uint32_t i;

    (void)state;
    for (i = 0; i < HCL_HISTOGRAM_BUCKETS; i++) {
        histogram.buckets[i] = UINT32_MAX;
        histogram.count += UINT32_MAX;
    }
    histogram.maximum = UINT64_MAX;
    /* Half of the 976 buckets: 0 to 487. */
    i = hcl_histogram_bucket(hcl_histogram_percentile(&histogram, 500000));
    assert_int_equal(i, 487);
    i = hcl_histogram_bucket(hcl_histogram_percentile(&histogram, 999999));
    assert_int_equal(i, HCL_HISTOGRAM_BUCKETS - 1);
}

static void test_copy_is_equal(void **state)
{
    (void)state;
    fill_values();
    memset(&other, 0xff, sizeof(other));
    hcl_histogram_copy(&other, &histogram);
    assert_memory_equal(&other, &histogram, sizeof(other));
}

/* A copy can have a value's bucket and not its count, or the other way round,
 * and nothing at all if its writer is an attacker. */
static void test_torn_copy_gives_values_in_range(void **state)
{
    (void)state;
    histogram.count = 1;
    histogram.minimum = 10;
    histogram.maximum = 20;
    assert_in_range(hcl_histogram_percentile(&histogram, 500000), 10, 20);
    histogram.minimum = 30;
    assert_in_range(hcl_histogram_percentile(&histogram, 500000), 20, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_buckets_follow_one_another, setup),
        cmocka_unit_test_setup(test_empty_has_only_zeros, setup),
        cmocka_unit_test_setup(test_one_value_is_every_percentile, setup),
        cmocka_unit_test_setup(test_small_values_are_exact, setup),
        cmocka_unit_test_setup(test_percentiles_are_within_a_32nd, setup),
        cmocka_unit_test_setup(test_count_ends_and_mean_are_exact, setup),
        cmocka_unit_test_setup(test_merge_is_as_if_all_went_into_one, setup),
        cmocka_unit_test_setup(test_merge_with_an_empty_one_changes_nothing,
                               setup),
        cmocka_unit_test_setup(test_full_bucket_stays_full, setup),
        cmocka_unit_test_setup(test_full_buckets_do_not_overflow_the_rank,
                               setup),
        cmocka_unit_test_setup(test_copy_is_equal, setup),
        cmocka_unit_test_setup(test_torn_copy_gives_values_in_range, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
