/* SPDX-License-Identifier: MIT */
/*
 * domain.h: the lives of domains and machines, as far as a hypervisor and a
 * guest's kernel rule them.  The nodes in xenstore are the toolstack's (xl.c).
 */
#ifndef SIM_DOMAIN_H
#define SIM_DOMAIN_H

#include <sys/types.h>

#include "host.h"

/* Makes dom0 and its machine, with the sockets of key 0. */
__attribute__((warn_unused_result)) int sim_domain_start(struct sim_host *host,
                                                         struct hcl_err *err);

/* Kills the processes of all machines; the host ends after it. */
void sim_domain_stop(struct sim_host *host);

/* A paused domain with a new machine. */
__attribute__((warn_unused_result)) int sim_domain_create(struct sim_host *host,
                                                          const char *uuid,
                                                          uint32_t *ret_domid,
                                                          struct hcl_err *err);

/* A paused domain with the saved machine @key. */
__attribute__((warn_unused_result)) int
sim_domain_restore(struct sim_host *host, unsigned int key, const char *uuid,
                   uint32_t *ret_domid, struct hcl_err *err);

/* All of these: -ENOENT, no such guest; -EINVAL, not in this condition. */

__attribute__((warn_unused_result)) int
sim_domain_pause(struct sim_host *host, uint32_t domid, struct hcl_err *err);
__attribute__((warn_unused_result)) int
sim_domain_unpause(struct sim_host *host, uint32_t domid, struct hcl_err *err);
__attribute__((warn_unused_result)) int
sim_domain_shutdown(struct sim_host *host, uint32_t domid, int reason,
                    struct hcl_err *err);
__attribute__((warn_unused_result)) int
sim_domain_resume(struct sim_host *host, uint32_t domid, struct hcl_err *err);
__attribute__((warn_unused_result)) int
sim_domain_destroy(struct sim_host *host, uint32_t domid, struct hcl_err *err);
__attribute__((warn_unused_result)) int sim_domain_save(struct sim_host *host,
                                                        uint32_t domid,
                                                        unsigned int *ret_key,
                                                        struct hcl_err *err);

/* The flags of struct xen_domctl_getdomaininfo. */
uint32_t sim_domain_flags(const struct sim_domain *domain);

/* The kernel's log of a machine. */
const char *sim_machine_dmesg(const struct sim_machine *machine);

/* Something changed; set by control.c. */
void sim_domain_on_change(struct sim_host *host, void (*fn)(void *arg),
                          void *arg);

#endif /* SIM_DOMAIN_H */
