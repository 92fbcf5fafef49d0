/* SPDX-License-Identifier: MIT */
/*
 * request.h: the private record of one request.
 *
 * Everything that decides what happens to a request stands here, in memory
 * that the backend cannot reach; the slot in the ring is a copy.
 */
#ifndef HCL_REQUEST_H
#define HCL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hcl.h"
#include "hclif.h"

enum hcl_request_state {
    HCL_REQUEST_FREE = 0,
    HCL_REQUEST_WAITING, /* not on the ring */
    HCL_REQUEST_SENT,    /* on the ring: has a tag */
    HCL_REQUEST_DONE,    /* has a result that nobody has taken */
};

struct hcl_request {
    /* In the one list of its state; SENT and internal ones are in none. */
    struct hcl_request *prev, *next;
    enum hcl_request_state state;

    struct hcl_handle *handle; /* owner: session */
    uint64_t id;               /* grows in order of submission */
    void *user;                /* the program's */
    bool waited_for;           /* a blocking call takes the result ... */
    bool orphan;               /* ... or has given up: nobody does */
    bool cancel;               /* its early end is wanted */
    bool cancel_sent;          /* and was asked for */

    /* As it goes on the wire. */
    uint32_t tag;    /* while SENT */
    uint16_t number; /* of the handle */
    uint8_t opcode;
    uint8_t flags; /* HCLIF_TX_POOL, HCLIF_RX_POOL */
    uint64_t argument;
    uint32_t tx_bytes;
    uint32_t tx_offset;
    uint32_t rx_bytes;
    uint32_t rx_offset;

    void *tx_piece; /* temporary pieces of the pools; owned, or NULL */
    void *rx_piece;
    void *rx_copy; /* the program's memory to copy the answer to, or NULL */

    /* Not cleared between two requests. */
    uint8_t data[HCLIF_REQUEST_DATA]; /* its first tx_bytes, if it has any */
    struct hcl_result result;         /* while DONE */
};

/* First in, first out. */
struct hcl_request_list {
    struct hcl_request *first, *last;
};

static inline void hcl_request_list_remove(struct hcl_request_list *list,
                                           struct hcl_request *request)
{
    if (request->prev) {
        request->prev->next = request->next;
    } else {
        list->first = request->next;
    }
    if (request->next) {
        request->next->prev = request->prev;
    } else {
        list->last = request->prev;
    }
    request->prev = NULL;
    request->next = NULL;
}

/* Puts it behind @after; NULL: first. */
static inline void hcl_request_list_insert(struct hcl_request_list *list,
                                           struct hcl_request *after,
                                           struct hcl_request *request)
{
    request->prev = after;
    request->next = after ? after->next : list->first;
    if (request->next) {
        request->next->prev = request;
    } else {
        list->last = request;
    }
    if (after) {
        after->next = request;
    } else {
        list->first = request;
    }
}

static inline void hcl_request_list_append(struct hcl_request_list *list,
                                           struct hcl_request *request)
{
    hcl_request_list_insert(list, list->last, request);
}

#endif /* HCL_REQUEST_H */
