/* SPDX-License-Identifier: MIT */
#include "maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/sys/gntdev.h>

#include "hypervisor_internal.h"

/* Linux's limit for one registration. */
#define MAX_REGISTERED (64u * 1024u)

/* References registered together; Linux's struct gntdev_grant_map. */
struct registration {
    struct registration *next; /* of the device's, by index */
    struct sim_shared *shared; /* of the machine that opened the device */
    struct wire_ref *refs;     /* owned */
    struct sim_map *map;       /* NULL: not mapped now */
    uint64_t index;            /* pages */
    uint32_t count;
    bool listed;  /* by the device: not unregistered */
    bool flagged; /* it has been mapped; @readonly is for good */
    bool readonly;
    struct sim_notice notice;
};

struct sim_gntdev {
    struct sim_shared *shared;
    struct registration *registrations; /* owned until unregistered */
};

struct sim_map {
    struct sim_maps *maps;
    uint32_t number;
    uint32_t count;
    uint32_t held; /* pages that the process has not unmapped */
    bool writable;
    /* Of gntdev, and NULL when the mapping domain is dead: */
    struct registration *registration;
    struct sim_mapper *mapper;
    struct sim_map *next;     /* of the mapper's */
    struct sim_page *pages[]; /* NULL: unmapped */
};

/* ---- An open gntdev ---------------------------------------------------- */

int sim_gntdev_new(struct sim_gntdev **ret_gntdev, struct sim_shared *shared)
{
    struct sim_gntdev *gntdev = calloc(1, sizeof(*gntdev));

    if (!gntdev) {
        return -ENOMEM;
    }
    gntdev->shared = shared;
    *ret_gntdev = gntdev;
    return 0;
}

static void registration_end(struct registration *registration)
{
    if (registration->listed || registration->map) {
        return;
    }
    if (!sim_shared_quiet(registration->shared)) {
        sim_notice_fire(&registration->notice);
    }
    sim_notice_clear(&registration->notice);
    free(registration->refs);
    free(registration);
}

void sim_gntdev_free(struct sim_gntdev *gntdev)
{
    struct registration *registration;

    if (!gntdev) {
        return;
    }
    while (gntdev->registrations) {
        registration = gntdev->registrations;
        gntdev->registrations = registration->next;
        registration->listed = false;
        registration_end(registration);
    }
    free(gntdev);
}

unsigned int sim_gntdev_audit(const struct sim_gntdev *gntdev, uint32_t domid,
                              FILE *out)
{
    const struct registration *registration;
    unsigned int found = 0;

    for (registration = gntdev->registrations; registration;
         registration = registration->next) {
        found++;
        if (out) {
            fprintf(out,
                    "domain %u: %u references of domain %u registered, from "
                    "%u on\n",
                    domid, registration->count, registration->refs[0].domid,
                    registration->refs[0].ref);
        }
    }
    return found;
}

int sim_gntdev_register(struct sim_gntdev *gntdev, const struct wire_ref *refs,
                        uint32_t count, uint64_t *ret_index)
{
    struct registration *new, **at;

    if (count == 0 || count > MAX_REGISTERED) {
        return -EINVAL;
    }
    new = calloc(1, sizeof(*new));
    if (!new) {
        return -ENOMEM;
    }
    new->refs = malloc(count * sizeof(*refs));
    if (!new->refs) {
        free(new);
        return -ENOMEM;
    }
    memcpy(new->refs, refs, count * sizeof(*refs));
    new->shared = gntdev->shared;
    new->count = count;
    new->listed = true;
    /* The first gap of the indexes, as Linux looks for it. */
    for (at = &gntdev->registrations; *at && new->index + count >= (*at)->index;
         at = &(*at)->next) {
        new->index = (*at)->index + (*at)->count;
    }
    new->next = *at;
    *at = new;
    *ret_index = new->index *WIRE_PAGE_BYTES;
    return 0;
}

static struct registration **find(struct sim_gntdev *gntdev, uint64_t index,
                                  uint32_t count)
{
    struct registration **at = &gntdev->registrations;

    while (*at &&
           ((*at)->index != index / WIRE_PAGE_BYTES || (*at)->count != count)) {
        at = &(*at)->next;
    }
    return at;
}

int sim_gntdev_unregister(struct sim_gntdev *gntdev, uint64_t index,
                          uint32_t count)
{
    struct registration **at = find(gntdev, index, count), *registration = *at;

    if (!registration) {
        return -ENOENT;
    }
    *at = registration->next;
    registration->listed = false;
    registration_end(registration);
    return 0;
}

int sim_gntdev_notice(struct sim_gntdev *gntdev, struct sim_ports *ports,
                      uint64_t index, uint32_t flags, uint32_t number)
{
    struct registration *registration = gntdev->registrations;
    uint64_t begin = 0;

    for (; registration; registration = registration->next) {
        begin = registration->index * WIRE_PAGE_BYTES;
        if (index >= begin &&
            index < begin + (uint64_t)registration->count * WIRE_PAGE_BYTES) {
            break;
        }
    }
    if (!registration) {
        return -ENOENT;
    }
    if ((flags & UNMAP_NOTIFY_CLEAR_BYTE) && registration->readonly) {
        return -EINVAL;
    }
    return sim_notice_set(&registration->notice, ports, flags, index - begin,
                          number);
}

/* ---- Mapping ----------------------------------------------------------- */

static int map_new(struct sim_map **ret_map, struct sim_maps *maps,
                   uint32_t count)
{
    struct sim_map *map = calloc(1, sizeof(*map) + count * sizeof(void *));
    struct sim_map **grown;
    uint32_t i;

    if (!map) {
        return -ENOMEM;
    }
    for (i = 0; i < maps->num && maps->maps[i]; i++) {
    }
    if (i == maps->num) {
        grown = realloc(maps->maps, (i + 1) * sizeof(struct sim_map *));
        if (!grown) {
            free(map);
            return -ENOMEM;
        }
        maps->maps = grown;
        maps->num++;
    }
    maps->maps[i] = map;
    map->maps = maps;
    map->number = i + 1;
    map->count = count;
    *ret_map = map;
    return 0;
}

int sim_map_own(struct sim_maps *maps, struct sim_gntalloc *gntalloc,
                uint64_t index, uint32_t count, struct sim_map **ret_map)
{
    struct sim_page **pages = sim_gntalloc_find(gntalloc, index, count);
    uint32_t i;
    int ret;

    if (!pages) {
        return -ENOENT;
    }
    ret = map_new(ret_map, maps, count);
    if (ret < 0) {
        return ret;
    }
    for (i = 0; i < count; i++) {
        sim_page_use(pages[i]);
        (*ret_map)->pages[i] = pages[i];
    }
    (*ret_map)->held = count;
    (*ret_map)->writable = true;
    return 0;
}

int sim_map_inherit(struct sim_maps *maps, const struct sim_map *map,
                    uint32_t first, uint32_t count, struct sim_map **ret_map)
{
    uint32_t i;
    int ret;

    if (map->registration || first > map->count || count > map->count - first) {
        return -EINVAL;
    }
    ret = map_new(ret_map, maps, map->count);
    if (ret < 0) {
        return ret;
    }
    for (i = first; i < first + count; i++) {
        if (map->pages[i]) {
            sim_page_use(map->pages[i]);
            (*ret_map)->pages[i] = map->pages[i];
        }
    }
    (*ret_map)->held = count;
    (*ret_map)->writable = true;
    return 0;
}

/* All pages of @registration, if @mapper may map every one. */
static int find_pages(const struct registration *registration,
                      const struct sim_mapper *mapper, bool writable,
                      struct sim_host *host, struct sim_page **pages)
{
    const struct wire_ref *ref = registration->refs;
    const struct sim_grants *grants;
    uint32_t i;

    for (i = 0; i < registration->count; i++, ref++) {
        grants = sim_xen_grants(host, ref->domid);
        pages[i] =
            grants ? sim_grants_find(grants, ref->ref, mapper->domid, writable)
                   : NULL;
        if (!pages[i]) {
            return -EINVAL;
        }
    }
    return 0;
}

/* Its domain no longer has it. */
static void leave_mapper(struct sim_map *map)
{
    struct sim_map **at;

    if (map->mapper) {
        for (at = &map->mapper->maps; *at != map; at = &(*at)->next) {
        }
        *at = map->next;
        map->mapper = NULL;
    }
}

static void map_free(struct sim_map *map)
{
    leave_mapper(map);
    map->maps->maps[map->number - 1] = NULL;
    free(map);
}

int sim_map_foreign(struct sim_maps *maps, struct sim_gntdev *gntdev,
                    struct sim_mapper *mapper, uint64_t index, uint32_t count,
                    bool writable, struct sim_host *host,
                    struct sim_map **ret_map)
{
    struct registration *registration = *find(gntdev, index, count);
    struct sim_map *map;
    uint32_t i;
    int ret;

    if (!registration || registration->map ||
        (writable && registration->readonly)) {
        return -EINVAL;
    }
    /* Linux: the first mmap, even one that fails, says for good. */
    if (!registration->flagged) {
        registration->flagged = true;
        registration->readonly = !writable;
    }
    ret = map_new(&map, maps, count);
    if (ret < 0) {
        return ret;
    }
    ret = find_pages(registration, mapper, writable, host, map->pages);
    if (ret < 0) {
        map_free(map);
        return ret;
    }
    for (i = 0; i < count; i++) {
        sim_page_map(map->pages[i]);
    }
    map->held = count;
    map->writable = writable;
    map->registration = registration;
    registration->map = map;
    map->mapper = mapper;
    map->next = mapper->maps;
    mapper->maps = map;
    *ret_map = map;
    return 0;
}

struct sim_map *sim_map_find(const struct sim_maps *maps, uint32_t number)
{
    return number && number <= maps->num ? maps->maps[number - 1] : NULL;
}

uint32_t sim_map_number(const struct sim_map *map)
{
    return map->number;
}

uint32_t sim_map_runs(const struct sim_map *map, uint32_t first,
                      struct wire_run *runs, uint32_t num_runs, int *ret_fd)
{
    struct wire_run *run = NULL;
    uint32_t num = 0, i;
    uint64_t offset;
    int fd;

    for (i = first; i < map->count && map->pages[i]; i++) {
        fd = sim_page_place(map->pages[i], map->writable, &offset);
        if (num && fd != *ret_fd) {
            break;
        }
        *ret_fd = fd;
        if (run &&
            run->offset + (uint64_t)run->pages * WIRE_PAGE_BYTES == offset) {
            run->pages++;
            continue;
        }
        if (num == num_runs) {
            break;
        }
        run = &runs[num++];
        *run = (struct wire_run){.first = i, .pages = 1, .offset = offset};
    }
    return num;
}

/* ---- Unmapping --------------------------------------------------------- */

/* The kernel clears the byte when its page is unmapped, and just once. */
static void clear_byte(struct registration *registration, struct sim_page *page,
                       uint32_t i)
{
    struct sim_notice *notice = &registration->notice;

    if ((notice->flags & UNMAP_NOTIFY_CLEAR_BYTE) && !registration->readonly &&
        !sim_shared_quiet(registration->shared) &&
        notice->byte / WIRE_PAGE_BYTES == i) {
        sim_page_clear(page, (uint32_t)(notice->byte % WIRE_PAGE_BYTES));
        notice->flags &= ~UNMAP_NOTIFY_CLEAR_BYTE;
    }
}

static void remove_page(struct sim_map *map, uint32_t i)
{
    struct sim_page *page = map->pages[i];

    if (!page) {
        return;
    }
    map->pages[i] = NULL;
    if (map->registration) {
        sim_page_unmap(page);
    } else {
        sim_page_unuse(page);
    }
}

static void leave_registration(struct sim_map *map)
{
    struct registration *registration = map->registration;

    if (registration) {
        map->registration = NULL;
        registration->map = NULL;
        registration_end(registration);
    }
}

void sim_map_remove(struct sim_map *map, uint32_t first, uint32_t count)
{
    uint32_t i;

    if (first > map->count || count > map->count - first || count > map->held) {
        return;
    }
    for (i = first; i < first + count; i++) {
        if (map->registration && map->pages[i]) {
            clear_byte(map->registration, map->pages[i], i);
        }
        remove_page(map, i);
    }
    map->held -= count;
    if (!map->held) {
        leave_registration(map);
        map_free(map);
    }
}

void sim_maps_clear(struct sim_maps *maps)
{
    struct sim_map *map;
    uint32_t i;

    for (i = 0; i < maps->num; i++) {
        map = maps->maps[i];
        if (map) {
            map->held = map->count;
            sim_map_remove(map, 0, map->count);
        }
    }
    free(maps->maps);
    *maps = (struct sim_maps){0};
}

/* The processes' numbers stay taken until they unmap. */
void sim_mapper_clear(struct sim_mapper *mapper)
{
    struct sim_map *map;
    uint32_t i;

    while (mapper->maps) {
        map = mapper->maps;
        for (i = 0; i < map->count; i++) {
            remove_page(map, i);
        }
        sim_notice_clear(&map->registration->notice);
        leave_registration(map);
        leave_mapper(map);
    }
}

unsigned int sim_mapper_audit(const struct sim_mapper *mapper, FILE *out)
{
    const struct sim_map *map;
    unsigned int found = 0;

    for (map = mapper->maps; map; map = map->next) {
        found++;
        if (out) {
            fprintf(out, "domain %u: %u pages of domain %u mapped\n",
                    mapper->domid, map->held, map->registration->refs[0].domid);
        }
    }
    return found;
}
