/* SPDX-License-Identifier: MIT */
#include "frontend_xen.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake_xenstore.h"
#include "forkguard.h"
#include "grant.h"
#include "hclif.h"
#include "port.h"

struct xen xen;
static uint32_t last_ref;
static uint64_t last_random;

void xen_reset(void)
{
    memset(&xen, 0, sizeof(xen));
    last_ref = 100;
    last_random = 0;
}

/* The failure that is due, once. */
static int fails(int *code, const char *what, struct hcl_err *err)
{
    int ret = *code;

    *code = 0;
    return ret < 0 ? hcl_err_sys(err, ret, "cannot %s", what) : 0;
}

/* ---- grant.h ----------------------------------------------------------- */

struct hcl_share {
    char unused;
};

static size_t bytes_of(uint32_t pages)
{
    return (size_t)pages * HCLIF_PAGE_BYTES;
}

static void *zeroed_pages(size_t bytes)
{
    void *pages = aligned_alloc(HCLIF_PAGE_BYTES, bytes);

    if (!pages) {
        abort();
    }
    return memset(pages, 0, bytes);
}

int hcl_share_open(struct hcl_share **ret_share, struct hcl_err *err)
{
    int ret = fails(&xen.fail_share, "open gntalloc", err);

    if (ret == 0) {
        *ret_share = malloc(sizeof(**ret_share));
    }
    return ret;
}

void hcl_share_free(struct hcl_share *share)
{
    free(share);
}

int hcl_share_pages(struct hcl_share *share, uint32_t domid, uint32_t count,
                    bool writable, uint32_t *refs, void **ret_pages,
                    struct hcl_err *err)
{
    int ret = fails(&xen.fail_share, "share", err);
    void *pages;

    (void)domid;
    (void)writable;
    assert(share && count > 0);
    if (ret < 0) {
        return ret;
    }
    pages = zeroed_pages(bytes_of(count));
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = ++last_ref;
    }
    xen.pages += count;
    *ret_pages = pages;
    return 0;
}

int hcl_share_page_notify(struct hcl_share *share, uint32_t domid,
                          bool writable, uint32_t offset, uint32_t *ret_ref,
                          void **ret_page, struct hcl_err *err)
{
    (void)offset;
    return hcl_share_pages(share, domid, 1, writable, ret_ref, ret_page, err);
}

uint32_t hcl_share_count(const struct hcl_share *share)
{
    (void)share;
    return xen.pages;
}

uint64_t hcl_share_operations(const struct hcl_share *share)
{
    (void)share;
    return 0;
}

void hcl_share_unmap(struct hcl_share *share, void *pages, uint32_t count)
{
    (void)share;
    if (pages) {
        free(pages);
        xen.pages -= count;
    }
}

/* For all who look at them afterwards the same as mremap. */
static int move(void *from, uint32_t count, void *to)
{
    memcpy(to, from, bytes_of(count));
    free(from);
    return 0;
}

int hcl_share_move(struct hcl_share *share, void *pages, uint32_t count,
                   void *at, struct hcl_err *err)
{
    (void)share;
    (void)err;
    return move(pages, count, at);
}

int hcl_share_replace(struct hcl_share *share, void *pages, uint32_t count,
                      void *private, struct hcl_err *err)
{
    (void)share;
    (void)err;
    xen.pages -= count;
    return move(private, count, pages);
}

int hcl_share_fd(const struct hcl_share *share)
{
    (void)share;
    return -1;
}

/* ---- port.h ------------------------------------------------------------ */

struct hcl_ports {
    char unused;
};

int hcl_ports_open(struct hcl_ports **ret_ports, struct hcl_err *err)
{
    int ret = fails(&xen.fail_ports, "open evtchn", err);

    if (ret < 0) {
        return ret;
    }
    assert(!xen.ports_open);
    xen.ports_open = true;
    xen.lost = false;
    xen.event = false;
    *ret_ports = malloc(sizeof(**ret_ports));
    return 0;
}

/* After a restore Linux would have a BUG here (doc/protocol.md 2.7). */
void hcl_ports_free(struct hcl_ports *ports)
{
    if (ports) {
        assert(xen.ports_open && !xen.lost);
        xen.ports_open = false;
        free(ports);
    }
}

void hcl_ports_park(struct hcl_ports *ports)
{
    assert(xen.ports_open);
    xen.ports_open = false;
    free(ports);
}

int hcl_ports_fd(const struct hcl_ports *ports)
{
    (void)ports;
    return XEN_PORTS_FD;
}

int hcl_ports_alloc(struct hcl_ports *ports, uint32_t domid, uint32_t *ret_port,
                    struct hcl_err *err)
{
    (void)ports;
    (void)domid;
    *ret_port = 14;
    return fails(&xen.fail_ports, "allocate a port", err);
}

void hcl_ports_notify(struct hcl_ports *ports, uint32_t port)
{
    (void)ports;
    assert(port == 14 && xen.ports_open && !xen.lost);
    xen.rung();
}

int hcl_ports_drain(struct hcl_ports *ports)
{
    (void)ports;
    xen.event = false;
    return fails(&xen.fail_ports, "read", NULL) < 0 ? -EIO : 1;
}

/* ---- forkguard.h, and the kernel's by --wrap of the linker -------------- */

static bool held;

void hcl_fork_guard_hold(void)
{
    assert(!held);
    held = true;
}

void hcl_fork_guard_let_go(void)
{
    assert(held);
    held = false;
}

void hcl_fork_guard_park(struct hcl_fork_guard *guard, enum hcl_fork_fd which)
{
    assert(which == HCL_FORK_PORTS && !held);
    (void)guard;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd,
                  off_t offset);
int __wrap_munmap(void *pages, size_t bytes);
int __wrap_madvise(void *pages, size_t bytes, int advice);

/* From the heap, where the address sanitizer watches what is beside them. */
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd,
                  off_t offset)
{
    (void)offset;
    assert(!at && prot == (PROT_READ | PROT_WRITE) && fd == -1);
    assert(flags == (MAP_PRIVATE | MAP_ANONYMOUS));
    return zeroed_pages(bytes);
}

int __wrap_munmap(void *pages, size_t bytes)
{
    (void)bytes;
    free(pages);
    return 0;
}

int __wrap_madvise(void *pages, size_t bytes, int advice)
{
    (void)pages;
    (void)bytes;
    (void)advice;
    return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    assert(count == 1 && timeout == 0 && fds->fd == FAKE_XS_FD && !held);
    return fake_xs.num_events > 0 || fake_xs.broken;
}

/* Different each time, and the same in each run. */
ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags)
{
    uint64_t value = UINT64_C(0x1000000000000001) + ++last_random;

    assert(bytes == sizeof(value));
    /* As an old kernel, and one that is interrupted. */
    if (flags && last_random % 3 == 0) {
        errno = EINVAL;
        return -1;
    }
    if (!flags && last_random % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    memcpy(buf, &value, sizeof(value));
    return (ssize_t)bytes;
}
