/* SPDX-License-Identifier: MIT */
/* The program's side of a session: requests come in, results go out. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "session.h"

/* An id is a count and, in these bits, the place in the table. */
#define ID_INDEX_BITS 16

_Static_assert((HCLIF_SLOTS_PER_PAGE << HCLIF_MAX_RING_PAGE_ORDER) <=
                   1 << ID_INDEX_BITS,
               "a table index does not fit");

/* Where the payload is: in the pool, in the slot, or copied to the pool. */
static int place_tx(struct hcl_session *session, struct hcl_request *request,
                    const struct hcl_io *io)
{
    request->tx_bytes = io->tx_bytes;
    if (!io->tx_bytes) {
        return 0;
    }
    if (hcl_pool_holds(&session->tx, io->tx, io->tx_bytes)) {
        request->flags |= HCLIF_TX_POOL;
        request->tx_offset = hcl_pool_offset(&session->tx, io->tx);
        return 0;
    }
    if (io->tx_bytes <= HCLIF_REQUEST_DATA) {
        memcpy(request->data, io->tx, io->tx_bytes);
        session->copied_bytes += io->tx_bytes;
        return 0;
    }
    if (io->tx_bytes > session->tx.bytes) {
        return -EMSGSIZE;
    }
    request->tx_piece = hcl_pool_alloc(&session->tx, io->tx_bytes);
    if (!request->tx_piece) {
        return -ENOBUFS;
    }
    memcpy(request->tx_piece, io->tx, io->tx_bytes);
    session->copied_bytes += io->tx_bytes;
    request->flags |= HCLIF_TX_POOL;
    request->tx_offset = hcl_pool_offset(&session->tx, request->tx_piece);
    return 0;
}

static int place_rx(struct hcl_session *session, struct hcl_request *request,
                    const struct hcl_io *io)
{
    request->rx_bytes = io->rx_bytes;
    if (!io->rx_bytes) {
        return 0;
    }
    if (hcl_pool_holds(&session->rx, io->rx, io->rx_bytes)) {
        request->flags |= HCLIF_RX_POOL;
        request->rx_offset = hcl_pool_offset(&session->rx, io->rx);
        return 0;
    }
    request->rx_copy = io->rx;
    if (io->rx_bytes <= HCLIF_COMPLETION_DATA) {
        return 0;
    }
    if (io->rx_bytes > session->rx.bytes) {
        return -EMSGSIZE;
    }
    request->rx_piece = hcl_pool_alloc(&session->rx, io->rx_bytes);
    if (!request->rx_piece) {
        return -ENOBUFS;
    }
    request->flags |= HCLIF_RX_POOL;
    request->rx_offset = hcl_pool_offset(&session->rx, request->rx_piece);
    return 0;
}

static int check_io(const struct hcl_io *io)
{
    bool internal = io->opcode == HCLIF_OP_OPEN ||
                    io->opcode == HCLIF_OP_CLOSE ||
                    io->opcode == HCLIF_OP_CANCEL;

    if (internal || (io->tx_bytes && !io->tx) || (io->rx_bytes && !io->rx)) {
        return -EINVAL;
    }
    return 0;
}

int hcl_session_submit(struct hcl_handle *handle, const struct hcl_io *io,
                       bool waited_for, struct hcl_request **ret_request)
{
    struct hcl_session *session = handle->session;
    struct hcl_request *request = session->idle.first;
    int ret = check_io(io);

    if (ret < 0) {
        return ret;
    }
    if (session->end.code) {
        return session->end.code;
    }
    if (handle->state == HCL_HANDLE_FAILED) {
        return handle->failure.error;
    }
    if (!request) {
        return -EAGAIN;
    }
    hcl_request_list_remove(&session->idle, request);
    ret = place_tx(session, request, io);
    if (ret == 0) {
        ret = place_rx(session, request, io);
    }
    if (ret < 0) {
        if (request->tx_piece) {
            hcl_pool_free(&session->tx, request->tx_piece);
        }
        hcl_session_recycle(session, request);
        return ret;
    }
    request->id = ++session->submitted << ID_INDEX_BITS |
                  (uint64_t)(request - session->requests);
    request->handle = handle;
    request->number = handle->number;
    request->user = io->user;
    request->opcode = io->opcode;
    request->argument = io->argument;
    request->waited_for = waited_for;
    request->state = HCL_REQUEST_WAITING;
    handle->users++;
    hcl_request_list_append(&session->waiting, request);
    hcl_session_pump(session);
    *ret_request = request;
    return 0;
}

struct hcl_request *hcl_session_find(struct hcl_handle *handle, uint64_t id)
{
    struct hcl_session *session = handle->session;
    uint64_t index = id & ((1 << ID_INDEX_BITS) - 1);
    struct hcl_request *request;

    if (!id || index >= session->max_requests) {
        return NULL;
    }
    request = &session->requests[index];
    if (request->id != id || request->handle != handle ||
        (request->state != HCL_REQUEST_WAITING &&
         request->state != HCL_REQUEST_SENT)) {
        return NULL;
    }
    return request;
}

void hcl_session_cancel(struct hcl_session *session,
                        struct hcl_request *request)
{
    if (request->state == HCL_REQUEST_WAITING) {
        hcl_session_finish(session, request, HCL_CANCELLED, -ECANCELED,
                           "cancelled before it was sent");
    } else if (request->state == HCL_REQUEST_SENT && !request->cancel) {
        request->cancel = true;
        session->cancels_wanted++;
        hcl_session_pump(session);
    }
}

void hcl_session_release(struct hcl_session *session,
                         struct hcl_request *request)
{
    assert(request->waited_for);
    if (request->state == HCL_REQUEST_DONE) {
        hcl_session_recycle(session, request);
    } else {
        request->orphan = true;
    }
}

unsigned int hcl_session_reap(struct hcl_session *session,
                              struct hcl_result *results, unsigned int max)
{
    struct hcl_request *request;
    unsigned int count;

    for (count = 0; count < max && session->done.first; count++) {
        request = session->done.first;
        hcl_request_list_remove(&session->done, request);
        results[count] = request->result;
        hcl_session_recycle(session, request);
    }
    return count;
}
