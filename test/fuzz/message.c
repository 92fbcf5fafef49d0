/* SPDX-License-Identifier: MIT */
/*
 * The socket between supervisor and worker (backend/message.c): the same bytes,
 * with any number of descriptors, decoded and received over a real socketpair.
 *
 * What must hold: what is accepted is within all bounds, has its strings ended
 * and printable, and is the same when it is sent again; no descriptor is left.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "message.h"

#define MAX_SENT_FDS 4

static void check_text(const char *text, size_t bytes)
{
    assert(memchr(text, '\0', bytes));
    for (; *text; text++) {
        assert(*text >= 0x20 && *text < 0x7f);
    }
}

static void check_connect(const struct hcl_message_connect *connect)
{
    const struct hcl_layout *l = &connect->layout;

    assert(l->num_queues >= 1 && l->num_queues <= HCLIF_MAX_QUEUES);
    assert(l->ring_page_order <= HCLIF_MAX_RING_PAGE_ORDER);
    assert((uint64_t)hcl_layout_ro_pages(l) + hcl_layout_rw_pages(l) <=
           HCL_MAX_REFS);
    assert(connect->max_handles >= 1 && connect->max_handles <= UINT16_MAX);
    assert(connect->share.weight >= 1 &&
           connect->share.weight <= HCL_WEIGHT_MAX);
    assert(connect->share.max_requests_per_s <= HCL_MAX_REQUESTS_PER_S);
    assert(connect->share.max_kib_per_s <= HCL_MAX_KIB_PER_S);
}

static void check_message(const struct hcl_message *m)
{
    assert(m->version == HCL_MESSAGE_VERSION);
    assert(m->type >= 1 && m->type < HCL_MESSAGE_END);
    switch (m->type) {
    case HCL_MESSAGE_CONFIG:
        check_text(m->config.spec, sizeof(m->config.spec));
        break;
    case HCL_MESSAGE_CONNECT:
        check_connect(&m->connect);
        break;
    case HCL_MESSAGE_READY:
        check_text(m->ready.class_name, sizeof(m->ready.class_name));
        check_text(m->ready.idempotent, sizeof(m->ready.idempotent));
        break;
    case HCL_MESSAGE_FAILED:
        assert(m->failed.mistake <= 1);
        check_text(m->failed.text, sizeof(m->failed.text));
        break;
    case HCL_MESSAGE_REFUSED:
        assert(m->refused.refusal >= 1 && m->refused.refusal < HCL_REFUSAL_END);
        check_text(m->refused.text, sizeof(m->refused.text));
        assert(m->refused.text[0]);
        break;
    case HCL_MESSAGE_CLOSED:
        assert(m->closed.reason >= 1 && m->closed.reason < HCL_CLOSE_END);
        check_text(m->closed.text, sizeof(m->closed.text));
        assert(m->closed.text[0] || m->closed.reason != HCL_CLOSE_FAULT);
        break;
    case HCL_MESSAGE_DEVICE_FAILED:
        check_text(m->device_failed.text, sizeof(m->device_failed.text));
        break;
    default:
        break;
    }
}

/* What travels when it is sent on is accepted again, and is the same. */
static void check_again(const struct hcl_message *message)
{
    struct hcl_message copy = *message, again;
    size_t bytes = hcl_message_encode(&copy);
    unsigned int fds = hcl_message_num_fds(message);

    assert(hcl_message_decode(&again, &copy, bytes, fds, NULL) == 0);
    /* Octet by octet: what is between the fields travels, too. */
    assert(memcmp((const uint8_t *)&again, (const uint8_t *)message,
                  sizeof(again)) == 0);
    assert(hcl_message_decode(&again, &copy, bytes, fds + 1, NULL) < 0);
    assert(hcl_message_decode(&again, &copy, bytes - 1, fds, NULL) < 0);
}

static int decode(const uint8_t *data, size_t bytes, unsigned int fds)
{
    uint8_t *copy = malloc(bytes + 1); /* exactly: no octet behind it */
    struct hcl_message message;
    struct hcl_err err = {0};
    int ret;

    if (!copy) {
        abort();
    }
    memcpy(copy, data, bytes);
    ret = hcl_message_decode(&message, copy, bytes, fds, &err);
    free(copy);
    if (ret == 0) {
        check_message(&message);
        check_again(&message);
    } else {
        assert(ret == -EBADMSG && err.code == ret && err.text[0]);
    }
    return ret;
}

/* Sends any bytes with any descriptors. */
static void send_raw(int fd, const uint8_t *data, size_t bytes,
                     unsigned int num_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MAX_SENT_FDS * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)data, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    int fds[MAX_SENT_FDS] = {0};

    if (num_fds > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(num_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, num_fds * sizeof(int));
    }
    if (sendmsg(fd, &header, MSG_NOSIGNAL) < 0) {
        abort();
    }
}

static void take_fds(const struct hcl_message *message, const int *fds,
                     unsigned int sent)
{
    for (unsigned int i = 0; i < HCL_MESSAGE_FDS; i++) {
        if (fds[i] >= 0) {
            assert(message->type == HCL_MESSAGE_CONNECT &&
                   sent == hcl_message_num_fds(message));
            close(fds[i]);
        }
    }
}

/* Over a socket the verdict is the same. */
static void receive(int fd, int verdict, size_t bytes, unsigned int sent)
{
    int fds[HCL_MESSAGE_FDS] = {-1, -1, -1};
    struct hcl_message message;
    struct hcl_err err = {0};
    int ret = hcl_message_receive(fd, &message, fds, &err);

    if (bytes == 0) {
        assert(ret == -EPIPE); /* looks like an end, and is treated as one */
    } else if (sent <= HCL_MESSAGE_FDS) {
        assert(ret == (verdict == 0 ? 1 : -EBADMSG));
    }
    if (ret == 1) {
        check_message(&message);
        take_fds(&message, fds, sent);
    } else {
        assert(fds[0] < 0 && fds[1] < 0 && fds[2] < 0 && err.text[0]);
    }
}

static void send_on(int *ends, const uint8_t *data, size_t bytes, bool gone)
{
    const int fds[HCL_MESSAGE_FDS] = {0, 0, 0};
    struct hcl_message message;
    int got[HCL_MESSAGE_FDS];
    bool connects;
    int ret;

    memset(&message, 0, sizeof(message));
    memcpy(&message, data, bytes < sizeof(message) ? bytes : sizeof(message));
    connects = message.type == HCL_MESSAGE_CONNECT;
    if (gone) {
        close(ends[1]);
        ends[1] = -1;
    }
    ret = hcl_message_send(ends[0], &message, connects ? fds : NULL, NULL);
    assert(ret == (gone ? -EPIPE : 0));
    if (!gone && hcl_message_receive(ends[1], &message, got, NULL) == 1) {
        take_fds(&message, got, hcl_message_num_fds(&message));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint32_t shape = fuzz_u8(&in);
    unsigned int sent = (shape & 7) % (MAX_SENT_FDS + 1);
    unsigned int fds_before = fuzz_open_fds();
    int fds[HCL_MESSAGE_FDS], ends[2];
    int ret = decode(in.at, in.left, sent);
    struct hcl_message message;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        abort();
    }
    assert(hcl_message_receive(ends[1], &message, fds, NULL) == 0);
    send_raw(ends[0], in.at, in.left, sent);
    if (shape & 8) {
        close(ends[1]); /* what was not read is an error for the other end */
        assert(hcl_message_receive(ends[0], &message, fds, NULL) == -EPIPE);
        ends[1] = -1;
    } else {
        receive(ends[1], ret, in.left, sent);
        send_on(ends, in.at, in.left, shape & 16);
    }
    close(ends[0]);
    if (ends[1] >= 0) {
        close(ends[1]);
    }
    assert(fuzz_open_fds() == fds_before);
    return 0;
}
