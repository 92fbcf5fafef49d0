/* SPDX-License-Identifier: MIT */
/*
 * Programs with several threads, each with devices of its own (hcl.h: different
 * devices are independent), while another thread forks.
 */
#include "test_frontend_backend.h"

#include <pthread.h>

#define PROGRAMS 3
#define LIVES 12
#define FORKS 20
#define MAX_FDS 256

struct program {
    unsigned int devid;
    pthread_t thread;
};

static unsigned int running; /* programs; atomic */

static void exchange(struct hcl_handle *handle, unsigned int salt)
{
    uint8_t sent[600], got[600];
    size_t bytes, i;

    for (bytes = 1; bytes <= sizeof(sent); bytes += 97) {
        for (i = 0; i < bytes; i++) {
            sent[i] = (uint8_t)(salt + i);
        }
        assert_int_equal(
            hcl_exchange(handle, sent, bytes, got, bytes, 5000, NULL), bytes);
        assert_memory_equal(got, sent, bytes);
    }
}

/* One life of a device, with a restart of its backend. */
static void use_device(unsigned int salt)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_device *device;
    struct hcl_handle *handle;
    struct hcl_info *infos;
    struct hcl_err err;
    unsigned int count;

    options.backoff_ms = 1;
    if (hcl_open("dev0", &options, 5000, &device, &err) < 0) {
        fail_msg("hcl_open: %s", err.text);
    }
    handle = open_handle(device);
    exchange(handle, salt);
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    backend_start();
    exchange(handle, salt + 1);
    hcl_close(device);
    assert_int_equal(hcl_list(&infos, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(infos[0].devid, own_devid);
    free(infos);
}

static void *program_thread(void *arg)
{
    const struct program *program = arg;
    unsigned int i;

    own_devid = program->devid;
    world_make();
    for (i = 0; i < LIVES; i++) {
        use_device(program->devid + i);
    }
    world_end();
    assert_int_equal(store.handles, 0);
    assert_int_equal(grants.handles, 0);
    assert_int_equal(events.opened, events.closed);
    __atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Whether some descriptor is an epoll set: each device has one. */
static bool has_epoll(void)
{
    char path[32], target[64];
    int fd;

    for (fd = 0; fd < MAX_FDS; fd++) {
        ssize_t got;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        got = readlink(path, target, sizeof(target) - 1);
        target[got > 0 ? got : 0] = '\0';
        if (strstr(target, "[eventpoll]")) {
            return true;
        }
    }
    return false;
}

/* The child has no part in any device, whatever the threads were doing. */
static void fork_once(void)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        _exit(has_epoll());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void threads_with_a_device_each_do_not_disturb_each_other(void **state)
{
    struct program programs[PROGRAMS];
    unsigned int i;

    (void)state;
    running = PROGRAMS;
    for (i = 0; i < PROGRAMS; i++) {
        programs[i].devid = i + 1;
        assert_int_equal(pthread_create(&programs[i].thread, NULL,
                                        program_thread, &programs[i]),
                         0);
    }
    for (i = 0; i < FORKS; i++) {
        fork_once();
    }
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) > 0) {
        fork_once();
    }
    for (i = 0; i < PROGRAMS; i++) {
        pthread_join(programs[i].thread, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(threads_with_a_device_each_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
