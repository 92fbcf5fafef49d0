/* SPDX-License-Identifier: MIT */
/*
 * scheduler.h: whose job the device gets next.  Deficit round robin between
 * guests over device time, with weights, caps, and a limit of jobs that the
 * class has at once, so that what waits, waits here and not in the hardware's
 * own queue.
 *
 *   put -> guest's queue -> take -> the class has it -> done
 *      \_____ nobody waits: directly ____/
 *
 * Each guest has an account in ns.  In its turn it gets the quantum times its
 * weight, and then jobs while its account is above 0.  A job is paid with its
 * estimate when it starts and with what it really took when it is done, so an
 * account may go far below 0, and is then filled round by round while others
 * are served.  The quantum is what a job costs on average: then a turn is about
 * one job, and looking for the next one costs a constant time on average, and
 * at worst two looks at each guest.
 *
 * A guest need not wait for its turn while it has left something of what it got
 * in the last, because its queue was empty or its jobs took less than was
 * thought: it is in the express list as well.  So one that uses less than its
 * share waits for little more than what the device has begun, and one that
 * comes and goes gets no more than one that stays.
 *
 *   rounds:  all that have jobs, or had some since their last turn
 *   express: those of them that are served before
 *   held:    have used up their requests or bytes for now
 *
 * When a job has ended is not always known: a class that looks at its hardware
 * does so late when the worker was kept from running.  No guest pays for that:
 * of the times that are possible the estimate counts.
 *
 * Credit ends with the turn after, debts never do; but while nobody has to
 * wait, nobody owes anything.
 *
 * Pure: time comes as an argument (monotonic ns), jobs and guests are the
 * caller's memory, nothing is allocated.  One thread.
 */
#ifndef HCL_SCHEDULER_H
#define HCL_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "class.h"
#include "share.h"

/* No time at all. */
#define HCL_SCHED_NEVER UINT64_MAX

/*
 * Jobs beyond those that the device works at are given to it only while less
 * than this is there: it hides the wake-up of any host, and more would only
 * make others wait.
 */
#define HCL_SCHED_AHEAD_NS 2000000

/* The longest quantum: device times beyond that are no time for turns. */
#define HCL_SCHED_QUANTUM_NS 1000000000

/* What a cap gives at once after a rest. */
#define HCL_SCHED_BURST_NS 100000000

/* A guest that is held gets several jobs' worth together: fewer wake-ups. */
#define HCL_SCHED_HOLD_NS 1000000

/* Sizes of jobs, by powers of two from 64 bytes, whose times are kept. */
#define HCL_SCHED_SIZES 28

struct hcl_sched_link {
    struct hcl_sched_link *next, *prev;
};

enum hcl_sched_state {
    HCL_SCHED_NONE = 0, /* not ours */
    HCL_SCHED_QUEUED,   /* in its guest's queue */
    HCL_SCHED_WAITS,    /* the class has it, the device works at others */
    HCL_SCHED_RUNS,     /* the device works at it */
};

/* Zero-initialised by the caller; else only read: its state. */
struct hcl_sched_job {
    struct hcl_sched_link link; /* first, see scheduler.c */
    struct hcl_sched_guest *guest;
    enum hcl_sched_state state;
    uint32_t bytes;
    uint64_t cost_ns; /* estimated */
    uint64_t started_ns;
};

enum hcl_sched_where {
    HCL_SCHED_AWAY = 0, /* nothing to do for it */
    HCL_SCHED_ROUNDS,
    HCL_SCHED_HELD,
};

struct hcl_sched_guest {
    struct hcl_sched_link link; /* in rounds or held; first */
    struct hcl_sched_guest *next_guest;
    struct hcl_share share;
    bool capped;
    enum hcl_sched_where where;
    struct hcl_sched_link express; /* of those in the rounds; NULL: not there */
    bool served;                   /* since its last turn */
    bool in_turn;                  /* is the first of the rounds, and has got
                                    * its quantum */
    struct hcl_sched_link jobs;    /* queued, oldest first */
    uint32_t num_jobs;
    uint32_t num_inside;     /* the class has */
    uint64_t inside_ns;      /* their estimates */
    int64_t account_ns;      /* counts while it is not away */
    uint64_t part_q20;       /* its weight over the mean of all, times 2^20 */
    uint64_t requests_at_ns; /* when its caps' buckets are full again */
    uint64_t bytes_at_ns;
    /* Counters; only read by others. */
    uint64_t used_ns; /* of the device */
    uint64_t queued;  /* jobs that had to wait for their turn */
    uint64_t held;    /* how often a cap stopped it */
};

struct hcl_sched {
    struct hcl_service service;
    struct hcl_sched_guest *guests;
    uint32_t num_guests;
    uint32_t num_capped;
    uint64_t weights; /* their sum */
    struct hcl_sched_link rounds, express, held;
    uint32_t num_listed;          /* in the rounds */
    uint32_t num_ready;           /* queued jobs of those */
    uint64_t wake_ns;             /* when the first of the held may go on */
    uint32_t num_inside;          /* the class has */
    uint32_t num_running;         /* of those the device works at */
    uint64_t inside_ns;           /* their estimates */
    struct hcl_sched_link behind; /* HCL_SCHED_WAITS, oldest first */
    uint64_t quantum_ns;          /* 0 before the first job */
    uint64_t before_ns;           /* no job has ended before that */
    uint64_t mean_ns[HCL_SCHED_SIZES];
};

void hcl_sched_init(struct hcl_sched *sched, const struct hcl_service *service);

/* @guest is zeroed; it stays the caller's. Costs a look at each guest. */
void hcl_sched_add(struct hcl_sched *sched, struct hcl_sched_guest *guest,
                   const struct hcl_share *share);

/* The class has none of its jobs; those that are queued are dropped. */
void hcl_sched_remove(struct hcl_sched *sched, struct hcl_sched_guest *guest);

/* Whether this guest's jobs go through here at all, or always directly. */
static inline bool hcl_sched_covers(const struct hcl_sched *sched,
                                    const struct hcl_sched_guest *guest)
{
    return sched->service.depth > 0 || guest->capped;
}

/* Whether times count: else @now_ns may be 0 in all calls. */
static inline bool hcl_sched_timed(const struct hcl_sched *sched)
{
    return sched->service.measured || sched->num_capped > 0;
}

/*
 * A new job, whose payload and room for an answer are @bytes.  True: the class
 * gets it right now.  False: it waits for hcl_sched_take.
 */
bool hcl_sched_put(struct hcl_sched *sched, struct hcl_sched_guest *guest,
                   struct hcl_sched_job *job, uint32_t bytes, uint64_t now_ns);

/* The job that the class gets now, or NULL: full, or nobody's turn. */
struct hcl_sched_job *hcl_sched_take(struct hcl_sched *sched, uint64_t now_ns);

/* Whether hcl_sched_take may have a job sooner or later. */
static inline bool hcl_sched_waiting(const struct hcl_sched *sched)
{
    return sched->num_ready > 0 || sched->wake_ns != HCL_SCHED_NEVER;
}

/* Takes a queued job out. */
void hcl_sched_drop(struct hcl_sched *sched, struct hcl_sched_job *job);

/*
 * Jobs of which hcl_sched_done tells from now on have not ended before @ns;
 * HCL_SCHED_NEVER, which it is at first: it tells at once.
 */
static inline void hcl_sched_not_before(struct hcl_sched *sched, uint64_t ns)
{
    sched->before_ns = ns;
}

/* The class has ended a job; @bytes of payload and answer were moved. */
void hcl_sched_done(struct hcl_sched *sched, struct hcl_sched_job *job,
                    uint32_t bytes, uint64_t now_ns);

/* When to call hcl_sched_take though nothing happens, or HCL_SCHED_NEVER. */
static inline uint64_t hcl_sched_wake_ns(const struct hcl_sched *sched)
{
    return sched->wake_ns;
}

/*
 * What @ns, a second at most, are for this guest, by its weight among all: the
 * mean of all is @ns.
 */
static inline int64_t hcl_sched_part(const struct hcl_sched_guest *guest,
                                     uint64_t ns)
{
    return (int64_t)((ns * guest->part_q20 + (1u << 19)) >> 20);
}

#endif /* HCL_SCHEDULER_H */
