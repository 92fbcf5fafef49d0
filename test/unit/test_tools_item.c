/* SPDX-License-Identifier: MIT */
/* test_tools_item.c: items of an hcl list, and the list. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "item.h"

static struct hcl_item item(const char *text)
{
    struct hcl_err err = {0};
    struct hcl_item parsed = {0};

    if (hcl_item_parse(&parsed, text, &err) < 0) {
        fail_msg("'%s' was refused: %s", text, err.text);
    }
    return parsed;
}

static void refused(const char *text, const char *expected)
{
    struct hcl_err err = {0};
    struct hcl_item parsed;

    assert_int_equal(hcl_item_parse(&parsed, text, &err), -EINVAL);
    assert_string_equal(err.text, expected);
}

/* ---- One item ---------------------------------------------------------- */

static void a_device_alone_comes_from_dom0(void **state)
{
    struct hcl_item got = item("device=rng0");

    (void)state;
    assert_string_equal(got.device, "rng0");
    assert_string_equal(got.backend, "0");
    assert_int_equal(got.devid, HCL_ITEM_ANY_DEVID);
    assert_string_equal(got.options, "");
}

static void other_keys_are_options_of_the_class(void **state)
{
    struct hcl_item got =
        item("baud=9600, device=gps, backend = io-dom, devid=0x10, x=a b");

    (void)state;
    assert_string_equal(got.device, "gps");
    assert_string_equal(got.backend, "io-dom");
    assert_int_equal(got.devid, 16);
    assert_string_equal(got.options, "baud=9600,x=a b");
}

static void an_item_without_device_is_refused(void **state)
{
    const char *tail = ": expected device=NAME[,backend=DOMAIN][,devid=N]"
                       "[,key=value...]";
    char expected[128];

    (void)state;
    snprintf(expected, sizeof(expected), "'dev=rng0'%s", tail);
    refused("dev=rng0", expected);
    snprintf(expected, sizeof(expected), "''%s", tail);
    refused("", expected);
}

static void a_bad_device_backend_or_devid_is_refused(void **state)
{
    char text[200] = "device=a,backend=";

    (void)state;
    refused("device=a/b", "device='a/b': expected 1 to 31 letters, digits, "
                          "'_', '.', '-'");
    refused("device=", "device='': expected 1 to 31 letters, digits, '_', "
                       "'.', '-'");
    refused("device=a,backend=", "backend='': expected the name or id of a "
                                 "domain");
    memset(text + strlen(text), 'b', HCL_ITEM_BACKEND);
    assert_true(strlen(text) == 17 + HCL_ITEM_BACKEND);
    assert_int_equal(hcl_item_parse(&(struct hcl_item){0}, text, NULL),
                     -EINVAL);
    refused("device=a,devid=65536", "devid='65536': expected a number from 0 "
                                    "to 65535");
    refused("device=a,devid=-1", "devid='-1': expected a number from 0 to "
                                 "65535");
}

static void what_spec_refuses_is_refused(void **state)
{
    (void)state;
    refused("rng0", "'rng0': expected key=value");
    refused("device=a,device=b", "device='b': expected the key 'device' only "
                                 "once");
}

/* With backend and devid added it must still be a spec. */
static void the_longest_item_can_be_written_and_read_again(void **state)
{
    char text[HCL_SPEC_BYTES] = "device=a,x=", buf[HCL_SPEC_BYTES];
    struct hcl_item longest, again;
    size_t used = strlen(text);

    (void)state;
    memset(text + used, 'y', HCL_ITEM_OPTIONS - 3);
    longest = item(text);
    memset(longest.device, 'd', HCL_ITEM_DEVICE - 1);
    longest.device[HCL_ITEM_DEVICE - 1] = '\0';
    memset(longest.backend, 'b', HCL_ITEM_BACKEND - 1);
    longest.backend[HCL_ITEM_BACKEND - 1] = '\0';
    longest.devid = HCL_ITEM_MAX_DEVID;
    hcl_item_format(&longest, buf, sizeof(buf));
    again = item(buf);
    assert_string_equal(again.device, longest.device);
    assert_string_equal(again.backend, longest.backend);
    assert_int_equal(again.devid, longest.devid);
    assert_string_equal(again.options, longest.options);
    text[used + HCL_ITEM_OPTIONS - 3] = 'y';
    refused(text, "device='a': expected at most 895 characters of options");
}

static void an_item_without_devid_is_written_without(void **state)
{
    struct hcl_item got = item("device=a,k=v");
    char buf[HCL_SPEC_BYTES];

    (void)state;
    hcl_item_format(&got, buf, sizeof(buf));
    assert_string_equal(buf, "device=a,backend=0,k=v");
}

/* ---- The list ---------------------------------------------------------- */

static void put(struct hcl_items *items, const char *text)
{
    struct hcl_item one = item(text);

    assert_int_equal(hcl_items_put(items, &one, NULL), 0);
}

static void putting_a_device_again_replaces_it(void **state)
{
    struct hcl_items items = {NULL, 0};

    (void)state;
    put(&items, "device=a,devid=1");
    put(&items, "device=b,devid=2");
    put(&items, "device=a,devid=3");
    assert_int_equal(items.count, 2);
    assert_int_equal(hcl_items_find(&items, "a")->devid, 3);
    hcl_items_clear(&items);
    assert_int_equal(items.count, 0);
}

static void dropping_keeps_the_others_in_order(void **state)
{
    struct hcl_items items = {NULL, 0};

    (void)state;
    put(&items, "device=a");
    put(&items, "device=b");
    put(&items, "device=c");
    assert_true(hcl_items_drop(&items, "b"));
    assert_false(hcl_items_drop(&items, "b"));
    assert_int_equal(items.count, 2);
    assert_string_equal(items.item[0].device, "a");
    assert_string_equal(items.item[1].device, "c");
    assert_null(hcl_items_find(&items, "b"));
    hcl_items_clear(&items);
}

static void too_many_devices_are_refused(void **state)
{
    struct hcl_items items = {NULL, 0};
    struct hcl_err err = {0};
    struct hcl_item one = item("device=x");
    unsigned int i;

    (void)state;
    for (i = 0; i < HCL_ITEMS_MAX; i++) {
        snprintf(one.device, sizeof(one.device), "d%u", i);
        assert_int_equal(hcl_items_put(&items, &one, &err), 0);
    }
    strcpy(one.device, "more");
    assert_int_equal(hcl_items_put(&items, &one, &err), -E2BIG);
    assert_string_equal(err.text, "more: a guest has at most 256 devices");
    hcl_items_clear(&items);
}

static void numbering_leaves_out_what_is_taken(void **state)
{
    struct hcl_items items = {NULL, 0};

    (void)state;
    put(&items, "device=a");
    put(&items, "device=b,devid=1");
    put(&items, "device=c");
    put(&items, "device=d,devid=0");
    hcl_items_number(&items);
    assert_int_equal(items.item[0].devid, 2);
    assert_int_equal(items.item[1].devid, 1);
    assert_int_equal(items.item[2].devid, 3);
    assert_int_equal(items.item[3].devid, 0);
    hcl_items_clear(&items);
}

/* ---- Out of a configuration -------------------------------------------- */

static char complaints[1024];

static void complain(void *arg, const char *text)
{
    assert_ptr_equal(arg, complaints);
    strcat(complaints, text);
    strcat(complaints, "\n");
}

static int load(struct hcl_items *items, const char *text, struct hcl_err *err)
{
    struct hcl_config *config;
    int ret;

    complaints[0] = '\0';
    assert_int_equal(hcl_config_parse(&config, "u.cfg", text,
                                      (unsigned int)strlen(text), err),
                     0);
    ret = hcl_items_load(items, config, complain, complaints, err);
    hcl_config_free(config);
    return ret;
}

static void bad_items_are_told_and_the_others_taken(void **state)
{
    struct hcl_items items = {NULL, 0};
    struct hcl_err err = {0};

    (void)state;
    assert_int_equal(load(&items,
                          "hcl = [ 'device=a', 'b', 'device=a,devid=9',\n"
                          "  'device=c,devid=3', 'device=d,devid=3',\n"
                          "  'device=e' ]\n",
                          &err),
                     3);
    assert_int_equal(items.count, 3);
    assert_string_equal(items.item[2].device, "e");
    assert_string_equal(complaints,
                        "hcl item 2: 'b': expected key=value\n"
                        "hcl item 3: device 'a' stands in the list already\n"
                        "hcl item 5: devid 3 stands in the list already\n");
    hcl_items_clear(&items);
}

static void a_configuration_without_hcl_has_no_items(void **state)
{
    struct hcl_items items = {NULL, 0};
    struct hcl_err err = {0};

    (void)state;
    assert_int_equal(load(&items, "name = 'x'\n", &err), 0);
    assert_int_equal(items.count, 0);
}

static void hcl_that_is_no_list_is_an_error(void **state)
{
    struct hcl_items items = {NULL, 0};
    struct hcl_err err = {0};

    (void)state;
    assert_int_equal(load(&items, "hcl = 'device=a'\n", &err), -EINVAL);
    assert_string_equal(err.text, "u.cfg:1: warning: parameter `hcl' is a "
                                  "single value but should be a list");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_alone_comes_from_dom0),
        cmocka_unit_test(other_keys_are_options_of_the_class),
        cmocka_unit_test(an_item_without_device_is_refused),
        cmocka_unit_test(a_bad_device_backend_or_devid_is_refused),
        cmocka_unit_test(what_spec_refuses_is_refused),
        cmocka_unit_test(the_longest_item_can_be_written_and_read_again),
        cmocka_unit_test(an_item_without_devid_is_written_without),
        cmocka_unit_test(putting_a_device_again_replaces_it),
        cmocka_unit_test(dropping_keeps_the_others_in_order),
        cmocka_unit_test(too_many_devices_are_refused),
        cmocka_unit_test(numbering_leaves_out_what_is_taken),
        cmocka_unit_test(bad_items_are_told_and_the_others_taken),
        cmocka_unit_test(a_configuration_without_hcl_has_no_items),
        cmocka_unit_test(hcl_that_is_no_list_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
