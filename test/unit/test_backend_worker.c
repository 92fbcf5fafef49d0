/* SPDX-License-Identifier: MIT */
/*
 * A worker, from its supervisor's end of the socket.  Grants are memory of this
 * process, event channels an eventfd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "barrier.h"
#include "grant.h"
#include "log.h"
#include "message.h"
#include "port.h"
#include "ring.h"
#include "worker.h"

#define GUESTS 2
#define PAGES 4

/* ---- Grants and event channels ----------------------------------------- */

/* By their offset: read-only ones of guest n at 2 n, the others at 2 n + 1. */
static uint8_t pages[2 * GUESTS][PAGES * 4096] __attribute__((aligned(4096)));
static unsigned int mapped[GUESTS], opened;
static unsigned int gntdevs; /* a guest's, which comes with its ports */
static unsigned int unmapped_too_late; /* what is told or closed before */

/* What the guest's kernel was asked for last. */
static struct {
    uint64_t offset;
    uint32_t byte, port;
} notify;

int hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t count,
                   bool writable, void **ret_pages, struct hcl_err *err)
{
    (void)gntdev;
    (void)err;
    assert_true(count <= PAGES && offset % 2 == writable);
    mapped[offset / 2]++;
    *ret_pages = pages[offset];
    return 0;
}

void hcl_gntdev_unmap(struct hcl_gntdev *gntdev, void *at, uint32_t count)
{
    size_t offset = (size_t)((uint8_t *)at - pages[0]) / sizeof(pages[0]);

    (void)gntdev;
    (void)count;
    /* The event about it goes over them. */
    unmapped_too_late += !opened;
    mapped[offset / 2]--;
}

int hcl_gntdev_notify(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t byte,
                      uint32_t port, struct hcl_err *err)
{
    (void)gntdev;
    (void)err;
    notify.offset = offset;
    notify.byte = byte;
    notify.port = port;
    return 0;
}

void hcl_gntdev_close(struct hcl_gntdev *gntdev)
{
    close(gntdev->fd);
    gntdevs--;
}

struct hcl_ports {
    int fd;
};

int hcl_ports_adopt(struct hcl_ports **ret_ports, int fd, struct hcl_err *err)
{
    struct hcl_ports *ports = malloc(sizeof(*ports));

    (void)err;
    assert_non_null(ports);
    ports->fd = fd;
    opened++;
    gntdevs++;
    *ret_ports = ports;
    return 0;
}

void hcl_ports_free(struct hcl_ports *ports)
{
    if (ports) {
        close(ports->fd);
        free(ports);
        opened--;
    }
}

int hcl_ports_bind(struct hcl_ports *ports, uint32_t domid,
                   uint32_t remote_port, uint32_t *ret_port,
                   struct hcl_err *err)
{
    (void)ports;
    (void)domid;
    (void)err;
    *ret_port = remote_port + 100;
    return 0;
}

int hcl_ports_fd(const struct hcl_ports *ports)
{
    return ports->fd;
}

void hcl_ports_notify(struct hcl_ports *ports, uint32_t port)
{
    (void)ports;
    (void)port;
}

int hcl_ports_drain(struct hcl_ports *ports)
{
    uint64_t count;

    return read(ports->fd, &count, sizeof(count)) > 0;
}

/* ---- The worker, in a thread -------------------------------------------- */

static int ends[2];
static pthread_t thread;

/*
 * In the place of the C library's.  Not by syscall(): ThreadSanitizer has to
 * see that what was written before is passed on.
 */
ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
    const struct hcl_message *message = header->msg_iov->iov_base;
    struct mmsghdr one = {.msg_hdr = *header};

    if (fd == ends[1] && message->type == HCL_MESSAGE_CLOSED) {
        unmapped_too_late += mapped[message->closed.connection];
    }
    return sendmmsg(fd, &one, 1, flags) < 0 ? -1 : (ssize_t)one.msg_len;
}

static void *run(void *arg)
{
    struct hcl_worker *worker = NULL;
    struct hcl_err err = {0};
    intptr_t rc = hcl_worker_new(&worker, ends[1], &err);

    (void)arg;
    if (rc == 0) {
        rc = hcl_worker_run(worker, &err);
    }
    hcl_worker_free(worker);
    return (void *)rc;
}

static void send_message(struct hcl_message *message, const int *fds)
{
    assert_int_equal(hcl_message_send(ends[0], message, fds, NULL), 0);
}

/* The next message, which has to be of this type. */
static struct hcl_message take(enum hcl_message_type type)
{
    struct pollfd pollfd = {.fd = ends[0], .events = POLLIN};
    struct hcl_message message;
    int fds[HCL_MESSAGE_FDS];

    assert_int_equal(poll(&pollfd, 1, 20000), 1);
    assert_int_equal(hcl_message_receive(ends[0], &message, fds, NULL), 1);
    assert_string_equal(hcl_message_name(message.type), hcl_message_name(type));
    return message;
}

static void start(const char *spec)
{
    struct hcl_message message = {.type = HCL_MESSAGE_CONFIG};

    hcl_log_init("test", HCL_LOG_ERROR);
    unmapped_too_late = 0;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    snprintf(message.config.spec, sizeof(message.config.spec), "%s", spec);
    send_message(&message, NULL);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    take(HCL_MESSAGE_READY);
}

static void stop(void)
{
    struct hcl_message message = {.type = HCL_MESSAGE_STOP};
    void *rc;

    send_message(&message, NULL);
    assert_int_equal(pthread_join(thread, &rc), 0);
    assert_null(rc);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(mapped[0] + mapped[1], 0);
    assert_int_equal(opened, 0);
    assert_int_equal(gntdevs, 0);
    assert_int_equal(unmapped_too_late, 0);
}

static struct hclif_side *front(unsigned int guest)
{
    return (struct hclif_side *)pages[2 * (size_t)guest];
}

/* A guest's program with the smallest layout there is; its number is its id. */
static void start_program(unsigned int guest)
{
    memset(pages[2 * (size_t)guest], 0, 2 * sizeof(pages[0]));
    hcl_store_once(&front(guest)->alive, 1);
}

static void send_connect(unsigned int guest)
{
    struct hcl_message message = {.type = HCL_MESSAGE_CONNECT};
    int fds[HCL_MESSAGE_FDS] = {open("/dev/null", O_RDWR | O_CLOEXEC),
                                eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

    message.connect.connection = guest;
    message.connect.domid = 3;
    message.connect.incarnation = 1;
    message.connect.max_handles = 1;
    message.connect.share.weight = 100;
    message.connect.layout.num_queues = 1;
    message.connect.remote_port[0] = 14;
    message.connect.ro_offset = 2 * (uint64_t)guest;
    message.connect.rw_offset = 2 * (uint64_t)guest + 1;
    send_message(&message, fds);
    close(fds[0]);
    close(fds[1]);
}

static void connect_guest(unsigned int guest)
{
    start_program(guest);
    send_connect(guest);
    take(HCL_MESSAGE_CONNECTED);
}

static void disconnect_guest(unsigned int guest)
{
    struct hcl_message message = {.type = HCL_MESSAGE_DISCONNECT};

    message.disconnect.connection = guest;
    send_message(&message, NULL);
}

/* ---- Tests -------------------------------------------------------------- */

static void expect_closed(enum hcl_close_reason reason)
{
    take(HCL_MESSAGE_STATS);
    assert_int_equal(take(HCL_MESSAGE_CLOSED).closed.reason, reason);
}

static void the_death_of_a_program_is_noticed(void **state)
{
    (void)state;
    start("name=e,class=echo,alive-interval-ms=10");
    /* One after the other: it is looked for more than once. */
    connect_guest(0);
    connect_guest(1);
    hcl_store_once(&front(0)->alive, 0);
    expect_closed(HCL_CLOSE_PEER_GONE);
    hcl_store_once(&front(1)->alive, 0);
    expect_closed(HCL_CLOSE_PEER_GONE);
    stop();
}

static void nobody_looks_more_often_than_alive_interval_ms_says(void **state)
{
    struct pollfd pollfd = {.events = POLLIN};

    (void)state;
    start("name=e,class=echo,alive-interval-ms=3600000");
    pollfd.fd = ends[0];
    connect_guest(0);
    hcl_store_once(&front(0)->alive, 0);
    /* More than the default. */
    assert_int_equal(poll(&pollfd, 1, 400), 0);
    /* But then: nobody waits for a dead program to let go. */
    disconnect_guest(0);
    expect_closed(HCL_CLOSE_PEER_GONE);
    stop();
}

static void a_program_that_is_dead_already_is_refused(void **state)
{
    (void)state;
    start("name=e,class=echo");
    start_program(0);
    hcl_store_once(&front(0)->alive, 0);
    send_connect(0);
    assert_int_equal(take(HCL_MESSAGE_REFUSED).refused.refusal,
                     HCL_REFUSAL_GONE);
    stop();
}

static void the_guests_kernel_will_tell_of_our_death(void **state)
{
    (void)state;
    memset(&notify, 0, sizeof(notify));
    start("name=e,class=echo");
    connect_guest(1);
    assert_int_equal(notify.offset, 3);
    assert_int_equal(notify.byte, offsetof(struct hclif_side, alive));
    assert_int_equal(notify.port, 114);
    disconnect_guest(1);
    expect_closed(HCL_CLOSE_ASKED);
    stop();
}

/* Their event was for an event channel that nobody had bound. */
static void requests_of_before_are_served(void **state)
{
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN};
    struct hclif_side *back = (struct hclif_side *)pages[1];
    struct hcl_producer requests;

    (void)state;
    start("name=e,class=echo");
    start_program(0);
    hcl_producer_init(&requests, pages[0] + HCLIF_PAGE_BYTES,
                      HCLIF_SLOTS_PER_PAGE, &back->event[0].position);
    hcl_producer_put(&requests, &request);
    send_connect(0);
    take(HCL_MESSAGE_CONNECTED);
    disconnect_guest(0);
    assert_int_equal(take(HCL_MESSAGE_STATS).stats.stats.completions, 1);
    expect_closed(HCL_CLOSE_ASKED);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_death_of_a_program_is_noticed),
        cmocka_unit_test(nobody_looks_more_often_than_alive_interval_ms_says),
        cmocka_unit_test(a_program_that_is_dead_already_is_refused),
        cmocka_unit_test(the_guests_kernel_will_tell_of_our_death),
        cmocka_unit_test(requests_of_before_are_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
