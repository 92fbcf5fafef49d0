/* SPDX-License-Identifier: MIT */
/*
 * The times and rates of hcl.conf.  Nothing here looks at a clock: of two times
 * the shorter one has to come first.
 */
#include "test_backend_supervisor.h"
#include "test_under.h"

#include <sys/mman.h>
#include <sys/syscall.h>

/* ---- What is logged ----------------------------------------------------- */

static int log_fd = -1, stderr_fd;

static void log_begin(void)
{
    stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(stderr_fd >= 0 && log_fd >= 0);
    dup2(log_fd, STDERR_FILENO);
}

static bool log_has(const char *part)
{
    char text[8192];
    ssize_t got = pread(log_fd, text, sizeof(text) - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    return strstr(text, part);
}

static void want_log(const char *part)
{
    for (int i = 0; !log_has(part) && i < 10000; i++) {
        usleep(1000);
    }
    assert_true(log_has(part));
}

static int log_end(void **state)
{
    int ret = tear_down_rest(state);

    if (log_fd >= 0) {
        dup2(stderr_fd, STDERR_FILENO);
        close(stderr_fd);
        close(log_fd);
        log_fd = -1;
    }
    return ret;
}

/* Waits until so many connects have been begun. */
static void want_connects(unsigned int count)
{
    for (int i = 0; fake_control_reads < count && i < 10000; i++) {
        usleep(1000);
    }
    assert_true(fake_control_reads >= count);
}

/* ---- A clock ------------------------------------------------------------ */

/*
 * The worker of the second device hangs: what its guest is told after
 * connect-timeout-ms is what others have to be faster than, and would not be
 * with the defaults.
 */
static void start_with_clock(const char *spec, unsigned int clock_ms)
{
    char clock[128];

    snprintf(clock, sizeof(clock),
             "name=clock,class=echo,connect-timeout-ms=%u", clock_ms);
    settings.stop_timeout_ms = 100; /* that worker has to be killed */
    start(spec, clock);
    attach_as(HANGS_TOO, "clock", "guest3");
    want(HANGS_TOO, "state", "2");
}

static void start_clock(void)
{
    unsigned int before = fake_control_reads;

    publish(HANGS_TOO, LIFE);
    /* Others will need the control page. */
    want_connects(before + 1);
}

static void expect_in_time(void)
{
    want_now(HANGS_TOO, "error", NULL);
}

static void a_worker_that_hangs_is_killed(void **state)
{
    (void)state;
    start_with_clock("name=dev0,class=echo,connect-timeout-ms=500", 3000);
    connect_guest(0);
    attach(HANGS);
    want(HANGS, "state", "2");
    start_clock();
    publish(HANGS, LIFE);
    want_part(0, "error", "does not answer");
    expect_in_time();
    want(0, "state", "2");
    want(HANGS, "state", "2");
    /* The guest was told, and what it has to read was not written over. */
    want(HANGS, "error", "the device's worker did not connect within 500 ms");
    stop();
    assert_int_equal(result.code, 0);
}

static void a_worker_that_hangs_at_a_disconnect_is_killed(void **state)
{
    (void)state;
    start_with_clock("name=dev0,class=echo,connect-timeout-ms=500", 3000);
    connect_guest(HANGS_AT_THE_END);
    start_clock();
    set(FRONT, HANGS_AT_THE_END, "state", "5");
    want_part(HANGS_AT_THE_END, "error", "does not answer");
    expect_in_time();
    want(HANGS_AT_THE_END, "state", "2");
    stop();
    assert_int_equal(result.code, 0);
}

static void a_device_that_does_not_open_in_time_is_refused(void **state)
{
    struct gate gate = {0};

    (void)state;
    make_gate(&gate, "name=late,class=echo,open-timeout-ms=300");
    settings.stop_timeout_ms = 100;
    start("name=dev0,class=echo,connect-timeout-ms=3000", gate.spec);
    attach(HANGS_TOO);
    attach_as(0, "late", "guest3");
    want(HANGS_TOO, "state", "2");
    start_clock();
    want(0, "state", "6");
    want(0, "error",
         "device late: cannot be opened within 300 ms (open-timeout-ms)");
    expect_in_time();
    stop();
    unlink(gate.path);
    assert_int_equal(result.code, 0);
}

static void a_worker_that_has_lost_its_device_ends_in_time(void **state)
{
    (void)state;
    start_with_clock("name=dev0,class=echo", 3000);
    attach(LOSES_DEVICE_AND_HANGS);
    want(LOSES_DEVICE_AND_HANGS, "state", "2");
    log_begin();
    start_clock();
    publish(LOSES_DEVICE_AND_HANGS, LIFE);
    want_log("dev0: does not end");
    expect_in_time();
    want(LOSES_DEVICE_AND_HANGS, "state", "2");
    stop();
    assert_int_equal(result.code, 0);
}

static void what_failed_on_our_side_is_tried_again_in_time(void **state)
{
    (void)state;
    settings.retry_backoff_ms = 100;
    start_with_clock("name=dev0,class=echo", 800);
    attach(0);
    want(0, "state", "2");
    start_clock();
    fake_no_gntdev = true;
    publish(0, LIFE);
    want_part(0, "error", "cannot open gntdev");
    fake_no_gntdev = false;
    want(0, "state", "4");
    expect_in_time();
    stop();
    assert_int_equal(result.code, 0);
}

static void a_hotplug_program_that_hangs_is_killed(void **state)
{
    static const char text[] = "#!/bin/sh\n[ $1 = disconnect ] || sleep 40\n";
    char path[] = "/tmp/test_backend_times.XXXXXX";
    int fd = mkstemp(path);
    int status;

    (void)state;
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    fchmod(fd, 0700);
    close(fd);
    settings.hotplug_timeout_ms = 100;
    setup.hotplug = path;
    start_with_clock("name=dev0,class=echo", 3000);
    log_begin();
    start_clock();
    connect_guest(0);
    want_log("connect dev0 3 0: killed, not done within 100 ms");
    expect_in_time();
    kill(getpid(), SIGTERM);
    join();
    assert_int_equal(result.code, 0);
    /* The last one may outlive the supervisor. */
    while (waitpid(-1, &status, 0) > 0) {
    }
    unlink(path);
}

static void a_guest_that_connects_in_a_loop_is_slowed_down(void **state)
{
    (void)state;
    settings.connect_burst = 3;
    settings.connect_interval_ms = HCL_SETTINGS_MAX_MS;
    settings.retry_backoff_ms = 1;
    start("name=dev0,class=echo", NULL);
    attach(ENDS_AT_ONCE);
    want(ENDS_AT_ONCE, "state", "2");
    publish(ENDS_AT_ONCE, LIFE);
    want_connects(3);
    /* It would be faster than another guest, if it could go on. */
    for (int devid = 20; devid < 25; devid++) {
        connect_guest(devid);
    }
    assert_int_equal(fake_control_reads, 3 + 5);
    want(ENDS_AT_ONCE, "state", "2");
    stop();
    assert_int_equal(result.code, 0);
}

static void without_an_interval_nobody_is_slowed_down(void **state)
{
    (void)state;
    settings.connect_burst = 1;
    settings.connect_interval_ms = 0;
    start("name=dev0,class=echo", NULL);
    attach(ENDS_AT_ONCE);
    want(ENDS_AT_ONCE, "state", "2");
    publish(ENDS_AT_ONCE, LIFE);
    want_connects(100);
    stop();
    assert_int_equal(result.code, 0);
}

/* ---- Stopping ----------------------------------------------------------- */

static bool nothing_can_be_killed;

/* In the place of the C library's. */
int kill(pid_t pid, int signal)
{
    if (nothing_can_be_killed && signal == SIGKILL) {
        return 0;
    }
    return (int)syscall(SYS_kill, pid, signal);
}

/* Ends a supervisor whose worker does not end. */
static void stop_a_worker_that_hangs(void)
{
    settings.stop_timeout_ms = 100;
    settings.kill_timeout_ms = 100;
    start("name=dev0,class=echo,connect-timeout-ms=1500", NULL);
    connect_guest(HANGS_AT_THE_END);
    log_begin();
    kill(getpid(), SIGTERM);
    join();
    assert_true(log_has("dev0: does not end"));
    /* That is after connect-timeout-ms, which began at the same time. */
    assert_false(log_has("does not answer"));
}

static void a_stop_is_over_in_time(void **state)
{
    int status;

    (void)state;
    stop_a_worker_that_hangs();
    assert_int_equal(result.code, 0);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

static void a_worker_that_cannot_be_killed_is_given_up(void **state)
{
    int status;

    (void)state;
    nothing_can_be_killed = true;
    stop_a_worker_that_hangs();
    nothing_can_be_killed = false;
    assert_int_equal(result.code, -ETIMEDOUT);
    assert_string_equal(result.text, "a worker cannot be ended");
    /* Its parent, a thread that has ended, was what kept it. */
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_int_equal(fake_open_handles, 0);
}

/* ---- keeper.c alone ----------------------------------------------------- */

static void nothing_changed(void *arg, struct hcl_keeper *keeper)
{
    (void)arg;
    (void)keeper;
}

static const struct hcl_keeper_events no_events = {.changed = nothing_changed,
                                                   .lost = nothing_changed};

/* Lives that are of no use follow each other after these times. */
static void expect_backoffs(const char *spec, const uint32_t *backoffs_ms,
                            unsigned int count)
{
    struct hcl_device_config config;
    struct hcl_keeper keeper = {0};
    struct hcl_loop *loop;
    int status;

    assert_int_equal(hcl_device_config_parse(&config, spec, NULL), 0);
    assert_int_equal(hcl_loop_new(&loop, NULL), 0);
    hcl_keeper_init(&keeper, &config, spec, self, &settings, loop, &no_events,
                    NULL);
    hcl_keeper_start(&keeper);
    for (unsigned int i = 0; i < count; i++) {
        pid_t pid = waitpid(keeper.pid, &status, 0);

        assert_true(hcl_keeper_reaped(&keeper, pid, status));
        assert_int_equal(keeper.state, HCL_KEEPER_DOWN);
        assert_int_equal(keeper.backoff_ms, backoffs_ms[i]);
        while (keeper.pid == 0) {
            assert_int_not_equal(hcl_loop_poll(loop, 20000000), 0);
        }
    }
    hcl_keeper_kill(&keeper, "the test is over");
    waitpid(keeper.pid, &status, 0);
    hcl_keeper_clear(&keeper);
    hcl_loop_free(loop);
}

static void pauses_between_lives_double_up_to_the_longest(void **state)
{
    static const uint32_t crashes[] = {20, 40, 50, 50};
    static const uint32_t failures[] = {30, 50, 50};

    (void)state;
    settings.restart_backoff_ms = 20;
    settings.retry_backoff_ms = 30;
    settings.max_backoff_ms = 50;
    expect_backoffs("name=dev0,class=echo,dies=1", crashes, 4);
    expect_backoffs("name=dev0,class=echo,path=/nonexistent/x", failures, 3);
}

#define TIMED(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_nothing, log_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TIMED(a_worker_that_hangs_is_killed),
        TIMED(a_worker_that_hangs_at_a_disconnect_is_killed),
        TIMED(a_device_that_does_not_open_in_time_is_refused),
        TIMED(a_worker_that_has_lost_its_device_ends_in_time),
        TIMED(what_failed_on_our_side_is_tried_again_in_time),
        TIMED(a_hotplug_program_that_hangs_is_killed),
        TIMED(a_guest_that_connects_in_a_loop_is_slowed_down),
        TIMED(without_an_interval_nobody_is_slowed_down),
        TIMED(a_stop_is_over_in_time),
        TIMED(a_worker_that_cannot_be_killed_is_given_up),
        TIMED(pauses_between_lives_double_up_to_the_longest),
    };

    prepare(argc, argv);
    if (under_valgrind()) {
        puts("under valgrind everything takes longer than its time");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
