/* SPDX-License-Identifier: MIT */
/* local.c: both ends of it in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "local.h"

static const struct hcl_layout layout = {
    .num_queues = 1, .tx_pages = 3, .rx_pages = 5};

static struct hcl_local front, back;

static unsigned int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned int count = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static unsigned int fds_before;

static int setup(void **state)
{
    const struct hcl_local none = HCL_LOCAL_NONE;

    (void)state;
    front = back = none;
    fds_before = open_fds();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hcl_local_close(&front);
    hcl_local_close(&back);
    assert_int_equal(open_fds(), fds_before);
    return 0;
}

/* What the other process gets is a copy. */
static void copy_fds(int *fds)
{
    hcl_local_peer_fds(&front, fds);
    for (int i = 0; i < HCL_LOCAL_FDS; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
    }
}

static void make_both(void)
{
    int fds[HCL_LOCAL_FDS];

    assert_int_equal(hcl_local_new(&front, &layout, NULL), 0);
    copy_fds(fds);
    assert_int_equal(hcl_local_adopt(&back, &layout, fds, NULL), 0);
}

static bool has_rung(const struct hcl_local *local)
{
    struct pollfd ready = {.fd = hcl_local_fd(local), .events = POLLIN};

    return poll(&ready, 1, 0) == 1;
}

/* Whether the mapping at @address is writable, as the kernel says. */
static bool is_writable(const void *address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long start, end;
    char line[512], rights[8];
    bool writable = false;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 &&
            (uintptr_t)address >= start && (uintptr_t)address < end) {
            writable = rights[1] == 'w';
        }
    }
    fclose(maps);
    return writable;
}

static void both_ends_see_the_same_memory(void **state)
{
    size_t ro = (size_t)hcl_layout_ro_pages(&layout) * HCLIF_PAGE_BYTES;
    size_t rw = (size_t)hcl_layout_rw_pages(&layout) * HCLIF_PAGE_BYTES;

    (void)state;
    make_both();
    assert_int_equal(((struct hclif_side *)front.ro)->alive, 1);
    assert_int_equal(((struct hclif_side *)front.rw)->alive, 0);
    memset(front.ro, 0x5a, ro);
    memset(back.rw, 0xa5, rw);
    assert_memory_equal(front.ro, back.ro, ro);
    assert_memory_equal(front.rw, back.rw, rw);
    assert_int_equal(((uint8_t *)front.ro)[ro - 1], 0x5a);
    assert_int_equal(((uint8_t *)front.rw)[0], 0xa5);
}

static void the_backend_cannot_write_what_is_the_frontends(void **state)
{
    (void)state;
    make_both();
    assert_false(is_writable(back.ro));
    assert_true(is_writable(back.rw));
    assert_true(is_writable(front.ro));
}

static void a_doorbell_wakes_the_other_end_once(void **state)
{
    (void)state;
    make_both();
    assert_false(has_rung(&front));
    assert_false(has_rung(&back));
    hcl_local_ring(&front);
    hcl_local_ring(&front);
    assert_true(has_rung(&back));
    assert_false(has_rung(&front));
    hcl_local_drain(&back);
    assert_false(has_rung(&back));
    hcl_local_drain(&back); /* does not block */
    hcl_local_ring(&back);
    assert_true(has_rung(&front));
    assert_false(has_rung(&back));
}

static void refused(int memory)
{
    int fds[HCL_LOCAL_FDS];
    struct hcl_err err = {0};

    copy_fds(fds);
    close(fds[0]);
    fds[0] = memory;
    assert_int_equal(hcl_local_adopt(&back, &layout, fds, &err), -EINVAL);
    assert_non_null(strstr(err.text, "sealed memfd"));
    assert_null(back.ro);
}

/* The memory may go away under who maps it: SIGBUS. */
static void memory_that_can_shrink_is_refused(void **state)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    assert_int_equal(hcl_local_new(&front, &layout, NULL), 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    refused(fd);
}

static void memory_that_is_too_small_is_refused(void **state)
{
    uint32_t pages =
        hcl_layout_ro_pages(&layout) + hcl_layout_rw_pages(&layout);
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    assert_int_equal(hcl_local_new(&front, &layout, NULL), 0);
    assert_int_equal(ftruncate(fd, (off_t)pages * HCLIF_PAGE_BYTES - 1), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    refused(fd);
}

static void what_is_no_memory_is_refused(void **state)
{
    (void)state;
    assert_int_equal(hcl_local_new(&front, &layout, NULL), 0);
    refused(open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static void its_memory_stays_as_large_as_it_is(void **state)
{
    int fds[HCL_LOCAL_FDS];

    (void)state;
    assert_int_equal(hcl_local_new(&front, &layout, NULL), 0);
    hcl_local_peer_fds(&front, fds);
    assert_int_equal(ftruncate(fds[0], 0), -1);
    assert_int_equal(errno, EPERM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(both_ends_see_the_same_memory),
        T(the_backend_cannot_write_what_is_the_frontends),
        T(a_doorbell_wakes_the_other_end_once),
        T(memory_that_can_shrink_is_refused),
        T(memory_that_is_too_small_is_refused),
        T(what_is_no_memory_is_refused),
        T(its_memory_stays_as_large_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
