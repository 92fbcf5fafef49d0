/* SPDX-License-Identifier: MIT */
/*
 * mmap of gntalloc and gntdev, and the calls that change what is mapped there.
 * Whatever takes a page away, munmap or something mapped or moved over it: the
 * host is told before the call returns.
 */
#undef _FORTIFY_SOURCE
#include "device_regions.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

/* ---- mmap of a device -------------------------------------------------- */

struct mapping {
    struct region region; /* what its regions have in common */
    uintptr_t at;
    uint32_t count;
    int prot;
    int flags;
};

/* Maps the runs of an answer, which lie in @fd.  *@at is the next page. */
static int map_runs(const struct mapping *mapping, const struct wire_run *runs,
                    uint32_t num_runs, int fd, uint32_t *at)
{
    struct region region = mapping->region;
    uint32_t i;

    if (num_runs == 0 || region_reserve(num_runs + 2) < 0) {
        return -ENOMEM;
    }
    for (i = 0; i < num_runs; i++) {
        region.first = runs[i].first;
        region.start = mapping->at + runs[i].first * PAGE;
        region.end = region.start + runs[i].pages * PAGE;
        if (device_mmap(
                (void *)region.start, region.end - region.start, mapping->prot,
                MAP_SHARED | MAP_FIXED | (mapping->flags & MAP_POPULATE), fd,
                (off_t)runs[i].offset) == MAP_FAILED) {
            return -errno;
        }
        region_insert(&region);
        *at = runs[i].first + runs[i].pages;
    }
    return 0;
}

/* Asks for the pages and maps them over what is reserved. */
static int map_pages(struct mapping *mapping, struct wire_request *request)
{
    struct wire_run runs[WIRE_MAX_RUNS];
    struct wire_answer answer;
    uint32_t at = 0;
    int fd, ret;

    do {
        ret = device_ask(request, NULL, &answer, runs, sizeof(runs), &fd);
        if (ret < 0) {
            return ret;
        }
        mapping->region.map = answer.map;
        ret = map_runs(mapping, runs, answer.num, fd, &at);
        if (fd >= 0) {
            syscall(SYS_close, fd);
        }
        request->op = WIRE_RUNS;
        request->map = answer.map;
        request->first = at;
    } while (ret == 0 && at < mapping->count);
    if (ret == 0 && mapping->region.gntdev) {
        ret = syscall(SYS_madvise, mapping->at, mapping->count * PAGE,
                      MADV_DONTFORK) < 0
                  ? -errno
                  : 0;
    }
    return ret;
}

static void undo(const struct mapping *mapping)
{
    struct region all = mapping->region;
    uint32_t i;

    syscall(SYS_munmap, mapping->at, mapping->count * PAGE);
    if (!all.map) {
        return;
    }
    for (i = regions.num; i-- > 0;) {
        if (regions.list[i].map == all.map) {
            region_take_out(i);
        }
    }
    all.first = 0;
    all.start = mapping->at;
    all.end = mapping->at + mapping->count * PAGE;
    region_tell_unmapped(&all);
}

static int map_locked(struct mapping *mapping, struct wire_request *request,
                      void *at)
{
    size_t bytes = mapping->count * PAGE;
    int ret = region_reserve(2);

    if (ret < 0) {
        return ret;
    }
    mapping->at = (uintptr_t)device_mmap(
        at, bytes, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
            (mapping->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)),
        -1, 0);
    if ((void *)mapping->at == MAP_FAILED) {
        return -errno;
    }
    if (mapping->flags & MAP_FIXED) {
        region_remove_range(mapping->at, mapping->at + bytes);
    }
    ret = map_pages(mapping, request);
    if (ret < 0) {
        undo(mapping);
    }
    return ret;
}

static void *map_device(struct device *device, void *at, size_t bytes, int prot,
                        int flags, off_t offset)
{
    struct wire_request request = {
        .op = WIRE_MAP,
        .inode = device->inode,
        .index = (uint64_t)offset,
        .flags = (uint32_t)prot,
        .count = (uint32_t)(region_round_up(bytes) / PAGE)};
    struct mapping mapping = {
        .region = {.gntdev = device->kind == WIRE_GNTDEV,
                   .dont_fork = device->kind == WIRE_GNTDEV,
                   .index = (uint64_t)offset,
                   .count = request.count},
        .count = request.count,
        .prot = prot,
        .flags = flags,
    };
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    int ret = -EINVAL;

    if (bytes && !(offset & (off_t)(PAGE - 1)) &&
        (shared || (mapping.region.gntdev && !(prot & PROT_WRITE)))) {
        device_lock(&regions.lock);
        ret = map_locked(&mapping, &request, at);
        device_unlock(&regions.lock);
    }
    if (ret < 0) {
        errno = -ret;
        return MAP_FAILED;
    }
    return (void *)mapping.at;
}

/* ---- The calls --------------------------------------------------------- */

void *mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    struct device *device =
        fd >= 0 && !(flags & MAP_ANONYMOUS) ? device_find(fd, true) : NULL;
    void *got;

    if (device && device->kind != WIRE_EVTCHN) {
        return map_device(device, at, bytes, prot, flags, offset);
    }
    if (!(flags & MAP_FIXED) || !region_touches(at, bytes)) {
        return device_mmap(at, bytes, prot, flags, fd, offset);
    }
    device_lock(&regions.lock);
    if (region_reserve(2) < 0) {
        got = MAP_FAILED;
        errno = ENOMEM;
    } else {
        got = device_mmap(at, bytes, prot, flags, fd, offset);
        if (got != MAP_FAILED) {
            region_remove_range((uintptr_t)at,
                                (uintptr_t)at + region_round_up(bytes));
        }
    }
    device_unlock(&regions.lock);
    return got;
}

void *mmap64(void *at, size_t bytes, int prot, int flags, int fd,
             off64_t offset)
{
    return mmap(at, bytes, prot, flags, fd, offset);
}

static int unmap_locked(void *at, size_t bytes)
{
    uintptr_t start = (uintptr_t)at;

    if (region_reserve(2) < 0) {
        errno = ENOMEM;
        return -1;
    }
    if (syscall(SYS_munmap, at, bytes) < 0) {
        return -1;
    }
    region_remove_range(start, start + region_round_up(bytes));
    return 0;
}

int munmap(void *at, size_t bytes)
{
    int ret;

    if (!region_touches(at, bytes)) {
        return (int)syscall(SYS_munmap, at, bytes);
    }
    device_lock(&regions.lock);
    ret = unmap_locked(at, bytes);
    device_unlock(&regions.lock);
    return ret;
}

/*
 * Moves what is from @start to @end, region by region: the kernel moves what is
 * one mapping to it, but what is one to the program may be several.
 */
static int move_pieces(uintptr_t start, uintptr_t end, uintptr_t to)
{
    uintptr_t at = start, stop;
    uint32_t i;

    while (at < end) {
        i = region_first_after(at);
        stop = i == regions.num             ? end
               : regions.list[i].start > at ? regions.list[i].start
                                            : regions.list[i].end;
        stop = stop < end ? stop : end;
        if (device_mremap((void *)at, stop - at, stop - at,
                          MREMAP_MAYMOVE | MREMAP_FIXED,
                          (void *)(to + (at - start))) == MAP_FAILED) {
            return -errno;
        }
        at = stop;
    }
    return 0;
}

/* The records follow what has been moved. */
static void move_records(uintptr_t start, uintptr_t end, uintptr_t to)
{
    struct region region;
    uint32_t i;

    region_split(start);
    region_split(end);
    while (i = region_first_after(start),
           i < regions.num && regions.list[i].start < end) {
        region = regions.list[i];
        region_take_out(i);
        region.start = region.start - start + to;
        region.end = region.end - start + to;
        region_insert(&region);
    }
}

static int move(uintptr_t start, uintptr_t end, uintptr_t to)
{
    int ret;

    if (to & (PAGE - 1) || (to < end && start < to + (end - start))) {
        return -EINVAL;
    }
    ret = move_pieces(start, end, to);
    if (ret == 0) {
        region_remove_range(to, to + (end - start));
        move_records(start, end, to);
    }
    return ret;
}

/* Of our pages: never grows, as VM_DONTEXPAND says. */
static void *remap_own(void *old, size_t old_bytes, size_t bytes, int flags,
                       void *to)
{
    uintptr_t start = (uintptr_t)old;
    int ret;

    old_bytes = region_round_up(old_bytes);
    bytes = region_round_up(bytes);
    if (!bytes || !old_bytes || start & (PAGE - 1) ||
        (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED))) {
        ret = -EINVAL;
    } else if (bytes > old_bytes) {
        ret = -EFAULT;
    } else {
        ret = bytes < old_bytes && unmap_locked((void *)(start + bytes),
                                                old_bytes - bytes) < 0
                  ? -errno
                  : 0;
    }
    if (ret == 0 && flags & MREMAP_FIXED) {
        ret = move(start, start + bytes, (uintptr_t)to);
    }
    if (ret < 0) {
        errno = -ret;
        return MAP_FAILED;
    }
    return flags & MREMAP_FIXED ? to : old;
}

static void *remap_over(void *old, size_t old_bytes, size_t bytes, int flags,
                        void *to)
{
    void *got = device_mremap(old, old_bytes, bytes, flags, to);

    if (got != MAP_FAILED) {
        region_remove_range((uintptr_t)to,
                            (uintptr_t)to + region_round_up(bytes));
    }
    return got;
}

void *mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...)
{
    bool own = region_touches(old, old_bytes);
    void *to = NULL, *got;
    va_list args;

    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        va_start(args, flags);
        to = va_arg(args, void *);
        va_end(args);
    }
    if (!own && !(flags & MREMAP_FIXED && region_touches(to, bytes))) {
        return device_mremap(old, old_bytes, bytes, flags, to);
    }
    device_lock(&regions.lock);
    /* region_touches() says only that it may be. */
    own = region_first_after((uintptr_t)old) < regions.num &&
          regions.list[region_first_after((uintptr_t)old)].start <
              (uintptr_t)old + region_round_up(old_bytes);
    if (region_reserve(4) < 0) {
        got = MAP_FAILED;
        errno = ENOMEM;
    } else if (own) {
        got = remap_own(old, old_bytes, bytes, flags, to);
    } else if (flags & MREMAP_FIXED) {
        got = remap_over(old, old_bytes, bytes, flags, to);
    } else {
        got = device_mremap(old, old_bytes, bytes, flags, to);
    }
    device_unlock(&regions.lock);
    return got;
}

static int advise_own(void *at, size_t bytes, int advice)
{
    uintptr_t start = (uintptr_t)at, end = start + region_round_up(bytes);
    uint32_t i;

    if (region_reserve(2) < 0) {
        return -ENOMEM;
    }
    region_split(start);
    region_split(end);
    for (i = region_first_after(start);
         i < regions.num && regions.list[i].start < end; i++) {
        /* A foreign page has one mapping; and none may be punched out. */
        if (advice == MADV_REMOVE ||
            (advice == MADV_DOFORK && regions.list[i].gntdev)) {
            return -EINVAL;
        }
    }
    if (syscall(SYS_madvise, at, bytes, advice) < 0) {
        return -errno;
    }
    for (i = region_first_after(start);
         i < regions.num && regions.list[i].start < end; i++) {
        regions.list[i].dont_fork = advice == MADV_DONTFORK;
    }
    return 0;
}

int madvise(void *at, size_t bytes, int advice)
{
    int ret;

    if ((advice != MADV_DONTFORK && advice != MADV_DOFORK &&
         advice != MADV_REMOVE) ||
        !region_touches(at, bytes)) {
        return (int)syscall(SYS_madvise, at, bytes, advice);
    }
    device_lock(&regions.lock);
    ret = advise_own(at, bytes, advice);
    device_unlock(&regions.lock);
    if (ret < 0) {
        errno = -ret;
        return -1;
    }
    return 0;
}

/* ---- Forks ------------------------------------------------------------- */

void device_memory_before_fork(void)
{
    struct wire_request request = {.op = WIRE_INHERIT};
    struct wire_answer answer;
    bool inherit = false;
    uint32_t i;

    device_lock(&regions.lock);
    for (i = 0; i < regions.num; i++) {
        inherit |= !regions.list[i].dont_fork;
    }
    device_wire_before_fork(inherit);
    for (i = 0; i < regions.num; i++) {
        regions.list[i].child_map = 0;
        if (regions.list[i].dont_fork) {
            continue;
        }
        request.map = regions.list[i].map;
        request.first = regions.list[i].first;
        request.count = region_pages(&regions.list[i]);
        if (device_ask_for_child(&request, &answer) == 0) {
            regions.list[i].child_map = answer.map;
        }
    }
}

void device_memory_after_fork(bool child)
{
    uint32_t i;

    device_wire_after_fork(child);
    for (i = 0; child && i < regions.num;) {
        if (regions.list[i].child_map) {
            regions.list[i].map = regions.list[i].child_map;
            i++;
        } else {
            region_take_out(i);
        }
    }
    device_unlock(&regions.lock);
}
