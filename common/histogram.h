/* SPDX-License-Identifier: MIT */
/*
 * histogram.h: how often which time occurred, for percentiles.  Log-linear: a
 * power of two is cut into 16 buckets of equal width, values below 32 have one
 * each.
 *
 *     value    0 .. 31   32 .. 63   64 .. 127   ...  2^63 .. 2^64 - 1
 *     width    1         2          4                2^59
 *     buckets  0 .. 31   32 .. 47   48 .. 63         960 .. 975
 *
 * Whatever the value: the percentile that is reported for it is wrong by at
 * most 1/32 of it; count, minimum, maximum and mean are exact.
 *
 * The struct is plain memory without pointers, smaller than a page, and empty
 * when zeroed: it may lie in a page that one process writes and others read.
 * One thread writes; readers take a copy (hcl_histogram_copy), which may lack
 * parts of the newest values and is otherwise sound.  The unit is the caller's,
 * in HCL nanoseconds.
 */
#ifndef HCL_HISTOGRAM_H
#define HCL_HISTOGRAM_H

#include <stdint.h>

#include "barrier.h"

#define HCL_HISTOGRAM_SUB_ORDER 4 /* 2^4 buckets for each power of two */
#define HCL_HISTOGRAM_BUCKETS                                                  \
    ((64 - HCL_HISTOGRAM_SUB_ORDER + 1) << HCL_HISTOGRAM_SUB_ORDER)

struct hcl_histogram {
    uint64_t count;   /* values added */
    uint64_t sum;     /* of them, modulo 2^64 */
    uint64_t minimum; /* has no meaning while count is 0 */
    uint64_t maximum;
    uint32_t buckets[HCL_HISTOGRAM_BUCKETS]; /* stop at their largest value */
};

/* The bucket of @value, below HCL_HISTOGRAM_BUCKETS. */
static inline uint32_t hcl_histogram_bucket(uint64_t value)
{
    uint32_t top =
        63 - (uint32_t)__builtin_clzll(value | 1ull << HCL_HISTOGRAM_SUB_ORDER);
    uint32_t shift = top - HCL_HISTOGRAM_SUB_ORDER;

    return (shift << HCL_HISTOGRAM_SUB_ORDER) + (uint32_t)(value >> shift);
}

/* Adds @value.  About a nanosecond; never blocks. */
static inline void hcl_histogram_add(struct hcl_histogram *histogram,
                                     uint64_t value)
{
    uint32_t *bucket = &histogram->buckets[hcl_histogram_bucket(value)];

    if (value < histogram->minimum || histogram->count == 0) {
        hcl_store_once(&histogram->minimum, value);
    }
    if (value > histogram->maximum) {
        hcl_store_once(&histogram->maximum, value);
    }
    hcl_store_once(bucket, *bucket + (*bucket != UINT32_MAX));
    hcl_store_once(&histogram->sum, histogram->sum + value);
    hcl_store_once(&histogram->count, histogram->count + 1);
}

/* Empties it.  By the thread that writes. */
void hcl_histogram_clear(struct hcl_histogram *histogram);

/* Copies @from, which another process may be writing, to @copy. */
void hcl_histogram_copy(struct hcl_histogram *copy,
                        const struct hcl_histogram *from);

/* Adds what is in @from to @histogram.  Neither may be written meanwhile. */
void hcl_histogram_merge(struct hcl_histogram *histogram,
                         const struct hcl_histogram *from);

/*
 * The value that @per_million of all values do not exceed: 500000 is the
 * median, 999000 the 99.9th percentile; never below the minimum nor above the
 * maximum, which is the answer for 1000000 and more.  0 while it is empty.
 */
uint64_t hcl_histogram_percentile(const struct hcl_histogram *histogram,
                                  uint32_t per_million);

/* The mean, rounded down; 0 while it is empty. */
uint64_t hcl_histogram_mean(const struct hcl_histogram *histogram);

#endif /* HCL_HISTOGRAM_H */
