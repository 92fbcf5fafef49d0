/* SPDX-License-Identifier: MIT */
/* test_tools_save_file.c: the head of a file that xl save wrote. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "save_file.h"

#define UUID "5ac1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b7"
#define JSON "{ \"c_info\": { \"name\": \"g\", \"uuid\": \"" UUID "\" } }"

struct head {
    char magic[32];
    uint32_t byte_order;
    uint32_t mandatory;
    uint32_t optional;
    uint32_t optional_bytes;
    uint32_t config_bytes;
    char config[256];
};

static char path[64];

static struct head good_head(void)
{
    struct head head = {
        .byte_order = 0x01020304,
        .mandatory = 3,
        .optional_bytes = 4 + sizeof(JSON),
        .config_bytes = sizeof(JSON),
    };

    memcpy(head.magic, "Xen saved domain, xl format\n \0 \r", 32);
    memcpy(head.config, JSON, sizeof(JSON));
    return head;
}

static int read_back(const struct head *head, size_t bytes, char *uuid,
                     struct hcl_err *err)
{
    int fd, ret;

    strcpy(path, "/tmp/hcl-test-save-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, head, bytes), bytes);
    close(fd);
    ret = hcl_save_file_uuid(path, uuid, err);
    unlink(path);
    return ret;
}

static void expect_refused(const struct head *head, size_t bytes)
{
    struct hcl_err err = {0};
    char uuid[HCL_GUEST_UUID];

    assert_int_equal(read_back(head, bytes, uuid, &err), -EINVAL);
    assert_non_null(strstr(err.text, "expected a file that xl save wrote"));
}

static void the_uuid_is_in_the_configuration(void **state)
{
    struct head head = good_head();
    struct hcl_err err = {0};
    char uuid[HCL_GUEST_UUID];

    (void)state;
    assert_int_equal(read_back(&head, sizeof(head), uuid, &err), 0);
    assert_string_equal(uuid, UUID);
}

static void another_file_is_refused(void **state)
{
    struct head head = good_head();

    (void)state;
    head.magic[0] = 'x';
    expect_refused(&head, sizeof(head));
    head = good_head();
    head.byte_order = 0x04030201;
    expect_refused(&head, sizeof(head));
    head = good_head();
    head.mandatory = 2;
    expect_refused(&head, sizeof(head));
    expect_refused(&head, 0);
    expect_refused(&head, 40);
}

static void wrong_lengths_are_refused(void **state)
{
    struct head head = good_head();

    (void)state;
    head.optional_bytes = 3;
    expect_refused(&head, sizeof(head));
    head = good_head();
    head.config_bytes = head.optional_bytes;
    expect_refused(&head, sizeof(head));
    head = good_head();
    head.optional_bytes = 0xffffffff;
    head.config_bytes = 0xfffffff0;
    expect_refused(&head, sizeof(head));
    head = good_head();
    expect_refused(&head, offsetof(struct head, config) + 5);
}

static void a_configuration_without_uuid_is_refused(void **state)
{
    struct head head = good_head();

    (void)state;
    strcpy(head.config, "{ \"c_info\": { \"uuid\": 7 } }");
    expect_refused(&head, sizeof(head));
    strcpy(head.config, "{ \"c_info\": { \"uuid\": \"../../etc\" } }");
    expect_refused(&head, sizeof(head));
    strcpy(head.config, "[ 1, 2");
    expect_refused(&head, sizeof(head));
}

static void a_missing_file_is_named(void **state)
{
    struct hcl_err err = {0};
    char uuid[HCL_GUEST_UUID];

    (void)state;
    assert_int_equal(hcl_save_file_uuid("/nonexistent/f", uuid, &err), -ENOENT);
    assert_string_equal(err.text, "cannot open /nonexistent/f: No such file or "
                                  "directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_uuid_is_in_the_configuration),
        cmocka_unit_test(another_file_is_refused),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(a_configuration_without_uuid_is_refused),
        cmocka_unit_test(a_missing_file_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
