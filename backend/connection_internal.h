/* SPDX-License-Identifier: MIT */
/*
 * connection_internal.h: what connection.c (memory and bursts), request.c
 * (checks and starts) and job.c (completions) share, and nobody else sees.
 */
#ifndef HCL_CONNECTION_INTERNAL_H
#define HCL_CONNECTION_INTERNAL_H

#include "bounce.h"
#include "connection.h"
#include "ring.h"
#include "scheduler.h"

struct hcl_queue;

/* One tag of one queue: a request from its start to its completion. */
struct hcl_entry {
    struct hcl_job job;          /* what the class sees; first, see job_entry */
    struct hcl_queue *queue;     /* never changes */
    struct hcl_entry *next;      /* of the same handle */
    struct hcl_entry **link;     /* what points to us in that list */
    struct hcl_entry *next_job;  /* of the same connection */
    struct hcl_entry **job_link; /* what points to us in that list */
    struct hcl_sched_job turn;   /* of the device */
    bool busy;
    uint32_t tag; /* never changes */
    uint8_t flags;
    uint32_t tx_offset;
    uint32_t rx_offset;
    uint8_t tx_data[HCLIF_REQUEST_DATA];
    uint8_t rx_data[HCLIF_COMPLETION_DATA];
};

struct hcl_handle {
    struct hcl_connection *connection;
    bool open;
    struct hcl_entry *entries; /* its jobs */
    void *state;               /* handle_bytes of the class */
};

struct hcl_queue {
    struct hcl_connection *connection;
    uint32_t index;
    uint32_t num_slots;
    uint32_t in_flight;
    struct hcl_consumer requests;
    struct hcl_producer completions;
    struct hcl_entry *entries; /* num_slots; owned */
    uint8_t *job_states;       /* num_slots * job_stride; owned */
};

struct hcl_connection {
    struct hcl_device *device;
    struct hcl_connection_setup setup;
    struct hcl_connection *next_unflushed;
    bool unflushed;         /* in device->unflushed */
    bool closing;           /* completions are dropped */
    const uint8_t *tx_pool; /* in the ro region */
    uint8_t *rx_pool;       /* in the rw region */
    uint32_t tx_pool_bytes;
    uint32_t rx_pool_bytes;
    struct hcl_bounce tx_bounce; /* classes without HCL_CLASS_MOVES_BYTES */
    struct hcl_bounce rx_bounce;
    size_t job_stride;
    struct hcl_sched_guest turns; /* of the device */
    bool scheduled;               /* its jobs may have to wait for their turn */
    int64_t credit_ns;            /* for requests; see hcl_connection_serve */
    uint32_t next_queue;          /* that is served first */
    struct hcl_entry *jobs;       /* of all handles, newest first */
    struct hcl_handle *handles;   /* max_handles; owned */
    uint8_t *handle_states;       /* owned */
    struct hcl_queue queues[HCLIF_MAX_QUEUES];
    struct hcl_fault_report fault;
    struct hcl_stats stats;
};

/*
 * request.c: checks @request, a private copy, and starts it.  A fault is in
 * queue->connection->fault.
 */
__attribute__((warn_unused_result)) enum hcl_fault
hcl_request_start(struct hcl_queue *queue, const struct hclif_request *request);

/* job.c: cancels all jobs of an open handle and closes it. */
void hcl_handle_shut(struct hcl_handle *handle);

/* job.c: puts a completion without an answer on the ring of @queue. */
void hcl_queue_complete(struct hcl_queue *queue, uint32_t tag, uint16_t status);

/* job.c: ends one job early, which always works. */
void hcl_entry_cancel(struct hcl_entry *entry);

#endif /* HCL_CONNECTION_INTERNAL_H */
