/* SPDX-License-Identifier: MIT */
/*
 * HCL's rings alone, polled: what a message costs before libhcl and the worker
 * add theirs.  All checks are those of request.c and queue.c: a slot is copied
 * once, the copy is checked, the payload is copied once from the pool.
 *
 * Variant 0: the payload lies in the pool, as the protocol has it for 64 bytes.
 * Variant 1: it lies in two slots, 32 bytes in each.
 */
#include <string.h>

#include "bench.h"
#include "ring.h"

static struct hcl_producer producer;
static struct hcl_consumer consumer;
static uint8_t *own_pool;        /* this end writes */
static const uint8_t *peer_pool; /* the other end writes */
static uint32_t tag, pieces;

static void ring_begin(struct bench *bench)
{
    struct bench_rings *rings = &bench->page->rings;

    tag = 0;
    pieces = bench->work.variant == 2 ? 16 : 1;
    /* Each end clears what it reads before the other may write. */
    if (bench->server) {
        memset(rings, 0, sizeof(*rings));
        hcl_producer_init(&producer, rings->completions, BENCH_RING_SLOTS,
                          (uint32_t *)&rings->front_event);
        hcl_consumer_init(&consumer, rings->requests, BENCH_RING_SLOTS,
                          (uint32_t *)&rings->back_event);
        own_pool = rings->rx_pool;
        peer_pool = rings->tx_pool;
    } else {
        hcl_producer_init(&producer, rings->requests, BENCH_RING_SLOTS,
                          (uint32_t *)&rings->back_event);
        hcl_consumer_init(&consumer, rings->completions, BENCH_RING_SLOTS,
                          (uint32_t *)&rings->front_event);
        own_pool = rings->tx_pool;
        peer_pool = rings->rx_pool;
    }
}

static void take(void *slot)
{
    enum hcl_take took;

    while ((took = hcl_consumer_take(&consumer, slot)) == HCL_TAKE_EMPTY) {
    }
    if (took != HCL_TAKE_SLOT) {
        bench_die("hcl ring: a wrong sequence number");
    }
}

/* ---- Payload in the pool ----------------------------------------------- */

/* A request's checks, also for the answer: it has no fewer. */
static void check(const struct hclif_request *slot, size_t bytes)
{
    if (slot->tag >= BENCH_RING_SLOTS || slot->flags != HCLIF_TX_POOL ||
        slot->tx_offset > BENCH_POOL_BYTES ||
        slot->tx_bytes > BENCH_POOL_BYTES - slot->tx_offset ||
        slot->tx_bytes != bytes) {
        bench_die("hcl ring: a wrong slot");
    }
}

static void send_pool(const void *message, size_t bytes)
{
    struct hclif_request slot = {
        .tag = tag,
        .opcode = HCLIF_OP_EXCHANGE,
        .flags = HCLIF_TX_POOL,
        .tx_bytes = (uint32_t)bytes,
        .tx_offset = tag * BENCH_TRIP_BYTES,
    };

    memcpy(own_pool + slot.tx_offset, message, BENCH_TRIP_BYTES);
    hcl_producer_put(&producer, &slot);
    tag = (tag + 1) % pieces;
}

static void receive_pool(void *message, size_t bytes)
{
    struct hclif_request slot;

    take(&slot);
    check(&slot, bytes);
    memcpy(message, peer_pool + slot.tx_offset, BENCH_TRIP_BYTES);
    hcl_compiler_barrier();
}

/* ---- Payload in two slots ---------------------------------------------- */

#define HALF (BENCH_TRIP_BYTES / 2)

static void send_slots(const void *message)
{
    struct hcl_slot slots[2];

    memcpy(slots[0].word, message, HALF);
    memcpy(slots[1].word, (const uint8_t *)message + HALF, HALF);
    hcl_producer_put(&producer, &slots[0]);
    hcl_producer_put(&producer, &slots[1]);
}

static void receive_slots(void *message)
{
    struct hcl_slot slots[2];

    take(&slots[0]);
    take(&slots[1]);
    memcpy(message, slots[0].word, HALF);
    memcpy((uint8_t *)message + HALF, slots[1].word, HALF);
}

/* ---- Both -------------------------------------------------------------- */

static void ring_send(struct bench *bench, const void *message, size_t bytes)
{
    if (bench->work.variant == 1) {
        send_slots(message);
    } else {
        send_pool(message, bytes);
    }
    /* Nobody sleeps here, but a producer has to ask. */
    (void)hcl_producer_notify(&producer);
}

static size_t ring_receive(struct bench *bench, void *message, size_t bytes)
{
    if (bench->work.variant == 1) {
        receive_slots(message);
    } else {
        receive_pool(message, bytes);
    }
    return bytes;
}

const struct bench_transport bench_hcl_ring = {
    .name = "hcl-ring",
    .variants = 2,
    .begin = ring_begin,
    .send = ring_send,
    .receive = ring_receive,
};
