/* SPDX-License-Identifier: MIT */
/*
 * connection.h: serves the requests of one guest.  Knows only mapped pages and
 * a doorbell: grants and event channels are guest.h, memory of a test will do
 * as well.
 *
 *   ro region: front page | request rings    | tx pool   (the guest writes)
 *   rw region: back page  | completion rings | rx pool   (we write)
 *
 * All memory is allocated at hcl_connection_new; nothing that a guest does
 * later allocates.  One thread; nothing blocks or logs.
 */
#ifndef HCL_CONNECTION_H
#define HCL_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "fault.h"
#include "layout.h"
#include "message.h"

struct hcl_connection;

/* What a connection is made of. */
struct hcl_connection_setup {
    struct hcl_layout layout; /* checked */
    struct hcl_share share;   /* of the device, and of the worker's time */
    uint32_t max_handles;     /* 1 to 65535 */
    const void *ro;           /* mapped; outlives the connection */
    void *rw;                 /* mapped; outlives the connection */
    /* Sends an event for a queue to the guest. */
    void (*doorbell)(void *arg, uint32_t queue);
    void *arg;
};

/* Makes it, and says so in the back page (alive = 1).  -ENOMEM. */
__attribute__((warn_unused_result)) int hcl_connection_new(
    struct hcl_connection **ret_connection, struct hcl_device *device,
    const struct hcl_connection_setup *setup, struct hcl_err *err);

/*
 * Cancels all jobs, closes all handles, clears alive; completions that result
 * are not sent.  Takes NULL.  Not from within a call of the class.
 */
void hcl_connection_free(struct hcl_connection *connection);

enum hcl_serve {
    HCL_SERVE_IDLE,  /* nothing left; look again, or arm it and sleep */
    HCL_SERVE_MORE,  /* the budget is used up: call again, others first */
    HCL_SERVE_FAULT, /* the guest broke the protocol: free the connection */
};

/*
 * What a request costs the worker, more or less, and what each KiB of its
 * payload and its answer.  A class that works within submit says so itself.
 */
#define HCL_REQUEST_NS 100
#define HCL_REQUEST_KIB_NS 64

/*
 * Its turn: takes and starts requests that cost @budget_ns in all, or its share
 * of that by its weight.  The last one may cost more, which its next turns pay.
 */
enum hcl_serve hcl_connection_serve(struct hcl_connection *connection,
                                    uint32_t budget_ns);

/* Nobody else wants a turn: what the last ones cost too much is void. */
void hcl_connection_forgive(struct hcl_connection *connection);

/* Whether there is something to serve: for looking again and again. */
bool hcl_connection_ready(const struct hcl_connection *connection);

/*
 * Before sleeping: asks for an event at the next request of each queue.  False:
 * there is something to serve now.
 */
__attribute__((warn_unused_result)) bool
hcl_connection_arm(struct hcl_connection *connection);

/* Sends the event for completions since the last flush, if the guest waits. */
void hcl_connection_flush(struct hcl_connection *connection);

/* False when the guest's program has died. */
bool hcl_connection_peer_alive(const struct hcl_connection *connection);

/* After HCL_SERVE_FAULT: which and why. */
const struct hcl_fault_report *
hcl_connection_fault(const struct hcl_connection *connection);

/* Its counters as they are now; the doorbell's provider counts events_in. */
struct hcl_stats *hcl_connection_stats(struct hcl_connection *connection);

/* Requests that are not completed, of all queues. */
uint32_t hcl_connection_in_flight(const struct hcl_connection *connection);

#endif /* HCL_CONNECTION_H */
