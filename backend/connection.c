/* SPDX-License-Identifier: MIT */
#include "connection_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Strides of the class's states: fit for any type. */
static size_t align_state(size_t bytes)
{
    const size_t align = _Alignof(max_align_t);

    return (bytes + align) & ~(align - 1); /* at least one, so never NULL */
}

static int queue_init(struct hcl_connection *c, uint32_t index)
{
    const struct hcl_connection_setup *setup = &c->setup;
    size_t ring = hcl_layout_ring_offset(&setup->layout, index);
    const struct hclif_side *front = setup->ro;
    struct hclif_side *back = setup->rw;
    struct hcl_queue *queue = &c->queues[index];

    queue->connection = c;
    queue->index = index;
    queue->num_slots = hcl_layout_slots(&setup->layout);
    queue->entries = calloc(queue->num_slots, sizeof(*queue->entries));
    queue->job_states = calloc(queue->num_slots, c->job_stride);
    if (!queue->entries || !queue->job_states) {
        return -ENOMEM;
    }
    for (uint32_t tag = 0; tag < queue->num_slots; tag++) {
        struct hcl_entry *entry = &queue->entries[tag];

        entry->queue = queue;
        entry->tag = tag;
        entry->job.state = queue->job_states + tag * c->job_stride;
    }
    hcl_consumer_init(&queue->requests, (const uint8_t *)setup->ro + ring,
                      queue->num_slots, &back->event[index].position);
    hcl_producer_init(&queue->completions, (uint8_t *)setup->rw + ring,
                      queue->num_slots, &front->event[index].position);
    return 0;
}

static int handles_init(struct hcl_connection *c)
{
    size_t stride = align_state(c->device->class->handle_bytes);
    uint32_t count = c->setup.max_handles;

    c->handles = calloc(count, sizeof(*c->handles));
    c->handle_states = calloc(count, stride);
    if (!c->handles || !c->handle_states) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        c->handles[i].connection = c;
        c->handles[i].state = c->handle_states + i * stride;
    }
    return 0;
}

static int pools_init(struct hcl_connection *c, struct hcl_err *err)
{
    const struct hcl_layout *l = &c->setup.layout;
    size_t pool = hcl_layout_pool_offset(l);
    int rc;

    c->tx_pool = (const uint8_t *)c->setup.ro + pool;
    c->rx_pool = (uint8_t *)c->setup.rw + pool;
    c->tx_pool_bytes = l->tx_pages * HCLIF_PAGE_BYTES;
    c->rx_pool_bytes = l->rx_pages * HCLIF_PAGE_BYTES;
    if (c->device->class->flags & HCL_CLASS_MOVES_BYTES) {
        return 0;
    }
    rc = hcl_bounce_init(&c->tx_bounce, c->tx_pool_bytes, err);
    return rc < 0 ? rc : hcl_bounce_init(&c->rx_bounce, c->rx_pool_bytes, err);
}

/* Memory only: no handle is open, no job runs. */
static void connection_destroy(struct hcl_connection *c)
{
    for (uint32_t i = 0; i < HCLIF_MAX_QUEUES; i++) {
        free(c->queues[i].entries);
        free(c->queues[i].job_states);
    }
    hcl_bounce_clear(&c->tx_bounce);
    hcl_bounce_clear(&c->rx_bounce);
    free(c->handles);
    free(c->handle_states);
    free(c);
}

int hcl_connection_new(struct hcl_connection **ret_connection,
                       struct hcl_device *device,
                       const struct hcl_connection_setup *setup,
                       struct hcl_err *err)
{
    struct hcl_connection *c = calloc(1, sizeof(*c));
    struct hclif_side *back = setup->rw;
    int rc;

    if (!c) {
        return hcl_err_set(err, -ENOMEM, "no memory for a connection");
    }
    c->device = device;
    c->setup = *setup;
    c->job_stride = align_state(device->class->job_bytes);
    rc = handles_init(c);
    for (uint32_t i = 0; rc == 0 && i < setup->layout.num_queues; i++) {
        rc = queue_init(c, i);
    }
    if (rc < 0) {
        hcl_err_set(err, rc, "no memory for a connection");
        goto out;
    }
    rc = pools_init(c, err);
    if (rc < 0) {
        goto out;
    }
    hcl_sched_add(&device->sched, &c->turns, &setup->share);
    c->scheduled = hcl_sched_covers(&device->sched, &c->turns);
    hcl_store_release(&back->alive, 1);
    *ret_connection = c;
    c = NULL;
out:
    if (c) {
        connection_destroy(c);
    }
    return rc;
}

static void unflushed_remove(struct hcl_connection *c)
{
    struct hcl_connection **link = &c->device->unflushed;

    if (!c->unflushed) {
        return;
    }
    while (*link != c) {
        link = &(*link)->next_unflushed;
    }
    *link = c->next_unflushed;
    c->unflushed = false;
}

void hcl_connection_free(struct hcl_connection *connection)
{
    struct hclif_side *back;

    if (!connection) {
        return;
    }
    connection->closing = true;
    /*
     * Newest first over all handles: what has not begun goes before the job
     * whose end would let it begin.
     */
    while (connection->jobs) {
        hcl_entry_cancel(connection->jobs);
    }
    for (uint32_t i = 0; i < connection->setup.max_handles; i++) {
        if (connection->handles[i].open) {
            hcl_handle_shut(&connection->handles[i]);
        }
    }
    assert(hcl_connection_in_flight(connection) == 0);
    hcl_sched_remove(&connection->device->sched, &connection->turns);
    unflushed_remove(connection);
    back = connection->setup.rw;
    hcl_store_release(&back->alive, 0);
    connection_destroy(connection);
}

static int64_t request_ns(const struct hcl_device *device,
                          const struct hclif_request *request)
{
    uint64_t bytes = (uint64_t)request->tx_bytes + request->rx_bytes;

    return (int64_t)(device->request_ns +
                     (bytes * device->request_kib_ns >> 10));
}

/* True: its credit was used up. */
static bool serve_queue(struct hcl_queue *queue)
{
    struct hcl_connection *c = queue->connection;

    while (c->credit_ns > 0) {
        struct hclif_request request;
        uint32_t position = queue->requests.position;

        switch (hcl_consumer_take(&queue->requests, &request)) {
        case HCL_TAKE_EMPTY:
            return false;
        case HCL_TAKE_FAULT:
            hcl_fault_set(&c->fault, HCL_FAULT_SEQUENCE,
                          "request slot %u of queue %u at position %u",
                          position & (queue->num_slots - 1), queue->index,
                          position);
            return false;
        case HCL_TAKE_SLOT:
            c->stats.requests++;
            if (hcl_request_start(queue, &request) != HCL_FAULT_NONE) {
                return false;
            }
            c->credit_ns -= request_ns(c->device, &request);
        }
    }
    return true;
}

/* The queues in turn, each as far as the credit goes.  True: it has ended. */
static bool serve_queues(struct hcl_connection *c)
{
    uint32_t num_queues = c->setup.layout.num_queues;

    for (uint32_t i = 0; i < num_queues; i++) {
        struct hcl_queue *queue = &c->queues[c->next_queue];

        c->next_queue = c->next_queue + 1 < num_queues ? c->next_queue + 1 : 0;
        if (serve_queue(queue)) {
            return true;
        }
        if (c->fault.fault != HCL_FAULT_NONE) {
            return false;
        }
    }
    /* Idle: no credit for later. */
    c->credit_ns = c->credit_ns < 0 ? c->credit_ns : 0;
    return false;
}

enum hcl_serve hcl_connection_serve(struct hcl_connection *connection,
                                    uint32_t budget_ns)
{
    bool more;

    connection->credit_ns += hcl_sched_part(&connection->turns, budget_ns);
    more = serve_queues(connection);
    if (connection->fault.fault != HCL_FAULT_NONE) {
        connection->stats.faults++;
        return HCL_SERVE_FAULT;
    }
    hcl_connection_flush(connection);
    return more ? HCL_SERVE_MORE : HCL_SERVE_IDLE;
}

bool hcl_connection_ready(const struct hcl_connection *connection)
{
    bool ready = false;

    for (uint32_t i = 0; i < connection->setup.layout.num_queues; i++) {
        ready |= hcl_consumer_ready(&connection->queues[i].requests);
    }
    return ready;
}

bool hcl_connection_arm(struct hcl_connection *connection)
{
    bool sleeps = true;

    for (uint32_t i = 0; i < connection->setup.layout.num_queues; i++) {
        sleeps &= hcl_consumer_arm(&connection->queues[i].requests);
    }
    return sleeps;
}

void hcl_connection_forgive(struct hcl_connection *connection)
{
    if (connection->credit_ns < 0) {
        connection->credit_ns = 0;
    }
}

void hcl_connection_flush(struct hcl_connection *connection)
{
    unflushed_remove(connection);
    for (uint32_t i = 0; i < connection->setup.layout.num_queues; i++) {
        struct hcl_producer *completions = &connection->queues[i].completions;

        if (completions->position != completions->published &&
            hcl_producer_notify(completions)) {
            connection->stats.events_out++;
            connection->setup.doorbell(connection->setup.arg, i);
        }
    }
}

bool hcl_connection_peer_alive(const struct hcl_connection *connection)
{
    const struct hclif_side *front = connection->setup.ro;

    return hcl_load_once(&front->alive) != 0;
}

const struct hcl_fault_report *
hcl_connection_fault(const struct hcl_connection *connection)
{
    return &connection->fault;
}

struct hcl_stats *hcl_connection_stats(struct hcl_connection *connection)
{
    struct hcl_stats *stats = &connection->stats;

    stats->device_ns = connection->turns.used_ns;
    stats->queued = connection->turns.queued;
    stats->throttled = connection->turns.held;
    return stats;
}

uint32_t hcl_connection_in_flight(const struct hcl_connection *connection)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < connection->setup.layout.num_queues; i++) {
        sum += connection->queues[i].in_flight;
    }
    return sum;
}
