/* SPDX-License-Identifier: MIT */
#include "spin.h"

#include <sched.h>
#include <string.h>

#include "loop.h"

/* Of each cost. */
#define MEASUREMENTS 16

/* Less than this is not worth a try. */
#define MIN_BUDGET_NS 500

/* The clock takes at most one part in so many of the time spent looking. */
#define CLOCK_SHARE UINT64_C(8)
#define MIN_CHUNK 64
#define MAX_CHUNK 65536

/* After a sleep of up to so long, looking may be worth a try. */
#define SHORT_SLEEP_NS UINT64_C(1000000)

/* Times that a way may be of no use, one after the other, before it rests. */
#define STRIKES 2

/* Short sleeps that it rests then; twice as many the next time. */
#define MAX_REST 1024

/* Yields must cost less than this part of a sleep to be of use. */
#define YIELD_SHARE 4

/* So much looking the ceiling lets pass at a time. */
#define MAX_CREDIT_NS 10000000

/* ---- Costs -------------------------------------------------------------- */

/* The least of several: others may run in between. */
static uint64_t measure(void (*what)(void))
{
    uint64_t least = UINT64_MAX, before = hcl_now_ns(), after;

    for (unsigned int i = 0; i < MEASUREMENTS; i++, before = after) {
        what();
        after = hcl_now_ns();
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
    spin->max_ns = settings->max_us * UINT64_C(1000);
    if (spin->max_ns) {
        spin->clock_ns = measure(nothing);
        spin->yield_ns = measure(yield);
    }
    spin->percent = settings->percent;
    spin->chunk = MIN_CHUNK;
    spin->plain.rest = spin->yield.rest = HCL_SPIN_MIN_REST;
    spin->credit_ns = MAX_CREDIT_NS;
    spin->credited_ns = hcl_now_ns();
}

/* ---- Budgets ------------------------------------------------------------ */

static void set_budget(const struct hcl_spin *spin, struct hcl_spin_way *way,
                       uint64_t budget_ns)
{
    if (budget_ns > spin->max_ns) {
        budget_ns = spin->max_ns;
    }
    way->budget_ns = budget_ns < MIN_BUDGET_NS ? 0 : budget_ns;
}

/* It found something at @spent_ns. */
static void grow(const struct hcl_spin *spin, struct hcl_spin_way *way,
                 uint64_t spent_ns)
{
    hcl_spin_praise(way);
    if (spent_ns > way->budget_ns / 2) {
        set_budget(spin, way, 2 * way->budget_ns);
    }
}

static void shrink(const struct hcl_spin *spin, struct hcl_spin_way *way)
{
    set_budget(spin, way, way->budget_ns / 2);
}

/* It was of no use: once more, and then never mind it for a while. */
static void strike(struct hcl_spin_way *way)
{
    if (++way->strikes < STRIKES) {
        return;
    }
    way->strikes = 0;
    way->budget_ns = 0;
    way->rests = way->rest;
    way->rest = way->rest < MAX_REST / 2 ? 2 * way->rest : MAX_REST;
}

/*
 * After a sleep that was so short that looking would have been cheaper: this
 * way, tried for @tried_ns before it, should have had that much longer.  Unless
 * that was long already: where looking keeps the peer from running, what comes
 * comes soon after it ends, however long it was.
 */
static void learn(const struct hcl_spin *spin, struct hcl_spin_way *way,
                  uint64_t tried_ns, uint64_t slept_ns)
{
    if (way->rests > 0) {
        way->rests--;
    } else if (tried_ns < 2 * slept_ns) {
        set_budget(spin, way, tried_ns + slept_ns);
    } else {
        set_budget(spin, way, tried_ns);
        strike(way);
    }
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
    uint64_t need =
        spin->max_ns < MAX_CREDIT_NS / 2 ? spin->max_ns : MAX_CREDIT_NS / 2;

    return spin->percent >= 100 || spin->credit_ns >= need;
}

/* ---- One wait ----------------------------------------------------------- */

/* The first looks are over, or there were none: from here on by the clock. */
static bool first_time(struct hcl_spin *spin)
{
    if (!spin->plain.budget_ns && !spin->yield.budget_ns) {
        spin->way = NULL;
        return false;
    }
    spin->began_ns = spin->way_ns = spin->now_ns = hcl_now_ns();
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
        spin->now_ns = hcl_now_ns();
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

/*
 * A yield that took no time gave the processor to nobody: what was found after
 * it came from elsewhere, and would have been found without.  And some
 * schedulers take their time until they let the peer run: then sleeping, which
 * makes them, is better.
 */
static void learn_from_yield(struct hcl_spin *spin)
{
    uint64_t now = hcl_now_ns();

    if (now - spin->now_ns < 2 * spin->yield_ns) {
        spin->plain.rests = 0;
        set_budget(spin, &spin->plain, 2 * (now - spin->began_ns));
    } else {
        shrink(spin, &spin->plain);
    }
    if (now - spin->way_ns > spin->sleep_ns) {
        strike(&spin->yield);
    } else {
        grow(spin, &spin->yield, now - spin->way_ns);
    }
}

void hcl_spin_found_late(struct hcl_spin *spin)
{
    spin->counts.found++;
    settle_credit(spin, spin->now_ns - spin->began_ns);
    if (spin->way == &spin->yield) {
        learn_from_yield(spin);
    } else {
        grow(spin, spin->way, spin->now_ns - spin->way_ns);
    }
}

void hcl_spin_missed(struct hcl_spin *spin)
{
    spin->spun_ns = 0;
    spin->yielded_ns = 0;
    if (!spin->began_ns || !spin->way) {
        return;
    }
    spin->began_ns = 0;
    spin->counts.missed++;
    spin->spun_ns = spin->plain.budget_ns;
    spin->yielded_ns = spin->yield.budget_ns;
    settle_credit(spin, spin->spun_ns + spin->yielded_ns);
    shrink(spin, &spin->plain);
    shrink(spin, &spin->yield);
}

void hcl_spin_sleep(struct hcl_spin *spin)
{
    hcl_spin_missed(spin);
    spin->counts.slept++;
    spin->asleep_ns = spin->max_ns ? hcl_now_ns() : 0;
}

void hcl_spin_woke(struct hcl_spin *spin, bool found)
{
    uint64_t slept_ns;

    if (!spin->max_ns) {
        return; /* nothing is to be learnt */
    }
    spin->now_ns = hcl_now_ns();
    slept_ns = spin->now_ns - spin->asleep_ns;
    settle_credit(spin, 0);
    if (!found || slept_ns > SHORT_SLEEP_NS) {
        return;
    }
    spin->sleep_ns =
        spin->sleep_ns ? (7 * spin->sleep_ns + slept_ns) / 8 : slept_ns;
    learn(spin, &spin->plain, spin->spun_ns, slept_ns);
    if (spin->plain.rests > 0 && spin->yield_ns < slept_ns / YIELD_SHARE) {
        learn(spin, &spin->yield, spin->yielded_ns, slept_ns);
    }
}
