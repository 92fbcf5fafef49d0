/* SPDX-License-Identifier: MIT */
#include "request_memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hclif.h"

/* Only there with the sanitizer's own headers, which make lint has not. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

/* With a page before and after that are never in use. */
#define MAX_PAGES                                                              \
    (1 + (REGION_MAX_QUEUES << REGION_MAX_ORDER) + REGION_MAX_POOL)
#define MAX_BYTES ((size_t)MAX_PAGES * HCLIF_PAGE_BYTES)
#define MAP_BYTES (MAX_BYTES + (size_t)2 * HCLIF_PAGE_BYTES)
#define MAX_REGIONS 4

static const uint8_t *regions[MAX_REGIONS];
static unsigned int num_regions;

static uint8_t *map_view(int fd, int prot)
{
    uint8_t *view = mmap(NULL, MAP_BYTES, prot, MAP_SHARED, fd, 0);

    if (view == MAP_FAILED) {
        abort();
    }
    ASAN_POISON_MEMORY_REGION(view, MAP_BYTES);
    return view + HCLIF_PAGE_BYTES;
}

void region_map(struct region *region, bool writable)
{
    int fd = memfd_create("region", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, (off_t)MAP_BYTES) < 0 ||
        num_regions == MAX_REGIONS) {
        abort();
    }
    region->mine = map_view(fd, PROT_READ | PROT_WRITE);
    region->theirs =
        map_view(fd, writable ? PROT_READ | PROT_WRITE : PROT_READ);
    region->bytes = 0;
    close(fd);
    regions[num_regions++] = region->theirs;
}

void region_size(struct region *region, uint32_t pages)
{
    if (pages > MAX_PAGES) {
        abort();
    }
    ASAN_POISON_MEMORY_REGION(region->mine, MAX_BYTES);
    ASAN_POISON_MEMORY_REGION(region->theirs, MAX_BYTES);
    region->bytes = pages * HCLIF_PAGE_BYTES;
    ASAN_UNPOISON_MEMORY_REGION(region->mine, region->bytes);
    ASAN_UNPOISON_MEMORY_REGION(region->theirs, region->bytes);
    memset(region->mine, 0, region->bytes);
}

bool region_has(const void *pointer)
{
    const uint8_t *at = pointer;

    for (unsigned int i = 0; i < num_regions; i++) {
        if (at >= regions[i] && at < regions[i] + MAX_BYTES) {
            return true;
        }
    }
    return false;
}
