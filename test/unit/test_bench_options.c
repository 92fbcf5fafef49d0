/* SPDX-License-Identifier: MIT */
/* What hcl-bench makes of its command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define MAX_WORDS 32

static struct hcl_bench_options options;
static char printed[8192]; /* standard output and error, one after the other */

/* Runs @fn's parsing with both streams in a file. */
static int parse_words(int argc, char **argv)
{
    FILE *file = tmpfile();
    int saved[2], status;
    size_t bytes;

    assert_non_null(file);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        saved[i] = dup(i + 1);
        dup2(fileno(file), i + 1);
    }
    memset(&options, 0, sizeof(options));
    status = hcl_bench_parse(argc, argv, &options);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
    }
    rewind(file);
    bytes = fread(printed, 1, sizeof(printed) - 1, file);
    printed[bytes] = '\0';
    fclose(file);
    return status;
}

/* Parses "hcl-bench @line", split at blanks; what is kept lasts. */
static int parse(const char *line)
{
    static char words[512];
    char *argv[MAX_WORDS + 1] = {(char *)"hcl-bench"};
    int argc = 1;

    assert_true(strlen(line) < sizeof(words));
    strcpy(words, line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        assert_true(argc < MAX_WORDS);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return parse_words(argc, argv);
}

static const struct hcl_bench_run *run_of(unsigned int index)
{
    assert_true(index < options.num_runs);
    return &options.runs[index];
}

static void test_without_options_all_is_measured(void **state)
{
    static const struct {
        enum hcl_bench_mode mode;
        uint8_t opcode;
        uint32_t bytes, depth;
        bool copy;
    } expected[] = {
        {HCL_BENCH_LATENCY, HCL_EXCHANGE, 64, 1, false},
        {HCL_BENCH_RATE, HCL_WRITE, 64, 128, false},
        {HCL_BENCH_DEPTH, HCL_EXCHANGE, 64, 16, false},
        {HCL_BENCH_STREAM, HCL_EXCHANGE, 32768, 4, true},
        {HCL_BENCH_STREAM, HCL_EXCHANGE, 32768, 4, false},
    };

    (void)state;
    assert_int_equal(parse("echo0"), -1);
    assert_string_equal(printed, "");
    assert_string_equal(options.device, "echo0");
    assert_false(options.local);
    assert_false(options.json);
    assert_int_equal(options.timeout_ms, 10000);
    assert_int_equal(options.num_runs, 5);
    for (unsigned int i = 0; i < 5; i++) {
        const struct hcl_bench_run *run = run_of(i);

        assert_int_equal(run->mode, expected[i].mode);
        assert_int_equal(run->opcode, expected[i].opcode);
        assert_int_equal(run->bytes, expected[i].bytes);
        assert_int_equal(run->depth, expected[i].depth);
        assert_int_equal(run->copy, expected[i].copy);
        assert_int_equal(run->handles, 1);
        assert_int_equal(run->think_us, 0);
        assert_int_equal(run->warmup, 100);
        assert_int_equal(run->duration_us, 1000000);
        assert_int_equal(run->count, 0);
        assert_false(run->check);
    }
}

static void test_every_option_is_heard(void **state)
{
    const struct hcl_bench_run *run;

    (void)state;
    assert_int_equal(
        parse("-m depth -o exchange -s 4K -d 7 -b copy -H 3 -T 2.5 -n 99 -w 5 "
              "-c --timeout 1.5 -j"),
        HCL_BENCH_USAGE); /* no device */
    assert_int_equal(
        parse("-m depth -s 4K -d 7 -b copy -H 3 -T 2.5 -n 99 -w 5 echo0"), -1);
    assert_int_equal(options.num_runs, 1);
    run = run_of(0);
    assert_int_equal(run->mode, HCL_BENCH_DEPTH);
    assert_int_equal(run->bytes, 4096);
    assert_int_equal(run->depth, 7);
    assert_true(run->copy);
    assert_int_equal(run->handles, 3);
    assert_int_equal(run->duration_us, 2500000);
    assert_int_equal(run->count, 99);
    assert_int_equal(run->warmup, 5);
    assert_int_equal(parse("--timeout 1.5 --json --check --op exchange echo0"),
                     -1);
    assert_int_equal(options.timeout_ms, 1500);
    assert_true(options.json);
    assert_true(run_of(0)->check);
    assert_int_equal(run_of(1)->opcode, HCL_EXCHANGE);
}

static void test_modes_are_a_list(void **state)
{
    (void)state;
    assert_int_equal(parse("-m stream,latency -b pool echo0"), -1);
    assert_int_equal(options.num_runs, 2);
    assert_int_equal(run_of(0)->mode, HCL_BENCH_LATENCY);
    assert_int_equal(run_of(1)->mode, HCL_BENCH_STREAM);
    assert_false(run_of(1)->copy);
    assert_int_equal(parse("-m stream -m rate echo0"), -1);
    assert_int_equal(options.num_runs, 3);
}

static void test_a_count_alone_has_no_time_limit(void **state)
{
    (void)state;
    assert_int_equal(parse("-n 10 -m rate echo0"), -1);
    assert_int_equal(run_of(0)->count, 10);
    assert_int_equal(run_of(0)->duration_us, 0);
}

static void test_depth_and_thinking_go_where_they_mean_something(void **state)
{
    (void)state;
    assert_int_equal(parse("-m latency,depth -d 9 -t 10 echo0"), -1);
    assert_int_equal(run_of(0)->depth, 1);
    assert_int_equal(run_of(0)->think_us, 10);
    assert_int_equal(run_of(1)->depth, 9);
    assert_int_equal(run_of(1)->think_us, 0);
}

static void test_local_needs_no_device_and_takes_one(void **state)
{
    (void)state;
    assert_int_equal(parse("--local"), -1);
    assert_true(options.local);
    assert_null(options.device);
    assert_int_equal(parse("--local --worker /x name=a,class=rng"), -1);
    assert_string_equal(options.device, "name=a,class=rng");
    assert_string_equal(options.worker, "/x");
}

static void test_a_mistake_says_what_is_expected(void **state)
{
    static const struct {
        const char *line, *says;
    } mistakes[] = {
        {"", "the name of a device"},
        {"a b", "got also 'b'"},
        {"-m latencies a", "--mode 'latencies'"},
        {"-m latency, a", "expected some of latency, rate, depth and stream"},
        {"-o erase a", "expected read, write or exchange"},
        {"-s 5x a", "--size '5x': expected bytes, 0 to 16M"},
        {"-s 17M a", "0 to 16M"},
        {"-s -1 a", "0 to 16M"},
        {"-s K a", "0 to 16M"},
        {"-s 99999999999999999999999 a", "0 to 16M"},
        {"-d 0 a", "--depth '0': expected a number from 1 to 4088"},
        {"-d 4089 a", "1 to 4088"},
        {"-d +5 a", "1 to 4088"},
        {"-H 1025 a", "--handles '1025': expected a number from 1 to 1024"},
        {"-t 60000001 a", "--think-us"},
        {"-n 0 a", "--count '0'"},
        {"-n 1e3 a", "--count '1e3'"},
        {"-w x a", "--warmup 'x'"},
        {"-T 0 a", "--seconds '0': expected seconds, 0.001 to 86400"},
        {"-T nan a", "expected seconds"},
        {"--timeout 0.05 a", "--timeout '0.05': expected seconds, 0.1 to"},
        {"-b pools a", "expected pool or copy"},
        {"-c -o read a", "--check compares answers"},
        {"--worker /x a", "--worker is for --local only"},
        {"-d 1000 -s 1M a", "1000 requests of 1048576 bytes at a time"},
        {"--fast a", "no such option, or its value is missing: --fast"},
        {"-x a", "no such option"},
        {"a -s", "its value is missing: -s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        assert_int_equal(parse(mistakes[i].line), HCL_BENCH_USAGE);
        if (!strstr(printed, mistakes[i].says)) {
            fail_msg("'%s' got: %s", mistakes[i].line, printed);
        }
        assert_memory_equal(printed, "hcl-bench: ", 11);
        assert_non_null(strstr(printed, "\nusage: "));
    }
}

static void test_help_names_every_option(void **state)
{
    static const char *const names[] = {
        "-m, --mode",    "-o, --op",      "-s, --size",     "-d, --depth",
        "-b, --buffers", "-H, --handles", "-t, --think-us", "-T, --seconds",
        "-n, --count",   "-w, --warmup",  "-c, --check",    "--timeout",
        "--worker",      "--local",       "-j, --json",     "-h, --help",
        "-V, --version", "Exit status",
    };

    (void)state;
    assert_int_equal(parse("--help"), HCL_BENCH_OK);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(strstr(printed, names[i]));
    }
    /* Lines fit into a terminal. */
    for (const char *line = printed; *line; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") < 80);
    }
    assert_int_equal(parse("-V"), HCL_BENCH_OK);
    assert_memory_equal(printed, "hcl-bench ", 10);
}

static void test_memory_is_what_the_largest_run_needs(void **state)
{
    struct hcl_open_options memory;

    (void)state;
    assert_int_equal(parse("-m latency echo0"), -1);
    assert_null(hcl_bench_memory(&options, &memory));
    assert_int_equal(memory.ring_page_order, 0);
    assert_int_equal(memory.tx_pool_bytes, 65536);
    assert_int_equal(memory.rx_pool_bytes, 65536);
    assert_int_equal(parse("echo0"), -1);
    assert_null(hcl_bench_memory(&options, &memory));
    assert_int_equal(memory.ring_page_order, 2); /* 128 and the reserve */
    assert_int_equal(memory.tx_pool_bytes, 4 * 32768);
    assert_int_equal(memory.rx_pool_bytes, 4 * 32768);
    /* Pieces begin at multiples of 64; a write needs no answer. */
    assert_int_equal(parse("-m rate -o write -s 1000 -d 100 echo0"), -1);
    assert_null(hcl_bench_memory(&options, &memory));
    assert_int_equal(memory.tx_pool_bytes, 100 * 1024);
    assert_int_equal(memory.rx_pool_bytes, 65536);
    /* All that is left of 64 slots. */
    assert_int_equal(parse("-m depth -d 56 echo0"), -1);
    assert_null(hcl_bench_memory(&options, &memory));
    assert_int_equal(memory.ring_page_order, 0);
    assert_int_equal(parse("-m depth -d 57 echo0"), -1);
    assert_null(hcl_bench_memory(&options, &memory));
    assert_int_equal(memory.ring_page_order, 1);
    assert_int_equal(parse("-m depth -d 4088 -s 0 echo0"), -1);
    assert_null(hcl_bench_memory(&options, &memory));
    assert_int_equal(memory.ring_page_order, 6);
    assert_int_equal(memory.tx_pool_bytes, 4088 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_options_all_is_measured),
        cmocka_unit_test(test_every_option_is_heard),
        cmocka_unit_test(test_modes_are_a_list),
        cmocka_unit_test(test_a_count_alone_has_no_time_limit),
        cmocka_unit_test(test_depth_and_thinking_go_where_they_mean_something),
        cmocka_unit_test(test_local_needs_no_device_and_takes_one),
        cmocka_unit_test(test_a_mistake_says_what_is_expected),
        cmocka_unit_test(test_help_names_every_option),
        cmocka_unit_test(test_memory_is_what_the_largest_run_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
