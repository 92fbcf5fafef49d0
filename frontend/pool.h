/* SPDX-License-Identifier: MIT */
/*
 * pool.h: pieces of a pool, first fit.  Where the first free piece is is known,
 * so that many pieces that come and go in turn cost no more than few.
 *
 * What is free stands in private memory: the pool itself may be written by the
 * backend at any time.  Nothing is allocated after hcl_pool_init.
 */
#ifndef HCL_POOL_H
#define HCL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pieces start and end at multiples of it: one cache line. */
#define HCL_POOL_GRANULE 64

struct hcl_pool {
    uint8_t *base; /* not owned */
    uint32_t bytes;
    uint32_t granules;
    /*
     * Owned.  Entry i, where a piece starts at granule i: its length, and
     * whether it is used.  Entries inside pieces are 0.
     */
    uint32_t *pieces;
    uint32_t start; /* no granule before it is free; a piece starts there */
};

/* @bytes: a multiple of 64, may be 0; @base is kept.  -ENOMEM. */
__attribute__((warn_unused_result)) int
hcl_pool_init(struct hcl_pool *pool, void *base, uint32_t bytes);

/* Frees what is private.  Takes a zeroed one. */
void hcl_pool_clear(struct hcl_pool *pool);

/* A piece of @bytes (0 counts as 1), or NULL. */
void *hcl_pool_alloc(struct hcl_pool *pool, size_t bytes);

/* Gives it back; false if no used piece starts there. */
bool hcl_pool_free(struct hcl_pool *pool, const void *piece);

/* The largest piece that hcl_pool_alloc would give now. */
uint32_t hcl_pool_largest(struct hcl_pool *pool);

/* Whether all @bytes at @pointer are in the pool. */
bool hcl_pool_holds(const struct hcl_pool *pool, const void *pointer,
                    size_t bytes);

/* Of a pointer that hcl_pool_holds. */
static inline uint32_t hcl_pool_offset(const struct hcl_pool *pool,
                                       const void *pointer)
{
    return (uint32_t)((const uint8_t *)pointer - pool->base);
}

#endif /* HCL_POOL_H */
