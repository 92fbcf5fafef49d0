/* SPDX-License-Identifier: MIT */
#include "grant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/sys/gntdev.h>
#include <xengnttab.h>
#include <xentoollog.h>

#include "hclif.h"

#define NO_PORT ((evtchn_port_t)-1)

/* ---- Frontend ---------------------------------------------------------- */

struct hcl_share {
    xengntshr_handle *handle; /* owned */
    uint32_t pages;
    uint64_t operations;
};

/* libxengnttab prints each failure; a library of ours never prints. */
static void silent_message(struct xentoollog_logger *logger,
                           xentoollog_level level, int errnoval,
                           const char *context, const char *format, va_list al)
{
    (void)logger;
    (void)level;
    (void)errnoval;
    (void)context;
    (void)format;
    (void)al;
}

static void silent_progress(struct xentoollog_logger *logger,
                            const char *context, const char *doing, int percent,
                            unsigned long done, unsigned long total)
{
    (void)logger;
    (void)context;
    (void)doing;
    (void)percent;
    (void)done;
    (void)total;
}

static void silent_destroy(struct xentoollog_logger *logger)
{
    (void)logger;
}

static struct xentoollog_logger silent = {
    .vmessage = silent_message,
    .progress = silent_progress,
    .destroy = silent_destroy,
};

int hcl_share_open(struct hcl_share **ret_share, struct hcl_err *err)
{
    struct hcl_share *share = calloc(1, sizeof(*share));
    int ret;

    if (!share) {
        return hcl_err_sys(err, -ENOMEM, "grant sharing");
    }
    share->handle = xengntshr_open(&silent, 0);
    if (!share->handle) {
        ret = hcl_err_sys(err, -errno,
                          "cannot open /dev/xen/gntalloc (is this a Xen "
                          "domain, and the module xen-gntalloc loaded?)");
        free(share);
        return ret;
    }
    /* libxengnttab opens it without O_CLOEXEC; a child must not keep it. */
    if (fcntl(xengntshr_fd(share->handle), F_SETFD, FD_CLOEXEC) < 0) {
        ret = hcl_err_sys(err, -errno, "gntalloc: close-on-exec");
        hcl_share_free(share);
        return ret;
    }
    *ret_share = share;
    return 0;
}

void hcl_share_free(struct hcl_share *share)
{
    if (!share) {
        return;
    }
    xengntshr_close(share->handle);
    free(share);
}

static int share_failed(int code, uint32_t domid, uint32_t count,
                        struct hcl_err *err)
{
    if (code == -ENOSPC) {
        return hcl_err_set(err, code,
                           "cannot share %u pages with domain %u: this guest's "
                           "limit of shared pages is met (see "
                           "/sys/module/xen_gntalloc/parameters/limit)",
                           count, domid);
    }
    return hcl_err_sys(err, code, "cannot share %u pages with domain %u", count,
                       domid);
}

int hcl_share_pages(struct hcl_share *share, uint32_t domid, uint32_t count,
                    bool writable, uint32_t *refs, void **ret_pages,
                    struct hcl_err *err)
{
    void *pages =
        xengntshr_share_pages(share->handle, domid, (int)count, refs, writable);

    share->operations++;
    if (!pages) {
        return share_failed(errno ? -errno : -ENOMEM, domid, count, err);
    }
    share->pages += count;
    *ret_pages = pages;
    return 0;
}

int hcl_share_page_notify(struct hcl_share *share, uint32_t domid,
                          bool writable, uint32_t offset, uint32_t *ret_ref,
                          void **ret_page, struct hcl_err *err)
{
    void *page = xengntshr_share_page_notify(share->handle, domid, ret_ref,
                                             writable, offset, NO_PORT);

    share->operations++;
    if (!page) {
        return share_failed(errno ? -errno : -ENOMEM, domid, 1, err);
    }
    share->pages++;
    *ret_page = page;
    return 0;
}

void hcl_share_unmap(struct hcl_share *share, void *pages, uint32_t count)
{
    if (!pages) {
        return;
    }
    share->operations++;
    if (xengntshr_unshare(share->handle, pages, count) == 0) {
        share->pages -= count;
    }
}

int hcl_share_move(struct hcl_share *share, void *pages, uint32_t count,
                   void *at, struct hcl_err *err)
{
    size_t bytes = (size_t)count * HCLIF_PAGE_BYTES;

    (void)share;
    if (mremap(pages, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) ==
        MAP_FAILED) {
        return hcl_err_sys(err, -errno, "cannot move %u shared pages", count);
    }
    return 0;
}

int hcl_share_replace(struct hcl_share *share, void *pages, uint32_t count,
                      void *private, struct hcl_err *err)
{
    size_t bytes = (size_t)count * HCLIF_PAGE_BYTES;

    share->operations++;
    /* Unmaps what is there, as xengntshr_unshare does. */
    if (mremap(private, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, pages) ==
        MAP_FAILED) {
        return hcl_err_sys(err, -errno, "cannot replace %u shared pages",
                           count);
    }
    share->pages -= count;
    return 0;
}

int hcl_share_fd(const struct hcl_share *share)
{
    return xengntshr_fd(share->handle);
}

uint32_t hcl_share_count(const struct hcl_share *share)
{
    return share->pages;
}

uint64_t hcl_share_operations(const struct hcl_share *share)
{
    return share->operations;
}

/* ---- Backend ----------------------------------------------------------- */

int hcl_gntdev_open(struct hcl_gntdev *gntdev, struct hcl_err *err)
{
    int fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return hcl_err_sys(err, -errno,
                           "cannot open /dev/xen/gntdev (is this a Xen domain, "
                           "and the module xen-gntdev loaded?)");
    }
    gntdev->fd = fd;
    gntdev->registered = 0;
    gntdev->mapped = 0;
    return 0;
}

void hcl_gntdev_close(struct hcl_gntdev *gntdev)
{
    if (gntdev->fd >= 0) {
        close(gntdev->fd);
        gntdev->fd = -1;
    }
}

int hcl_gntdev_register(struct hcl_gntdev *gntdev, uint32_t domid,
                        const uint32_t *refs, uint32_t count,
                        uint64_t *ret_offset, struct hcl_err *err)
{
    struct ioctl_gntdev_map_grant_ref *map;
    uint32_t i;
    int ret = 0;

    map = calloc(1, sizeof(*map) + count * sizeof(map->refs[0]));
    if (!map) {
        return hcl_err_sys(err, -ENOMEM, "%u grant references", count);
    }
    map->count = count;
    for (i = 0; i < count; i++) {
        map->refs[i].domid = domid;
        map->refs[i].ref = refs[i];
    }
    if (ioctl(gntdev->fd, IOCTL_GNTDEV_MAP_GRANT_REF, map) < 0) {
        ret = hcl_err_sys(err, -errno,
                          "cannot register %u grant references of domain %u",
                          count, domid);
    } else {
        gntdev->registered += count;
        *ret_offset = map->index;
    }
    free(map);
    return ret;
}

void hcl_gntdev_unregister(struct hcl_gntdev *gntdev, uint64_t offset,
                           uint32_t count)
{
    struct ioctl_gntdev_unmap_grant_ref unmap = {.index = offset,
                                                 .count = count};

    if (ioctl(gntdev->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap) == 0) {
        gntdev->registered -= count;
    }
}

int hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t count,
                   bool writable, void **ret_pages, struct hcl_err *err)
{
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *pages = mmap(NULL, (size_t)count * HCLIF_PAGE_BYTES, prot, MAP_SHARED,
                       gntdev->fd, (off_t)offset);

    if (pages == MAP_FAILED) {
        return hcl_err_sys(err, -errno, "cannot map %u granted pages", count);
    }
    gntdev->mapped += count;
    *ret_pages = pages;
    return 0;
}

void hcl_gntdev_unmap(struct hcl_gntdev *gntdev, void *pages, uint32_t count)
{
    if (pages && munmap(pages, (size_t)count * HCLIF_PAGE_BYTES) == 0) {
        gntdev->mapped -= count;
    }
}

int hcl_gntdev_notify(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t byte,
                      uint32_t port, struct hcl_err *err)
{
    struct ioctl_gntdev_unmap_notify notify = {
        .index = offset + byte,
        .action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT,
        .event_channel_port = port,
    };

    if (ioctl(gntdev->fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify) < 0) {
        return hcl_err_sys(err, -errno, "cannot set the unmap notification");
    }
    return 0;
}

int hcl_gntdev_read(struct hcl_gntdev *gntdev, uint32_t domid,
                    const uint32_t *refs, uint32_t count, void *buffer,
                    struct hcl_err *err)
{
    uint64_t offset;
    void *pages;
    int ret = hcl_gntdev_register(gntdev, domid, refs, count, &offset, err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_gntdev_map(gntdev, offset, count, false, &pages, err);
    if (ret == 0) {
        memcpy(buffer, pages, (size_t)count * HCLIF_PAGE_BYTES);
        hcl_gntdev_unmap(gntdev, pages, count);
    }
    hcl_gntdev_unregister(gntdev, offset, count);
    return ret;
}
