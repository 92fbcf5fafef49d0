/* SPDX-License-Identifier: MIT */
/*
 * The preloaded library of the simulated host: what programs do with mappings
 * and descriptors of Xen's devices: move, cover, split, inherit, pass on.
 */
#include "test_sim_rig.h"

#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#define PAGE INT64_C(4096)
#define RW (PROT_READ | PROT_WRITE)

/* A program in a guest, that shares with dom0. */
static struct agent *front;
static int64_t handle;

static int setup(void **state)
{
    rig_setup(state);
    front = agent_start(rig_boot());
    handle = tell(front, A_SHARE_OPEN);
    return handle ? 0 : -1;
}

static int64_t share(uint32_t count)
{
    int64_t at = tell(front, A_SHARE, handle, 0, count, 1);

    assert_true(at != 0);
    return at;
}

static int64_t private_pages(uint32_t count)
{
    int64_t at = tell(front, A_MMAP, 0, count * PAGE, RW,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(at > 0);
    return at;
}

static void poke(struct agent *agent, int64_t at, uint8_t value)
{
    agent->m.data[0] = value;
    assert_int_equal(tell(agent, A_POKE, at, 1), 1);
}

/* -1: it cannot be read. */
static int peek(struct agent *agent, int64_t at)
{
    return tell(agent, A_PEEK, at, 1) == 1 ? agent->m.data[0] : -1;
}

/* ---- Mappings ---------------------------------------------------------- */

/* Into the middle of a range of the program's own. */
static int64_t share_within(int64_t range, uint32_t first, uint32_t count)
{
    int64_t from = share(count), to = range + first * PAGE;

    assert_int_equal(tell(front, A_MREMAP, from, count * PAGE, count * PAGE,
                          MREMAP_MAYMOVE | MREMAP_FIXED, to),
                     to);
    return to;
}

/* libxengnttab gives the allocation back first; the pages go one by one. */
static void pages_can_be_unmapped_one_by_one(void **state)
{
    int64_t range = private_pages(6), at = share_within(range, 1, 4);

    (void)state;
    assert_int_equal(audit(), 4);
    tell(front, A_SHARE_CLOSE, handle);
    assert_int_equal(audit(), 4);
    assert_int_equal(tell(front, A_MUNMAP, at + PAGE, PAGE), 0);
    assert_int_equal(audit(), 3);
    /* Over the hole and a page before it. */
    assert_int_equal(tell(front, A_MUNMAP, at, 2 * PAGE), 0);
    assert_int_equal(audit(), 2);
    poke(front, at + 2 * PAGE, 1);
    assert_int_equal(tell(front, A_MUNMAP, range, 6 * PAGE), 0);
    assert_int_equal(audit(), 0);
}

static void what_is_mapped_over_is_unmapped(void **state)
{
    int64_t at = share(3);

    (void)state;
    tell(front, A_SHARE_CLOSE, handle);
    assert_int_equal(tell(front, A_MMAP, at + PAGE, PAGE, RW,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     at + PAGE);
    assert_int_equal(audit(), 2);
    assert_int_equal(peek(front, at + PAGE), 0);
    /* Without MAP_FIXED the address is a wish, and nothing goes. */
    assert_true(tell(front, A_MMAP, at, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0) != at);
    assert_int_equal(audit(), 2);
}

/* As libhcl does: hcl_share_move and hcl_share_replace. */
static void pages_move_over_others_and_are_covered(void **state)
{
    int64_t to = private_pages(3), from = share(3), cover = private_pages(3);

    (void)state;
    poke(front, from + 2 * PAGE, 9);
    assert_int_equal(tell(front, A_MREMAP, from, 3 * PAGE, 3 * PAGE,
                          MREMAP_MAYMOVE | MREMAP_FIXED, to),
                     to);
    assert_int_equal(peek(front, to + 2 * PAGE), 9);
    assert_int_equal(peek(front, from), -1);
    tell(front, A_SHARE_CLOSE, handle);
    assert_int_equal(audit(), 3);
    poke(front, cover, 4);
    assert_int_equal(tell(front, A_MREMAP, cover, 3 * PAGE, 3 * PAGE,
                          MREMAP_MAYMOVE | MREMAP_FIXED, to),
                     to);
    assert_int_equal(peek(front, to), 4);
    assert_int_equal(audit(), 0);
}

static void pages_move_over_shared_ones(void **state)
{
    int64_t to = share(2), from = share(2);

    (void)state;
    tell(front, A_SHARE_CLOSE, handle);
    assert_int_equal(audit(), 4);
    assert_int_equal(tell(front, A_MREMAP, from, 2 * PAGE, 2 * PAGE,
                          MREMAP_MAYMOVE | MREMAP_FIXED, to),
                     to);
    assert_int_equal(audit(), 2);
    tell(front, A_MUNMAP, to, 2 * PAGE);
    assert_int_equal(audit(), 0);
}

static void a_mapping_shrinks_but_never_grows(void **state)
{
    int64_t at = share(2);

    (void)state;
    tell(front, A_SHARE_CLOSE, handle);
    assert_refused(EFAULT, front, A_MREMAP, at, 2 * PAGE, 3 * PAGE,
                   MREMAP_MAYMOVE, 0);
    assert_int_equal(tell(front, A_MREMAP, at, 2 * PAGE, PAGE, 0, 0), at);
    assert_int_equal(audit(), 1);
    assert_int_equal(peek(front, at + PAGE), -1);
}

/* Pages of two allocations, which lie apart in the host's memory. */
static void a_mapping_of_many_pieces_is_one_to_the_program(void **state)
{
    struct ioctl_gntalloc_alloc_gref alloc = {.count = 1};
    int64_t fd, at, to;
    int i;

    (void)state;
    strcpy((char *)front->m.data, "/dev/xen/gntalloc");
    fd = tell(front, A_OPEN, O_RDWR | O_CLOEXEC);
    for (i = 0; i < 4; i++) {
        /* One that another handle has lies in between. */
        memcpy(front->m.data, &alloc, sizeof(alloc));
        assert_int_equal(tell(front, A_IOCTL, fd, IOCTL_GNTALLOC_ALLOC_GREF),
                         0);
        share(1);
    }
    at = tell(front, A_MMAP, 0, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    assert_true(at > 0);
    for (i = 0; i < 4; i++) {
        poke(front, at + i * PAGE, (uint8_t)(i + 1));
    }
    to = private_pages(4);
    assert_int_equal(tell(front, A_MREMAP, at, 4 * PAGE, 4 * PAGE,
                          MREMAP_MAYMOVE | MREMAP_FIXED, to),
                     to);
    for (i = 0; i < 4; i++) {
        assert_int_equal(peek(front, to + i * PAGE), i + 1);
    }
    tell(front, A_CLOSE, fd);
    tell(front, A_SHARE_CLOSE, handle);
    assert_int_equal(audit(), 8);
    assert_int_equal(tell(front, A_MUNMAP, to, 4 * PAGE), 0);
    assert_int_equal(audit(), 4);
}

static void what_does_not_exist_is_not_mapped(void **state)
{
    int64_t fd;

    (void)state;
    strcpy((char *)front->m.data, "/dev/xen/gntalloc");
    fd = tell(front, A_OPEN, O_RDWR | O_CLOEXEC);
    assert_refused(ENOENT, front, A_MMAP, 0, PAGE, RW, MAP_SHARED, fd, 0);
    assert_refused(EINVAL, front, A_MMAP, 0, PAGE, RW, MAP_PRIVATE, fd, 0);
}

/* ---- Children ---------------------------------------------------------- */

static void a_child_keeps_what_it_inherits(void **state)
{
    int64_t at = share(2);
    struct agent *child = agent_fork(front);

    (void)state;
    poke(child, at, 7);
    assert_int_equal(peek(front, at), 7);
    agent_kill(front);
    assert_int_equal(audit(), 2);
    /* Page by page, by its own calls. */
    tell(child, A_SHARE_CLOSE, handle);
    tell(child, A_MUNMAP, at, PAGE);
    assert_int_equal(audit(), 1);
    agent_end(child);
    assert_int_equal(audit(), 0);
}

static void a_grandchild_inherits_too(void **state)
{
    struct agent *child, *grandchild;
    int64_t at = share(1);

    (void)state;
    tell(front, A_SHARE_CLOSE, handle);
    child = agent_fork(front);
    grandchild = agent_fork(child);
    agent_end(child);
    agent_kill(front);
    assert_int_equal(audit(), 1);
    poke(grandchild, at, 1);
    agent_end(grandchild);
    assert_int_equal(audit(), 0);
}

static void what_is_not_for_children_ends_with_the_parent(void **state)
{
    int64_t at = share(3);
    struct agent *child;

    (void)state;
    assert_int_equal(tell(front, A_MADVISE, at + PAGE, 2 * PAGE, MADV_DONTFORK),
                     0);
    assert_int_equal(tell(front, A_MADVISE, at + PAGE, PAGE, MADV_DOFORK), 0);
    child = agent_fork(front);
    tell(child, A_SHARE_CLOSE, handle);
    tell(front, A_SHARE_CLOSE, handle);
    poke(child, at + PAGE, 1);
    assert_int_equal(peek(child, at + 2 * PAGE), -1);
    agent_kill(front);
    assert_int_equal(audit(), 2);
    agent_end(child);
    assert_int_equal(audit(), 0);
}

static void foreign_pages_are_never_a_childs(void **state)
{
    struct agent *back = agent_start(rig.host.machines), *child;
    int64_t map = tell(back, A_MAP_OPEN), at;
    uint32_t ref;

    (void)state;
    share(1);
    memcpy(&ref, front->m.data, sizeof(ref));
    memcpy(back->m.data, &ref, sizeof(ref));
    at = tell(back, A_MAP, map, 1, 1, RW);
    child = agent_fork(back);
    assert_int_equal(peek(child, at), -1);
    tell(child, A_MAP_CLOSE, map);
    tell(back, A_UNMAP, map, at, 1);
    tell(back, A_MAP_CLOSE, map);
    agent_kill(front);
    assert_int_equal(audit(), 0);
}

/* What is mapped goes; a descriptor stays, and what is allocated on it. */
static void an_exec_unmaps(void **state)
{
    struct ioctl_gntalloc_alloc_gref alloc = {.count = 1};
    int64_t fd;

    (void)state;
    share(2);
    strcpy((char *)front->m.data, "/dev/xen/gntalloc");
    fd = tell(front, A_OPEN, O_RDWR);
    memcpy(front->m.data, &alloc, sizeof(alloc));
    assert_int_equal(tell(front, A_IOCTL, fd, IOCTL_GNTALLOC_ALLOC_GREF), 0);
    assert_true(tell(front, A_MMAP, 0, PAGE, RW, MAP_SHARED, fd, 0) > 0);
    assert_int_equal(audit(), 3);
    agent_send_off(front, A_EXEC);
    agent_wait(front);
    assert_int_equal(audit(), 1);
    assert_true(tell(front, A_MMAP, 0, PAGE, RW, MAP_SHARED, fd, 0) > 0);
    tell(front, A_CLOSE, fd);
    assert_int_equal(audit(), 1);
}

/* A vfork's child runs in its parent's memory, and closes what it inherits. */
static void a_program_that_is_started_takes_nothing_away(void **state)
{
    int64_t evtchn = tell(front, A_EVTCHN_OPEN), at = share(1);
    int64_t port = tell(front, A_ALLOC, evtchn, 0), fds;

    (void)state;
    assert_true(port > 0);
    fds = tell(front, A_COUNT_FDS);
    assert_int_equal(tell(front, A_SPAWN), 0);
    assert_int_equal(tell(front, A_COUNT_FDS), fds);
    assert_int_equal(tell(front, A_NOTIFY, evtchn, port), 0);
    poke(front, at, 1);
    assert_int_equal(audit(), 2);
    assert_int_equal(tell(front, A_UNSHARE, handle, at, 1), 0);
    assert_int_equal(tell(front, A_UNBIND, evtchn, port), 0);
    assert_int_equal(audit(), 0);
}

/* ---- Anywhere ---------------------------------------------------------- */

static void a_program_that_is_killed_anywhere_leaves_nothing(void **state)
{
    struct agent *agent;
    unsigned int i;

    (void)state;
    for (i = 0; i < 120; i++) {
        agent = agent_start(rig.host.machines->next);
        rig.calls[SIM_CALL_GRANT] = rig.calls[SIM_CALL_ALLOC] = 0;
        agent_send_off(agent, A_CHURN);
        rig_run_until(i % 2 ? SIM_CALL_GRANT : SIM_CALL_ALLOC, i / 2);
        agent_kill(agent);
        assert_int_equal(audit(), 0);
    }
}

static void threads_and_their_forks_do_not_disturb_each_other(void **state)
{
    (void)state;
    assert_int_equal(tell(front, A_THREADS, 4, 60), 0);
    assert_int_equal(audit(), 0);
}

/* ---- Descriptors ------------------------------------------------------- */

static void the_last_copy_closes_the_device(void **state)
{
    struct agent *other = agent_start(rig.host.machines);
    int64_t evtchn = tell(front, A_EVTCHN_OPEN), fd, copy, passed;

    (void)state;
    assert_true(tell(front, A_ALLOC, evtchn, 0) > 0);
    fd = tell(front, A_EVTCHN_FD, evtchn);
    copy = tell(front, A_FCNTL, fd, F_DUPFD_CLOEXEC, 20);
    passed = agent_pass(front, fd, other);
    tell(front, A_EVTCHN_CLOSE, evtchn);
    assert_int_equal(audit(), 1);
    tell(front, A_CLOSE, copy);
    assert_int_equal(audit(), 1);
    tell(other, A_CLOSE, passed);
    assert_int_equal(audit(), 0);
}

static void a_device_that_was_passed_on_works_there(void **state)
{
    struct agent *other = agent_start(rig.host.machines->next);
    struct agent *back = agent_start(rig.host.machines);
    int64_t evtchn = tell(front, A_EVTCHN_OPEN), back_evtchn, port, fd;
    struct ioctl_evtchn_notify event;
    uint32_t number;

    (void)state;
    port = tell(front, A_ALLOC, evtchn, 0);
    back_evtchn = tell(back, A_EVTCHN_OPEN);
    assert_true(tell(back, A_BIND, back_evtchn, 1, port) > 0);
    tell(back, A_NOTIFY, back_evtchn, 6);

    fd = agent_pass(front, tell(front, A_EVTCHN_FD, evtchn), other);
    agent_kill(front);
    /* Its first use there may be any. */
    assert_int_equal(tell(other, A_READ, fd, 64), sizeof(number));
    memcpy(&number, other->m.data, sizeof(number));
    assert_int_equal(number, port);
    memcpy(other->m.data, &number, sizeof(number));
    assert_int_equal(tell(other, A_WRITE, fd, sizeof(number)), sizeof(number));
    tell(back, A_NOTIFY, back_evtchn, 6);
    assert_int_equal(tell(other, A_READ, fd, 64), sizeof(number));
    event.port = (uint32_t)port;
    memcpy(other->m.data, &event, sizeof(event));
    assert_int_equal(tell(other, A_IOCTL, fd, IOCTL_EVTCHN_NOTIFY), 0);
    assert_int_equal(tell(back, A_PENDING, back_evtchn), 6);
}

static void a_number_that_is_used_again_is_what_it_is_now(void **state)
{
    int64_t evtchn = tell(front, A_EVTCHN_OPEN), fd, other;

    (void)state;
    fd = tell(front, A_EVTCHN_FD, evtchn);
    strcpy((char *)front->m.data, "/dev/null");
    other = tell(front, A_OPEN, O_RDWR | O_CLOEXEC);
    assert_int_equal(tell(front, A_DUP2, other, fd), fd);
    assert_int_equal(tell(front, A_READ, fd, 64), 0);
    assert_int_equal(tell(front, A_WRITE, fd, 3), 3);
    assert_refused(ENOTTY, front, A_IOCTL, fd, IOCTL_EVTCHN_RESET);
    assert_int_equal(tell(front, A_CLOSE, other), 0);
}

/* The way of daemons: everything but the standard streams and what it needs. */
static void a_program_that_closes_all_still_has_its_connection(void **state)
{
    int64_t at = share(1);

    (void)state;
    assert_true(front->fd >= 0);
    tell(front, A_CLOSE_RANGE, 20, 100000);
    assert_int_equal(audit(), 1);
    assert_int_equal(tell(front, A_UNSHARE, handle, at, 1), 0);
    assert_int_equal(audit(), 0);
}

static void a_pipe_of_the_programs_own_is_left_alone(void **state)
{
    int64_t fd;
    int ends[2], again;
    char path[32];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    again = open(path, O_RDWR | O_CLOEXEC);
    fd = agent_call(front, A_TAKE_FD, again, (const int64_t[6]){0});
    close(again);
    memcpy(front->m.data, "seven b", 7);
    assert_int_equal(tell(front, A_WRITE, fd, 7), 7);
    assert_int_equal(tell(front, A_READ, fd, 64), 7);
    close(ends[0]);
    close(ends[1]);
}

static void xenbus_is_a_connection_to_the_store(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener, fd;
    int64_t theirs;
    char text[16];

    (void)state;
    strcpy((char *)front->m.data, "/dev/xen/xenbus");
    assert_refused(ENODEV, front, A_OPEN, O_RDWR);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/1/xenstored",
             rig.host.dir);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    strcpy((char *)front->m.data, "/dev/xen/xenbus");
    theirs = tell(front, A_OPEN, O_RDWR | O_CLOEXEC);
    fd = accept(listener, NULL, NULL);
    memcpy(front->m.data, "hello", 5);
    assert_int_equal(tell(front, A_WRITE, theirs, 5), 5);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    close(fd);
    close(listener);
    unlink(address.sun_path);
}

static void without_a_host_there_is_no_device(void **state)
{
    struct sim_machine nowhere = {.key = 77};
    struct agent *agent = agent_start(&nowhere);

    (void)state;
    assert_refused(ENODEV, agent, A_EVTCHN_OPEN);
    strcpy((char *)agent->m.data, "/dev/xen/privcmd");
    assert_refused(ENOENT, agent, A_OPEN, O_RDWR);
}

static void without_hcl_sim_the_library_does_nothing(void **state)
{
    struct agent *agent = agent_start(NULL);
    int fd = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC);

    (void)state;
    strcpy((char *)agent->m.data, "/dev/xen/evtchn");
    if (fd < 0) {
        fd = errno;
        assert_refused(fd, agent, A_OPEN, O_RDWR);
    } else {
        close(fd);
        assert_true(tell(agent, A_OPEN, O_RDWR) >= 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_can_be_unmapped_one_by_one),
        TEST(what_is_mapped_over_is_unmapped),
        TEST(pages_move_over_others_and_are_covered),
        TEST(pages_move_over_shared_ones),
        TEST(a_mapping_shrinks_but_never_grows),
        TEST(a_mapping_of_many_pieces_is_one_to_the_program),
        TEST(what_does_not_exist_is_not_mapped),
        TEST(a_child_keeps_what_it_inherits),
        TEST(a_grandchild_inherits_too),
        TEST(what_is_not_for_children_ends_with_the_parent),
        TEST(foreign_pages_are_never_a_childs),
        TEST(an_exec_unmaps),
        TEST(a_program_that_is_started_takes_nothing_away),
        TEST(a_program_that_is_killed_anywhere_leaves_nothing),
        TEST(threads_and_their_forks_do_not_disturb_each_other),
        TEST(the_last_copy_closes_the_device),
        TEST(a_device_that_was_passed_on_works_there),
        TEST(a_number_that_is_used_again_is_what_it_is_now),
        TEST(a_program_that_closes_all_still_has_its_connection),
        TEST(a_pipe_of_the_programs_own_is_left_alone),
        TEST(xenbus_is_a_connection_to_the_store),
        TEST(without_a_host_there_is_no_device),
        TEST(without_hcl_sim_the_library_does_nothing),
    };

    agent_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
