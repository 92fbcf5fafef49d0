/* SPDX-License-Identifier: MIT */
/*
 * device_regions.h: for device_regions.c and device_memory.c: the list of what
 * a program has mapped of gntalloc and gntdev.  The pages are in memfds of
 * the host, so one mapping can consist of several regions, each a run of pages
 * that follow each other in one of them.
 */
#ifndef SIM_DEVICE_REGIONS_H
#define SIM_DEVICE_REGIONS_H

#include "device.h"

#pragma GCC visibility push(hidden)

#define PAGE ((uintptr_t)WIRE_PAGE_BYTES)

struct region {
    uintptr_t start;
    uintptr_t end;
    uint32_t map;       /* the host's number */
    uint32_t child_map; /* during a fork; 0: not inherited */
    uint32_t first;     /* its first page in the map */
    bool gntdev;
    bool dont_fork;
    uint64_t index; /* gntdev: of the registration, */
    uint32_t count; /* and its pages */
};

/* Whatever calls the functions holds the lock, but for region_touches. */
struct regions {
    struct device_lock lock;
    struct region *list; /* by address; mapped, for malloc is not ours */
    uint32_t num;
    uint32_t room;
    /* Where they are, at most; read without the lock. */
    uintptr_t lowest;
    uintptr_t highest;
};

extern struct regions regions;

uintptr_t region_round_up(size_t bytes);

/* May one of our pages be among them? */
bool region_touches(const void *at, size_t bytes);

/* Room for @more; what needs it cannot fail then.  -ENOMEM. */
int region_reserve(uint32_t more);

void region_insert(const struct region *region);
void region_take_out(uint32_t at);

/* Splits a region that spans @address; needs room for one. */
void region_split(uintptr_t address);

/* The first region that ends behind @address, or their number. */
uint32_t region_first_after(uintptr_t address);

uint32_t region_pages(const struct region *region);
void region_tell_unmapped(const struct region *region);

/* There is nothing of ours any more from @start to @end; room for two. */
void region_remove_range(uintptr_t start, uintptr_t end);

#pragma GCC visibility pop

#endif /* SIM_DEVICE_REGIONS_H */
