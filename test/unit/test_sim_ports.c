/* SPDX-License-Identifier: MIT */
/* Event channels of the simulated host, through the real libxenevtchn. */
#include "test_sim_rig.h"

#include <xen/sys/evtchn.h>

#define HEAD 64 /* ports that Linux's ring holds at first */

/* A channel between a program of dom0 and one of a guest. */
struct channel {
    struct agent *back, *front;
    struct sim_machine *guest;
    int64_t back_evtchn, front_evtchn;
    int64_t back_port, front_port;
};

static void channel_open(struct channel *c)
{
    c->guest = rig_boot();
    c->back = agent_start(rig.host.machines);
    c->front = agent_start(c->guest);
    c->back_evtchn = tell(c->back, A_EVTCHN_OPEN);
    c->front_evtchn = tell(c->front, A_EVTCHN_OPEN);
    assert_true(c->back_evtchn && c->front_evtchn);
    c->front_port = tell(c->front, A_ALLOC, c->front_evtchn, 0);
    assert_true(c->front_port > 0);
    c->back_port = tell(c->back, A_BIND, c->back_evtchn, domid_of(c->guest),
                        c->front_port);
    assert_true(c->back_port > 0);
}

/* Takes the event that a bind brings. */
static void channel_settle(struct channel *c)
{
    assert_int_equal(tell(c->back, A_PENDING, c->back_evtchn), c->back_port);
    assert_int_equal(tell(c->back, A_UNMASK, c->back_evtchn, c->back_port), 0);
}

static int64_t readable(struct agent *agent, int64_t evtchn)
{
    return tell(agent, A_POLL, tell(agent, A_EVTCHN_FD, evtchn), 0) & POLLIN;
}

static void the_binder_gets_an_event_at_once(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    assert_true(readable(c.back, c.back_evtchn));
    assert_false(readable(c.front, c.front_evtchn));
    channel_settle(&c);
    assert_false(readable(c.back, c.back_evtchn));
}

static void
an_event_is_pending_until_read_and_masked_until_written(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    assert_int_equal(tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port), 0);
    assert_true(readable(c.front, c.front_evtchn));
    assert_int_equal(tell(c.front, A_PENDING, c.front_evtchn), c.front_port);
    assert_false(readable(c.front, c.front_evtchn));

    /* Two more while it is masked come as one, when it is unmasked. */
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    assert_false(readable(c.front, c.front_evtchn));
    tell(c.front, A_UNMASK, c.front_evtchn, c.front_port);
    assert_true(readable(c.front, c.front_evtchn));
    assert_int_equal(tell(c.front, A_PENDING, c.front_evtchn), c.front_port);
    tell(c.front, A_UNMASK, c.front_evtchn, c.front_port);
    assert_false(readable(c.front, c.front_evtchn));
}

static void poll_select_and_epoll_see_events(void **state)
{
    struct channel c;
    int64_t fd;

    (void)state;
    channel_open(&c);
    fd = tell(c.front, A_EVTCHN_FD, c.front_evtchn);
    assert_int_equal(tell(c.front, A_SELECT, fd), 0);
    assert_int_equal(tell(c.front, A_EPOLL, fd), 0);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    assert_int_equal(tell(c.front, A_POLL, fd, -1) & POLLIN, POLLIN);
    assert_int_equal(tell(c.front, A_SELECT, fd), 1);
    assert_int_equal(tell(c.front, A_EPOLL, fd), EPOLLIN);
}

static void a_read_without_an_event_does_not_block_if_told_so(void **state)
{
    struct channel c;
    int64_t fd;

    (void)state;
    channel_open(&c);
    fd = tell(c.front, A_EVTCHN_FD, c.front_evtchn);
    assert_int_equal(tell(c.front, A_FCNTL, fd, F_SETFL, O_NONBLOCK), 0);
    assert_refused(EAGAIN, c.front, A_READ, fd, 64);
    /* Part of a port is nothing, and no error. */
    assert_int_equal(tell(c.front, A_READ, fd, 3), 0);
}

static void only_the_named_domain_can_bind(void **state)
{
    struct sim_machine *guest = rig_boot(), *other = rig_boot();
    struct agent *front = agent_start(guest), *back = agent_start(other);
    int64_t alloc = tell(front, A_EVTCHN_OPEN);
    int64_t bind = tell(back, A_EVTCHN_OPEN);
    int64_t port = tell(front, A_ALLOC, alloc, 0);

    (void)state;
    assert_refused(EINVAL, back, A_BIND, bind, domid_of(guest), port);
    assert_refused(EINVAL, back, A_BIND, bind, domid_of(guest), port + 1);
    assert_refused(ESRCH, back, A_BIND, bind, 99, port);
    port = tell(front, A_ALLOC, alloc, domid_of(other));
    assert_true(tell(back, A_BIND, bind, domid_of(guest), port) > 0);
    /* Bound once, it is nobody else's. */
    assert_refused(EINVAL, back, A_BIND, bind, domid_of(guest), port);
}

static void an_end_that_closes_leaves_the_other_unbound_silently(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    channel_settle(&c);
    assert_int_equal(tell(c.front, A_EVTCHN_CLOSE, c.front_evtchn), 0);
    assert_false(readable(c.back, c.back_evtchn));
    assert_int_equal(tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port), 0);
    assert_audit("domain 0: port 6, unbound, for domain 1\n");
}

static void the_end_that_stays_can_be_bound_again(void **state)
{
    struct channel c;
    int64_t port;

    (void)state;
    channel_open(&c);
    assert_int_equal(tell(c.back, A_UNBIND, c.back_evtchn, c.back_port), 0);
    port = tell(c.back, A_BIND, c.back_evtchn, domid_of(c.guest), c.front_port);
    assert_int_equal(port, c.back_port);
    tell(c.back, A_NOTIFY, c.back_evtchn, port);
    assert_int_equal(tell(c.front, A_PENDING, c.front_evtchn), c.front_port);
    /* And in the other direction, over what was cached of the old end. */
    tell(c.front, A_NOTIFY, c.front_evtchn, c.front_port);
    assert_true(readable(c.back, c.back_evtchn));
}

static void a_port_of_another_device_is_not_connected(void **state)
{
    struct channel c;
    int64_t other;

    (void)state;
    channel_open(&c);
    other = tell(c.front, A_EVTCHN_OPEN);
    assert_refused(ENOTCONN, c.front, A_NOTIFY, other, c.front_port);
    assert_refused(ENOTCONN, c.front, A_UNBIND, other, c.front_port);
    assert_refused(EINVAL, c.front, A_UNBIND, other, 1 << 20);
}

static void a_restricted_device_deals_with_one_domain(void **state)
{
    struct channel c;
    int64_t fd;

    (void)state;
    channel_open(&c);
    rig_boot();
    assert_refused(EINVAL, c.back, A_RESTRICT, c.back_evtchn, 0);
    assert_int_equal(tell(c.back, A_RESTRICT, c.back_evtchn, 1), 0);
    assert_refused(EACCES, c.back, A_RESTRICT, c.back_evtchn, 1);
    assert_refused(EACCES, c.back, A_ALLOC, c.back_evtchn, 2);
    assert_refused(EACCES, c.back, A_BIND, c.back_evtchn, 2, 6);
    assert_true(tell(c.back, A_ALLOC, c.back_evtchn, 1) > 0);
    fd = tell(c.back, A_EVTCHN_FD, c.back_evtchn);
    assert_true(tell(c.back, A_IOCTL, fd, IOCTL_EVTCHN_BIND_VIRQ) < 0);
}

static void numbers_are_used_again(void **state)
{
    struct agent *agent = agent_start(rig.host.machines);
    int64_t evtchn = tell(agent, A_EVTCHN_OPEN);
    int64_t port = tell(agent, A_ALLOC, evtchn, 1);

    (void)state;
    assert_int_equal(tell(agent, A_ALLOC, evtchn, 1), port + 1);
    tell(agent, A_UNBIND, evtchn, port);
    assert_int_equal(tell(agent, A_ALLOC, evtchn, 1), port);
}

static void a_guest_has_so_many_ports_and_no_more(void **state)
{
    struct agent *agent;
    int64_t evtchn;
    int i;

    (void)state;
    rig.host.limits.ports = 70;
    agent = agent_start(rig_boot());
    evtchn = tell(agent, A_EVTCHN_OPEN);
    for (i = 0; i < 70; i++) {
        assert_true(tell(agent, A_ALLOC, evtchn, 0) > 0);
    }
    assert_refused(ENOSPC, agent, A_ALLOC, evtchn, 0);
    tell(agent, A_EVTCHN_CLOSE, evtchn);
    assert_int_equal(audit(), 0);
}

/* The known trap: each bind brings an event, which nobody reads. */
static void closed_ports_that_nobody_read_break_the_device(void **state)
{
    struct channel c;
    uint32_t ports[HEAD];
    int64_t fd;
    int i;

    (void)state;
    channel_open(&c);
    for (i = 1; i < HEAD; i++) {
        tell(c.back, A_UNBIND, c.back_evtchn, c.back_port);
        tell(c.back, A_BIND, c.back_evtchn, domid_of(c.guest), c.front_port);
    }
    fd = tell(c.back, A_EVTCHN_FD, c.back_evtchn);
    assert_int_equal(tell(c.back, A_READ, fd, sizeof(ports)), sizeof(ports));
    memcpy(ports, c.back->m.data, sizeof(ports));
    assert_int_equal(ports[0], c.back_port);
    assert_int_equal(ports[HEAD - 1], c.back_port);

    for (i = 0; i <= HEAD; i++) {
        tell(c.back, A_UNBIND, c.back_evtchn, c.back_port);
        tell(c.back, A_BIND, c.back_evtchn, domid_of(c.guest), c.front_port);
    }
    assert_refused(EFBIG, c.back, A_READ, fd, sizeof(ports));
    assert_refused(EFBIG, c.back, A_READ, fd, sizeof(ports));
    assert_true(tell(c.back, A_POLL, fd, 0) & POLLIN);
    assert_int_equal(tell(c.back, A_IOCTL, fd, IOCTL_EVTCHN_RESET), 0);
    assert_false(tell(c.back, A_POLL, fd, 0) & POLLIN);
}

/* The same, when it is the peer's event that does not fit. */
static void an_event_that_does_not_fit_breaks_the_device(void **state)
{
    struct channel c;
    int64_t fd, port, peer;
    int i;

    (void)state;
    channel_open(&c);
    port = tell(c.back, A_ALLOC, c.back_evtchn, domid_of(c.guest));
    peer = tell(c.front, A_BIND, c.front_evtchn, 0, port);
    for (i = 1; i < HEAD; i++) {
        tell(c.back, A_UNBIND, c.back_evtchn, c.back_port);
        tell(c.back, A_BIND, c.back_evtchn, domid_of(c.guest), c.front_port);
    }
    tell(c.front, A_NOTIFY, c.front_evtchn, peer);
    fd = tell(c.back, A_EVTCHN_FD, c.back_evtchn);
    assert_refused(EFBIG, c.back, A_READ, fd, 4);
}

static void many_ports_come_with_one_read(void **state)
{
    struct channel c;
    int64_t fd, ports[10];
    uint32_t got[10];
    int i;

    (void)state;
    channel_open(&c);
    channel_settle(&c);
    for (i = 0; i < 10; i++) {
        ports[i] = tell(c.front, A_ALLOC, c.front_evtchn, 0);
        assert_true(tell(c.back, A_BIND, c.back_evtchn, domid_of(c.guest),
                         ports[i]) > 0);
    }
    for (i = 0; i < 10; i++) {
        tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port + 1 + i);
    }
    fd = tell(c.front, A_EVTCHN_FD, c.front_evtchn);
    assert_int_equal(tell(c.front, A_READ, fd, 4096), sizeof(got));
    memcpy(got, c.front->m.data, sizeof(got));
    for (i = 0; i < 10; i++) {
        assert_int_equal(got[i], ports[i]);
        tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port + 1 + i);
    }
    assert_false(tell(c.front, A_POLL, fd, 0) & POLLIN);
    /* Written back together, all come again. */
    memcpy(c.front->m.data, got, sizeof(got));
    assert_int_equal(tell(c.front, A_WRITE, fd, sizeof(got)), sizeof(got));
    assert_int_equal(tell(c.front, A_READ, fd, 4096), sizeof(got));
}

static void lost_events_are_counted(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    sim_hypervisor_drop_events(rig.host.hypervisor, rig.host.machines, 2);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    assert_false(readable(c.front, c.front_evtchn));
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    assert_true(readable(c.front, c.front_evtchn));
}

static void a_machine_that_is_cut_off_has_no_events(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    channel_settle(&c);
    c.guest->cut = true;
    sim_hypervisor_cut(rig.host.hypervisor, c.guest);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    tell(c.front, A_NOTIFY, c.front_evtchn, c.front_port);
    assert_false(readable(c.front, c.front_evtchn));
    assert_false(readable(c.back, c.back_evtchn));
    c.guest->cut = false;
    sim_hypervisor_cut(rig.host.hypervisor, c.guest);
    tell(c.front, A_NOTIFY, c.front_evtchn, c.front_port);
    assert_true(readable(c.back, c.back_evtchn));
}

static void calls_fail_when_told_so(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    rig.fault_error[SIM_CALL_ALLOC] = -ENOMEM;
    rig.fault_error[SIM_CALL_BIND] = -ESRCH;
    rig.fault_error[SIM_CALL_OPEN] = -ENODEV;
    assert_refused(ENOMEM, c.front, A_ALLOC, c.front_evtchn, 0);
    assert_refused(ESRCH, c.back, A_BIND, c.back_evtchn, 1, c.front_port);
    assert_refused(ENODEV, c.front, A_EVTCHN_OPEN);
    assert_int_equal(rig.calls[SIM_CALL_OPEN], 3);
    assert_int_equal(rig.calls[SIM_CALL_ALLOC], 2);
    assert_int_equal(rig.calls[SIM_CALL_BIND], 2);
}

/* The host goes on with others while one waits. */
static void a_call_that_is_held_back_waits_in_the_program(void **state)
{
    struct channel c;
    uint64_t before;

    (void)state;
    channel_open(&c);
    rig.delay_us[SIM_CALL_ALLOC] = 20000;
    before = hcl_now_us();
    assert_true(tell(c.front, A_ALLOC, c.front_evtchn, 0) > 0);
    assert_true(hcl_now_us() - before >= 20000);
}

static void a_killed_program_leaves_no_ports(void **state)
{
    struct channel c;

    (void)state;
    channel_open(&c);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    agent_kill(c.front);
    assert_audit("domain 0: port 6, unbound, for domain 1\n");
    /* Its pipe has no reader any more, and that kills nobody. */
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    agent_kill(c.back);
    assert_int_equal(audit(), 0);
}

static void descriptors_come_and_go_with_ports(void **state)
{
    struct channel c;
    int64_t before;

    (void)state;
    channel_open(&c);
    before = tell(c.back, A_COUNT_FDS);
    tell(c.back, A_NOTIFY, c.back_evtchn, c.back_port);
    assert_int_equal(tell(c.back, A_COUNT_FDS), before + 1);
    tell(c.back, A_UNBIND, c.back_evtchn, c.back_port);
    assert_int_equal(tell(c.back, A_COUNT_FDS), before);
    tell(c.back, A_EVTCHN_CLOSE, c.back_evtchn);
    assert_int_equal(tell(c.back, A_COUNT_FDS), before - 1);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(the_binder_gets_an_event_at_once),
        TEST(an_event_is_pending_until_read_and_masked_until_written),
        TEST(poll_select_and_epoll_see_events),
        TEST(a_read_without_an_event_does_not_block_if_told_so),
        TEST(only_the_named_domain_can_bind),
        TEST(an_end_that_closes_leaves_the_other_unbound_silently),
        TEST(the_end_that_stays_can_be_bound_again),
        TEST(a_port_of_another_device_is_not_connected),
        TEST(a_restricted_device_deals_with_one_domain),
        TEST(numbers_are_used_again),
        TEST(a_guest_has_so_many_ports_and_no_more),
        TEST(closed_ports_that_nobody_read_break_the_device),
        TEST(an_event_that_does_not_fit_breaks_the_device),
        TEST(many_ports_come_with_one_read),
        TEST(lost_events_are_counted),
        TEST(a_machine_that_is_cut_off_has_no_events),
        TEST(calls_fail_when_told_so),
        TEST(a_call_that_is_held_back_waits_in_the_program),
        TEST(a_killed_program_leaves_no_ports),
        TEST(descriptors_come_and_go_with_ports),
    };

    agent_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
