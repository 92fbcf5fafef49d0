/* SPDX-License-Identifier: MIT */
/*
 * Samples.  The cache-line round trip L jumps within milliseconds where virtual
 * cores move, so a sample is short: L, HCL, a peer, L.  It counts if both L
 * agree.  Which of HCL and the peer comes first changes each time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "rows.h"

#define SAMPLE_MOST_NS 20000000
#define AGREE 0.2 /* of the smaller one */

#define NEAR_BELOW_NS 80
#define FAR_ABOVE_NS 200

#define LEAST_COUNT 4
#define MOST_COUNT 2000000

/* Rounds over all variants before the best is taken. */
#define VARIANT_ROUNDS 7
#define MOST_VARIANTS 16

/* One side of a comparison. */
struct party {
    struct bench_work work;
    double ns; /* last found, for the length of the next one */
    uint32_t first_variant, num_variants;
};

/* ---- Values ------------------------------------------------------------ */

void bench_values_add(struct bench_values *values, double value)
{
    size_t room = values->room ? 2 * values->room : 64;

    if (values->count == values->room) {
        values->values = realloc(values->values, room * sizeof(double));
        if (!values->values) {
            bench_die("no memory");
        }
        values->room = room;
    }
    values->values[values->count++] = value;
}

void bench_values_clear(struct bench_values *values)
{
    free(values->values);
    memset(values, 0, sizeof(*values));
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_values_at(struct bench_values *values, double share)
{
    if (!values->count) {
        return 0;
    }
    qsort(values->values, values->count, sizeof(double), compare);
    return values->values[(size_t)(share * (double)(values->count - 1) + 0.5)];
}

void bench_found_clear(struct bench_found *found)
{
    for (int at = 0; at < BENCH_NUM_PLACEMENTS; at++) {
        for (int i = 0; i < BENCH_NUM_TRANSPORTS; i++) {
            bench_values_clear(&found->of[at][i]);
        }
        bench_values_clear(&found->line[at]);
    }
}

/* ---- One run ----------------------------------------------------------- */

static double run(struct bench *bench, struct party *party)
{
    double each = party->ns + party->work.idle_us * 1000.0;
    double part_ns = (double)bench->part_ns;
    double count = part_ns / each;

    if (count < LEAST_COUNT) {
        /* Slept in between: one at a time is enough. */
        count = party->work.idle_us * 1000.0 > part_ns ? 1 : LEAST_COUNT;
    }
    party->work.count = (uint64_t)(count < MOST_COUNT ? count : MOST_COUNT);
    party->ns = bench_do(bench, &party->work);
    return party->ns;
}

/* Takes the variant that serves this party best; they may be far apart. */
static void choose(struct bench *bench, struct party *party)
{
    struct bench_values values[MOST_VARIANTS] = {0};
    double ns[MOST_VARIANTS] = {0}, best = INFINITY, median;
    uint32_t chosen = 0,
             count = party->num_variants > 1 ? party->num_variants : 1;

    for (int round = 0; round <= (count > 1 ? VARIANT_ROUNDS : 0); round++) {
        for (uint32_t i = 0; i < count; i++) {
            party->work.variant = party->first_variant + i;
            party->ns = round == 0 ? bench->guess_ns : ns[i];
            ns[i] = run(bench, party);
            if (round > 0) { /* the first one had but a guess */
                bench_values_add(&values[i], ns[i]);
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        median = count > 1 ? bench_values_at(&values[i], 0.5) : ns[i];
        if (median < best) {
            best = median;
            chosen = i;
        }
        bench_values_clear(&values[i]);
    }
    party->work.variant = party->first_variant + chosen;
    party->ns = best;
}

static void set_up(struct bench *bench, struct party *party,
                   const struct bench_row *row, uint32_t transport,
                   struct bench_found *found)
{
    bool own = transport == row->work.transport;
    const struct bench_transport *peer = bench_transports[transport];

    party->work = row->work;
    if (own) {
        party->first_variant = row->work.variant;
        party->num_variants = row->num_variants;
    } else {
        party->work.transport = transport;
        party->first_variant =
            row->peer_variant < peer->variants ? row->peer_variant : 0;
        party->num_variants = row->work.op == BENCH_STREAM
                                  ? peer->variants - party->first_variant
                                  : 1;
    }
    choose(bench, party);
    found->variant[own ? BENCH_HCL : transport] = party->work.variant;
    found->chosen[own ? BENCH_HCL : transport] = party->num_variants > 1;
}

/* ---- Samples ----------------------------------------------------------- */

static enum bench_placement place(double line)
{
    return line < NEAR_BELOW_NS   ? BENCH_NEAR
           : line <= FAR_ABOVE_NS ? BENCH_MID
                                  : BENCH_FAR;
}

/* @peer may be NULL. */
static void sample(struct bench *bench, const struct bench_row *row,
                   struct party *hcl, struct party *peer, bool peer_first,
                   struct bench_found *found)
{
    enum bench_placement at = BENCH_ANY;
    uint64_t begin = hcl_now_ns();
    double line = 0, again, hcl_ns, peer_ns = 0;

    if (!row->any) {
        line = bench_measure_line(bench);
    }
    if (peer && peer_first) {
        peer_ns = run(bench, peer);
    }
    hcl_ns = run(bench, hcl);
    if (peer && !peer_first) {
        peer_ns = run(bench, peer);
    }
    if (!row->any) {
        again = bench_measure_line(bench);
        if (fabs(line - again) > AGREE * fmin(line, again) ||
            hcl_now_ns() - begin > SAMPLE_MOST_NS) {
            return;
        }
        line = (line + again) / 2;
        at = place(line);
        bench_values_add(&found->line[at], line);
    }
    bench_values_add(&found->of[at][BENCH_HCL],
                     bench_in_unit(row->unit, hcl_ns, &hcl->work));
    if (peer) {
        bench_values_add(&found->of[at][peer->work.transport],
                         bench_in_unit(row->unit, peer_ns, &peer->work));
    }
}

void bench_measure(struct bench *bench, const struct bench_row *row,
                   double seconds, struct bench_found *ret_found)
{
    struct party hcl, peers[BENCH_NUM_TRANSPORTS];
    int num_peers = 0, turn = 0;
    uint64_t end;

    bench->page->one_core = row->one_core;
    bench_pin(0, row->one_core ? BENCH_SERVER_CORE : BENCH_CLIENT_CORE);
    set_up(bench, &hcl, row, row->work.transport, ret_found);
    for (uint32_t i = 0; i < BENCH_NUM_TRANSPORTS; i++) {
        if (row->peers & (1u << i)) {
            set_up(bench, &peers[num_peers++], row, i, ret_found);
        }
    }
    end = hcl_now_ns() + (uint64_t)(seconds * 1e9);
    /* Each turn of such a row gives each peer a sample. */
    for (; hcl_now_ns() < end || (row->any && turn < BENCH_LEAST_SAMPLES);
         turn++) {
        for (int i = 0; i < num_peers; i++) {
            sample(bench, row, &hcl, &peers[i], turn & 1, ret_found);
        }
        if (!num_peers) {
            sample(bench, row, &hcl, NULL, false, ret_found);
        }
    }
    bench_pin(0, BENCH_CLIENT_CORE);
    bench->page->one_core = 0;
}
