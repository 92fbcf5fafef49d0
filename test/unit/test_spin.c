/* SPDX-License-Identifier: MIT */
/*
 * test_spin: adaptive polling, against a clock that the test moves.  A peer is
 * played that answers some time after each wait began, in one of three places:
 * on another processor, on ours (it runs only while we yield or sleep), or
 * nowhere.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "spin.h"

#define US UINT64_C(1000)
#define MS (1000 * US)

/* What the played machine takes. */
#define LOOK_NS UINT64_C(5)
#define CLOCK_NS 25
#define WAKE_NS (20 * US)

/* ---- The machine, in the place of the C library's -------------------------
 */

static uint64_t clock_ns;
static uint64_t yield_ns;
static uint64_t clock_cost_ns = CLOCK_NS;
static unsigned int clock_looks;
static unsigned int yields;

int clock_gettime(clockid_t id, struct timespec *now)
{
    (void)id;
    clock_looks++;
    clock_ns += clock_cost_ns;
    now->tv_sec = (time_t)(clock_ns / 1000000000);
    now->tv_nsec = (long)(clock_ns % 1000000000);
    return 0;
}

/* A peer that is on this processor, too, runs for so long then. */
static uint64_t peer_runs_ns;
static uint64_t peer_ran_ns;
static uint64_t here_runs_ns = 1 * US;

int sched_yield(void)
{
    yields++;
    clock_ns += yield_ns + peer_runs_ns;
    peer_ran_ns += peer_runs_ns;
    return 0;
}

/* ---- The peer ------------------------------------------------------------ */

enum place { ELSEWHERE, HERE };

static struct hcl_spin spin;
static unsigned int looks, slept, found;

static void start(uint32_t max_us, uint32_t percent)
{
    struct hcl_spin_settings settings = {.max_us = max_us, .percent = percent};

    peer_runs_ns = 0;
    clock_ns = 1000 * MS;
    yield_ns = 500;
    hcl_spin_init(&spin, &settings);
    looks = slept = found = yields = 0;
}

/* Waits for what comes @after_ns of the peer's time.  How long that took. */
static uint64_t wait_for(enum place place, uint64_t after_ns)
{
    uint64_t began = clock_ns, ran;

    peer_ran_ns = 0;
    peer_runs_ns = place == HERE ? here_runs_ns : 0;
    clock_looks = 0;
    hcl_spin_begin(&spin);
    do {
        looks++;
        clock_ns += LOOK_NS;
        ran = place == HERE ? peer_ran_ns : clock_ns - began;
        if (ran >= after_ns) {
            hcl_spin_found(&spin);
            found++;
            return clock_ns - began;
        }
    } while (hcl_spin_again(&spin));
    slept++;
    hcl_spin_sleep(&spin);
    clock_ns += after_ns - ran + WAKE_NS;
    hcl_spin_woke(&spin, true);
    return clock_ns - began;
}

static void wait_often(unsigned int times, enum place place, uint64_t after_ns)
{
    while (times-- > 0) {
        wait_for(place, after_ns);
    }
}

/* ---- Tests --------------------------------------------------------------- */

static void a_peer_that_answers_soon_is_waited_for_awake(void **state)
{
    (void)state;
    start(200, 100);
    /* The first wait sleeps, and learns that it was not worth it. */
    assert_true(wait_for(ELSEWHERE, 10 * US) > WAKE_NS);
    slept = 0;
    wait_often(1000, ELSEWHERE, 10 * US);
    assert_int_equal(slept, 0);
    assert_true(wait_for(ELSEWHERE, 10 * US) < 10 * US + WAKE_NS / 10);
    assert_int_equal(yields, 0);
}

static void an_answer_at_once_needs_no_clock(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(100, ELSEWHERE, 200);
    wait_for(ELSEWHERE, 200);
    assert_int_equal(clock_looks, 0);
    wait_for(ELSEWHERE, 0);
    assert_int_equal(clock_looks, 0);
}

static void the_clock_takes_a_small_part_of_the_time(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(100, ELSEWHERE, 30 * US);
    wait_for(ELSEWHERE, 30 * US);
    assert_in_range(clock_looks, 1, 30 * US / CLOCK_NS / 8);
}

/* As in a PV guest. */
static void a_dear_clock_is_looked_at_less_often(void **state)
{
    (void)state;
    start(200, 100);
    clock_cost_ns = spin.clock_ns = 2 * US;
    wait_often(1000, ELSEWHERE, 30 * US);
    wait_for(ELSEWHERE, 30 * US);
    assert_in_range(clock_looks, 1, 2);
    clock_cost_ns = CLOCK_NS;
}

static void nobody_is_waited_for_longer_than_sleeping_costs(void **state)
{
    uint64_t before;

    (void)state;
    start(200, 100);
    wait_often(10, ELSEWHERE, 10 * US);
    before = clock_ns;
    wait_for(ELSEWHERE, 100 * MS);
    assert_in_range(clock_ns - before - 100 * MS - WAKE_NS, 0, 1 * US);
    assert_in_range(spin.spun_ns, 10 * US, 2 * WAKE_NS);
}

static void an_idle_peer_is_soon_not_waited_for_at_all(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(100, ELSEWHERE, 10 * US);
    wait_often(10, ELSEWHERE, 100 * MS);
    looks = 0;
    wait_often(100, ELSEWHERE, 100 * MS);
    assert_int_equal(looks, 100);
    assert_int_equal(yields, 0);
}

static void a_pause_now_and_then_changes_little(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(10, ELSEWHERE, 5 * US);
    for (unsigned int i = 0; i < 100; i++) {
        wait_for(ELSEWHERE, 100 * MS);
        slept = 0;
        wait_often(10, ELSEWHERE, 5 * US);
        assert_in_range(slept, 0, 1);
    }
}

static void a_peer_on_our_processor_is_yielded_to(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(20, HERE, 1 * US);
    slept = 0;
    looks = 0;
    wait_often(1000, HERE, 1 * US);
    /* Spinning is tried again only now and then. */
    assert_int_equal(slept, 0);
    assert_in_range(looks, 1000, 6000);
    assert_in_range(wait_for(HERE, 1 * US), 1 * US, 3 * US);
}

/* A scheduler that lets us wait for long before the peer may run. */
static void where_yielding_takes_longer_than_sleeping_it_is_given_up(void **s)
{
    (void)s;
    start(200, 100);
    here_runs_ns = 60 * US;
    wait_often(1000, HERE, 1 * US);
    yields = 0;
    wait_often(1000, HERE, 1 * US);
    assert_in_range(yields, 0, 10);
    here_runs_ns = 1 * US;
}

static void a_peer_that_moves_away_is_spun_for_again(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(1000, HERE, 1 * US);
    assert_int_equal(spin.plain.budget_ns, 0);
    wait_often(10, ELSEWHERE, 5 * US);
    slept = yields = 0;
    wait_often(100, ELSEWHERE, 5 * US);
    assert_int_equal(slept, 0);
    assert_int_equal(yields, 0);
}

static void an_idle_peer_on_our_processor_is_not_yielded_to(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(100, HERE, 1 * US);
    wait_often(10, HERE, 100 * MS);
    yields = 0;
    wait_often(100, HERE, 100 * MS);
    assert_int_equal(yields, 0);
}

static void where_yielding_is_dear_it_is_not_tried(void **state)
{
    (void)state;
    start(200, 100);
    spin.yield_ns = yield_ns = 24 * US;
    wait_often(1000, HERE, 1 * US);
    assert_int_equal(yields, 0);
    /* And plain spinning hardly: it finds nothing. */
    looks = 0;
    wait_often(1000, HERE, 1 * US);
    assert_in_range(looks, 1000, 1000 + 6 * WAKE_NS / LOOK_NS);
}

static void off_is_off(void **state)
{
    (void)state;
    start(0, 100);
    wait_often(1000, ELSEWHERE, 1 * US);
    assert_int_equal(looks, 1000);
    assert_int_equal(slept, 1000);
    assert_int_equal(yields, 0);
    clock_looks = 0;
    wait_for(ELSEWHERE, 1 * US);
    assert_int_equal(clock_looks, 0);
}

static void the_longest_wait_can_be_set(void **state)
{
    (void)state;
    start(5, 100);
    wait_often(10, ELSEWHERE, 2 * US);
    assert_true(wait_for(ELSEWHERE, 2 * US) < WAKE_NS);
    wait_for(ELSEWHERE, 20 * US);
    assert_in_range(spin.spun_ns, 2 * US, 5 * US);
}

/* Half of the time asleep, of which a fifth may be spent looking. */
static void the_ceiling_holds(void **state)
{
    uint64_t began, looking = 0;

    (void)state;
    start(200, 20);
    began = clock_ns;
    while (clock_ns - began < 1000 * MS) {
        uint64_t before = clock_ns;

        slept = 0;
        wait_for(ELSEWHERE, 20 * US);
        if (slept == 0) {
            looking += clock_ns - before;
        }
    }
    /* And what may be saved up at the beginning. */
    assert_in_range(looking, 100 * MS, 220 * MS);
}

/* As long as it lets pass at a time, or longer. */
static void a_long_look_is_possible_under_a_ceiling(void **state)
{
    (void)state;
    start(20000, 50);
    wait_often(10, ELSEWHERE, 10 * US);
    slept = 0;
    wait_often(10, ELSEWHERE, 10 * US);
    assert_int_equal(slept, 0);
}

/* A caller that does not want to sleep then. */
static void what_ends_without_a_sleep_counts_as_a_miss(void **state)
{
    uint64_t budget;

    (void)state;
    start(200, 100);
    wait_often(10, ELSEWHERE, 10 * US);
    budget = spin.plain.budget_ns;
    assert_true(budget > 0);
    hcl_spin_begin(&spin);
    do {
        clock_ns += LOOK_NS;
    } while (hcl_spin_again(&spin));
    hcl_spin_missed(&spin);
    assert_int_equal(spin.plain.budget_ns, budget / 2);
    assert_int_equal(spin.counts.missed, 1);
    /* Not twice for the same wait. */
    hcl_spin_missed(&spin);
    assert_int_equal(spin.counts.missed, 1);
}

static void the_counts_tell_what_happened(void **state)
{
    (void)state;
    start(200, 100);
    wait_often(50, ELSEWHERE, 10 * US);
    wait_often(50, ELSEWHERE, 100 * MS);
    assert_int_equal(spin.counts.found, found);
    assert_int_equal(spin.counts.slept, slept);
    assert_in_range(spin.counts.missed, 1, 20);
}

static void costs_are_measured(void **state)
{
    (void)state;
    start(200, 100);
    assert_int_equal(spin.clock_ns, CLOCK_NS);
    assert_int_equal(spin.yield_ns, yield_ns + CLOCK_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_measured),
        cmocka_unit_test(a_peer_that_answers_soon_is_waited_for_awake),
        cmocka_unit_test(an_answer_at_once_needs_no_clock),
        cmocka_unit_test(the_clock_takes_a_small_part_of_the_time),
        cmocka_unit_test(a_dear_clock_is_looked_at_less_often),
        cmocka_unit_test(nobody_is_waited_for_longer_than_sleeping_costs),
        cmocka_unit_test(an_idle_peer_is_soon_not_waited_for_at_all),
        cmocka_unit_test(a_pause_now_and_then_changes_little),
        cmocka_unit_test(a_peer_on_our_processor_is_yielded_to),
        cmocka_unit_test(
            where_yielding_takes_longer_than_sleeping_it_is_given_up),
        cmocka_unit_test(a_peer_that_moves_away_is_spun_for_again),
        cmocka_unit_test(an_idle_peer_on_our_processor_is_not_yielded_to),
        cmocka_unit_test(where_yielding_is_dear_it_is_not_tried),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(the_longest_wait_can_be_set),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(a_long_look_is_possible_under_a_ceiling),
        cmocka_unit_test(what_ends_without_a_sleep_counts_as_a_miss),
        cmocka_unit_test(the_counts_tell_what_happened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
