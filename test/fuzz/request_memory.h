/* SPDX-License-Identifier: MIT */
/*
 * request_memory.h: a region of shared pages.  The backend's view of what only
 * the guest may write is mapped read-only, and what is not part of the region
 * is poisoned for the address sanitizer.
 */
#ifndef REQUEST_MEMORY_H
#define REQUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define REGION_MAX_QUEUES 2
#define REGION_MAX_ORDER 1
#define REGION_MAX_POOL 2 /* pages */

struct region {
    uint8_t *mine;   /* the guest's view */
    uint8_t *theirs; /* the backend's */
    uint32_t bytes;  /* that are in use */
};

/* Maps the largest region there is, once for all inputs. */
void region_map(struct region *region, bool writable);

/* Makes it a zeroed region of so many pages. */
void region_size(struct region *region, uint32_t pages);

/* Whether @pointer is in the backend's view of any region. */
bool region_has(const void *pointer);

#endif /* REQUEST_MEMORY_H */
