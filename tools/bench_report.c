/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

/* What is told of a distribution; in JSON by name. */
static const struct {
    uint32_t per_million;
    const char *text, *json;
} percentiles[] = {
    {500000, "50%", "p50"},      {900000, "90%", "p90"},
    {990000, "99%", "p99"},      {999000, "99.9%", "p99_9"},
    {1000000, "largest", "max"},
};

#define NUM_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static double per_second(const struct hcl_bench_result *result, uint64_t number)
{
    return result->elapsed_us
               ? (double)number * 1e6 / (double)result->elapsed_us
               : 0;
}

/* Good and failed ones. */
static uint64_t requests(const struct hcl_bench_result *result)
{
    return result->latency->count + result->failed;
}

static double per_request(const struct hcl_bench_result *result,
                          uint64_t number)
{
    uint64_t count = requests(result);

    return count ? (double)number / (double)count : 0;
}

/* ---- For people -------------------------------------------------------- */

/* Three digits and a unit that fits: units[i] is 1000^i. */
static void scaled(FILE *out, double value, const char *const *units,
                   unsigned int num_units)
{
    unsigned int i = 0;

    /* As it will be printed: not "1000 us". */
    while (value >= 999.5 && i + 1 < num_units) {
        value /= 1000;
        i++;
    }
    fprintf(out, "%.*f %s",
            value >= 99.95 || (i == 0 && value == (double)(uint64_t)value) ? 0
            : value >= 9.995                                               ? 1
                                                                           : 2,
            value, units[i]);
}

static void print_ns(FILE *out, uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};

    scaled(out, (double)ns, units, 4);
}

static void print_rate(FILE *out, double rate)
{
    static const char *const units[] = {"a second", "thousand a second",
                                        "million a second"};

    scaled(out, rate, units, 3);
}

static void print_bytes_rate(FILE *out, double rate)
{
    static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s"};

    scaled(out, rate, units, 4);
}

void hcl_bench_text_connection(FILE *out,
                               const struct hcl_bench_connection *connection)
{
    const struct hcl_status *status = &connection->status;

    fprintf(out, "%s, of class %s%s: connected in ", status->name,
            status->class_name, connection->local ? ", without Xen" : "");
    print_ns(out, connection->connect_us * 1000);
    fprintf(out,
            "\n%u requests at a time, pools of %u and %u KiB, %u pages "
            "shared; one look at the clock takes ",
            status->max_requests, status->tx_pool_bytes / 1024,
            status->rx_pool_bytes / 1024, status->shared_pages);
    print_ns(out, connection->clock_ns);
    fputc('\n', out);
}

static void text_title(FILE *out, const struct hcl_bench_run *run)
{
    fprintf(out, "\n%s: %s of %u bytes, %s, %u at a time",
            hcl_bench_mode_name(run->mode), hcl_bench_opcode_name(run->opcode),
            run->bytes, run->copy ? "copied" : "pool buffers", run->depth);
    if (run->handles > 1) {
        fprintf(out, ", %u handles", run->handles);
    }
    if (run->think_us) {
        fprintf(out, ", %u us between", run->think_us);
    }
    fputc('\n', out);
}

static void text_rate(FILE *out, const struct hcl_bench_result *result)
{
    fprintf(out, "  requests  %" PRIu64 " in %.3f s: ", requests(result),
            (double)result->elapsed_us / 1e6);
    print_rate(out, per_second(result, requests(result)));
    if (result->tx_bytes) {
        fputs(", ", out);
        print_bytes_rate(out, per_second(result, result->tx_bytes));
        fputs(" out", out);
    }
    if (result->rx_bytes) {
        fputs(", ", out);
        print_bytes_rate(out, per_second(result, result->rx_bytes));
        fputs(" in", out);
    }
    fputc('\n', out);
}

static void text_latency(FILE *out, const struct hcl_histogram *latency)
{
    size_t i;

    if (!latency->count) {
        return;
    }
    fputs("  latency   smallest ", out);
    print_ns(out, latency->minimum);
    for (i = 0; i < NUM_PERCENTILES; i++) {
        fprintf(out, ", %s ", percentiles[i].text);
        print_ns(out,
                 hcl_histogram_percentile(latency, percentiles[i].per_million));
    }
    fputc('\n', out);
}

static void text_cpu(FILE *out, const struct hcl_bench_result *result)
{
    uint64_t used_us = result->user_us + result->system_us;

    fprintf(out, "  CPU       %.0f %% of one: %.3f s user, %.3f s system; ",
            per_second(result, used_us) / 1e4, (double)result->user_us / 1e6,
            (double)result->system_us / 1e6);
    print_ns(out, (uint64_t)(per_request(result, used_us) * 1000));
    fputs(" a request\n", out);
    if (result->has_worker) {
        fprintf(out, "            hcl-worker %.0f %% of one\n",
                per_second(result, result->worker_us) / 1e4);
    }
}

static void text_counters(FILE *out, const struct hcl_bench_result *result)
{
    const struct hcl_bench_counters *counters = &result->counters;

    fprintf(out,
            "  events    %.4f out and %.4f in a request; %" PRIu64
            " grant operations; %" PRIu64 " bytes copied\n",
            per_request(result, counters->events_out),
            per_request(result, counters->events_in),
            counters->grant_operations, counters->copied_bytes);
    if (counters->reconnects) {
        fprintf(out, "  the connection was made anew %u times\n",
                counters->reconnects);
    }
}

void hcl_bench_text_run(FILE *out, const struct hcl_bench_run *run,
                        const struct hcl_bench_result *result)
{
    text_title(out, run);
    text_rate(out, result);
    text_latency(out, result->latency);
    text_cpu(out, result);
    text_counters(out, result);
    if (result->failed) {
        fprintf(out, "  failed    %" PRIu64 "\n", result->failed);
    }
    if (run->check) {
        fprintf(out, "  checked   %" PRIu64 " answers, %" PRIu64 " wrong\n",
                result->checked, result->mismatched);
    }
    fflush(out);
}

/* ---- For programs ------------------------------------------------------ */

struct hcl_bench_json {
    cJSON *root;
    cJSON *runs; /* in it */
};

/* Members that are numbers, added until one fails. */
struct number {
    const char *name;
    double value;
};

static bool add_numbers(cJSON *object, const struct number *numbers,
                        size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (!cJSON_AddNumberToObject(object, numbers[i].name,
                                     numbers[i].value)) {
            return false;
        }
    }
    return true;
}

#define ADD_NUMBERS(object, numbers)                                           \
    add_numbers(object, numbers, sizeof(numbers) / sizeof((numbers)[0]))

static bool json_connection(cJSON *root,
                            const struct hcl_bench_connection *connection)
{
    const struct hcl_status *status = &connection->status;
    const struct number numbers[] = {
        {"connect_us", (double)connection->connect_us},
        {"clock_ns", (double)connection->clock_ns},
        {"max_requests", status->max_requests},
        {"max_handles", status->max_handles},
        {"tx_pool_bytes", status->tx_pool_bytes},
        {"rx_pool_bytes", status->rx_pool_bytes},
        {"shared_pages", status->shared_pages},
    };

    return cJSON_AddStringToObject(root, "version", HCL_VERSION) &&
           cJSON_AddStringToObject(root, "device", status->name) &&
           cJSON_AddStringToObject(root, "class", status->class_name) &&
           cJSON_AddBoolToObject(root, "local", connection->local) &&
           ADD_NUMBERS(root, numbers);
}

struct hcl_bench_json *
hcl_bench_json_new(const struct hcl_bench_connection *connection)
{
    struct hcl_bench_json *json = calloc(1, sizeof(*json));

    if (!json) {
        return NULL;
    }
    json->root = cJSON_CreateObject();
    if (!json->root || !json_connection(json->root, connection)) {
        hcl_bench_json_free(json);
        return NULL;
    }
    json->runs = cJSON_AddArrayToObject(json->root, "runs");
    if (!json->runs) {
        hcl_bench_json_free(json);
        return NULL;
    }
    return json;
}

void hcl_bench_json_free(struct hcl_bench_json *json)
{
    if (json) {
        cJSON_Delete(json->root);
        free(json);
    }
}

static bool json_run(cJSON *object, const struct hcl_bench_run *run)
{
    const struct number numbers[] = {
        {"bytes", run->bytes},
        {"depth", run->depth},
        {"handles", run->handles},
        {"think_us", run->think_us},
    };

    return cJSON_AddStringToObject(object, "mode",
                                   hcl_bench_mode_name(run->mode)) &&
           cJSON_AddStringToObject(object, "op",
                                   hcl_bench_opcode_name(run->opcode)) &&
           cJSON_AddStringToObject(object, "buffers",
                                   run->copy ? "copy" : "pool") &&
           cJSON_AddBoolToObject(object, "check", run->check) &&
           ADD_NUMBERS(object, numbers);
}

static bool json_latency(cJSON *object, const struct hcl_histogram *latency)
{
    cJSON *part = cJSON_AddObjectToObject(object, "latency_ns");
    size_t i;

    if (!part ||
        !cJSON_AddNumberToObject(part, "count", (double)latency->count) ||
        !cJSON_AddNumberToObject(
            part, "min", latency->count ? (double)latency->minimum : 0) ||
        !cJSON_AddNumberToObject(part, "mean",
                                 (double)hcl_histogram_mean(latency))) {
        return false;
    }
    for (i = 0; i < NUM_PERCENTILES; i++) {
        if (!cJSON_AddNumberToObject(
                part, percentiles[i].json,
                (double)hcl_histogram_percentile(latency,
                                                 percentiles[i].per_million))) {
            return false;
        }
    }
    return true;
}

static bool json_result(cJSON *object, const struct hcl_bench_result *result)
{
    const struct hcl_bench_counters *counters = &result->counters;
    const struct number numbers[] = {
        {"elapsed_us", (double)result->elapsed_us},
        {"requests", (double)requests(result)},
        {"failed", (double)result->failed},
        {"checked", (double)result->checked},
        {"mismatched", (double)result->mismatched},
        {"tx_bytes", (double)result->tx_bytes},
        {"rx_bytes", (double)result->rx_bytes},
        {"requests_per_second", per_second(result, requests(result))},
        {"user_us", (double)result->user_us},
        {"system_us", (double)result->system_us},
        {"events_out", (double)counters->events_out},
        {"events_in", (double)counters->events_in},
        {"grant_operations", (double)counters->grant_operations},
        {"copied_bytes", (double)counters->copied_bytes},
        {"reconnects", counters->reconnects},
    };

    return ADD_NUMBERS(object, numbers) &&
           (!result->has_worker ||
            cJSON_AddNumberToObject(object, "worker_us",
                                    (double)result->worker_us)) &&
           json_latency(object, result->latency);
}

int hcl_bench_json_run(struct hcl_bench_json *json,
                       const struct hcl_bench_run *run,
                       const struct hcl_bench_result *result)
{
    cJSON *object = cJSON_CreateObject();

    if (!object || !cJSON_AddItemToArray(json->runs, object)) {
        cJSON_Delete(object);
        return -ENOMEM;
    }
    return json_run(object, run) && json_result(object, result) ? 0 : -ENOMEM;
}

int hcl_bench_json_print(const struct hcl_bench_json *json, FILE *out)
{
    char *text = cJSON_Print(json->root);

    if (!text) {
        return -ENOMEM;
    }
    fprintf(out, "%s\n", text);
    cJSON_free(text);
    return 0;
}
