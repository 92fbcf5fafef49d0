/* SPDX-License-Identifier: MIT */
/* The small parts of the backend: paths, items of hcl.conf, queues, scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounce.h"
#include "device_config.h"
#include "hotplug.h"
#include "offer.h"
#include "run_lock.h"
#include "share.h"
#include "watch_path.h"

/* ---- watch_path --------------------------------------------------------- */

static void watch_paths_are_taken_apart(void **state)
{
    static const struct {
        const char *path;
        enum hcl_watch_scope scope;
        uint32_t domid;
        uint32_t devid;
    } cases[] = {
        {"backend/hcl", HCL_WATCH_ALL, 0, 0},
        {"backend", HCL_WATCH_ALL, 0, 0},
        {"/local/domain/0/backend/hcl", HCL_WATCH_ALL, 0, 0},
        {"backend/hcl/3", HCL_WATCH_DOMAIN, 3, 0},
        {"backend/hcl/3/0", HCL_WATCH_DEVICE, 3, 0},
        {"/local/domain/5/backend/hcl/3/12", HCL_WATCH_DEVICE, 3, 12},
        {"backend/hcl/3/0/online", HCL_WATCH_DEVICE, 3, 0},
        {"backend/hcl/32751/2147483647/pause", HCL_WATCH_DEVICE, 32751,
         2147483647},
    };

    (void)state;
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t domid = 0;
        uint32_t devid = 0;

        assert_int_equal(hcl_watch_path(cases[i].path, &domid, &devid),
                         cases[i].scope);
        assert_int_equal(domid, cases[i].domid);
        assert_int_equal(devid, cases[i].devid);
    }
}

static void watch_paths_of_nothing_of_ours_are_ignored(void **state)
{
    static const char *const paths[] = {
        "backend/vbd/3/0",
        "backend/hclx/3/0",
        "backend/hcl/x/0",
        "backend/hcl/-1/0",
        "backend/hcl/03/0",
        "backend/hcl/32752/0", /* DOMID_FIRST_RESERVED */
        "backend/hcl/99999999999999999999/0",
        "backend/hcl/3/0x1/online",
        "backend/hcl/3/2147483648/online",
        "backend/hcl/3//online",
        "backend/hcl/3/0/state",
        "backend/hcl/3/0/error",
        "backend/hcl/3/0/generation",
    };
    uint32_t domid;
    uint32_t devid;

    (void)state;
    for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (hcl_watch_path(paths[i], &domid, &devid) != HCL_WATCH_NOTHING) {
            fail_msg("%s", paths[i]);
        }
    }
}

/* ---- device_config ------------------------------------------------------ */

static int parse(struct hcl_device_config *config, const char *text,
                 const char *part)
{
    struct hcl_err err = {0};
    int rc = hcl_device_config_parse(config, text, &err);

    if (rc < 0 && !strstr(err.text, part)) {
        fail_msg("%s: %s", text, err.text);
    }
    return rc;
}

static void items_have_defaults(void **state)
{
    struct hcl_device_config config;

    (void)state;
    assert_int_equal(parse(&config, "name=rng0,class=rng", ""), 0);
    assert_string_equal(config.name, "rng0");
    assert_string_equal(config.class_name, "rng");
    assert_null(config.allow);
    assert_int_equal(config.limits.max_queues, 1);
    assert_int_equal(config.limits.max_ring_page_order, 2);
    assert_int_equal(config.limits.max_pool_pages, 256);
    assert_int_equal(config.limits.max_handles, 16);
    assert_int_equal(config.open_timeout_ms, 10000);
    assert_int_equal(config.connect_timeout_ms, 5000);
    assert_int_equal(config.alive_interval_ms, 250);
}

static void each_time_of_a_device_has_a_key(void **state)
{
    struct hcl_device_config config;

    (void)state;
    assert_int_equal(parse(&config,
                           "name=a,class=b,open-timeout-ms=1,"
                           "connect-timeout-ms=3600000,alive-interval-ms=10",
                           ""),
                     0);
    assert_int_equal(config.open_timeout_ms, 1);
    assert_int_equal(config.connect_timeout_ms, 3600000);
    assert_int_equal(config.alive_interval_ms, 10);
}

static void items_with_mistakes_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"class=rng", "name= is missing"},
        {"name=a", "class= is missing"},
        {"name=../x,class=rng", "name=../x"},
        {"name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,class=rng", "1 to 31"},
        {"name=a,class=rng,max-handles=0", "max-handles"},
        {"name=a,class=rng,max-handles=65536", "max-handles"},
        {"name=a,class=rng,max-ring-page-order=7", "max-ring-page-order"},
        {"name=a,class=rng,max-pool-pages=4097", "max-pool-pages"},
        {"name=a,class=rng,open-timeout-ms=0", "open-timeout-ms"},
        {"name=a,class=rng,connect-timeout-ms=3600001", "1 to 3600000"},
        {"name=a,class=rng,alive-interval-ms=0.1", "alive-interval-ms='0.1'"},
        {"name=a,class=rng,name=b", "name"},
    };
    struct hcl_device_config config;

    (void)state;
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(&config, cases[i][0], cases[i][1]), -EINVAL);
    }
}

static void allow_is_a_list_of_patterns(void **state)
{
    struct hcl_device_config config;

    (void)state;
    assert_int_equal(parse(&config, "name=a,class=b", ""), 0);
    assert_true(hcl_device_config_allows(&config, "anybody"));
    assert_int_equal(parse(&config, "name=a,class=b,allow=nav-*|hmi", ""), 0);
    assert_true(hcl_device_config_allows(&config, "nav-1"));
    assert_true(hcl_device_config_allows(&config, "hmi"));
    assert_false(hcl_device_config_allows(&config, "hmi2"));
    assert_false(hcl_device_config_allows(&config, "HMI"));
    assert_false(hcl_device_config_allows(&config, "nav"));
    assert_false(hcl_device_config_allows(&config, ""));
    assert_int_equal(parse(&config, "name=a,class=b,allow=", ""), 0);
    assert_false(hcl_device_config_allows(&config, "hmi"));
}

/* ---- share -------------------------------------------------------------- */

static struct hcl_share share_of(const char *text, const char *guest)
{
    struct hcl_device_config config;

    assert_int_equal(parse(&config, text, ""), 0);
    return hcl_share_of(&config.spec, guest);
}

static void guests_have_equal_shares_without_caps(void **state)
{
    struct hcl_share share = share_of("name=a,class=b", "anybody");

    (void)state;
    assert_int_equal(share.weight, HCL_WEIGHT_DEFAULT);
    assert_int_equal(share.max_requests_per_s, 0);
    assert_int_equal(share.max_kib_per_s, 0);
}

static void shares_go_by_the_guests_names(void **state)
{
    static const char text[] = "name=a,class=b,weight=nav-*:300|hmi:0x10|*:50,"
                               "max-requests-per-s=x:y:7|hmi:1000000,"
                               "max-kib-per-s=nav-1:0|99";

    (void)state;
    assert_int_equal(share_of(text, "nav-1").weight, 300);
    assert_int_equal(share_of(text, "hmi").weight, 16);
    assert_int_equal(share_of(text, "other").weight, 50);
    assert_int_equal(share_of(text, "hmi").max_requests_per_s, 1000000);
    assert_int_equal(share_of(text, "other").max_requests_per_s, 0);
    assert_int_equal(share_of(text, "x:y").max_requests_per_s, 7);
    assert_int_equal(share_of(text, "nav-1").max_kib_per_s, 0);
    assert_int_equal(share_of(text, "nav-2").max_kib_per_s, 99);
    assert_int_equal(share_of("name=a,class=b,weight=x:1", "y").weight,
                     HCL_WEIGHT_DEFAULT);
}

static void shares_with_mistakes_are_refused(void **state)
{
    static const char *const values[] = {
        "weight=",
        "weight=0",
        "weight=1001",
        "weight=x",
        "weight=a:",
        "weight=:5",
        "weight=a:5|",
        "weight=|5",
        "weight=a:5||b:5",
        "weight=a:5|b:0",
        "weight=5 0",
        "weight=00000000000000000000000000000005",
        "max-requests-per-s=1000001",
        "max-requests-per-s=-1",
        "max-kib-per-s=1000000001",
    };
    struct hcl_device_config config;
    char text[128];

    (void)state;
    for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct hcl_err err = {0};

        snprintf(text, sizeof(text), "name=a,class=b,%s", values[i]);
        assert_int_equal(hcl_device_config_parse(&config, text, &err), -EINVAL);
        assert_non_null(strstr(err.text, "PATTERN:NUMBER"));
        assert_memory_equal(err.text, values[i],
                            (size_t)(strchr(values[i], '=') - values[i]));
    }
}

/* ---- bounce ------------------------------------------------------------- */

static void bounce_bytes_belong_to_one_request(void **state)
{
    struct hcl_bounce bounce = {0};

    (void)state;
    assert_int_equal(hcl_bounce_init(&bounce, 1000, NULL), 0);
    for (size_t offset = 0; offset < 200; offset++) {
        for (size_t count = 1; count < 200; count++) {
            uint8_t *bytes = hcl_bounce_take(&bounce, offset, count), *other;

            assert_ptr_equal(bytes, bounce.warm);
            assert_null(hcl_bounce_take(&bounce, offset, 1));
            assert_null(hcl_bounce_take(&bounce, offset + count - 1, 1));
            if (offset > 0) {
                other = hcl_bounce_take(&bounce, offset - 1, 1);
                assert_ptr_equal(other, bounce.bytes + offset - 1);
                hcl_bounce_give(&bounce, other, offset - 1, 1);
            }
            other = hcl_bounce_take(&bounce, offset + count, 1);
            assert_ptr_equal(other, bounce.bytes + offset + count);
            hcl_bounce_give(&bounce, bytes, offset, count);
            /* Warm again, whatever was given back before. */
            assert_ptr_equal(hcl_bounce_take(&bounce, offset, count),
                             bounce.warm);
            hcl_bounce_give(&bounce, other, offset + count, 1);
            hcl_bounce_give(&bounce, bounce.warm, offset, count);
        }
    }
    assert_non_null(hcl_bounce_take(&bounce, 0, 1000));
    assert_non_null(hcl_bounce_take(&bounce, 1000, 0));
    hcl_bounce_clear(&bounce);
}

static void bounce_of_much_is_not_warm(void **state)
{
    const size_t size = (size_t)2 * HCL_BOUNCE_WARM;
    struct hcl_bounce bounce = {0};
    uint8_t *bytes;

    (void)state;
    assert_int_equal(hcl_bounce_init(&bounce, size, NULL), 0);
    bytes = hcl_bounce_take(&bounce, 5, HCL_BOUNCE_WARM + 1);
    assert_ptr_equal(bytes, bounce.bytes + 5);
    hcl_bounce_give(&bounce, bytes, 5, HCL_BOUNCE_WARM + 1);
    bytes = hcl_bounce_take(&bounce, 5, HCL_BOUNCE_WARM);
    assert_ptr_equal(bytes, bounce.warm);
    memset(bytes, 1, HCL_BOUNCE_WARM);
    hcl_bounce_give(&bounce, bytes, 5, HCL_BOUNCE_WARM);
    hcl_bounce_clear(&bounce);
}

static void bounce_of_an_empty_pool_takes_empty_payloads(void **state)
{
    struct hcl_bounce bounce = {0};

    (void)state;
    assert_int_equal(hcl_bounce_init(&bounce, 0, NULL), 0);
    assert_non_null(hcl_bounce_take(&bounce, 0, 0));
    hcl_bounce_clear(&bounce);
}

/* ---- offer -------------------------------------------------------------- */

static void references_are_named_by_what_they_are_for(void **state)
{
    struct hcl_layout l = {
        .num_queues = 2, .ring_page_order = 1, .tx_pages = 3, .rx_pages = 2};
    static const char *const names[] = {
        "front page",
        "request ring of queue 0, page 0",
        "request ring of queue 0, page 1",
        "request ring of queue 1, page 0",
        "request ring of queue 1, page 1",
        "tx pool page 0",
        "tx pool page 1",
        "tx pool page 2",
        "back page",
        "completion ring of queue 0, page 0",
        "completion ring of queue 0, page 1",
        "completion ring of queue 1, page 0",
        "completion ring of queue 1, page 1",
        "rx pool page 0",
        "rx pool page 1",
    };
    char name[64];

    (void)state;
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        hcl_offer_name_page(&l, i, name, sizeof(name));
        assert_string_equal(name, names[i]);
    }
}

/* ---- hotplug ------------------------------------------------------------ */

static char directory[] = "/tmp/test_backend_parts.XXXXXX";

static void write_script(char *path, size_t size, const char *text)
{
    int fd;

    snprintf(path, size, "%s/script", directory);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    dprintf(fd, "#!/bin/sh\nlog=%s/log\n%s", directory, text);
    close(fd);
}

static struct hcl_loop *loop;

static struct hcl_hotplug *hotplug_new(const char *script, uint32_t timeout_ms)
{
    struct hcl_hotplug *hotplug;

    assert_int_equal(hcl_loop_new(&loop, NULL), 0);
    assert_int_equal(hcl_hotplug_new(&hotplug, script, loop, timeout_ms, NULL),
                     0);
    return hotplug;
}

static void hotplug_free(struct hcl_hotplug *hotplug)
{
    hcl_hotplug_free(hotplug);
    hcl_loop_free(loop);
}

/* Waits for one script, as the supervisor does at SIGCHLD. */
static void reap(struct hcl_hotplug *hotplug)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);

    assert_true(pid > 0);
    assert_true(hcl_hotplug_reaped(hotplug, pid, status));
    assert_false(hcl_hotplug_reaped(hotplug, pid, status));
}

static void read_log(char *text, size_t size)
{
    char path[128];
    FILE *file;
    size_t got;

    snprintf(path, sizeof(path), "%s/log", directory);
    file = fopen(path, "r");
    assert_non_null(file);
    got = fread(text, 1, size - 1, file);
    text[got] = '\0';
    fclose(file);
    unlink(path);
}

static void scripts_are_told_who_and_inherit_nothing(void **state)
{
    struct hcl_hotplug_event event = {true, 3, 1, "rng0", "rng", "my guest"};
    struct hcl_hotplug *hotplug;
    char script[128];
    char text[1024];
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0); /* without close-on-exec */
    write_script(script, sizeof(script),
                 "cd /proc/$$/fd\n"
                 "echo \"$@ $HCL_CLASS $HCL_DOMAIN\" * >>$log\n");
    hotplug = hotplug_new(script, 60000);
    hcl_hotplug_run(hotplug, &event);
    reap(hotplug);
    read_log(text, sizeof(text));
    /* sh keeps its script open, as 10 or 255. */
    assert_int_equal(strncmp(text, "connect rng0 3 1 rng my guest 0 1 ",
                             strlen("connect rng0 3 1 rng my guest 0 1 ")),
                     0);
    assert_null(strstr(text, " 3 4"));
    hotplug_free(hotplug);
    close(fds[0]);
    close(fds[1]);
}

static void scripts_of_one_attachment_follow_each_other(void **state)
{
    struct hcl_hotplug_event event = {true, 3, 1, "rng0", "rng", "g"};
    struct hcl_hotplug *hotplug;
    char script[128];
    char text[1024];
    int status;

    (void)state;
    write_script(script, sizeof(script), "sleep 0.1; echo $1 >>$log\n");
    hotplug = hotplug_new(script, 60000);
    hcl_hotplug_run(hotplug, &event);
    event.connect = false;
    hcl_hotplug_run(hotplug, &event); /* waits */
    event.connect = true;
    hcl_hotplug_run(hotplug, &event); /* both vanish */
    event.connect = false;
    hcl_hotplug_run(hotplug, &event);
    reap(hotplug);
    reap(hotplug);
    assert_int_equal(waitpid(-1, &status, 0), -1);
    read_log(text, sizeof(text));
    assert_string_equal(text, "connect\ndisconnect\n");
    hotplug_free(hotplug);
}

static void scripts_of_another_device_are_no_opposites(void **state)
{
    struct hcl_hotplug_event event = {true, 3, 1, "rng0", "rng", "g"};
    struct hcl_hotplug *hotplug;
    char script[128];
    char text[1024];

    (void)state;
    write_script(script, sizeof(script), "sleep 0.1; echo $1 $2 >>$log\n");
    hotplug = hotplug_new(script, 60000);
    hcl_hotplug_run(hotplug, &event);
    event.connect = false;
    hcl_hotplug_run(hotplug, &event); /* waits */
    event.connect = true;
    event.device = "rng1"; /* the directory was made again */
    hcl_hotplug_run(hotplug, &event);
    for (int i = 0; i < 3; i++) {
        reap(hotplug);
    }
    read_log(text, sizeof(text));
    assert_string_equal(text, "connect rng0\ndisconnect rng0\nconnect rng1\n");
    hotplug_free(hotplug);
}

static void a_script_that_hangs_is_killed_with_what_it_started(void **state)
{
    struct hcl_hotplug_event event = {true, 3, 1, "rng0", "rng", "g"};
    struct hcl_hotplug *hotplug;
    char script[128];
    char text[1024];
    int status;

    (void)state;
    /* So that what a script leaves behind is our child. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    write_script(script, sizeof(script),
                 "[ $1 = disconnect ] || sleep 40\necho $1 >>$log\n");
    hotplug = hotplug_new(script, 100);
    hcl_hotplug_run(hotplug, &event);
    event.connect = false;
    hcl_hotplug_run(hotplug, &event); /* waits */
    assert_int_equal(hcl_loop_poll(loop, 20000000), 1);
    reap(hotplug);
    /* The sleep, if the script had come that far, and the next script. */
    for (int i = 0; i < 2; i++) {
        pid_t pid = waitpid(-1, &status, 0);

        if (!hcl_hotplug_reaped(hotplug, pid, status) && pid > 0) {
            assert_true(WIFSIGNALED(status));
        }
    }
    assert_int_equal(waitpid(-1, &status, 0), -1);
    read_log(text, sizeof(text));
    assert_string_equal(text, "disconnect\n");
    hotplug_free(hotplug);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void no_script_is_fine(void **state)
{
    struct hcl_hotplug_event event = {true, 3, 1, "rng0", "rng", "g"};
    struct hcl_hotplug *hotplug;

    (void)state;
    hotplug = hotplug_new(NULL, 60000);
    hcl_hotplug_run(hotplug, &event);
    hotplug_free(hotplug);
}

/* ---- run_lock ----------------------------------------------------------- */

static void a_second_daemon_is_refused_with_the_pid_of_the_first(void **state)
{
    struct hcl_err err = {0};
    char dir[128];
    char pid[32];
    int first;
    int second;

    (void)state;
    snprintf(dir, sizeof(dir), "%s/run", directory);
    snprintf(pid, sizeof(pid), "pid %d", getpid());
    assert_int_equal(hcl_run_lock(dir, &first, &err), 0);
    assert_int_equal(hcl_run_lock(dir, &second, &err), -EBUSY);
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, dir));
    close(first);
    assert_int_equal(hcl_run_lock(dir, &second, &err), 0);
    close(second);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch_paths_are_taken_apart),
        cmocka_unit_test(watch_paths_of_nothing_of_ours_are_ignored),
        cmocka_unit_test(items_have_defaults),
        cmocka_unit_test(each_time_of_a_device_has_a_key),
        cmocka_unit_test(items_with_mistakes_are_refused),
        cmocka_unit_test(allow_is_a_list_of_patterns),
        cmocka_unit_test(guests_have_equal_shares_without_caps),
        cmocka_unit_test(shares_go_by_the_guests_names),
        cmocka_unit_test(shares_with_mistakes_are_refused),
        cmocka_unit_test(bounce_bytes_belong_to_one_request),
        cmocka_unit_test(bounce_of_much_is_not_warm),
        cmocka_unit_test(bounce_of_an_empty_pool_takes_empty_payloads),
        cmocka_unit_test(references_are_named_by_what_they_are_for),
        cmocka_unit_test(scripts_are_told_who_and_inherit_nothing),
        cmocka_unit_test(scripts_of_one_attachment_follow_each_other),
        cmocka_unit_test(scripts_of_another_device_are_no_opposites),
        cmocka_unit_test(a_script_that_hangs_is_killed_with_what_it_started),
        cmocka_unit_test(no_script_is_fine),
        cmocka_unit_test(a_second_daemon_is_refused_with_the_pid_of_the_first),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
