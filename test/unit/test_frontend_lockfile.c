/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "forkguard.h"
#include "lockfile.h"

static char root[] = "/tmp/hcl-test-XXXXXX";
static char run_dir[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(root)) {
        return -1;
    }
    snprintf(run_dir, sizeof(run_dir), "%s/a/b", root);
    return setenv("HCL_RUN", run_dir, 1);
}

static int remove_dir(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void test_the_folder_is_made(void **state)
{
    struct hcl_err err;
    int fd;

    (void)state;
    assert_int_equal(hcl_lock_take(7, &fd, &err), 0);
    assert_int_equal(access(run_dir, F_OK), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    hcl_lock_release(fd);
}

static void test_the_file_is_for_its_owner_only(void **state)
{
    mode_t mask = umask(0);
    struct stat info;
    int fd;

    (void)state;
    assert_int_equal(hcl_lock_take(8, &fd, NULL), 0);
    umask(mask);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    hcl_lock_release(fd);
}

static void test_a_second_one_is_busy_and_says_by_whom(void **state)
{
    char text[64];
    struct hcl_err err;
    int first, second = -1;

    (void)state;
    assert_int_equal(hcl_lock_take(0, &first, &err), 0);
    assert_int_equal(hcl_lock_take(0, &second, &err), -EBUSY);
    snprintf(text, sizeof(text), "in use by process %d", (int)getpid());
    assert_string_equal(err.text, text);
    assert_int_equal(err.code, -EBUSY);
    assert_int_equal(second, -1);
    hcl_lock_release(first);
}

static void test_other_attachments_are_free(void **state)
{
    struct hcl_err err;
    int first, second;

    (void)state;
    assert_int_equal(hcl_lock_take(0, &first, &err), 0);
    assert_int_equal(hcl_lock_take(1, &second, &err), 0);
    hcl_lock_release(first);
    hcl_lock_release(second);
}

static void test_a_released_one_can_be_taken_again(void **state)
{
    struct hcl_err err;
    int fd;

    (void)state;
    assert_int_equal(hcl_lock_take(0, &fd, &err), 0);
    hcl_lock_release(fd);
    assert_int_equal(hcl_lock_take(0, &fd, &err), 0);
    hcl_lock_release(fd);
}

static void test_the_death_of_the_holder_releases_it(void **state)
{
    struct hcl_err err;
    int status, fd;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        _exit(hcl_lock_take(0, &fd, &err) < 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(hcl_lock_take(0, &fd, &err), 0);
    hcl_lock_release(fd);
}

static void test_what_others_wrote_in_the_file_is_not_repeated(void **state)
{
    char path[128];
    struct hcl_err err;
    int fd, other;

    (void)state;
    assert_int_equal(hcl_lock_take(3, &fd, &err), 0);
    snprintf(path, sizeof(path), "%s/3.lock", run_dir);
    other = open(path, O_WRONLY | O_TRUNC);
    assert_true(other >= 0);
    assert_int_equal(write(other, "\033[31m", 5), 5);
    close(other);
    assert_int_equal(hcl_lock_take(3, &other, &err), -EBUSY);
    assert_string_equal(err.text, "in use by another process");
    hcl_lock_release(fd);
}

/* A child of the holder that lives on must not keep the lock. */
static void test_a_forked_child_does_not_keep_it(void **state)
{
    struct hcl_fork_guard guard;
    int pipes[2], running[2], fd, status;
    struct hcl_err err;
    char byte;
    pid_t holder, child;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(pipe(running), 0);
    holder = fork();
    if (holder == 0) {
        close(pipes[1]);
        if (hcl_fork_guard_start(&guard) < 0 ||
            hcl_lock_take(0, &guard.fds[HCL_FORK_LOCK], &err) < 0) {
            _exit(1);
        }
        child = fork();
        if (child == 0) {
            /* Until the test is over. */
            _exit(write(running[1], "", 1) != 1 ||
                  read(pipes[0], &byte, 1) != 0);
        }
        _exit(child < 0 || read(running[0], &byte, 1) != 1);
    }
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(status, 0);
    assert_int_equal(hcl_lock_take(0, &fd, &err), 0);
    hcl_lock_release(fd);
    close(pipes[0]);
    close(pipes[1]);
    close(running[0]);
    close(running[1]);
}

static void test_the_guard_closes_in_the_child_only(void **state)
{
    struct hcl_fork_guard guard;
    int status, fd = open("/dev/null", O_RDONLY);
    pid_t child;

    (void)state;
    assert_int_equal(hcl_fork_guard_start(&guard), 0);
    guard.fds[HCL_FORK_PORTS] = fd;
    child = fork();
    if (child == 0) {
        _exit(!(guard.forked && fcntl(fd, F_GETFD) < 0));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(guard.forked);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    hcl_fork_guard_stop(&guard);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_folder_is_made),
        cmocka_unit_test(test_the_file_is_for_its_owner_only),
        cmocka_unit_test(test_a_second_one_is_busy_and_says_by_whom),
        cmocka_unit_test(test_other_attachments_are_free),
        cmocka_unit_test(test_a_released_one_can_be_taken_again),
        cmocka_unit_test(test_the_death_of_the_holder_releases_it),
        cmocka_unit_test(test_what_others_wrote_in_the_file_is_not_repeated),
        cmocka_unit_test(test_a_forked_child_does_not_keep_it),
        cmocka_unit_test(test_the_guard_closes_in_the_child_only),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
