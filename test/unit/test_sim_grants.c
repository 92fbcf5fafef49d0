/* SPDX-License-Identifier: MIT */
/* Grants of the simulated host, through the real libxengnttab and ioctls. */
#include "test_sim_rig.h"

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#define PAGE INT64_C(4096)
#define RW (PROT_READ | PROT_WRITE)
#define NO_PORT (-1)

/* A guest's program that shares, and one of dom0 that maps. */
struct pair {
    struct sim_machine *guest;
    struct agent *front, *back;
    int64_t share, map; /* handles */
};

static void pair_open(struct pair *p)
{
    p->guest = rig_boot();
    p->front = agent_start(p->guest);
    p->back = agent_start(rig.host.machines);
    p->share = tell(p->front, A_SHARE_OPEN);
    p->map = tell(p->back, A_MAP_OPEN);
    assert_true(p->share && p->map);
}

/* Shares with dom0; @refs gets the references. */
static int64_t share(struct pair *p, uint32_t count, bool writable,
                     uint32_t *refs)
{
    int64_t at = tell(p->front, A_SHARE, p->share, 0, count, writable);

    assert_true(at != 0);
    memcpy(refs, p->front->m.data, count * sizeof(*refs));
    return at;
}

static int64_t map(struct pair *p, const uint32_t *refs, uint32_t count,
                   int prot)
{
    memcpy(p->back->m.data, refs, count * sizeof(*refs));
    return tell(p->back, A_MAP, p->map, domid_of(p->guest), count, prot);
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

/* ---- Sharing and mapping ----------------------------------------------- */

static void both_ends_see_the_same_pages(void **state)
{
    struct pair p;
    uint32_t refs[3];
    int64_t own, theirs;

    (void)state;
    pair_open(&p);
    own = share(&p, 3, true, refs);
    theirs = map(&p, refs, 3, RW);
    assert_true(theirs != 0);
    assert_int_equal(peek(p.back, theirs), 0);
    poke(p.front, own + 2 * PAGE + 5, 77);
    poke(p.back, theirs + PAGE, 33);
    assert_int_equal(peek(p.back, theirs + 2 * PAGE + 5), 77);
    assert_int_equal(peek(p.front, own + PAGE), 33);
    assert_int_equal(tell(p.back, A_UNMAP, p.map, theirs, 3), 0);
    assert_int_equal(peek(p.back, theirs), -1);
    assert_int_equal(tell(p.front, A_UNSHARE, p.share, own, 3), 0);
    assert_int_equal(audit(), 0);
}

static void references_are_in_no_order_and_used_again(void **state)
{
    struct pair p;
    uint32_t refs[2], again[2];
    int64_t own;

    (void)state;
    pair_open(&p);
    own = share(&p, 2, true, refs);
    assert_int_not_equal(refs[1], refs[0] + 1);
    tell(p.front, A_UNSHARE, p.share, own, 2);
    share(&p, 2, true, again);
    assert_true(again[0] == refs[0] || again[0] == refs[1]);
}

static void only_the_named_domain_can_map(void **state)
{
    struct pair p;
    struct agent *other;
    uint32_t refs[1];
    int64_t handle;

    (void)state;
    pair_open(&p);
    share(&p, 1, true, refs);
    other = agent_start(rig_boot());
    handle = tell(other, A_MAP_OPEN);
    memcpy(other->m.data, refs, sizeof(refs));
    assert_refused(EINVAL, other, A_MAP, handle, domid_of(p.guest), 1, RW);
    memcpy(p.back->m.data, refs, sizeof(refs));
    assert_refused(EINVAL, p.back, A_MAP, p.map, 99, 1, RW);
}

static void what_is_granted_read_only_is_never_written(void **state)
{
    struct pair p;
    uint32_t refs[2];
    int64_t own, theirs;

    (void)state;
    pair_open(&p);
    own = share(&p, 2, false, refs);
    poke(p.front, own, 9);
    assert_int_equal(map(&p, refs, 2, RW), 0);
    assert_int_equal(p.back->m.error, EINVAL);
    theirs = map(&p, refs, 2, PROT_READ);
    assert_int_equal(peek(p.back, theirs), 9);
    assert_refused(EFAULT, p.back, A_POKE, theirs, 1);
    assert_refused(EACCES, p.back, A_MPROTECT, theirs, PAGE, RW);
}

static void one_bad_reference_fails_all(void **state)
{
    struct pair p;
    uint32_t refs[3];

    (void)state;
    pair_open(&p);
    share(&p, 3, true, refs);
    refs[2] = refs[2] + 4000;
    assert_int_equal(map(&p, refs, 3, RW), 0);
    assert_int_equal(p.back->m.error, EINVAL);
    tell(p.front, A_SHARE_CLOSE, p.share);
    agent_kill(p.front);
    /* Nothing has stayed mapped or registered. */
    assert_int_equal(audit(), 0);
}

static void a_reference_can_stand_there_twice(void **state)
{
    struct pair p;
    uint32_t refs[3];
    int64_t theirs;

    (void)state;
    pair_open(&p);
    share(&p, 1, true, refs);
    refs[1] = refs[2] = refs[0];
    theirs = map(&p, refs, 3, RW);
    poke(p.back, theirs + 2 * PAGE, 5);
    assert_int_equal(peek(p.back, theirs), 5);
    assert_int_equal(tell(p.back, A_UNMAP, p.map, theirs, 3), 0);
}

/* More than fit into a message, in more pieces than that, too. */
static void many_references_are_mapped_in_one_call(void **state)
{
    struct ioctl_gntdev_map_grant_ref *head;
    uint32_t refs[2], i;
    struct pair p;
    int64_t fd, own, at;

    (void)state;
    pair_open(&p);
    own = share(&p, 2, true, refs);
    poke(p.front, own + PAGE, 8);
    strcpy((char *)p.back->m.data, "/dev/xen/gntdev");
    fd = tell(p.back, A_OPEN, O_RDWR | O_CLOEXEC);
    head = (struct ioctl_gntdev_map_grant_ref *)p.back->m.data;
    head->count = (AGENT_BYTES - 16) / sizeof(head->refs[0]);
    assert_true(head->count > 2048);
    for (i = 0; i < head->count; i++) {
        head->refs[i].domid = domid_of(p.guest);
        head->refs[i].ref = refs[i % 2];
    }
    i = head->count;
    assert_int_equal(tell(p.back, A_IOCTL, fd, IOCTL_GNTDEV_MAP_GRANT_REF), 0);
    at = tell(p.back, A_MMAP, 0, (int64_t)i * PAGE, RW, MAP_SHARED, fd,
              head->index);
    assert_true(at > 0);
    assert_int_equal(peek(p.back, at + (int64_t)(i - 2) * PAGE), 0);
    assert_int_equal(peek(p.back, at + (int64_t)(i - 1) * PAGE), i % 2 ? 0 : 8);
    assert_int_equal(tell(p.back, A_MUNMAP, at, (int64_t)i * PAGE), 0);
    assert_int_equal(tell(p.back, A_CLOSE, fd), 0);
}

static void a_page_stays_as_long_as_it_is_mapped(void **state)
{
    struct pair p;
    uint32_t refs[1];
    int64_t own, theirs, again;

    (void)state;
    pair_open(&p);
    own = share(&p, 1, true, refs);
    poke(p.front, own, 1);
    theirs = map(&p, refs, 1, RW);
    assert_int_equal(tell(p.front, A_UNSHARE, p.share, own, 1), 0);
    assert_int_equal(peek(p.back, theirs), 1);
    /* The reference too, for Linux cannot take it back. */
    again = map(&p, refs, 1, PROT_READ);
    assert_int_equal(peek(p.back, again), 1);
    tell(p.back, A_UNMAP, p.map, theirs, 1);
    tell(p.back, A_UNMAP, p.map, again, 1);
    assert_int_equal(audit(), 0);
    assert_int_equal(map(&p, refs, 1, RW), 0);
    assert_int_equal(p.back->m.error, EINVAL);
    /* What comes next in its place is zero. */
    own = share(&p, 1, true, refs);
    assert_int_equal(peek(p.front, own), 0);
}

static void a_guest_shares_so_many_pages_and_no_more(void **state)
{
    struct pair p;
    uint32_t refs[10];
    int64_t own, theirs;

    (void)state;
    rig.host.limits.grants = 10;
    pair_open(&p);
    own = share(&p, 8, true, refs);
    assert_refused(ENOSPC, p.front, A_SHARE, p.share, 0, 3, 1);
    /* What the peer still maps does not count any more. */
    theirs = map(&p, refs, 8, RW);
    tell(p.front, A_UNSHARE, p.share, own, 8);
    own = share(&p, 10, true, refs);
    assert_refused(ENOSPC, p.front, A_SHARE, p.share, 0, 1, 1);
    tell(p.front, A_UNSHARE, p.share, own, 10);
    tell(p.back, A_UNMAP, p.map, theirs, 8);
    assert_int_equal(audit(), 0);
}

static void calls_fail_when_told_so(void **state)
{
    struct pair p;
    uint32_t refs[1];

    (void)state;
    pair_open(&p);
    share(&p, 1, true, refs);
    rig.fault_error[SIM_CALL_MAP] = -ENOMEM;
    rig.fault_error[SIM_CALL_GRANT] = -ENOSPC;
    assert_int_equal(map(&p, refs, 1, RW), 0);
    assert_int_equal(p.back->m.error, ENOMEM);
    assert_refused(ENOSPC, p.front, A_SHARE, p.share, 0, 1, 1);
    assert_int_equal(rig.calls[SIM_CALL_MAP], 1);
    assert_int_equal(rig.calls[SIM_CALL_GRANT], 2);
}

/* ---- The ioctls -------------------------------------------------------- */

/* One reference registered on a new descriptor: *@ret_index. */
static int64_t registered(struct pair *p, uint32_t ref, uint64_t *ret_index)
{
    struct ioctl_gntdev_map_grant_ref head = {.count = 1};
    int64_t fd;

    strcpy((char *)p->back->m.data, "/dev/xen/gntdev");
    fd = tell(p->back, A_OPEN, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    head.refs[0].domid = domid_of(p->guest);
    head.refs[0].ref = ref;
    memcpy(p->back->m.data, &head, sizeof(head));
    assert_int_equal(tell(p->back, A_IOCTL, fd, IOCTL_GNTDEV_MAP_GRANT_REF), 0);
    memcpy(&head, p->back->m.data, sizeof(head));
    *ret_index = head.index;
    return fd;
}

static int64_t map_fd(struct agent *agent, int64_t fd, uint64_t index, int prot)
{
    return tell(agent, A_MMAP, 0, PAGE, prot, MAP_SHARED, fd, index);
}

static void a_registration_is_mapped_once_at_a_time(void **state)
{
    struct pair p;
    uint32_t refs[1];
    uint64_t index;
    int64_t fd, at;

    (void)state;
    pair_open(&p);
    share(&p, 1, true, refs);
    fd = registered(&p, refs[0], &index);
    assert_refused(EINVAL, p.back, A_MMAP, 0, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    assert_refused(EINVAL, p.back, A_MMAP, 0, PAGE, RW, MAP_PRIVATE, fd, 0);
    at = map_fd(p.back, fd, index, RW);
    assert_true(at > 0);
    assert_int_equal(map_fd(p.back, fd, index, RW), -1);
    assert_int_equal(p.back->m.error, EINVAL);
    assert_int_equal(tell(p.back, A_MUNMAP, at, PAGE), 0);
    at = map_fd(p.back, fd, index, RW);
    assert_true(at > 0);
    /* Closed, it stays mapped. */
    assert_int_equal(tell(p.back, A_CLOSE, fd), 0);
    poke(p.back, at, 1);
    tell(p.back, A_MUNMAP, at, PAGE);
    agent_kill(p.front);
    assert_int_equal(audit(), 0);
}

static void the_first_mmap_says_whether_it_is_read_only(void **state)
{
    struct pair p;
    uint32_t refs[1];
    uint64_t index;
    int64_t fd, at;

    (void)state;
    pair_open(&p);
    share(&p, 1, true, refs);
    fd = registered(&p, refs[0], &index);
    at = map_fd(p.back, fd, index, PROT_READ);
    tell(p.back, A_MUNMAP, at, PAGE);
    assert_int_equal(map_fd(p.back, fd, index, RW), -1);
    assert_int_equal(p.back->m.error, EINVAL);
}

static void where_a_mapping_came_from_can_be_asked(void **state)
{
    struct ioctl_gntdev_get_offset_for_vaddr where = {0};
    struct pair p;
    uint32_t refs[2];
    uint64_t index;
    int64_t fd;

    (void)state;
    pair_open(&p);
    share(&p, 2, true, refs);
    fd = registered(&p, refs[0], &index);
    where.vaddr = (uint64_t)map_fd(p.back, fd, index, RW);
    memcpy(p.back->m.data, &where, sizeof(where));
    assert_int_equal(
        tell(p.back, A_IOCTL, fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR), 0);
    memcpy(&where, p.back->m.data, sizeof(where));
    assert_int_equal(where.offset, index);
    assert_int_equal(where.count, 1);
    assert_refused(ENOTTY, p.back, A_IOCTL, fd, IOCTL_GNTDEV_GRANT_COPY);
    assert_refused(ENOTTY, p.back, A_IOCTL, fd, IOCTL_GNTDEV_SET_MAX_GRANTS);
}

static void what_is_registered_is_listed_until_it_is_not(void **state)
{
    struct ioctl_gntdev_unmap_grant_ref gone = {.count = 1};
    struct pair p;
    uint64_t index;
    int64_t fd;

    (void)state;
    pair_open(&p);
    fd = registered(&p, 4711, &index);
    assert_audit("domain 0: 1 references of domain 1 registered, from 4711 "
                 "on\n");
    gone.index = index;
    memcpy(p.back->m.data, &gone, sizeof(gone));
    assert_int_equal(tell(p.back, A_IOCTL, fd, IOCTL_GNTDEV_UNMAP_GRANT_REF),
                     0);
    assert_int_equal(audit(), 0);
    memcpy(p.back->m.data, &gone, sizeof(gone));
    assert_refused(ENOENT, p.back, A_IOCTL, fd, IOCTL_GNTDEV_UNMAP_GRANT_REF);
}

/* As HCL's supervisor does for its worker. */
static void another_process_maps_what_was_registered(void **state)
{
    struct pair p;
    struct agent *worker;
    uint32_t refs[1];
    uint64_t index;
    int64_t fd, own, at;

    (void)state;
    pair_open(&p);
    own = share(&p, 1, true, refs);
    poke(p.front, own, 42);
    fd = registered(&p, refs[0], &index);
    worker = agent_start(rig.host.machines);
    fd = agent_pass(p.back, fd, worker);
    agent_kill(p.back);
    at = map_fd(worker, fd, index, RW);
    assert_int_equal(peek(worker, at), 42);
    agent_kill(worker);
    tell(p.front, A_UNSHARE, p.share, own, 1);
    assert_int_equal(audit(), 0);
}

/* ---- Notices ----------------------------------------------------------- */

/* A channel from the guest to dom0: the guest's port; the others' are out. */
static int64_t channel(struct pair *p, int64_t *front_evtchn,
                       int64_t *back_evtchn, int64_t *ret_back_port)
{
    int64_t port;

    *front_evtchn = tell(p->front, A_EVTCHN_OPEN);
    *back_evtchn = tell(p->back, A_EVTCHN_OPEN);
    port = tell(p->front, A_ALLOC, *front_evtchn, 0);
    *ret_back_port =
        tell(p->back, A_BIND, *back_evtchn, domid_of(p->guest), port);
    tell(p->back, A_PENDING, *back_evtchn);
    tell(p->back, A_UNMASK, *back_evtchn, *ret_back_port);
    return port;
}

static bool pending(struct agent *agent, int64_t evtchn)
{
    return tell(agent, A_POLL, tell(agent, A_EVTCHN_FD, evtchn), 0) & POLLIN;
}

static void an_unshared_page_clears_its_byte_and_tells(void **state)
{
    struct pair p;
    uint32_t ref;
    int64_t own, theirs, port, back_port, front_evtchn, back_evtchn;

    (void)state;
    pair_open(&p);
    port = channel(&p, &front_evtchn, &back_evtchn, &back_port);
    own = tell(p.front, A_SHARE_NOTIFY, p.share, 0, 1, 16, port);
    memcpy(&ref, p.front->m.data, sizeof(ref));
    poke(p.front, own + 16, 1);
    poke(p.front, own + 17, 1);
    theirs = map(&p, &ref, 1, RW);
    assert_int_equal(peek(p.back, theirs + 16), 1);
    assert_false(pending(p.back, back_evtchn));
    tell(p.front, A_UNSHARE, p.share, own, 1);
    assert_int_equal(peek(p.back, theirs + 16), 0);
    assert_int_equal(peek(p.back, theirs + 17), 1);
    assert_true(pending(p.back, back_evtchn));
}

static void a_killed_program_clears_its_byte_and_tells(void **state)
{
    struct pair p;
    uint32_t ref;
    int64_t own, theirs, port, back_port, front_evtchn, back_evtchn;

    (void)state;
    pair_open(&p);
    port = channel(&p, &front_evtchn, &back_evtchn, &back_port);
    own = tell(p.front, A_SHARE_NOTIFY, p.share, 0, 1, 16, port);
    memcpy(&ref, p.front->m.data, sizeof(ref));
    poke(p.front, own + 16, 1);
    theirs = map(&p, &ref, 1, RW);
    agent_kill(p.front);
    assert_true(pending(p.back, back_evtchn));
    assert_int_equal(peek(p.back, theirs + 16), 0);
}

static void an_unmapped_page_clears_its_byte_and_tells(void **state)
{
    struct pair p;
    uint32_t refs[1];
    int64_t own, theirs, port, back_port, front_evtchn, back_evtchn;

    (void)state;
    pair_open(&p);
    port = channel(&p, &front_evtchn, &back_evtchn, &back_port);
    tell(p.back, A_NOTIFY, back_evtchn, back_port);
    tell(p.front, A_PENDING, front_evtchn);
    tell(p.front, A_UNMASK, front_evtchn, port);
    own = share(&p, 1, true, refs);
    poke(p.front, own + 8, 1);
    theirs = tell(p.back, A_MAP_NOTIFY, p.map, domid_of(p.guest), refs[0], RW,
                  8, back_port);
    assert_true(theirs != 0);
    /* At the unmapping the byte; registered nowhere any more, the event. */
    tell(p.back, A_MUNMAP, theirs, PAGE);
    assert_int_equal(peek(p.front, own + 8), 0);
    assert_false(pending(p.front, front_evtchn));
    tell(p.back, A_MAP_CLOSE, p.map);
    assert_true(pending(p.front, front_evtchn));
}

static void no_byte_of_a_read_only_mapping_can_be_cleared(void **state)
{
    struct pair p;
    uint32_t refs[1];

    (void)state;
    pair_open(&p);
    share(&p, 1, false, refs);
    assert_refused(EINVAL, p.back, A_MAP_NOTIFY, p.map, domid_of(p.guest),
                   refs[0], PROT_READ, 8, NO_PORT);
    assert_refused(EINVAL, p.back, A_MAP_NOTIFY, p.map, domid_of(p.guest),
                   refs[0], PROT_READ, -1, 4000);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ends_see_the_same_pages),
        TEST(references_are_in_no_order_and_used_again),
        TEST(only_the_named_domain_can_map),
        TEST(what_is_granted_read_only_is_never_written),
        TEST(one_bad_reference_fails_all),
        TEST(a_reference_can_stand_there_twice),
        TEST(many_references_are_mapped_in_one_call),
        TEST(a_page_stays_as_long_as_it_is_mapped),
        TEST(a_guest_shares_so_many_pages_and_no_more),
        TEST(calls_fail_when_told_so),
        TEST(a_registration_is_mapped_once_at_a_time),
        TEST(the_first_mmap_says_whether_it_is_read_only),
        TEST(where_a_mapping_came_from_can_be_asked),
        TEST(what_is_registered_is_listed_until_it_is_not),
        TEST(another_process_maps_what_was_registered),
        TEST(an_unshared_page_clears_its_byte_and_tells),
        TEST(a_killed_program_clears_its_byte_and_tells),
        TEST(an_unmapped_page_clears_its_byte_and_tells),
        TEST(no_byte_of_a_read_only_mapping_can_be_cleared),
    };

    agent_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
