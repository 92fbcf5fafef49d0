/* SPDX-License-Identifier: MIT */
/* Lives of domains on the simulated host: destroyed, saved, restored; many. */
#include "test_sim_rig.h"

#include <signal.h>

#define PAGE INT64_C(4096)
#define RW (PROT_READ | PROT_WRITE)

/* A guest's program connected to one of dom0, as a device's ends are. */
struct link {
    struct sim_machine *guest;
    struct agent *front, *back;
    int64_t share, map, front_evtchn, back_evtchn;
    int64_t own, theirs, front_port, back_port;
    uint32_t ref;
};

static void link_open(struct link *l)
{
    l->guest = rig_boot();
    l->front = agent_start(l->guest);
    l->back = agent_start(rig.host.machines);
    l->share = tell(l->front, A_SHARE_OPEN);
    l->map = tell(l->back, A_MAP_OPEN);
    l->front_evtchn = tell(l->front, A_EVTCHN_OPEN);
    l->back_evtchn = tell(l->back, A_EVTCHN_OPEN);
    l->front_port = tell(l->front, A_ALLOC, l->front_evtchn, 0);
    l->back_port = tell(l->back, A_BIND, l->back_evtchn, domid_of(l->guest),
                        l->front_port);
    assert_true(l->back_port > 0);
    tell(l->back, A_PENDING, l->back_evtchn);
    tell(l->back, A_UNMASK, l->back_evtchn, l->back_port);
    l->own = tell(l->front, A_SHARE_NOTIFY, l->share, 0, 1, 0, l->front_port);
    memcpy(&l->ref, l->front->m.data, sizeof(l->ref));
    l->front->m.data[0] = 1;
    assert_int_equal(tell(l->front, A_POKE, l->own, 1), 1);
    memcpy(l->back->m.data, &l->ref, sizeof(l->ref));
    l->theirs = tell(l->back, A_MAP, l->map, domid_of(l->guest), 1, RW);
    assert_true(l->theirs != 0);
}

static int peek(struct agent *agent, int64_t at)
{
    return tell(agent, A_PEEK, at, 1) == 1 ? agent->m.data[0] : -1;
}

static bool pending(struct agent *agent, int64_t evtchn)
{
    return tell(agent, A_POLL, tell(agent, A_EVTCHN_FD, evtchn), 0) & POLLIN;
}

/* ---- Destroyed --------------------------------------------------------- */

static void a_destroyed_guest_says_nothing(void **state)
{
    struct link l;
    struct sim_domain *domain;

    (void)state;
    link_open(&l);
    domain = l.guest->domain;
    agent_kill(l.front);
    rig_destroy(domain);
    sim_hypervisor_forget(rig.host.hypervisor, l.guest);
    assert_int_equal(peek(l.back, l.theirs), 1);
    assert_false(pending(l.back, l.back_evtchn));
    assert_int_equal(tell(l.back, A_NOTIFY, l.back_evtchn, l.back_port), 0);
    /* It stays as long as dom0 maps its page. */
    assert_non_null(sim_domain_find(&rig.host, 1));
    assert_int_equal(rig.unmapped, 0);
    memcpy(l.back->m.data, &l.ref, sizeof(l.ref));
    assert_refused(EINVAL, l.back, A_MAP, l.map, 1, 1, RW);
    assert_refused(ESRCH, l.back, A_BIND, l.back_evtchn, 1, l.front_port);
    tell(l.back, A_UNMAP, l.map, l.theirs, 1);
    assert_null(sim_domain_find(&rig.host, 1));
    assert_int_equal(rig.unmapped, 1);
    assert_string_equal(rig.log, "");
}

static void a_destroyed_guest_that_nobody_maps_is_gone_at_once(void **state)
{
    struct link l;

    (void)state;
    link_open(&l);
    tell(l.back, A_UNMAP, l.map, l.theirs, 1);
    agent_kill(l.front);
    rig_destroy(l.guest->domain);
    assert_null(sim_domain_find(&rig.host, 1));
    assert_int_equal(rig.unmapped, 0);
    assert_audit("domain 0: port 6, unbound, for domain 1\n");
}

static void a_destroyed_guests_own_mappings_go_silently(void **state)
{
    struct link l;
    int64_t own, at, handle;
    char expected[256];
    uint32_t ref;

    (void)state;
    link_open(&l);
    handle = tell(l.back, A_SHARE_OPEN);
    own = tell(l.back, A_SHARE, handle, 1, 1, 1);
    memcpy(&ref, l.back->m.data, sizeof(ref));
    l.back->m.data[0] = 1;
    tell(l.back, A_POKE, own, 1);
    handle = tell(l.front, A_MAP_OPEN);
    at = tell(l.front, A_MAP_NOTIFY, handle, 0, ref, RW, 0, l.front_port);
    assert_true(at != 0);
    agent_kill(l.front);
    rig_destroy(l.guest->domain);
    assert_int_equal(peek(l.back, own), 1);
    assert_false(pending(l.back, l.back_evtchn));
    tell(l.back, A_UNMAP, l.map, l.theirs, 1);
    snprintf(expected, sizeof(expected),
             "domain 0: grant %u for domain 1, writable, not mapped\n"
             "domain 0: port 6, unbound, for domain 1\n",
             ref);
    assert_audit(expected);
}

/* ---- Saved and restored ------------------------------------------------ */

static void restore(struct link *l)
{
    struct sim_domain *old = l->guest->domain;

    l->guest->domain = NULL;
    old->machine = NULL;
    rig_destroy(old);
    rig_enter(l->guest);
}

static void a_restored_guest_has_stale_ports(void **state)
{
    struct link l;

    (void)state;
    link_open(&l);
    restore(&l);
    assert_int_equal(tell(l.front, A_NOTIFY, l.front_evtchn, l.front_port), 0);
    assert_non_null(strstr(rig.log, "1: stray event: sent on port 6"));
    assert_false(pending(l.back, l.back_evtchn));
    assert_null(strstr(rig.log, "BUG"));
    assert_int_equal(tell(l.front, A_UNBIND, l.front_evtchn, l.front_port), 0);
    assert_non_null(strstr(rig.log, "1: BUG: evtchn: stale port 6 closed "
                                    "(drivers/xen/evtchn.c)"));
}

static void a_program_that_ends_with_a_stale_port_is_a_bug(void **state)
{
    struct link l;

    (void)state;
    link_open(&l);
    restore(&l);
    agent_kill(l.front);
    tell(l.back, A_COUNT_FDS);
    assert_true(audit() > 0);
    assert_non_null(strstr(rig.log, "1: BUG: evtchn: device with stale port 6 "
                                    "closed (drivers/xen/evtchn.c)"));
}

static void what_was_released_before_the_save_is_no_bug(void **state)
{
    struct link l;

    (void)state;
    link_open(&l);
    tell(l.front, A_UNSHARE, l.share, l.own, 1);
    tell(l.front, A_UNBIND, l.front_evtchn, l.front_port);
    tell(l.back, A_UNMAP, l.map, l.theirs, 1);
    restore(&l);
    /* The same device goes on in the new domain, with the same numbers. */
    assert_int_equal(tell(l.front, A_ALLOC, l.front_evtchn, 0), l.front_port);
    assert_true(tell(l.back, A_BIND, l.back_evtchn, domid_of(l.guest),
                     l.front_port) > 0);
    tell(l.back, A_NOTIFY, l.back_evtchn, l.back_port + 1);
    assert_true(pending(l.front, l.front_evtchn));
    assert_string_equal(rig.log, "");
}

static void stale_grants_are_memory_and_no_more(void **state)
{
    struct link l;
    int64_t own;

    (void)state;
    rig.host.limits.grants = 2;
    link_open(&l);
    restore(&l);
    assert_int_equal(peek(l.front, l.own), 1);
    memcpy(l.back->m.data, &l.ref, sizeof(l.ref));
    assert_refused(EINVAL, l.back, A_MAP, l.map, domid_of(l.guest), 1, RW);
    /* It counts, for it is the same kernel's memory. */
    assert_refused(ENOSPC, l.front, A_SHARE, l.share, 0, 2, 1);
    assert_int_equal(tell(l.front, A_UNSHARE, l.share, l.own, 1), 0);
    own = tell(l.front, A_SHARE, l.share, 0, 2, 1);
    assert_true(own != 0);
    assert_null(strstr(rig.log, "BUG"));
    assert_int_equal(rig.unmapped, 0);
    tell(l.back, A_UNMAP, l.map, l.theirs, 1);
    assert_int_equal(rig.unmapped, 1);
}

static void a_saved_guests_calls_wait(void **state)
{
    struct pollfd answered = {.events = POLLIN};
    struct link l;
    struct sim_domain *old;

    (void)state;
    link_open(&l);
    answered.fd = l.front->fd;
    old = l.guest->domain;
    old->machine = NULL;
    l.guest->domain = NULL;
    rig_destroy(old);
    l.front->m.call = A_ALLOC;
    l.front->m.a[0] = l.front_evtchn;
    l.front->m.a[1] = 0;
    assert_true(agent_send(l.front->fd, &l.front->m, -1) > 0);
    /* Others' calls are answered, however often; its own is not. */
    assert_int_equal(tell(l.back, A_ALLOC, l.back_evtchn, 1), l.back_port + 1);
    assert_int_equal(tell(l.back, A_ALLOC, l.back_evtchn, 1), l.back_port + 2);
    assert_int_equal(poll(&answered, 1, 0), 0);
    rig_enter(l.guest);
    agent_wait(l.front);
    /* The first number of the new domain is the stale one's. */
    assert_int_equal(l.front->m.ret, -1);
    assert_int_equal(l.front->m.error, EEXIST);
}

/* A saved machine that is thrown away was never there. */
static void a_saved_guest_that_is_forgotten_is_no_bug(void **state)
{
    struct link l;
    struct sim_domain *old;

    (void)state;
    link_open(&l);
    old = l.guest->domain;
    old->machine = NULL;
    l.guest->domain = NULL;
    rig_destroy(old);
    agent_kill(l.front);
    sim_hypervisor_forget(rig.host.hypervisor, l.guest);
    assert_int_equal(peek(l.back, l.theirs), 1);
    assert_string_equal(rig.log, "");
}

/* ---- Many -------------------------------------------------------------- */

static void many_guests_share_one_program_of_dom0(void **state)
{
    struct agent *back = agent_start(rig.host.machines), *front[64];
    int64_t evtchn[64], back_evtchn[64], port[64], map, at[64], share;
    struct sim_machine *guest;
    int i;

    (void)state;
    map = tell(back, A_MAP_OPEN);
    for (i = 0; i < 64; i++) {
        guest = rig_boot();
        front[i] = agent_start(guest);
        evtchn[i] = tell(front[i], A_EVTCHN_OPEN);
        port[i] = tell(front[i], A_ALLOC, evtchn[i], 0);
        back_evtchn[i] = tell(back, A_EVTCHN_OPEN);
        port[i] = tell(back, A_BIND, back_evtchn[i], domid_of(guest), port[i]);
        share = tell(front[i], A_SHARE_OPEN);
        assert_true(tell(front[i], A_SHARE, share, 0, 16, 1) != 0);
        memcpy(back->m.data, front[i]->m.data, 16 * sizeof(uint32_t));
        at[i] = tell(back, A_MAP, map, domid_of(guest), 16, RW);
        assert_true(port[i] > 0 && at[i] != 0);
    }
    assert_int_equal(audit(), 64 * (16 + 1 + 2 + 1));
    for (i = 0; i < 64; i++) {
        tell(back, A_NOTIFY, back_evtchn[i], port[i]);
        assert_true(pending(front[i], evtchn[i]));
        assert_int_equal(pending(front[63 - i], evtchn[63 - i]), i >= 32);
    }
    agent_kill(back);
    for (i = 0; i < 64; i++) {
        agent_kill(front[i]);
    }
    assert_int_equal(audit(), 0);
}

/* The table of ports and the memory are used again and again. */
static void nothing_is_used_up(void **state)
{
    struct link l;
    int i;

    (void)state;
    link_open(&l);
    for (i = 0; i < 500; i++) {
        l.back_port = tell(l.back, A_UNBIND, l.back_evtchn, l.back_port);
        assert_int_equal(l.back_port, 0);
        l.back_port = tell(l.back, A_BIND, l.back_evtchn, domid_of(l.guest),
                           l.front_port);
        assert_int_equal(tell(l.back, A_PENDING, l.back_evtchn), l.back_port);
        tell(l.back, A_UNMASK, l.back_evtchn, l.back_port);
        tell(l.back, A_UNMAP, l.map, l.theirs, 1);
        tell(l.front, A_UNSHARE, l.share, l.own, 1);
        l.own = tell(l.front, A_SHARE, l.share, 0, 1, 1);
        memcpy(l.back->m.data, l.front->m.data, sizeof(l.ref));
        l.theirs = tell(l.back, A_MAP, l.map, domid_of(l.guest), 1, RW);
        assert_true(l.theirs != 0);
    }
    assert_int_equal(audit(), 5);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_destroyed_guest_says_nothing),
        TEST(a_destroyed_guest_that_nobody_maps_is_gone_at_once),
        TEST(a_destroyed_guests_own_mappings_go_silently),
        TEST(a_restored_guest_has_stale_ports),
        TEST(a_program_that_ends_with_a_stale_port_is_a_bug),
        TEST(what_was_released_before_the_save_is_no_bug),
        TEST(stale_grants_are_memory_and_no_more),
        TEST(a_saved_guests_calls_wait),
        TEST(a_saved_guest_that_is_forgotten_is_no_bug),
        TEST(many_guests_share_one_program_of_dom0),
        TEST(nothing_is_used_up),
    };

    agent_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
