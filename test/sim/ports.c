/* SPDX-License-Identifier: MIT */
/* Xen's side of event channels (xen/common/event_channel.c), and notices. */
#include "ports_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <xen/sys/gntdev.h>

/* Those before are the guest kernel's: store, console, timer and the like. */
#define FIRST_NUMBER 6u

#define ACTIONS (UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT)

static struct wire_port *wire_of(const struct sim_port *port)
{
    return &port->table->wire->ports[port->slot];
}

/* ---- A domain ---------------------------------------------------------- */

int sim_ports_new(struct sim_ports **ret_ports, struct sim_table *table,
                  uint32_t domid, uint32_t limit, struct hcl_err *err)
{
    struct sim_ports *ports = calloc(1, sizeof(*ports));

    if (!ports) {
        return hcl_err_sys(err, -ENOMEM, "event channels of domain %u", domid);
    }
    ports->table = table;
    ports->domid = domid;
    ports->limit = limit;
    *ret_ports = ports;
    return 0;
}

void sim_ports_free(struct sim_ports *ports)
{
    uint32_t number;

    if (!ports) {
        return;
    }
    for (number = 0; number < WIRE_PORT_NUMBERS; number++) {
        if (ports->numbers[number]) {
            sim_port_detach(ports->numbers[number]);
        }
    }
    free(ports);
}

unsigned int sim_ports_audit(const struct sim_ports *ports, FILE *out)
{
    const struct sim_port *port;
    unsigned int found = 0;
    uint32_t number;

    for (number = 0; number < WIRE_PORT_NUMBERS; number++) {
        port = ports->numbers[number];
        if (!port) {
            continue;
        }
        found++;
        if (!out) {
            continue;
        }
        if (port->peer) {
            fprintf(out, "domain %u: port %u, bound to port %u of domain %u\n",
                    ports->domid, number, port->peer->number,
                    port->peer->ports->domid);
        } else {
            fprintf(out, "domain %u: port %u, unbound, for domain %u\n",
                    ports->domid, number, port->domid);
        }
    }
    return found;
}

/* ---- A port ------------------------------------------------------------ */

static int free_number(const struct sim_ports *ports, uint32_t *ret_number)
{
    uint32_t number;

    if (ports->num >= ports->limit) {
        return -ENOSPC;
    }
    for (number = FIRST_NUMBER; number < WIRE_PORT_NUMBERS; number++) {
        if (!ports->numbers[number]) {
            *ret_number = number;
            return 0;
        }
    }
    return -ENOSPC;
}

/* Makes the slot a port's. */
static void publish(struct sim_port *port)
{
    struct wire_port *wire = wire_of(port);
    uint64_t flags = port->evtchn->crowded ? WIRE_CROWDED : 0;

    port->generation = (uint32_t)(wire->state >> 32);
    wire->number = port->number;
    wire->evtchn = port->evtchn->slot;
    wire->machine = port->evtchn->machine;
    __atomic_store_n(&wire->peer, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&wire->state, (uint64_t)port->generation << 32 | flags,
                     __ATOMIC_RELEASE);
}

int sim_port_new(struct sim_port **ret_port, struct sim_ports *ports,
                 struct sim_evtchn *evtchn, uint32_t domid)
{
    struct sim_port *port = calloc(1, sizeof(*port));
    int ret;

    if (!port) {
        return -ENOMEM;
    }
    ret = free_number(ports, &port->number);
    if (ret == 0) {
        ret = sim_slot_take(ports->table->ports.used, WIRE_PORTS,
                            &ports->table->ports.next, &port->slot);
    }
    if (ret < 0) {
        free(port);
        return ret;
    }
    port->table = ports->table;
    port->ports = ports;
    port->evtchn = evtchn;
    port->domid = domid;
    port->keepers = 1;
    ports->numbers[port->number] = port;
    ports->num++;
    publish(port);
    *ret_port = port;
    return 0;
}

void sim_port_drop(struct sim_port *port)
{
    if (--port->keepers) {
        return;
    }
    sim_port_detach(port);
    /* What others remember of the slot is void with another generation. */
    __atomic_store_n(&wire_of(port)->state,
                     (uint64_t)(port->generation + 1) << 32, __ATOMIC_SEQ_CST);
    port->table->ports.used[port->slot] = 0;
    free(port);
}

static void disconnect(struct sim_port *port)
{
    struct sim_port *peer = port->peer;

    if (!peer) {
        return;
    }
    __atomic_store_n(&wire_of(port)->peer, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&wire_of(peer)->peer, 0, __ATOMIC_SEQ_CST);
    peer->peer = NULL;
    /* The same domain may bind to it again. */
    peer->domid = port->ports->domid;
    port->peer = NULL;
}

void sim_port_detach(struct sim_port *port)
{
    if (!port->ports) {
        return;
    }
    disconnect(port);
    port->ports->numbers[port->number] = NULL;
    port->ports->num--;
    port->ports = NULL;
    __atomic_fetch_or(&wire_of(port)->state, WIRE_STALE, __ATOMIC_SEQ_CST);
}

void sim_port_connect(struct sim_port *port, struct sim_port *peer)
{
    port->peer = peer;
    peer->peer = port;
    __atomic_store_n(&wire_of(port)->peer,
                     (uint64_t)peer->generation << 32 | peer->slot,
                     __ATOMIC_SEQ_CST);
    __atomic_store_n(&wire_of(peer)->peer,
                     (uint64_t)port->generation << 32 | port->slot,
                     __ATOMIC_SEQ_CST);
}

void sim_port_raise(struct sim_port *port)
{
    struct wire_table *table = port->table->wire;
    uint32_t number;
    bool crowded;

    if (wire_raise(wire_of(port), port->generation, &number, &crowded) &&
        port->evtchn) {
        wire_queue(&table->evtchns[port->evtchn->slot], port->evtchn->fd,
                   number, crowded);
    }
}

uint32_t sim_port_number(const struct sim_port *port)
{
    return port->number;
}

uint32_t sim_port_slot(const struct sim_port *port)
{
    return port->slot;
}

uint32_t sim_port_generation(const struct sim_port *port)
{
    return port->generation;
}

int sim_port_peer_fd(const struct sim_port *port)
{
    return port->peer && port->peer->evtchn ? port->peer->evtchn->fd : -1;
}

/* ---- Notices ----------------------------------------------------------- */

int sim_notice_set(struct sim_notice *notice, struct sim_ports *ports,
                   uint32_t flags, uint64_t byte, uint32_t number)
{
    struct sim_port *port = NULL;

    if (flags & ~ACTIONS) {
        return -EINVAL;
    }
    if (flags & UNMAP_NOTIFY_SEND_EVENT) {
        port = number < WIRE_PORT_NUMBERS ? ports->numbers[number] : NULL;
        if (!port) {
            return -EINVAL;
        }
        /* Kept open, so that the event can be sent after its device's end. */
        port->keepers++;
    }
    sim_notice_clear(notice);
    notice->flags = flags;
    notice->byte = byte;
    notice->port = port;
    return 0;
}

void sim_notice_fire(struct sim_notice *notice)
{
    struct sim_port *port = notice->port;

    if (port && port->peer &&
        !wire_lost(port->table->wire, wire_of(port)->machine,
                   wire_of(port->peer)->machine)) {
        sim_port_raise(port->peer);
    }
    sim_notice_clear(notice);
}

void sim_notice_clear(struct sim_notice *notice)
{
    if (notice->port) {
        sim_port_drop(notice->port);
    }
    *notice = (struct sim_notice){0};
}
