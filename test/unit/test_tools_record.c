/* SPDX-License-Identifier: MIT */
/* test_tools_record.c: what is remembered of a guest, and its files. */
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

#include "record.h"
#include "test_tools_dir.h"

#define UUID "5ac1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b7"
#define OTHER "5ac1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b8"

static const struct hcl_guest guest = {5, "guest1", UUID};
static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hcl-test-record-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return test_remove_dir(dir);
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void put(const struct hcl_guest *of, const char *text)
{
    struct hcl_err err = {0};
    struct hcl_item item;

    assert_int_equal(hcl_item_parse(&item, text, &err), 0);
    if (hcl_record_put(dir, of, &item, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

static struct hcl_record loaded(const char *uuid)
{
    struct hcl_record record = {0};
    struct hcl_err err = {0};

    if (hcl_record_load(&record, dir, uuid, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return record;
}

/* ---- The text ---------------------------------------------------------- */

static void the_text_is_that_of_the_header(void **state)
{
    struct hcl_item items[] = {{"rng0", "0", 0, ""},
                               {"gps", "io", 3, "baud=9600"}};
    struct hcl_record record = {
        .guest = guest,
        .saved = true,
        .saver = 77,
        .boot = "6f0f2d1c",
        .written_ms = 812345,
        .items = {items, 2},
    };
    char *text = hcl_record_format(&record);

    (void)state;
    assert_non_null(text);
    assert_string_equal(
        text,
        "# What this guest gets back after a reboot or restore.  Written by "
        "hclctl.\n"
        "name = \"guest1\"\ndomid = 5\nsaved = 1\nsaver = 77\n"
        "boot = \"6f0f2d1c\"\n"
        "written = 812345\nhcl = [\n"
        "    \"device=rng0,backend=0,devid=0\",\n"
        "    \"device=gps,backend=io,devid=3,baud=9600\",\n]\n");
    free(text);
}

static void any_name_and_option_survives(void **state)
{
    struct hcl_item items[] = {{"a", "0", 0, "x=\"\\'#\xc3\xa4%s"}};
    struct hcl_record record = {
        .guest = {1, "a\"b\\c\n\x01\xff#]", UUID},
        .items = {items, 1},
    };
    struct hcl_record again = {0};
    struct hcl_err err = {0};
    struct hcl_config *config;
    char *text = hcl_record_format(&record);

    (void)state;
    assert_int_equal(hcl_config_parse(&config, "record", text,
                                      (unsigned int)strlen(text), &err),
                     0);
    assert_int_equal(hcl_record_parse(&again, UUID, config, &err), 0);
    assert_string_equal(again.guest.name, record.guest.name);
    assert_string_equal(again.guest.uuid, UUID);
    assert_int_equal(again.items.count, 1);
    assert_string_equal(again.items.item[0].options, items[0].options);
    hcl_record_clear(&again);
    hcl_config_free(config);
    free(text);
}

/* ---- Files ------------------------------------------------------------- */

static void what_was_put_is_loaded(void **state)
{
    struct hcl_record record;

    (void)state;
    put(&guest, "device=rng0,devid=0");
    put(&guest, "device=gps,backend=io,devid=1,baud=9600");
    record = loaded(UUID);
    assert_int_equal(record.guest.domid, 5);
    assert_string_equal(record.guest.name, "guest1");
    assert_false(record.saved);
    assert_int_equal(record.items.count, 2);
    assert_string_equal(record.items.item[1].backend, "io");
    assert_string_equal(record.items.item[1].options, "baud=9600");
    hcl_record_clear(&record);
}

static void dropping_the_last_device_leaves_an_empty_record(void **state)
{
    struct hcl_record record;
    struct hcl_err err = {0};

    (void)state;
    put(&guest, "device=rng0,devid=0");
    assert_int_equal(hcl_record_drop(dir, &guest, "rng0", &err), 0);
    record = loaded(UUID);
    assert_int_equal(record.items.count, 0);
    hcl_record_clear(&record);
}

static void saved_is_set_and_taken_back(void **state)
{
    struct hcl_record record;
    struct hcl_err err = {0};

    (void)state;
    put(&guest, "device=rng0,devid=0");
    assert_int_equal(hcl_record_set_saved(dir, &guest, true, &err), 0);
    record = loaded(UUID);
    assert_true(record.saved);
    assert_int_equal(record.items.count, 1);
    hcl_record_clear(&record);
    assert_int_equal(hcl_record_set_saved(dir, &guest, false, &err), 0);
    record = loaded(UUID);
    assert_false(record.saved);
    hcl_record_clear(&record);
}

static void a_new_domid_is_written(void **state)
{
    struct hcl_guest rebooted = guest;
    struct hcl_record record;
    struct hcl_err err = {0};

    (void)state;
    put(&guest, "device=rng0,devid=0");
    rebooted.domid = 6;
    assert_int_equal(hcl_record_set_saved(dir, &rebooted, false, &err), 0);
    record = loaded(UUID);
    assert_int_equal(record.guest.domid, 6);
    assert_int_equal(record.items.count, 1);
    hcl_record_clear(&record);
}

static void no_record_is_enoent(void **state)
{
    struct hcl_record record = {0};
    struct hcl_err err;

    (void)state;
    assert_int_equal(hcl_record_load(&record, dir, UUID, &err), -ENOENT);
    assert_int_equal(hcl_record_load(&record, dir, "", &err), -ENOENT);
    assert_int_equal(hcl_record_load(&record, dir, "../../etc/passwd", &err),
                     -ENOENT);
}

static void a_damaged_record_is_named_and_can_be_made_anew(void **state)
{
    struct hcl_record record = {0};
    struct hcl_err err = {0};

    (void)state;
    write_file(UUID, "name = \"guest1\"\nhcl = [ \"rng0\" ]\n");
    assert_int_equal(hcl_record_load(&record, dir, UUID, &err), -EINVAL);
    assert_non_null(strstr(err.text, dir));
    assert_non_null(strstr(err.text, "hcl item 1: 'rng0': expected key=value"));
    assert_int_equal(record.items.count, 0);
    write_file(UUID, "name = \n");
    assert_int_equal(hcl_record_load(&record, dir, UUID, &err), -EINVAL);
    put(&guest, "device=rng0,devid=0");
    record = loaded(UUID);
    assert_int_equal(record.items.count, 1);
    hcl_record_clear(&record);
}

/* A damaged item, and nobody who wants to know why: hclctl detach crashed. */
static void a_damaged_item_is_no_crash(void **state)
{
    struct hcl_record record = {0};

    (void)state;
    write_file(UUID, "name = \"guest1\"\nhcl = [ \"device=a,devid=1\", "
                     "\"device=b,devid=1\" ]\n");
    assert_int_equal(hcl_record_load(&record, dir, UUID, NULL), -EINVAL);
    assert_int_equal(hcl_record_drop(dir, &guest, "a", NULL), 0);
}

static void two_devices_never_have_one_number(void **state)
{
    struct hcl_record record;

    (void)state;
    put(&guest, "device=rng0,devid=0");
    put(&guest, "device=gps,backend=nosuch,devid=1");
    put(&guest, "device=zz,devid=1");
    record = loaded(UUID);
    assert_int_equal(record.items.count, 3);
    assert_int_equal(record.items.item[1].devid, 2);
    assert_int_equal(record.items.item[2].devid, 1);
    hcl_record_clear(&record);
}

static void a_record_whose_saver_is_gone_is_forsaken(void **state)
{
    struct hcl_guest rebooted = guest;
    struct hcl_record record;
    struct hcl_err err = {0};

    (void)state;
    rebooted.domid = 6;
    put(&guest, "device=rng0,devid=0");
    record = loaded(UUID);
    assert_int_equal(record.saver, 0);
    assert_false(hcl_record_forsaken(&record));
    hcl_record_clear(&record);
    assert_int_equal(hcl_record_set_saved(dir, &guest, true, &err), 0);
    record = loaded(UUID);
    assert_int_equal(record.saver, getpid());
    assert_false(hcl_record_forsaken(&record));
    hcl_record_clear(&record);
    assert_int_equal(hcl_record_drop(dir, &rebooted, "none", &err), 0);
    record = loaded(UUID);
    assert_true(record.saved);
    assert_int_equal(record.saver, 0);
    record.saver = 0x7fffffff;
    assert_true(hcl_record_forsaken(&record));
    record.saver = 1; /* another program */
    assert_true(hcl_record_forsaken(&record));
    record.saver = (uint32_t)getpid();
    strcpy(record.boot, "another boot");
    assert_true(hcl_record_forsaken(&record));
    hcl_record_clear(&record);
    assert_int_equal(hcl_record_set_saved(dir, &guest, false, &err), 0);
    record = loaded(UUID);
    assert_int_equal(record.saver, 0);
    hcl_record_clear(&record);
}

static void a_removed_record_is_gone(void **state)
{
    struct hcl_record record = {0};

    (void)state;
    put(&guest, "device=rng0,devid=0");
    hcl_record_remove(dir, UUID);
    hcl_record_remove(dir, UUID);
    assert_int_equal(hcl_record_load(&record, dir, UUID, NULL), -ENOENT);
}

static void a_guest_without_uuid_is_not_remembered(void **state)
{
    struct hcl_guest nameless = {7, "x", ""};
    struct hcl_err err = {0};
    struct hcl_item item;

    (void)state;
    assert_int_equal(hcl_item_parse(&item, "device=a", &err), 0);
    assert_int_equal(hcl_record_put(dir, &nameless, &item, &err), -EINVAL);
    assert_string_equal(err.text, "the guest has no uuid in xenstore, so its "
                                  "devices cannot be remembered");
}

static void the_folder_is_made_and_only_roots(void **state)
{
    struct hcl_err err = {0};
    struct hcl_item item;
    struct stat st;
    char deeper[128], path[256];

    (void)state;
    snprintf(deeper, sizeof(deeper), "%s/deeper", dir);
    assert_int_equal(hcl_item_parse(&item, "device=a", &err), 0);
    assert_int_equal(hcl_record_put(deeper, &guest, &item, &err), 0);
    assert_int_equal(stat(deeper, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof(path), "%s/%s", deeper, UUID);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    unlink(path);
    snprintf(path, sizeof(path), "%s/lock", deeper);
    unlink(path);
    assert_int_equal(rmdir(deeper), 0);
}

static unsigned int seen;

static void see(void *arg, const char *uuid)
{
    assert_ptr_equal(arg, &seen);
    assert_true(!strcmp(uuid, UUID) || !strcmp(uuid, OTHER));
    seen++;
}

static void only_records_are_listed(void **state)
{
    struct hcl_guest other = {6, "guest2", OTHER};

    (void)state;
    put(&guest, "device=a");
    put(&other, "device=a");
    write_file("notes.txt", "x");
    write_file(UUID ".new", "x");
    seen = 0;
    hcl_record_each(dir, see, &seen);
    assert_int_equal(seen, 2);
    hcl_record_each("/nonexistent", see, &seen);
    assert_int_equal(seen, 2);
}

/* ---- Time -------------------------------------------------------------- */

static void a_record_is_older_than_what_started_after_it(void **state)
{
    struct hcl_record record;

    (void)state;
    put(&guest, "device=a");
    record = loaded(UUID);
    assert_true(record.written_ms > 0);
    assert_false(hcl_record_older(&record, record.written_ms));
    assert_false(hcl_record_older(&record, record.written_ms - 1));
    assert_true(hcl_record_older(&record, record.written_ms + 1));
    strcpy(record.boot, "another boot");
    assert_true(hcl_record_older(&record, 0));
    hcl_record_clear(&record);
}

static void uuids_are_lower_case_hex_in_groups(void **state)
{
    (void)state;
    assert_true(hcl_guest_uuid_ok(UUID));
    assert_false(hcl_guest_uuid_ok(""));
    assert_false(hcl_guest_uuid_ok("5AC1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b7"));
    assert_false(hcl_guest_uuid_ok("5ac1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b"));
    assert_false(hcl_guest_uuid_ok(UUID "7"));
    assert_false(hcl_guest_uuid_ok("00000000-0000-0000-0000-000000000000"));
    assert_false(hcl_guest_uuid_ok("5ac1cd9e/3e5b-4f2c-a2a4-0d4b1a39f4b7"));
}

#define WITH_DIR(test)                                                         \
    cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_that_of_the_header),
        cmocka_unit_test(any_name_and_option_survives),
        WITH_DIR(what_was_put_is_loaded),
        WITH_DIR(dropping_the_last_device_leaves_an_empty_record),
        WITH_DIR(saved_is_set_and_taken_back),
        WITH_DIR(a_new_domid_is_written),
        WITH_DIR(no_record_is_enoent),
        WITH_DIR(a_damaged_record_is_named_and_can_be_made_anew),
        WITH_DIR(a_damaged_item_is_no_crash),
        WITH_DIR(two_devices_never_have_one_number),
        WITH_DIR(a_record_whose_saver_is_gone_is_forsaken),
        WITH_DIR(a_removed_record_is_gone),
        WITH_DIR(a_guest_without_uuid_is_not_remembered),
        WITH_DIR(the_folder_is_made_and_only_roots),
        WITH_DIR(only_records_are_listed),
        WITH_DIR(a_record_is_older_than_what_started_after_it),
        cmocka_unit_test(uuids_are_lower_case_hex_in_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
