/* SPDX-License-Identifier: MIT */
/*
 * port.c over a fake event channel device: xenevtchn_* here stand before those
 * of libxenevtchn.  The device is a socket pair: what the test writes to its
 * end are pending ports, what it reads are ports that were unmasked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenevtchn.h>

#include "port.h"

/* ---- The fake ---------------------------------------------------------- */

struct xenevtchn_handle {
    int fd;
};

static struct xenevtchn_handle the_handle;

static struct {
    /* What the next calls answer. */
    int error; /* an errno: every call fails */
    int next_port;
    /* What was asked. */
    int device_end; /* the test's end */
    int handles;
    unsigned int open_flags;
    int adopted_fd;
    uint32_t domid, remote_port, unbound_port, notified_port;
    unsigned int notifies;
} fake;

static bool fails(void)
{
    errno = fake.error;
    return fake.error != 0;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
                                 unsigned int flags)
{
    int ends[2];

    (void)logger;
    fake.open_flags = flags;
    if (fails()) {
        return NULL;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    the_handle.fd = ends[0];
    fake.device_end = ends[1];
    fake.handles++;
    return &the_handle;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
                                   unsigned int flags)
{
    (void)logger;
    fake.open_flags = flags;
    fake.adopted_fd = fd;
    if (fails()) {
        return NULL;
    }
    the_handle.fd = fd;
    fake.handles++;
    return &the_handle;
}

int xenevtchn_close(xenevtchn_handle *handle)
{
    assert_ptr_equal(handle, &the_handle);
    fake.handles--;
    return close(handle->fd);
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    assert_ptr_equal(handle, &the_handle);
    return handle->fd;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    assert_ptr_equal(handle, &the_handle);
    fake.notifies++;
    fake.notified_port = port;
    return fails() ? -1 : 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *handle,
                                                      uint32_t domid)
{
    assert_ptr_equal(handle, &the_handle);
    fake.domid = domid;
    return fails() ? -1 : fake.next_port++;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle,
                                                     uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    assert_ptr_equal(handle, &the_handle);
    fake.domid = domid;
    fake.remote_port = remote_port;
    return fails() ? -1 : fake.next_port++;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    assert_ptr_equal(handle, &the_handle);
    fake.unbound_port = port;
    return fails() ? -1 : 0;
}

int xenevtchn_restrict(xenevtchn_handle *handle, domid_t domid)
{
    assert_ptr_equal(handle, &the_handle);
    fake.domid = domid;
    return fails() ? -1 : 0;
}

/* ---- What every test starts with and leaves behind --------------------- */

static struct hcl_ports *ports;
static struct hcl_err err;
static int fds_before;

static int count_fds(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    memset(&err, 0, sizeof(err));
    fake.next_port = 14;
    fds_before = count_fds();
    return hcl_ports_open(&ports, NULL);
}

static int teardown(void **state)
{
    (void)state;
    hcl_ports_free(ports);
    ports = NULL;
    close(fake.device_end);
    return fake.handles || count_fds() != fds_before ? -1 : 0;
}

static void assert_says(const char *word)
{
    if (!strstr(err.text, word)) {
        fail_msg("\"%s\" is not in \"%s\"", word, err.text);
    }
}

/* Events become pending on @count ports, @first and those after it. */
static void raise_events(uint32_t first, uint32_t count)
{
    uint32_t i, port;

    for (i = 0; i < count; i++) {
        port = first + i;
        assert_int_equal(write(fake.device_end, &port, sizeof(port)),
                         sizeof(port));
    }
}

/* The ports @first to @first + @count - 1, and no more, were unmasked. */
static void assert_unmasked(uint32_t first, uint32_t count)
{
    uint32_t i, port;

    for (i = 0; i < count; i++) {
        assert_int_equal(
            recv(fake.device_end, &port, sizeof(port), MSG_DONTWAIT),
            sizeof(port));
        assert_int_equal(port, first + i);
    }
    assert_int_equal(recv(fake.device_end, &port, sizeof(port), MSG_DONTWAIT),
                     -1);
}

/* Puts @fd in the place of the handle's descriptor, which is closed. */
static void handle_becomes(int fd)
{
    assert_true(fd >= 0);
    close(the_handle.fd);
    the_handle.fd = fd;
}

/* ---- Opening and closing ----------------------------------------------- */

static void open_asks_for_close_on_exec(void **state)
{
    (void)state;
    assert_int_equal(fake.open_flags & XENEVTCHN_NO_CLOEXEC, 0);
    assert_int_equal(fake.handles, 1);
}

static void open_that_fails_says_why_and_what_to_do(void **state)
{
    struct hcl_ports *none = (struct hcl_ports *)&fake;

    (void)state;
    fake.error = ENOENT;
    assert_int_equal(hcl_ports_open(&none, &err), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_says("/dev/xen/evtchn");
    assert_says("xen-evtchn");
    assert_says(strerror(ENOENT));
    assert_ptr_equal(none, &fake);
}

static void adopt_uses_the_given_descriptor(void **state)
{
    struct hcl_ports *adopted;
    int fd;

    (void)state;
    hcl_ports_free(ports);
    ports = NULL;
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(hcl_ports_adopt(&adopted, fd, &err), 0);
    assert_int_equal(fake.adopted_fd, fd);
    assert_int_equal(fake.open_flags, 0);
    assert_int_equal(hcl_ports_fd(adopted), fd);
    hcl_ports_free(adopted);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void adopt_that_fails_says_why(void **state)
{
    struct hcl_ports *none = (struct hcl_ports *)&fake;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    fake.error = ENOMEM;
    assert_int_equal(hcl_ports_adopt(&none, fd, &err), -ENOMEM);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_says("adopt");
    assert_says(strerror(ENOMEM));
    assert_ptr_equal(none, &fake);
}

static void descriptor_is_that_of_the_handle(void **state)
{
    (void)state;
    assert_int_equal(hcl_ports_fd(ports), the_handle.fd);
}

static void free_closes_the_descriptor_and_takes_null(void **state)
{
    int fd = hcl_ports_fd(ports);

    (void)state;
    hcl_ports_free(ports);
    ports = NULL;
    assert_int_equal(fake.handles, 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
    hcl_ports_free(NULL);
}

static void park_leaves_the_descriptor_open(void **state)
{
    int fd = hcl_ports_fd(ports);
    uint32_t port;

    (void)state;
    assert_int_equal(hcl_ports_alloc(ports, 1, &port, &err), 0);
    hcl_ports_park(ports);
    ports = NULL;
    assert_int_equal(fake.handles, 1);
    assert_int_equal(fake.unbound_port, 0);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    /* Only the test may do this: it is the kernel at the process's end. */
    xenevtchn_close(&the_handle);
}

static void restrict_names_the_domain(void **state)
{
    (void)state;
    assert_int_equal(hcl_ports_restrict(ports, 7, &err), 0);
    assert_int_equal(fake.domid, 7);
}

static void restrict_that_fails_says_why(void **state)
{
    (void)state;
    fake.error = EPERM;
    assert_int_equal(hcl_ports_restrict(ports, 7, &err), -EPERM);
    assert_says("domain 7");
    assert_says(strerror(EPERM));
}

/* ---- Ports ------------------------------------------------------------- */

static void ports_are_counted(void **state)
{
    uint32_t a, b;

    (void)state;
    assert_int_equal(hcl_ports_count(ports), 0);
    assert_int_equal(hcl_ports_alloc(ports, 3, &a, &err), 0);
    assert_int_equal(hcl_ports_bind(ports, 3, 9, &b, &err), 0);
    assert_int_equal(hcl_ports_count(ports), 2);
    hcl_ports_unbind(ports, a);
    assert_int_equal(hcl_ports_count(ports), 1);
    hcl_ports_unbind(ports, b);
    assert_int_equal(hcl_ports_count(ports), 0);
}

static void alloc_gives_a_port_for_the_domain(void **state)
{
    uint32_t port = 0;

    (void)state;
    assert_int_equal(hcl_ports_alloc(ports, 3, &port, &err), 0);
    assert_int_equal(port, 14);
    assert_int_equal(fake.domid, 3);
}

static void alloc_that_fails_counts_nothing_and_says_why(void **state)
{
    uint32_t port = 77;

    (void)state;
    fake.error = ENOSPC;
    assert_int_equal(hcl_ports_alloc(ports, 3, &port, &err), -ENOSPC);
    assert_says("domain 3");
    assert_says(strerror(ENOSPC));
    assert_int_equal(port, 77);
    assert_int_equal(hcl_ports_count(ports), 0);
}

static void bind_gives_the_own_port_for_the_remote_one(void **state)
{
    uint32_t port = 0;

    (void)state;
    assert_int_equal(hcl_ports_bind(ports, 3, 31, &port, &err), 0);
    assert_int_equal(port, 14);
    assert_int_equal(fake.domid, 3);
    assert_int_equal(fake.remote_port, 31);
}

static void bind_that_fails_counts_nothing_and_says_why(void **state)
{
    uint32_t port = 77;

    (void)state;
    fake.error = EINVAL;
    assert_int_equal(hcl_ports_bind(ports, 3, 31, &port, &err), -EINVAL);
    assert_says("event channel 31 of domain 3");
    assert_says(strerror(EINVAL));
    assert_int_equal(port, 77);
    assert_int_equal(hcl_ports_count(ports), 0);
}

static void unbind_that_fails_stays_counted(void **state)
{
    uint32_t port;

    (void)state;
    assert_int_equal(hcl_ports_alloc(ports, 3, &port, &err), 0);
    fake.error = ENOTCONN;
    hcl_ports_unbind(ports, port);
    assert_int_equal(fake.unbound_port, port);
    assert_int_equal(hcl_ports_count(ports), 1);
}

static void notify_sends_one_event(void **state)
{
    (void)state;
    hcl_ports_notify(ports, 14);
    assert_int_equal(fake.notifies, 1);
    assert_int_equal(fake.notified_port, 14);
}

static void notify_of_a_closed_peer_is_no_error(void **state)
{
    (void)state;
    fake.error = ENOTCONN;
    hcl_ports_notify(ports, 14);
    assert_int_equal(fake.notifies, 1);
}

/* ---- Draining ---------------------------------------------------------- */

static void drain_without_events_is_0_and_does_not_block(void **state)
{
    (void)state;
    assert_int_equal(hcl_ports_drain(ports), 0);
    assert_unmasked(0, 0);
}

static void drain_takes_an_event_and_unmasks_its_port(void **state)
{
    (void)state;
    raise_events(14, 1);
    assert_int_equal(hcl_ports_drain(ports), 1);
    assert_unmasked(14, 1);
    assert_int_equal(hcl_ports_drain(ports), 0);
}

static void drain_takes_several_ports_at_once(void **state)
{
    (void)state;
    raise_events(20, 8);
    assert_int_equal(hcl_ports_drain(ports), 1);
    assert_unmasked(20, 8);
    assert_int_equal(hcl_ports_drain(ports), 0);
}

static void drain_of_more_ports_than_one_read_loses_none(void **state)
{
    struct pollfd ready = {.events = POLLIN};

    (void)state;
    raise_events(100, 150);
    ready.fd = hcl_ports_fd(ports);
    while (poll(&ready, 1, 0) == 1) {
        assert_int_equal(hcl_ports_drain(ports), 1);
    }
    assert_unmasked(100, 150);
}

static void drain_lets_the_next_event_of_a_port_come(void **state)
{
    (void)state;
    raise_events(14, 1);
    assert_int_equal(hcl_ports_drain(ports), 1);
    raise_events(14, 1);
    assert_int_equal(hcl_ports_drain(ports), 1);
}

static void drain_that_cannot_read_is_an_error(void **state)
{
    (void)state;
    /* Always ready, never readable: a directory. */
    handle_becomes(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assert_int_equal(hcl_ports_drain(ports), -EISDIR);
}

static void drain_that_cannot_unmask_is_an_error(void **state)
{
    uint32_t port = 14;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], &port, sizeof(port)), sizeof(port));
    close(ends[1]);
    handle_becomes(ends[0]);
    assert_int_equal(hcl_ports_drain(ports), -EBADF);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(open_asks_for_close_on_exec),
        test(open_that_fails_says_why_and_what_to_do),
        test(adopt_uses_the_given_descriptor),
        test(adopt_that_fails_says_why),
        test(descriptor_is_that_of_the_handle),
        test(free_closes_the_descriptor_and_takes_null),
        test(park_leaves_the_descriptor_open),
        test(restrict_names_the_domain),
        test(restrict_that_fails_says_why),
        test(ports_are_counted),
        test(alloc_gives_a_port_for_the_domain),
        test(alloc_that_fails_counts_nothing_and_says_why),
        test(bind_gives_the_own_port_for_the_remote_one),
        test(bind_that_fails_counts_nothing_and_says_why),
        test(unbind_that_fails_stays_counted),
        test(notify_sends_one_event),
        test(notify_of_a_closed_peer_is_no_error),
        test(drain_without_events_is_0_and_does_not_block),
        test(drain_takes_an_event_and_unmasks_its_port),
        test(drain_takes_several_ports_at_once),
        test(drain_of_more_ports_than_one_read_loses_none),
        test(drain_lets_the_next_event_of_a_port_come),
        test(drain_that_cannot_read_is_an_error),
        test(drain_that_cannot_unmask_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
