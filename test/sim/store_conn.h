/* SPDX-License-Identifier: MIT */
/*
 * store_conn.h: connections to the simulated xenstored: framing, and when a
 * connection is read.
 *
 * Requests are handled in order, and nothing here blocks.  A connection is
 * idle, neither read nor written, while its machine is cut off, saved away, or
 * not introduced.
 */
#ifndef SIM_STORE_CONN_H
#define SIM_STORE_CONN_H

#include "host.h"
#include "store_view.h"
#include "store_watch.h"

struct sim_store;
struct store_message;
struct store_meter;

/* A transaction that a client has begun. */
struct store_open {
    struct store_open *next;
    struct store_transaction *transaction; /* owned; NULL: see stale */
    uint32_t id;
    bool stale; /* the domain in which it was begun is left */
};

/* What is still to be done for connections. */
enum store_list {
    STORE_TO_FLUSH, /* they have something to send */
    STORE_TO_WORK,  /* from the loop: what they have waited for has come */
    STORE_LISTS,
};

struct store_conn {
    struct store_conn *next, **link; /* in the store's list */
    struct store_conn *next_to[STORE_LISTS];
    bool is_to[STORE_LISTS]; /* in that list */
    struct sim_store *store;
    struct sim_machine *machine;
    uint32_t domid;              /* where its machine was when it last knew */
    struct store_watch *watches; /* owned; the latest first */
    struct store_open *open;     /* owned */
    uint32_t next_id;            /* of a transaction */

    int fd;                    /* owned */
    struct hcl_source *source; /* owned; NULL: idle */
    uint32_t events;           /* that the source has */
    bool stalled;              /* a whole request waits in `in` */
    bool deaf;                 /* the client is gone: nothing is sent */
    struct xsd_sockmsg header; /* of the request being handled */
    size_t in_bytes;
    char in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];

    /* store_queue.c's. */
    struct store_message *first, **last; /* owned: to be sent */
    size_t sent;                         /* bytes of the first */
    size_t queued_bytes;
    bool blocked;              /* the socket is full */
    uint64_t hold_until_us;    /* a fault: what is queued now waits */
    struct hcl_timer held;     /* until the first may leave */
    struct store_meter *meter; /* a reference; NULL: dom0's */
};

/* Prepares, and ends, what all connections of the store share. */
__attribute__((warn_unused_result)) int
store_conn_start(struct sim_store *store, struct hcl_err *err);
void store_conn_stop(struct sim_store *store);

/* Takes over @fd in any case.  -ENOMEM. */
__attribute__((warn_unused_result)) int
store_conn_new(struct sim_store *store, int fd, struct sim_machine *machine);

/* Sends what goes without waiting, and ends it with all that it has. */
void store_conn_free(struct store_conn *conn);

/*
 * The domain that it speaks for: NULL while that is not introduced, or the
 * machine has been moved and sim_store_restored has not come yet.
 */
const struct sim_domain *store_conn_domain(const struct store_conn *conn);

/* Whether it can be heard, and hears. */
bool store_conn_live(const struct store_conn *conn);

/* The machine may have come to life: goes on where it stopped.  May free it. */
void store_conn_wake(struct store_conn *conn);

/* There is room again, or something to wait for: goes on from the loop. */
void store_conn_resume(struct store_conn *conn);

/* Something is queued: the next store_conn_flush_all sends it. */
void store_conn_to_flush(struct store_conn *conn);
void store_conn_flush_all(struct sim_store *store);

/* The client's watches and transactions end. */
void store_conn_reset(struct store_conn *conn);
void store_open_free(struct store_open *open);

#endif /* SIM_STORE_CONN_H */
