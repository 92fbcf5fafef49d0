/* SPDX-License-Identifier: MIT */
/*
 * port.h: event channels.  One handle for each connection, so that a storm or
 * an overflow of one peer stays there.  One thread.  Nothing logs.
 */
#ifndef HCL_PORT_H
#define HCL_PORT_H

#include <stdint.h>

#include "err.h"

struct hcl_ports;

/* -ENOENT or -ENODEV: no Xen, or the module xen-evtchn is missing. */
__attribute__((warn_unused_result)) int
hcl_ports_open(struct hcl_ports **ret_ports, struct hcl_err *err);

/*
 * Takes over the descriptor @fd, which another process opened: also on failure,
 * it is closed then.
 */
__attribute__((warn_unused_result)) int
hcl_ports_adopt(struct hcl_ports **ret_ports, int fd, struct hcl_err *err);

/* Unbinds all ports and closes.  Takes NULL. */
void hcl_ports_free(struct hcl_ports *ports);

/*
 * Forgets the handle without closing it: for the ports of a domain that was
 * restored, where Linux would hit a BUG (doc/protocol.md 2.7).  The
 * descriptor stays open until the process ends.
 */
void hcl_ports_park(struct hcl_ports *ports);

/* From now on the descriptor can deal with @domid only. */
__attribute__((warn_unused_result)) int
hcl_ports_restrict(struct hcl_ports *ports, uint32_t domid,
                   struct hcl_err *err);

/* Readable when an event is pending. */
int hcl_ports_fd(const struct hcl_ports *ports);

/* Ports bound now. */
uint32_t hcl_ports_count(const struct hcl_ports *ports);

/* Frontend: a port that @domid may bind to. */
__attribute__((warn_unused_result)) int hcl_ports_alloc(struct hcl_ports *ports,
                                                        uint32_t domid,
                                                        uint32_t *ret_port,
                                                        struct hcl_err *err);

/* Backend: binds to @remote_port of @domid; an event comes at once. */
__attribute__((warn_unused_result)) int
hcl_ports_bind(struct hcl_ports *ports, uint32_t domid, uint32_t remote_port,
               uint32_t *ret_port, struct hcl_err *err);

void hcl_ports_unbind(struct hcl_ports *ports, uint32_t port);

/* Sends an event.  A peer that is gone is no error. */
void hcl_ports_notify(struct hcl_ports *ports, uint32_t port);

/*
 * Takes all pending events and lets the next ones come: 1 if there was any, 0
 * if not, or a negative errno when the handle is broken.  Never blocks.
 * Call it before looking at the ring.
 */
__attribute__((warn_unused_result)) int
hcl_ports_drain(struct hcl_ports *ports);

#endif /* HCL_PORT_H */
