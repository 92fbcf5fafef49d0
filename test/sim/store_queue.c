/* SPDX-License-Identifier: MIT */
#include "store_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "store_private.h"

#define HEADER sizeof(struct xsd_sockmsg)
#define BATCH 32

/* A message in a queue. */
struct store_message {
    struct store_message *next;
    struct store_meter *meter; /* a reference; NULL: dom0 has caused it */
    uint64_t not_before_us;    /* 0: now */
    uint32_t hash;             /* of an event's body */
    bool event;
    size_t bytes;
    char data[]; /* header and body */
};

/* The messages that a guest's connection has caused; may outlive it. */
struct store_meter {
    unsigned int refs;
    unsigned int outstanding;
    struct store_conn *conn; /* NULL: closed */
};

/* ---- Queue ------------------------------------------------------------- */

bool store_queue_full(const struct store_conn *conn)
{
    return conn->queued_bytes >= STORE_QUEUE_BYTES ||
           (conn->meter && conn->meter->outstanding >= STORE_OUTSTANDING);
}

int store_queue_open(struct store_conn *conn)
{
    conn->last = &conn->first;
    if (conn->machine->key == 0) {
        return 0;
    }
    conn->meter = calloc(1, sizeof(*conn->meter));
    if (!conn->meter) {
        return -ENOMEM;
    }
    conn->meter->refs = 1;
    conn->meter->conn = conn;
    return 0;
}

static void meter_unref(struct store_meter *meter)
{
    if (meter && --meter->refs == 0) {
        free(meter);
    }
}

/* The first message leaves the queue. */
static void drop_first(struct store_conn *conn)
{
    struct store_message *message = conn->first;
    struct store_meter *meter = message->meter;

    conn->first = message->next;
    if (!conn->first) {
        conn->last = &conn->first;
    }
    conn->queued_bytes -= message->bytes;
    conn->sent = 0;
    free(message);
    if (meter) {
        meter->outstanding--;
        if (meter->conn) {
            store_conn_resume(meter->conn);
        }
        meter_unref(meter);
    }
}

void store_queue_close(struct store_conn *conn)
{
    conn->deaf = true;
    conn->blocked = false;
    while (conn->first) {
        drop_first(conn);
    }
}

void store_queue_free(struct store_conn *conn)
{
    if (conn->meter) {
        conn->meter->conn = NULL;
        meter_unref(conn->meter);
        conn->meter = NULL;
    }
    store_queue_close(conn);
    hcl_timer_stop(&conn->held);
}

/* Puts @message, whose data is complete, at the end.  Takes it over. */
static void enqueue(struct store_conn *conn, struct store_message *message,
                    struct store_conn *cause)
{
    if (cause && cause->meter) {
        message->meter = cause->meter;
        message->meter->refs++;
        message->meter->outstanding++;
    }
    message->not_before_us = conn->hold_until_us;
    *conn->last = message;
    conn->last = &message->next;
    conn->queued_bytes += message->bytes;
    store_conn_to_flush(conn);
}

/* NULL: no memory, and the client is disconnected: it would wait for ever. */
static struct store_message *message_new(struct store_conn *conn,
                                         const struct xsd_sockmsg *header)
{
    struct store_message *message =
        calloc(1, sizeof(*message) + HEADER + header->len);

    if (!message) {
        (void)shutdown(conn->fd, SHUT_RDWR);
        return NULL;
    }
    message->bytes = HEADER + header->len;
    memcpy(message->data, header, HEADER);
    return message;
}

void store_queue_reply(struct store_conn *conn, uint32_t type, const void *body,
                       size_t bytes)
{
    struct xsd_sockmsg header = conn->header;
    struct store_message *message;

    if (bytes > XENSTORE_PAYLOAD_MAX) {
        store_queue_error(conn, -E2BIG);
        return;
    }
    if (conn->deaf) {
        return;
    }
    header.type = type;
    header.len = (uint32_t)bytes;
    message = message_new(conn, &header);
    if (message) {
        if (bytes > 0) {
            memcpy(message->data + HEADER, body, bytes);
        }
        enqueue(conn, message, conn);
    }
}

void store_queue_error(struct store_conn *conn, int error)
{
    const char *text = xsd_errors[0].errstring;
    size_t i;

    for (i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        if (xsd_errors[i].errnum == -error) {
            text = xsd_errors[i].errstring;
        }
    }
    store_queue_reply(conn, XS_ERROR, text, strlen(text) + 1);
}

static uint32_t hash(const char *data, size_t bytes)
{
    uint32_t sum = 2166136261u; /* FNV-1a */
    size_t i;

    for (i = 0; i < bytes; i++) {
        sum = (sum ^ (unsigned char)data[i]) * 16777619u;
    }
    return sum;
}

static bool is_queued(const struct store_conn *conn,
                      const struct store_message *event)
{
    const struct store_message *message = conn->first;

    while (message &&
           !(message->event && message->hash == event->hash &&
             message->bytes == event->bytes &&
             memcmp(message->data, event->data, event->bytes) == 0)) {
        message = message->next;
    }
    return message != NULL;
}

void store_queue_event(struct store_conn *conn, const char *path,
                       const char *token, struct store_conn *cause)
{
    size_t path_bytes = strlen(path) + 1, token_bytes = strlen(token) + 1;
    struct xsd_sockmsg header = {
        .type = XS_WATCH_EVENT,
        .len = (uint32_t)(path_bytes + token_bytes),
    };
    struct store_message *message;

    if (conn->deaf || header.len > XENSTORE_PAYLOAD_MAX) {
        return;
    }
    message = message_new(conn, &header);
    if (!message) {
        return;
    }
    memcpy(message->data + HEADER, path, path_bytes);
    memcpy(message->data + HEADER + path_bytes, token, token_bytes);
    message->event = true;
    message->hash = hash(message->data + HEADER, header.len);
    /* Each @releaseDomain may speak of another domain. */
    if ((path[0] != '@' && is_queued(conn, message)) ||
        (conn->meter &&
         conn->queued_bytes + message->bytes > STORE_QUEUE_BYTES)) {
        free(message);
        return;
    }
    enqueue(conn, message, cause);
}

void store_queue_hold(struct store_conn *conn, uint64_t delay_us)
{
    uint64_t until = hcl_now_us() + delay_us;

    if (until > conn->hold_until_us) {
        conn->hold_until_us = until;
    }
}

/* ---- Sending ----------------------------------------------------------- */

static void on_held(void *arg)
{
    store_queue_flush(arg);
}

/* How many of the first messages, at most BATCH, may leave now. */
static size_t gather(struct store_conn *conn, struct iovec *parts)
{
    struct store_message *message = conn->first;
    size_t count = 0;

    for (; message && count < BATCH; message = message->next) {
        if (message->not_before_us > 0 &&
            message->not_before_us > hcl_now_us()) {
            break;
        }
        parts[count].iov_base = message->data;
        parts[count].iov_len = message->bytes;
        count++;
    }
    if (count > 0) {
        parts[0].iov_base = conn->first->data + conn->sent;
        parts[0].iov_len = conn->first->bytes - conn->sent;
    }
    return count;
}

static void consume(struct store_conn *conn, size_t bytes)
{
    while (bytes > 0 && bytes >= conn->first->bytes - conn->sent) {
        bytes -= conn->first->bytes - conn->sent;
        drop_first(conn);
    }
    conn->sent += bytes;
}

void store_queue_flush(struct store_conn *conn)
{
    struct iovec parts[BATCH];
    struct msghdr header = {.msg_iov = parts};
    ssize_t bytes;

    conn->blocked = false;
    while (conn->first && store_conn_live(conn)) {
        header.msg_iovlen = gather(conn, parts);
        if (header.msg_iovlen == 0) {
            uint64_t now = hcl_now_us(), at = conn->first->not_before_us;

            hcl_timer_start(&conn->held, conn->store->host->loop,
                            at > now ? at - now : 0, on_held, conn);
            break;
        }
        bytes = sendmsg(conn->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (bytes >= 0) {
            consume(conn, (size_t)bytes);
        } else if (errno == EAGAIN) {
            conn->blocked = true;
            break;
        } else if (errno != EINTR) {
            store_queue_close(conn);
        }
    }
    store_conn_resume(conn);
}
