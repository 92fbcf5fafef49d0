/* SPDX-License-Identifier: MIT */
/* The reports of hcl-bench. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "bench.h"

static struct hcl_histogram latency;
static struct hcl_bench_run run;
static struct hcl_bench_result result;
static struct hcl_bench_connection connection;
static char *printed; /* by the last print; freed by teardown */

/* A thousand requests in half a second, one of which failed. */
static int setup(void **state)
{
    uint32_t i;

    (void)state;
    printed = NULL;
    hcl_histogram_clear(&latency);
    for (i = 1; i < 1000; i++) {
        hcl_histogram_add(&latency, i * UINT64_C(1000));
    }
    run = (struct hcl_bench_run){.mode = HCL_BENCH_DEPTH,
                                 .opcode = HCL_EXCHANGE,
                                 .bytes = 64,
                                 .depth = 16,
                                 .handles = 1};
    result = (struct hcl_bench_result){
        .elapsed_us = 500000,
        .failed = 1,
        .tx_bytes = 64000,
        .rx_bytes = 32000,
        .user_us = 100000,
        .system_us = 25000,
        .latency = &latency,
        .counters = {.requests = 1000,
                     .completions = 1000,
                     .copied_bytes = 77,
                     .events_out = 250,
                     .events_in = 50},
    };
    connection = (struct hcl_bench_connection){
        .connect_us = 12345,
        .clock_ns = 24,
        .status = {.name = "echo0",
                   .class_name = "echo",
                   .max_requests = 56,
                   .tx_pool_bytes = 65536,
                   .rx_pool_bytes = 131072,
                   .shared_pages = 53},
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(printed);
    return 0;
}

static void print_run(void)
{
    size_t bytes;
    FILE *out;

    free(printed);
    out = open_memstream(&printed, &bytes);
    assert_non_null(out);
    hcl_bench_text_run(out, &run, &result);
    fclose(out);
}

static void assert_says(const char *text)
{
    if (!strstr(printed, text)) {
        fail_msg("not in it: '%s'\n%s", text, printed);
    }
}

/* ---- Text -------------------------------------------------------------- */

static void test_text_says_what_was_measured(void **state)
{
    (void)state;
    print_run();
    assert_says("\ndepth: exchange of 64 bytes, pool buffers, 16 at a time\n");
    assert_says("requests  1000 in 0.500 s: 2.00 thousand a second, "
                "128 kB/s out, 64.0 kB/s in\n");
    assert_says("smallest 1.00 us, 50% ");
    assert_says("largest 999 us\n");
    assert_says("CPU       25 % of one: 0.100 s user, 0.025 s system; 125 us a "
                "request\n");
    assert_says("0.2500 out and 0.0500 in a request; 0 grant operations; 77 "
                "bytes copied\n");
    assert_says("failed    1\n");
    assert_null(strstr(printed, "hcl-worker"));
    assert_null(strstr(printed, "checked"));
    assert_null(strstr(printed, "anew"));
}

static void test_text_says_what_is_unusual(void **state)
{
    (void)state;
    run.copy = true;
    run.check = true;
    run.handles = 3;
    run.think_us = 7;
    result.has_worker = true;
    result.worker_us = 250000;
    result.checked = 999;
    result.mismatched = 2;
    result.counters.reconnects = 4;
    print_run();
    assert_says("copied, 16 at a time, 3 handles, 7 us between\n");
    assert_says("hcl-worker 50 % of one\n");
    assert_says("checked   999 answers, 2 wrong\n");
    assert_says("made anew 4 times\n");
}

static void test_text_of_nothing_divides_by_nothing(void **state)
{
    (void)state;
    hcl_histogram_clear(&latency);
    result = (struct hcl_bench_result){.latency = &latency};
    print_run();
    assert_says("requests  0 in 0.000 s: 0 a second\n");
    assert_null(strstr(printed, "latency "));
    assert_null(strstr(printed, "nan"));
    assert_null(strstr(printed, "inf"));
}

static void test_text_scales_its_numbers(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } scales[] = {
        {0, "largest 0 ns\n"},
        {7, "largest 7 ns\n"},
        {999, "largest 999 ns\n"},
        {1000, "largest 1.00 us\n"},
        {9994, "largest 9.99 us\n"},
        {9996, "largest 10.0 us\n"},
        {99960, "largest 100 us\n"},
        {999499, "largest 999 us\n"},
        {999600, "largest 1.00 ms\n"},
        {1234567, "largest 1.23 ms\n"},
        {5000000000, "largest 5.00 s\n"},
        {2000000000000, "largest 2000 s\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        hcl_histogram_clear(&latency);
        hcl_histogram_add(&latency, scales[i].ns);
        print_run();
        assert_says(scales[i].text);
    }
}

static void test_text_begins_with_the_connection(void **state)
{
    size_t bytes;
    FILE *out = open_memstream(&printed, &bytes);

    (void)state;
    assert_non_null(out);
    hcl_bench_text_connection(out, &connection);
    fclose(out);
    assert_string_equal(printed,
                        "echo0, of class echo: connected in 12.3 ms\n"
                        "56 requests at a time, pools of 64 and 128 KiB, 53 "
                        "pages shared; one look at the clock takes 24 ns\n");
}

/* ---- JSON -------------------------------------------------------------- */

/* What is printed, parsed; the caller deletes it. */
static cJSON *parsed(const struct hcl_bench_json *json)
{
    cJSON *root;
    size_t bytes;
    FILE *out;

    free(printed);
    out = open_memstream(&printed, &bytes);
    assert_non_null(out);
    assert_int_equal(hcl_bench_json_print(json, out), 0);
    fclose(out);
    root = cJSON_Parse(printed);
    assert_non_null(root);
    return root;
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsNumber(item)) {
        fail_msg("no number %s in %s", name, printed);
    }
    return item->valuedouble;
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsString(item)) {
        fail_msg("no text %s in %s", name, printed);
    }
    return item->valuestring;
}

static void test_json_has_all_of_it(void **state)
{
    struct hcl_bench_json *json = hcl_bench_json_new(&connection);
    const cJSON *runs, *first, *times;
    cJSON *root;

    (void)state;
    assert_non_null(json);
    assert_int_equal(hcl_bench_json_run(json, &run, &result), 0);
    run.mode = HCL_BENCH_STREAM;
    run.copy = true;
    result.has_worker = true;
    result.worker_us = 5;
    assert_int_equal(hcl_bench_json_run(json, &run, &result), 0);
    root = parsed(json);
    assert_string_equal(text(root, "device"), "echo0");
    assert_string_equal(text(root, "class"), "echo");
    assert_true(number(root, "connect_us") == 12345);
    assert_true(number(root, "shared_pages") == 53);
    runs = cJSON_GetObjectItemCaseSensitive(root, "runs");
    assert_int_equal(cJSON_GetArraySize(runs), 2);
    first = cJSON_GetArrayItem(runs, 0);
    assert_string_equal(text(first, "mode"), "depth");
    assert_string_equal(text(first, "op"), "exchange");
    assert_string_equal(text(first, "buffers"), "pool");
    assert_true(number(first, "requests") == 1000);
    assert_true(number(first, "failed") == 1);
    assert_true(number(first, "requests_per_second") == 2000);
    assert_true(number(first, "events_out") == 250);
    assert_true(number(first, "copied_bytes") == 77);
    assert_null(cJSON_GetObjectItemCaseSensitive(first, "worker_us"));
    times = cJSON_GetObjectItemCaseSensitive(first, "latency_ns");
    assert_true(number(times, "count") == 999);
    assert_true(number(times, "min") == 1000);
    assert_true(number(times, "mean") == 500000);
    assert_true(number(times, "max") == 999000);
    assert_true(number(times, "p50") >= 500000 * 31 / 32.0);
    assert_true(number(times, "p50") <= 500000 * 33 / 32.0);
    assert_true(number(times, "p90") < number(times, "p99"));
    assert_true(number(times, "p99") <= number(times, "p99_9"));
    assert_string_equal(text(cJSON_GetArrayItem(runs, 1), "mode"), "stream");
    assert_string_equal(text(cJSON_GetArrayItem(runs, 1), "buffers"), "copy");
    assert_true(number(cJSON_GetArrayItem(runs, 1), "worker_us") == 5);
    cJSON_Delete(root);
    hcl_bench_json_free(json);
}

static void test_json_without_runs_is_whole(void **state)
{
    struct hcl_bench_json *json = hcl_bench_json_new(&connection);
    cJSON *root = parsed(json);

    (void)state;
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "runs")), 0);
    cJSON_Delete(root);
    hcl_bench_json_free(json);
    hcl_bench_json_free(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_text_says_what_was_measured),
        T(test_text_says_what_is_unusual),
        T(test_text_of_nothing_divides_by_nothing),
        T(test_text_scales_its_numbers),
        T(test_text_begins_with_the_connection),
        T(test_json_has_all_of_it),
        T(test_json_without_runs_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
