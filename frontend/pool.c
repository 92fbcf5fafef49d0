/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define USED 0x80000000u

static uint32_t piece_length(const struct hcl_pool *pool, uint32_t at)
{
    return pool->pieces[at] & ~USED;
}

static bool piece_used(const struct hcl_pool *pool, uint32_t at)
{
    return (pool->pieces[at] & USED) != 0;
}

int hcl_pool_init(struct hcl_pool *pool, void *base, uint32_t bytes)
{
    assert(bytes % HCL_POOL_GRANULE == 0);
    pool->base = base;
    pool->bytes = bytes;
    pool->granules = bytes / HCL_POOL_GRANULE;
    pool->start = 0;
    pool->pieces = calloc(pool->granules + 1, sizeof(*pool->pieces));
    if (!pool->pieces) {
        return -ENOMEM;
    }
    pool->pieces[0] = pool->granules;
    return 0;
}

void hcl_pool_clear(struct hcl_pool *pool)
{
    free(pool->pieces);
    pool->pieces = NULL;
    pool->granules = 0;
    pool->bytes = 0;
}

/* Joins the free piece at @at with the free ones behind it. */
static void join(struct hcl_pool *pool, uint32_t at)
{
    uint32_t next = at + piece_length(pool, at);

    while (next < pool->granules && !piece_used(pool, next)) {
        pool->pieces[at] += pool->pieces[next];
        pool->pieces[next] = 0;
        next = at + piece_length(pool, at);
    }
}

void *hcl_pool_alloc(struct hcl_pool *pool, size_t bytes)
{
    uint32_t need, at, first_free = pool->granules;

    if (bytes > pool->bytes) {
        return NULL;
    }
    need = bytes ? (uint32_t)((bytes - 1) / HCL_POOL_GRANULE + 1) : 1;
    for (at = pool->start; at < pool->granules; at += piece_length(pool, at)) {
        if (piece_used(pool, at)) {
            continue;
        }
        join(pool, at);
        if (pool->pieces[at] >= need) {
            break;
        }
        if (at < first_free) {
            first_free = at; /* too small for this one */
        }
    }
    if (at < pool->granules) {
        if (pool->pieces[at] > need) {
            pool->pieces[at + need] = pool->pieces[at] - need;
        }
        pool->pieces[at] = need | USED;
    }
    if (first_free < at) {
        pool->start = first_free;
    } else {
        pool->start = at < pool->granules ? at + need : at;
    }
    return at < pool->granules ? pool->base + (size_t)at * HCL_POOL_GRANULE
                               : NULL;
}

bool hcl_pool_free(struct hcl_pool *pool, const void *piece)
{
    uint32_t offset, at;

    if (!hcl_pool_holds(pool, piece, 1)) {
        return false;
    }
    offset = hcl_pool_offset(pool, piece);
    at = offset / HCL_POOL_GRANULE;
    if (offset % HCL_POOL_GRANULE || !piece_used(pool, at)) {
        return false;
    }
    pool->pieces[at] &= ~USED;
    if (at < pool->start) {
        pool->start = at;
    }
    return true;
}

uint32_t hcl_pool_largest(struct hcl_pool *pool)
{
    uint32_t at, largest = 0;

    for (at = 0; at < pool->granules; at += piece_length(pool, at)) {
        if (!piece_used(pool, at)) {
            join(pool, at);
            if (pool->pieces[at] > largest) {
                largest = pool->pieces[at];
            }
        }
    }
    return largest * HCL_POOL_GRANULE;
}

bool hcl_pool_holds(const struct hcl_pool *pool, const void *pointer,
                    size_t bytes)
{
    uintptr_t start = (uintptr_t)pool->base, at = (uintptr_t)pointer;

    return pool->bytes && at >= start && at - start < pool->bytes &&
           bytes <= pool->bytes - (at - start);
}
