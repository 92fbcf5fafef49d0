/* SPDX-License-Identifier: MIT */
/*
 * job.c: what a class does with handles and jobs, and the completions that
 * come of it.
 */
#include <assert.h>
#include <string.h>

#include "connection_internal.h"

void *hcl_handle_state(struct hcl_handle *handle)
{
    return handle->state;
}

/* The ring takes it; the event waits for the end of the burst. */
static void put_completion(struct hcl_queue *queue,
                           const struct hclif_completion *completion)
{
    struct hcl_connection *c = queue->connection;

    if (c->closing) {
        return;
    }
    hcl_producer_put(&queue->completions, completion);
    c->stats.completions++;
    if (completion->status == HCLIF_STATUS_OK) {
        c->stats.rx_bytes += completion->rx_bytes;
    }
    if (!c->unflushed) {
        c->unflushed = true;
        c->next_unflushed = c->device->unflushed;
        c->device->unflushed = c;
    }
}

void hcl_queue_complete(struct hcl_queue *queue, uint32_t tag, uint16_t status)
{
    struct hclif_completion completion;

    memset(&completion, 0, sizeof(completion));
    completion.tag = tag;
    completion.status = status;
    put_completion(queue, &completion);
}

/* Pays for it, unless it went past the scheduler or never got its turn. */
static void end_turn(struct hcl_entry *entry, uint32_t rx_bytes)
{
    struct hcl_sched *sched = &entry->queue->connection->device->sched;

    if (entry->turn.state != HCL_SCHED_NONE) {
        hcl_sched_done(sched, &entry->turn, entry->job.tx_bytes + rx_bytes,
                       hcl_sched_timed(sched) ? hcl_now_ns() : 0);
    }
}

/* The entry's tag and its bounce memory are free for the next request. */
static void release_entry(struct hcl_entry *entry, uint32_t rx_bytes)
{
    struct hcl_queue *queue = entry->queue;
    struct hcl_connection *c = queue->connection;

    end_turn(entry, rx_bytes);
    if (!(c->device->class->flags & HCL_CLASS_MOVES_BYTES)) {
        if (entry->flags & HCLIF_TX_POOL) {
            hcl_bounce_give(&c->tx_bounce, entry->job.tx, entry->tx_offset,
                            entry->job.tx_bytes);
        }
        if (entry->flags & HCLIF_RX_POOL) {
            hcl_bounce_give(&c->rx_bounce, entry->job.rx, entry->rx_offset,
                            entry->job.rx_bytes);
        }
    }
    *entry->link = entry->next;
    if (entry->next) {
        entry->next->link = entry->link;
    }
    *entry->job_link = entry->next_job;
    if (entry->next_job) {
        entry->next_job->job_link = entry->job_link;
    }
    entry->busy = false;
    queue->in_flight--;
}

/* The answer, unless the class has put it into the pool itself. */
static void move_answer(struct hcl_entry *entry, uint32_t rx_bytes,
                        struct hclif_completion *completion)
{
    struct hcl_connection *c = entry->queue->connection;

    if (!(entry->flags & HCLIF_RX_POOL)) {
        memcpy(completion->data, entry->rx_data, rx_bytes);
    } else if (!(c->device->class->flags & HCL_CLASS_MOVES_BYTES)) {
        memcpy(c->rx_pool + entry->rx_offset, entry->job.rx, rx_bytes);
    }
}

static struct hcl_entry *job_entry(struct hcl_job *job)
{
    return (struct hcl_entry *)job; /* its first member */
}

void hcl_job_complete(struct hcl_job *job, uint16_t status, uint32_t rx_bytes,
                      uint16_t flags)
{
    struct hcl_entry *entry = job_entry(job);
    struct hclif_completion completion;

    assert(entry->busy);
    assert(rx_bytes <= job->rx_bytes);
    memset(&completion, 0, sizeof(completion));
    completion.tag = entry->tag;
    completion.status = status;
    completion.flags = flags;
    if (status == HCLIF_STATUS_OK) {
        completion.rx_bytes = rx_bytes;
        move_answer(entry, rx_bytes, &completion);
    }
    release_entry(entry, completion.rx_bytes);
    put_completion(entry->queue, &completion);
}

void hcl_job_fail(struct hcl_job *job, uint16_t status, const char *text)
{
    struct hcl_entry *entry = job_entry(job);
    struct hclif_completion completion;

    assert(entry->busy);
    assert(status != HCLIF_STATUS_OK);
    memset(&completion, 0, sizeof(completion));
    completion.tag = entry->tag;
    completion.status = status;
    /* doc/protocol.md 3.3: whatever room the request gave for an answer. */
    completion.rx_bytes = (uint32_t)strnlen(text, sizeof(completion.data));
    memcpy(completion.data, text, completion.rx_bytes);
    release_entry(entry, 0);
    put_completion(entry->queue, &completion);
}

void hcl_entry_cancel(struct hcl_entry *entry)
{
    struct hcl_device *device = entry->queue->connection->device;

    if (entry->turn.state == HCL_SCHED_QUEUED) {
        hcl_sched_drop(&device->sched, &entry->turn);
        hcl_job_complete(&entry->job, HCLIF_STATUS_CANCELLED, 0, 0);
    } else {
        device->class->cancel(device, &entry->job);
    }
    assert(!entry->busy);
}

static struct hcl_entry *turn_entry(struct hcl_sched_job *turn)
{
    return (struct hcl_entry *)(void *)((char *)turn -
                                        offsetof(struct hcl_entry, turn));
}

void hcl_device_dispatch(struct hcl_device *device)
{
    struct hcl_sched *sched = &device->sched;

    while (hcl_sched_waiting(sched)) {
        struct hcl_sched_job *turn =
            hcl_sched_take(sched, hcl_sched_timed(sched) ? hcl_now_ns() : 0);

        if (!turn) {
            break;
        }
        device->class->submit(device, &turn_entry(turn)->job);
    }
}

void hcl_handle_shut(struct hcl_handle *handle)
{
    struct hcl_device *device = handle->connection->device;

    /* Newest first: no cancel lets the class start one that is next to go. */
    while (handle->entries) {
        hcl_entry_cancel(handle->entries);
    }
    device->class->handle_close(device, handle);
    handle->open = false;
}
