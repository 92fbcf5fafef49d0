/* SPDX-License-Identifier: MIT */
/*
 * attachment.h: what the toolstack does with an attachment's two directories in
 * xenstore (doc/protocol.md 1, 2.5): makes, finds, removes them, and waits for
 * what the two sides write there.
 *
 * What a directory says is its domain's word: the frontend's domid, the
 * backend's and the devid are taken from the path, never from a node.  A
 * backend's domain can make directories, and rename devices, as it likes: what
 * it says about a guest counts only if the guest's directory agrees, and its
 * value is never looked at.  Everything blocks for xenstored.
 */
#ifndef HCL_ATTACHMENT_H
#define HCL_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "guest.h"
#include "handshake.h"
#include "item.h"
#include "store.h"

#define HCL_ATTACHMENT_ALL UINT32_MAX /* of every guest */

struct hcl_attachment {
    uint32_t backend;  /* domid */
    uint32_t frontend; /* domid */
    uint32_t devid;
    char device[HCL_ITEM_DEVICE]; /* "" if it cannot be read */
    bool agreed; /* the guest's directory names this backend and device, too */
};

/* Both write HCL_STORE_PATH bytes. */
void hcl_attachment_backend_dir(const struct hcl_attachment *at, char *dir);
void hcl_attachment_frontend_dir(const struct hcl_attachment *at, char *dir);

/*
 * All attachments of the domain @frontend (or HCL_ATTACHMENT_ALL) that have a
 * backend directory, by frontend and devid.  The caller frees the array.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_list(struct hcl_store *store, uint32_t frontend,
                    struct hcl_attachment **ret_list, unsigned int *ret_count,
                    struct hcl_err *err);

/* Reads a node for people: "" where it cannot be read, unprintable bytes '?'.
 */
void hcl_attachment_text(struct hcl_store *store, const char *dir,
                         const char *node, char *buf, size_t size);

/*
 * The item that makes this attachment again: what stands in the backend
 * directory, the backend by its name, since its domid changes when it restarts.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_item(struct hcl_store *store, const struct hcl_attachment *at,
                    struct hcl_item *ret_item, struct hcl_err *err);

/*
 * Writes one of the toolstack's nodes, `online` or `pause`, or removes it if
 * @value is NULL.  A directory that is gone is not made again: -ENOENT.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_set(struct hcl_store *store, const struct hcl_attachment *at,
                   const char *node, const char *value, struct hcl_err *err);

/*
 * Makes both directories in one transaction.  @item's backend is looked up.
 *   -EEXIST  the guest has this device already: *@ret_at is that attachment
 *   -EBUSY   the devid is another device's, or the device is being detached
 *   -ENOENT  the guest or the backend's domain is gone
 *   -EINVAL  both are the same domain
 * -ENODEV, not -ENOENT, if it is the backend's domain that is missing.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_make(struct hcl_store *store, const struct hcl_guest *guest,
                    const struct hcl_item *item, struct hcl_attachment *ret_at,
                    struct hcl_err *err);

/* Removes both directories, and the backend's parents that became empty. */
__attribute__((warn_unused_result)) int
hcl_attachment_remove(struct hcl_store *store, const struct hcl_attachment *at,
                      struct hcl_err *err);

/*
 * The guest @frontend is gone: removes what all backends have of it, and
 * parents that became empty.  Returns how many attachments that were, or an
 * error.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_reap(struct hcl_store *store, uint32_t frontend,
                    struct hcl_err *err);

/*
 * Takes what xenstore has of @guest over into @record (a function of
 * hcl_record_update calls it, so that nobody changes it meanwhile).  What the
 * record has stays as it is, whatever a directory says; what it has not, and
 * both directories agree on, and is not being detached, is added.  With @gone,
 * items that xenstore has no more are dropped if gone(item) says so.  What is
 * left out is told to @skipped (may be NULL).
 */
struct hcl_attachment_learn {
    struct hcl_store *store;
    uint32_t domid; /* the guest's */
    bool (*gone)(void *arg, const struct hcl_item *item);
    void (*skipped)(void *arg, const char *text);
    void *arg;
};

__attribute__((warn_unused_result)) int
hcl_attachment_learn(const struct hcl_attachment_learn *learn,
                     struct hcl_items *items, struct hcl_err *err);

/* `online` is 0: hclctl detach is at work, or was interrupted. */
bool hcl_attachment_leaving(struct hcl_store *store,
                            const struct hcl_attachment *at);

/* Both states as they stand; HCL_STATE_GONE where nothing can be read. */
__attribute__((warn_unused_result)) int
hcl_attachment_states(struct hcl_store *store, const struct hcl_attachment *at,
                      enum hcl_state *ret_backend, enum hcl_state *ret_frontend,
                      struct hcl_err *err);

/*
 * As hcl_attachment_states, but a guest whose program the backend saw end
 * (doc/protocol.md, `departed`) counts as closed: nobody else is there to say
 * so.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_holders(struct hcl_store *store, const struct hcl_attachment *at,
                       enum hcl_state *ret_backend,
                       enum hcl_state *ret_frontend, struct hcl_err *err);

/*
 * Waits for the @count attachments at @list: calls @fn(@arg) now and after each
 * change in one of their directories, until it returns 1, which is
 * returned as 0, or a negative errno, or until @timeout_us is over: -ETIMEDOUT,
 * or hcl_stop_wanted: -EINTR.
 */
__attribute__((warn_unused_result)) int
hcl_attachment_wait(struct hcl_store *store, const struct hcl_attachment *list,
                    unsigned int count, uint64_t timeout_us,
                    int (*fn)(void *arg, struct hcl_err *err), void *arg,
                    struct hcl_err *err);

#endif /* HCL_ATTACHMENT_H */
