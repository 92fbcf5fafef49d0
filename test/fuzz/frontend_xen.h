/* SPDX-License-Identifier: MIT */
/*
 * frontend_xen.h: what stands around a frontend in the frontend_nodes target,
 * besides xenstore: grants, which are memory of the heap, and event channels,
 * which are nothing at all.
 */
#ifndef FRONTEND_XEN_H
#define FRONTEND_XEN_H

#include <stdbool.h>
#include <stdint.h>

/* The event channels' descriptor; none of the kernel's. */
#define XEN_PORTS_FD 1003

struct xen {
    int fail_share;     /* code of the next sharing of pages */
    int fail_ports;     /* of the next call for event channels */
    bool event;         /* is pending */
    bool lost;          /* the domain was restored: its ports are another's */
    bool ports_open;    /* bound in this life of the domain */
    uint32_t pages;     /* that are shared */
    void (*rung)(void); /* the target's: the frontend has rung */
};

extern struct xen xen;

void xen_reset(void);

#endif /* FRONTEND_XEN_H */
