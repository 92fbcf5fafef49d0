/* SPDX-License-Identifier: MIT */
/*
 * attachment.h: one guest bound to one device: its two directories in xenstore,
 * the backend's half of the handshake (doc/protocol.md 2), and the connection
 * that its device's worker has for it.
 *
 *              CONNECT sent            CONNECTED
 *   LOOSE -------------> CONNECTING -------------> CONNECTED
 *     ^ ^   REFUSED          |                       |     |
 *     | +--------------------+            DISCONNECT |     | CLOSED
 *     |              CLOSED, worker reaped           v     |
 *     +---------------------------------------- CLOSING    |
 *     +----------------------------------------------------+
 *
 * While it is CONNECTING or CLOSING nothing else happens; when that ends,
 * everything is looked at anew.
 */
#ifndef HCL_ATTACHMENT_H
#define HCL_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "handshake.h"
#include "keeper.h"
#include "log.h"
#include "offer.h"

struct hcl_supervisor;

enum hcl_link {
    HCL_LINK_LOOSE,
    HCL_LINK_CONNECTING,
    HCL_LINK_CONNECTED,
    HCL_LINK_CLOSING,
};

#define HCL_ATTACHMENT_DIR 64

struct hcl_attachment {
    struct hcl_supervisor *supervisor; /* not owned */
    struct hcl_attachment *next;       /* in the supervisor's list */
    uint32_t domid;
    uint32_t devid;
    char backend_dir[HCL_ATTACHMENT_DIR];  /* relative to our domain */
    char frontend_dir[HCL_ATTACHMENT_DIR]; /* from the numbers alone */
    bool pending_refresh;
    bool pending_step;

    /* What the toolstack wrote. */
    bool complete; /* the directory is there, with all it must have */
    bool online;
    bool pause;
    char device[32];
    char domain[256];          /* the guest's name, cleaned */
    char option[64];           /* the first of its options, or "": no class
                                * knows any yet */
    struct hcl_keeper *keeper; /* of the device, or NULL: there is none */

    /* What we wrote. */
    enum hcl_state own;       /* as in 2.4 */
    bool written;             /* own is what stands in xenstore */
    bool refused;             /* own is 6 for the attachment itself */
    char error[HCL_ERR_TEXT]; /* our `error` node; "" if it is not ours */
    uint64_t departed; /* for the next write: a life seen dead; 0: none */

    bool watched;
    char watch_error[HCL_ERR_TEXT]; /* why the frontend cannot be watched */

    char trouble[HCL_ERR_TEXT]; /* our own failure, until the retry */
    struct hcl_timer retry;
    uint64_t connects_us; /* token bucket of connects: last refill */
    uint32_t connects;    /* used */

    enum hcl_link link;
    bool announced;           /* logged and told to the hotplug script */
    uint32_t connection;      /* its number in messages */
    uint64_t incarnation;     /* of the frontend we are, or get, connected to */
    struct hcl_offer *offer;  /* owned; while CONNECTING */
    char fault[HCL_ERR_TEXT]; /* while CLOSING: ends in state 6 with it */
    struct hcl_timer deadline;
    struct hcl_stats stats; /* of the connection, as the worker said last */
    struct hcl_log_limit log_limit;
};

/* Makes one and puts it into the supervisor's list; NULL: no memory. */
struct hcl_attachment *hcl_attachment_new(struct hcl_supervisor *supervisor,
                                          uint32_t domid, uint32_t devid);

/* Looks at everything again after retry_backoff_ms. */
void hcl_attachment_retry(struct hcl_attachment *attachment);

/* Takes it off the list and drops its watch; writes nothing. */
void hcl_attachment_free(struct hcl_attachment *attachment);

/* Reads what the toolstack wrote; hcl_attachment_step must follow. */
void hcl_attachment_refresh(struct hcl_attachment *attachment);

/* Does what is to be done now; may free @attachment. */
void hcl_attachment_step(struct hcl_attachment *attachment);

/*
 * A message about its connection.  May free @attachment.
 */
void hcl_attachment_message(struct hcl_attachment *attachment,
                            const struct hcl_message *message);

/* Its device's worker has been reaped.  May free @attachment. */
void hcl_attachment_lost(struct hcl_attachment *attachment);

/* The frontend's watch token; fits HCL_ATTACHMENT_DIR. */
void hcl_attachment_token(uint32_t domid, uint32_t devid, char *buf);

/* ---- attachment_admit.c: who may be served ------------------------------ */

enum hcl_admission {
    HCL_ADMIT_SERVE,
    HCL_ADMIT_WAIT,   /* state 1 */
    HCL_ADMIT_REFUSE, /* state 6, for the attachment itself */
};

/* @text has HCL_ERR_TEXT bytes: why not, or "". */
enum hcl_admission hcl_attachment_admit(const struct hcl_attachment *attachment,
                                        char *text);

/*
 * False: it has connected too often just now.  A guest that connects in a loop
 * costs no more than this lets it.
 */
bool hcl_attachment_may_connect(struct hcl_attachment *attachment);

/* ---- attachment_nodes.c: the nodes themselves --------------------------- */

/* What is written together with `state`, in one transaction. */
struct hcl_attachment_update {
    enum hcl_state state;
    bool advertise; /* all nodes of ours; no incarnation */
    bool refuse;    /* no incarnation */
    bool has_incarnation;
    uint64_t incarnation;
    const char *error; /* NULL: stays; "": removed */
};

/*
 * Writes it, if the directory is there: a node would make the directory that
 * the toolstack has just removed.  -ENOENT: it is not there, or, for state 4,
 * it is another one than we advertised in.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_write(struct hcl_attachment *attachment,
                     const struct hcl_attachment_update *update,
                     struct hcl_err *err);

/* Reads the frontend's state, generation and incarnation. */
__attribute__((warn_unused_result)) int
hcl_attachment_read_peer(struct hcl_attachment *attachment,
                         struct hcl_peer_view *ret_view, struct hcl_err *err);

#endif /* HCL_ATTACHMENT_H */
