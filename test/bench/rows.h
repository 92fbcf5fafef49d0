/* SPDX-License-Identifier: MIT */
/* rows.h: what is measured, and what came of it. */
#ifndef ROWS_H
#define ROWS_H

#include <stdio.h>

#include "bench.h"

enum bench_placement {
    BENCH_NEAR, /* a cache-line round trip below 80 ns */
    BENCH_MID,  /* 80 to 200 */
    BENCH_FAR,  /* above */
    BENCH_ANY,  /* the row does not depend on it, or the ends move */
    BENCH_NUM_PLACEMENTS,
};

enum bench_unit {
    BENCH_UNIT_NS,     /* of one */
    BENCH_UNIT_RATE,   /* millions a second */
    BENCH_UNIT_GBYTES, /* a second */
    BENCH_UNIT_COUNT,  /* for each message */
    BENCH_UNIT_SHARE,  /* of the time */
    BENCH_UNIT_BYTES,
    BENCH_UNIT_PERCENT,
    BENCH_UNIT_MS,
};

/* To be so much better than a peer. */
struct bench_ratio {
    enum bench_transport_id peer; /* BENCH_HCL: none */
    double factor;
};

#define BENCH_MOST_RATIOS 3

/* The strictest of these counts. */
struct bench_goal {
    double line, add; /* at most line * L + add, in ns */
    double fixed;     /* of the row's unit */
    struct bench_ratio ratio[BENCH_MOST_RATIOS]; /* of the peers' medians */
};

struct bench_row {
    const char *id;
    const char *title;
    enum bench_unit unit;
    struct bench_work work; /* HCL's; peers do the same */
    uint32_t num_variants;  /* of HCL, from work.variant on; 0: one */
    uint32_t peers;         /* 1 << enum bench_transport_id */
    uint32_t peer_variant;  /* the first of those of a peer that are tried */
    bool one_core;          /* client, server and workers */
    bool any;               /* no cache-line round trip around it */
    struct bench_goal goals[BENCH_NUM_PLACEMENTS];
};

struct bench_values {
    double *values;
    size_t count, room;
};

/* What was measured of a row: HCL is a transport of its own here. */
struct bench_found {
    struct bench_values of[BENCH_NUM_PLACEMENTS][BENCH_NUM_TRANSPORTS];
    struct bench_values line[BENCH_NUM_PLACEMENTS];
    uint32_t variant[BENCH_NUM_TRANSPORTS]; /* that served it best */
    bool chosen[BENCH_NUM_TRANSPORTS];      /* of several */
};

/* A row of the result. */
struct bench_result {
    const char *id;
    const char *title;
    enum bench_unit unit;
    enum bench_placement placement;
    double limit;
    double line; /* median, or 0 */
    struct bench_values *hcl;
    struct bench_values *peers;      /* by transport; NULL: none */
    const struct bench_found *found; /* NULL, or where both are from */
};

extern const struct bench_row bench_rows[];
extern const size_t bench_num_rows;

void bench_values_add(struct bench_values *values, double value);
void bench_values_clear(struct bench_values *values);

/* @share of them are below; sorts.  0 if there is none. */
double bench_values_at(struct bench_values *values, double share);

/* sample.c: measures a row for @seconds. */
void bench_measure(struct bench *bench, const struct bench_row *row,
                   double seconds, struct bench_found *ret_found);
void bench_found_clear(struct bench_found *found);

/* Samples that a placement needs to be a result. */
#define BENCH_LEAST_SAMPLES 9

/* What is to be measured, from the command line. */
struct bench_options {
    const char *rows; /* "A1,A2"; NULL: all */
    double seconds;   /* of a row */
};

/* options.c: reads what follows @first arguments.  False: usage. */
bool bench_options_read(struct bench_options *options, int argc, char **argv,
                        int first);
bool bench_options_want(const struct bench_options *options, const char *id);

/* rows_counted.c: rows that are not a table's: A6 and A7, B4. */
void bench_count_row(struct bench *bench, const char *id, double seconds);
extern const char *const bench_counted_ids[];
void bench_count_xen_row(struct bench *bench, double seconds);

/* A row without peers; clears @hcl. */
void bench_report_alone(const char *id, const char *title, enum bench_unit unit,
                        struct bench_values *hcl, double limit);

/* rows_fair.c: A8 */
void bench_fair_measure(struct bench *bench, double seconds);

/* report.c */
bool bench_lower_is_better(enum bench_unit unit);
/* With job_us: of what is added to that, or how much of the time it is. */
double bench_in_unit(enum bench_unit unit, double ns,
                     const struct bench_work *work);
/* @lines: of rows whose samples have a cache-line round trip beside. */
void bench_report_begin(bool lines);
void bench_report_row(const struct bench_row *row, struct bench_found *found);
void bench_report(struct bench_result *result);
void bench_report_end(const char *path);

#endif /* ROWS_H */
