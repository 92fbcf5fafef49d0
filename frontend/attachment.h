/* SPDX-License-Identifier: MIT */
/*
 * attachment.h: the xenstore half of a connection (doc/protocol.md 1 and 2.3):
 * finding the directories, reading the backend's and writing the own.
 *
 * The own directory is named relative to the own domain, so that it is found
 * under each domid that the guest gets in its life.  It is never removed, and
 * nothing is written when it is not there: a write could make a new one that
 * nobody else knows.
 *
 * Errors are those of store.h; what the backend wrote wrong is -EPROTO.
 */
#ifndef HCL_ATTACHMENT_H
#define HCL_ATTACHMENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "handshake.h"
#include "hcl.h"
#include "layout.h"
#include "session.h"
#include "store.h"

/* The directory of a guest's attachments. */
#define HCL_ATTACHMENTS_DIR "device/" HCLIF_KIND

/* More attachments than this a guest does not have. */
#define HCL_MAX_ATTACHMENTS 256

/*
 * For what reaches Xen at all: that there is none is -ENXIO, since -ENOENT is
 * about the device or its directory.
 */
static inline int hcl_attachment_no_xen(int ret, struct hcl_err *err)
{
    if (ret != -ENOENT) {
        return ret;
    }
    if (err) {
        err->code = -ENXIO;
    }
    return -ENXIO;
}

struct hcl_attachment {
    struct hcl_store *store; /* owned */
    uint32_t devid;
    uint32_t domid; /* the own one, as last seen */
    uint32_t backend_domid;
    char name[HCL_NAME_BYTES];
    char dir[32];                     /* "device/hcl/<devid>" */
    char backend_dir[HCL_STORE_PATH]; /* "": not known */
    bool watched;                     /* the backend's state */
};

/* What a backend offers, checked. */
struct hcl_offer {
    char class_name[HCL_NAME_BYTES];
    uint64_t generation;
    struct hcl_limits limits;
    struct hcl_opcodes repeatable;
};

/* What a frontend publishes. */
struct hcl_publication {
    uint32_t control_ref;
    uint32_t port;
    uint64_t generation;
    uint64_t incarnation;
};

/*
 * Connects to xenstore and finds the attachment of device @name.  -ENOENT: the
 * text lists the devices that there are.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_open(struct hcl_attachment *attachment, const char *name,
                    struct hcl_err *err);

/* Ends watches and the connection to xenstore.  Takes a zeroed one. */
void hcl_attachment_close(struct hcl_attachment *attachment);

/* Watches the own directory. */
__attribute__((warn_unused_result)) int
hcl_attachment_watch(struct hcl_attachment *attachment, struct hcl_err *err);

/*
 * Takes all events that are there; *@ret_moved: one may mean that the backend
 * is at another place.  Returns their number.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_events(struct hcl_attachment *attachment, bool *ret_moved,
                      struct hcl_err *err);

/*
 * Reads the own domid; *@ret_changed: it is another one than before.  -ENOENT:
 * in the middle of a restore there is none; an event will come.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_check_domid(struct hcl_attachment *attachment, bool *ret_changed,
                           struct hcl_err *err);

/*
 * Reads where the backend is, and watches its state there.  *@ret_changed: at
 * another place than before.  -ENOENT: the own directory is not there.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_locate(struct hcl_attachment *attachment, bool *ret_changed,
                      struct hcl_err *err);

/*
 * Whether this is still the life that published @incarnation: *@ret_same is
 * false when the own directory does not say so, was made anew, or is missing.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_same_life(struct hcl_attachment *attachment,
                         uint64_t incarnation, bool *ret_same,
                         struct hcl_err *err);

/*
 * Whether the directory of all attachments is missing: a detach leaves it, so
 * the guest was restored and the toolstack has not come to it yet.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_none_yet(struct hcl_attachment *attachment, bool *ret_none,
                        struct hcl_err *err);

/* Reads what the handshake looks at; *@ret_paused: `pause` is 1. */
__attribute__((warn_unused_result)) int
hcl_attachment_view(struct hcl_attachment *attachment,
                    struct hcl_peer_view *ret_view, bool *ret_paused,
                    struct hcl_err *err);

/*
 * Reads and checks what the backend offers.  -ESTALE: it is not in state 2 any
 * more; -EPROTO, -EPROTONOSUPPORT.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_offer(struct hcl_attachment *attachment,
                     struct hcl_offer *ret_offer, struct hcl_err *err);

/* Writes the own state; -ENOENT: the own directory is not there. */
int hcl_attachment_write_state(struct hcl_attachment *attachment,
                               enum hcl_state state, struct hcl_err *err);

/* Writes all that goes with state 3, in one transaction; as _write_state. */
__attribute__((warn_unused_result)) int
hcl_attachment_publish(struct hcl_attachment *attachment,
                       const struct hcl_publication *publication,
                       struct hcl_err *err);

/* Copies the backend's `error` to the HCL_ERR_TEXT bytes at @ret_text, or "".
 */
void hcl_attachment_reason(const struct hcl_attachment *attachment,
                           char *ret_text);

/*
 * Fills what is known about the attachment in @dir, whose devid is @devid.
 * -ENOENT: it is none.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_info(struct hcl_store *store, uint32_t devid,
                    struct hcl_info *ret_info, struct hcl_err *err);

/* A node's value for a person, cut to @size bytes; "" when there is none. */
void hcl_attachment_text(struct hcl_store *store, const char *dir,
                         const char *node, char *text, size_t size);

/* hcl_list on an open store. */
__attribute__((warn_unused_result)) int
hcl_attachment_list(struct hcl_store *store, struct hcl_info **ret_infos,
                    unsigned int *ret_count, struct hcl_err *err);

#endif /* HCL_ATTACHMENT_H */
