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
    static const char data[] = "\x7f\x45LF\0\x01\x02\xff\xfe";
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
        cmocka_unit_test(a_syntax_error_has_file_and_line),
        cmocka_unit_test(a_string_without_end_has_file_and_line),
        cmocka_unit_test(only_the_first_of_several_errors_is_said),
        cmocka_unit_test(binary_data_is_refused_with_a_clean_text),
        cmocka_unit_test(a_list_where_a_string_is_expected_is_an_error),
        cmocka_unit_test(a_string_where_a_list_is_expected_is_an_error),
        cmocka_unit_test(a_list_inside_a_list_is_an_error_with_its_number),
        cmocka_unit_test(each_error_has_its_own_text),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_folder_or_fifo_is_refused_at_once),
        cmocka_unit_test(too_large_a_file_is_refused),
        cmocka_unit_test(freeing_nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
