/* SPDX-License-Identifier: MIT */
/*
 * test_tools_watch_source.c: guests that left and may come back, which devices
 * they get then, and when the watch looks again.
 */
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

#include "log.h"
#include "test_tools_dir.h"
#include "watch.h"

#define UUID "5ac1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b7"
/* No process is called so, and no xl makes it. */
#define NAME "hcl-test-nobody"
/* Not the default, which is longer. */
#define RETURN_US (UINT64_C(7) * 1000000)
#define LATER_US (UINT64_C(8) * 1000000)

static const struct hcl_guest guest = {5, NAME, UUID};
static struct hcl_watch watch;
static char dir[64];

static int set_up(void **state)
{
    (void)state;
    hcl_log_init("test", HCL_LOG_ERROR);
    strcpy(dir, "/tmp/hcl-test-watch-XXXXXX");
    memset(&watch, 0, sizeof(watch));
    watch.state_dir = dir;
    watch.times.return_us = RETURN_US;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hcl_watch_forget(&watch);
    return test_remove_dir(dir);
}

static void put(const struct hcl_guest *of, const char *text)
{
    struct hcl_item item;

    assert_int_equal(hcl_item_parse(&item, text, NULL), 0);
    assert_int_equal(hcl_record_put(dir, of, &item, NULL), 0);
}

static void depart(void)
{
    struct hcl_record record = {0};

    assert_int_equal(hcl_record_load(&record, dir, UUID, NULL), 0);
    hcl_watch_depart(&watch, &record);
    assert_int_equal(record.items.count, 0);
}

static int record_exists(void)
{
    struct hcl_record record = {0};
    int ret = hcl_record_load(&record, dir, UUID, NULL);

    hcl_record_clear(&record);
    return ret == 0;
}

static struct hcl_watch_guest returned(uint32_t domid)
{
    struct hcl_watch_guest now = {.guest = guest};

    now.guest.domid = domid;
    hcl_watch_source_find(&watch, &now);
    return now;
}

static void write_config(const char *name, const char *text)
{
    char path[128];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void the_record_gives_the_devices_back(void **state)
{
    struct hcl_watch_guest now;

    (void)state;
    put(&guest, "device=a,devid=3,backend=io");
    now = returned(6);
    assert_int_equal(now.items.count, 1);
    assert_string_equal(now.items.item[0].backend, "io");
    assert_int_equal(now.items.item[0].devid, 3);
    assert_false(now.replace);
    hcl_items_clear(&now.items);
}

/* xl restarts a guest that crashed, whose record is gone. */
static void memory_gives_the_devices_back_once(void **state)
{
    struct hcl_watch_guest now;

    (void)state;
    put(&guest, "device=a,devid=3");
    depart();
    hcl_record_remove(dir, UUID);
    now = returned(6);
    assert_int_equal(now.items.count, 1);
    hcl_items_clear(&now.items);
    now = returned(7);
    assert_int_equal(now.items.count, 0);
}

static void who_does_not_come_back_is_forgotten(void **state)
{
    (void)state;
    put(&guest, "device=a");
    depart();
    hcl_watch_expire(&watch, hcl_now_us());
    assert_true(record_exists());
    assert_non_null(watch.departed);
    hcl_watch_expire(&watch, hcl_now_us() + LATER_US);
    assert_false(record_exists());
    assert_null(watch.departed);
}

static void who_was_saved_or_came_back_is_not_forgotten(void **state)
{
    struct hcl_guest again = guest;

    (void)state;
    put(&guest, "device=a");
    depart();
    assert_int_equal(hcl_record_set_saved(dir, &guest, true, NULL), 0);
    hcl_watch_expire(&watch, hcl_now_us() + LATER_US);
    assert_true(record_exists());
    assert_int_equal(hcl_record_set_saved(dir, &guest, false, NULL), 0);
    depart();
    again.domid = 6;
    put(&again, "device=a");
    hcl_watch_expire(&watch, hcl_now_us() + LATER_US);
    assert_true(record_exists());
}

static void without_record_and_xl_there_is_nothing(void **state)
{
    struct hcl_watch_guest now;

    (void)state;
    write_config(NAME ".cfg", "name = '" NAME "'\nhcl = ['device=a']\n");
    now = returned(6);
    assert_int_equal(now.items.count, 0);
}

static void a_configuration_of_its_name_counts_if_asked_for(void **state)
{
    struct hcl_watch_guest now;

    (void)state;
    watch.config_dir = dir;
    write_config(NAME, "name = '" NAME "'\nhcl = ['device=a','device=b']\n");
    now = returned(6);
    assert_int_equal(now.items.count, 2);
    assert_int_equal(now.items.item[1].devid, 1);
    assert_true(now.replace);
    hcl_items_clear(&now.items);
}

static void a_configuration_of_another_name_does_not_count(void **state)
{
    struct hcl_watch_guest now;

    (void)state;
    watch.config_dir = dir;
    write_config(NAME, "name = 'other'\nhcl = ['device=a']\n");
    now = returned(6);
    assert_int_equal(now.items.count, 0);
}

static void a_name_with_a_slash_leads_nowhere(void **state)
{
    struct hcl_watch_guest now = {.guest = {6, "../x", UUID}};

    (void)state;
    watch.config_dir = "/nonexistent";
    hcl_watch_source_find(&watch, &now);
    assert_int_equal(now.items.count, 0);
}

/* ---- When it looks ----------------------------------------------------- */

static void a_new_guest_is_looked_at_until_settle_us(void **state)
{
    struct hcl_watch_guest new = {.shutdown = HCL_SHUTDOWN_NONE,
                                  .found_us = 1000};
    struct hcl_watch some = {.times = {.poll_us = 7, .settle_us = 50}};

    (void)state;
    assert_true(hcl_watch_step_us(&some, 1000) == UINT64_MAX);
    some.guests = &new;
    assert_int_equal(hcl_watch_step_us(&some, 1049), 7);
    assert_true(hcl_watch_step_us(&some, 1050) == UINT64_MAX);
    new.phase = HCL_WATCH_SETTLED;
    assert_true(hcl_watch_step_us(&some, 1001) == UINT64_MAX);
}

static void others_are_looked_at_less_often(void **state)
{
    struct hcl_watch_guest saved = {.phase = HCL_WATCH_SETTLED,
                                    .shutdown = HCL_SHUTDOWN_SUSPEND};
    struct hcl_watch_guest dying = {.phase = HCL_WATCH_SETTLED,
                                    .shutdown = HCL_SHUTDOWN_NONE,
                                    .dying = true,
                                    .next = &saved};
    struct hcl_watch some = {.times = {.poll_us = 7}, .guests = &saved};

    (void)state;
    assert_int_equal(hcl_watch_step_us(&some, 1000), 70);
    some.guests = &dying;
    assert_int_equal(hcl_watch_step_us(&some, 1000), 14);
    dying.reaped = true;
    assert_int_equal(hcl_watch_step_us(&some, 1000), 70);
}

static void who_may_come_back_is_forgotten_in_time(void **state)
{
    uint64_t now = hcl_now_us();

    (void)state;
    put(&guest, "device=a");
    depart();
    assert_in_range(watch.departed->deadline_us, now + RETURN_US,
                    hcl_now_us() + RETURN_US);
    now = watch.departed->deadline_us;
    assert_int_equal(hcl_watch_step_us(&watch, now - 3), 3);
    assert_int_equal(hcl_watch_step_us(&watch, now + 3), 0);
}

static void a_dying_guest_is_reaped_after_reap_us(void **state)
{
    struct hcl_watch_guest dying = {.dying = true, .dying_us = 1000};

    (void)state;
    watch.times.reap_us = 50;
    assert_false(hcl_watch_reap_due(&watch, &dying, 1050));
    assert_true(hcl_watch_reap_due(&watch, &dying, 1051));
    dying.reaped = true;
    assert_false(hcl_watch_reap_due(&watch, &dying, 1051));
    dying.reaped = false;
    dying.dying = false;
    assert_false(hcl_watch_reap_due(&watch, &dying, 1051));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_record_gives_the_devices_back),
        TEST(memory_gives_the_devices_back_once),
        TEST(who_does_not_come_back_is_forgotten),
        TEST(who_was_saved_or_came_back_is_not_forgotten),
        TEST(without_record_and_xl_there_is_nothing),
        TEST(a_configuration_of_its_name_counts_if_asked_for),
        TEST(a_configuration_of_another_name_does_not_count),
        TEST(a_name_with_a_slash_leads_nowhere),
        TEST(a_new_guest_is_looked_at_until_settle_us),
        TEST(others_are_looked_at_less_often),
        TEST(who_may_come_back_is_forgotten_in_time),
        TEST(a_dying_guest_is_reaped_after_reap_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
