/* SPDX-License-Identifier: MIT */
/*
 * host.h: what the parts of the simulated host (hcl-sim) share.
 *
 * One process, one thread, one event loop plays hypervisor and xenstored for a
 * private host.  The parts: hypervisor.h (grants, event channels), store.h
 * (xenstore), domain.c (lives of domains), fault.h (faults made on purpose),
 * control.c (what the toolstack and hcl-sim's commands ask for).
 *
 * A domain is what Xen knows: a number, a grant table, event channels.  A
 * machine is what runs in it: processes, and what their kernel holds.  They
 * part at save and restore: the machine goes on in a new domain, in which
 * everything that it held before is stale.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "loop.h"

struct sim_machine;

/* Xen's side.  One that is destroyed stays while others map its pages. */
struct sim_domain {
    struct sim_domain *next;
    uint32_t domid;  /* counts from 0 (dom0), never used again */
    bool dying;      /* destroyed: nothing of it can be granted,
                        mapped or bound any more */
    bool introduced; /* xenstore knows it */
    bool paused;
    int shutdown; /* Xen's reason, or -1: it runs */
    char uuid[37];
    struct sim_machine *machine; /* NULL: destroyed, or saved away */
    void *hypervisor;            /* owned by hypervisor.c */
};

/* The guest's side. */
struct sim_machine {
    struct sim_machine *next;
    unsigned int key;          /* names its sockets; dom0's is 0; for life */
    struct sim_domain *domain; /* NULL while it is saved */
    bool cut;                  /* a fault: neither store nor events work */
    void *hypervisor;          /* owned by hypervisor.c */
    void *fault;               /* owned by fault.c */
    void *life;                /* owned by domain.c */
};

struct sim_limits {
    /* Grants and event channels of a guest; dom0 has no limit. */
    uint32_t grants; /* pages that a guest's kernel shares; Linux: 1024 */
    uint32_t ports;  /* event channels; 1023 */
    /* xenstored's quotas for a guest; dom0 has no limit but path_bytes. */
    uint32_t nodes;        /* 1000 */
    uint32_t node_bytes;   /* value, permissions and children's names; 2048 */
    uint32_t watches;      /* 128 */
    uint32_t transactions; /* 10 */
    uint32_t path_bytes;   /* of a path, without /local/domain/N/; 2048 */
    uint32_t permissions;  /* entries of a node; 5 */
};

struct sim_host {
    struct hcl_loop *loop;
    struct sim_limits limits;
    struct sim_domain *domains;   /* by domid; dom0 first */
    struct sim_machine *machines; /* dom0's first */
    struct sim_hypervisor *hypervisor;
    struct sim_store *store;
    char dir[64]; /* HCL_SIM: the sockets' folder */
    unsigned int next_key;
    uint32_t next_domid;
    void (*on_change)(void *arg); /* see domain.h; may be NULL */
    void *on_change_arg;
    char *bugs; /* owned: all kernels' logs, for audit */
    size_t bugs_bytes;
};

/*
 * Provided by domain.c.
 */
struct sim_domain *sim_domain_find(struct sim_host *host, uint32_t domid);

/*
 * What Linux would do in the guest's kernel log: "BUG: ..." for a kernel bug.
 * `hcl-sim audit` lists it, and `dmesg` in the guest prints it.
 */
void sim_machine_log(struct sim_host *host, struct sim_machine *machine,
                     const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The hypervisor says that the last page of a dying domain has been unmapped.
 * The domain is freed in the call, unless it is already: then the caller of
 * sim_hypervisor_destroy frees it.
 */
void sim_domain_unmapped(struct sim_host *host, struct sim_domain *domain);

#endif /* SIM_HOST_H */
