/* SPDX-License-Identifier: MIT */
/* Requests for watches, transactions and domains. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_request.h"

#define DOMID_SELF 0x7ff0

/* ---- Watches ----------------------------------------------------------- */

/* A guest's kernel has one connection: its programs share the quotas. */
static uint32_t count_watches(const struct store_conn *own)
{
    const struct store_conn *conn = own->store->conns;
    const struct store_watch *watch;
    uint32_t count = 0;

    for (; conn; conn = conn->next) {
        if (conn->machine == own->machine) {
            for (watch = conn->watches; watch; watch = watch->next) {
                count++;
            }
        }
    }
    return count;
}

static struct store_watch **find_watch(struct store_conn *conn,
                                       const char *path, const char *token)
{
    struct store_watch **at = &conn->watches;

    while (*at && (strcmp((*at)->path, path) != 0 ||
                   strcmp((*at)->token, token) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static int watch_path(const struct store_request *request, const char *given,
                      char *path)
{
    int ret = store_absolute(request, given, path);

    if (ret == 0 && given[0] == '@') {
        return strlen(given) > XENSTORE_REL_PATH_MAX ? -EINVAL : 0;
    }
    if (ret == 0 &&
        !store_path_valid(path, request->base->limits->path_bytes)) {
        return -EINVAL;
    }
    return ret;
}

int store_do_watch(struct store_request *request)
{
    struct store_conn *conn = request->conn;
    struct store_watch *watch;
    char path[STORE_PATH];
    const char *list[2];
    size_t skip = 0;
    int ret;

    if (store_strings(request, list, 2) != 2) {
        return -EINVAL;
    }
    ret = watch_path(request, list[0], path);
    if (ret < 0) {
        return ret;
    }
    if (*find_watch(conn, path, list[1])) {
        return -EEXIST;
    }
    /* One more than the quota, as in C xenstored. */
    if (request->caller.domid != 0 &&
        count_watches(conn) > request->base->limits->watches) {
        return -E2BIG;
    }
    if (list[0][0] != '/' && list[0][0] != '@') {
        skip = strlen(path) - strlen(list[0]) - 1;
    }
    watch = store_watch_add(conn->store->watches, conn, path, list[0], list[1],
                            skip);
    if (!watch) {
        return -ENOMEM;
    }
    watch->next = conn->watches;
    conn->watches = watch;
    store_reply(request, "OK", sizeof("OK"));
    store_queue_event(conn, store_watch_event_path(watch, path), watch->token,
                      NULL);
    return 0;
}

int store_do_unwatch(struct store_request *request)
{
    struct store_conn *conn = request->conn;
    struct store_watch **at, *watch;
    char path[STORE_PATH];
    const char *list[2];
    int ret;

    if (store_strings(request, list, 2) != 2) {
        return -EINVAL;
    }
    ret = store_absolute(request, list[0], path);
    if (ret < 0) {
        return ret;
    }
    at = find_watch(conn, path, list[1]);
    watch = *at;
    if (!watch) {
        return -ENOENT;
    }
    *at = watch->next;
    store_watch_remove(conn->store->watches, watch);
    return store_acknowledge(request, 0);
}

int store_do_reset_watches(struct store_request *request)
{
    store_conn_reset(request->conn);
    return store_acknowledge(request, 0);
}

/* ---- Transactions ------------------------------------------------------ */

static uint32_t count_open(const struct store_conn *own)
{
    const struct store_conn *conn = own->store->conns;
    const struct store_open *open;
    uint32_t count = 0;

    for (; conn; conn = conn->next) {
        if (conn->machine == own->machine) {
            for (open = conn->open; open; open = open->next) {
                count += !open->stale;
            }
        }
    }
    return count;
}

struct store_open *store_find_open(const struct store_conn *conn, uint32_t id)
{
    struct store_open *open = conn->open;

    while (open && open->id != id) {
        open = open->next;
    }
    return open;
}

int store_do_transaction_start(struct store_request *request)
{
    struct store_conn *conn = request->conn;
    struct store_open *open;
    char text[16];
    int len;

    if (request->caller.transaction) {
        return -EBUSY;
    }
    /* One more than the quota, as in C xenstored. */
    if (request->caller.domid != 0 &&
        count_open(conn) > request->base->limits->transactions) {
        return -ENOSPC;
    }
    open = calloc(1, sizeof(*open));
    if (!open) {
        return -ENOMEM;
    }
    open->transaction = store_transaction_new(request->base);
    if (!open->transaction) {
        free(open);
        return -ENOMEM;
    }
    do {
        open->id = conn->next_id++;
    } while (open->id == 0 || store_find_open(conn, open->id));
    open->next = conn->open;
    conn->open = open;
    len = snprintf(text, sizeof(text), "%" PRIu32, open->id);
    store_reply(request, text, (size_t)len + 1);
    return 0;
}

/* Ends the request's transaction; 0, or why it cannot be committed. */
int store_end_transaction(struct store_request *request, bool commit)
{
    struct store_open **at = &request->conn->open, *open = request->open;
    int ret = 0;

    while (*at != open) {
        at = &(*at)->next;
    }
    *at = open->next;
    if (open->stale) {
        ret = commit ? -EAGAIN : 0;
    } else if (commit) {
        ret = store_transaction_commit(request->base, &request->caller);
        open->transaction = NULL;
    }
    store_open_free(open);
    return ret;
}

int store_do_transaction_end(struct store_request *request)
{
    const char *text = store_one_string(request);

    if (!text || (strcmp(text, "T") != 0 && strcmp(text, "F") != 0)) {
        return -EINVAL;
    }
    if (!request->open) {
        return -ENOENT;
    }
    return store_acknowledge(request,
                             store_end_transaction(request, text[0] == 'T'));
}

/* ---- Domains ----------------------------------------------------------- */

static int domid_of(const char *text, uint32_t *ret_domid)
{
    char *end;
    unsigned long domid;

    if (!text || text[0] < '0' || text[0] > '9') {
        return -EINVAL;
    }
    domid = strtoul(text, &end, 10);
    if (*end || domid > DOMID_SELF) {
        return -EINVAL;
    }
    *ret_domid = (uint32_t)domid;
    return 0;
}

/* The one argument is a guest. */
static int guest_of(const struct store_request *request, uint32_t *ret_domid)
{
    int ret = domid_of(store_one_string(request), ret_domid);

    return ret == 0 && *ret_domid == 0 ? -EINVAL : ret;
}

/* The page and the port, which a toolstack also gives, mean nothing here. */
int store_do_introduce(struct store_request *request)
{
    const char *list[3];
    uint32_t domid;
    int ret = store_strings(request, list, 3) < 3 ? -EINVAL : 0;

    if (ret == 0) {
        ret = domid_of(list[0], &domid);
    }
    if (ret == 0) {
        ret = store_introduce(request->conn->store, domid);
    }
    return store_acknowledge(request, ret);
}

int store_do_release(struct store_request *request)
{
    uint32_t domid;
    int ret = guest_of(request, &domid);

    if (ret == 0) {
        ret = store_release(request->conn->store, domid);
    }
    return store_acknowledge(request, ret);
}

int store_do_resume(struct store_request *request)
{
    uint32_t domid;
    int ret = guest_of(request, &domid);

    if (ret == 0) {
        ret = store_resume(request->conn->store, domid);
    }
    return store_acknowledge(request, ret);
}

int store_do_set_target(struct store_request *request)
{
    const char *list[2];
    uint32_t domid, target;
    int ret = store_strings(request, list, 2) < 2 ? -EINVAL : 0;

    if (ret == 0) {
        ret = domid_of(list[0], &domid);
    }
    if (ret == 0) {
        ret = domid_of(list[1], &target);
    }
    if (ret == 0) {
        ret = store_set_target(request->conn->store, domid, target);
    }
    return store_acknowledge(request, ret);
}

int store_do_get_domain_path(struct store_request *request)
{
    const char *text = store_one_string(request);
    char path[32];
    int len;

    if (!text) {
        return -EINVAL;
    }
    len = snprintf(path, sizeof(path), "/local/domain/%" PRIu32,
                   (uint32_t)strtoul(text, NULL, 10));
    store_reply(request, path, (size_t)len + 1);
    return 0;
}

int store_do_is_domain_introduced(struct store_request *request)
{
    const struct sim_domain *domain;
    uint32_t domid;
    int ret = domid_of(store_one_string(request), &domid);

    if (ret < 0) {
        return ret;
    }
    domain = sim_domain_find(request->conn->store->host, domid);
    store_reply(
        request,
        domid == DOMID_SELF || (domain && domain->introduced) ? "T" : "F", 2);
    return 0;
}

/* Of the daemon itself; there is nothing of that kind here. */
int store_do_control(struct store_request *request)
{
    (void)request;
    return -ENOSYS;
}
