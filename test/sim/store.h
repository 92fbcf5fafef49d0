/* SPDX-License-Identifier: MIT */
/*
 * store.h: the xenstored of the simulated host: xs_wire.h over sockets, with
 * C xenstored's permissions, quotas, transactions and watches.
 *
 * The toolstack writes domains' nodes as any program of dom0 does; here only
 * what a hypervisor or kernel tells xenstored comes from elsewhere.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "host.h"

struct sim_store;

__attribute__((warn_unused_result)) int
sim_store_new(struct sim_store **ret_store, struct sim_host *host,
              struct hcl_err *err);
void sim_store_free(struct sim_store *store);

/*
 * A process of @machine has connected to its socket; @fd is owned from now.
 * Nothing is answered while the machine's domain is not introduced.
 */
void sim_store_connect(struct sim_store *store, int fd,
                       struct sim_machine *machine);

/* All connections of @machine end: it has been destroyed. */
void sim_store_disconnect(struct sim_store *store, struct sim_machine *machine);

/*
 * The hypervisor says that domains have changed state (destroyed, shut down,
 * suspended): @domain, if it is dying, is forgotten with all nodes that it
 * owns, and @releaseDomain fires.  To be called once more when the last page
 * of a dying one is unmapped, before it is freed: it may own nodes again.
 */
void sim_store_domain_changed(struct sim_store *store,
                              struct sim_domain *domain);

/*
 * @machine goes on in another domain: as after a restore, its relative paths
 * begin there, its transactions are gone, and each of its watches fires once.
 */
void sim_store_restored(struct sim_store *store, struct sim_machine *machine);

/* Answers are held back while the machine is cut off; call when that ends. */
void sim_store_mended(struct sim_store *store, struct sim_machine *machine);

/*
 * The nodes that exist now are the host's own: sim_store_audit does not list
 * them.  A living guest's are so by their paths: all at and below
 * /local/domain/N, /libxl/N and /vm/UUID, except what is below device/hcl, and
 * backend/hcl with what is below it.  So are the folders /local, /local/domain,
 * /libxl and /vm themselves.
 */
void sim_store_baseline(struct sim_store *store);

/*
 * Prints what exists beyond the baseline, one thing a line ("node: PATH =
 * \"value\"", "watch: domain 1 PATH TOKEN", "transaction: domain 1"); returns
 * how many.  @out may be NULL.
 */
unsigned int sim_store_audit(struct sim_store *store, FILE *out);

#endif /* SIM_STORE_H */
