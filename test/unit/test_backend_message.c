/* SPDX-License-Identifier: MIT */
/* message.c: what the supervisor and a worker believe of each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"
#include "test_under.h"

static struct hcl_message connect_message(void)
{
    struct hcl_message message;

    memset(&message, 0, sizeof(message));
    message.type = HCL_MESSAGE_CONNECT;
    message.connect.connection = 5;
    message.connect.domid = 3;
    message.connect.max_handles = 16;
    message.connect.share.weight = 100;
    message.connect.layout = (struct hcl_layout){1, 2, 64, 64};
    message.connect.ro_offset = 0x1000;
    return message;
}

static int decode(const void *data, size_t bytes, unsigned int num_fds)
{
    struct hcl_message out;
    struct hcl_err err = {0};
    int rc = hcl_message_decode(&out, data, bytes, num_fds, &err);

    if (rc < 0) {
        assert_int_equal(rc, -EBADMSG);
        assert_int_not_equal(err.text[0], '\0');
    }
    return rc;
}

static void each_type_survives_the_way(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < HCL_MESSAGE_END; type++) {
        struct hcl_message message = connect_message();
        struct hcl_message out;
        unsigned int fds = type == HCL_MESSAGE_CONNECT ? 2 : 0;
        size_t bytes;

        if (type != HCL_MESSAGE_CONNECT) {
            memset(&message, 0, sizeof(message));
        }
        message.type = type;
        if (type == HCL_MESSAGE_REFUSED || type == HCL_MESSAGE_CLOSED) {
            message.refused.refusal = 1; /* closed.reason lies there too */
            strcpy(message.refused.text, "why");
        }
        bytes = hcl_message_encode(&message);
        assert_int_equal(hcl_message_decode(&out, &message, bytes, fds, NULL),
                         0);
        assert_memory_equal(&out, &message, bytes);
        assert_string_not_equal(hcl_message_name(type), "unknown");
    }
    assert_string_equal(hcl_message_name(HCL_MESSAGE_END), "unknown");
}

static void a_wrong_size_is_refused(void **state)
{
    struct hcl_message message = connect_message();
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    assert_int_equal(decode(&message, bytes, 2), 0);
    assert_int_equal(decode(&message, bytes - 1, 2), -EBADMSG);
    assert_int_equal(decode(&message, bytes + 1, 2), -EBADMSG);
    assert_int_equal(decode(&message, 0, 0), -EBADMSG);
    assert_int_equal(decode(&message, 7, 0), -EBADMSG);
    assert_int_equal(decode(&message, 1 << 20, 0), -EBADMSG);
}

static void a_wrong_version_or_type_is_refused(void **state)
{
    struct hcl_message message = {.type = HCL_MESSAGE_STOP};
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    assert_int_equal(decode(&message, bytes, 0), 0);
    message.version++;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    message.version--;
    message.type = 0;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    message.type = HCL_MESSAGE_END;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
}

static void a_wrong_number_of_descriptors_is_refused(void **state)
{
    struct hcl_message message = connect_message();
    struct hcl_message stop = {.type = HCL_MESSAGE_STOP};
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    assert_int_equal(decode(&message, bytes, 1), -EBADMSG);
    assert_int_equal(decode(&message, bytes, 3), -EBADMSG);
    bytes = hcl_message_encode(&stop);
    assert_int_equal(decode(&stop, bytes, 1), -EBADMSG);
}

static void a_text_without_end_is_refused(void **state)
{
    struct hcl_message message = {.type = HCL_MESSAGE_FAILED};
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    memset(message.failed.text, 'x', sizeof(message.failed.text));
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    memset(&message, 0, sizeof(message));
    message.type = HCL_MESSAGE_READY;
    bytes = hcl_message_encode(&message);
    memset(message.ready.idempotent, '3', sizeof(message.ready.idempotent));
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
}

static void a_text_comes_out_printable(void **state)
{
    struct hcl_message message = {.type = HCL_MESSAGE_DEVICE_FAILED};
    struct hcl_message out;
    size_t bytes;

    (void)state;
    strcpy(message.device_failed.text, "a\n\x1b[31mb");
    bytes = hcl_message_encode(&message);
    assert_int_equal(hcl_message_decode(&out, &message, bytes, 0, NULL), 0);
    assert_string_equal(out.device_failed.text, "a??[31mb");
}

static void a_layout_beyond_the_wire_is_refused(void **state)
{
    struct hcl_message message = connect_message();
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    message.connect.layout.num_queues = 0;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message.connect.layout.num_queues = HCLIF_MAX_QUEUES + 1;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.layout.ring_page_order = HCLIF_MAX_RING_PAGE_ORDER + 1;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.layout.tx_pages = UINT32_MAX;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.share.weight = 0;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.share.weight = HCL_WEIGHT_MAX + 1;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.share.max_requests_per_s = HCL_MAX_REQUESTS_PER_S + 1;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.share.max_kib_per_s = HCL_MAX_KIB_PER_S + 1;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    message = connect_message();
    hcl_message_encode(&message);
    message.connect.max_handles = 0;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
}

static void an_unknown_reason_is_refused(void **state)
{
    struct hcl_message message = {.type = HCL_MESSAGE_CLOSED};
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    message.closed.reason = HCL_CLOSE_END;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    message.closed.reason = HCL_CLOSE_ASKED;
    assert_int_equal(decode(&message, bytes, 0), 0);
}

/* It would become a state 6 without `error`. */
static void a_refusal_or_fault_without_a_text_is_refused(void **state)
{
    struct hcl_message message = {.type = HCL_MESSAGE_REFUSED};
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    message.refused.refusal = HCL_REFUSAL_PORT;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    message.type = HCL_MESSAGE_CLOSED;
    message.closed.reason = HCL_CLOSE_FAULT;
    assert_int_equal(decode(&message, bytes, 0), -EBADMSG);
    strcpy(message.closed.text, "tag in use: 7");
    assert_int_equal(decode(&message, bytes, 0), 0);
}

/* ---- Over a socket ------------------------------------------------------ */

static void descriptors_travel_with_connect(void **state)
{
    struct hcl_message message = connect_message();
    struct hcl_message out;
    int pipes[2];
    int ends[2];
    int fds[HCL_MESSAGE_FDS];
    char byte = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(hcl_message_send(ends[0], &message, pipes, NULL), 0);
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), 1);
    assert_int_equal(out.connect.connection, 5);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), 0);
    close(ends[0]);
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), -EPIPE);
    close(ends[1]);
    close(pipes[0]);
    close(pipes[1]);
}

/* Of a connection to a process of this domain there are three. */
static void three_descriptors_travel_with_a_local_connect(void **state)
{
    struct hcl_message message = connect_message();
    struct hcl_message out;
    int ends[2], pipes[2], fds[HCL_MESSAGE_FDS];
    char byte;
    size_t bytes = hcl_message_encode(&message);

    (void)state;
    message.connect.domid = HCL_MESSAGE_SELF;
    assert_int_equal(decode(&message, bytes, 2), -EBADMSG);
    assert_int_equal(decode(&message, bytes, 3), 0);
    assert_int_equal(decode(&message, bytes, 4), -EBADMSG);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(pipe(pipes), 0);
    fds[0] = fds[1] = ends[0];
    fds[2] = pipes[1];
    assert_int_equal(hcl_message_send(ends[0], &message, fds, NULL), 0);
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), 1);
    assert_int_equal(write(fds[2], "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    hcl_message_close_fds(fds);
    assert_int_equal(fds[2], -1);
    close(ends[0]);
    close(ends[1]);
    close(pipes[0]);
    close(pipes[1]);
}

static void descriptors_of_a_bad_message_are_closed(void **state)
{
    struct hcl_message message = connect_message();
    struct hcl_message out;
    int pipes[2];
    int ends[2];
    int fds[HCL_MESSAGE_FDS] = {-1, -1, -1};
    char byte;

    (void)state;
    message.connect.max_handles = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(hcl_message_send(ends[0], &message, pipes, NULL), 0);
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), -EBADMSG);
    assert_int_equal(fds[0], -1);
    close(pipes[1]);
    /* Had the other copy of the writing end stayed, this would block. */
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    close(pipes[0]);
    close(ends[0]);
    close(ends[1]);
}

/* An empty packet looks like the end of the other process; it may not be. */
static void descriptors_of_an_empty_packet_are_closed(void **state)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct msghdr empty = {.msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
    struct hcl_message out;
    int pipes[2];
    int ends[2];
    int fds[HCL_MESSAGE_FDS] = {-1, -1, -1};
    char byte;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(pipe(pipes), 0);
    memcpy(CMSG_DATA(&control.header), &pipes[1], sizeof(int));
    assert_int_equal(sendmsg(ends[0], &empty, 0), 0);
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), -EPIPE);
    assert_int_equal(fds[0], -1);
    close(pipes[1]);
    /* Had the other copy of the writing end stayed, this would block. */
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    close(pipes[0]);
    close(ends[0]);
    close(ends[1]);
}

static void a_connect_without_room_for_descriptors_comes_without(void **state)
{
    struct hcl_message message = connect_message();
    struct hcl_message out;
    struct rlimit limit;
    struct rlimit none;
    int pipes[2];
    int ends[2];
    int fds[HCL_MESSAGE_FDS];
    int rc;

    (void)state;
    if (under_valgrind()) {
        skip(); /* its setrlimit never reaches the kernel */
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(hcl_message_send(ends[0], &message, pipes, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)pipes[1] + 2; /* for one of the two */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = hcl_message_receive(ends[1], &out, fds, NULL);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(rc, 1);
    assert_int_equal(out.type, HCL_MESSAGE_CONNECT);
    assert_int_equal(fds[0], -1);
    assert_int_equal(fds[1], -1);
    close(ends[0]);
    close(ends[1]);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_longer_packet_is_refused(void **state)
{
    static char packet[sizeof(struct hcl_message) + 64];
    struct hcl_message out;
    int ends[2];
    int fds[HCL_MESSAGE_FDS];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(send(ends[0], packet, sizeof(packet), 0), sizeof(packet));
    assert_int_equal(hcl_message_receive(ends[1], &out, fds, NULL), -EBADMSG);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_survives_the_way),
        cmocka_unit_test(a_wrong_size_is_refused),
        cmocka_unit_test(a_wrong_version_or_type_is_refused),
        cmocka_unit_test(a_wrong_number_of_descriptors_is_refused),
        cmocka_unit_test(a_text_without_end_is_refused),
        cmocka_unit_test(a_text_comes_out_printable),
        cmocka_unit_test(a_layout_beyond_the_wire_is_refused),
        cmocka_unit_test(an_unknown_reason_is_refused),
        cmocka_unit_test(a_refusal_or_fault_without_a_text_is_refused),
        cmocka_unit_test(descriptors_travel_with_connect),
        cmocka_unit_test(three_descriptors_travel_with_a_local_connect),
        cmocka_unit_test(descriptors_of_a_bad_message_are_closed),
        cmocka_unit_test(descriptors_of_an_empty_packet_are_closed),
        cmocka_unit_test(a_connect_without_room_for_descriptors_comes_without),
        cmocka_unit_test(a_longer_packet_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
