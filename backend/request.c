/* SPDX-License-Identifier: MIT */
/*
 * request.c: checks each request and starts it.  Works on the private copy of
 * the slot alone: the slot itself changes under us.
 */
#include <string.h>

#include "connection_internal.h"

#define KNOWN_FLAGS (HCLIF_TX_POOL | HCLIF_RX_POOL)

/* [offset, offset + bytes) within [0, pool); written so that nothing wraps. */
static bool range_ok(uint32_t offset, uint32_t bytes, uint32_t pool)
{
    return offset <= pool && bytes <= pool - offset;
}

static enum hcl_fault check_tx(struct hcl_connection *c,
                               const struct hclif_request *r)
{
    if (r->flags & HCLIF_TX_POOL) {
        if (!range_ok(r->tx_offset, r->tx_bytes, c->tx_pool_bytes)) {
            return hcl_fault_set(&c->fault, HCL_FAULT_TX_POOL,
                                 "%u bytes at %u of %u, tag %u", r->tx_bytes,
                                 r->tx_offset, c->tx_pool_bytes, r->tag);
        }
    } else if (r->tx_bytes > HCLIF_REQUEST_DATA || r->tx_offset != 0) {
        return hcl_fault_set(&c->fault, HCL_FAULT_TX_INLINE,
                             "%u bytes at %u of %u, tag %u", r->tx_bytes,
                             r->tx_offset, HCLIF_REQUEST_DATA, r->tag);
    }
    return HCL_FAULT_NONE;
}

static enum hcl_fault check_rx(struct hcl_connection *c,
                               const struct hclif_request *r)
{
    if (r->flags & HCLIF_RX_POOL) {
        if (!range_ok(r->rx_offset, r->rx_bytes, c->rx_pool_bytes)) {
            return hcl_fault_set(&c->fault, HCL_FAULT_RX_POOL,
                                 "%u bytes at %u of %u, tag %u", r->rx_bytes,
                                 r->rx_offset, c->rx_pool_bytes, r->tag);
        }
    } else if (r->rx_bytes > HCLIF_COMPLETION_DATA || r->rx_offset != 0) {
        return hcl_fault_set(&c->fault, HCL_FAULT_RX_INLINE,
                             "%u bytes at %u of %u, tag %u", r->rx_bytes,
                             r->rx_offset, HCLIF_COMPLETION_DATA, r->tag);
    }
    return HCL_FAULT_NONE;
}

static enum hcl_fault check_request(const struct hcl_queue *queue,
                                    const struct hclif_request *r)
{
    struct hcl_connection *c = queue->connection;
    enum hcl_fault fault;

    /* Without a shared index nothing but our count bounds a flood. */
    if (queue->in_flight >= queue->num_slots) {
        return hcl_fault_set(&c->fault, HCL_FAULT_IN_FLIGHT,
                             "%u of %u, then tag %u", queue->in_flight,
                             queue->num_slots, r->tag);
    }
    if (r->tag >= queue->num_slots) {
        return hcl_fault_set(&c->fault, HCL_FAULT_TAG_RANGE, "%u of %u", r->tag,
                             queue->num_slots);
    }
    if (queue->entries[r->tag].busy) {
        return hcl_fault_set(&c->fault, HCL_FAULT_TAG_BUSY, "%u", r->tag);
    }
    if (r->flags & ~KNOWN_FLAGS) {
        return hcl_fault_set(&c->fault, HCL_FAULT_FLAGS, "0x%02x, tag %u",
                             r->flags, r->tag);
    }
    fault = check_tx(c, r);
    return fault != HCL_FAULT_NONE ? fault : check_rx(c, r);
}

/* ---- The worker's own opcodes ------------------------------------------ */

/* The handle if it is open, or NULL. */
static struct hcl_handle *find_handle(struct hcl_connection *c, uint16_t number)
{
    if (number >= c->setup.max_handles || !c->handles[number].open) {
        return NULL;
    }
    return &c->handles[number];
}

static uint16_t serve_open(struct hcl_connection *c,
                           const struct hclif_request *r)
{
    const struct hcl_class *class = c->device->class;
    struct hcl_handle *handle;
    uint16_t status;

    if (r->handle >= c->setup.max_handles || c->handles[r->handle].open) {
        return HCLIF_STATUS_BAD_HANDLE;
    }
    if (r->argument != 0) {
        return HCLIF_STATUS_INVALID;
    }
    handle = &c->handles[r->handle];
    memset(handle->state, 0, class->handle_bytes);
    status = class->handle_open(c->device, handle);
    handle->open = status == HCLIF_STATUS_OK;
    return status;
}

static uint16_t serve_close(struct hcl_connection *c,
                            const struct hclif_request *r)
{
    struct hcl_handle *handle = find_handle(c, r->handle);

    if (!handle) {
        return HCLIF_STATUS_BAD_HANDLE;
    }
    hcl_handle_shut(handle);
    return HCLIF_STATUS_OK;
}

/* A tag that is free, or another handle's, has completed already: fine. */
static uint16_t serve_cancel(struct hcl_queue *queue,
                             const struct hclif_request *r)
{
    struct hcl_handle *handle = find_handle(queue->connection, r->handle);

    if (!handle) {
        return HCLIF_STATUS_BAD_HANDLE;
    }
    if (r->argument < queue->num_slots) {
        struct hcl_entry *entry = &queue->entries[r->argument];

        if (entry->busy && entry->job.handle == handle) {
            hcl_entry_cancel(entry);
        }
    }
    return HCLIF_STATUS_OK;
}

/* ---- Jobs of the class ------------------------------------------------- */

/*
 * A payload is copied, once, out of the guest's reach, before the class looks
 * at it; an answer is copied when it is complete.  False: some of the bytes
 * belong to another request, which no such class can have.
 */
static bool place_bounce(struct hcl_connection *c, struct hcl_job *job,
                         const struct hclif_request *r)
{
    if (r->flags & HCLIF_TX_POOL) {
        void *tx = hcl_bounce_take(&c->tx_bounce, r->tx_offset, r->tx_bytes);

        if (!tx) {
            return false;
        }
        memcpy(tx, c->tx_pool + r->tx_offset, r->tx_bytes);
        job->tx = tx;
    }
    if (r->flags & HCLIF_RX_POOL) {
        job->rx = hcl_bounce_take(&c->rx_bounce, r->rx_offset, r->rx_bytes);
        if (!job->rx) {
            if (r->flags & HCLIF_TX_POOL) {
                hcl_bounce_give(&c->tx_bounce, job->tx, r->tx_offset,
                                r->tx_bytes);
            }
            return false;
        }
    }
    return true;
}

/* Sets job->tx and job->rx: in the entry, in the pool or in bounce memory. */
static bool place_buffers(struct hcl_connection *c, struct hcl_entry *entry,
                          const struct hclif_request *r)
{
    struct hcl_job *job = &entry->job;

    job->tx = entry->tx_data;
    job->rx = entry->rx_data;
    if (!(r->flags & HCLIF_TX_POOL)) {
        memcpy(entry->tx_data, r->data, r->tx_bytes);
    }
    if (!(c->device->class->flags & HCL_CLASS_MOVES_BYTES)) {
        return place_bounce(c, job, r);
    }
    if (r->flags & HCLIF_TX_POOL) {
        job->tx = c->tx_pool + r->tx_offset;
    }
    if (r->flags & HCLIF_RX_POOL) {
        job->rx = c->rx_pool + r->rx_offset;
    }
    return true;
}

/* Puts the entry first in its handle's list and in the connection's. */
static void link_entry(struct hcl_handle *handle, struct hcl_entry *entry)
{
    struct hcl_connection *c = handle->connection;

    entry->next = handle->entries;
    entry->link = &handle->entries;
    if (entry->next) {
        entry->next->link = &entry->next;
    }
    handle->entries = entry;
    entry->next_job = c->jobs;
    entry->job_link = &c->jobs;
    if (entry->next_job) {
        entry->next_job->job_link = &entry->next_job;
    }
    c->jobs = entry;
}

/* True: the job has to wait for its turn. */
static bool wait_for_turn(struct hcl_connection *c, struct hcl_entry *entry)
{
    struct hcl_sched *sched = &c->device->sched;
    const struct hcl_job *job = &entry->job;

    if (!c->scheduled || !hcl_device_schedules(c->device, job->opcode)) {
        return false;
    }
    return !hcl_sched_put(sched, &c->turns, &entry->turn,
                          job->tx_bytes + job->rx_bytes,
                          hcl_sched_timed(sched) ? hcl_now_ns() : 0);
}

static uint16_t start_job(struct hcl_queue *queue, struct hcl_handle *handle,
                          const struct hclif_request *r)
{
    struct hcl_connection *c = queue->connection;
    struct hcl_entry *entry = &queue->entries[r->tag];
    struct hcl_job *job = &entry->job;

    if (!place_buffers(c, entry, r)) {
        return HCLIF_STATUS_LIMIT;
    }
    job->handle = handle;
    job->opcode = r->opcode;
    job->argument = r->argument;
    job->tx_bytes = r->tx_bytes;
    job->rx_bytes = r->rx_bytes;
    memset(job->state, 0, c->device->class->job_bytes);
    entry->flags = r->flags;
    entry->tx_offset = r->tx_offset;
    entry->rx_offset = r->rx_offset;
    entry->busy = true;
    link_entry(handle, entry);
    queue->in_flight++;
    c->stats.tx_bytes += r->tx_bytes;
    if (!wait_for_turn(c, entry)) {
        c->device->class->submit(c->device, job);
    }
    return HCLIF_STATUS_OK;
}

enum hcl_fault hcl_request_start(struct hcl_queue *queue,
                                 const struct hclif_request *request)
{
    struct hcl_connection *c = queue->connection;
    enum hcl_fault fault = check_request(queue, request);
    struct hcl_handle *handle;
    uint16_t status;

    if (fault != HCL_FAULT_NONE) {
        return fault;
    }
    switch (request->opcode) {
    case HCLIF_OP_OPEN:
        status = serve_open(c, request);
        break;
    case HCLIF_OP_CLOSE:
        status = serve_close(c, request);
        break;
    case HCLIF_OP_CANCEL:
        status = serve_cancel(queue, request);
        break;
    default:
        handle = find_handle(c, request->handle);
        if (!handle) {
            status = HCLIF_STATUS_BAD_HANDLE;
        } else if (!hcl_device_serves(c->device, request->opcode)) {
            status = HCLIF_STATUS_UNSUPPORTED;
        } else {
            status = start_job(queue, handle, request);
            if (status == HCLIF_STATUS_OK) {
                return HCL_FAULT_NONE; /* it completes later */
            }
        }
    }
    hcl_queue_complete(queue, request->tag, status);
    return HCL_FAULT_NONE;
}
