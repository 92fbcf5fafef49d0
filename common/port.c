/* SPDX-License-Identifier: MIT */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenevtchn.h>

/* More ports than a connection can have. */
#define DRAIN_PORTS 64

struct hcl_ports {
    xenevtchn_handle *handle; /* owned */
    uint32_t bound;
};

static int ports_wrap(struct hcl_ports **ret_ports, xenevtchn_handle *handle,
                      struct hcl_err *err)
{
    struct hcl_ports *ports = calloc(1, sizeof(*ports));
    int fd = xenevtchn_fd(handle);

    if (!ports) {
        xenevtchn_close(handle);
        return hcl_err_sys(err, -ENOMEM, "event channels");
    }
    /* xenevtchn.h knows systems where that does not help; Linux is none. */
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    ports->handle = handle;
    *ret_ports = ports;
    return 0;
}

int hcl_ports_open(struct hcl_ports **ret_ports, struct hcl_err *err)
{
    xenevtchn_handle *handle = xenevtchn_open(NULL, 0);

    if (!handle) {
        return hcl_err_sys(err, -errno,
                           "cannot open /dev/xen/evtchn (is this a Xen domain, "
                           "and the module xen-evtchn loaded?)");
    }
    return ports_wrap(ret_ports, handle, err);
}

int hcl_ports_adopt(struct hcl_ports **ret_ports, int fd, struct hcl_err *err)
{
    xenevtchn_handle *handle = xenevtchn_fdopen(NULL, fd, 0);

    if (!handle) {
        int rc =
            hcl_err_sys(err, -errno, "cannot adopt an event channel handle");

        close(fd);
        return rc;
    }
    return ports_wrap(ret_ports, handle, err);
}

void hcl_ports_free(struct hcl_ports *ports)
{
    if (!ports) {
        return;
    }
    xenevtchn_close(ports->handle);
    free(ports);
}

void hcl_ports_park(struct hcl_ports *ports)
{
    /* The handle is left open on purpose: see the header. */
    free(ports);
}

int hcl_ports_restrict(struct hcl_ports *ports, uint32_t domid,
                       struct hcl_err *err)
{
    if (xenevtchn_restrict(ports->handle, (domid_t)domid) < 0) {
        return hcl_err_sys(
            err, -errno, "cannot restrict event channels to domain %u", domid);
    }
    return 0;
}

int hcl_ports_fd(const struct hcl_ports *ports)
{
    return xenevtchn_fd(ports->handle);
}

uint32_t hcl_ports_count(const struct hcl_ports *ports)
{
    return ports->bound;
}

int hcl_ports_alloc(struct hcl_ports *ports, uint32_t domid, uint32_t *ret_port,
                    struct hcl_err *err)
{
    int port = xenevtchn_bind_unbound_port(ports->handle, domid);

    if (port < 0) {
        return hcl_err_sys(err, -errno,
                           "cannot allocate an event channel for domain %u",
                           domid);
    }
    ports->bound++;
    *ret_port = (uint32_t)port;
    return 0;
}

int hcl_ports_bind(struct hcl_ports *ports, uint32_t domid,
                   uint32_t remote_port, uint32_t *ret_port,
                   struct hcl_err *err)
{
    int port = xenevtchn_bind_interdomain(ports->handle, domid, remote_port);

    if (port < 0) {
        return hcl_err_sys(err, -errno,
                           "cannot bind to event channel %u of domain %u",
                           remote_port, domid);
    }
    ports->bound++;
    *ret_port = (uint32_t)port;
    return 0;
}

void hcl_ports_unbind(struct hcl_ports *ports, uint32_t port)
{
    if (xenevtchn_unbind(ports->handle, port) == 0) {
        ports->bound--;
    }
}

void hcl_ports_notify(struct hcl_ports *ports, uint32_t port)
{
    /* Fails if the peer closed its end: its death is noticed elsewhere. */
    (void)xenevtchn_notify(ports->handle, port);
}

int hcl_ports_drain(struct hcl_ports *ports)
{
    uint32_t pending[DRAIN_PORTS];
    int fd = hcl_ports_fd(ports);
    ssize_t got;

    /* As xenevtchn_pending and _unmask do, for all ports in two calls. */
    got = read(fd, pending, sizeof(pending));
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    if (write(fd, pending, (size_t)got) < 0) {
        return -errno;
    }
    return got > 0;
}
