/* SPDX-License-Identifier: MIT */
#include "store_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store_private.h"

#define HEADER sizeof(struct xsd_sockmsg)

/* ---- What is to be done ------------------------------------------------ */

static void list_add(struct store_conn *conn, enum store_list list)
{
    if (!conn->is_to[list]) {
        conn->is_to[list] = true;
        conn->next_to[list] = conn->store->to[list];
        conn->store->to[list] = conn;
    }
}

static struct store_conn *list_pop(struct sim_store *store,
                                   enum store_list list)
{
    struct store_conn *conn = store->to[list];

    if (conn) {
        conn->is_to[list] = false;
        store->to[list] = conn->next_to[list];
    }
    return conn;
}

static void list_remove(struct store_conn *conn, enum store_list list)
{
    struct store_conn **at = &conn->store->to[list];

    while (conn->is_to[list] && *at != conn) {
        at = &(*at)->next_to[list];
    }
    if (conn->is_to[list]) {
        conn->is_to[list] = false;
        *at = conn->next_to[list];
    }
}

void store_conn_to_flush(struct store_conn *conn)
{
    list_add(conn, STORE_TO_FLUSH);
}

void store_conn_flush_all(struct sim_store *store)
{
    struct store_conn *conn;

    while ((conn = list_pop(store, STORE_TO_FLUSH)) != NULL) {
        /* A full one goes on when it says that it is not. */
        if (!conn->blocked) {
            store_queue_flush(conn);
        }
    }
}

/* ---- State ------------------------------------------------------------- */

const struct sim_domain *store_conn_domain(const struct store_conn *conn)
{
    const struct sim_domain *domain = conn->machine->domain;

    return domain && domain->introduced && domain->domid == conn->domid ? domain
                                                                        : NULL;
}

bool store_conn_live(const struct store_conn *conn)
{
    return !conn->machine->cut && store_conn_domain(conn);
}

static bool may_read(const struct store_conn *conn)
{
    if (!store_conn_live(conn)) {
        return false;
    }
    /* What a client wrote before it ended counts, as it would in a kernel. */
    return conn->deaf || !store_queue_full(conn);
}

static void rearm(struct store_conn *conn)
{
    uint32_t events = 0;

    if (!conn->source) {
        return;
    }
    if (may_read(conn)) {
        events |= EPOLLIN;
    }
    if (conn->blocked) {
        events |= EPOLLOUT;
    }
    if (events != conn->events) {
        hcl_source_events(conn->source, events);
        conn->events = events;
    }
}

/*
 * The loop shall flush it and handle its requests: the caller may be in the
 * middle of another connection.
 */
static void work_soon(struct store_conn *conn)
{
    const uint64_t one = 1;

    list_add(conn, STORE_TO_WORK);
    /* Fails only at a count that cannot be reached. */
    (void)!write(conn->store->work_fd, &one, sizeof(one));
}

void store_conn_resume(struct store_conn *conn)
{
    if (conn->stalled && may_read(conn)) {
        conn->stalled = false;
        work_soon(conn);
    }
    rearm(conn);
}

/* ---- Receiving --------------------------------------------------------- */

/* False: it has ended. */
static bool receive(struct store_conn *conn)
{
    size_t room = sizeof(conn->in) - conn->in_bytes;
    ssize_t bytes;

    if (room == 0) {
        return true;
    }
    bytes = recv(conn->fd, conn->in + conn->in_bytes, room, MSG_DONTWAIT);
    if (bytes > 0) {
        conn->in_bytes += (size_t)bytes;
    }
    return bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Handles all requests that have arrived whole.  False: one is no request. */
static bool work(struct store_conn *conn)
{
    size_t at = 0;

    while (conn->in_bytes - at >= HEADER) {
        memcpy(&conn->header, conn->in + at, HEADER);
        if (conn->header.len > XENSTORE_PAYLOAD_MAX) {
            return false;
        }
        if (conn->in_bytes - at < HEADER + conn->header.len) {
            break;
        }
        if (!may_read(conn)) {
            conn->stalled = true;
            break;
        }
        store_request_handle(conn, conn->in + at + HEADER);
        at += HEADER + conn->header.len;
        store_conn_flush_all(conn->store);
    }
    conn->in_bytes -= at;
    memmove(conn->in, conn->in + at, conn->in_bytes);
    rearm(conn);
    return true;
}

/* The client has ended.  What it has asked for before, it still gets done. */
static void finish(struct store_conn *conn)
{
    store_queue_flush(conn);
    store_queue_close(conn);
    (void)work(conn);
    store_conn_free(conn);
}

static void on_ready(void *arg, uint32_t events)
{
    struct store_conn *conn = arg;

    if (!store_conn_live(conn)) {
        /* Not even its end is noticed until store_conn_wake. */
        hcl_source_free(conn->source);
        conn->source = NULL;
        return;
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        store_queue_close(conn);
        rearm(conn);
    } else if (events & EPOLLOUT) {
        store_queue_flush(conn);
    }
    if (!(events & EPOLLIN) || !may_read(conn)) {
        store_conn_resume(conn);
    } else if (!receive(conn)) {
        finish(conn);
    } else if (!work(conn)) {
        store_conn_free(conn);
    }
}

static void on_work(void *arg, uint32_t events)
{
    struct sim_store *store = arg;
    struct store_conn *conn;
    uint64_t count;

    (void)events;
    (void)!read(store->work_fd, &count, sizeof(count));
    while ((conn = list_pop(store, STORE_TO_WORK)) != NULL) {
        store_queue_flush(conn);
        if (!work(conn)) {
            store_conn_free(conn);
        }
    }
}

int store_conn_start(struct sim_store *store, struct hcl_err *err)
{
    store->work_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (store->work_fd < 0) {
        return hcl_err_sys(err, -errno, "cannot make an eventfd");
    }
    return hcl_source_new(&store->work, store->host->loop, store->work_fd,
                          EPOLLIN, on_work, store, err);
}

void store_conn_stop(struct sim_store *store)
{
    struct store_conn *conn, *next;

    for (conn = store->conns; conn; conn = next) {
        next = conn->next;
        store_conn_free(conn);
    }
    hcl_source_free(store->work);
    if (store->work_fd >= 0) {
        close(store->work_fd);
    }
}

/* ---- Lives ------------------------------------------------------------- */

static int listen_to(struct store_conn *conn)
{
    conn->events = EPOLLIN;
    return hcl_source_new(&conn->source, conn->store->host->loop, conn->fd,
                          EPOLLIN, on_ready, conn, NULL);
}

int store_conn_new(struct sim_store *store, int fd, struct sim_machine *machine)
{
    struct store_conn *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        close(fd);
        return -ENOMEM;
    }
    conn->fd = fd;
    conn->store = store;
    conn->machine = machine;
    conn->next_id = 1;
    if (machine->domain) {
        conn->domid = machine->domain->domid;
    }
    conn->next = store->conns;
    conn->link = &store->conns;
    if (conn->next) {
        conn->next->link = &conn->next;
    }
    store->conns = conn;
    if (store_queue_open(conn) < 0) {
        store_conn_free(conn);
        return -ENOMEM;
    }
    store_conn_wake(conn);
    return 0;
}

void store_conn_wake(struct store_conn *conn)
{
    if (!store_conn_live(conn)) {
        return;
    }
    if (!conn->source && listen_to(conn) < 0) {
        store_conn_free(conn);
        return;
    }
    work_soon(conn);
}

void store_open_free(struct store_open *open)
{
    store_transaction_free(open->transaction);
    free(open);
}

void store_conn_reset(struct store_conn *conn)
{
    struct store_watch *watch;
    struct store_open *open;

    while ((watch = conn->watches) != NULL) {
        conn->watches = watch->next;
        store_watch_remove(conn->store->watches, watch);
    }
    while ((open = conn->open) != NULL) {
        conn->open = open->next;
        store_open_free(open);
    }
}

void store_conn_free(struct store_conn *conn)
{
    store_queue_flush(conn);
    store_queue_free(conn);
    store_conn_reset(conn);
    list_remove(conn, STORE_TO_FLUSH);
    list_remove(conn, STORE_TO_WORK);
    hcl_source_free(conn->source);
    *conn->link = conn->next;
    if (conn->next) {
        conn->next->link = conn->link;
    }
    close(conn->fd);
    free(conn);
}
