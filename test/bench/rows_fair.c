/* SPDX-License-Identifier: MIT */
/*
 * A8: guests that all want one device at the same time.  What is shared is the
 * device's time, so that is what is counted: requests times what one takes.
 *
 * Time is cut into slices; a slice is a sample if the device was busy nearly
 * all the time, as without that nobody has to share.
 */
#include <string.h>

#include "guests.h"
#include "histogram.h"
#include "loop.h"
#include "rows.h"

#define JOB_US 10
#define SMALL 64
#define LARGE (1u << 20)
#define QUEUED 16
#define FLOOD GUESTS_MOST_QUEUED

/* Requests of each guest (with the largest jobs) in a window. */
#define WINDOW 100

#define SLICES 12
#define LEAST_BUSY 0.9
#define WARM_UP_NS 20000000

struct group {
    uint32_t count, weight, queued, bytes;
};

enum measure {
    JAIN,      /* the index, in the worst window of a slice */
    DEVIATION, /* from the weights, of the guest that is farthest off */
    VICTIM,    /* p99 of the first guest, and its part of what is its share */
    CALLER,    /* p99 of it alone: it does not want all of its share */
};

struct fair_case {
    const char *title;
    enum measure measure;
    uint32_t kib_ns;
    struct group groups[3];
};

static const struct fair_case cases[] = {
    {"Jain index, worst window of 100 requests each, 2 guests, 64 B",
     JAIN,
     0,
     {{2, 100, QUEUED, SMALL}}},
    {"Jain index, worst window of 100 requests each, 8 guests, 64 B",
     JAIN,
     0,
     {{8, 100, QUEUED, SMALL}}},
    {"Jain index, worst window of 100 requests each, 64 guests, 64 B",
     JAIN,
     0,
     {{64, 100, QUEUED, SMALL}}},
    {"Jain index of time, 4 guests with 64 B against 4 with 1 MB",
     JAIN,
     100,
     {{4, 100, QUEUED, SMALL}, {4, 100, QUEUED, LARGE}}},
    {"largest deviation from weights 1:2:4, 64 B",
     DEVIATION,
     0,
     {{1, 50, QUEUED, SMALL},
      {1, 100, QUEUED, SMALL},
      {1, 200, QUEUED, SMALL}}},
    {"largest deviation from weights 1:2:4, 1 MB, 64 B, 64 B",
     DEVIATION,
     100,
     {{1, 50, QUEUED, LARGE},
      {1, 100, QUEUED, SMALL},
      {1, 200, QUEUED, SMALL}}},
    {"16 queued of 64 B, another guest floods with 1 MB",
     VICTIM,
     1000,
     {{1, 100, QUEUED, SMALL}, {1, 100, FLOOD, LARGE}}},
    {"one at a time of 64 B, another guest floods with 1 MB",
     CALLER,
     1000,
     {{1, 100, 1, SMALL}, {1, 100, FLOOD, LARGE}}},
};

#define NUM_CASES (sizeof(cases) / sizeof(cases[0]))

/* A case under way. */
struct fair {
    const struct fair_case *plan;
    struct guests guests;
    uint64_t largest_ns;          /* job */
    uint32_t weights;             /* their sum */
    uint64_t slice[GUESTS_MOST];  /* done when the slice began */
    uint64_t window[GUESTS_MOST]; /* the window */
    double worst;                 /* window of the slice; 0: none yet */
    struct hcl_histogram latency;
    struct bench_values figures, shares, limits;
};

/* ---- Figures ----------------------------------------------------------- */

/* Device time that a guest has had since it had done @before. */
static double time_since(const struct guest *guest, uint64_t before)
{
    return (double)(guest->done - before) * (double)guest->job_ns;
}

static double all_since(const struct fair *fair, const uint64_t *before)
{
    double sum = 0;

    for (uint32_t i = 0; i < fair->guests.count; i++) {
        sum += time_since(&fair->guests.of[i], before[i]);
    }
    return sum;
}

/* 1: all have got the same for their weight; 1/n: one has got all. */
static double jain(const struct fair *fair, const uint64_t *before)
{
    double sum = 0, squares = 0;

    for (uint32_t i = 0; i < fair->guests.count; i++) {
        const struct guest *guest = &fair->guests.of[i];
        double x = time_since(guest, before[i]) / guest->weight;

        sum += x;
        squares += x * x;
    }
    return sum * sum / (fair->guests.count * squares);
}

/* What a guest got over what it should have got. */
static double part(const struct fair *fair, uint32_t index,
                   const uint64_t *before)
{
    const struct guest *guest = &fair->guests.of[index];
    double share = (double)guest->weight / fair->weights;

    return time_since(guest, before[index]) / (share * all_since(fair, before));
}

static double deviation(const struct fair *fair, const uint64_t *before)
{
    double most = 0;

    for (uint32_t i = 0; i < fair->guests.count; i++) {
        double off = part(fair, i, before) - 1;

        off = off < 0 ? -off : off;
        most = off > most ? off : most;
    }
    return 100 * most;
}

/* The scheduler's quantum is what a job takes on average. */
static double latency_limit(const struct fair *fair, const uint64_t *before)
{
    double jobs = 0;

    for (uint32_t i = 0; i < fair->guests.count; i++) {
        jobs += (double)(fair->guests.of[i].done - before[i]);
    }
    return 2 * (all_since(fair, before) / jobs + (double)fair->largest_ns);
}

/* ---- Slices ------------------------------------------------------------ */

static void took(void *arg, uint64_t ns)
{
    struct fair *fair = arg;

    hcl_histogram_add(&fair->latency, ns);
}

static void mark(const struct fair *fair, uint64_t *done)
{
    for (uint32_t i = 0; i < fair->guests.count; i++) {
        done[i] = fair->guests.of[i].done;
    }
}

/* Whole requests have to be enough for the figures to mean something. */
static bool is_window(const struct fair *fair)
{
    return all_since(fair, fair->window) >=
           (double)WINDOW * fair->guests.count * (double)fair->largest_ns;
}

static void end_window(struct fair *fair)
{
    double index = jain(fair, fair->window);

    if (fair->worst == 0 || index < fair->worst) {
        fair->worst = index;
    }
    mark(fair, fair->window);
}

static void take_sample(struct fair *fair)
{
    switch (fair->plan->measure) {
    case JAIN:
        bench_values_add(&fair->figures, fair->worst);
        break;
    case DEVIATION:
        bench_values_add(&fair->figures, deviation(fair, fair->slice));
        break;
    case VICTIM:
        bench_values_add(&fair->shares, part(fair, 0, fair->slice));
        /* fallthrough */
    case CALLER:
        bench_values_add(&fair->figures, (double)hcl_histogram_percentile(
                                             &fair->latency, 990000));
        bench_values_add(&fair->limits, latency_limit(fair, fair->slice));
        break;
    }
}

static void measure_slice(struct fair *fair, uint64_t ns)
{
    bool windows = fair->plan->measure == JAIN;
    uint64_t begin = hcl_now_ns(), now;

    fair->worst = 0;
    hcl_histogram_clear(&fair->latency);
    mark(fair, fair->slice);
    mark(fair, fair->window);
    do {
        guests_turn(&fair->guests);
        if (windows && is_window(fair)) {
            end_window(fair);
        }
        now = hcl_now_ns();
    } while (now - begin < ns || (windows && fair->worst == 0));
    if (all_since(fair, fair->slice) >= LEAST_BUSY * (double)(now - begin)) {
        take_sample(fair);
    }
}

/* ---- Cases ------------------------------------------------------------- */

static void start(struct fair *fair)
{
    struct guests *guests = &fair->guests;

    for (size_t i = 0; i < 3; i++) {
        const struct group *group = &fair->plan->groups[i];

        for (uint32_t j = 0; j < group->count; j++) {
            struct guest *guest = &guests->of[guests->count++];

            guest->weight = group->weight;
            guest->queued = group->queued;
            guest->bytes = group->bytes;
            fair->weights += group->weight;
        }
    }
    guests->took = took;
    guests->arg = fair;
    guests_start(guests, JOB_US, fair->plan->kib_ns);
    for (uint32_t i = 0; i < guests->count; i++) {
        uint64_t ns = guests->of[i].job_ns;

        fair->largest_ns = ns > fair->largest_ns ? ns : fair->largest_ns;
    }
}

static void show(const char *title, enum bench_unit unit,
                 struct bench_values *values, double limit)
{
    struct bench_result result = {.id = "A8",
                                  .title = title,
                                  .unit = unit,
                                  .placement = BENCH_ANY,
                                  .limit = limit,
                                  .hcl = values};

    bench_report(&result);
    bench_values_clear(values);
}

static void report(struct fair *fair)
{
    const char *title = fair->plan->title;
    char text[128];

    if (fair->figures.count < BENCH_LEAST_SAMPLES) {
        printf("A8   %s: no row, the device was kept busy in %zu of %d "
               "slices\n",
               title, fair->figures.count, SLICES);
    }
    switch (fair->plan->measure) {
    case JAIN:
        show(title, BENCH_UNIT_SHARE, &fair->figures, 0.99);
        break;
    case DEVIATION:
        show(title, BENCH_UNIT_PERCENT, &fair->figures, 2);
        break;
    case VICTIM:
        snprintf(text, sizeof(text), "throughput over share, %s", title);
        show(text, BENCH_UNIT_SHARE, &fair->shares, 0.95);
        /* fallthrough */
    case CALLER:
        snprintf(text, sizeof(text), "p99, %s", title);
        show(text, BENCH_UNIT_NS, &fair->figures,
             bench_values_at(&fair->limits, 0.5));
        bench_values_clear(&fair->limits);
        break;
    }
}

void bench_fair_measure(struct bench *bench, double seconds)
{
    const size_t slices = NUM_CASES * SLICES;
    const uint64_t slice_ns = (uint64_t)(seconds * 1e9 / (double)slices);
    static struct fair fair;

    bench_quieten(bench);
    for (size_t i = 0; i < NUM_CASES; i++) {
        memset(&fair, 0, sizeof(fair));
        fair.plan = &cases[i];
        start(&fair);
        for (uint64_t end = hcl_now_ns() + WARM_UP_NS; hcl_now_ns() < end;) {
            guests_turn(&fair.guests);
        }
        for (int slice = 0; slice < SLICES; slice++) {
            measure_slice(&fair, slice_ns);
        }
        guests_stop(&fair.guests);
        report(&fair);
    }
}
