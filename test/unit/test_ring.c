/* SPDX-License-Identifier: MIT */
/*
 * ring.c against doc/protocol.md 3.4 and 3.5, in one thread; two have
 * test_ring_threads.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "ring.h"

#define MAX_SLOTS 64

/* A ring, the two ends of it and the word where the consumer says its wish. */
struct ring {
    struct hcl_slot slots[MAX_SLOTS];
    uint32_t event;
    struct hcl_producer producer;
    struct hcl_consumer consumer;
};

struct message {
    uint32_t word[16];
};

/* As both sides start: zeroed, at position 0. */
static void ring_init(struct ring *ring, uint32_t num_slots)
{
    memset(ring, 0, sizeof(*ring));
    hcl_producer_init(&ring->producer, ring->slots, num_slots, &ring->event);
    hcl_consumer_init(&ring->consumer, ring->slots, num_slots, &ring->event);
}

/* As if @position slots had gone through; @position is at least num_slots. */
static void ring_init_at(struct ring *ring, uint32_t num_slots,
                         uint32_t position)
{
    uint32_t i, at;

    ring_init(ring, num_slots);
    ring->producer.position = ring->producer.published = position;
    ring->consumer.position = position;
    ring->event = position;
    for (i = 0; i < num_slots; i++) {
        at = position - num_slots + i;
        ring->slots[at % num_slots].word[15] = at + 1;
    }
}

static struct message message_of(uint32_t seed)
{
    struct message message;
    uint32_t i;

    for (i = 0; i < 16; i++) {
        message.word[i] = (seed * 16 + i + 1) * 2654435761u;
    }
    return message;
}

static void put(struct ring *ring, uint32_t seed)
{
    struct message message = message_of(seed);

    hcl_producer_put(&ring->producer, &message);
}

static void assert_takes(struct ring *ring, uint32_t seed)
{
    struct message expected = message_of(seed), got;

    assert_int_equal(hcl_consumer_take(&ring->consumer, &got), HCL_TAKE_SLOT);
    assert_memory_equal(&got, &expected, 60);
}

static void assert_empty(struct ring *ring)
{
    struct message got;

    assert_int_equal(hcl_consumer_take(&ring->consumer, &got), HCL_TAKE_EMPTY);
}

/* What a take finds if the word at position @at is @sequence. */
static enum hcl_take take_at(uint32_t num_slots, uint32_t at, uint32_t sequence)
{
    struct message got;
    struct ring ring;

    ring_init(&ring, num_slots);
    ring.consumer.position = at;
    ring.slots[at % num_slots].word[15] = sequence;
    return hcl_consumer_take(&ring.consumer, &got);
}

/* ---- Slots ------------------------------------------------------------- */

static void fresh_ring_is_empty(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    assert_empty(&ring);
    assert_int_equal(ring.consumer.position, 0);
}

static void slot_comes_back_as_it_was_put(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 77);
    assert_takes(&ring, 77);
    assert_empty(&ring);
}

static void first_slot_has_sequence_1_in_slot_0(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 0);
    assert_int_equal(ring.slots[0].word[15], 1);
    assert_int_equal(ring.slots[1].word[15], 0);
}

static void sequence_in_the_message_is_ignored(void **state)
{
    struct message message = message_of(0);
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    message.word[15] = 0xdeadbeef;
    hcl_producer_put(&ring.producer, &message);
    assert_int_equal(ring.slots[0].word[15], 1);
}

static void position_p_is_slot_p_mod_n(void **state)
{
    struct ring ring;

    (void)state;
    ring_init_at(&ring, 8, 8 * 5 + 3);
    put(&ring, 1);
    assert_int_equal(ring.slots[3].word[15], 8 * 5 + 4);
    assert_takes(&ring, 1);
}

static void slot_without_its_sequence_is_not_there(void **state)
{
    struct message message = message_of(5);
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    memcpy(ring.slots[0].word, &message, 60);
    assert_empty(&ring);
}

static void copy_does_not_change_with_the_slot(void **state)
{
    struct message got, expected = message_of(9);
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 9);
    assert_int_equal(hcl_consumer_take(&ring.consumer, &got), HCL_TAKE_SLOT);
    memset(ring.slots, 0xff, sizeof(ring.slots));
    assert_memory_equal(&got, &expected, 60);
}

static void full_ring_gives_all_slots_in_order(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init(&ring, 4);
    for (i = 0; i < 4; i++) {
        put(&ring, i);
    }
    for (i = 0; i < 4; i++) {
        assert_takes(&ring, i);
    }
    assert_empty(&ring);
}

static void ring_wraps_with_one_slot_at_a_time(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init(&ring, 4);
    for (i = 0; i < 13; i++) {
        put(&ring, i);
        assert_takes(&ring, i);
        assert_empty(&ring);
    }
}

static void ring_wraps_while_it_is_full(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init(&ring, 4);
    for (i = 0; i < 4; i++) {
        put(&ring, i);
    }
    for (; i < 21; i++) {
        assert_takes(&ring, i - 4);
        put(&ring, i);
    }
}

static void ring_of_one_page_wraps(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init(&ring, HCLIF_SLOTS_PER_PAGE);
    for (i = 0; i < 3 * HCLIF_SLOTS_PER_PAGE; i++) {
        put(&ring, i);
        assert_takes(&ring, i);
    }
}

/* ---- The wrap of the position ------------------------------------------ */

static void position_wraps_with_one_slot_at_a_time(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init_at(&ring, 4, UINT32_MAX - 9);
    for (i = 0; i < 30; i++) {
        assert_empty(&ring);
        put(&ring, i);
        assert_takes(&ring, i);
    }
    assert_int_equal(ring.consumer.position, 20);
}

static void position_wraps_while_the_ring_is_full(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init_at(&ring, 4, UINT32_MAX - 9);
    for (i = 0; i < 4; i++) {
        put(&ring, i);
    }
    for (; i < 30; i++) {
        assert_takes(&ring, i - 4);
        put(&ring, i);
    }
}

static void last_position_has_sequence_0(void **state)
{
    struct ring ring;

    (void)state;
    ring_init_at(&ring, 4, UINT32_MAX);
    put(&ring, 3);
    assert_int_equal(ring.slots[3].word[15], 0);
    assert_takes(&ring, 3);
    assert_int_equal(ring.consumer.position, 0);
}

/* ---- Sequence words ---------------------------------------------------- */

static void only_the_next_and_the_old_sequence_are_right(void **state)
{
    const uint32_t positions[] = {
        64, 65, 1000, 0x7fffffff, 0x80000000, UINT32_MAX - 70, UINT32_MAX};
    enum hcl_take expected;
    size_t i;
    int d;

    (void)state;
    for (i = 0; i < sizeof(positions) / sizeof(*positions); i++) {
        for (d = -200; d <= 200; d++) {
            expected = HCL_TAKE_FAULT;
            if (d == 0) {
                expected = HCL_TAKE_SLOT;
            } else if (d == -64) {
                expected = HCL_TAKE_EMPTY;
            }
            assert_int_equal(
                take_at(64, positions[i], positions[i] + 1 + (uint32_t)d),
                expected);
        }
    }
}

static void far_sequence_is_a_fault(void **state)
{
    uint32_t bit;

    (void)state;
    for (bit = 1; bit; bit <<= 1) {
        assert_int_equal(take_at(4, 1000, 1001 ^ bit), 1001 - (1001 ^ bit) == 4
                                                           ? HCL_TAKE_EMPTY
                                                           : HCL_TAKE_FAULT);
    }
    assert_int_equal(take_at(4, 1000, UINT32_MAX), HCL_TAKE_FAULT);
}

static void zero_is_empty_in_the_first_lap(void **state)
{
    uint32_t at;

    (void)state;
    for (at = 0; at < 64; at++) {
        assert_int_equal(take_at(64, at, 0), HCL_TAKE_EMPTY);
    }
}

static void zero_is_a_fault_after_the_first_lap(void **state)
{
    uint32_t at;

    (void)state;
    for (at = 64; at < 130; at++) {
        assert_int_equal(take_at(64, at, 0), HCL_TAKE_FAULT);
    }
}

static void fault_moves_nothing_and_gives_nothing(void **state)
{
    struct message got = message_of(1), before = got;
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    ring.slots[0].word[15] = 2;
    assert_int_equal(hcl_consumer_take(&ring.consumer, &got), HCL_TAKE_FAULT);
    assert_int_equal(ring.consumer.position, 0);
    assert_memory_equal(&got, &before, sizeof(got));
}

static void fault_stays_a_fault(void **state)
{
    struct message got;
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    ring.slots[0].word[15] = 7;
    assert_int_equal(hcl_consumer_take(&ring.consumer, &got), HCL_TAKE_FAULT);
    assert_int_equal(hcl_consumer_take(&ring.consumer, &got), HCL_TAKE_FAULT);
}

/* A guest that writes a slot twice before it was answered. */
static void overrun_of_a_lap_is_a_fault(void **state)
{
    struct message got;
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init(&ring, 4);
    for (i = 0; i < 5; i++) {
        put(&ring, i);
    }
    assert_int_equal(hcl_consumer_take(&ring.consumer, &got), HCL_TAKE_FAULT);
}

/* ---- Notifications ----------------------------------------------------- */

static void first_slot_notifies(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 0);
    assert_true(hcl_producer_notify(&ring.producer));
}

static void first_batch_notifies_once(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 0);
    put(&ring, 1);
    put(&ring, 2);
    assert_true(hcl_producer_notify(&ring.producer));
    assert_false(hcl_producer_notify(&ring.producer));
}

static void nothing_put_notifies_nobody(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    assert_false(hcl_producer_notify(&ring.producer));
}

static void consumer_that_does_not_wait_is_not_notified(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 0);
    assert_true(hcl_producer_notify(&ring.producer));
    for (i = 1; i < 9; i++) {
        assert_takes(&ring, i - 1);
        put(&ring, i);
        assert_false(hcl_producer_notify(&ring.producer));
    }
}

static void
consumer_that_waits_in_the_middle_of_a_batch_is_notified(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 8);
    put(&ring, 0);
    assert_true(hcl_producer_notify(&ring.producer));
    put(&ring, 1);
    put(&ring, 2);
    ring.event = 2;
    put(&ring, 3);
    assert_true(hcl_producer_notify(&ring.producer));
}

static void consumer_that_waits_for_a_later_slot_is_not_notified(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 8);
    ring.event = 2;
    put(&ring, 0);
    put(&ring, 1);
    assert_false(hcl_producer_notify(&ring.producer));
    put(&ring, 2);
    assert_true(hcl_producer_notify(&ring.producer));
}

/* An event if and only if a slot of the batch is the one that is waited for. */
static void notify_is_right_for_every_batch_and_wish(void **state)
{
    const uint32_t olds[] = {0,          1,          100,           0x7ffffffe,
                             0x80000000, UINT32_MAX, UINT32_MAX - 3};
    struct ring ring;
    int batch, wish, k;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(olds) / sizeof(*olds); i++) {
        for (batch = 1; batch <= 8; batch++) {
            for (wish = -20; wish <= 20; wish++) {
                ring_init_at(&ring, 8, olds[i]);
                ring.event = olds[i] + (uint32_t)wish;
                for (k = 0; k < batch; k++) {
                    put(&ring, 0);
                }
                assert_int_equal(hcl_producer_notify(&ring.producer),
                                 wish >= 0 && wish < batch);
            }
        }
    }
}

static void any_wish_of_a_bad_peer_is_harmless(void **state)
{
    struct ring ring;

    (void)state;
    ring_init_at(&ring, 4, 100);
    ring.event = 100 + 0x80000000u;
    put(&ring, 0);
    assert_false(hcl_producer_notify(&ring.producer));
    assert_takes(&ring, 0);
}

static void arm_of_an_empty_ring_writes_the_position(void **state)
{
    struct ring ring;

    (void)state;
    ring_init_at(&ring, 4, 41);
    ring.event = 0;
    assert_true(hcl_consumer_arm(&ring.consumer));
    assert_int_equal(ring.event, 41);
}

static void arm_sees_a_slot_put_before_it(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    put(&ring, 6);
    assert_false(hcl_consumer_arm(&ring.consumer));
    assert_takes(&ring, 6);
}

static void arm_does_not_sleep_on_a_fault(void **state)
{
    struct ring ring;

    (void)state;
    ring_init(&ring, 4);
    ring.slots[0].word[15] = 9;
    assert_false(hcl_consumer_arm(&ring.consumer));
}

static void slot_put_after_arm_notifies(void **state)
{
    struct ring ring;
    uint32_t i;

    (void)state;
    ring_init_at(&ring, 4, UINT32_MAX - 5);
    for (i = 0; i < 12; i++) {
        assert_true(hcl_consumer_arm(&ring.consumer));
        put(&ring, i);
        assert_true(hcl_producer_notify(&ring.producer));
        assert_takes(&ring, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_ring_is_empty),
        cmocka_unit_test(slot_comes_back_as_it_was_put),
        cmocka_unit_test(first_slot_has_sequence_1_in_slot_0),
        cmocka_unit_test(sequence_in_the_message_is_ignored),
        cmocka_unit_test(position_p_is_slot_p_mod_n),
        cmocka_unit_test(slot_without_its_sequence_is_not_there),
        cmocka_unit_test(copy_does_not_change_with_the_slot),
        cmocka_unit_test(full_ring_gives_all_slots_in_order),
        cmocka_unit_test(ring_wraps_with_one_slot_at_a_time),
        cmocka_unit_test(ring_wraps_while_it_is_full),
        cmocka_unit_test(ring_of_one_page_wraps),
        cmocka_unit_test(position_wraps_with_one_slot_at_a_time),
        cmocka_unit_test(position_wraps_while_the_ring_is_full),
        cmocka_unit_test(last_position_has_sequence_0),
        cmocka_unit_test(only_the_next_and_the_old_sequence_are_right),
        cmocka_unit_test(far_sequence_is_a_fault),
        cmocka_unit_test(zero_is_empty_in_the_first_lap),
        cmocka_unit_test(zero_is_a_fault_after_the_first_lap),
        cmocka_unit_test(fault_moves_nothing_and_gives_nothing),
        cmocka_unit_test(fault_stays_a_fault),
        cmocka_unit_test(overrun_of_a_lap_is_a_fault),
        cmocka_unit_test(first_slot_notifies),
        cmocka_unit_test(first_batch_notifies_once),
        cmocka_unit_test(nothing_put_notifies_nobody),
        cmocka_unit_test(consumer_that_does_not_wait_is_not_notified),
        cmocka_unit_test(
            consumer_that_waits_in_the_middle_of_a_batch_is_notified),
        cmocka_unit_test(consumer_that_waits_for_a_later_slot_is_not_notified),
        cmocka_unit_test(notify_is_right_for_every_batch_and_wish),
        cmocka_unit_test(any_wish_of_a_bad_peer_is_harmless),
        cmocka_unit_test(arm_of_an_empty_ring_writes_the_position),
        cmocka_unit_test(arm_sees_a_slot_put_before_it),
        cmocka_unit_test(arm_does_not_sleep_on_a_fault),
        cmocka_unit_test(slot_put_after_arm_notifies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
