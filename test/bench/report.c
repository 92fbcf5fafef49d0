/* SPDX-License-Identifier: MIT */
/* The table for people, and the same as JSON. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "rows.h"

static const char *const placements[] = {"near", "mid", "far", "any"};
static const char *const units[] = {"ns",   "M/s",   "GB/s", "a message",
                                    "of 1", "bytes", "%",    "ms"};

static cJSON *array;
static unsigned int reached, missed;

bool bench_lower_is_better(enum bench_unit unit)
{
    return unit != BENCH_UNIT_RATE && unit != BENCH_UNIT_GBYTES &&
           unit != BENCH_UNIT_SHARE;
}

double bench_in_unit(enum bench_unit unit, double ns,
                     const struct bench_work *work)
{
    double job_ns = work->job_us * 1e3;

    switch (unit) {
    case BENCH_UNIT_RATE:
        return 1e3 / ns;
    case BENCH_UNIT_GBYTES:
        return work->bytes / ns;
    case BENCH_UNIT_SHARE:
        return job_ns / ns;
    default:
        return ns - job_ns;
    }
}

/* ---- What a row is to reach -------------------------------------------- */

static double stricter(enum bench_unit unit, double a, double b)
{
    if (isnan(a)) {
        return b;
    }
    return bench_lower_is_better(unit) ? fmin(a, b) : fmax(a, b);
}

/* NAN: a peer that it is compared with has too few samples. */
static double limit_of(const struct bench_row *row,
                       const struct bench_goal *goal, double line,
                       struct bench_values *peers)
{
    double limit = goal->line > 0 ? goal->line * line + goal->add : NAN;

    if (goal->fixed > 0) {
        limit = stricter(row->unit, limit, goal->fixed);
    }
    for (int i = 0; i < BENCH_MOST_RATIOS && goal->ratio[i].peer != BENCH_HCL;
         i++) {
        const struct bench_ratio *ratio = &goal->ratio[i];
        struct bench_values *peer = &peers[ratio->peer];
        double median = bench_values_at(peer, 0.5);

        if (peer->count >= BENCH_LEAST_SAMPLES) {
            limit = stricter(row->unit, limit,
                             bench_lower_is_better(row->unit)
                                 ? median / ratio->factor
                                 : median * ratio->factor);
        }
    }
    return limit;
}

void bench_report_row(const struct bench_row *row, struct bench_found *found)
{
    struct bench_result result = {
        .id = row->id, .title = row->title, .unit = row->unit};

    for (int at = 0; at < BENCH_NUM_PLACEMENTS; at++) {
        result.placement = (enum bench_placement)at;
        result.line = bench_values_at(&found->line[at], 0.5);
        result.limit =
            limit_of(row, &row->goals[at], result.line, found->of[at]);
        result.hcl = &found->of[at][BENCH_HCL];
        result.peers = found->of[at];
        result.found = found;
        bench_report(&result);
    }
}

/* ---- The table --------------------------------------------------------- */

void bench_report_begin(bool lines)
{
    array = cJSON_CreateArray();
    printf("Medians; in brackets the range without the outer tenths.%s\n"
           "x: how much better HCL is than a peer.\n\n",
           lines ? " L is the\ncache-line round trip." : "");
}

static void print_value(double value)
{
    printf(fabs(value) >= 100  ? "%.0f"
           : fabs(value) >= 10 ? "%.1f"
                               : "%.3g",
           value);
}

static void print_range(struct bench_values *values)
{
    print_value(bench_values_at(values, 0.5));
    printf(" [");
    print_value(bench_values_at(values, 0.1));
    printf(" ");
    print_value(bench_values_at(values, 0.9));
    printf("]");
}

/* Which of its variants a transport was measured with. */
static void print_variant(const struct bench_result *result, int transport)
{
    if (result->found && result->found->chosen[transport]) {
        printf("  variant %u", result->found->variant[transport]);
    }
}

static bool has_reached(const struct bench_result *result)
{
    double hcl = bench_values_at(result->hcl, 0.5);

    return bench_lower_is_better(result->unit) ? hcl <= result->limit
                                               : hcl >= result->limit;
}

static void print_peers(const struct bench_result *result)
{
    double hcl = bench_values_at(result->hcl, 0.5), median;

    for (int i = BENCH_HCL_RING + 1; result->peers && i < BENCH_NUM_TRANSPORTS;
         i++) {
        if (result->peers[i].count < BENCH_LEAST_SAMPLES) {
            continue;
        }
        median = bench_values_at(&result->peers[i], 0.5);
        printf("       %-15s ", bench_transports[i]->name);
        print_range(&result->peers[i]);
        printf("  x %.3g", bench_lower_is_better(result->unit) ? median / hcl
                                                               : hcl / median);
        print_variant(result, i);
        putchar('\n');
    }
}

static void print_result(const struct bench_result *result)
{
    printf("%-4s %s, %s%s%s\n", result->id, result->title,
           placements[result->placement], *units[result->unit] ? ", " : "",
           units[result->unit]);
    printf("       %-15s ", "HCL");
    print_range(result->hcl);
    if (!isnan(result->limit)) {
        printf("  to reach: ");
        print_value(result->limit);
        printf("  %s", has_reached(result) ? "ok" : "MISSED");
    }
    if (result->line > 0) {
        printf("  L ");
        print_value(result->line);
    }
    printf("  %zu samples", result->hcl->count);
    print_variant(result, BENCH_HCL);
    putchar('\n');
    print_peers(result);
    fflush(stdout);
}

/* ---- JSON -------------------------------------------------------------- */

static void add_result(const struct bench_result *result)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *peers = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "id", result->id);
    cJSON_AddStringToObject(object, "title", result->title);
    cJSON_AddStringToObject(object, "unit", units[result->unit]);
    cJSON_AddStringToObject(object, "better",
                            bench_lower_is_better(result->unit) ? "lower"
                                                                : "higher");
    cJSON_AddStringToObject(object, "placement", placements[result->placement]);
    cJSON_AddNumberToObject(object, "hcl", bench_values_at(result->hcl, 0.5));
    for (int i = BENCH_HCL_RING + 1; result->peers && i < BENCH_NUM_TRANSPORTS;
         i++) {
        if (result->peers[i].count >= BENCH_LEAST_SAMPLES) {
            cJSON_AddNumberToObject(peers, bench_transports[i]->name,
                                    bench_values_at(&result->peers[i], 0.5));
        }
    }
    cJSON_AddItemToObject(object, "peers", peers);
    if (isnan(result->limit)) {
        cJSON_AddNullToObject(object, "limit");
    } else {
        cJSON_AddNumberToObject(object, "limit", result->limit);
    }
    cJSON_AddNumberToObject(object, "samples", (double)result->hcl->count);
    cJSON_AddItemToArray(array, object);
}

void bench_report(struct bench_result *result)
{
    if (result->hcl->count < BENCH_LEAST_SAMPLES) {
        return;
    }
    print_result(result);
    add_result(result);
    if (!isnan(result->limit)) {
        *(has_reached(result) ? &reached : &missed) += 1;
    }
}

void bench_report_alone(const char *id, const char *title, enum bench_unit unit,
                        struct bench_values *hcl, double limit)
{
    struct bench_result result = {.id = id,
                                  .title = title,
                                  .unit = unit,
                                  .placement = BENCH_ANY,
                                  .limit = limit,
                                  .hcl = hcl};

    bench_report(&result);
    bench_values_clear(hcl);
}

void bench_report_end(const char *path)
{
    char *text = cJSON_Print(array);
    FILE *file = fopen(path, "we");

    if (!text || !file || fprintf(file, "%s\n", text) < 0 ||
        fclose(file) != 0) {
        bench_die("cannot write %s: %s", path, strerror(errno));
    }
    free(text);
    cJSON_Delete(array);
    printf("\n%u figures reached, %u missed; written to %s\n", reached, missed,
           path);
}
