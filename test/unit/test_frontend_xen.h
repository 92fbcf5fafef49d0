/* SPDX-License-Identifier: MIT */
/*
 * A Xen for tests of the frontend, in the same process: xenstore, grants and
 * event channels stand before those of the real libraries, and a backend acts
 * whenever the frontend has written or rung.  Everything is deterministic: the
 * backend runs inside the frontend's calls, never beside them.  Each thread has
 * a Xen of its own.
 *
 * Shared pages are memfds, so that mapping, moving and unmapping them is real.
 */
#ifndef TEST_FRONTEND_XEN_H
#define TEST_FRONTEND_XEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xentoollog.h>

#include "hclif.h"
#include "layout.h"
#include "ring.h"
#include "test_frontend_store.h"

#define PAGE ((size_t)4096)
#define MAX_REFS 256
#define MAX_HELD 256

/* ---- Grants ------------------------------------------------------------ */

struct xengntdev_handle {
    int fd;
};

static _Thread_local struct {
    struct xengntdev_handle handle;
    unsigned int handles;
    uint32_t next_ref, limit; /* pages that may be shared */
    struct {
        int fd; /* -1: none */
        uint32_t page;
        uint32_t domid;
        bool writable;
    } refs[MAX_REFS];
} grants;

xengntshr_handle *xengntshr_open(xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    grants.handle.fd = open("/dev/null", O_RDWR);
    grants.handles++;
    return &grants.handle;
}

int xengntshr_close(xengntshr_handle *handle)
{
    grants.handles--;
    return close(handle->fd);
}

int xengntshr_fd(xengntshr_handle *handle)
{
    return handle->fd;
}

void *xengntshr_share_pages(xengntshr_handle *handle, uint32_t domid, int count,
                            uint32_t *refs, int writable)
{
    uint32_t i, ref;
    void *pages;
    int fd;

    (void)handle;
    if (grants.limit < (uint32_t)count) {
        errno = ENOSPC;
        return NULL;
    }
    grants.limit -= (uint32_t)count;
    fd = memfd_create("hcl-shared", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(count * (int)PAGE)), 0);
    pages = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                 fd, 0);
    assert_true(pages != MAP_FAILED);
    for (i = 0; i < (uint32_t)count; i++) {
        ref = grants.next_ref++ % MAX_REFS;
        if (grants.refs[ref].fd >= 0) {
            close(grants.refs[ref].fd);
        }
        grants.refs[ref].fd = dup(fd);
        grants.refs[ref].page = i;
        grants.refs[ref].domid = domid;
        grants.refs[ref].writable = writable;
        refs[i] = ref;
    }
    close(fd);
    return pages;
}

void *xengntshr_share_page_notify(xengntshr_handle *handle, uint32_t domid,
                                  uint32_t *ref, int writable,
                                  uint32_t notify_offset,
                                  evtchn_port_t notify_port)
{
    assert_int_equal(notify_offset, 0);
    assert_int_equal(notify_port, UINT32_MAX);
    return xengntshr_share_pages(handle, domid, 1, ref, writable);
}

int xengntshr_unshare(xengntshr_handle *handle, void *pages, uint32_t count)
{
    (void)handle;
    return munmap(pages, count * PAGE);
}

/* The backend's own mapping of @count pages. */
__attribute__((unused)) static void *map_refs(const uint32_t *refs,
                                              uint32_t count, bool writable)
{
    uint8_t *pages =
        mmap(NULL, count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t i;

    assert_true(pages != MAP_FAILED);
    for (i = 0; i < count; i++) {
        assert_true(refs[i] < MAX_REFS && grants.refs[refs[i]].fd >= 0);
        assert_int_equal(grants.refs[refs[i]].writable, writable);
        assert_true(mmap(pages + i * PAGE, PAGE,
                         writable ? PROT_READ | PROT_WRITE : PROT_READ,
                         MAP_SHARED | MAP_FIXED, grants.refs[refs[i]].fd,
                         (off_t)(grants.refs[refs[i]].page * PAGE)) !=
                    MAP_FAILED);
    }
    return pages;
}

/* How many mappings of shared pages this process has. */
__attribute__((unused)) static unsigned int shared_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned int count = 0;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        count += strstr(line, "memfd:hcl-shared") != NULL;
    }
    fclose(maps);
    return count;
}

/* ---- Event channels ---------------------------------------------------- */

struct xenevtchn_handle {
    int fds[2]; /* ours, the hypervisor's */
};

static _Thread_local struct {
    unsigned int opened, closed;
    struct xenevtchn_handle *last;
    evtchn_port_t port;
    bool lost; /* after a restore: a close would be a BUG in the kernel */
    unsigned int notified;
} events;

/* Not allocated: a parked one is never freed. */
static _Thread_local struct xenevtchn_handle event_handles[1024];
static _Thread_local unsigned int handles_used;

__attribute__((unused)) static void backend_serve(void);

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
                                 unsigned int flags)
{
    struct xenevtchn_handle *handle = &event_handles[handles_used++];

    (void)logger;
    (void)flags;
    assert_true(handles_used <= 1024);
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                handle->fds),
                     0);
    events.opened++;
    events.last = handle;
    return handle;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
                                   unsigned int flags)
{
    (void)logger;
    (void)fd;
    (void)flags;
    fail_msg("the frontend adopts an event channel handle");
    return NULL;
}

int xenevtchn_close(xenevtchn_handle *handle)
{
    assert_false(events.lost);
    if (events.last == handle) {
        events.last = NULL;
    }
    close(handle->fds[0]);
    close(handle->fds[1]);
    handle->fds[0] = -1;
    events.closed++;
    return 0;
}

/* Of the parked ones, which stay open for ever. */
__attribute__((unused)) static void close_parked(void)
{
    unsigned int i;

    for (i = 0; i < handles_used; i++) {
        if (event_handles[i].fds[0] >= 0) {
            xenevtchn_close(&event_handles[i]);
        }
    }
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    return handle->fds[0];
}

int xenevtchn_restrict(xenevtchn_handle *handle, domid_t domid)
{
    (void)handle;
    (void)domid;
    return -1;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    assert_int_equal(port, events.port);
    events.notified++;
    backend_serve();
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *handle,
                                                      uint32_t domid)
{
    (void)handle;
    (void)domid;
    return (xenevtchn_port_or_error_t)(events.port = 14);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle,
                                                     uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    (void)handle;
    (void)domid;
    (void)remote_port;
    return -1;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    (void)port;
    assert_false(events.lost);
    return 0;
}

/* An event for the frontend. */
__attribute__((unused)) static void send_event(void)
{
    uint32_t port = events.port;

    if (events.last) {
        (void)!write(events.last->fds[1], &port, sizeof(port));
    }
}

#endif /* TEST_FRONTEND_XEN_H */
