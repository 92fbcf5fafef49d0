/* SPDX-License-Identifier: MIT */
/* test_config.c: files in xl's syntax, and every mistake in them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "settings.h"

static struct hcl_config *parsed(const char *text)
{
    struct hcl_err err = {0};
    struct hcl_config *config = NULL;

    if (hcl_config_parse(&config, "x.cfg", text, (unsigned int)strlen(text),
                         &err) < 0) {
        fail_msg("refused: %s", err.text);
    }
    return config;
}

static void refused(const char *text, const char *expected)
{
    struct hcl_err err = {0};
    struct hcl_config *config = NULL;

    assert_int_equal(hcl_config_parse(&config, "x.cfg", text,
                                      (unsigned int)strlen(text), &err),
                     -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.text, expected);
    assert_null(config);
}

/* A file of @text in the temporary folder; its path in @path. */
static void make_file(char *path, const char *text, size_t bytes)
{
    int fd;

    strcpy(path, "/tmp/hcl-test-config-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, bytes), bytes);
    close(fd);
}

static void strings_and_numbers_are_read_as_text(void **state)
{
    struct hcl_config *config =
        parsed("name = \"g 1\" # a comment\nmemory = 192;x = 0x10\n");
    struct hcl_err err;
    const char *value;

    (void)state;
    assert_int_equal(hcl_config_string(config, "name", &value, &err), 0);
    assert_string_equal(value, "g 1");
    assert_int_equal(hcl_config_string(config, "memory", &value, &err), 0);
    assert_string_equal(value, "192");
    assert_int_equal(hcl_config_string(config, "x", &value, &err), 0);
    assert_string_equal(value, "0x10");
    hcl_config_free(config);
}

static void a_missing_string_is_null(void **state)
{
    struct hcl_config *config = parsed("");
    struct hcl_err err;
    const char *value = "set";

    (void)state;
    assert_int_equal(hcl_config_string(config, "name", &value, &err), 0);
    assert_null(value);
    hcl_config_free(config);
}

static void a_list_is_read_in_order(void **state)
{
    struct hcl_config *config =
        parsed("hcl = [ \"device=a,x=1\",\n  'device=b',\n]\n");
    struct hcl_err err;
    const char **items;
    unsigned int count;

    (void)state;
    assert_int_equal(hcl_config_list(config, "hcl", &items, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(items[0], "device=a,x=1");
    assert_string_equal(items[1], "device=b");
    free(items);
    hcl_config_free(config);
}

static void lists_add_up_and_the_last_assignment_counts(void **state)
{
    struct hcl_config *config =
        parsed("hcl = ['a']\nhcl += ['b']\nname = '1'\nname = '2'\n");
    struct hcl_err err;
    const char **items, *value;
    unsigned int count;

    (void)state;
    assert_int_equal(hcl_config_list(config, "hcl", &items, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(items[1], "b");
    free(items);
    assert_int_equal(hcl_config_string(config, "name", &value, &err), 0);
    assert_string_equal(value, "2");
    hcl_config_free(config);
}

static void missing_and_empty_lists_have_no_items(void **state)
{
    struct hcl_config *config = parsed("empty = []\n");
    struct hcl_err err;
    const char **items;
    unsigned int count = 7;

    (void)state;
    assert_int_equal(hcl_config_list(config, "hcl", &items, &count, &err), 0);
    assert_int_equal(count, 0);
    free(items);
    count = 7;
    assert_int_equal(hcl_config_list(config, "empty", &items, &count, &err), 0);
    assert_int_equal(count, 0);
    free(items);
    hcl_config_free(config);
}

static void numbers_are_decimal_or_hex_and_have_a_default(void **state)
{
    struct hcl_config *config = parsed("a = 192\nb = 0x10\nc = '7'\n");
    struct hcl_err err;
    uint32_t value = 0;

    (void)state;
    assert_int_equal(hcl_config_u32(config, "a", 1, 192, 5, &value, &err), 0);
    assert_int_equal(value, 192);
    assert_int_equal(hcl_config_u32(config, "b", 1, 99, 5, &value, &err), 0);
    assert_int_equal(value, 16);
    assert_int_equal(hcl_config_u32(config, "c", 7, 99, 5, &value, &err), 0);
    assert_int_equal(value, 7);
    assert_int_equal(hcl_config_u32(config, "d", 1, 99, 5, &value, &err), 0);
    assert_int_equal(value, 5);
    hcl_config_free(config);
}

/* ---- Mistakes ---------------------------------------------------------- */

static void a_syntax_error_has_file_and_line(void **state)
{
    (void)state;
    refused("name = \"a\"\n\nhcl = device\n",
            "x.cfg:3: config parsing error near `device': syntax error, "
            "unexpected IDENT, expecting STRING or NUMBER or '['");
}

static void a_string_without_end_has_file_and_line(void **state)
{
    (void)state;
    refused("a = 1\nname = \"a\n",
            "x.cfg:2: config parsing error near `\"a': lexical error");
}

static void only_the_first_of_several_errors_is_said(void **state)
{
    (void)state;
    refused("import os\ndef x():\n  return 1\n",
            "x.cfg:1: config parsing error near `os': syntax error, unexpected "
            "IDENT, expecting += or '='");
}

static void binary_data_is_refused_with_a_clean_text(void **state)
{
    static const char data[] = "\x7f\x45LF\x03\x01\x02\xff\xfe";
    struct hcl_err err = {0};
    struct hcl_config *config = NULL;
    const char *c;

    (void)state;
    assert_int_equal(
        hcl_config_parse(&config, "x.cfg", data, sizeof(data) - 1, &err),
        -EINVAL);
    assert_memory_equal(err.text, "x.cfg:1: ", 9);
    for (c = err.text; *c; c++) {
        assert_in_range(*c, 0x20, 0x7e);
    }
}

/* libxlutil would end the program. */
static void a_nul_in_a_string_is_refused(void **state)
{
    static const char text[] = "name = \"g\0\"\n";
    struct hcl_err err = {0};
    struct hcl_config *config = NULL;

    (void)state;
    assert_int_equal(
        hcl_config_parse(&config, "x.cfg", text, sizeof(text) - 1, &err),
        -EINVAL);
    assert_string_equal(err.text, "x.cfg: has a NUL byte, expected text");
    assert_null(config);
}

static void a_list_where_a_string_is_expected_is_an_error(void **state)
{
    struct hcl_config *config = parsed("a = 1\nname = [\"a\"]\n");
    struct hcl_err err = {0};
    const char *value = "kept";

    (void)state;
    assert_int_equal(hcl_config_string(config, "name", &value, &err), -EINVAL);
    assert_string_equal(err.text, "x.cfg:2: warning: parameter `name' is a "
                                  "list but should be a single value");
    assert_string_equal(value, "kept");
    hcl_config_free(config);
}

static void a_string_where_a_list_is_expected_is_an_error(void **state)
{
    struct hcl_config *config = parsed("hcl = \"device=a\"\n");
    struct hcl_err err = {0};
    const char **items = NULL;
    unsigned int count = 7;

    (void)state;
    assert_int_equal(hcl_config_list(config, "hcl", &items, &count, &err),
                     -EINVAL);
    assert_string_equal(err.text, "x.cfg:1: warning: parameter `hcl' is a "
                                  "single value but should be a list");
    assert_null(items);
    assert_int_equal(count, 7);
    hcl_config_free(config);
}

static void a_list_inside_a_list_is_an_error_with_its_number(void **state)
{
    struct hcl_config *config = parsed("hcl = [ \"a\", [ \"b\" ] ]\n");
    struct hcl_err err = {0};
    const char **items;
    unsigned int count;

    (void)state;
    assert_int_equal(hcl_config_list(config, "hcl", &items, &count, &err),
                     -EINVAL);
    assert_string_equal(err.text, "x.cfg: item 2 of hcl is a list, expected a "
                                  "string in quotes");
    hcl_config_free(config);
}

/* The report of one question must not appear in the answer to the next. */
static void each_error_has_its_own_text(void **state)
{
    struct hcl_config *config = parsed("a_very_long_name = []\nb = []\n");
    struct hcl_err err = {0};
    const char *value;

    (void)state;
    assert_int_equal(
        hcl_config_string(config, "a_very_long_name", &value, &err), -EINVAL);
    assert_int_equal(hcl_config_string(config, "b", &value, &err), -EINVAL);
    assert_string_equal(err.text, "x.cfg:2: warning: parameter `b' is a list "
                                  "but should be a single value");
    hcl_config_free(config);
}

static void what_is_no_number_in_range_is_an_error(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"n = 0", "x.cfg: n = 0: expected a number from 1 to 9"},
        {"n = 10", "x.cfg: n = 10: expected a number from 1 to 9"},
        {"n = '4294967297'", "x.cfg: n = 4294967297: expected a number"},
        {"n = 'five'", "x.cfg: n = five: expected a number from 1 to 9"},
        {"n = ''", "x.cfg: n = : expected a number from 1 to 9"},
        {"n = [ '5' ]", "x.cfg:1: warning: parameter `n' is a list"},
    };
    struct hcl_config *config;
    struct hcl_err err = {0};
    uint32_t value = 3;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        config = parsed(cases[i].text);
        assert_int_equal(hcl_config_u32(config, "n", 1, 9, 5, &value, &err),
                         -EINVAL);
        if (strncmp(err.text, cases[i].said, strlen(cases[i].said)) != 0) {
            fail_msg("'%s', not '%s'", err.text, cases[i].said);
        }
        assert_int_equal(value, 3);
        hcl_config_free(config);
    }
}

/* ---- Settings of hcl.conf ---------------------------------------------- */

static void without_settings_the_defaults_count(void **state)
{
    static const struct hcl_settings defaults = HCL_SETTINGS_DEFAULTS;
    struct hcl_config *config = parsed("");
    struct hcl_settings settings;

    (void)state;
    assert_int_equal(hcl_settings_load(&settings, config, NULL), 0);
    assert_memory_equal(&settings, &defaults, sizeof(settings));
    assert_int_equal(settings.restart_backoff_ms, 100);
    assert_int_equal(settings.retry_backoff_ms, 1000);
    assert_int_equal(settings.max_backoff_ms, 10000);
    assert_int_equal(settings.stop_timeout_ms, 5000);
    assert_int_equal(settings.kill_timeout_ms, 2000);
    assert_int_equal(settings.hotplug_timeout_ms, 60000);
    assert_int_equal(settings.connect_burst, 10);
    assert_int_equal(settings.connect_interval_ms, 500);
    hcl_config_free(config);
}

static void each_setting_has_a_key(void **state)
{
    struct hcl_config *config =
        parsed("restart_backoff_ms = 1\nretry_backoff_ms = 2\n"
               "max_backoff_ms = 3\nstop_timeout_ms = 4\n"
               "kill_timeout_ms = 5\nhotplug_timeout_ms = 6\n"
               "connect_burst = 7\nconnect_interval_ms = 0\n");
    struct hcl_settings settings;

    (void)state;
    assert_int_equal(hcl_settings_load(&settings, config, NULL), 0);
    assert_int_equal(settings.restart_backoff_ms, 1);
    assert_int_equal(settings.retry_backoff_ms, 2);
    assert_int_equal(settings.max_backoff_ms, 3);
    assert_int_equal(settings.stop_timeout_ms, 4);
    assert_int_equal(settings.kill_timeout_ms, 5);
    assert_int_equal(settings.hotplug_timeout_ms, 6);
    assert_int_equal(settings.connect_burst, 7);
    assert_int_equal(settings.connect_interval_ms, 0);
    hcl_config_free(config);
}

static void a_setting_out_of_range_is_an_error(void **state)
{
    static const char *const texts[] = {
        "restart_backoff_ms = 0",
        "retry_backoff_ms = 0",
        "max_backoff_ms = 0",
        "stop_timeout_ms = 0",
        "kill_timeout_ms = 3600001",
        "hotplug_timeout_ms = 0",
        "connect_burst = 0",
        "connect_burst = 1000001",
        "connect_interval_ms = 3600001",
    };
    struct hcl_settings settings;
    struct hcl_config *config;
    struct hcl_err err = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        config = parsed(texts[i]);
        assert_int_equal(hcl_settings_load(&settings, config, &err), -EINVAL);
        assert_non_null(strstr(err.text, texts[i]));
        hcl_config_free(config);
    }
}

/* ---- Files ------------------------------------------------------------- */

static void a_file_is_read(void **state)
{
    struct hcl_err err = {0};
    struct hcl_config *config;
    const char *value;
    char path[64];

    (void)state;
    make_file(path, "name = 'a'", 10);
    assert_int_equal(hcl_config_load(&config, path, &err), 0);
    assert_int_equal(hcl_config_string(config, "name", &value, &err), 0);
    assert_string_equal(value, "a");
    hcl_config_free(config);
    unlink(path);
}

static void a_missing_file_is_named(void **state)
{
    struct hcl_err err = {0};
    struct hcl_config *config;

    (void)state;
    assert_int_equal(hcl_config_load(&config, "/nonexistent/x.cfg", &err),
                     -ENOENT);
    assert_string_equal(err.text, "cannot open /nonexistent/x.cfg: No such "
                                  "file or directory");
}

static void a_folder_or_fifo_is_refused_at_once(void **state)
{
    struct hcl_err err = {0};
    struct hcl_config *config;
    char path[64];

    (void)state;
    assert_int_equal(hcl_config_load(&config, "/tmp", &err), -EINVAL);
    assert_string_equal(err.text, "/tmp: is not a regular file");
    make_file(path, "", 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(hcl_config_load(&config, path, &err), -EINVAL);
    unlink(path);
}

static void too_large_a_file_is_refused(void **state)
{
    size_t bytes = (1u << 20) + 1;
    char *text = malloc(bytes), path[64];
    struct hcl_err err = {0};
    struct hcl_config *config;

    (void)state;
    assert_non_null(text);
    memset(text, '\n', bytes);
    make_file(path, text, bytes);
    assert_int_equal(hcl_config_load(&config, path, &err), -EFBIG);
    assert_non_null(strstr(err.text, "has more than 1048576 bytes"));
    unlink(path);
    make_file(path, text, bytes - 1);
    assert_int_equal(hcl_config_load(&config, path, &err), 0);
    hcl_config_free(config);
    unlink(path);
    free(text);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    hcl_config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_and_numbers_are_read_as_text),
        cmocka_unit_test(a_missing_string_is_null),
        cmocka_unit_test(a_list_is_read_in_order),
        cmocka_unit_test(lists_add_up_and_the_last_assignment_counts),
        cmocka_unit_test(missing_and_empty_lists_have_no_items),
        cmocka_unit_test(numbers_are_decimal_or_hex_and_have_a_default),
        cmocka_unit_test(a_syntax_error_has_file_and_line),
        cmocka_unit_test(a_string_without_end_has_file_and_line),
        cmocka_unit_test(only_the_first_of_several_errors_is_said),
        cmocka_unit_test(binary_data_is_refused_with_a_clean_text),
        cmocka_unit_test(a_nul_in_a_string_is_refused),
        cmocka_unit_test(a_list_where_a_string_is_expected_is_an_error),
        cmocka_unit_test(a_string_where_a_list_is_expected_is_an_error),
        cmocka_unit_test(a_list_inside_a_list_is_an_error_with_its_number),
        cmocka_unit_test(each_error_has_its_own_text),
        cmocka_unit_test(what_is_no_number_in_range_is_an_error),
        cmocka_unit_test(without_settings_the_defaults_count),
        cmocka_unit_test(each_setting_has_a_key),
        cmocka_unit_test(a_setting_out_of_range_is_an_error),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_folder_or_fifo_is_refused_at_once),
        cmocka_unit_test(too_large_a_file_is_refused),
        cmocka_unit_test(freeing_nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
