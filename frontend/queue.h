/* SPDX-License-Identifier: MIT */
/*
 * queue.h: the wire half of a queue: requests on the ring by tag, completions
 * off the ring and checked (doc/protocol.md 3.3 to 3.5 and 5).
 *
 * It knows mapped memory and a doorbell, nothing of Xen.  What a backend does
 * wrong is an enumerated fault; the caller ends the connection.
 */
#ifndef HCL_QUEUE_H
#define HCL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "hclif.h"
#include "request.h"
#include "ring.h"

/* The mapped memory of a queue, and how to wake its backend. */
struct hcl_queue_memory {
    void *requests;             /* ring of num_slots slots, zeroed */
    const void *completions;    /* as many, zeroed */
    uint32_t *own_event;        /* event.position of the front page */
    const uint32_t *peer_event; /* event.position of the back page */
    uint32_t num_slots;         /* power of two */
    void (*doorbell)(void *arg);
    void *doorbell_arg;
};

enum hcl_queue_fault {
    HCL_QUEUE_NO_FAULT = 0,
    HCL_QUEUE_BAD_SEQUENCE, /* neither old nor new */
    HCL_QUEUE_BAD_TAG,      /* not below the number of slots */
    HCL_QUEUE_UNUSED_TAG,   /* no request in flight has it */
    HCL_QUEUE_BAD_ANSWER,   /* more bytes than asked for, or a text can have */
};

struct hcl_queue {
    struct hcl_queue_memory memory; /* num_slots 0: detached */
    struct hcl_producer producer;
    struct hcl_consumer consumer;
    uint32_t max_slots;
    uint32_t in_flight;
    struct hcl_request **by_tag; /* owned [max_slots]; SENT requests or NULL */
    /* Free tags, the one that was freed first next: owned [max_slots]. */
    uint32_t *free_tags;
    uint32_t free_first;
};

/* For rings of at most @max_slots.  -ENOMEM. */
__attribute__((warn_unused_result)) int hcl_queue_init(struct hcl_queue *queue,
                                                       uint32_t max_slots);

/* Takes a zeroed one. */
void hcl_queue_clear(struct hcl_queue *queue);

/* Starts anew on fresh memory; nothing is in flight. */
void hcl_queue_attach(struct hcl_queue *queue,
                      const struct hcl_queue_memory *memory);

/*
 * Lets the memory go and calls @lost for each request that was in flight; what
 * that does with it is its business.
 */
void hcl_queue_detach(struct hcl_queue *queue,
                      void (*lost)(void *arg, struct hcl_request *request),
                      void *arg);

/* How many requests can be sent now; 0 while detached. */
uint32_t hcl_queue_room(const struct hcl_queue *queue);

/*
 * Puts @request on the ring and makes it SENT; there must be room.  The backend
 * can see it at once, and is woken by hcl_queue_kick.
 */
void hcl_queue_send(struct hcl_queue *queue, struct hcl_request *request);

/* After a burst of sends: rings the doorbell if the backend asked for it. */
void hcl_queue_kick(struct hcl_queue *queue);

/*
 * Takes the next completion: copied once, checked, *@ret_request no longer in
 * flight.  1; 0: there is none; -1: *@ret_fault says what is wrong with it.
 */
__attribute__((warn_unused_result)) int
hcl_queue_take(struct hcl_queue *queue, struct hclif_completion *ret_completion,
               struct hcl_request **ret_request,
               enum hcl_queue_fault *ret_fault);

/* Whether there is something to take: for looking again and again. */
static inline bool hcl_queue_ready(const struct hcl_queue *queue)
{
    return queue->memory.num_slots && hcl_consumer_ready(&queue->consumer);
}

/* Before sleeping: asks for an event.  False: there is something to take. */
bool hcl_queue_arm(struct hcl_queue *queue);

/* For a person: "a completion has ...".  Never NULL. */
const char *hcl_queue_fault_text(enum hcl_queue_fault fault);

#endif /* HCL_QUEUE_H */
