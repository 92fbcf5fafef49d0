/* SPDX-License-Identifier: MIT */
#include "store_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

/* ---- Arguments --------------------------------------------------------- */

size_t store_strings(const struct store_request *request, const char **list,
                     size_t max)
{
    const char *at = request->body, *end = at + request->bytes, *nul;
    size_t count = 0;

    while (at < end && (nul = memchr(at, '\0', (size_t)(end - at))) != NULL) {
        if (count < max) {
            list[count] = at;
        }
        count++;
        at = nul + 1;
    }
    return count;
}

const char *store_one_string(const struct store_request *request)
{
    const char *text;

    if (store_strings(request, &text, 1) != 1 ||
        strlen(text) + 1 != request->bytes) {
        return NULL;
    }
    return text;
}

int store_absolute(const struct store_request *request, const char *given,
                   char *path)
{
    int len;

    if (!given) {
        return -EINVAL;
    }
    if (given[0] == '/' || given[0] == '@') {
        len = snprintf(path, STORE_PATH, "%s", given);
    } else {
        len = snprintf(path, STORE_PATH, "/local/domain/%" PRIu32 "/%s",
                       request->caller.domid, given);
    }
    return len < STORE_PATH ? 0 : -EINVAL;
}

void store_reply(const struct store_request *request, const void *body,
                 size_t bytes)
{
    store_queue_reply(request->conn, request->conn->header.type, body, bytes);
}

int store_acknowledge(const struct store_request *request, int ret)
{
    if (ret == 0) {
        store_reply(request, "OK", sizeof("OK"));
    }
    return ret;
}

/* ---- Dispatch ---------------------------------------------------------- */

static const struct {
    int (*handle)(struct store_request *request);
    bool no_transaction; /* its number is not looked at */
    bool dom0;           /* nobody else may */
} handlers[XS_TYPE_COUNT] = {
    [XS_CONTROL] = {.handle = store_do_control, .dom0 = true},
    [XS_DIRECTORY] = {.handle = store_do_directory},
    [XS_READ] = {.handle = store_do_read},
    [XS_GET_PERMS] = {.handle = store_do_get_perms},
    [XS_WATCH] = {.handle = store_do_watch, .no_transaction = true},
    [XS_UNWATCH] = {.handle = store_do_unwatch, .no_transaction = true},
    [XS_TRANSACTION_START] = {.handle = store_do_transaction_start},
    [XS_TRANSACTION_END] = {.handle = store_do_transaction_end},
    [XS_INTRODUCE] = {.handle = store_do_introduce, .dom0 = true},
    [XS_RELEASE] = {.handle = store_do_release, .dom0 = true},
    [XS_GET_DOMAIN_PATH] = {.handle = store_do_get_domain_path},
    [XS_WRITE] = {.handle = store_do_write},
    [XS_MKDIR] = {.handle = store_do_mkdir},
    [XS_RM] = {.handle = store_do_rm},
    [XS_SET_PERMS] = {.handle = store_do_set_perms},
    [XS_IS_DOMAIN_INTRODUCED] = {.handle = store_do_is_domain_introduced,
                                 .dom0 = true},
    [XS_RESUME] = {.handle = store_do_resume, .dom0 = true},
    [XS_SET_TARGET] = {.handle = store_do_set_target, .dom0 = true},
    [XS_RESET_WATCHES] = {.handle = store_do_reset_watches},
    [XS_DIRECTORY_PART] = {.handle = store_do_directory_part},
};

static int dispatch(struct store_request *request)
{
    const struct xsd_sockmsg *header = &request->conn->header;

    if (header->type >= XS_TYPE_COUNT || !handlers[header->type].handle) {
        return -ENOSYS;
    }
    if (handlers[header->type].dom0 && request->caller.domid != 0) {
        return -EACCES;
    }
    if (header->tx_id != 0 && !handlers[header->type].no_transaction) {
        request->open = store_find_open(request->conn, header->tx_id);
        /* Of one that a restore left behind, Linux knows but the end. */
        if (!request->open ||
            (request->open->stale && header->type != XS_TRANSACTION_END)) {
            return -ENOENT;
        }
        request->caller.transaction = request->open->transaction;
    }
    return handlers[header->type].handle(request);
}

/* A fault on purpose.  A transaction whose end fails is over all the same. */
static void fail(struct store_request *request)
{
    const struct xsd_sockmsg *header = &request->conn->header;

    request->open = store_find_open(request->conn, header->tx_id);
    if (header->type == XS_TRANSACTION_END && request->open) {
        (void)store_end_transaction(request, false);
    }
}

void store_request_handle(struct store_conn *conn, const char *body)
{
    struct sim_store *store = conn->store;
    struct store_request request = {
        .conn = conn,
        .base = &store->base,
        .caller = store_caller(conn),
        .body = body,
        .bytes = conn->header.len,
    };
    uint64_t delay_us = 0;
    int ret = sim_fault(store->host, conn->machine, SIM_CALL_STORE, &delay_us);

    if (delay_us > 0) {
        store_queue_hold(conn, delay_us);
    }
    if (ret < 0) {
        fail(&request);
    } else {
        store->asking = request.caller.domid != 0 ? conn : NULL;
        ret = dispatch(&request);
        store->asking = NULL;
    }
    if (ret < 0) {
        store_queue_error(conn, ret);
    }
}
