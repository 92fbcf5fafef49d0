/* SPDX-License-Identifier: MIT */
/*
 * store_private.h: the whole of the simulated xenstored, for its own files:
 * store.c (lives of domains), store_request.c (what clients ask for),
 * store_conn.c (the wire), store_audit.c.
 */
#ifndef SIM_STORE_PRIVATE_H
#define SIM_STORE_PRIVATE_H

#include "store.h"
#include "store_queue.h"
#include "store_tree.h"

/* What is known of a domain beyond struct sim_domain; few have one. */
struct store_known {
    struct store_known *next;
    uint32_t domid;
    uint32_t target; /* it may act for that domain, too; 0: none */
    bool shutdown;   /* @releaseDomain has told so */
};

struct sim_store {
    struct sim_host *host;
    struct store_base base;
    struct store_watches *watches; /* owned */
    struct store_conn *conns;      /* owned */
    struct store_conn *to[STORE_LISTS];
    int work_fd;                  /* owned; an eventfd: some are to work */
    struct hcl_source *work;      /* owned */
    struct store_conn *asking;    /* a guest's, while its request is handled */
    struct store_node *introduce; /* @introduceDomain's permissions; owned */
    struct store_node *release;   /* @releaseDomain's */
    struct store_known *known;    /* owned */
    void *baseline;               /* a tsearch tree of owned paths */
};

/* ---- store.c ----------------------------------------------------------- */

/* Whose requests @conn's are, outside of transactions. */
struct store_caller store_caller(const struct store_conn *conn);

/* The special path's permissions, or NULL. */
struct store_node **store_special(struct sim_store *store, const char *path);

/* -EINVAL: Xen has no such domain. */
__attribute__((warn_unused_result)) int store_introduce(struct sim_store *store,
                                                        uint32_t domid);

/* All three: -ENOENT if it is not introduced. */
__attribute__((warn_unused_result)) int store_release(struct sim_store *store,
                                                      uint32_t domid);
__attribute__((warn_unused_result)) int store_resume(struct sim_store *store,
                                                     uint32_t domid);
__attribute__((warn_unused_result)) int
store_set_target(struct sim_store *store, uint32_t domid, uint32_t target);

/* ---- store_request.c --------------------------------------------------- */

/* Handles conn->header with @body, and queues the answer. */
void store_request_handle(struct store_conn *conn, const char *body);

/* ---- store_audit.c ----------------------------------------------------- */

void store_baseline_free(struct sim_store *store);

#endif /* SIM_STORE_PRIVATE_H */
