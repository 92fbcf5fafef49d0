/* SPDX-License-Identifier: MIT */
/* err.c, and log.c with standard error turned into a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "log.h"

/* The clock of log.c: the library's is replaced, so no test depends on time. */
static time_t fake_seconds = 1000;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    now->tv_sec = fake_seconds;
    now->tv_nsec = 0;
    return 0;
}

/* ---- err --------------------------------------------------------------- */

static void set_fills_code_and_text_and_returns_the_code(void **state)
{
    struct hcl_err err;

    (void)state;
    assert_int_equal(hcl_err_set(&err, -EBADMSG, "ref %u of %s", 7u, "vm"),
                     -EBADMSG);
    assert_int_equal(err.code, -EBADMSG);
    assert_string_equal(err.text, "ref 7 of vm");
}

static void set_without_a_place_returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(hcl_err_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(hcl_err_sys(NULL, -EIO, "x"), -EIO);
}

static void set_replaces_what_stood_there(void **state)
{
    struct hcl_err err;

    (void)state;
    hcl_err_set(&err, -EIO, "a long first text");
    hcl_err_set(&err, -ENOENT, "short");
    assert_int_equal(err.code, -ENOENT);
    assert_string_equal(err.text, "short");
}

static void set_cuts_a_long_text_and_ends_it(void **state)
{
    struct hcl_err err;
    char text[2 * HCL_ERR_TEXT];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    hcl_err_set(&err, -EIO, "%s", text);
    assert_int_equal(strlen(err.text), HCL_ERR_TEXT - 1);
}

static void set_cleans_what_a_peer_wrote(void **state)
{
    struct hcl_err err;

    (void)state;
    hcl_err_set(&err, -EIO, "%s", "a\nb\x1b[2J\xff");
    assert_string_equal(err.text, "a?b?[2J?");
}

static void sys_appends_the_text_of_the_system(void **state)
{
    struct hcl_err err;
    char expected[HCL_ERR_TEXT];

    (void)state;
    snprintf(expected, sizeof(expected), "open x: %s", strerror(ENOENT));
    assert_int_equal(hcl_err_sys(&err, -ENOENT, "open %s", "x"), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_string_equal(err.text, expected);
}

static void prefix_stands_before_the_text(void **state)
{
    struct hcl_err err;

    (void)state;
    hcl_err_set(&err, -EPERM, "no");
    assert_int_equal(hcl_err_prefix(&err, "device %s", "rng0"), -EPERM);
    assert_int_equal(err.code, -EPERM);
    assert_string_equal(err.text, "device rng0: no");
}

static void prefix_may_quote_the_text_it_precedes(void **state)
{
    struct hcl_err err;

    (void)state;
    hcl_err_set(&err, -EPERM, "no");
    hcl_err_prefix(&err, "<%s>", err.text);
    assert_string_equal(err.text, "<no>: no");
}

static void prefix_cuts_a_long_text_and_ends_it(void **state)
{
    struct hcl_err err;
    char text[HCL_ERR_TEXT];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    hcl_err_set(&err, -EIO, "%s", text);
    hcl_err_prefix(&err, "ab");
    assert_int_equal(strlen(err.text), HCL_ERR_TEXT - 1);
    assert_memory_equal(err.text, "ab: xxx", 7);
}

static void clean_replaces_each_unprintable_byte(void **state)
{
    char text[256], expected[256];
    int i;

    (void)state;
    for (i = 1; i < 256; i++) {
        text[i - 1] = (char)i;
        expected[i - 1] = (char)(i >= 0x20 && i <= 0x7e ? i : '?');
    }
    text[255] = expected[255] = '\0';
    hcl_text_clean(text);
    assert_string_equal(text, expected);
}

static void clean_takes_an_empty_text(void **state)
{
    char text[2] = {'\0', '\n'};

    (void)state;
    hcl_text_clean(text);
    assert_int_equal(text[1], '\n');
}

/* ---- log --------------------------------------------------------------- */

static int saved_stderr, capture;

/* From here to captured() standard error goes to a pipe. */
static void capture_begin(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    capture = ends[0];
}

/* Gives standard error back; what was printed, of at most 64 KiB. */
static const char *captured(void)
{
    static char text[65536];
    size_t used = 0;
    ssize_t got;

    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    while ((got = read(capture, text + used, sizeof(text) - 1 - used)) > 0) {
        used += (size_t)got;
    }
    close(capture);
    text[used] = '\0';
    return text;
}

static void log_prints_prefix_level_and_text(void **state)
{
    (void)state;
    hcl_log_init("hcl-test", HCL_LOG_DEBUG);
    capture_begin();
    hcl_log(HCL_LOG_ERROR, "a %d", 1);
    hcl_log(HCL_LOG_WARNING, "b");
    hcl_log(HCL_LOG_INFO, "c");
    hcl_log(HCL_LOG_DEBUG, "d");
    assert_string_equal(captured(), "hcl-test: error: a 1\n"
                                    "hcl-test: warning: b\n"
                                    "hcl-test: c\n"
                                    "hcl-test: debug: d\n");
}

static void log_leaves_out_what_is_above_the_highest_level(void **state)
{
    (void)state;
    hcl_log_init("p", HCL_LOG_WARNING);
    capture_begin();
    hcl_log(HCL_LOG_DEBUG, "d");
    hcl_log(HCL_LOG_INFO, "c");
    hcl_log(HCL_LOG_WARNING, "b");
    assert_string_equal(captured(), "p: warning: b\n");
}

static void log_copies_the_prefix(void **state)
{
    char prefix[] = "before";

    (void)state;
    hcl_log_init(prefix, HCL_LOG_INFO);
    memset(prefix, 'x', sizeof(prefix) - 1);
    capture_begin();
    hcl_log(HCL_LOG_INFO, "t");
    assert_string_equal(captured(), "before: t\n");
}

static void log_is_one_line_whatever_the_text(void **state)
{
    (void)state;
    hcl_log_init("p", HCL_LOG_INFO);
    capture_begin();
    hcl_log(HCL_LOG_INFO, "%s", "guest\np: error: forged\r\x1b[0m");
    assert_string_equal(captured(), "p: guest?p: error: forged??[0m\n");
}

static void log_cuts_a_line_at_1023_bytes_with_its_newline(void **state)
{
    char text[3000];
    const char *line;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    hcl_log_init("p", HCL_LOG_INFO);
    capture_begin();
    hcl_log(HCL_LOG_INFO, "%s", text);
    line = captured();
    assert_int_equal(strlen(line), 1023);
    assert_ptr_equal(strchr(line, '\n'), line + 1022);
}

/* Lines of @text. */
static unsigned int count_lines(const char *text)
{
    unsigned int lines = 0;

    for (; *text; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void try_lines(struct hcl_log_limit *limit, unsigned int count)
{
    while (count-- > 0) {
        hcl_log_limited(limit, HCL_LOG_WARNING, "flood");
    }
}

/* Prints the ten lines of a fresh limit. */
static void use_up(struct hcl_log_limit *limit)
{
    hcl_log_init("p", HCL_LOG_INFO);
    capture_begin();
    try_lines(limit, 10);
    captured();
}

static void limited_lets_ten_lines_through_at_once(void **state)
{
    struct hcl_log_limit limit = {0};

    (void)state;
    hcl_log_init("p", HCL_LOG_INFO);
    capture_begin();
    try_lines(&limit, 10);
    assert_int_equal(count_lines(captured()), 10);
    assert_int_equal(limit.suppressed, 0);
}

static void limited_suppresses_and_counts_the_rest(void **state)
{
    struct hcl_log_limit limit = {0};

    (void)state;
    use_up(&limit);
    capture_begin();
    try_lines(&limit, 3);
    assert_string_equal(captured(), "");
    assert_int_equal(limit.suppressed, 3);
}

static void limited_lets_one_line_through_after_a_second(void **state)
{
    struct hcl_log_limit limit = {0};

    (void)state;
    use_up(&limit);
    fake_seconds += 1;
    capture_begin();
    try_lines(&limit, 2);
    assert_string_equal(captured(), "p: warning: flood\n");
    assert_int_equal(limit.suppressed, 1);
}

static void limited_says_how_many_lines_it_left_out(void **state)
{
    struct hcl_log_limit limit = {0};

    (void)state;
    use_up(&limit);
    capture_begin();
    try_lines(&limit, 4);
    fake_seconds += 2;
    try_lines(&limit, 2);
    assert_string_equal(
        captured(), "p: warning: (4 lines like the next one were left out)\n"
                    "p: warning: flood\n"
                    "p: warning: flood\n");
    assert_int_equal(limit.suppressed, 0);
}

static void limited_never_saves_more_than_ten_lines(void **state)
{
    struct hcl_log_limit limit = {0};

    (void)state;
    use_up(&limit);
    fake_seconds += 1000;
    capture_begin();
    try_lines(&limit, 30);
    assert_int_equal(count_lines(captured()), 10);
    assert_int_equal(limit.suppressed, 20);
}

static void limited_does_not_count_a_level_that_is_off(void **state)
{
    struct hcl_log_limit limit = {0};

    (void)state;
    use_up(&limit);
    capture_begin();
    hcl_log_limited(&limit, HCL_LOG_DEBUG, "x");
    assert_string_equal(captured(), "");
    assert_int_equal(limit.suppressed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_code_and_text_and_returns_the_code),
        cmocka_unit_test(set_without_a_place_returns_the_code),
        cmocka_unit_test(set_replaces_what_stood_there),
        cmocka_unit_test(set_cuts_a_long_text_and_ends_it),
        cmocka_unit_test(set_cleans_what_a_peer_wrote),
        cmocka_unit_test(sys_appends_the_text_of_the_system),
        cmocka_unit_test(prefix_stands_before_the_text),
        cmocka_unit_test(prefix_may_quote_the_text_it_precedes),
        cmocka_unit_test(prefix_cuts_a_long_text_and_ends_it),
        cmocka_unit_test(clean_replaces_each_unprintable_byte),
        cmocka_unit_test(clean_takes_an_empty_text),
        cmocka_unit_test(log_prints_prefix_level_and_text),
        cmocka_unit_test(log_leaves_out_what_is_above_the_highest_level),
        cmocka_unit_test(log_copies_the_prefix),
        cmocka_unit_test(log_is_one_line_whatever_the_text),
        cmocka_unit_test(log_cuts_a_line_at_1023_bytes_with_its_newline),
        cmocka_unit_test(limited_lets_ten_lines_through_at_once),
        cmocka_unit_test(limited_suppresses_and_counts_the_rest),
        cmocka_unit_test(limited_lets_one_line_through_after_a_second),
        cmocka_unit_test(limited_says_how_many_lines_it_left_out),
        cmocka_unit_test(limited_never_saves_more_than_ten_lines),
        cmocka_unit_test(limited_does_not_count_a_level_that_is_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
