/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"

/*
 * Slots that requests of the program leave free, so that a request can always
 * be cancelled and a handle closed.
 */
#define RESERVED_SLOTS 8

int hcl_session_init(struct hcl_session *session, uint32_t max_slots)
{
    uint32_t i;

    memset(session, 0, sizeof(*session));
    session->max_requests = max_slots - RESERVED_SLOTS;
    session->requests =
        calloc(session->max_requests, sizeof(*session->requests));
    session->cancels = calloc(session->max_requests, sizeof(*session->cancels));
    if (!session->requests || !session->cancels ||
        hcl_queue_init(&session->queue, max_slots) < 0) {
        hcl_session_clear(session);
        return -ENOMEM;
    }
    for (i = 0; i < session->max_requests; i++) {
        hcl_request_list_append(&session->idle, &session->requests[i]);
    }
    return 0;
}

void hcl_session_clear(struct hcl_session *session)
{
    struct hcl_handle *handle;

    while (session->handles) {
        handle = session->handles;
        session->handles = handle->next;
        free(handle);
    }
    hcl_queue_clear(&session->queue);
    hcl_pool_clear(&session->tx);
    hcl_pool_clear(&session->rx);
    free(session->requests);
    free(session->cancels);
    memset(session, 0, sizeof(*session));
}

int hcl_session_pools(struct hcl_session *session, void *tx, uint32_t tx_bytes,
                      void *rx, uint32_t rx_bytes)
{
    if (hcl_pool_init(&session->tx, tx, tx_bytes) < 0 ||
        hcl_pool_init(&session->rx, rx, rx_bytes) < 0) {
        return -ENOMEM;
    }
    return 0;
}

/* ---- The end of a request ---------------------------------------------- */

void hcl_session_recycle(struct hcl_session *session,
                         struct hcl_request *request)
{
    /* What comes behind is written before it is read. */
    memset(request, 0, offsetof(struct hcl_request, data));
    /* First: the one that is in the processor's cache. */
    hcl_request_list_insert(&session->idle, NULL, request);
}

/* A WAITING or SENT request, in no list, gets its result. */
static void finish(struct hcl_session *session, struct hcl_request *request)
{
    if (request->tx_piece) {
        hcl_pool_free(&session->tx, request->tx_piece);
    }
    if (request->rx_piece) {
        hcl_pool_free(&session->rx, request->rx_piece);
    }
    if (request->cancel && request->state == HCL_REQUEST_SENT &&
        !request->cancel_sent) {
        session->cancels_wanted--;
    }
    session->completed++;
    request->handle->users--;
    request->state = HCL_REQUEST_DONE;
    request->result.id = request->id;
    request->result.user = request->user;
    if (request->orphan) {
        hcl_session_recycle(session, request);
    } else if (!request->waited_for) {
        hcl_request_list_append(&session->done, request);
    }
}

void hcl_session_finish(struct hcl_session *session,
                        struct hcl_request *request,
                        enum hcl_result_status status, int error,
                        const char *text)
{
    hcl_result_local(&request->result, status, error, text);
    if (request->state == HCL_REQUEST_WAITING) {
        hcl_request_list_remove(&session->waiting, request);
    }
    finish(session, request);
}

/* Ends a request with what the backend said: @completion is checked. */
static void finish_completed(struct hcl_session *session,
                             struct hcl_request *request,
                             const struct hclif_completion *completion)
{
    const void *from = completion->data;

    hcl_result_completed(&request->result, completion);
    if (request->rx_piece) {
        from = request->rx_piece;
    }
    /* Orphaned: the memory is the program's again. */
    if (request->rx_copy && !request->orphan) {
        memcpy(request->rx_copy, from, request->result.rx_bytes);
        session->copied_bytes += request->result.rx_bytes;
    }
    finish(session, request);
}

/* Ends all requests of @handle (NULL: of all) that are not on the ring. */
static void finish_waiting(struct hcl_session *session,
                           const struct hcl_handle *handle,
                           enum hcl_result_status status, int error,
                           const char *text)
{
    struct hcl_request *request, *next;

    for (request = session->waiting.first; request; request = next) {
        next = request->next;
        if (!handle || request->handle == handle) {
            hcl_session_finish(session, request, status, error, text);
        }
    }
}

/* ---- Handles ----------------------------------------------------------- */

/* Frees it once neither the program nor a request uses it. */
static void handle_free_unused(struct hcl_session *session,
                               struct hcl_handle *handle)
{
    struct hcl_handle **at = &session->handles;
    bool ended = handle->state == HCL_HANDLE_CLOSED ||
                 handle->state == HCL_HANDLE_FAILED ||
                 handle->state == HCL_HANDLE_NEW;

    if (!handle->abandoned || handle->users || !ended) {
        return;
    }
    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    free(handle);
}

/* A completion of OPEN or CLOSE. */
static void handle_completed(struct hcl_session *session,
                             struct hcl_handle *handle,
                             const struct hclif_completion *completion)
{
    handle->control.state = HCL_REQUEST_FREE;
    if (handle->state == HCL_HANDLE_CLOSING) {
        handle->state = HCL_HANDLE_CLOSED;
    } else if (completion->status == HCLIF_STATUS_OK) {
        handle->state = HCL_HANDLE_OPEN;
    } else {
        hcl_result_completed(&handle->failure, completion);
        handle->state = HCL_HANDLE_FAILED;
        finish_waiting(session, handle, handle->failure.status,
                       handle->failure.error, handle->failure.text);
    }
    handle_free_unused(session, handle);
}

static void handle_send(struct hcl_session *session, struct hcl_handle *handle,
                        uint8_t opcode, enum hcl_handle_state state)
{
    if (handle->number >= session->max_handles) {
        hcl_result_local(&handle->failure, HCL_LIMIT, -EMFILE,
                         "the backend allows fewer handles now");
        handle->state = HCL_HANDLE_FAILED;
        finish_waiting(session, handle, HCL_LIMIT, -EMFILE,
                       handle->failure.text);
        return;
    }
    memset(&handle->control, 0, sizeof(handle->control));
    handle->control.handle = handle;
    handle->control.number = handle->number;
    handle->control.opcode = opcode;
    handle->state = state;
    hcl_queue_send(&session->queue, &handle->control);
}

int hcl_session_open(struct hcl_session *session,
                     struct hcl_handle **ret_handle, struct hcl_err *err)
{
    struct hcl_handle *handle, **at = &session->handles;
    uint32_t number = 0;

    /* The list is in order of number: the first gap is the new one. */
    while (*at && (*at)->number == number) {
        at = &(*at)->next;
        number++;
    }
    if (number >= session->max_handles) {
        return hcl_err_set(err, -EMFILE,
                           "all %u handles that the backend allows are in use",
                           session->max_handles);
    }
    handle = calloc(1, sizeof(*handle));
    if (!handle) {
        return hcl_err_sys(err, -ENOMEM, "a handle");
    }
    handle->session = session;
    handle->number = (uint16_t)number;
    handle->next = *at;
    *at = handle;
    *ret_handle = handle;
    return 0;
}

void hcl_session_close(struct hcl_handle *handle)
{
    struct hcl_session *session = handle->session;

    handle->abandoned = true;
    finish_waiting(session, handle, HCL_CANCELLED, -ECANCELED,
                   "the handle was closed");
    handle_free_unused(session, handle);
}

bool hcl_session_has(const struct hcl_session *session,
                     const struct hcl_handle *handle)
{
    const struct hcl_handle *at = session->handles;

    while (at && at != handle) {
        at = at->next;
    }
    return at != NULL;
}

/* ---- Sending ----------------------------------------------------------- */

static void send_handles(struct hcl_session *session)
{
    struct hcl_handle *handle, *next;

    for (handle = session->handles; handle; handle = next) {
        next = handle->next;
        if (!hcl_queue_room(&session->queue)) {
            return;
        }
        if (handle->state == HCL_HANDLE_NEW && !handle->abandoned) {
            handle_send(session, handle, HCLIF_OP_OPEN, HCL_HANDLE_OPENING);
        } else if (handle->state == HCL_HANDLE_OPEN && handle->abandoned) {
            handle_send(session, handle, HCLIF_OP_CLOSE, HCL_HANDLE_CLOSING);
        }
    }
}

static void send_waiting(struct hcl_session *session)
{
    struct hcl_request *request, *next;

    for (request = session->waiting.first; request; request = next) {
        next = request->next;
        if (hcl_queue_room(&session->queue) <= RESERVED_SLOTS) {
            return;
        }
        if (request->handle->state == HCL_HANDLE_OPEN) {
            hcl_request_list_remove(&session->waiting, request);
            hcl_queue_send(&session->queue, request);
        }
    }
}

static void send_cancels(struct hcl_session *session)
{
    struct hcl_request *request, *cancel;
    uint32_t i;

    for (i = 0; i < session->max_requests && session->cancels_wanted; i++) {
        request = &session->requests[i];
        cancel = &session->cancels[i];
        if (request->state != HCL_REQUEST_SENT || !request->cancel ||
            request->cancel_sent || cancel->state != HCL_REQUEST_FREE) {
            continue;
        }
        if (!hcl_queue_room(&session->queue)) {
            return;
        }
        memset(cancel, 0, sizeof(*cancel));
        cancel->number = request->number;
        cancel->opcode = HCLIF_OP_CANCEL;
        cancel->argument = request->tag;
        hcl_queue_send(&session->queue, cancel);
        request->cancel_sent = true;
        session->cancels_wanted--;
    }
}

void hcl_session_pump(struct hcl_session *session)
{
    if (!hcl_queue_room(&session->queue)) {
        return;
    }
    send_handles(session);
    send_waiting(session);
    send_cancels(session);
    hcl_queue_kick(&session->queue);
}

/* ---- The connection's side --------------------------------------------- */

void hcl_session_attach(struct hcl_session *session,
                        const struct hcl_queue_memory *memory,
                        uint32_t max_handles)
{
    assert(memory->num_slots > RESERVED_SLOTS);
    session->max_handles = max_handles;
    hcl_queue_attach(&session->queue, memory);
    hcl_session_pump(session);
}

/* Back among the waiting, in its old order. */
static void wait_again(struct hcl_session *session, struct hcl_request *request)
{
    struct hcl_request *after = session->waiting.last;

    while (after && after->id > request->id) {
        after = after->prev;
    }
    request->state = HCL_REQUEST_WAITING;
    hcl_request_list_insert(&session->waiting, after, request);
}

struct detaching {
    struct hcl_session *session;
    const struct hcl_opcodes *repeatable;
};

static void lost(void *arg, struct hcl_request *request)
{
    const struct detaching *detaching = arg;
    struct hcl_session *session = detaching->session;

    if (!request->id) {
        request->state = HCL_REQUEST_FREE; /* OPEN, CLOSE, CANCEL */
    } else if (!hcl_opcodes_has(detaching->repeatable, request->opcode)) {
        hcl_session_finish(session, request, HCL_OUTCOME_UNKNOWN, -ECONNRESET,
                           "the connection was lost: done or not is unknown");
    } else if (request->cancel || request->orphan ||
               request->handle->abandoned) {
        hcl_session_finish(session, request, HCL_CANCELLED, -ECANCELED,
                           "the connection was lost");
    } else {
        wait_again(session, request);
    }
}

void hcl_session_detach(struct hcl_session *session,
                        const struct hcl_opcodes *repeatable)
{
    struct detaching detaching = {session, repeatable};
    struct hcl_handle *handle, *next;

    session->more = false;
    hcl_queue_detach(&session->queue, lost, &detaching);
    for (handle = session->handles; handle; handle = next) {
        next = handle->next;
        /* The backend has ended all of them; a failed one may try again. */
        handle->state = handle->abandoned ? HCL_HANDLE_CLOSED : HCL_HANDLE_NEW;
        handle_free_unused(session, handle);
    }
}

static void ended(void *arg, struct hcl_request *request)
{
    struct hcl_session *session = arg;

    if (!request->id) {
        request->state = HCL_REQUEST_FREE;
    } else {
        hcl_session_finish(session, request, HCL_ENDED, session->end.code,
                           session->end.text);
    }
}

void hcl_session_end(struct hcl_session *session, const struct hcl_err *why)
{
    struct hcl_handle *handle, *next;

    assert(why->code < 0);
    if (session->end.code) {
        return;
    }
    session->end = *why;
    session->more = false;
    hcl_queue_detach(&session->queue, ended, session);
    finish_waiting(session, NULL, HCL_ENDED, why->code, why->text);
    for (handle = session->handles; handle; handle = next) {
        next = handle->next;
        handle->state = HCL_HANDLE_FAILED;
        hcl_result_local(&handle->failure, HCL_ENDED, why->code, why->text);
        handle_free_unused(session, handle);
    }
}

/* One checked completion, of whatever kind of request. */
static void completed(struct hcl_session *session, struct hcl_request *request,
                      const struct hclif_completion *completion)
{
    struct hcl_handle *handle = request->handle;

    if (request->id) {
        finish_completed(session, request, completion);
        handle_free_unused(session, handle);
    } else if (handle) {
        handle_completed(session, handle, completion);
    } else {
        request->state = HCL_REQUEST_FREE; /* a CANCEL */
    }
}

enum hcl_queue_fault hcl_session_run(struct hcl_session *session)
{
    enum hcl_queue_fault fault = HCL_QUEUE_NO_FAULT;
    struct hclif_completion completion;
    struct hcl_request *request;
    uint32_t budget = 4 * session->queue.max_slots;
    int took;

    session->more = false;
    hcl_session_pump(session);
    while ((took = hcl_queue_take(&session->queue, &completion, &request,
                                  &fault)) > 0) {
        completed(session, request, &completion);
        if (!--budget) {
            session->more = true;
            return HCL_QUEUE_NO_FAULT;
        }
    }
    if (took < 0) {
        return fault;
    }
    hcl_session_pump(session);
    return HCL_QUEUE_NO_FAULT;
}

bool hcl_session_arm(struct hcl_session *session)
{
    if (!session->more) {
        session->more = !hcl_queue_arm(&session->queue);
    }
    return !session->more;
}

void hcl_session_drain(struct hcl_session *session)
{
    enum hcl_queue_fault fault = HCL_QUEUE_NO_FAULT;
    struct hclif_completion completion;
    struct hcl_request *request;

    /* A fault is no news here; at most what was in flight can come. */
    while (hcl_queue_take(&session->queue, &completion, &request, &fault) > 0) {
        completed(session, request, &completion);
    }
}
