/* SPDX-License-Identifier: MIT */
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hcl_queue_init(struct hcl_queue *queue, uint32_t max_slots)
{
    memset(queue, 0, sizeof(*queue));
    queue->max_slots = max_slots;
    queue->by_tag = calloc(max_slots, sizeof(struct hcl_request *));
    queue->free_tags = calloc(max_slots, sizeof(*queue->free_tags));
    if (!queue->by_tag || !queue->free_tags) {
        hcl_queue_clear(queue);
        return -ENOMEM;
    }
    return 0;
}

void hcl_queue_clear(struct hcl_queue *queue)
{
    free(queue->by_tag);
    free(queue->free_tags);
    memset(queue, 0, sizeof(*queue));
}

void hcl_queue_attach(struct hcl_queue *queue,
                      const struct hcl_queue_memory *memory)
{
    uint32_t tag;

    assert(memory->num_slots <= queue->max_slots && !queue->in_flight);
    queue->memory = *memory;
    hcl_producer_init(&queue->producer, memory->requests, memory->num_slots,
                      memory->peer_event);
    hcl_consumer_init(&queue->consumer, memory->completions, memory->num_slots,
                      memory->own_event);
    for (tag = 0; tag < memory->num_slots; tag++) {
        queue->by_tag[tag] = NULL;
        queue->free_tags[tag] = tag;
    }
    queue->free_first = 0;
}

void hcl_queue_detach(struct hcl_queue *queue,
                      void (*lost)(void *arg, struct hcl_request *request),
                      void *arg)
{
    uint32_t tag, num_slots = queue->memory.num_slots;
    struct hcl_request *request;

    memset(&queue->memory, 0, sizeof(queue->memory));
    queue->in_flight = 0;
    for (tag = 0; tag < num_slots; tag++) {
        request = queue->by_tag[tag];
        queue->by_tag[tag] = NULL;
        if (request) {
            lost(arg, request);
        }
    }
}

uint32_t hcl_queue_room(const struct hcl_queue *queue)
{
    return queue->memory.num_slots - queue->in_flight;
}

void hcl_queue_send(struct hcl_queue *queue, struct hcl_request *request)
{
    uint32_t mask = queue->memory.num_slots - 1;
    struct hclif_request slot = {
        .handle = request->number,
        .opcode = request->opcode,
        .flags = request->flags,
        .argument = request->argument,
        .tx_bytes = request->tx_bytes,
        .tx_offset = request->tx_offset,
        .rx_bytes = request->rx_bytes,
        .rx_offset = request->rx_offset,
    };

    assert(hcl_queue_room(queue) > 0);
    request->tag = queue->free_tags[queue->free_first++ & mask];
    request->state = HCL_REQUEST_SENT;
    queue->by_tag[request->tag] = request;
    queue->in_flight++;
    slot.tag = request->tag;
    if (!(request->flags & HCLIF_TX_POOL)) {
        memcpy(slot.data, request->data, request->tx_bytes);
    }
    hcl_producer_put(&queue->producer, &slot);
}

void hcl_queue_kick(struct hcl_queue *queue)
{
    if (queue->memory.num_slots && hcl_producer_notify(&queue->producer)) {
        queue->memory.doorbell(queue->memory.doorbell_arg);
    }
}

/*
 * What a completion may say that it brings: the answer, or a text about the
 * failure, in data[], however much was asked for (doc/protocol.md 3.3).
 */
static uint32_t most_bytes(const struct hcl_request *request, uint16_t status)
{
    return status == HCLIF_STATUS_OK ? request->rx_bytes
                                     : HCLIF_COMPLETION_DATA;
}

int hcl_queue_take(struct hcl_queue *queue, struct hclif_completion *completion,
                   struct hcl_request **ret_request,
                   enum hcl_queue_fault *ret_fault)
{
    uint32_t mask = queue->memory.num_slots - 1;
    struct hcl_request *request;

    if (!queue->memory.num_slots) {
        return 0;
    }
    switch (hcl_consumer_take(&queue->consumer, completion)) {
    case HCL_TAKE_EMPTY:
        return 0;
    case HCL_TAKE_SLOT:
        break;
    default:
        *ret_fault = HCL_QUEUE_BAD_SEQUENCE;
        return -1;
    }
    if (completion->tag >= queue->memory.num_slots) {
        *ret_fault = HCL_QUEUE_BAD_TAG;
        return -1;
    }
    request = queue->by_tag[completion->tag];
    if (!request) {
        *ret_fault = HCL_QUEUE_UNUSED_TAG;
        return -1;
    }
    if (completion->rx_bytes > most_bytes(request, completion->status)) {
        *ret_fault = HCL_QUEUE_BAD_ANSWER;
        return -1;
    }
    queue->by_tag[completion->tag] = NULL;
    queue->in_flight--;
    /* Free tags stand at [free_first, free_first + room). */
    queue->free_tags[(queue->free_first + hcl_queue_room(queue) - 1) & mask] =
        completion->tag;
    *ret_request = request;
    return 1;
}

bool hcl_queue_arm(struct hcl_queue *queue)
{
    return !queue->memory.num_slots || hcl_consumer_arm(&queue->consumer);
}

const char *hcl_queue_fault_text(enum hcl_queue_fault fault)
{
    switch (fault) {
    case HCL_QUEUE_NO_FAULT:
        break;
    case HCL_QUEUE_BAD_SEQUENCE:
        return "a completion slot has a wrong sequence number";
    case HCL_QUEUE_BAD_TAG:
        return "a completion has a tag that is out of range";
    case HCL_QUEUE_UNUSED_TAG:
        return "a completion has a tag that is not in flight";
    case HCL_QUEUE_BAD_ANSWER:
        return "a completion has more bytes than it may have";
    }
    return "no fault";
}
