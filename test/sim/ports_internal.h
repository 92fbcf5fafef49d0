/* SPDX-License-Identifier: MIT */
/* ports_internal.h: for ports.c, evtchn.c and table.c alone. */
#ifndef SIM_PORTS_INTERNAL_H
#define SIM_PORTS_INTERNAL_H

#include "ports.h"

/* A slot is used again as late as possible: what is late hits nobody. */
struct sim_table {
    int fd;
    struct wire_table *wire; /* mapped */
    struct {
        uint8_t used[WIRE_MACHINES];
        uint32_t next;
    } machines;
    struct {
        uint8_t used[WIRE_EVTCHNS];
        uint32_t next;
    } evtchns;
    struct {
        uint8_t used[WIRE_PORTS];
        uint32_t next;
    } ports;
};

/* -ENOSPC: none of @num is free; starts looking at *@next. */
__attribute__((warn_unused_result)) int
sim_slot_take(uint8_t *used, uint32_t num, uint32_t *next, uint32_t *ret_slot);

struct sim_ports {
    struct sim_table *table;
    uint32_t domid;
    uint32_t limit;
    uint32_t num;
    struct sim_port *numbers[WIRE_PORT_NUMBERS]; /* owned by device, notices */
};

struct sim_port {
    struct sim_table *table;
    struct sim_ports *ports;   /* NULL: stale */
    struct sim_evtchn *evtchn; /* NULL: its device is closed, a notice stays */
    struct sim_port *next;     /* of the device's */
    struct sim_port *peer;     /* NULL: unbound */
    uint32_t domid;            /* who may bind to it */
    uint32_t number;
    uint32_t slot;
    uint32_t generation;
    uint32_t keepers; /* the device, and each notice */
};

/* A port of @evtchn in @ports with the lowest free number.  -ENOSPC. */
__attribute__((warn_unused_result)) int sim_port_new(struct sim_port **ret_port,
                                                     struct sim_ports *ports,
                                                     struct sim_evtchn *evtchn,
                                                     uint32_t domid);
void sim_port_drop(struct sim_port *port);

/* Takes it out of its domain. */
void sim_port_detach(struct sim_port *port);

void sim_port_connect(struct sim_port *port, struct sim_port *peer);

/* An event arrives at it. */
void sim_port_raise(struct sim_port *port);

/* An open /dev/xen/evtchn. */
struct sim_evtchn {
    struct sim_table *table;
    struct sim_port *ports; /* owned */
    int fd;
    uint32_t slot;
    uint32_t machine; /* slot */
    uint32_t num_ports;
    uint32_t restriction; /* a domid, or UNRESTRICTED */
    bool crowded;         /* closed ports may stand in the pipe */
};

#endif /* SIM_PORTS_INTERNAL_H */
