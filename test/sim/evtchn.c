/* SPDX-License-Identifier: MIT */
/* The open event channel device: drivers/xen/evtchn.c. */
#include "ports_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <xen/xen.h>

#define UNRESTRICTED UINT32_MAX
#define MIN_RING_PORTS 64u

int sim_evtchn_new(struct sim_evtchn **ret_evtchn, struct sim_table *table,
                   int fd, uint32_t machine_slot)
{
    struct sim_evtchn *evtchn = calloc(1, sizeof(*evtchn));
    int ret;

    if (!evtchn) {
        return -ENOMEM;
    }
    ret = sim_slot_take(table->evtchns.used, WIRE_EVTCHNS, &table->evtchns.next,
                        &evtchn->slot);
    if (ret < 0) {
        free(evtchn);
        return ret;
    }
    table->wire->evtchns[evtchn->slot] = (struct wire_evtchn){
        .ring_ports = MIN_RING_PORTS,
    };
    evtchn->table = table;
    evtchn->fd = fd;
    evtchn->machine = machine_slot;
    evtchn->restriction = UNRESTRICTED;
    *ret_evtchn = evtchn;
    return 0;
}

void sim_evtchn_stale(struct sim_evtchn *evtchn)
{
    struct sim_port *port;

    for (port = evtchn->ports; port; port = port->next) {
        sim_port_detach(port);
    }
}

unsigned int sim_evtchn_audit(const struct sim_evtchn *evtchn, unsigned int key,
                              FILE *out)
{
    const struct sim_port *port;
    unsigned int found = 0;

    for (port = evtchn->ports; port; port = port->next) {
        if (port->ports) {
            continue;
        }
        found++;
        if (out) {
            fprintf(out, "machine %u: port %u, from before a restore\n", key,
                    port->number);
        }
    }
    return found;
}

/*
 * The device lets go of @port.  A notice may keep it: then events on it are
 * nobody's, as with an interrupt that has no handler.
 */
static void release(struct sim_port *port)
{
    struct wire_port *wire = &port->table->wire->ports[port->slot];

    __atomic_fetch_or(&wire->state, WIRE_MASKED, __ATOMIC_SEQ_CST);
    port->evtchn = NULL;
    sim_port_drop(port);
}

void sim_evtchn_free(struct sim_evtchn *evtchn,
                     void (*bug)(void *arg, uint32_t number), void *arg)
{
    struct sim_port *port;

    if (!evtchn) {
        return;
    }
    while (evtchn->ports) {
        port = evtchn->ports;
        evtchn->ports = port->next;
        if (!port->ports && bug) {
            bug(arg, port->number);
        }
        release(port);
    }
    evtchn->table->evtchns.used[evtchn->slot] = 0;
    free(evtchn);
}

uint32_t sim_evtchn_slot(const struct sim_evtchn *evtchn)
{
    return evtchn->slot;
}

/*
 * Is there a number in the pipe whose port has been closed?  That cannot be
 * seen, but if the pipe is empty there is none.
 */
static void crowd(struct sim_evtchn *evtchn)
{
    struct sim_port *port;
    int bytes = 0;
    bool crowded = ioctl(evtchn->fd, FIONREAD, &bytes) == 0 && bytes > 0;

    if (crowded == evtchn->crowded) {
        return;
    }
    evtchn->crowded = crowded;
    for (port = evtchn->ports; port; port = port->next) {
        uint64_t *state = &port->table->wire->ports[port->slot].state;

        if (crowded) {
            __atomic_fetch_or(state, WIRE_CROWDED, __ATOMIC_SEQ_CST);
        } else {
            __atomic_fetch_and(state, ~(uint64_t)WIRE_CROWDED,
                               __ATOMIC_SEQ_CST);
        }
    }
}

/* Linux's ring grows with the ports and never shrinks. */
static int add(struct sim_evtchn *evtchn, struct sim_port *port)
{
    struct wire_evtchn *wire = &evtchn->table->wire->evtchns[evtchn->slot];

    if (sim_evtchn_find(evtchn, port->number)) {
        /* A stale port has the same number: Linux's add_evtchn. */
        release(port);
        return -EEXIST;
    }
    port->next = evtchn->ports;
    evtchn->ports = port;
    evtchn->num_ports++;
    if (evtchn->num_ports > wire->ring_ports) {
        __atomic_store_n(&wire->ring_ports, 2 * wire->ring_ports,
                         __ATOMIC_RELAXED);
    }
    return 0;
}

static bool refused(const struct sim_evtchn *evtchn, uint32_t domid)
{
    return evtchn->restriction != UNRESTRICTED && evtchn->restriction != domid;
}

int sim_evtchn_alloc(struct sim_evtchn *evtchn, struct sim_ports *ports,
                     uint32_t domid, struct sim_port **ret_port)
{
    struct sim_port *port;
    int ret;

    if (refused(evtchn, domid)) {
        return -EACCES;
    }
    crowd(evtchn);
    ret = sim_port_new(&port, ports, evtchn,
                       domid == DOMID_SELF ? ports->domid : domid);
    if (ret == 0) {
        ret = add(evtchn, port);
    }
    if (ret == 0) {
        *ret_port = port;
    }
    return ret;
}

int sim_evtchn_bind(struct sim_evtchn *evtchn, struct sim_ports *ports,
                    struct sim_ports *remote, uint32_t domid, uint32_t number,
                    struct sim_port **ret_port)
{
    struct sim_port *port, *peer;
    int ret;

    if (refused(evtchn, domid)) {
        return -EACCES;
    }
    if (!remote) {
        return -ESRCH;
    }
    peer = number < WIRE_PORT_NUMBERS ? remote->numbers[number] : NULL;
    if (!peer || peer->peer || peer->domid != ports->domid) {
        return -EINVAL;
    }
    crowd(evtchn);
    ret = sim_port_new(&port, ports, evtchn, remote->domid);
    if (ret == 0) {
        ret = add(evtchn, port);
    }
    if (ret < 0) {
        return ret;
    }
    sim_port_connect(port, peer);
    /* Xen: it may have missed some. */
    if (!evtchn->table->wire->machines[evtchn->machine].cut) {
        sim_port_raise(port);
    }
    *ret_port = port;
    return 0;
}

int sim_evtchn_close(struct sim_evtchn *evtchn, uint32_t number,
                     bool *ret_stale)
{
    struct sim_port **at = &evtchn->ports, *port;

    if (number >= WIRE_PORT_NUMBERS) {
        return -EINVAL;
    }
    while (*at && (*at)->number != number) {
        at = &(*at)->next;
    }
    if (!*at) {
        return -ENOTCONN;
    }
    port = *at;
    *at = port->next;
    evtchn->num_ports--;
    *ret_stale = !port->ports;
    release(port);
    crowd(evtchn);
    return 0;
}

int sim_evtchn_restrict(struct sim_evtchn *evtchn, uint32_t domid)
{
    if (evtchn->restriction != UNRESTRICTED) {
        return -EACCES;
    }
    if (domid == 0 || domid >= DOMID_FIRST_RESERVED) {
        return -EINVAL;
    }
    evtchn->restriction = domid;
    return 0;
}

void sim_evtchn_reset(struct sim_evtchn *evtchn)
{
    uint8_t numbers[4096];

    while (read(evtchn->fd, numbers, sizeof(numbers)) > 0) {
    }
    __atomic_store_n(&evtchn->table->wire->evtchns[evtchn->slot].overflow, 0,
                     __ATOMIC_RELEASE);
}

struct sim_port *sim_evtchn_find(const struct sim_evtchn *evtchn,
                                 uint32_t number)
{
    struct sim_port *port = evtchn->ports;

    while (port && port->number != number) {
        port = port->next;
    }
    return port;
}
