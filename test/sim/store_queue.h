/* SPDX-License-Identifier: MIT */
/*
 * store_queue.h: what a connection has to send.  Replies and events leave in
 * the order in which they were queued.
 *
 * A slow or hostile client costs nobody else anything, and the host little
 * memory.  As in C xenstored a guest's connection is not read while
 * STORE_OUTSTANDING messages that it has caused, replies to itself and events
 * to anybody, wait for their readers; and nobody's while STORE_QUEUE_BYTES
 * wait for it.  From there on a guest gets no more events, either: they are
 * lost, as there.  An event that waits already is not queued again, so that
 * what dom0 causes is bounded by the number of its nodes.
 */
#ifndef SIM_STORE_QUEUE_H
#define SIM_STORE_QUEUE_H

#include "store_conn.h"

/* C xenstored's quotas of requests outstanding and of memory. */
#define STORE_OUTSTANDING 20
#define STORE_QUEUE_BYTES ((size_t)2560 * 1024)

/* Prepares a new connection's.  -ENOMEM. */
__attribute__((warn_unused_result)) int
store_queue_open(struct store_conn *conn);

/* The client is gone: what waits for it is dropped, and what comes. */
void store_queue_close(struct store_conn *conn);
void store_queue_free(struct store_conn *conn);

/* Whether requests must wait until something has been read. */
bool store_queue_full(const struct store_conn *conn);

/* Answers the request that is being handled, conn->header. */
void store_queue_reply(struct store_conn *conn, uint32_t type, const void *body,
                       size_t bytes);
void store_queue_error(struct store_conn *conn, int error);

/* @cause: the guest's connection whose request is behind it, or NULL. */
void store_queue_event(struct store_conn *conn, const char *path,
                       const char *token, struct store_conn *cause);

/* What is queued from now on leaves @delay_us from now at the earliest. */
void store_queue_hold(struct store_conn *conn, uint64_t delay_us);

/* Sends what goes without waiting. */
void store_queue_flush(struct store_conn *conn);

#endif /* SIM_STORE_QUEUE_H */
