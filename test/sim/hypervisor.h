/* SPDX-License-Identifier: MIT */
/*
 * hypervisor.h: grants and event channels of the simulated host, and what a
 * Linux kernel makes of them: /dev/xen/gntalloc, gntdev and evtchn.
 *
 * Programs reach it through device.c, which is preloaded and plays the device
 * nodes; wire.h is what the two say to each other.
 */
#ifndef SIM_HYPERVISOR_H
#define SIM_HYPERVISOR_H

#include "host.h"

struct sim_hypervisor;

__attribute__((warn_unused_result)) int
sim_hypervisor_new(struct sim_hypervisor **ret_hypervisor,
                   struct sim_host *host, struct hcl_err *err);
void sim_hypervisor_free(struct sim_hypervisor *hypervisor);

/* A process of @machine has connected to its socket; @fd is owned from now. */
void sim_hypervisor_connect(struct sim_hypervisor *hypervisor, int fd,
                            struct sim_machine *machine);

/*
 * @domain (and a machine in it) is new, before any process of it connects.
 * Also at restore: then @machine has handles, all of which become stale.
 */
__attribute__((warn_unused_result)) int
sim_hypervisor_enter(struct sim_hypervisor *hypervisor,
                     struct sim_domain *domain, struct sim_machine *machine,
                     struct hcl_err *err);

/*
 * @domain is destroyed: its ports close, its mappings of others' pages go, no
 * byte is cleared and no event sent for it.  Its own pages stay while others
 * map them: returns true if none is left; otherwise sim_domain_unmapped is
 * called later.  A machine that is saved is taken out of it before.
 */
bool sim_hypervisor_destroy(struct sim_hypervisor *hypervisor,
                            struct sim_domain *domain);

/* Frees what is kept for a machine whose processes have all ended. */
void sim_hypervisor_forget(struct sim_hypervisor *hypervisor,
                           struct sim_machine *machine);

/*
 * The next @count events that programs of @machine send are lost; UINT32_MAX:
 * all of them, 0: none any more.
 */
void sim_hypervisor_drop_events(struct sim_hypervisor *hypervisor,
                                struct sim_machine *machine, uint32_t count);

/* machine->cut has changed: while it is set no event goes in or out. */
void sim_hypervisor_cut(struct sim_hypervisor *hypervisor,
                        struct sim_machine *machine);

/*
 * Prints what exists now, one thing a line, for all domains ("domain 1: grant 9
 * for domain 0, writable, mapped"); returns how many.  @out may be NULL.
 */
unsigned int sim_hypervisor_audit(struct sim_hypervisor *hypervisor, FILE *out);

#endif /* SIM_HYPERVISOR_H */
