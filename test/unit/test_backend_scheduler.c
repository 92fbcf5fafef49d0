/* SPDX-License-Identifier: MIT */
/*
 * scheduler.c, in virtual time: guests that keep so many jobs queued, and a
 * device that takes its time for each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "scheduler.h"

#define MAX_GUESTS 64
#define MAX_JOBS 64 /* of one guest */
#define SMALL 64
#define LARGE (1u << 20)

/* ---- Guests and a device ----------------------------------------------- */

struct job {
    struct hcl_sched_job turn; /* first, see take() */
    unsigned int guest;
    bool busy;
    uint64_t put_ns;
    uint64_t end_ns; /* in the device */
};

struct guest {
    struct hcl_sched_guest turns;
    struct job jobs[MAX_JOBS];
    uint32_t bytes;    /* of each job */
    unsigned int want; /* jobs at a time */
    unsigned int num_jobs;
    unsigned int done;
    uint64_t job_ns;   /* what it really takes */
    uint64_t think_ns; /* from a completion to the next job */
    uint64_t next_ns;  /* when it may put one again */
    uint64_t limit_ns;
    uint64_t late; /* jobs that took longer than limit_ns */
};

static struct hcl_sched sched;
static struct guest guests[MAX_GUESTS];
static unsigned int num_guests;
static uint64_t now;

/* The device: jobs in it, oldest first, each with the time when it ends. */
static struct job *inside[MAX_JOBS];
static unsigned int num_inside, max_inside;
static uint64_t units_free_ns[8];
static unsigned int num_done; /* of all guests */
static unsigned int order[4096];

static struct hcl_service service_of(uint32_t depth, uint32_t units,
                                     bool measured)
{
    struct hcl_service service = {.depth = depth,
                                  .units = units,
                                  .job_ns = 10000,
                                  .kib_ns = 1000,
                                  .measured = measured};

    return service;
}

static void start(struct hcl_service service)
{
    memset(guests, 0, sizeof(guests));
    memset(units_free_ns, 0, sizeof(units_free_ns));
    num_guests = num_inside = max_inside = num_done = 0;
    now = 1000000000;
    hcl_sched_init(&sched, &service);
}

static struct guest *add_share(struct hcl_share share, uint32_t bytes,
                               uint64_t job_ns, unsigned int want)
{
    struct guest *guest = &guests[num_guests++];

    hcl_sched_add(&sched, &guest->turns, &share);
    guest->bytes = bytes;
    guest->job_ns = job_ns;
    guest->want = want;
    guest->limit_ns = UINT64_MAX;
    return guest;
}

static struct guest *add(uint32_t weight, uint32_t bytes, uint64_t job_ns,
                         unsigned int want)
{
    return add_share((struct hcl_share){.weight = weight}, bytes, job_ns, want);
}

/* The first of the device's units that is free takes it, in order. */
static void device_take(struct job *job)
{
    uint64_t *unit = &units_free_ns[0];

    for (uint32_t i = 1; i < sched.service.units; i++) {
        unit = units_free_ns[i] < *unit ? &units_free_ns[i] : unit;
    }
    *unit = (*unit > now ? *unit : now) + guests[job->guest].job_ns;
    job->end_ns = *unit;
    inside[num_inside++] = job;
    max_inside = num_inside > max_inside ? num_inside : max_inside;
}

static struct job *put(struct guest *guest)
{
    struct job *job = guest->jobs;

    while (job->busy) {
        job++;
    }
    job->busy = true;
    job->guest = (unsigned int)(guest - guests);
    job->put_ns = now;
    guest->num_jobs++;
    if (hcl_sched_put(&sched, &guest->turns, &job->turn, guest->bytes, now)) {
        device_take(job);
    }
    return job;
}

static struct job *take(void)
{
    struct hcl_sched_job *turn = hcl_sched_take(&sched, now);

    return (struct job *)(void *)turn;
}

static void dispatch(void)
{
    struct job *job;

    while ((job = take())) {
        device_take(job);
    }
}

static void end_job(unsigned int index)
{
    struct job *job = inside[index];
    struct guest *guest = &guests[job->guest];
    uint64_t waited = now - job->put_ns;

    num_inside--;
    for (; index < num_inside; index++) {
        inside[index] = inside[index + 1];
    }
    hcl_sched_done(&sched, &job->turn, guest->bytes, now);
    job->busy = false;
    guest->num_jobs--;
    guest->done++;
    guest->next_ns = now + guest->think_ns;
    guest->late += waited > guest->limit_ns;
    order[num_done++ % 4096] = job->guest;
}

/* Every guest that may puts what it wants. */
static void fill(void)
{
    for (unsigned int i = 0; i < num_guests; i++) {
        while (guests[i].num_jobs < guests[i].want &&
               guests[i].next_ns <= now) {
            put(&guests[i]);
        }
    }
}

/* When something happens next: a job ends, a guest comes, a cap ends. */
static uint64_t next_event(unsigned int *ret_index)
{
    uint64_t next = hcl_sched_wake_ns(&sched);

    *ret_index = MAX_JOBS;
    for (unsigned int i = 0; i < num_guests; i++) {
        if (guests[i].num_jobs < guests[i].want && guests[i].next_ns < next) {
            next = guests[i].next_ns;
        }
    }
    for (unsigned int i = 0; i < num_inside; i++) {
        if (inside[i]->end_ns < next) {
            next = inside[i]->end_ns;
            *ret_index = i;
        }
    }
    return next;
}

static void step(void)
{
    unsigned int index;
    uint64_t next;

    fill();
    dispatch();
    next = next_event(&index);
    assert_int_not_equal(next, HCL_SCHED_NEVER);
    assert_true(next > now || index < MAX_JOBS);
    now = next > now ? next : now;
    if (index < MAX_JOBS) {
        end_job(index);
    }
}

static void run_jobs(unsigned int count)
{
    for (unsigned int end = num_done + count; num_done < end;) {
        step();
    }
}

static void run_time(uint64_t ns)
{
    for (uint64_t end = now + ns; now < end;) {
        step();
    }
}

/* All jobs end, and nothing is left. */
static void stop(void)
{
    for (unsigned int i = 0; i < num_guests; i++) {
        guests[i].want = 0;
    }
    for (;;) {
        unsigned int index;
        uint64_t next;

        dispatch();
        next = next_event(&index);
        if (next == HCL_SCHED_NEVER) {
            break;
        }
        now = next > now ? next : now;
        if (index < MAX_JOBS) {
            end_job(index);
        }
    }
    for (unsigned int i = 0; i < num_guests; i++) {
        assert_int_equal(guests[i].num_jobs, 0);
        hcl_sched_remove(&sched, &guests[i].turns);
    }
    assert_null(sched.guests);
    assert_int_equal(sched.weights, 0);
    assert_int_equal(sched.num_listed, 0);
    assert_int_equal(sched.num_ready, 0);
    assert_int_equal(sched.num_inside, 0);
    assert_int_equal(sched.inside_ns, 0);
    assert_false(hcl_sched_waiting(&sched));
}

/* Jain's index of what each guest got, times 1000: 1000 is all the same. */
static uint64_t jain(const uint64_t *got)
{
    double sum = 0, squares = 0;

    for (unsigned int i = 0; i < num_guests; i++) {
        sum += (double)got[i];
        squares += (double)got[i] * (double)got[i];
    }
    return (uint64_t)(1000 * sum * sum / (num_guests * squares));
}

/* ---- Fairness ----------------------------------------------------------- */

/* Over windows of 100 requests a guest. */
static void expect_fair_windows(void)
{
    uint64_t before[MAX_GUESTS] = {0}, got[MAX_GUESTS] = {0};

    for (int window = 0; window < 10; window++) {
        for (unsigned int i = 0; i < num_guests; i++) {
            before[i] = guests[i].done;
        }
        run_jobs(100 * num_guests);
        for (unsigned int i = 0; i < num_guests; i++) {
            got[i] = guests[i].done - before[i];
        }
        assert_in_range(jain(got), 990, 1000);
    }
}

static void guests_get_the_same(void **state)
{
    static const unsigned int counts[] = {2, 3, 7, 16, 64};
    static const struct {
        uint32_t depth, units;
    } devices[] = {{1, 1}, {2, 1}, {4, 4}};

    (void)state;
    for (unsigned int i = 0; i < 15; i++) {
        start(service_of(devices[i % 3].depth, devices[i % 3].units, true));
        for (unsigned int j = 0; j < counts[i / 3]; j++) {
            add(100, SMALL, 10000, 16);
        }
        expect_fair_windows();
        assert_int_equal(max_inside, devices[i % 3].depth);
        stop();
    }
}

/* Of guests that have no more than one job at a time, too. */
static void guests_that_wait_for_each_answer_get_the_same(void **state)
{
    (void)state;
    start(service_of(1, 1, true));
    for (unsigned int i = 0; i < 8; i++) {
        add(100, SMALL, 10000, i < 4 ? 16 : 1);
    }
    expect_fair_windows();
    stop();
}

/* Time counts, not jobs: half of the guests have jobs of 1 MB. */
static void large_jobs_count_for_what_they_take(void **state)
{
    static const unsigned int counts[] = {2, 8, 64};
    uint64_t used[MAX_GUESTS] = {0};

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        start(service_of(2, 1, true));
        for (unsigned int j = 0; j < counts[i]; j++) {
            add(100, j % 2 ? LARGE : SMALL, j % 2 ? 1000000 : 10000, 16);
        }
        run_time(UINT64_C(100000000) * counts[i]);
        for (unsigned int j = 0; j < counts[i]; j++) {
            used[j] = guests[j].turns.used_ns;
        }
        assert_in_range(jain(used), 999, 1000);
        stop();
    }
}

static void weights_are_met_within_2_percent(void **state)
{
    static const uint32_t weights[] = {300, 100, 1, 50, 1000, 7};
    uint64_t all = 0, sum = 0;

    (void)state;
    start(service_of(2, 1, true));
    for (unsigned int i = 0; i < 6; i++) {
        add(weights[i], i % 2 ? SMALL : LARGE / 4, 10000 + 50000 * (i % 2), 16);
        sum += weights[i];
    }
    run_time(UINT64_C(200000000000));
    for (unsigned int i = 0; i < 6; i++) {
        all += guests[i].turns.used_ns;
    }
    for (unsigned int i = 0; i < 6; i++) {
        uint64_t due = all * weights[i] / sum;

        assert_in_range(guests[i].turns.used_ns, due * 98 / 100,
                        due * 102 / 100);
    }
    stop();
}

/* The device's time is accounted for, all of it, once. */
static void used_time_adds_up_to_the_devices(void **state)
{
    static const uint32_t units[] = {1, 4};

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        uint64_t began, used = 0;

        start(service_of(units[i] + 1, units[i], true));
        for (unsigned int j = 0; j < 5; j++) {
            add(100, SMALL, 3000 + j * 9000, 16);
        }
        began = now;
        run_time(1000000000);
        for (unsigned int j = 0; j < 5; j++) {
            used += guests[j].turns.used_ns;
        }
        assert_in_range(used, (now - began) * 99 / 100,
                        (now - began) * 101 / 100);
        stop();
    }
}

/* ---- Estimates ---------------------------------------------------------- */

/* What the class thinks of this guest's jobs is a hundredth of the truth. */
static void a_wrong_estimate_gains_nothing(void **state)
{
    (void)state;
    start(service_of(2, 1, true));
    add(100, SMALL, 10000, 16);
    add(100, SMALL, 1000000, 16);
    run_time(UINT64_C(1000000000));
    assert_in_range(guests[0].turns.used_ns, 480000000, 520000000);
    stop();
}

static void estimates_follow_what_jobs_take(void **state)
{
    struct guest *guest;

    (void)state;
    start(service_of(1, 1, true));
    guest = add(100, 4096, 77000, 2);
    run_jobs(100);
    assert_in_range(guest->jobs[0].turn.cost_ns, 76000, 78000);
    /* Those of another size are as before. */
    guest->bytes = LARGE;
    guest->want = 3;
    fill();
    assert_int_equal(guest->jobs[2].turn.cost_ns, 10000 + 1000 * 1024);
    stop();
}

/* Without measuring, by the bytes that were moved, not by the room for them. */
static void unmeasured_jobs_cost_what_they_moved(void **state)
{
    struct guest *guest;
    struct job *job;

    (void)state;
    start(service_of(1, 1, false));
    guest = add(100, LARGE, 1, 0);
    job = put(guest);
    assert_int_equal(job->turn.cost_ns, 10000 + 1024 * 1000);
    num_inside = 0;
    hcl_sched_done(&sched, &job->turn, 2048, 0);
    assert_int_equal(guest->turns.used_ns, 10000 + 2 * 1000);
    job->busy = false;
    guest->num_jobs = 0;
    stop();
}

/* Two jobs that the device has had for long when somebody looks. */
static void find_late(uint64_t not_before_ns)
{
    start(service_of(2, 1, true));
    put(add(100, 64, 1, 0));
    put(add(100, 64, 1, 0));
    hcl_sched_not_before(&sched, now + not_before_ns);
    now += 5000000;
    end_job(0);
    end_job(0);
}

/* Who is the device's when the worker does not run pays only for the job. */
static void nobody_pays_for_a_late_look(void **state)
{
    const uint64_t estimate_ns = 10000 + 64 * 1000 / 1024;

    (void)state;
    find_late(5000);
    assert_int_equal(guests[0].turns.used_ns, estimate_ns);
    assert_int_equal(guests[1].turns.used_ns, estimate_ns);
    stop();
    /* The first took longer than that, which the class did see. */
    find_late(700000);
    assert_int_equal(guests[0].turns.used_ns, 700000);
    assert_in_range(guests[1].turns.used_ns, estimate_ns, 100000);
    stop();
    /* No look at all: the class is told. */
    find_late(HCL_SCHED_NEVER - now);
    assert_int_equal(guests[0].turns.used_ns, 5000000);
    stop();
}

/* ---- A flood ------------------------------------------------------------ */

/* The victim has one small job at a time, then thinks. */
static void a_flood_holds_nobody_up(void **state)
{
    static const unsigned int floods[] = {1, 7, 63};

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        struct guest *victim;

        start(service_of(2, 1, true));
        victim = add(100, SMALL, 10000, 1);
        victim->think_ns = 3333333;
        for (unsigned int j = 0; j < floods[i]; j++) {
            add(100, LARGE, 1000000, 64);
        }
        run_time(10000000); /* the estimates are learned */
        victim->limit_ns = 2 * (sched.quantum_ns + 1000000);
        victim->done = 0;
        run_time(UINT64_C(10000000000));
        assert_in_range(victim->late, 0, victim->done / 100);
        assert_true(victim->done > 1000);
        stop();
    }
}

/* It gets nearly all that is its due, however large the others' jobs are. */
static void a_flood_takes_nothing_from_anybodys_share(void **state)
{
    static const unsigned int floods[] = {1, 3};

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct guest *victim;
        uint64_t began;

        start(service_of(2, 1, true));
        victim = add(100, SMALL, 10000, 16);
        for (unsigned int j = 0; j < floods[i]; j++) {
            add(100, LARGE, 1000000, 64);
        }
        began = now;
        run_time(UINT64_C(2000000000));
        assert_true(victim->turns.used_ns * (floods[i] + 1) >=
                    (now - began) * 95 / 100);
        stop();
    }
}

static void the_lightest_guest_does_not_starve(void **state)
{
    struct guest *light;

    (void)state;
    start(service_of(1, 1, true));
    light = add(1, SMALL, 10000, 16);
    for (unsigned int i = 0; i < 10; i++) {
        add(HCL_WEIGHT_MAX, LARGE, 1000000, 16);
    }
    run_time(UINT64_C(100000000000));
    assert_in_range(light->done, 900, 1100);
    stop();
}

/* ---- Coming and going --------------------------------------------------- */

static void who_was_away_gets_its_turn_at_once(void **state)
{
    struct guest *late;

    (void)state;
    start(service_of(1, 1, true));
    for (unsigned int i = 0; i < 20; i++) {
        add(100, SMALL, 10000, 16);
    }
    late = add(100, SMALL, 10000, 0);
    run_jobs(1000);
    put(late);
    run_jobs(2); /* the device's, then its own */
    assert_int_equal(late->done, 1);
    stop();
}

/* Ten seconds of peace are no claim. */
static void an_idle_guest_keeps_no_credit(void **state)
{
    struct guest *idler;
    unsigned int others;

    (void)state;
    start(service_of(1, 1, true));
    idler = add(100, SMALL, 10000, 16);
    add(100, SMALL, 10000, 16);
    run_jobs(100);
    idler->want = 0;
    run_time(UINT64_C(10000000000));
    idler->want = 16;
    idler->done = 0;
    others = guests[1].done;
    run_jobs(200);
    assert_in_range(idler->done, 98, 102);
    assert_in_range(guests[1].done - others, 98, 102);
    stop();
}

/* To come and go is no way to be served first. */
static void coming_and_going_gains_nothing(void **state)
{
    struct guest *hopper;

    (void)state;
    start(service_of(1, 1, true));
    hopper = add(100, SMALL, 10000, 1);
    hopper->think_ns = 1;
    for (unsigned int i = 0; i < 4; i++) {
        add(100, SMALL, 10000, 16);
    }
    run_jobs(5000);
    assert_in_range(hopper->done, 900, 1050);
    stop();
}

/* What it had alone is no debt once another one comes. */
static void time_that_nobody_wanted_is_free(void **state)
{
    unsigned int before;

    (void)state;
    start(service_of(2, 1, true));
    add(100, SMALL, 10000, 2); /* never queued: always directly */
    run_time(UINT64_C(10000000000));
    assert_int_equal(guests[0].turns.queued, 0);
    add(100, SMALL, 10000, 16);
    guests[0].want = 16;
    before = guests[0].done;
    run_jobs(200);
    assert_in_range(guests[0].done - before, 97, 103);
    stop();
}

/* But what the device still has of it counts. */
static void a_job_in_the_device_is_paid_by_its_guest(void **state)
{
    static const unsigned int want[] = {0, 1, 1, 1, 0, 0};

    (void)state;
    start(service_of(1, 1, true));
    add(100, LARGE, 1000000, 0);
    add(100, SMALL, 10000, 0);
    sched.quantum_ns = 10000; /* small jobs are what is usual */
    put(&guests[0]);          /* directly */
    guests[0].bytes = SMALL;
    put(&guests[0]);
    put(&guests[0]);
    for (int i = 0; i < 3; i++) {
        put(&guests[1]);
    }
    guests[0].job_ns = 10000;
    stop();
    for (int i = 0; i < 6; i++) {
        assert_int_equal(order[i], want[i]);
    }
}

static void jobs_of_one_guest_keep_their_order(void **state)
{
    struct job *jobs[5];

    (void)state;
    start(service_of(1, 1, true));
    add(100, SMALL, 10000, 0);
    for (int i = 0; i < 5; i++) {
        jobs[i] = put(&guests[0]);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(num_inside, 1);
        assert_ptr_equal(inside[0], jobs[i]);
        now += 10000;
        end_job(0);
        dispatch();
    }
    stop();
}

static void drop(struct job *job)
{
    hcl_sched_drop(&sched, &job->turn);
    assert_int_equal(job->turn.state, HCL_SCHED_NONE);
    job->busy = false;
    guests[job->guest].num_jobs--;
}

static void a_queued_job_can_be_dropped(void **state)
{
    struct job *jobs[5];

    (void)state;
    start(service_of(1, 1, true));
    add(100, SMALL, 10000, 0);
    add(100, SMALL, 10000, 0);
    for (int i = 0; i < 5; i++) {
        jobs[i] = put(&guests[i % 2]);
    }
    drop(jobs[2]); /* the first, the last and the only one of a queue */
    drop(jobs[3]);
    drop(jobs[1]);
    now += 10000;
    end_job(0);
    assert_ptr_equal(take(), jobs[4]);
    device_take(jobs[4]);
    assert_null(take());
    assert_false(hcl_sched_waiting(&sched));
    stop();
}

static void a_guest_can_go_with_jobs_queued(void **state)
{
    (void)state;
    start(service_of(1, 1, true));
    add(100, SMALL, 10000, 1);
    add_share((struct hcl_share){.weight = 100, .max_requests_per_s = 1}, SMALL,
              10000, 16);
    add(700, SMALL, 10000, 16);
    run_jobs(100);
    for (unsigned int i = 1; i < 3; i++) {
        guests[i].want = 0;
        for (unsigned int j = 0; j < num_inside; j++) {
            if (inside[j]->guest == i) {
                now = inside[j]->end_ns;
                end_job(j);
            }
        }
        hcl_sched_remove(&sched, &guests[i].turns);
    }
    num_guests = 1;
    run_jobs(100);
    assert_int_equal(sched.weights, 100);
    stop();
}

/* ---- Room --------------------------------------------------------------- */

static void the_class_has_no_more_than_its_depth(void **state)
{
    (void)state;
    start(service_of(3, 1, true));
    for (unsigned int i = 0; i < 4; i++) {
        add(100, SMALL, 10000, 16);
    }
    run_jobs(1000);
    assert_int_equal(max_inside, 3);
    stop();
}

/* Nobody shall wait for one long job after another in the device's queue. */
static void long_jobs_do_not_queue_in_the_device(void **state)
{
    (void)state;
    start(service_of(3, 1, true));
    add(100, LARGE, 50000000, 16);
    run_jobs(20); /* it is learned how long they are */
    max_inside = 0;
    run_jobs(50);
    assert_int_equal(max_inside, 1);
    stop();
    start(service_of(5, 4, true));
    add(100, LARGE, 50000000, 16);
    run_jobs(50);
    assert_int_equal(num_inside + 1, 4); /* but every unit has one */
    stop();
}

static void without_a_depth_there_is_no_limit(void **state)
{
    (void)state;
    start(service_of(0, 1, false));
    add(100, SMALL, 1000, 0);
    assert_false(hcl_sched_covers(&sched, &guests[0].turns));
    assert_false(hcl_sched_timed(&sched));
    for (int i = 0; i < 20; i++) {
        put(&guests[0]);
    }
    assert_int_equal(num_inside, 20);
    stop();
}

/* ---- Caps --------------------------------------------------------------- */

/* Over a second the burst of a tenth comes on top. */
static void requests_are_capped(void **state)
{
    static const uint32_t depths[] = {0, 2};

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        start(service_of(depths[i], 1, depths[i] > 0));
        add_share((struct hcl_share){.weight = 100, .max_requests_per_s = 500},
                  SMALL, 10000, 16);
        assert_true(hcl_sched_covers(&sched, &guests[0].turns));
        assert_true(hcl_sched_timed(&sched));
        run_time(UINT64_C(10000000000));
        assert_in_range(guests[0].done, 5000, 5052);
        assert_true(guests[0].turns.held > 0);
        stop();
    }
}

static void bytes_are_capped(void **state)
{
    (void)state;
    start(service_of(2, 1, true));
    add_share((struct hcl_share){.weight = 100, .max_kib_per_s = 1024}, 65536,
              10000, 16);
    run_time(UINT64_C(10000000000));
    assert_in_range(guests[0].done, 160, 163);
    stop();
}

/* Jobs larger than what comes in a second go, too, and are paid afterwards. */
static void a_job_larger_than_the_cap_goes_through(void **state)
{
    (void)state;
    start(service_of(2, 1, true));
    add_share((struct hcl_share){.weight = 100, .max_kib_per_s = 64}, LARGE,
              10000, 16);
    run_time(UINT64_C(160000000000));
    assert_in_range(guests[0].done, 10, 12);
    stop();
}

/* Room for an answer that was short. */
static void bytes_that_were_not_moved_do_not_count(void **state)
{
    struct guest *guest;

    (void)state;
    start(service_of(1, 1, true));
    guest = add_share((struct hcl_share){.weight = 100, .max_kib_per_s = 64},
                      LARGE, 10000, 0);
    for (int i = 0; i < 50; i++) {
        struct job *job = put(guest);

        assert_int_equal(num_inside, 1);
        num_inside = 0;
        hcl_sched_done(&sched, &job->turn, 10, now);
        job->busy = false;
        guest->num_jobs = 0;
    }
    assert_int_equal(guest->turns.held, 0);
    stop();
}

/* Others go on, and get what it cannot use. */
static void a_capped_guest_is_in_nobodys_way(void **state)
{
    (void)state;
    start(service_of(1, 1, true));
    add_share((struct hcl_share){.weight = 1000, .max_requests_per_s = 100},
              SMALL, 10000, 16);
    add(1, SMALL, 10000, 16);
    run_time(UINT64_C(10000000000));
    assert_in_range(guests[0].done, 1000, 1012);
    assert_in_range(guests[1].done, 998900, 999100);
    stop();
}

/* Nobody is left who could go on: not even a look at the clock is due. */
static void a_held_guest_that_leaves_wakes_nobody(void **state)
{
    (void)state;
    start(service_of(0, 1, false));
    add_share((struct hcl_share){.weight = 100, .max_requests_per_s = 10},
              SMALL, 10000, 16);
    run_time(UINT64_C(50000000));
    assert_true(guests[0].turns.held > 0);
    assert_true(hcl_sched_wake_ns(&sched) != HCL_SCHED_NEVER);
    hcl_sched_remove(&sched, &guests[0].turns);
    num_guests = 0;
    assert_false(hcl_sched_waiting(&sched));
    assert_true(hcl_sched_wake_ns(&sched) == HCL_SCHED_NEVER);
}

/* A held guest is let go a few times in a second, not for each request. */
static void caps_wake_nobody_up_too_often(void **state)
{
    (void)state;
    start(service_of(0, 1, false));
    add_share((struct hcl_share){.weight = 100, .max_requests_per_s = 100000},
              SMALL, 1, 64);
    run_time(UINT64_C(1000000000));
    assert_in_range(guests[0].done, 64000, 110000);
    assert_in_range(guests[0].turns.held, 1, 2000);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_get_the_same),
        cmocka_unit_test(guests_that_wait_for_each_answer_get_the_same),
        cmocka_unit_test(large_jobs_count_for_what_they_take),
        cmocka_unit_test(weights_are_met_within_2_percent),
        cmocka_unit_test(used_time_adds_up_to_the_devices),
        cmocka_unit_test(a_wrong_estimate_gains_nothing),
        cmocka_unit_test(estimates_follow_what_jobs_take),
        cmocka_unit_test(unmeasured_jobs_cost_what_they_moved),
        cmocka_unit_test(nobody_pays_for_a_late_look),
        cmocka_unit_test(a_flood_holds_nobody_up),
        cmocka_unit_test(a_flood_takes_nothing_from_anybodys_share),
        cmocka_unit_test(the_lightest_guest_does_not_starve),
        cmocka_unit_test(who_was_away_gets_its_turn_at_once),
        cmocka_unit_test(an_idle_guest_keeps_no_credit),
        cmocka_unit_test(coming_and_going_gains_nothing),
        cmocka_unit_test(time_that_nobody_wanted_is_free),
        cmocka_unit_test(a_job_in_the_device_is_paid_by_its_guest),
        cmocka_unit_test(jobs_of_one_guest_keep_their_order),
        cmocka_unit_test(a_queued_job_can_be_dropped),
        cmocka_unit_test(a_guest_can_go_with_jobs_queued),
        cmocka_unit_test(the_class_has_no_more_than_its_depth),
        cmocka_unit_test(long_jobs_do_not_queue_in_the_device),
        cmocka_unit_test(without_a_depth_there_is_no_limit),
        cmocka_unit_test(requests_are_capped),
        cmocka_unit_test(bytes_are_capped),
        cmocka_unit_test(a_job_larger_than_the_cap_goes_through),
        cmocka_unit_test(bytes_that_were_not_moved_do_not_count),
        cmocka_unit_test(a_capped_guest_is_in_nobodys_way),
        cmocka_unit_test(a_held_guest_that_leaves_wakes_nobody),
        cmocka_unit_test(caps_wake_nobody_up_too_often),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
