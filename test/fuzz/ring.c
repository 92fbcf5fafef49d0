/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a ring against a queue with 64-bit positions, which never wrap
 * (common/ring.c, doc/protocol.md 3.4 and 3.5).
 *
 * The two ends do one step after the other: what happens when they run at once
 * is not for here.
 */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "ring.h"

#define MAX_ORDER 6
#define MESSAGE_BYTES (HCLIF_SLOT_BYTES - sizeof(uint32_t))

struct model {
    uint64_t produced, consumed, published, event;
    uint32_t num_slots;
    bool asleep; /* the consumer has armed and found nothing */
    uint8_t messages[1 << MAX_ORDER][MESSAGE_BYTES];
};

struct ring {
    struct hcl_slot *slots; /* exactly num_slots */
    uint32_t *event;
    struct hcl_producer producer;
    struct hcl_consumer consumer;
    struct model model;
};

/* Positions where something wraps, or any. */
static uint32_t first_position(struct fuzz_input *in)
{
    switch (fuzz_below(in, 4)) {
    case 0:
        return 0;
    case 1:
        return UINT32_MAX - fuzz_u8(in);
    case 2:
        return INT32_MAX - fuzz_u8(in);
    default:
        return fuzz_u32(in);
    }
}

/* As it stands after @first messages came and went. */
static void ring_start(struct ring *ring, uint32_t num_slots, uint32_t first)
{
    struct model *model = &ring->model;
    uint32_t i, at;

    memset(ring, 0, sizeof(*ring));
    ring->slots =
        aligned_alloc(HCLIF_SLOT_BYTES, (size_t)num_slots * HCLIF_SLOT_BYTES);
    ring->event = malloc(sizeof(*ring->event));
    if (!ring->slots || !ring->event) {
        abort();
    }
    memset(ring->slots, 0, (size_t)num_slots * HCLIF_SLOT_BYTES);
    for (i = 0; i < num_slots; i++) {
        at = first + i;
        ring->slots[at % num_slots].word[HCL_SLOT_SEQUENCE] =
            (uint64_t)first + i < num_slots ? 0 : at + 1 - num_slots;
    }
    *ring->event = first;
    hcl_producer_init(&ring->producer, ring->slots, num_slots, ring->event);
    hcl_consumer_init(&ring->consumer, ring->slots, num_slots, ring->event);
    ring->producer.position = first;
    ring->producer.published = first;
    ring->consumer.position = first;
    model->num_slots = num_slots;
    model->produced = model->consumed = model->published = first;
    model->event = first;
}

static void put(struct ring *ring, struct fuzz_input *in)
{
    struct model *model = &ring->model;
    uint8_t message[HCLIF_SLOT_BYTES];

    if (model->produced - model->consumed == model->num_slots) {
        return; /* the callers count: never more than there are slots */
    }
    memset(message, fuzz_u8(in), sizeof(message));
    fuzz_take(in, message, 4);
    memcpy(model->messages[model->produced % model->num_slots], message,
           MESSAGE_BYTES);
    hcl_producer_put(&ring->producer, message);
    model->produced++;
}

static void notify(struct ring *ring)
{
    struct model *model = &ring->model;
    bool wanted =
        model->event >= model->published && model->event < model->produced;
    bool lost = model->asleep && model->produced > model->consumed;

    assert(hcl_producer_notify(&ring->producer) == wanted);
    assert(!lost || wanted);
    model->published = model->produced;
    model->asleep = model->asleep && !wanted;
}

static void take(struct ring *ring)
{
    struct model *model = &ring->model;
    struct hcl_slot got;
    enum hcl_take what = hcl_consumer_take(&ring->consumer, &got);

    model->asleep = false;
    if (model->produced == model->consumed) {
        assert(what == HCL_TAKE_EMPTY);
        return;
    }
    assert(what == HCL_TAKE_SLOT);
    assert(memcmp(got.word, model->messages[model->consumed % model->num_slots],
                  MESSAGE_BYTES) == 0);
    model->consumed++;
    assert(got.word[HCL_SLOT_SEQUENCE] == (uint32_t)model->consumed);
}

static void arm(struct ring *ring)
{
    struct model *model = &ring->model;
    bool sleeps = hcl_consumer_arm(&ring->consumer);

    assert(sleeps == (model->produced == model->consumed));
    assert(*ring->event == (uint32_t)model->consumed);
    model->event = model->consumed;
    /* What was put but not yet published has its notify still to come. */
    model->asleep = sleeps;
}

/* Another sequence word: the only two values that are no fault are known. */
static void corrupt(struct ring *ring, struct fuzz_input *in)
{
    struct model *model = &ring->model;
    struct hcl_consumer consumer = ring->consumer;
    uint32_t at = (uint32_t)model->consumed;
    uint32_t *word =
        &ring->slots[at % model->num_slots].word[HCL_SLOT_SEQUENCE];
    uint32_t before = *word;
    enum hcl_take expected = HCL_TAKE_FAULT;
    struct hcl_slot got;

    *word = fuzz_below(in, 2) ? fuzz_u32(in) : at + 4 - fuzz_u8(in);
    if (*word == at + 1) {
        expected = HCL_TAKE_SLOT;
    } else if (*word == at + 1 - model->num_slots ||
               (*word == 0 && at < model->num_slots)) {
        expected = HCL_TAKE_EMPTY;
    }
    assert(hcl_consumer_take(&consumer, &got) == expected);
    assert(consumer.position == at + (expected == HCL_TAKE_SLOT));
    *word = before;
}

/* A consumer may write anything as its wish: an event too many or too few. */
static void wish(struct ring *ring, struct fuzz_input *in)
{
    struct model *model = &ring->model;

    model->event = model->published + 8 - fuzz_u8(in);
    model->asleep = false;
    *ring->event = (uint32_t)model->event;
}

static void step(struct ring *ring, struct fuzz_input *in)
{
    switch (fuzz_below(in, 6)) {
    case 0:
        put(ring, in);
        break;
    case 1:
        notify(ring);
        break;
    case 2:
        take(ring);
        break;
    case 3:
        arm(ring);
        break;
    case 4:
        corrupt(ring, in);
        break;
    default:
        wish(ring, in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint32_t num_slots = 1u << fuzz_below(&in, MAX_ORDER + 1);
    static struct ring ring;

    ring_start(&ring, num_slots, first_position(&in));
    while (fuzz_more(&in)) {
        step(&ring, &in);
    }
    free(ring.slots);
    free(ring.event);
    return 0;
}
