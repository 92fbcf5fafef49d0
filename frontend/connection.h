/* SPDX-License-Identifier: MIT */
/*
 * connection.h: from xenstore, grants and an event channel to what a session
 * needs, mapped memory and a doorbell; and again, as often as it is lost.
 *
 * What happens is decided by one table (handshake.h) from the own state and
 * the backend's:
 *
 *      +------------------ restart ------------------+
 *      v                                             |
 *   1 Initialising -- publish --> 3 Initialised -- connect --> 4 Connected
 *      |                                             |            |
 *      +---- refused, gone, fault ---> 6 Closed <-- release -- 5 Closing
 *
 * Nothing here waits: hcl_connection_process does what can be done now.
 */
#ifndef HCL_CONNECTION_H
#define HCL_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "attachment.h"
#include "err.h"
#include "forkguard.h"
#include "grant.h"
#include "hcl.h"
#include "local.h"
#include "loop.h"
#include "memory.h"
#include "port.h"
#include "session.h"

struct hcl_connection {
    /* The device's. */
    struct hcl_loop *loop;
    struct hcl_session *session;
    struct hcl_fork_guard *guard;
    struct hcl_open_options options; /* times filled in */
    /* Not NULL: the other end is a process of this domain (open_local.h). */
    struct hcl_local *local;

    /* Owned. */
    struct hcl_attachment attachment;
    struct hcl_source *store_source; /* local: of the other end's life */
    struct hcl_share *share;
    struct hcl_ports *ports; /* NULL without memory */
    struct hcl_source *ports_source;
    struct hcl_memory memory;
    uint32_t port;

    enum hcl_state own;
    enum hcl_state peer;     /* as xenstore has it */
    enum hcl_state peer_now; /* as it counts: handshake.h */
    struct hcl_offer offer;  /* the one that was answered last */
    uint64_t incarnation;    /* of what was published last */

    bool look;      /* something in xenstore may be new */
    bool moved;     /* the backend's place may be another */
    bool absent;    /* the own directory is not there */
    bool restoring; /* and will come: after a move or a pause */
    bool published; /* xenstore has `incarnation`, as long as this life lasts */
    bool stale;     /* the event channel is that of another life */
    bool broken;    /* the event channel handle */
    bool to_ring;   /* the backend, after a look */
    bool has_pools;

    struct hcl_timer retry;
    uint64_t publish_after_us; /* monotonic; against a flapping backend */
    uint64_t backoff_us;
    uint64_t connected_us; /* when */
    uint64_t deserted_us;  /* when the backend was seen to have let go, or 0 */
    uint32_t reconnects;
    uint64_t events_out; /* doorbells rung */
    uint64_t events_in;  /* wake-ups by the event channel */

    struct hcl_err end; /* code 0: it goes on */
};

/*
 * Starts to connect the attachment that stands open in @connection, zeroed
 * otherwise; the pointers are kept.  On failure hcl_connection_stop is still
 * due.
 */
__attribute__((warn_unused_result)) int
hcl_connection_start(struct hcl_connection *connection, struct hcl_loop *loop,
                     struct hcl_session *session, struct hcl_fork_guard *guard,
                     const struct hcl_open_options *options,
                     struct hcl_err *err);

/* Does what can be done now, of everything, after the loop was polled. */
void hcl_connection_process(struct hcl_connection *connection);

/* Only looks at the rings. */
void hcl_connection_serve(struct hcl_connection *connection);

/* Whether the rings are of use: hcl_connection_serve would look at them. */
bool hcl_connection_serves(const struct hcl_connection *connection);

/* Before sleeping: asks for an event.  False: there is something to do now. */
__attribute__((warn_unused_result)) bool
hcl_connection_arm(struct hcl_connection *connection);

/* Asks the backend for the end; done when own is HCL_STATE_CLOSED. */
void hcl_connection_shut(struct hcl_connection *connection);

/* Frees everything, whatever the backend still does with it. */
void hcl_connection_stop(struct hcl_connection *connection);

/* Fills @err: why there is no connection after all that time.  -ETIMEDOUT. */
int hcl_connection_timed_out(const struct hcl_connection *connection,
                             struct hcl_err *err);

/* ---- Between connection.c and publish.c -------------------------------- */

/*
 * Publishes fresh memory, or sets a timer if that is too early.  When the
 * backend or the directory changed meanwhile nothing is published, and looking
 * again tells why.
 */
__attribute__((warn_unused_result)) int
hcl_connection_publish(struct hcl_connection *connection, struct hcl_err *err);

/* Ends the event channel, if there is one, in the way that is safe now. */
void hcl_connection_free_ports(struct hcl_connection *connection);

/* For timers: @arg is the connection. */
void hcl_connection_look_again(void *arg);

#endif /* HCL_CONNECTION_H */
