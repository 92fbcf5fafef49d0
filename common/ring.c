/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <assert.h>
#include <string.h>

/* Copies the 60 octets before the sequence word; both sides are aligned. */
#define PAYLOAD_WORDS HCL_SLOT_SEQUENCE

void hcl_producer_init(struct hcl_producer *producer, void *slots,
                       uint32_t num_slots, const uint32_t *peer_event)
{
    assert(num_slots && (num_slots & (num_slots - 1)) == 0);
    producer->slots = slots;
    producer->peer_event = peer_event;
    producer->num_slots = num_slots;
    producer->position = 0;
    producer->published = 0;
}

void hcl_consumer_init(struct hcl_consumer *consumer, const void *slots,
                       uint32_t num_slots, uint32_t *own_event)
{
    assert(num_slots && (num_slots & (num_slots - 1)) == 0);
    consumer->slots = slots;
    consumer->own_event = own_event;
    consumer->num_slots = num_slots;
    consumer->position = 0;
}

void hcl_producer_put(struct hcl_producer *producer, const void *message)
{
    struct hcl_slot *slot =
        &producer->slots[producer->position & (producer->num_slots - 1)];

    memcpy(slot->word, message, PAYLOAD_WORDS * sizeof(uint32_t));
    producer->position++;
    hcl_store_release(&slot->word[HCL_SLOT_SEQUENCE], producer->position);
}

bool hcl_producer_notify(struct hcl_producer *producer)
{
    uint32_t old = producer->published;
    uint32_t event;

    if (producer->position == old) {
        return false;
    }
    producer->published = producer->position;
    /* Our sequence words before their wish; pairs with the consumer's fence. */
    hcl_fence();
    event = hcl_load_once(producer->peer_event);
    return producer->position - event - 1 < producer->position - old;
}

/* The sequence word that stands at the consumer's position, classified. */
static enum hcl_take consumer_look(const struct hcl_consumer *consumer)
{
    uint32_t at = consumer->position;
    const struct hcl_slot *slot =
        &consumer->slots[at & (consumer->num_slots - 1)];
    uint32_t sequence = hcl_load_acquire(&slot->word[HCL_SLOT_SEQUENCE]);

    if (sequence == at + 1) {
        return HCL_TAKE_SLOT;
    }
    /* What the last lap left here, or the zero of a fresh ring. */
    if (sequence == at + 1 - consumer->num_slots ||
        (sequence == 0 && at < consumer->num_slots)) {
        return HCL_TAKE_EMPTY;
    }
    return HCL_TAKE_FAULT;
}

enum hcl_take hcl_consumer_take(struct hcl_consumer *consumer,
                                void *ret_message)
{
    enum hcl_take look = consumer_look(consumer);
    const struct hcl_slot *slot;

    if (look != HCL_TAKE_SLOT) {
        return look;
    }
    slot = &consumer->slots[consumer->position & (consumer->num_slots - 1)];
    memcpy(ret_message, slot->word, HCLIF_SLOT_BYTES);
    /* The copy is what gets checked: no second fetch from the slot. */
    hcl_compiler_barrier();
    consumer->position++;
    return HCL_TAKE_SLOT;
}

bool hcl_consumer_arm(struct hcl_consumer *consumer)
{
    hcl_store_once(consumer->own_event, consumer->position);
    /* Our wish before our look; pairs with the producer's fence. */
    hcl_fence();
    return consumer_look(consumer) == HCL_TAKE_EMPTY;
}
