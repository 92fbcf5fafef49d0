/* SPDX-License-Identifier: MIT */
/*
 * test_tools_xl_process.c: finds the xl process that makes a guest.  Copies of
 * this program play xl: started with arguments, it waits until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_tools_dir.h"
#include "xl_process.h"

#define MAX_PLAYERS 8

static char dir[64];
static pid_t players[MAX_PLAYERS];
static unsigned int num_players;
static int stdin_fd = -1; /* the players' standard input, or ours */
static int stdin_pipe[2];
static int stdout_fd = -1;
static uint64_t fresh_ms;

/* ---- The stage --------------------------------------------------------- */

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

static void copy_self(const char *name, mode_t mode)
{
    char path[128], buf[65536];
    int in = open("/proc/self/exe", O_RDONLY);
    int out;
    ssize_t got;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    assert_true(in >= 0 && out >= 0);
    while ((got = read(in, buf, sizeof(buf))) > 0) {
        assert_int_equal(write(out, buf, (size_t)got), got);
    }
    assert_int_equal(fchmod(out, mode), 0);
    close(in);
    close(out);
}

/* Until who starts now is newer than all: /proc counts in clock ticks. */
static void wait_for_tick(void)
{
    struct tms unused;
    clock_t before = times(&unused);

    while (times(&unused) - before < 2) {
        sched_yield();
    }
}

/* Starts the copy @name with "create @config", as user @uid, in our folder. */
static void play(const char *name, const char *verb, const char *config,
                 const char *extra, uid_t uid)
{
    char path[128];
    int ready[2];
    char byte;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_true(num_players < MAX_PLAYERS);
    wait_for_tick();
    players[num_players] = fork();
    if (players[num_players] == 0) {
        if (stdin_fd >= 0) {
            dup2(stdin_fd, 0);
        }
        if (stdout_fd >= 0) {
            dup2(stdout_fd, 1);
        }
        if (chdir(dir) == 0 && (uid == 0 || setresuid(uid, uid, uid) == 0)) {
            execl(path, "xl", verb, config, extra, NULL);
        }
        _exit(1);
    }
    num_players++;
    close(ready[1]);
    /* Closed by exec. */
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hcl-test-xl-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    chmod(dir, 0755);
    copy_self("xl", 0755);
    fresh_ms = 60000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    while (num_players > 0) {
        kill(players[--num_players], SIGKILL);
        waitpid(players[num_players], NULL, 0);
    }
    return test_remove_dir(dir);
}

static int find(const char *name, enum hcl_xl_search search,
                struct hcl_xl_process *found)
{
    struct hcl_err err = {0};
    int ret = hcl_xl_process_find(name, search, fresh_ms, found, &err);

    if (ret < 0) {
        fail_msg("%s", err.text);
    }
    return ret;
}

static void expect_none(const char *name)
{
    struct hcl_xl_process found;

    assert_int_equal(find(name, HCL_XL_CREATES, &found), 0);
    assert_null(found.config);
}

static void expect_setting(const struct hcl_xl_process *found, const char *key,
                           const char *expected)
{
    const char *value;

    assert_int_equal(hcl_config_string(found->config, key, &value, NULL), 0);
    assert_non_null(value);
    assert_string_equal(value, expected);
}

/* ---- Processes --------------------------------------------------------- */

static void the_process_with_the_guests_name_is_found(void **state)
{
    struct hcl_xl_process found;
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/u.cfg", dir);
    write_config("u.cfg", "name = 'hcl-test-u'\nwhich = 'u'\n");
    write_config("v.cfg", "name = 'hcl-test-v'\nwhich = 'v'\n");
    play("xl", "create", path, NULL, 0);
    play("xl", "create", "v.cfg", NULL, 0);
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 1);
    assert_int_equal(found.pid, players[0]);
    assert_string_equal(found.path, path);
    assert_true(found.started_ms > 0);
    expect_setting(&found, "which", "u");
    hcl_xl_process_clear(&found);
    assert_int_equal(find("hcl-test-v", HCL_XL_CREATES, &found), 1);
    assert_string_equal(found.path, "v.cfg");
    hcl_xl_process_clear(&found);
    expect_none("hcl-test-w");
}

static void trailing_assignments_count(void **state)
{
    struct hcl_xl_process found;

    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\nwhich = 'u'");
    play("xl", "create", "u.cfg", "name='hcl-test-x'", 0);
    expect_none("hcl-test-u");
    assert_int_equal(find("hcl-test-x", HCL_XL_CREATES, &found), 1);
    expect_setting(&found, "which", "u");
    hcl_xl_process_clear(&found);
}

static void all_can_stand_on_the_command_line(void **state)
{
    struct hcl_xl_process found;

    (void)state;
    play("xl", "create", "/dev/null", "name='hcl-test-u'", 0);
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 1);
    hcl_xl_process_clear(&found);
}

static void the_newest_of_several_is_taken(void **state)
{
    struct hcl_xl_process found;

    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\nwhich = 'old'\n");
    write_config("v.cfg", "name = 'hcl-test-u'\nwhich = 'new'\n");
    play("xl", "create", "u.cfg", NULL, 0);
    usleep(50000);
    play("xl", "create", "v.cfg", NULL, 0);
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 1);
    expect_setting(&found, "which", "new");
    hcl_xl_process_clear(&found);
}

static void restore_with_a_configuration_is_another_question(void **state)
{
    struct hcl_xl_process found;

    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    play("xl", "restore", "u.cfg", "u.save", 0);
    expect_none("hcl-test-u");
    assert_int_equal(find("hcl-test-u", HCL_XL_RESTORES, &found), 1);
    hcl_xl_process_clear(&found);
}

/* One that has been in the background for a moment counts as well. */
static void a_fresh_monitor_is_found(void **state)
{
    struct hcl_xl_process found;
    char path[128];

    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    snprintf(path, sizeof(path), "%s/xl-hcl-test-u.log", dir);
    stdout_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    play("xl", "create", "u.cfg", NULL, 0);
    close(stdout_fd);
    stdout_fd = -1;
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 1);
    hcl_xl_process_clear(&found);
    fresh_ms = 0;
    expect_none("hcl-test-u");
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATED, &found), 1);
    hcl_xl_process_clear(&found);
}

/* ---- Impostors --------------------------------------------------------- */

static void another_users_process_is_not_believed(void **state)
{
    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    play("xl", "create", "u.cfg", NULL, 65534);
    expect_none("hcl-test-u");
}

static void another_program_that_calls_itself_xl_is_not_believed(void **state)
{
    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    copy_self("notxl", 0755);
    play("notxl", "create", "u.cfg", NULL, 0);
    expect_none("hcl-test-u");
}

static void a_program_that_others_can_write_is_not_believed(void **state)
{
    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    copy_self("xl", 0775);
    play("xl", "create", "u.cfg", NULL, 0);
    expect_none("hcl-test-u");
}

static void a_program_that_another_owns_is_not_believed(void **state)
{
    char path[128];

    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    snprintf(path, sizeof(path), "%s/xl", dir);
    assert_int_equal(chown(path, 65534, 0), 0);
    play("xl", "create", "u.cfg", NULL, 0);
    expect_none("hcl-test-u");
}

static void an_upgraded_xl_is_still_xl(void **state)
{
    struct hcl_xl_process found;
    char path[128];

    (void)state;
    write_config("u.cfg", "name = 'hcl-test-u'\n");
    play("xl", "create", "u.cfg", NULL, 0);
    snprintf(path, sizeof(path), "%s/xl", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 1);
    hcl_xl_process_clear(&found);
}

/* ---- What cannot be read again ----------------------------------------- */

static void expect_unread(const char *config, const char *expected)
{
    struct hcl_xl_process found;

    play("xl", "create", config, NULL, 0);
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 0);
    assert_int_equal(found.unread, num_players);
    if (!strstr(found.unread_why.text, expected)) {
        fail_msg("'%s' lacks '%s'", found.unread_why.text, expected);
    }
}

static void a_pipe_is_said_with_what_to_do(void **state)
{
    char path[128];

    (void)state;
    assert_int_equal(pipe(stdin_pipe), 0);
    stdin_fd = stdin_pipe[0];
    expect_unread("/dev/stdin", ": /dev/stdin cannot be read a second time; "
                                "put the configuration in a file, or use "
                                "hclctl attach");
    expect_unread("/dev/fd/0", ": /dev/fd/0 cannot be read a second time");
    close(stdin_pipe[0]);
    close(stdin_pipe[1]);
    stdin_fd = -1;
    snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_unread(path, "fifo cannot be read a second time");
}

static void a_file_that_is_its_standard_input_is_read(void **state)
{
    struct hcl_xl_process found;
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/u.cfg", dir);
    write_config("u.cfg", "name = 'hcl-test-u'\nwhich = 'u'\n");
    stdin_fd = open(path, O_RDONLY);
    play("xl", "create", "/dev/stdin", NULL, 0);
    close(stdin_fd);
    stdin_fd = -1;
    /* As with a here document, whose file has no name any more. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(find("hcl-test-u", HCL_XL_CREATES, &found), 1);
    expect_setting(&found, "which", "u");
    hcl_xl_process_clear(&found);
}

static void a_missing_file_or_a_bad_one_is_said(void **state)
{
    (void)state;
    expect_unread("gone.cfg", ": cannot open gone.cfg: No such file");
    write_config("bad.cfg", "a = 1\nname = foo\n");
    expect_unread("bad.cfg", ": bad.cfg:2: config parsing error");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            the_process_with_the_guests_name_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trailing_assignments_count, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_can_stand_on_the_command_line,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_newest_of_several_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            restore_with_a_configuration_is_another_question, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_fresh_monitor_is_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_users_process_is_not_believed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            another_program_that_calls_itself_xl_is_not_believed, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_program_that_others_can_write_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_program_that_another_owns_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upgraded_xl_is_still_xl, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_is_said_with_what_to_do, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_is_its_standard_input_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_file_or_a_bad_one_is_said,
                                        set_up, tear_down),
    };

    (void)argv;
    if (argc > 1) {
        for (;;) {
            pause();
        }
    }
    if (geteuid() != 0) {
        puts("only root can play xl");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
