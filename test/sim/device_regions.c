/* SPDX-License-Identifier: MIT */
#include "device_regions.h"

#include <errno.h>
#include <sys/mman.h>

struct regions regions = {.lowest = UINTPTR_MAX};

uintptr_t region_round_up(size_t bytes)
{
    return (bytes + PAGE - 1) & ~(PAGE - 1);
}

bool region_touches(const void *at, size_t bytes)
{
    uintptr_t start = (uintptr_t)at;

    return __atomic_load_n(&regions.num, __ATOMIC_ACQUIRE) > 0 &&
           start < __atomic_load_n(&regions.highest, __ATOMIC_RELAXED) &&
           start + bytes > __atomic_load_n(&regions.lowest, __ATOMIC_RELAXED);
}

int region_reserve(uint32_t more)
{
    size_t old_bytes = region_round_up(regions.room * sizeof(*regions.list));
    size_t bytes;
    void *grown;

    if (regions.num + more <= regions.room) {
        return 0;
    }
    bytes = region_round_up(2 * ((size_t)regions.num + more) *
                            sizeof(*regions.list));
    grown = regions.list ? device_mremap(regions.list, old_bytes, bytes,
                                         MREMAP_MAYMOVE, NULL)
                         : device_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (grown == MAP_FAILED) {
        return -ENOMEM;
    }
    regions.list = grown;
    regions.room = (uint32_t)(bytes / sizeof(*regions.list));
    return 0;
}

void region_insert(const struct region *region)
{
    uint32_t at = regions.num;

    while (at > 0 && regions.list[at - 1].start > region->start) {
        regions.list[at] = regions.list[at - 1];
        at--;
    }
    regions.list[at] = *region;
    if (region->start < regions.lowest) {
        __atomic_store_n(&regions.lowest, region->start, __ATOMIC_RELAXED);
    }
    if (region->end > regions.highest) {
        __atomic_store_n(&regions.highest, region->end, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&regions.num, regions.num + 1, __ATOMIC_RELEASE);
}

void region_take_out(uint32_t at)
{
    for (; at + 1 < regions.num; at++) {
        regions.list[at] = regions.list[at + 1];
        /* Not to become a memmove: a thread sanitizer plays that one, and
           does not know of our lock. */
        __asm__ volatile("" : : : "memory");
    }
    __atomic_store_n(&regions.num, regions.num - 1, __ATOMIC_RELEASE);
}

void region_split(uintptr_t address)
{
    struct region upper;
    uint32_t i;

    for (i = 0; i < regions.num; i++) {
        if (regions.list[i].start < address && address < regions.list[i].end) {
            upper = regions.list[i];
            upper.first += (uint32_t)((address - upper.start) / PAGE);
            upper.start = address;
            regions.list[i].end = address;
            region_insert(&upper);
            return;
        }
    }
}

uint32_t region_first_after(uintptr_t address)
{
    uint32_t i = 0;

    while (i < regions.num && regions.list[i].end <= address) {
        i++;
    }
    return i;
}

uint32_t region_pages(const struct region *region)
{
    return (uint32_t)((region->end - region->start) / PAGE);
}

void region_tell_unmapped(const struct region *region)
{
    struct wire_request request = {.op = WIRE_UNMAP,
                                   .map = region->map,
                                   .first = region->first,
                                   .count = region_pages(region)};
    struct wire_answer answer;

    (void)device_ask(&request, NULL, &answer, NULL, 0, NULL);
}

void region_remove_range(uintptr_t start, uintptr_t end)
{
    struct region region;
    uint32_t i;

    region_split(start);
    region_split(end);
    for (i = region_first_after(start);
         i < regions.num && regions.list[i].start < end;) {
        region = regions.list[i];
        region_take_out(i);
        region_tell_unmapped(&region);
    }
}

int device_memory_find(uint64_t address, uint64_t *ret_index,
                       uint32_t *ret_count)
{
    int ret = -EINVAL;
    uint32_t i;

    device_lock(&regions.lock);
    i = region_first_after((uintptr_t)address);
    if (i < regions.num && regions.list[i].start <= address &&
        regions.list[i].gntdev) {
        *ret_index = regions.list[i].index;
        *ret_count = regions.list[i].count;
        ret = 0;
    }
    device_unlock(&regions.lock);
    return ret;
}
