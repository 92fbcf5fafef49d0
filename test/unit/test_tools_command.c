/* SPDX-License-Identifier: MIT */
/* test_tools_command.c: options and arguments of hclctl's commands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "command.h"

static int never(const struct hcl_command *command, int argc, char **argv)
{
    (void)command;
    (void)argc;
    (void)argv;
    return HCL_EXIT_FAILED;
}

static const struct hcl_command two = {
    .name = "two",
    .flags = "[-t SECONDS]",
    .arguments = "A B",
    .text = "Text.\n",
    .options = "ts" HCL_OPTIONS_TIMES,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = never,
};

/* Reads the words of @line; the messages go to where nobody looks. */
static int read_line(const char *line, struct hcl_options *options, int *first,
                     char **argv)
{
    static char words[256];
    int argc = 0, saved_out = dup(1), saved_err = dup(2), ret;
    char *word, *rest;

    snprintf(words, sizeof(words), "%s", line);
    for (word = strtok_r(words, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    fflush(stdout);
    assert_non_null(freopen("/dev/null", "w", stdout));
    assert_non_null(freopen("/dev/null", "w", stderr));
    ret = hcl_command_options(&two, argc, argv, options, first);
    fflush(stdout);
    fflush(stderr);
    dup2(saved_out, 1);
    dup2(saved_err, 2);
    close(saved_out);
    close(saved_err);
    return ret;
}

static void refused(const char *line)
{
    struct hcl_options options = {0};
    char *argv[16];
    int first;

    if (read_line(line, &options, &first, argv) != HCL_EXIT_USAGE) {
        fail_msg("'%s' was not refused", line);
    }
}

static void options_stand_before_or_after_arguments(void **state)
{
    struct hcl_options options = {0};
    char *argv[16];
    int first;

    (void)state;
    assert_int_equal(read_line("two -t 2 a b", &options, &first, argv), -1);
    assert_int_equal(options.timeout_us, 2000000);
    assert_string_equal(argv[first], "a");
    assert_string_equal(argv[first + 1], "b");
    assert_int_equal(read_line("two a --state-dir=/x b --timeout 0.5", &options,
                               &first, argv),
                     -1);
    assert_int_equal(options.timeout_us, 500000);
    assert_string_equal(options.state_dir, "/x");
    assert_string_equal(argv[first], "a");
    assert_string_equal(argv[first + 1], "b");
}

static void no_wait_is_zero_seconds(void **state)
{
    struct hcl_options options = {.timeout_us = 5};
    char *argv[16];
    int first;

    (void)state;
    assert_int_equal(read_line("two -t 0 a b", &options, &first, argv), -1);
    assert_int_equal(options.timeout_us, 0);
}

static void each_time_of_the_watch_has_an_option(void **state)
{
    struct hcl_options options = {.times = HCL_WATCH_TIMES};
    char *argv[16];
    int first;

    (void)state;
    assert_int_equal(read_line("two a b", &options, &first, argv), -1);
    assert_int_equal(options.times.poll_us, 100000);
    assert_int_equal(options.times.settle_us, 30000000);
    assert_int_equal(options.times.reap_us, 5000000);
    assert_int_equal(options.times.return_us, 120000000);
    assert_int_equal(options.times.fresh_us, 60000000);
    assert_int_equal(read_line("two --poll 0.001 --settle 1 --reap=0.2 "
                               "--return 3 --fresh 0 a b",
                               &options, &first, argv),
                     -1);
    assert_int_equal(options.times.poll_us, 1000);
    assert_int_equal(options.times.settle_us, 1000000);
    assert_int_equal(options.times.reap_us, 200000);
    assert_int_equal(options.times.return_us, 3000000);
    assert_int_equal(options.times.fresh_us, 0);
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    refused("two -t x a b");
    refused("two -t 1x a b");
    refused("two -t -1 a b");
    refused("two -t nan a b");
    refused("two -t inf a b");
    refused("two -t 86401 a b");
    refused("two a b -t");
    refused("two --poll 0 a b");
    refused("two --reap x a b");
}

static void options_of_other_commands_are_refused(void **state)
{
    (void)state;
    refused("two -c a b");
    refused("two --json a b");
    refused("two --no-such a b");
    refused("two -z a b");
}

static void too_few_or_many_arguments_are_refused(void **state)
{
    (void)state;
    refused("two");
    refused("two a");
    refused("two a b c");
}

static void help_is_no_mistake(void **state)
{
    struct hcl_options options = {0};
    char *argv[16];
    int first;

    (void)state;
    assert_int_equal(read_line("two -h", &options, &first, argv), HCL_EXIT_OK);
    assert_int_equal(read_line("two a --help", &options, &first, argv),
                     HCL_EXIT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_before_or_after_arguments),
        cmocka_unit_test(no_wait_is_zero_seconds),
        cmocka_unit_test(each_time_of_the_watch_has_an_option),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(options_of_other_commands_are_refused),
        cmocka_unit_test(too_few_or_many_arguments_are_refused),
        cmocka_unit_test(help_is_no_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
