/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the decoder knows of each type. */
struct message_kind {
    const char *name;
    size_t bytes;       /* of the structure after version and type */
    size_t text_offset; /* of a string in struct hcl_message; 0: none */
    size_t text_bytes;
};

#define MESSAGE_HEADER offsetof(struct hcl_message, config)
#define FIELD_BYTES(field) sizeof(((struct hcl_message *)NULL)->field)
#define TEXT(field) offsetof(struct hcl_message, field), FIELD_BYTES(field)

static const struct message_kind kinds[HCL_MESSAGE_END] = {
    [HCL_MESSAGE_CONFIG] = {"CONFIG", FIELD_BYTES(config), TEXT(config.spec)},
    [HCL_MESSAGE_CONNECT] = {"CONNECT", FIELD_BYTES(connect), 0, 0},
    [HCL_MESSAGE_DISCONNECT] = {"DISCONNECT", FIELD_BYTES(disconnect), 0, 0},
    [HCL_MESSAGE_STOP] = {"STOP", 0, 0, 0},
    [HCL_MESSAGE_READY] = {"READY", FIELD_BYTES(ready), TEXT(ready.class_name)},
    [HCL_MESSAGE_FAILED] = {"FAILED", FIELD_BYTES(failed), TEXT(failed.text)},
    [HCL_MESSAGE_CONNECTED] = {"CONNECTED", FIELD_BYTES(connected), 0, 0},
    [HCL_MESSAGE_REFUSED] = {"REFUSED", FIELD_BYTES(refused),
                             TEXT(refused.text)},
    [HCL_MESSAGE_CLOSED] = {"CLOSED", FIELD_BYTES(closed), TEXT(closed.text)},
    [HCL_MESSAGE_DEVICE_FAILED] = {"DEVICE_FAILED", FIELD_BYTES(device_failed),
                                   TEXT(device_failed.text)},
    [HCL_MESSAGE_STATS] = {"STATS", FIELD_BYTES(stats), 0, 0},
};

static const struct message_kind *message_kind(uint32_t type)
{
    if (type == 0 || type >= HCL_MESSAGE_END) {
        return NULL;
    }
    return &kinds[type];
}

const char *hcl_message_name(uint32_t type)
{
    const struct message_kind *kind = message_kind(type);

    return kind ? kind->name : "unknown";
}

unsigned int hcl_message_num_fds(const struct hcl_message *message)
{
    if (message->type != HCL_MESSAGE_CONNECT) {
        return 0;
    }
    return message->connect.domid == HCL_MESSAGE_SELF ? HCL_MESSAGE_LOCAL_FDS
                                                      : HCL_MESSAGE_XEN_FDS;
}

size_t hcl_message_encode(struct hcl_message *message)
{
    const struct message_kind *kind = message_kind(message->type);

    message->version = HCL_MESSAGE_VERSION;
    return MESSAGE_HEADER + (kind ? kind->bytes : 0);
}

/* A string that ends within its @bytes, made printable. */
static bool text_ok(char *text, size_t bytes)
{
    if (!memchr(text, '\0', bytes)) {
        return false;
    }
    hcl_text_clean(text);
    return true;
}

static bool connect_ok(const struct hcl_message_connect *connect)
{
    const struct hcl_layout *l = &connect->layout;

    return l->num_queues >= 1 && l->num_queues <= HCLIF_MAX_QUEUES &&
           l->ring_page_order <= HCLIF_MAX_RING_PAGE_ORDER &&
           l->tx_pages <= HCL_MAX_REFS && l->rx_pages <= HCL_MAX_REFS &&
           hcl_layout_extra_pages(l) <= HCLIF_MAX_EXTRA_PAGES &&
           connect->max_handles >= 1 && connect->max_handles <= UINT16_MAX &&
           connect->polls <= 1 && hcl_share_ok(&connect->share);
}

/* The fields of one type; sizes are right already. */
static bool body_ok(struct hcl_message *m)
{
    const struct message_kind *kind = &kinds[m->type];

    if (kind->text_bytes &&
        !text_ok((char *)m + kind->text_offset, kind->text_bytes)) {
        return false;
    }
    switch (m->type) {
    case HCL_MESSAGE_CONNECT:
        return connect_ok(&m->connect);
    case HCL_MESSAGE_READY:
        return text_ok(m->ready.idempotent, sizeof(m->ready.idempotent));
    case HCL_MESSAGE_FAILED:
        return m->failed.mistake <= 1;
    case HCL_MESSAGE_REFUSED:
        return m->refused.refusal >= 1 &&
               m->refused.refusal < HCL_REFUSAL_END && m->refused.text[0];
    case HCL_MESSAGE_CLOSED:
        return m->closed.reason >= 1 && m->closed.reason < HCL_CLOSE_END &&
               (m->closed.reason != HCL_CLOSE_FAULT || m->closed.text[0]);
    default:
        return true;
    }
}

int hcl_message_decode(struct hcl_message *ret_message, const void *data,
                       size_t bytes, unsigned int num_fds, struct hcl_err *err)
{
    struct hcl_message message;
    const struct message_kind *kind;

    memset(&message, 0, sizeof(message));
    if (bytes < MESSAGE_HEADER || bytes > sizeof(message)) {
        return hcl_err_set(err, -EBADMSG, "message of %zu bytes", bytes);
    }
    memcpy(&message, data, bytes);
    if (message.version != HCL_MESSAGE_VERSION) {
        return hcl_err_set(err, -EBADMSG,
                           "message of version %u instead of %u: hcl-backend "
                           "and hcl-worker are of different builds",
                           message.version, HCL_MESSAGE_VERSION);
    }
    kind = message_kind(message.type);
    if (!kind) {
        return hcl_err_set(err, -EBADMSG, "message of unknown type %u",
                           message.type);
    }
    if (bytes != MESSAGE_HEADER + kind->bytes ||
        num_fds != hcl_message_num_fds(&message)) {
        return hcl_err_set(err, -EBADMSG,
                           "message %s of %zu bytes with %u descriptors",
                           kind->name, bytes, num_fds);
    }
    if (!body_ok(&message)) {
        return hcl_err_set(err, -EBADMSG, "message %s has a bad field",
                           kind->name);
    }
    *ret_message = message;
    return 0;
}

/* Room for the control message that carries the descriptors. */
union message_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(HCL_MESSAGE_FDS * sizeof(int))];
};

int hcl_message_send(int fd, struct hcl_message *message, const int *fds,
                     struct hcl_err *err)
{
    union message_control control;
    struct iovec iov = {.iov_base = message,
                        .iov_len = hcl_message_encode(message)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    size_t fds_bytes = hcl_message_num_fds(message) * sizeof(int);
    ssize_t sent;

    memset(&control, 0, sizeof(control));
    if (fds) {
        struct cmsghdr *part;

        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(fds_bytes);
        part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fds_bytes);
        memcpy(CMSG_DATA(part), fds, fds_bytes);
    }
    do {
        sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return hcl_err_sys(err, -errno, "cannot send %s",
                           hcl_message_name(message->type));
    }
    return 0;
}

/*
 * Takes the descriptors out of a received header; those above HCL_MESSAGE_FDS
 * did not fit in the control buffer, and the kernel closed them.
 */
static unsigned int take_fds(struct msghdr *header, int *ret_fds)
{
    struct cmsghdr *part;
    unsigned int count = 0;

    for (part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        size_t bytes;

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        bytes = part->cmsg_len - CMSG_LEN(0);
        count = (unsigned int)(bytes / sizeof(int));
        memcpy(ret_fds, CMSG_DATA(part), count * sizeof(int));
    }
    return count;
}

void hcl_message_close_fds(int *fds)
{
    for (unsigned int i = 0; i < HCL_MESSAGE_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

int hcl_message_receive(int fd, struct hcl_message *ret_message, int *ret_fds,
                        struct hcl_err *err)
{
    union message_control control;
    struct hcl_message buffer;
    struct iovec iov = {.iov_base = &buffer, .iov_len = sizeof(buffer)};
    /* Not all of control: its padding has room for one more. */
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen =
                                CMSG_LEN(HCL_MESSAGE_FDS * sizeof(int))};
    int fds[HCL_MESSAGE_FDS] = {-1, -1, -1};
    unsigned int count;
    ssize_t bytes;
    int rc;

    memset(&buffer, 0, sizeof(buffer));
    do {
        bytes = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    if (bytes < 0) {
        return hcl_err_sys(err, errno == ECONNRESET ? -EPIPE : -errno,
                           "cannot receive a message");
    }
    count = take_fds(&header, fds);
    if (bytes == 0) {
        hcl_message_close_fds(
            fds); /* of an empty message, which looks like an end */
        return hcl_err_set(err, -EPIPE, "the other process has gone");
    }
    if (header.msg_flags & MSG_CTRUNC) {
        /* We are out of descriptors: the message stands, without them. */
        hcl_message_close_fds(fds);
        count = hcl_message_num_fds(&buffer);
    }
    if (header.msg_flags & MSG_TRUNC) {
        rc = hcl_err_set(err, -EBADMSG, "message is too long");
    } else {
        rc =
            hcl_message_decode(ret_message, &buffer, (size_t)bytes, count, err);
    }
    if (rc < 0) {
        hcl_message_close_fds(fds);
        return rc;
    }
    memcpy(ret_fds, fds, sizeof(fds));
    return 1;
}
