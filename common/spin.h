/* SPDX-License-Identifier: MIT */
/*
 * spin.h: adaptive polling: how long to go on looking before going to sleep.
 *
 * To be woken costs some 20 to 50 us, to find a message while looking for it a
 * tenth of a microsecond.  So whoever waits looks for a while first:
 *
 *     hcl_spin_begin(spin);
 *     do {
 *         if (something is there) {
 *             hcl_spin_found(spin);
 *             return;
 *         }
 *     } while (hcl_spin_again(spin));
 *     ask for an event, look once more;
 *     hcl_spin_sleep(spin);
 *     sleep;
 *     hcl_spin_woke(spin, something is there);
 *
 * There are two ways of looking, tried in this order, each with a budget of
 * time of its own:
 *
 *   plain   look, again and again; of use while the peer runs meanwhile
 *   yield   sched_yield between two looks; of use when it runs where we do
 *
 * Nobody can know whether the peer runs, so only success counts.  A wait that
 * found something nearly as late as the budget allows doubles it; one that
 * found nothing halves it, down to nothing at all.  A sleep that was so short
 * that looking would have been cheaper brings it back, unless looking was just
 * tried for as long and found nothing: twice in a row, and that way rests,
 * longer each time.
 *
 * What a sleep cost is seen from the sleep itself.  Yielding is measured at the
 * start and must be cheap beside that: on emulated Xen it takes 50 times as
 * long as elsewhere.
 *
 * The clock is a system call in some guests: the first looks of a wait do
 * without, and later ones look at it now and then.
 *
 * One struct for each place where a thread waits; no allocation, no locks.
 */
#ifndef HCL_SPIN_H
#define HCL_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct hcl_spin_settings {
    uint32_t max_us;  /* of one way in one wait; 0: sleeps at once */
    uint32_t percent; /* ceiling: of one CPU's time, averaged; 1 to 100 */
};

/* Defaults, and what max_us can be set to. */
#define HCL_SPIN_MAX_US 100
#define HCL_SPIN_PERCENT 100
#define HCL_SPIN_LIMIT_US 1000000

/* One of the two ways. */
struct hcl_spin_way {
    uint64_t budget_ns; /* 0: not now */
    uint32_t strikes;   /* how often in a row it was of no use */
    uint32_t rests;     /* short sleeps until it is tried again */
    uint32_t rest;      /* how many the next time */
};

struct hcl_spin_counts {
    uint64_t found;  /* waits that ended by looking, after the first looks */
    uint64_t missed; /* those that looked in vain */
    uint64_t slept;
};

struct hcl_spin {
    struct hcl_spin_way plain, yield;
    uint64_t clock_ns; /* what it costs, measured */
    uint64_t yield_ns; /* the same, with nobody to yield to */
    uint64_t max_ns;   /* of a budget; 0: never looks twice */
    uint64_t sleep_ns; /* how long short sleeps lasted lately */
    uint32_t percent;
    uint64_t credit_ns;   /* under the ceiling, with percent below 100 */
    uint64_t credited_ns; /* up to when */

    /* This wait. */
    struct hcl_spin_way *way; /* NULL: none is left */
    uint32_t looks;           /* until the clock is looked at */
    uint32_t chunk;           /* looks between two looks at the clock */
    uint64_t began_ns;        /* 0: the clock was not looked at */
    uint64_t way_ns;          /* when this way began */
    uint64_t now_ns;          /* as of the last look at the clock */
    uint64_t asleep_ns;       /* since when */
    uint64_t spun_ns;         /* in vain, before that sleep */
    uint64_t yielded_ns;      /* the same */

    struct hcl_spin_counts counts;
};

/* Measures what the clock and yielding cost: 16 of each. */
void hcl_spin_init(struct hcl_spin *spin,
                   const struct hcl_spin_settings *settings);

/* Slow parts of those below. */
bool hcl_spin_slow(struct hcl_spin *spin);
void hcl_spin_found_late(struct hcl_spin *spin);

/* A wait begins. */
static inline void hcl_spin_begin(struct hcl_spin *spin)
{
    spin->way = &spin->plain;
    spin->looks = spin->plain.budget_ns ? spin->chunk : 1;
    spin->began_ns = 0;
}

/*
 * Of the first looks, those between two rests of the processor, which cost up
 * to 45 ns; later there is one after each look, for the peer's sake, whose
 * processor may be the other half of ours.
 */
#define HCL_SPIN_BURST 16

/* After a look that found nothing.  False: enough, sleep. */
static inline bool hcl_spin_again(struct hcl_spin *spin)
{
    if (--spin->looks == 0) {
        return hcl_spin_slow(spin);
    }
#if defined(__x86_64__) || defined(__i386__)
    if (spin->began_ns || spin->looks % HCL_SPIN_BURST == 0) {
        __builtin_ia32_pause();
    }
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
    return true;
}

#define HCL_SPIN_MIN_REST 8

static inline void hcl_spin_praise(struct hcl_spin_way *way)
{
    way->strikes = 0;
    way->rest = HCL_SPIN_MIN_REST;
}

/* The wait ended by looking. */
static inline void hcl_spin_found(struct hcl_spin *spin)
{
    if (spin->began_ns) {
        hcl_spin_found_late(spin);
    } else if (spin->looks < spin->chunk && spin->plain.budget_ns) {
        hcl_spin_praise(&spin->plain); /* not at the first look */
    }
}

/* The wait ends without having found anything, and without a sleep. */
void hcl_spin_missed(struct hcl_spin *spin);

/* Just before a sleep that follows looks in vain. */
void hcl_spin_sleep(struct hcl_spin *spin);

/* After it.  @found: what was looked for woke us. */
void hcl_spin_woke(struct hcl_spin *spin, bool found);

#endif /* HCL_SPIN_H */
