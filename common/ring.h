/* SPDX-License-Identifier: MIT */
/*
 * ring.h: one direction of a queue: slots of one cache line, no shared index
 * (doc/protocol.md 3.4 and 3.5).
 *
 *     slot 0      slot 1      slot 2            slot N-1
 *   +-----------+-----------+-----------+-- ~ --+-----------+
 *   | 60 octets | 60 octets | 60 octets |       | 60 octets |
 *   | sequence  | sequence  | sequence  |       | sequence  |
 *   +-----------+-----------+-----------+-- ~ --+-----------+
 *
 * A producer owns the right to write the slots, a consumer reads them; each
 * keeps its position in private memory.  Neither allocates, blocks or logs.
 * One thread for each end.  test/model/ring.pml models this: change both.
 */
#ifndef HCL_RING_H
#define HCL_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "barrier.h"
#include "hclif.h"

/* The wire's view of a slot: 60 octets and the sequence word. */
struct hcl_slot {
    uint32_t word[HCLIF_SLOT_BYTES / 4];
} __attribute__((aligned(HCLIF_SLOT_BYTES)));

#define HCL_SLOT_SEQUENCE (HCLIF_SLOT_BYTES / 4 - 1)

struct hcl_producer {
    struct hcl_slot HCL_SHARED *slots;     /* the ring; owner: connection */
    const uint32_t HCL_SHARED *peer_event; /* the consumer's event.position */
    uint32_t num_slots;                    /* power of two */
    uint32_t position;                     /* next slot to write */
    uint32_t published;                    /* position at the last notify */
};

struct hcl_consumer {
    const struct hcl_slot HCL_SHARED *slots;
    uint32_t HCL_SHARED *own_event; /* our event.position */
    uint32_t num_slots;
    uint32_t position; /* next slot to read */
};

void hcl_producer_init(struct hcl_producer *producer, void *slots,
                       uint32_t num_slots, const uint32_t *peer_event);

void hcl_consumer_init(struct hcl_consumer *consumer, const void *slots,
                       uint32_t num_slots, uint32_t *own_event);

/*
 * Writes one slot: @message has 64 octets; its sequence word is ignored.  The
 * consumer can see it at once.  The caller counts: never more than num_slots
 * unanswered.
 */
void hcl_producer_put(struct hcl_producer *producer, const void *message);

/*
 * After a burst of puts: true if the consumer asked for an event, which the
 * caller then sends.  Costs one full fence.
 */
bool hcl_producer_notify(struct hcl_producer *producer);

/*
 * Whether there is something, or a fault, to take: one load, for looking again
 * and again.
 */
static inline bool hcl_consumer_ready(const struct hcl_consumer *consumer)
{
    uint32_t at = consumer->position;
    const struct hcl_slot *slot =
        &consumer->slots[at & (consumer->num_slots - 1)];
    uint32_t sequence = hcl_load_once(&slot->word[HCL_SLOT_SEQUENCE]);

    return sequence != at + 1 - consumer->num_slots &&
           (sequence != 0 || at >= consumer->num_slots);
}

enum hcl_take {
    HCL_TAKE_EMPTY = 0,
    HCL_TAKE_SLOT = 1,
    HCL_TAKE_FAULT = -1, /* the sequence word is neither old nor new */
};

/*
 * Copies the next slot, whole and once, into the 64 octets at @ret_message, and
 * moves on.  Check and use the copy only.
 */
enum hcl_take hcl_consumer_take(struct hcl_consumer *consumer,
                                void *ret_message);

/*
 * Before sleeping: asks the producer for an event at the next slot, then looks
 * once more.  True: sleep, an event will come.  False: there is something (or a
 * fault) to take now.
 */
bool hcl_consumer_arm(struct hcl_consumer *consumer);

#endif /* HCL_RING_H */
