/* SPDX-License-Identifier: MIT */
#include "spin.h"

#include <sched.h>
#include <string.h>
#include <time.h>

/* Of each cost. */
#define MEASUREMENTS 16

/* Less than this is not worth a try. */
#define MIN_BUDGET_NS 500

/* The clock takes at most one part in so many of the time spent looking. */
#define CLOCK_SHARE 8
#define MIN_CHUNK 64
#define MAX_CHUNK 65536

/* After a sleep of up to so long, looking may be worth a try. */
#define SHORT_SLEEP_NS 1000000

/* Short sleeps of which the shortest counts. */
#define SLEEPS 32

/* Short sleeps that a way rests after it was of no use. */
#define MIN_REST 8
#define MAX_REST 1024

/* Yields must cost less than this part of the limit to be of use. */
#define YIELD_SHARE 4

/* So much looking the ceiling lets pass at a time. */
#define MAX_CREDIT_NS 10000000

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- Costs -------------------------------------------------------------- */

/* The least of several: others may run in between. */
static uint64_t measure(void (*what)(void))
{
    uint64_t least = UINT64_MAX, before = now_ns(), after;

    for (unsigned int i = 0; i < MEASUREMENTS; i++, before = after) {
        what();
        after = now_ns();
        if (after - before < least) {
            least = after - before;
        }
    }
    return least;
}

static void nothing(void)
{
}

static void yield(void)
{
    sched_yield();
}

void hcl_spin_init(struct hcl_spin *spin,
                   const struct hcl_spin_settings *settings)
{
    memset(spin, 0, sizeof(*spin));
    spin->clock_ns = measure(nothing);
    spin->yield_ns = measure(yield);
    spin->max_ns = settings->max_us * UINT64_C(1000);
    spin->limit_ns = spin->least_ns = spin->max_ns;
    spin->percent = settings->percent;
    spin->chunk = MIN_CHUNK;
    spin->plain.rest = spin->yield.rest = MIN_REST;
    spin->credit_ns = MAX_CREDIT_NS;
    spin->credited_ns = now_ns();
}

/* ---- Budgets ------------------------------------------------------------ */

static void set_budget(const struct hcl_spin *spin, struct hcl_spin_way *way,
                       uint64_t budget_ns)
{
    if (budget_ns > spin->limit_ns) {
        budget_ns = spin->limit_ns;
    }
    way->budget_ns = budget_ns < MIN_BUDGET_NS ? 0 : budget_ns;
}

/* It found something at @spent_ns. */
static void grow(const struct hcl_spin *spin, struct hcl_spin_way *way,
                 uint64_t spent_ns)
{
    way->rest = MIN_REST;
    if (spent_ns > way->budget_ns / 2) {
        set_budget(spin, way, 2 * way->budget_ns);
    }
}

static void shrink(const struct hcl_spin *spin, struct hcl_spin_way *way)
{
    set_budget(spin, way, way->budget_ns / 2);
}

/* It was tried, found nothing, and yet something came soon after. */
static void let_rest(struct hcl_spin_way *way)
{
    way->budget_ns = 0;
    way->rests = way->rest;
    way->rest = way->rest < MAX_REST / 2 ? 2 * way->rest : MAX_REST;
}

/* A short sleep: would this way have done better? */
static void try_again(const struct hcl_spin *spin, struct hcl_spin_way *way)
{
    if (way->rests > 0) {
        way->rests--;
    } else {
        set_budget(spin, way, spin->limit_ns);
    }
}

static bool may_yield(const struct hcl_spin *spin)
{
    return spin->yield_ns < spin->limit_ns / YIELD_SHARE;
}

/* Under a ceiling: what has been used until now, and what came in. */
static void settle_credit(struct hcl_spin *spin, uint64_t spent_ns)
{
    if (spin->percent >= 100) {
        return;
    }
    spin->credit_ns += (spin->now_ns - spin->credited_ns) * spin->percent / 100;
    spin->credited_ns = spin->now_ns;
    if (spin->credit_ns > MAX_CREDIT_NS) {
        spin->credit_ns = MAX_CREDIT_NS;
    }
    spin->credit_ns =
        spin->credit_ns > spent_ns ? spin->credit_ns - spent_ns : 0;
}

static bool has_credit(const struct hcl_spin *spin)
{
    return spin->percent >= 100 || spin->credit_ns >= spin->limit_ns;
}

/* ---- One wait ----------------------------------------------------------- */

/* The first looks are over, or there were none: from here on by the clock. */
static bool first_time(struct hcl_spin *spin)
{
    if (!spin->plain.budget_ns && !spin->yield.budget_ns) {
        spin->way = NULL;
        return false;
    }
    spin->began_ns = spin->way_ns = spin->now_ns = now_ns();
    if (!has_credit(spin)) {
        spin->way = NULL;
        return false;
    }
    return true;
}

static void set_chunk(struct hcl_spin *spin, uint64_t took_ns)
{
    if (took_ns < CLOCK_SHARE * spin->clock_ns && spin->chunk < MAX_CHUNK) {
        spin->chunk *= 2;
    } else if (took_ns > 4 * CLOCK_SHARE * spin->clock_ns &&
               spin->chunk > MIN_CHUNK) {
        spin->chunk /= 2;
    }
}

bool hcl_spin_slow(struct hcl_spin *spin)
{
    uint64_t before = spin->now_ns;

    if (!spin->began_ns) {
        if (!first_time(spin)) {
            return false;
        }
    } else {
        spin->now_ns = now_ns();
        if (spin->way == &spin->plain) {
            set_chunk(spin, spin->now_ns - before);
        }
    }
    if (spin->way == &spin->plain) {
        if (spin->now_ns - spin->way_ns < spin->plain.budget_ns) {
            spin->looks = spin->chunk;
            return true;
        }
        spin->way = &spin->yield;
        spin->way_ns = spin->now_ns;
    }
    if (spin->now_ns - spin->way_ns < spin->yield.budget_ns) {
        spin->looks = 1;
        sched_yield();
        return true;
    }
    return false;
}

void hcl_spin_found_late(struct hcl_spin *spin)
{
    uint64_t spent_ns = spin->now_ns - spin->way_ns;

    spin->counts.found++;
    settle_credit(spin, spin->now_ns - spin->began_ns);
    grow(spin, spin->way, spent_ns);
    if (spin->way == &spin->yield && spin->plain.budget_ns) {
        /* Spinning found nothing, and the peer came when it could run. */
        shrink(spin, &spin->plain);
    }
}

void hcl_spin_sleep(struct hcl_spin *spin)
{
    spin->counts.slept++;
    spin->asleep_ns = now_ns();
    spin->spun_ns = 0;
    spin->yielded_ns = 0;
    if (!spin->began_ns || !spin->way) {
        return;
    }
    spin->counts.missed++;
    spin->spun_ns = spin->plain.budget_ns;
    spin->yielded_ns = spin->yield.budget_ns;
    shrink(spin, &spin->plain);
    shrink(spin, &spin->yield);
}

/*
 * After a sleep that was short: this way, tried for so long before, should have
 * longer, or is of no use here.
 */
static void learn(const struct hcl_spin *spin, struct hcl_spin_way *way,
                  uint64_t tried_ns)
{
    if (tried_ns < spin->limit_ns) {
        try_again(spin, way);
    } else {
        let_rest(way);
    }
}

/*
 * What a sleep costs, wake-ups of both sides and all: the shortest of the last
 * ones, as others were longer for reasons of their own.
 */
static void note_sleep(struct hcl_spin *spin, uint64_t slept_ns)
{
    if (slept_ns < spin->least_ns) {
        spin->least_ns = slept_ns;
    }
    if (spin->least_ns < spin->limit_ns) {
        spin->limit_ns = spin->least_ns;
    }
    if (++spin->sleeps == SLEEPS) {
        spin->limit_ns = spin->least_ns;
        spin->least_ns = spin->max_ns;
        spin->sleeps = 0;
    }
}

void hcl_spin_woke(struct hcl_spin *spin, bool found)
{
    uint64_t slept_ns;

    spin->now_ns = now_ns();
    slept_ns = spin->now_ns - spin->asleep_ns;
    settle_credit(spin, spin->spun_ns + spin->yielded_ns);
    if (!found || slept_ns > SHORT_SLEEP_NS) {
        return;
    }
    note_sleep(spin, slept_ns);
    learn(spin, &spin->plain, spin->spun_ns);
    if (spin->plain.rests > 0 && may_yield(spin)) {
        learn(spin, &spin->yield, spin->yielded_ns);
    }
}
