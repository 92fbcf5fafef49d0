/* SPDX-License-Identifier: MIT */
#include "spin.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Of each cost. */
#define MEASUREMENTS 16

/* What a wake-up costs where it cannot be measured. */
#define WAKE_NS 25000

/* Less than this is not worth a try. */
#define MIN_BUDGET_NS 500

/* The clock takes at most one part in so many of the time spent looking. */
#define CLOCK_SHARE 8
#define MIN_CHUNK 64
#define MAX_CHUNK 65536

/* Sleeps of up to so many wake-ups may be worth looking instead. */
#define SHORT_WAKES 16

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

/* The other end of the measurement: answers as often. */
static void *answer(void *arg)
{
    const int *fds = arg;
    uint64_t count = 1;

    for (unsigned int i = 0; i < MEASUREMENTS; i++) {
        if (read(fds[0], &count, sizeof(count)) < 0 ||
            write(fds[1], &count, sizeof(count)) < 0) {
            break;
        }
    }
    return NULL;
}

/* The least of several rounds, there and back. */
static uint64_t measure_rounds(const int *fds)
{
    uint64_t count = 1, least = UINT64_MAX, before = now_ns();

    for (unsigned int i = 0; i < MEASUREMENTS; i++) {
        uint64_t after;

        if (write(fds[0], &count, sizeof(count)) < 0 ||
            read(fds[1], &count, sizeof(count)) < 0) {
            break;
        }
        after = now_ns();
        if (after - before < least) {
            least = after - before;
        }
        before = after;
    }
    return least;
}

static uint64_t measure_wake(void)
{
    int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
    uint64_t wake_ns = WAKE_NS;
    sigset_t all, before;
    pthread_t thread;
    int ret;

    if (fds[0] >= 0 && fds[1] >= 0) {
        sigfillset(&all);
        /* The program's signals are not for our thread. */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        ret = pthread_create(&thread, NULL, answer, fds);
        if (ret == 0) {
            wake_ns = measure_rounds(fds) / 2;
            pthread_join(thread, NULL);
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    for (unsigned int i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    return wake_ns;
}

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

static struct hcl_spin_costs costs;

static void measure_costs(void)
{
    costs.clock_ns = measure(nothing);
    costs.yield_ns = measure(yield);
    costs.wake_ns = measure_wake();
}

void hcl_spin_init(struct hcl_spin *spin,
                   const struct hcl_spin_settings *settings)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, measure_costs);
    memset(spin, 0, sizeof(*spin));
    spin->costs = costs;
    /* To sleep costs two wake-ups for each round trip: the peer's and ours. */
    spin->limit_ns = 2 * costs.wake_ns;
    if (spin->limit_ns > settings->max_us * UINT64_C(1000)) {
        spin->limit_ns = settings->max_us * UINT64_C(1000);
    }
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
    return spin->costs.yield_ns < spin->limit_ns / YIELD_SHARE;
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
    if (took_ns < CLOCK_SHARE * spin->costs.clock_ns &&
        spin->chunk < MAX_CHUNK) {
        spin->chunk *= 2;
    } else if (took_ns > 4 * CLOCK_SHARE * spin->costs.clock_ns &&
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

void hcl_spin_woke(struct hcl_spin *spin, bool found)
{
    spin->now_ns = now_ns();
    settle_credit(spin, spin->spun_ns + spin->yielded_ns);
    if (!found || !spin->limit_ns ||
        spin->now_ns - spin->asleep_ns > SHORT_WAKES * spin->costs.wake_ns) {
        return;
    }
    learn(spin, &spin->plain, spin->spun_ns);
    if (spin->plain.rests > 0 && may_yield(spin)) {
        learn(spin, &spin->yield, spin->yielded_ns);
    }
}
