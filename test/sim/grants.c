/* SPDX-License-Identifier: MIT */
#include "grants.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/sys/gntdev.h>

#include "host.h"
#include "memory.h"

/* 64 grant frames of 512 entries; the first eight are Xen's and the kernel's */
#define NUM_REFS (64u * 512u)
#define FIRST_REF 8u

struct sim_page {
    struct sim_memory *memory; /* a frame is taken of it */
    uint32_t frame;
    struct sim_grants *grants; /* NULL: the domain is gone */
    struct sim_shared *shared; /* NULL: left the count */
    uint32_t ref;
    uint32_t domid;
    bool writable;
    uint32_t users;
    uint32_t maps;
    struct sim_notice notice;
};

struct sim_grants {
    struct sim_memory *memory; /* kept */
    uint32_t domid;
    bool dying;
    uint32_t mapped;
    void (*unmapped)(void *arg);
    void *arg;
    struct sim_page *refs[NUM_REFS];
    uint32_t free_refs[NUM_REFS]; /* a stack, as Linux's list is */
    uint32_t num_free;
};

/* ---- A domain ---------------------------------------------------------- */

int sim_grants_new(struct sim_grants **ret_grants, uint32_t domid,
                   void (*unmapped)(void *arg), void *arg, struct hcl_err *err)
{
    struct sim_grants *grants = calloc(1, sizeof(*grants));
    uint32_t i, ref;
    int ret;

    if (!grants) {
        return hcl_err_sys(err, -ENOMEM, "grants of domain %u", domid);
    }
    ret = sim_memory_new(&grants->memory, err);
    if (ret < 0) {
        free(grants);
        return ret;
    }
    grants->domid = domid;
    grants->unmapped = unmapped;
    grants->arg = arg;
    /*
     * Drivers come and go before a program starts, so references are in no
     * order: here each block of 64 is shuffled.
     */
    for (i = NUM_REFS; i-- > 0;) {
        ref = (i & ~63u) | (i * 37 & 63);
        if (ref >= FIRST_REF) {
            grants->free_refs[grants->num_free++] = ref;
        }
    }
    *ret_grants = grants;
    return 0;
}

/* Its reference ends, and the page is nobody's but its users'. */
static void ungrant(struct sim_page *page)
{
    struct sim_grants *grants = page->grants;

    if (grants) {
        grants->refs[page->ref] = NULL;
        grants->free_refs[grants->num_free++] = page->ref;
        page->grants = NULL;
    }
}

static void page_end(struct sim_page *page)
{
    if (page->users || page->maps) {
        return;
    }
    ungrant(page);
    sim_memory_give(page->memory, page->frame);
    free(page);
}

void sim_grants_kill(struct sim_grants *grants)
{
    grants->dying = true;
}

uint32_t sim_grants_mapped(const struct sim_grants *grants)
{
    return grants->mapped;
}

void sim_grants_free(struct sim_grants *grants)
{
    uint32_t ref;

    if (!grants) {
        return;
    }
    assert(!grants->mapped);
    for (ref = 0; ref < NUM_REFS; ref++) {
        if (grants->refs[ref]) {
            ungrant(grants->refs[ref]);
        }
    }
    sim_memory_drop(grants->memory);
    free(grants);
}

struct sim_page *sim_grants_find(const struct sim_grants *grants, uint32_t ref,
                                 uint32_t domid, bool writable)
{
    struct sim_page *page;

    if (grants->dying || ref >= NUM_REFS) {
        return NULL;
    }
    page = grants->refs[ref];
    if (!page || page->domid != domid || (writable && !page->writable)) {
        return NULL;
    }
    return page;
}

unsigned int sim_grants_audit(const struct sim_grants *grants, FILE *out)
{
    const struct sim_page *page;
    unsigned int found = 0;
    uint32_t ref;

    for (ref = 0; ref < NUM_REFS; ref++) {
        page = grants->refs[ref];
        /* A dying domain has what others still map, and nothing else. */
        if (!page || (grants->dying && !page->maps)) {
            continue;
        }
        found++;
        if (out) {
            fprintf(out, "domain %u: grant %u for domain %u, %s, %smapped%s\n",
                    grants->domid, ref, page->domid,
                    page->writable ? "writable" : "read-only",
                    page->maps ? "" : "not ",
                    page->users ? "" : ", its program has ended");
        }
    }
    return found;
}

bool sim_shared_quiet(const struct sim_shared *shared)
{
    return shared->dead || !shared->machine->domain;
}

/* ---- A page ------------------------------------------------------------ */

void sim_page_use(struct sim_page *page)
{
    page->users++;
}

void sim_page_unuse(struct sim_page *page)
{
    if (--page->users) {
        return;
    }
    if (!sim_shared_quiet(page->shared)) {
        if (page->notice.flags & UNMAP_NOTIFY_CLEAR_BYTE) {
            sim_page_clear(page, (uint32_t)page->notice.byte);
        }
        sim_notice_fire(&page->notice);
    }
    sim_notice_clear(&page->notice);
    page->shared->pages--;
    page->shared = NULL;
    page_end(page);
}

void sim_page_map(struct sim_page *page)
{
    page->maps++;
    page->grants->mapped++;
}

void sim_page_unmap(struct sim_page *page)
{
    struct sim_grants *grants = page->grants;

    page->maps--;
    grants->mapped--;
    page_end(page);
    if (grants->dying && !grants->mapped) {
        grants->unmapped(grants->arg);
    }
}

int sim_page_place(const struct sim_page *page, bool writable,
                   uint64_t *ret_offset)
{
    *ret_offset = (uint64_t)page->frame * WIRE_PAGE_BYTES;
    return sim_memory_fd(page->memory, writable);
}

void sim_page_clear(struct sim_page *page, uint32_t byte)
{
    sim_memory_clear(page->memory, page->frame, byte);
}

uint32_t sim_page_ref(const struct sim_page *page)
{
    return page->ref;
}

/* ---- An open device ---------------------------------------------------- */

struct sim_gntalloc {
    struct sim_shared *shared;
    uint64_t next_index;
    uint32_t num;
    uint32_t room;
    /* Of each page in the order of indexes, which only grow: */
    uint64_t *indexes;       /* owned */
    struct sim_page **pages; /* owned; each is used */
};

int sim_gntalloc_new(struct sim_gntalloc **ret_gntalloc,
                     struct sim_shared *shared)
{
    struct sim_gntalloc *gntalloc = calloc(1, sizeof(*gntalloc));

    if (!gntalloc) {
        return -ENOMEM;
    }
    gntalloc->shared = shared;
    *ret_gntalloc = gntalloc;
    return 0;
}

void sim_gntalloc_free(struct sim_gntalloc *gntalloc)
{
    uint32_t i;

    if (!gntalloc) {
        return;
    }
    for (i = 0; i < gntalloc->num; i++) {
        sim_page_unuse(gntalloc->pages[i]);
    }
    free(gntalloc->indexes);
    free(gntalloc->pages);
    free(gntalloc);
}

unsigned int sim_gntalloc_audit(const struct sim_gntalloc *gntalloc,
                                unsigned int key, FILE *out)
{
    unsigned int found = 0;
    uint32_t i;

    for (i = 0; i < gntalloc->num; i++) {
        found += !gntalloc->pages[i]->grants;
    }
    if (found && out) {
        fprintf(out, "machine %u: %u shared pages, from before a restore\n",
                key, found);
    }
    return found;
}

static int reserve(struct sim_gntalloc *gntalloc, uint32_t count)
{
    uint32_t room = gntalloc->num + count;
    struct sim_page **pages;
    uint64_t *indexes;

    if (room <= gntalloc->room) {
        return 0;
    }
    room = room > 2 * gntalloc->room ? room : 2 * gntalloc->room;
    pages = realloc(gntalloc->pages, room * sizeof(struct sim_page *));
    if (!pages) {
        return -ENOMEM;
    }
    gntalloc->pages = pages;
    indexes = realloc(gntalloc->indexes, room * sizeof(*indexes));
    if (!indexes) {
        return -ENOMEM;
    }
    gntalloc->indexes = indexes;
    gntalloc->room = room;
    return 0;
}

/* New pages behind the device's last; they are not in use yet. */
static int add(struct sim_gntalloc *gntalloc, uint32_t count)
{
    struct sim_page **pages;
    uint32_t i;
    int ret = reserve(gntalloc, count);

    if (ret < 0) {
        return ret;
    }
    pages = &gntalloc->pages[gntalloc->num];
    for (i = 0; i < count; i++) {
        pages[i] = calloc(1, sizeof(*pages[i]));
        if (!pages[i]) {
            while (i-- > 0) {
                free(pages[i]);
            }
            return -ENOMEM;
        }
    }
    return 0;
}

static void grant(struct sim_page *page, struct sim_grants *grants,
                  struct sim_shared *shared)
{
    page->memory = grants->memory;
    page->grants = grants;
    page->ref = grants->free_refs[--grants->num_free];
    grants->refs[page->ref] = page;
    page->shared = shared;
    shared->pages++;
    page->users = 1;
}

int sim_gntalloc_alloc(struct sim_gntalloc *gntalloc, struct sim_grants *grants,
                       uint32_t domid, bool writable, uint32_t count,
                       uint64_t *ret_index)
{
    struct sim_shared *shared = gntalloc->shared;
    struct sim_page *page;
    uint32_t frame, i;
    int ret;

    if (count > grants->num_free ||
        (shared->limit && count > shared->limit - shared->pages)) {
        return -ENOSPC;
    }
    ret = add(gntalloc, count);
    if (ret < 0) {
        return ret;
    }
    ret = sim_memory_take(grants->memory, count, &frame);
    *ret_index = gntalloc->next_index;
    for (i = 0; i < count; i++) {
        page = gntalloc->pages[gntalloc->num + i];
        if (ret < 0) {
            free(page);
            continue;
        }
        page->frame = frame + i;
        page->domid = domid;
        page->writable = writable;
        grant(page, grants, shared);
        gntalloc->indexes[gntalloc->num + i] = gntalloc->next_index;
        gntalloc->next_index += WIRE_PAGE_BYTES;
    }
    gntalloc->num += ret < 0 ? 0 : count;
    return ret;
}

/* The place of @index, or the device's number of pages. */
static uint32_t place_of(const struct sim_gntalloc *gntalloc, uint64_t index)
{
    uint32_t low = 0, high = gntalloc->num, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (gntalloc->indexes[middle] < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < gntalloc->num && gntalloc->indexes[low] == index
               ? low
               : gntalloc->num;
}

struct sim_page **sim_gntalloc_find(const struct sim_gntalloc *gntalloc,
                                    uint64_t index, uint32_t count)
{
    uint32_t place = place_of(gntalloc, index);

    if (!count || count > gntalloc->num - place ||
        gntalloc->indexes[place + count - 1] !=
            index + (uint64_t)(count - 1) * WIRE_PAGE_BYTES) {
        return NULL;
    }
    return &gntalloc->pages[place];
}

int sim_gntalloc_dealloc(struct sim_gntalloc *gntalloc, uint64_t index,
                         uint32_t count)
{
    struct sim_page **pages = sim_gntalloc_find(gntalloc, index, count);
    uint32_t place, rest, i;

    if (!pages) {
        return -EINVAL;
    }
    place = (uint32_t)(pages - gntalloc->pages);
    rest = gntalloc->num - place - count;
    for (i = 0; i < count; i++) {
        sim_page_unuse(pages[i]);
    }
    memmove(pages, pages + count, rest * sizeof(struct sim_page *));
    memmove(gntalloc->indexes + place, gntalloc->indexes + place + count,
            rest * sizeof(gntalloc->indexes[0]));
    gntalloc->num -= count;
    return 0;
}

int sim_gntalloc_notice(struct sim_gntalloc *gntalloc, struct sim_ports *ports,
                        uint64_t index, uint32_t flags, uint32_t number)
{
    uint32_t byte = index & (WIRE_PAGE_BYTES - 1);
    struct sim_page **page = sim_gntalloc_find(gntalloc, index - byte, 1);

    if (!page) {
        return -ENOENT;
    }
    return sim_notice_set(&(*page)->notice, ports, flags, byte, number);
}
