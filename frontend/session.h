/* SPDX-License-Identifier: MIT */
/*
 * session.h: what a program's handles and requests live through, from one
 * connection to the next.
 *
 *     submit --> WAITING --pump--> SENT --completion--> DONE --reap--> FREE
 *                   ^                |
 *                   +---- detach ----+   repeatable: again, in its old place
 *                                    |   not: DONE, outcome unknown
 *
 * A session knows mapped memory and a doorbell, nothing of Xen.  It allocates
 * handles, and otherwise nothing after hcl_session_init and _pools.
 */
#ifndef HCL_SESSION_H
#define HCL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "hcl.h"
#include "pool.h"
#include "queue.h"
#include "request.h"

enum hcl_handle_state {
    HCL_HANDLE_NEW,     /* the backend does not know it */
    HCL_HANDLE_OPENING, /* OPEN is on the ring */
    HCL_HANDLE_OPEN,
    HCL_HANDLE_CLOSING, /* CLOSE is on the ring */
    HCL_HANDLE_FAILED,  /* OPEN was refused, or the session has ended */
    HCL_HANDLE_CLOSED,
};

struct hcl_handle {
    struct hcl_session *session;
    struct hcl_handle *next;
    uint16_t number;
    enum hcl_handle_state state;
    bool abandoned;             /* the program has closed it */
    uint32_t users;             /* its requests that wait or are sent */
    struct hcl_request control; /* OPEN or CLOSE */
    struct hcl_result failure;  /* why FAILED */
};

struct hcl_session {
    void *owner; /* not used here; how hcl_device finds itself */
    struct hcl_queue queue;
    struct hcl_pool tx, rx;
    uint32_t max_handles;
    uint32_t max_requests;
    uint64_t submitted;              /* requests so far */
    uint64_t completed;              /* of them */
    uint64_t copied_bytes;           /* of payloads and answers */
    struct hcl_handle *handles;      /* owned list */
    struct hcl_request *requests;    /* owned [max_requests] */
    struct hcl_request *cancels;     /* owned: cancels[i] for requests[i] */
    struct hcl_request_list idle;    /* FREE */
    struct hcl_request_list waiting; /* in order of id */
    struct hcl_request_list done;
    uint32_t cancels_wanted; /* SENT requests to be cancelled, not yet asked */
    bool more;               /* hcl_session_run stopped before the ring's end */
    struct hcl_err end;      /* code 0: it goes on */
};

/* The opcodes of `idempotent`: bit n of byte n / 8. */
struct hcl_opcodes {
    uint8_t bits[32];
};

static inline bool hcl_opcodes_has(const struct hcl_opcodes *opcodes,
                                   uint8_t opcode)
{
    return opcodes->bits[opcode / 8] & (1 << opcode % 8);
}

static inline void hcl_opcodes_add(struct hcl_opcodes *opcodes, uint8_t opcode)
{
    opcodes->bits[opcode / 8] |= (uint8_t)(1 << opcode % 8);
}

/* For rings of at most @max_slots.  -ENOMEM. */
__attribute__((warn_unused_result)) int
hcl_session_init(struct hcl_session *session, uint32_t max_slots);

/* Frees everything, handles too.  Takes a zeroed one. */
void hcl_session_clear(struct hcl_session *session);

/* Says where the pools are; once, before the first attach.  -ENOMEM. */
__attribute__((warn_unused_result)) int
hcl_session_pools(struct hcl_session *session, void *tx, uint32_t tx_bytes,
                  void *rx, uint32_t rx_bytes);

/* ---- The connection's side --------------------------------------------- */

/* A fresh connection: handles are opened again, waiting requests sent. */
void hcl_session_attach(struct hcl_session *session,
                        const struct hcl_queue_memory *memory,
                        uint32_t max_handles);

/*
 * The connection is lost: its memory is not touched any more.  What was sent
 * and is in @repeatable waits to be sent again; the rest ends as
 * HCL_OUTCOME_UNKNOWN.
 */
void hcl_session_detach(struct hcl_session *session,
                        const struct hcl_opcodes *repeatable);

/*
 * Takes what the backend completed, and sends nothing: for a connection that
 * is lost, so that as little as possible has an unknown outcome.
 */
void hcl_session_drain(struct hcl_session *session);

/* There will be no other connection: all requests end with @why. */
void hcl_session_end(struct hcl_session *session, const struct hcl_err *why);

/*
 * Sends what can be sent and takes all completions.  HCL_QUEUE_NO_FAULT, or
 * what the backend did wrong.  Never blocks: against a backend that answers
 * without end it stops after some rounds and sets @session's more.
 */
__attribute__((warn_unused_result)) enum hcl_queue_fault
hcl_session_run(struct hcl_session *session);

/*
 * Before sleeping: asks for an event at the next completion.  False: there is
 * something to take now.
 */
__attribute__((warn_unused_result)) bool
hcl_session_arm(struct hcl_session *session);

/* ---- The program's side ------------------------------------------------ */

/* Makes a handle, NEW.  -EMFILE, -ENOMEM. */
__attribute__((warn_unused_result)) int
hcl_session_open(struct hcl_session *session, struct hcl_handle **ret_handle,
                 struct hcl_err *err);

/*
 * The program is done with @handle, which may be freed now or later; requests
 * that wait complete as cancelled.
 */
void hcl_session_close(struct hcl_handle *handle);

/* Whether @handle, which was closed, is still there. */
bool hcl_session_has(const struct hcl_session *session,
                     const struct hcl_handle *handle);

/*
 * Submits @io and sends it if it can be sent; errors as hcl_submit.
 * @waited_for: not for hcl_session_reap; the caller ends it with
 * hcl_session_release.
 */
__attribute__((warn_unused_result)) int
hcl_session_submit(struct hcl_handle *handle, const struct hcl_io *io,
                   bool waited_for, struct hcl_request **ret_request);

/* The request @id of @handle that has not completed, or NULL. */
struct hcl_request *hcl_session_find(struct hcl_handle *handle, uint64_t id);

/* Completes a waiting request as cancelled; asks the backend for others. */
void hcl_session_cancel(struct hcl_session *session,
                        struct hcl_request *request);

/*
 * Ends a waited_for request: frees it, now if it is done, else when it
 * completes; the program's memory is not touched any more.
 */
void hcl_session_release(struct hcl_session *session,
                         struct hcl_request *request);

/* Takes at most @max results; returns how many. */
unsigned int hcl_session_reap(struct hcl_session *session,
                              struct hcl_result *results, unsigned int max);

/* ---- Between session.c and submit.c ------------------------------------ */

/* Sends what can be sent now, and wakes the backend if it sleeps. */
void hcl_session_pump(struct hcl_session *session);

/* Ends a WAITING or SENT request for a reason that is not in a completion. */
void hcl_session_finish(struct hcl_session *session,
                        struct hcl_request *request,
                        enum hcl_result_status status, int error,
                        const char *text);

/* Makes a request that is in no list FREE. */
void hcl_session_recycle(struct hcl_session *session,
                         struct hcl_request *request);

#endif /* HCL_SESSION_H */
