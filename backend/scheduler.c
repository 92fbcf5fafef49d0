/* SPDX-License-Identifier: MIT */
#include "scheduler.h"

#include <assert.h>
#include <stddef.h>

/* An average moves by this part of the difference each time: 2^-n. */
#define QUANTUM_SHIFT 5
#define MEAN_SHIFT 3

/* Without an estimate of the class: where measuring begins. */
#define FIRST_GUESS_NS 10000

#define NS_PER_S UINT64_C(1000000000)

/* ---- Lists ------------------------------------------------------------- */

static void link_init(struct hcl_sched_link *head)
{
    head->next = head->prev = head;
}

static bool link_empty(const struct hcl_sched_link *head)
{
    return head->next == head;
}

static void link_put_last(struct hcl_sched_link *head,
                          struct hcl_sched_link *link)
{
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

static void link_take_out(struct hcl_sched_link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
}

/* A link is the first member of both. */
static struct hcl_sched_guest *guest_of(struct hcl_sched_link *link)
{
    return (struct hcl_sched_guest *)(void *)link;
}

static struct hcl_sched_guest *express_of(struct hcl_sched_link *link)
{
    return (struct hcl_sched_guest *)(void *)((char *)link -
                                              offsetof(struct hcl_sched_guest,
                                                       express));
}

static struct hcl_sched_job *job_of(struct hcl_sched_link *link)
{
    return (struct hcl_sched_job *)(void *)link;
}

/* ---- What a job costs -------------------------------------------------- */

/* By the class's own estimate. */
static uint64_t service_ns(const struct hcl_service *service, uint64_t bytes)
{
    uint64_t ns = service->job_ns + (bytes * service->kib_ns >> 10);

    return ns > 0 ? ns : 1;
}

static unsigned int size_class(uint32_t bytes)
{
    return bytes < 64 ? 0 : (unsigned int)(31 - __builtin_clz(bytes)) - 5;
}

/* As jobs of about that size were lately, or as the class says. */
static uint64_t estimate_ns(const struct hcl_sched *sched, uint32_t bytes)
{
    return sched->service.measured ? sched->mean_ns[size_class(bytes)]
                                   : service_ns(&sched->service, bytes);
}

/* One step of a moving average. */
static void approach(uint64_t *average, uint64_t value, unsigned int shift)
{
    int64_t step = ((int64_t)value - (int64_t)*average) >> shift;

    *average = (uint64_t)((int64_t)*average + step);
    *average = *average > 0 ? *average : 1;
}

static uint64_t quantum_for(uint64_t cost_ns)
{
    return cost_ns < HCL_SCHED_QUANTUM_NS ? cost_ns : HCL_SCHED_QUANTUM_NS;
}

/* When a job that is found done has ended: as thought, if that is possible. */
static uint64_t end_of(const struct hcl_sched *sched,
                       const struct hcl_sched_job *job, uint64_t now_ns)
{
    uint64_t end = job->started_ns + job->cost_ns * sched->service.units;

    end = end > sched->before_ns ? end : sched->before_ns;
    return end < now_ns ? end : now_ns;
}

/* The job is done: what it took, which later ones will be thought to take. */
static uint64_t take_stock(struct hcl_sched *sched,
                           const struct hcl_sched_job *job, uint32_t bytes,
                           uint64_t end_ns)
{
    uint64_t spent;

    if (!sched->service.measured) {
        spent = service_ns(&sched->service, bytes);
    } else if (job->state == HCL_SCHED_RUNS) {
        spent = (end_ns - job->started_ns) / sched->service.units;
        approach(&sched->mean_ns[size_class(job->bytes)], spent, MEAN_SHIFT);
    } else {
        return 0; /* ended before the device began with it */
    }
    approach(&sched->quantum_ns, quantum_for(spent), QUANTUM_SHIFT);
    return spent;
}

/* ---- Caps -------------------------------------------------------------- */

/*
 * A token bucket is kept as the time when it is full again, which no refill has
 * to visit.  Something may be taken while less than the burst is missing.
 */
static uint64_t bucket_ready_ns(uint64_t full_at_ns)
{
    return full_at_ns > HCL_SCHED_BURST_NS ? full_at_ns - HCL_SCHED_BURST_NS
                                           : 0;
}

static void bucket_take(uint64_t *full_at_ns, uint64_t ns, uint64_t now_ns)
{
    *full_at_ns = (*full_at_ns > now_ns ? *full_at_ns : now_ns) + ns;
}

/* How long the cap takes to grant these. */
static uint64_t bytes_ns(const struct hcl_share *share, uint32_t bytes)
{
    return bytes * NS_PER_S / (share->max_kib_per_s * UINT64_C(1024));
}

static uint64_t ready_ns(const struct hcl_sched_guest *guest)
{
    uint64_t requests = bucket_ready_ns(guest->requests_at_ns);
    uint64_t bytes = bucket_ready_ns(guest->bytes_at_ns);

    return requests > bytes ? requests : bytes;
}

static void caps_take(struct hcl_sched_guest *guest, uint32_t bytes,
                      uint64_t now_ns)
{
    const struct hcl_share *share = &guest->share;

    if (share->max_requests_per_s) {
        bucket_take(&guest->requests_at_ns,
                    NS_PER_S / share->max_requests_per_s, now_ns);
    }
    if (share->max_kib_per_s) {
        bucket_take(&guest->bytes_at_ns, bytes_ns(share, bytes), now_ns);
    }
}

/* Room for an answer that was not used. */
static void caps_give_back(struct hcl_sched_guest *guest, uint32_t bytes)
{
    if (guest->share.max_kib_per_s) {
        uint64_t ns = bytes_ns(&guest->share, bytes);

        guest->bytes_at_ns -= ns < guest->bytes_at_ns ? ns : guest->bytes_at_ns;
    }
}

/* ---- The lists of guests ----------------------------------------------- */

static void express_leave(struct hcl_sched_guest *guest)
{
    if (guest->express.next) {
        link_take_out(&guest->express);
        guest->express.next = NULL;
    }
}

/* Takes it out of all lists. */
static void leave(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    if (guest->where == HCL_SCHED_AWAY) {
        return;
    }
    if (guest->where == HCL_SCHED_ROUNDS) {
        sched->num_listed--;
        sched->num_ready -= guest->num_jobs;
    }
    express_leave(guest);
    link_take_out(&guest->link);
    if (guest->where == HCL_SCHED_HELD && link_empty(&sched->held)) {
        sched->wake_ns = HCL_SCHED_NEVER;
    }
    guest->where = HCL_SCHED_AWAY;
    guest->in_turn = false;
}

/* To the end of the rounds. */
static void enter_rounds(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    leave(sched, guest);
    guest->where = HCL_SCHED_ROUNDS;
    link_put_last(&sched->rounds, &guest->link);
    sched->num_listed++;
    sched->num_ready += guest->num_jobs;
}

/* What a guest gets each round: not nothing, however small its weight. */
static int64_t quantum_of(const struct hcl_sched *sched,
                          const struct hcl_sched_guest *guest)
{
    int64_t quantum = hcl_sched_part(guest, sched->quantum_ns);

    return quantum > 0 ? quantum : 1;
}

/* Has a job after a while without: what the class has of it counts as taken. */
static void come_back(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    guest->account_ns = quantum_of(sched, guest) - (int64_t)guest->inside_ns;
    guest->served = true;
    enter_rounds(sched, guest);
}

/*
 * It has jobs and something left in its account, but its turn is over, or not
 * yet come.
 */
static void go_express(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    if (guest->where == HCL_SCHED_ROUNDS && guest->num_jobs > 0 &&
        guest->account_ns > 0 && !guest->in_turn && !guest->express.next) {
        link_put_last(&sched->express, &guest->express);
    }
}

static void hold(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    uint64_t until = ready_ns(guest) + HCL_SCHED_HOLD_NS;

    leave(sched, guest);
    guest->where = HCL_SCHED_HELD;
    link_put_last(&sched->held, &guest->link);
    guest->held++;
    sched->wake_ns = until < sched->wake_ns ? until : sched->wake_ns;
}

/* Lets those go on whose time has come, and finds out when the next will. */
static void release_held(struct hcl_sched *sched, uint64_t now_ns)
{
    struct hcl_sched_link *link = sched->held.next, *next;

    sched->wake_ns = HCL_SCHED_NEVER;
    for (; link != &sched->held; link = next) {
        uint64_t until = ready_ns(guest_of(link)) + HCL_SCHED_HOLD_NS;

        next = link->next;
        if (until <= now_ns) {
            enter_rounds(sched, guest_of(link));
        } else if (until < sched->wake_ns) {
            sched->wake_ns = until;
        }
    }
}

/* ---- Turns ------------------------------------------------------------- */

/*
 * A whole round has served nobody: as many as have to pass until somebody can
 * be served, pass at once.
 */
static void skip_rounds(struct hcl_sched *sched)
{
    struct hcl_sched_link *link;
    int64_t rounds = INT64_MAX;

    for (link = sched->rounds.next; link != &sched->rounds; link = link->next) {
        const struct hcl_sched_guest *guest = guest_of(link);

        if (guest->num_jobs > 0) {
            /* Its next turn, which it will have, is one. */
            int64_t needed = -guest->account_ns / quantum_of(sched, guest);

            rounds = needed < rounds ? needed : rounds;
        }
    }
    for (link = sched->rounds.next; link != &sched->rounds; link = link->next) {
        struct hcl_sched_guest *guest = guest_of(link);
        int64_t quantum = quantum_of(sched, guest);

        guest->account_ns += rounds * quantum;
        if (guest->account_ns > quantum) {
            guest->account_ns = quantum; /* without jobs it saves nothing */
        }
    }
}

/* The first of the rounds gets its turn; false: it is passed over. */
static bool begin_turn(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    bool needed = guest->num_jobs > 0 || guest->num_inside > 0 ||
                  guest->served || guest->account_ns < 0;

    if (!needed) {
        leave(sched, guest);
        return false;
    }
    guest->served = false;
    guest->account_ns = guest->account_ns < 0 ? guest->account_ns : 0;
    guest->account_ns += quantum_of(sched, guest);
    guest->in_turn = guest->account_ns > 0 && guest->num_jobs > 0;
    if (!guest->in_turn) {
        enter_rounds(sched, guest);
    }
    return guest->in_turn;
}

/* The guest who is served next, of those who have jobs, or NULL. */
static struct hcl_sched_guest *next_guest(struct hcl_sched *sched)
{
    uint32_t looks = 0;

    if (!link_empty(&sched->express)) {
        return express_of(sched->express.next);
    }
    while (sched->num_ready > 0) {
        struct hcl_sched_guest *guest = guest_of(sched->rounds.next);

        if (guest->in_turn || begin_turn(sched, guest)) {
            return guest;
        }
        if (++looks > sched->num_listed) {
            skip_rounds(sched);
            looks = 0;
        }
    }
    return NULL;
}

/* Its account or its queue has changed: is it still before the others? */
static void end_turn(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    if (guest->account_ns > 0 && guest->num_jobs > 0) {
        return;
    }
    express_leave(guest);
    if (guest->in_turn) {
        guest->in_turn = false;
        enter_rounds(sched, guest);
    }
}

/* ---- Jobs -------------------------------------------------------------- */

static bool has_room(const struct hcl_sched *sched)
{
    const struct hcl_service *service = &sched->service;

    return service->depth == 0 || sched->num_inside < service->units ||
           (sched->num_inside < service->depth &&
            sched->inside_ns < HCL_SCHED_AHEAD_NS);
}

static void run(struct hcl_sched *sched, struct hcl_sched_job *job,
                uint64_t now_ns)
{
    sched->num_running++;
    job->state = HCL_SCHED_RUNS;
    job->started_ns = now_ns;
}

/* The class gets it. */
static void start(struct hcl_sched *sched, struct hcl_sched_job *job,
                  uint64_t now_ns)
{
    struct hcl_sched_guest *guest = job->guest;

    sched->num_inside++;
    sched->inside_ns += job->cost_ns;
    guest->num_inside++;
    guest->inside_ns += job->cost_ns;
    if (guest->capped) {
        caps_take(guest, job->bytes, now_ns);
    }
    if (sched->service.measured && sched->num_running >= sched->service.units) {
        job->state = HCL_SCHED_WAITS;
        link_put_last(&sched->behind, &job->link);
    } else {
        run(sched, job, now_ns);
    }
}

bool hcl_sched_put(struct hcl_sched *sched, struct hcl_sched_guest *guest,
                   struct hcl_sched_job *job, uint32_t bytes, uint64_t now_ns)
{
    assert(job->state == HCL_SCHED_NONE);
    job->guest = guest;
    job->bytes = bytes;
    job->cost_ns = estimate_ns(sched, bytes);
    if (sched->quantum_ns == 0) {
        sched->quantum_ns = quantum_for(job->cost_ns);
    }
    if (sched->num_ready == 0 && guest->num_jobs == 0 && has_room(sched) &&
        ready_ns(guest) <= now_ns) {
        start(sched, job, now_ns);
        /* Nobody waits: old debts and credit are void. */
        guest->account_ns = -(int64_t)guest->inside_ns;
        return true;
    }
    job->state = HCL_SCHED_QUEUED;
    link_put_last(&guest->jobs, &job->link);
    guest->num_jobs++;
    guest->queued++;
    if (guest->where == HCL_SCHED_ROUNDS) {
        sched->num_ready++;
    }
    if (guest->where == HCL_SCHED_AWAY) {
        come_back(sched, guest);
    }
    go_express(sched, guest);
    return false;
}

/* Out of its guest's queue. */
static void unqueue(struct hcl_sched *sched, struct hcl_sched_job *job)
{
    struct hcl_sched_guest *guest = job->guest;

    link_take_out(&job->link);
    job->state = HCL_SCHED_NONE;
    guest->num_jobs--;
    if (guest->where == HCL_SCHED_ROUNDS) {
        sched->num_ready--;
    }
}

struct hcl_sched_job *hcl_sched_take(struct hcl_sched *sched, uint64_t now_ns)
{
    struct hcl_sched_guest *guest;
    struct hcl_sched_job *job;

    if (now_ns >= sched->wake_ns) {
        release_held(sched, now_ns);
    }
    if (sched->num_ready == 0 || !has_room(sched)) {
        return NULL;
    }
    while ((guest = next_guest(sched)) && ready_ns(guest) > now_ns) {
        hold(sched, guest);
    }
    if (!guest) {
        return NULL;
    }
    job = job_of(guest->jobs.next);
    unqueue(sched, job);
    start(sched, job, now_ns);
    guest->served = true;
    guest->account_ns -= (int64_t)job->cost_ns;
    end_turn(sched, guest);
    return job;
}

void hcl_sched_drop(struct hcl_sched *sched, struct hcl_sched_job *job)
{
    struct hcl_sched_guest *guest = job->guest;

    assert(job->state == HCL_SCHED_QUEUED);
    unqueue(sched, job);
    if (guest->num_jobs > 0) {
        return;
    }
    if (guest->where == HCL_SCHED_HELD) {
        leave(sched, guest);
    } else {
        end_turn(sched, guest);
    }
}

void hcl_sched_done(struct hcl_sched *sched, struct hcl_sched_job *job,
                    uint32_t bytes, uint64_t now_ns)
{
    struct hcl_sched_guest *guest = job->guest;
    uint64_t end_ns = end_of(sched, job, now_ns);
    uint64_t spent = take_stock(sched, job, bytes, end_ns);

    sched->num_inside--;
    sched->inside_ns -= job->cost_ns;
    guest->num_inside--;
    guest->inside_ns -= job->cost_ns;
    guest->used_ns += spent;
    guest->account_ns += (int64_t)job->cost_ns - (int64_t)spent;
    end_turn(sched, guest);
    go_express(sched, guest);
    if (bytes < job->bytes) {
        caps_give_back(guest, job->bytes - bytes);
    }
    if (job->state == HCL_SCHED_WAITS) {
        link_take_out(&job->link);
    } else {
        sched->num_running--;
        if (!link_empty(&sched->behind)) {
            struct hcl_sched_job *next = job_of(sched->behind.next);

            link_take_out(&next->link);
            run(sched, next, end_ns);
        }
    }
    job->state = HCL_SCHED_NONE;
}

/* ---- Guests ------------------------------------------------------------ */

/* The weights of all have changed. */
static void set_parts(struct hcl_sched *sched)
{
    struct hcl_sched_guest *guest = sched->guests;

    for (; guest; guest = guest->next_guest) {
        guest->part_q20 =
            ((uint64_t)guest->share.weight * sched->num_guests << 20) /
            sched->weights;
    }
}

void hcl_sched_init(struct hcl_sched *sched, const struct hcl_service *service)
{
    *sched = (struct hcl_sched){.service = *service,
                                .wake_ns = HCL_SCHED_NEVER,
                                .before_ns = HCL_SCHED_NEVER};
    assert(service->depth == 0 || service->units <= service->depth);
    if (sched->service.units == 0) {
        sched->service.units = 1;
    }
    if (service->measured && service->job_ns == 0) {
        sched->service.job_ns = FIRST_GUESS_NS;
    }
    link_init(&sched->rounds);
    link_init(&sched->express);
    link_init(&sched->held);
    link_init(&sched->behind);
    for (unsigned int i = 0; i < HCL_SCHED_SIZES; i++) {
        sched->mean_ns[i] =
            service_ns(&sched->service, i ? UINT64_C(32) << i : 0);
    }
}

void hcl_sched_add(struct hcl_sched *sched, struct hcl_sched_guest *guest,
                   const struct hcl_share *share)
{
    guest->share = *share;
    guest->capped = share->max_requests_per_s || share->max_kib_per_s;
    link_init(&guest->jobs);
    guest->next_guest = sched->guests;
    sched->guests = guest;
    sched->num_guests++;
    sched->num_capped += guest->capped;
    sched->weights += share->weight;
    set_parts(sched);
}

void hcl_sched_remove(struct hcl_sched *sched, struct hcl_sched_guest *guest)
{
    struct hcl_sched_guest **at = &sched->guests;

    assert(guest->num_inside == 0);
    while (guest->num_jobs > 0) {
        hcl_sched_drop(sched, job_of(guest->jobs.next));
    }
    leave(sched, guest);
    while (*at != guest) {
        at = &(*at)->next_guest;
    }
    *at = guest->next_guest;
    sched->num_guests--;
    sched->num_capped -= guest->capped;
    sched->weights -= guest->share.weight;
    set_parts(sched);
}
