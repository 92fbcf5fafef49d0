/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <assert.h>
#include <string.h>

#define SUB_BUCKETS (1u << HCL_HISTOGRAM_SUB_ORDER)

/* One for each connection of a worker has to be cheap, and fit in a page. */
static_assert(sizeof(struct hcl_histogram) <= 4096, "less than a page");

void hcl_histogram_clear(struct hcl_histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void hcl_histogram_copy(struct hcl_histogram *copy,
                        const struct hcl_histogram *from)
{
    uint32_t i;

    copy->count = hcl_load_once(&from->count);
    copy->sum = hcl_load_once(&from->sum);
    copy->minimum = hcl_load_once(&from->minimum);
    copy->maximum = hcl_load_once(&from->maximum);
    for (i = 0; i < HCL_HISTOGRAM_BUCKETS; i++) {
        copy->buckets[i] = hcl_load_once(&from->buckets[i]);
    }
}

void hcl_histogram_merge(struct hcl_histogram *histogram,
                         const struct hcl_histogram *from)
{
    uint32_t i, room;

    if (from->count == 0) {
        return;
    }
    if (histogram->count == 0 || from->minimum < histogram->minimum) {
        histogram->minimum = from->minimum;
    }
    if (from->maximum > histogram->maximum) {
        histogram->maximum = from->maximum;
    }
    histogram->count += from->count;
    histogram->sum += from->sum;
    for (i = 0; i < HCL_HISTOGRAM_BUCKETS; i++) {
        room = UINT32_MAX - histogram->buckets[i];
        histogram->buckets[i] +=
            from->buckets[i] < room ? from->buckets[i] : room;
    }
}

/* The middle of bucket @i: nowhere in it is further than 1/32 of a value. */
static uint64_t bucket_middle(uint32_t i)
{
    uint32_t shift;
    uint64_t low;

    if (i < 2 * SUB_BUCKETS) {
        return i;
    }
    shift = i / SUB_BUCKETS - 1;
    low = (uint64_t)(SUB_BUCKETS + i % SUB_BUCKETS) << shift;
    return low + (1ull << (shift - 1));
}

uint64_t hcl_histogram_percentile(const struct hcl_histogram *histogram,
                                  uint32_t per_million)
{
    uint64_t total = 0, seen = 0, rank, middle;
    uint32_t i;

    if (histogram->count == 0) {
        return 0;
    }
    /* Not count: in a copy the two may differ.  Below 2^42, so rank fits. */
    for (i = 0; i < HCL_HISTOGRAM_BUCKETS; i++) {
        total += histogram->buckets[i];
    }
    if (per_million >= 1000000) {
        return histogram->maximum;
    }
    rank = (total * per_million + 999999) / 1000000;
    for (i = 0; i < HCL_HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank && seen > 0) {
            break;
        }
    }
    middle = bucket_middle(i);
    if (middle < histogram->minimum) {
        return histogram->minimum;
    }
    return middle < histogram->maximum ? middle : histogram->maximum;
}

uint64_t hcl_histogram_mean(const struct hcl_histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum / histogram->count : 0;
}
