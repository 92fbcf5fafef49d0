/* SPDX-License-Identifier: MIT */
/*
 * ports.h: event channels: Xen's side for each domain, and what the guest's
 * kernel makes of them for /dev/xen/evtchn (drivers/xen/evtchn.c).
 *
 * Programs send events to each other without the host, through the table in
 * wire.h; here ports come, go, and are connected.
 */
#ifndef SIM_PORTS_H
#define SIM_PORTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "wire.h"

struct sim_domain;
struct sim_host;

struct sim_table;  /* wire.h's table, and who has which slot */
struct sim_ports;  /* a domain's event channels */
struct sim_evtchn; /* an open /dev/xen/evtchn */
struct sim_port;   /* an event channel's end */

/* ---- The table --------------------------------------------------------- */

__attribute__((warn_unused_result)) int
sim_table_new(struct sim_table **ret_table, struct hcl_err *err);
void sim_table_free(struct sim_table *table);

/* The descriptor for programs; stays the table's. */
int sim_table_fd(const struct sim_table *table);

/* A machine's slot.  -ENOSPC. */
__attribute__((warn_unused_result)) int
sim_table_add_machine(struct sim_table *table, uint32_t *ret_slot);
void sim_table_remove_machine(struct sim_table *table, uint32_t slot);
struct wire_machine *sim_table_machine(struct sim_table *table, uint32_t slot);

/* ---- A domain ---------------------------------------------------------- */

/* Takes at most @limit ports, as far as Xen has numbers. */
__attribute__((warn_unused_result)) int
sim_ports_new(struct sim_ports **ret_ports, struct sim_table *table,
              uint32_t domid, uint32_t limit, struct hcl_err *err);

/*
 * The domain is gone: its channels are closed, without an event.  Those ports
 * that a program has are stale from now, and belong to its device alone.
 */
void sim_ports_free(struct sim_ports *ports);

/* Lists the ports that programs have; returns how many.  @out may be NULL. */
unsigned int sim_ports_audit(const struct sim_ports *ports, FILE *out);

/* ---- An open device ---------------------------------------------------- */

/*
 * @fd is the pipe, and stays the caller's; @machine_slot is the opener's.
 * -ENOSPC: the table is full.
 */
__attribute__((warn_unused_result)) int
sim_evtchn_new(struct sim_evtchn **ret_evtchn, struct sim_table *table, int fd,
               uint32_t machine_slot);

/* All its ports are stale, though their domain may still exist: a restore. */
void sim_evtchn_stale(struct sim_evtchn *evtchn);

/* The stale ports that it has, of machine @key; with @out, lists them. */
unsigned int sim_evtchn_audit(const struct sim_evtchn *evtchn, unsigned int key,
                              FILE *out);

/*
 * Closes it.  Calls @bug(@arg, number) for each port that is stale: Linux
 * crashes there.  @bug may be NULL.
 */
void sim_evtchn_free(struct sim_evtchn *evtchn,
                     void (*bug)(void *arg, uint32_t number), void *arg);

uint32_t sim_evtchn_slot(const struct sim_evtchn *evtchn);

/*
 * The ioctls, with their errors.  @ports are those of the domain that the
 * opener's machine is in now; @remote those of the other domain, NULL if there
 * is none.
 */
__attribute__((warn_unused_result)) int
sim_evtchn_alloc(struct sim_evtchn *evtchn, struct sim_ports *ports,
                 uint32_t domid, struct sim_port **ret_port);
__attribute__((warn_unused_result)) int
sim_evtchn_bind(struct sim_evtchn *evtchn, struct sim_ports *ports,
                struct sim_ports *remote, uint32_t domid, uint32_t number,
                struct sim_port **ret_port);
/* *@ret_stale: it was, which is Linux's bug. */
__attribute__((warn_unused_result)) int
sim_evtchn_close(struct sim_evtchn *evtchn, uint32_t number, bool *ret_stale);
__attribute__((warn_unused_result)) int
sim_evtchn_restrict(struct sim_evtchn *evtchn, uint32_t domid);
void sim_evtchn_reset(struct sim_evtchn *evtchn);

/* NULL: this device has no such port. */
struct sim_port *sim_evtchn_find(const struct sim_evtchn *evtchn,
                                 uint32_t number);

uint32_t sim_port_number(const struct sim_port *port);
uint32_t sim_port_slot(const struct sim_port *port);
uint32_t sim_port_generation(const struct sim_port *port);

/* The pipe that takes the events sent on @port, or -1: no other end. */
int sim_port_peer_fd(const struct sim_port *port);

/* ---- Unmap notifications ----------------------------------------------- */

/* What gntalloc and gntdev do when a page is unmapped. */
struct sim_notice {
    uint32_t flags;        /* UNMAP_NOTIFY_* */
    uint64_t byte;         /* where to clear; the owner knows from what */
    struct sim_port *port; /* kept open by the notice */
};

/* -EINVAL: unknown flags, or no program of the domain has port @number. */
__attribute__((warn_unused_result)) int
sim_notice_set(struct sim_notice *notice, struct sim_ports *ports,
               uint32_t flags, uint64_t byte, uint32_t number);

/* Sends the event, if there is one to send, and ends the notice. */
void sim_notice_fire(struct sim_notice *notice);

/* Ends it without an event. */
void sim_notice_clear(struct sim_notice *notice);

#endif /* SIM_PORTS_H */
