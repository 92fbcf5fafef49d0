/* SPDX-License-Identifier: MIT */
/*
 * ring.c on two processors with store buffers, in one thread: what
 * test_ring_threads.c sees with luck, here every time.  ring.c is compiled with
 * an own barrier.h, by which a store may wait in a buffer until the next fence.
 * At each access of one end the other one does all that it has to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

/* ---- The processors ---------------------------------------------------- */

#define HCL_BARRIER_H /* this is it */
#define HCL_SHARED
#define BUFFERED 8

struct processor {
    bool delays; /* stores, until a fence */
    unsigned int num_stores;
    struct {
        uint32_t *at, value;
    } store[BUFFERED];
};

static struct processor processors[2], *running;
static void step(void);

static void drain(struct processor *processor)
{
    unsigned int i;

    for (i = 0; i < processor->num_stores; i++) {
        *processor->store[i].at = processor->store[i].value;
    }
    processor->num_stores = 0;
}

/* In order, as x86 has them: what stands before it goes first. */
static void store(uint32_t *at, uint32_t value)
{
    unsigned int last = running->num_stores++;

    assert_true(last < BUFFERED);
    running->store[last].at = at;
    running->store[last].value = value;
    if (!running->delays) {
        drain(running);
    }
    step();
}

/* Nothing that is read here was written by the same end just before. */
static uint32_t load(const uint32_t *at)
{
    uint32_t value = *at;

    step();
    return value;
}

static void hcl_fence(void)
{
    drain(running);
    step();
}

static void hcl_compiler_barrier(void)
{
}

#define hcl_load_acquire load
#define hcl_load_once load
#define hcl_store_release store
#define hcl_store_once store

/* NOLINTNEXTLINE(bugprone-suspicious-include): the code, not its interface. */
#include "ring.c"

/* ---- The ends ---------------------------------------------------------- */

#define SLOTS 2

struct message {
    uint32_t word[16];
};

static struct hcl_slot slots[SLOTS];
static uint32_t event;
static struct hcl_producer producer;
static struct hcl_consumer consumer;
static bool notified, sleeps, taken;

static const struct message message = {
    {11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}};

static void produce(void)
{
    hcl_producer_put(&producer, &message);
    notified = hcl_producer_notify(&producer);
}

static bool take(void)
{
    struct message got;
    enum hcl_take result = hcl_consumer_take(&consumer, &got);

    assert_int_not_equal(result, HCL_TAKE_FAULT);
    if (result == HCL_TAKE_EMPTY) {
        return false;
    }
    assert_memory_equal(&got, &message, HCLIF_SLOT_BYTES - sizeof(uint32_t));
    return true;
}

static void consume(void)
{
    taken = take();
    sleeps = !taken && hcl_consumer_arm(&consumer);
}

/* ---- Both at once ------------------------------------------------------ */

/* What the other end does, and how many accesses there are until then. */
static void (*others)(void);
static unsigned int until;

static void step(void)
{
    struct processor *self = running;
    void (*all)(void) = others;

    if (!all || until-- > 0) {
        return;
    }
    others = NULL;
    running = self == &processors[0] ? &processors[1] : &processors[0];
    all();
    running = self;
}

/* The second slot of the ring is next, and nobody waits for it. */
static void start(unsigned int delays)
{
    memset(processors, 0, sizeof(processors));
    memset(slots, 0, sizeof(slots));
    event = 0;
    running = &processors[0];
    others = NULL;
    hcl_producer_init(&producer, slots, SLOTS, &event);
    hcl_consumer_init(&consumer, slots, SLOTS, &event);
    produce();
    assert_true(notified && take());
    processors[0].delays = delays & 1;
    processors[1].delays = delays & 2;
}

/* False if @one has no more than @steps accesses: @other comes after them. */
static bool try(void (*one)(void), void (*other)(void), unsigned int steps,
                unsigned int delays)
{
    bool within;

    start(delays);
    others = other;
    until = steps;
    one();
    within = !others;
    if (!within) {
        until = 0;
        step();
    }
    drain(&processors[0]);
    drain(&processors[1]);
    assert_true(!sleeps || notified);
    assert_true(taken || take());
    return within;
}

static void try_all(void (*one)(void), void (*other)(void))
{
    unsigned int steps, delays;

    for (delays = 0; delays < 4; delays++) {
        for (steps = 0; try(one, other, steps, delays); steps++) {
        }
        /* A store and a load, at least: ring.c does go through these. */
        assert_true(steps >= 2);
    }
}

static void whatever_the_consumer_does_meanwhile(void **state)
{
    (void)state;
    try_all(produce, consume);
}

static void whatever_the_producer_does_meanwhile(void **state)
{
    (void)state;
    try_all(consume, produce);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_the_consumer_does_meanwhile),
        cmocka_unit_test(whatever_the_producer_does_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
