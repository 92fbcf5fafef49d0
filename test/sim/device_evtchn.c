/* SPDX-License-Identifier: MIT */
/* /dev/xen/evtchn in a program. */
#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/event_channel.h>
#include <xen/sys/evtchn.h>

/* ---- Ports ------------------------------------------------------------- */

static size_t ports_bytes(void)
{
    return WIRE_PORT_NUMBERS * sizeof(struct device_port);
}

/* NULL: no memory. */
static struct device_port *ports_map(struct device *device)
{
    void *ports;

    if (!device->ports) {
        ports = device_mmap(NULL, ports_bytes(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        device->ports = ports == MAP_FAILED ? NULL : ports;
    }
    return device->ports;
}

static void peer_forget(struct device_port *port)
{
    if (port->peer) {
        device_mark_own(port->peer_fd, false);
        syscall(SYS_close, port->peer_fd);
        port->peer = 0;
    }
}

static void port_forget(struct device_port *port)
{
    peer_forget(port);
    port->known = false;
}

void device_evtchn_forget(struct device *device)
{
    uint32_t number;

    if (!device->ports) {
        return;
    }
    for (number = 0; number < WIRE_PORT_NUMBERS; number++) {
        port_forget(&device->ports[number]);
    }
    syscall(SYS_munmap, device->ports, ports_bytes());
    device->ports = NULL;
}

static struct wire_port *wire_of(const struct device_port *port)
{
    return &device_table()->ports[port->slot];
}

static uint64_t state_of(const struct device_port *port)
{
    return __atomic_load_n(&wire_of(port)->state, __ATOMIC_ACQUIRE);
}

static int port_learn(struct device *device, const struct wire_answer *answer)
{
    struct device_port *port = ports_map(device);

    if (!port) {
        return -ENOMEM;
    }
    port += answer->port;
    port_forget(port);
    port->slot = answer->slot;
    port->generation = answer->generation;
    port->known = true;
    return 0;
}

/* Of those that this process does not know it asks the host, once. */
static struct device_port *port_find(struct device *device, uint32_t number)
{
    struct wire_request request = {
        .op = WIRE_PORT_FIND, .inode = device->inode, .port = number};
    struct wire_answer answer;
    struct device_port *port;

    if (number >= WIRE_PORT_NUMBERS) {
        return NULL;
    }
    port = device->ports ? &device->ports[number] : NULL;
    if (port && port->known && state_of(port) >> 32 == port->generation) {
        return port;
    }
    if (device_ask(&request, NULL, &answer, NULL, 0, NULL) < 0 ||
        port_learn(device, &answer) < 0) {
        return NULL;
    }
    return &device->ports[number];
}

/* ---- Sending ----------------------------------------------------------- */

/* The pipe of @peer, or -1: it has gone. */
static int peer_fd(struct device *device, struct device_port *port,
                   uint32_t number, uint64_t peer)
{
    struct wire_request request = {
        .op = WIRE_PEER, .inode = device->inode, .port = number};
    struct wire_answer answer;
    int fd;

    if (port->peer == peer) {
        return port->peer_fd;
    }
    peer_forget(port);
    if (device_ask(&request, NULL, &answer, NULL, 0, &fd) < 0 || fd < 0) {
        return -1;
    }
    port->peer_fd = device_keep_fd(fd);
    port->peer = peer;
    return port->peer_fd;
}

static int stray(struct device *device, uint32_t number)
{
    struct wire_request request = {
        .op = WIRE_STRAY, .inode = device->inode, .port = number};
    struct wire_answer answer;

    return device_ask(&request, NULL, &answer, NULL, 0, NULL);
}

static int notify(struct device *device, uint32_t number)
{
    struct wire_table *table = device_table();
    struct device_port *port = port_find(device, number);
    struct wire_port *other;
    uint32_t other_number;
    uint64_t peer;
    bool crowded;
    int fd;

    if (!port) {
        return -ENOTCONN;
    }
    if (state_of(port) & WIRE_STALE) {
        return stray(device, number);
    }
    peer = __atomic_load_n(&wire_of(port)->peer, __ATOMIC_ACQUIRE);
    if (!peer) {
        return 0; /* the other end has gone, which is no error */
    }
    other = &table->ports[(uint32_t)peer];
    if (wire_lost(table, wire_of(port)->machine, other->machine)) {
        return 0;
    }
    fd = peer_fd(device, port, number, peer);
    if (fd >= 0 &&
        wire_raise(other, (uint32_t)(peer >> 32), &other_number, &crowded)) {
        wire_queue(&table->evtchns[other->evtchn], fd, other_number, crowded);
    }
    return 0;
}

/* ---- Receiving --------------------------------------------------------- */

ssize_t device_evtchn_read(struct device *device, int fd, void *buffer,
                           size_t bytes)
{
    const struct wire_evtchn *evtchn = &device_table()->evtchns[device->slot];

    bytes &= ~(sizeof(evtchn_port_t) - 1);
    if (__atomic_load_n(&evtchn->overflow, __ATOMIC_ACQUIRE)) {
        errno = EFBIG;
        return -1;
    }
    /* The pipe has just what Linux's ring would. */
    return bytes ? device_libc.read(fd, buffer,
                                    bytes < WIRE_PAGE_BYTES ? bytes
                                                            : WIRE_PAGE_BYTES)
                 : 0;
}

/* What has come in the meantime is queued at once, and it stays masked. */
static void unmask(struct device *device, int fd,
                   const struct device_port *port, uint32_t number)
{
    struct wire_port *wire = wire_of(port);
    uint64_t old = state_of(port), new;

    do {
        if (old >> 32 != port->generation || !(old & WIRE_MASKED)) {
            return;
        }
        new =
            old & ~(uint64_t)(old & WIRE_PENDING ? WIRE_PENDING : WIRE_MASKED);
    } while (!__atomic_compare_exchange_n(&wire->state, &old, new, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    if (old & WIRE_PENDING) {
        wire_queue(&device_table()->evtchns[device->slot], fd, number,
                   old & WIRE_CROWDED);
    }
}

ssize_t device_evtchn_write(struct device *device, int fd, const void *buffer,
                            size_t bytes)
{
    struct device_port *port;
    uint32_t number;
    size_t at;

    bytes &= ~(sizeof(evtchn_port_t) - 1);
    bytes = bytes < WIRE_PAGE_BYTES ? bytes : WIRE_PAGE_BYTES;
    device_lock(&device->lock);
    for (at = 0; at < bytes; at += sizeof(number)) {
        memcpy(&number, (const char *)buffer + at, sizeof(number));
        port = port_find(device, number);
        if (port) {
            unmask(device, fd, port, number);
        }
    }
    device_unlock(&device->lock);
    return (ssize_t)bytes;
}

/* ---- ioctl ------------------------------------------------------------- */

/* Both kinds of bind: the port, or a negative errno. */
static int bind_port(struct device *device, enum wire_op op, uint32_t domid,
                     uint32_t port)
{
    struct wire_request request = {
        .op = op, .inode = device->inode, .domid = domid, .port = port};
    struct wire_answer answer;
    int ret = device_ask(&request, NULL, &answer, NULL, 0, NULL);

    if (ret == 0) {
        ret = port_learn(device, &answer);
    }
    return ret < 0 ? ret : (int)answer.port;
}

static int simple(struct device *device, enum wire_op op, uint32_t domid,
                  uint32_t port)
{
    struct wire_request request = {
        .op = op, .inode = device->inode, .domid = domid, .port = port};
    struct wire_answer answer;

    return device_ask(&request, NULL, &answer, NULL, 0, NULL);
}

static int unbind(struct device *device, uint32_t number)
{
    int ret = simple(device, WIRE_PORT_CLOSE, 0, number);

    if (ret == 0 && device->ports) {
        port_forget(&device->ports[number]);
    }
    return ret;
}

static int locked_ioctl(struct device *device, unsigned long command,
                        const void *arg)
{
    const struct ioctl_evtchn_bind_interdomain *bind = arg;
    const struct ioctl_evtchn_bind_unbound_port *alloc = arg;
    const struct ioctl_evtchn_unbind *close = arg;
    const struct ioctl_evtchn_notify *event = arg;
    const struct ioctl_evtchn_restrict_domid *domain = arg;

    switch (command) {
    case IOCTL_EVTCHN_NOTIFY:
        return notify(device, event->port);
    case IOCTL_EVTCHN_BIND_INTERDOMAIN:
        return bind_port(device, WIRE_PORT_BIND, bind->remote_domain,
                         bind->remote_port);
    case IOCTL_EVTCHN_BIND_UNBOUND_PORT:
        return bind_port(device, WIRE_PORT_ALLOC, alloc->remote_domain, 0);
    case IOCTL_EVTCHN_UNBIND:
        return unbind(device, close->port);
    case IOCTL_EVTCHN_RESTRICT_DOMID:
        return simple(device, WIRE_RESTRICT, domain->domid, 0);
    case IOCTL_EVTCHN_RESET:
        return simple(device, WIRE_RESET, 0, 0);
    default:
        return -ENOSYS; /* as Linux; the host has no virtual interrupts */
    }
}

int device_evtchn_ioctl(struct device *device, int fd, unsigned long command,
                        void *arg)
{
    int ret;

    (void)fd;
    device_lock(&device->lock);
    ret = locked_ioctl(device, command, arg);
    device_unlock(&device->lock);
    return ret;
}
