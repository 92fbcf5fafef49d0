/* SPDX-License-Identifier: MIT */
/* test_spec.c: "key=value,key=value" and every mistake in it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spec.h"

static void parse(struct hcl_spec *spec, const char *text)
{
    struct hcl_err err = {0};

    memset(spec, 0xa5, sizeof(*spec));
    if (hcl_spec_parse(spec, text, &err) < 0) {
        fail_msg("'%s' was refused: %s", text, err.text);
    }
}

static unsigned int count_of(const char *text)
{
    struct hcl_spec spec;

    parse(&spec, text);
    return spec.count;
}

/* Parsing @text fails, says @expected, and changes nothing. */
static void refused(const char *text, const char *expected)
{
    struct hcl_err err = {0};
    struct hcl_spec spec, before;

    memset(&spec, 0xa5, sizeof(spec));
    before = spec;
    assert_int_equal(hcl_spec_parse(&spec, text, &err), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.text, expected);
    assert_memory_equal(&spec, &before, sizeof(spec));
}

/* The values point into the spec that was filled, not into one that is gone. */
static void keys_and_values_are_found(void **state)
{
    struct hcl_spec spec;

    (void)state;
    parse(&spec, "name=gps,path=/dev/ttyS1,baud=9600");
    assert_int_equal(spec.count, 3);
    assert_string_equal(hcl_spec_get(&spec, "name"), "gps");
    assert_string_equal(hcl_spec_get(&spec, "path"), "/dev/ttyS1");
    assert_string_equal(hcl_spec_get(&spec, "baud"), "9600");
    assert_null(hcl_spec_get(&spec, "bau"));
    assert_true(spec.value[2] > spec.text &&
                spec.value[2] < spec.text + sizeof(spec.text));
}

static void blanks_around_keys_and_values_are_dropped(void **state)
{
    struct hcl_spec spec;

    (void)state;
    parse(&spec, " \tname = a b \t, path\t=\t/dev/x ");
    assert_string_equal(hcl_spec_get(&spec, "name"), "a b");
    assert_string_equal(hcl_spec_get(&spec, "path"), "/dev/x");
}

static void nothing_and_blanks_are_an_empty_spec(void **state)
{
    (void)state;
    assert_int_equal(count_of(""), 0);
    assert_int_equal(count_of(" \t "), 0);
}

static void a_value_may_be_empty_and_have_equals_signs(void **state)
{
    struct hcl_spec spec;

    (void)state;
    parse(&spec, "a=,filter=100:7f0=1");
    assert_string_equal(hcl_spec_get(&spec, "a"), "");
    assert_string_equal(hcl_spec_get(&spec, "filter"), "100:7f0=1");
}

static void a_part_without_equals_sign_is_refused(void **state)
{
    (void)state;
    refused("name=a, exclusive ,b=c", "'exclusive': expected key=value");
}

static void an_empty_part_is_refused(void **state)
{
    const char *expected = "nothing between two commas, or after the last "
                           "one: expected key=value";

    (void)state;
    refused("a=1,,b=2", expected);
    refused("a=1,", expected);
    refused(" ,a=1", expected);
}

static void a_key_of_other_characters_is_refused(void **state)
{
    (void)state;
    refused("Name=a", "key 'Name': expected lower-case letters, digits and "
                      "'-'");
    refused("=a", "key '': expected lower-case letters, digits and '-'");
    refused("a b=c", "key 'a b': expected lower-case letters, digits and '-'");
}

static void a_key_that_stands_twice_is_refused(void **state)
{
    (void)state;
    refused("a=1,b=2,a=3", "a='3': expected the key 'a' only once");
}

static void a_control_character_in_a_value_is_refused(void **state)
{
    (void)state;
    refused("a=x\x1b[2J", "a='x?[2J': expected a value without control "
                          "characters");
    refused("a=x\ny", "a='x?y': expected a value without control characters");
}

static void too_long_a_spec_is_refused(void **state)
{
    char text[HCL_SPEC_BYTES + 1];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[1] = '=';
    text[HCL_SPEC_BYTES] = '\0';
    refused(text, "'a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...': expected at "
                  "most 1023 characters");
    text[HCL_SPEC_BYTES - 1] = '\0';
    assert_int_equal(count_of(text), 1);
}

static void too_many_keys_are_refused(void **state)
{
    char text[HCL_SPEC_BYTES] = "";
    unsigned int i;

    (void)state;
    for (i = 0; i < HCL_SPEC_MAX_KEYS; i++) {
        sprintf(text + strlen(text), "%sk%u=%u", i ? "," : "", i, i);
    }
    assert_int_equal(count_of(text), HCL_SPEC_MAX_KEYS);
    strcat(text, ",k32=x");
    refused(text, "k32='x': expected at most 32 keys");
}

/* ---- Numbers ----------------------------------------------------------- */

static void numbers_are_decimal_or_hex(void **state)
{
    struct hcl_err err;
    struct hcl_spec spec;
    uint32_t value;

    (void)state;
    parse(&spec, "a=010,b=0x7F0,c=4294967295,d=0xffffffff");
    assert_int_equal(hcl_spec_get_u32(&spec, "a", 0, 100, 0, &value, &err), 0);
    assert_int_equal(value, 10);
    assert_int_equal(
        hcl_spec_get_u32(&spec, "b", 0, UINT32_MAX, 0, &value, &err), 0);
    assert_int_equal(value, 0x7f0);
    assert_int_equal(
        hcl_spec_get_u32(&spec, "c", 0, UINT32_MAX, 0, &value, &err), 0);
    assert_int_equal(value, UINT32_MAX);
    assert_int_equal(
        hcl_spec_get_u32(&spec, "d", 0, UINT32_MAX, 0, &value, &err), 0);
    assert_int_equal(value, UINT32_MAX);
}

static void a_missing_number_is_the_fallback(void **state)
{
    struct hcl_err err;
    struct hcl_spec spec;
    uint32_t value;

    (void)state;
    parse(&spec, "a=1");
    assert_int_equal(
        hcl_spec_get_u32(&spec, "baud", 50, 100, 9600, &value, &err), 0);
    assert_int_equal(value, 9600);
}

static void what_is_no_number_in_range_is_refused(void **state)
{
    static const char *const bad[] = {
        "",     "x",  "1x",  "-1",         "+1",
        " 1 2", "0x", "0xg", "4294967306", "0x10000000a",
        "1.5",  "9",  "101", "1e1",        "99999999999999999999999999",
    };
    struct hcl_err err = {0};
    struct hcl_spec spec;
    char text[64];
    uint32_t value = 77;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "a=%s", bad[i]);
        parse(&spec, text);
        assert_int_equal(hcl_spec_get_u32(&spec, "a", 10, 100, 0, &value, &err),
                         -EINVAL);
        assert_int_equal(value, 77);
    }
    parse(&spec, "baud=fast");
    assert_int_equal(
        hcl_spec_get_u32(&spec, "baud", 50, 4000000, 0, &value, &err), -EINVAL);
    assert_string_equal(err.text,
                        "baud='fast': expected a number from 50 to 4000000");
}

/* ---- Known keys and the way back --------------------------------------- */

static void an_unknown_key_is_named_with_the_known_ones(void **state)
{
    static const char *const known[] = {"name", "class", NULL};
    static const char *const more[] = {"path", NULL};
    struct hcl_err err = {0};
    struct hcl_spec spec;

    (void)state;
    parse(&spec, "name=a,path=b");
    assert_int_equal(hcl_spec_only(&spec, known, more, &err), 0);
    assert_int_equal(hcl_spec_only(&spec, known, NULL, &err), -EINVAL);
    assert_string_equal(err.text, "unknown key 'path': expected name, class");
    parse(&spec, "pth=b");
    assert_int_equal(hcl_spec_only(&spec, known, more, &err), -EINVAL);
    assert_string_equal(err.text,
                        "unknown key 'pth': expected name, class, path");
}

static void the_formatted_spec_lacks_the_dropped_keys(void **state)
{
    static const char *const drop[] = {"device", "devid", NULL};
    static const char *const none[] = {NULL};
    struct hcl_spec spec;
    char buf[HCL_SPEC_BYTES];

    (void)state;
    parse(&spec, " device = a , x = 1 2 ,devid=3,y=");
    hcl_spec_format_without(&spec, drop, buf, sizeof(buf));
    assert_string_equal(buf, "x=1 2,y=");
    hcl_spec_format_without(&spec, none, buf, sizeof(buf));
    assert_string_equal(buf, "device=a,x=1 2,devid=3,y=");
    parse(&spec, "device=a");
    hcl_spec_format_without(&spec, drop, buf, sizeof(buf));
    assert_string_equal(buf, "");
}

static void a_small_buffer_gets_whole_items_only(void **state)
{
    static const char *const none[] = {NULL};
    struct hcl_spec spec;
    char buf[10];

    (void)state;
    parse(&spec, "a=1,b=2,c=345");
    hcl_spec_format_without(&spec, none, buf, sizeof(buf));
    assert_string_equal(buf, "a=1,b=2");
    parse(&spec, "a=1234567");
    hcl_spec_format_without(&spec, none, buf, sizeof(buf));
    assert_string_equal(buf, "a=1234567"); /* just fits, without a comma */
}

static void names_are_short_and_plain(void **state)
{
    (void)state;
    assert_true(hcl_spec_name_ok("a"));
    assert_true(hcl_spec_name_ok("0"));
    assert_true(hcl_spec_name_ok("Rng-0_a.b"));
    assert_true(hcl_spec_name_ok("1234567890123456789012345678901"));
    assert_false(hcl_spec_name_ok("12345678901234567890123456789012"));
    assert_false(hcl_spec_name_ok(""));
    assert_false(hcl_spec_name_ok("-a"));
    assert_false(hcl_spec_name_ok(".a"));
    assert_false(hcl_spec_name_ok("_a"));
    assert_false(hcl_spec_name_ok("a/b"));
    assert_false(hcl_spec_name_ok("a b"));
    assert_false(hcl_spec_name_ok("a\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_are_found),
        cmocka_unit_test(blanks_around_keys_and_values_are_dropped),
        cmocka_unit_test(nothing_and_blanks_are_an_empty_spec),
        cmocka_unit_test(a_value_may_be_empty_and_have_equals_signs),
        cmocka_unit_test(a_part_without_equals_sign_is_refused),
        cmocka_unit_test(an_empty_part_is_refused),
        cmocka_unit_test(a_key_of_other_characters_is_refused),
        cmocka_unit_test(a_key_that_stands_twice_is_refused),
        cmocka_unit_test(a_control_character_in_a_value_is_refused),
        cmocka_unit_test(too_long_a_spec_is_refused),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(numbers_are_decimal_or_hex),
        cmocka_unit_test(a_missing_number_is_the_fallback),
        cmocka_unit_test(what_is_no_number_in_range_is_refused),
        cmocka_unit_test(an_unknown_key_is_named_with_the_known_ones),
        cmocka_unit_test(the_formatted_spec_lacks_the_dropped_keys),
        cmocka_unit_test(a_small_buffer_gets_whole_items_only),
        cmocka_unit_test(names_are_short_and_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
