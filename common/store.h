/* SPDX-License-Identifier: MIT */
/*
 * store.h: typed, bounded access to xenstore nodes.
 *
 * One struct hcl_store is one connection to xenstored; it belongs to one thread
 * (the control thread: xenstored may take any time to answer, so each call may
 * block without limit).  A node is named by its directory and its name:
 * ("/local/domain/1/device/hcl/0", "state"); an empty name is the
 * directory itself.  Paths without a leading / are relative to the own domain.
 *
 * Results: 0 or a negative errno, and a text in @err (may be NULL):
 *   -ENOENT    no such node
 *   -EACCES    permission
 *   -EBADMSG   the value is not what it has to be; a fault of its writer
 *   -EMSGSIZE  longer than the buffer; a fault of its writer
 *   -ENOSPC, -E2BIG  quota of C xenstored; -EINVAL quota of oxenstored
 *   -ENOMEM    also when the store answers so
 *   others     the connection to xenstored is lost
 */
#ifndef HCL_STORE_H
#define HCL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define HCL_STORE_PATH 256   /* bytes of a path, NUL included */
#define HCL_STORE_VALUE 1024 /* bytes of a value, NUL excluded */

struct hcl_store;

/* Opens a connection.  The caller owns *@ret_store. */
__attribute__((warn_unused_result)) int
hcl_store_open(struct hcl_store **ret_store, struct hcl_err *err);

/* Closes it: its watches and its transaction go with it.  Takes NULL. */
void hcl_store_free(struct hcl_store *store);

/* Readable when hcl_store_next_event has something; level-triggered. */
int hcl_store_fd(struct hcl_store *store);

/* Number of watches that are set now. */
unsigned int hcl_store_watches(const struct hcl_store *store);

/* ---- Reading ----------------------------------------------------------- */

/*
 * Reads a value into @buf of @size bytes, NUL-terminated.  -EBADMSG when it
 * has a NUL inside.
 */
__attribute__((warn_unused_result)) int
hcl_store_read(struct hcl_store *store, const char *dir, const char *node,
               char *buf, size_t size, struct hcl_err *err);

/* Reads a decimal number between @min and @max, inclusive; nothing around it.
 */
__attribute__((warn_unused_result)) int
hcl_store_read_u32(struct hcl_store *store, const char *dir, const char *node,
                   uint32_t min, uint32_t max, uint32_t *ret_value,
                   struct hcl_err *err);

/* Reads a life number: 16 hex digits (generation, incarnation). */
__attribute__((warn_unused_result)) int
hcl_store_read_id64(struct hcl_store *store, const char *dir, const char *node,
                    uint64_t *ret_value, struct hcl_err *err);

/*
 * Reads a xenbus state as it stands: 0 if the node is missing or cannot be
 * read, HCL_STATE_ILLEGAL (handshake.h) if it is no state.  Returns an error
 * only if the store itself failed.
 */
__attribute__((warn_unused_result)) int
hcl_store_read_state(struct hcl_store *store, const char *dir,
                     unsigned int *ret_state, struct hcl_err *err);

/*
 * Lists the names in a directory, at most @max of them (-E2BIG above).
 * *@ret_names is one allocation: the caller frees it with free().
 */
__attribute__((warn_unused_result)) int
hcl_store_list(struct hcl_store *store, const char *dir, unsigned int max,
               char ***ret_names, unsigned int *ret_count, struct hcl_err *err);

/*
 * 1 if there is a node @dir, whatever its value is: that of a directory may be
 * its domain's word; 0 if there is none; or a negative errno.
 */
__attribute__((warn_unused_result)) int
hcl_store_exists(struct hcl_store *store, const char *dir, struct hcl_err *err);

/* ---- Writing ----------------------------------------------------------- */

/* Writes a formatted value of at most HCL_STORE_VALUE bytes. */
__attribute__((warn_unused_result, format(printf, 5, 6))) int
hcl_store_write(struct hcl_store *store, const char *dir, const char *node,
                struct hcl_err *err, const char *fmt, ...);

/* Writes 16 hex digits. */
__attribute__((warn_unused_result)) int
hcl_store_write_id64(struct hcl_store *store, const char *dir, const char *node,
                     uint64_t value, struct hcl_err *err);

/* Makes a directory; fine if it is there. */
__attribute__((warn_unused_result)) int
hcl_store_mkdir(struct hcl_store *store, const char *dir, struct hcl_err *err);

/* Removes a node and all below it; fine if it is not there. */
__attribute__((warn_unused_result)) int
hcl_store_remove(struct hcl_store *store, const char *dir, const char *node,
                 struct hcl_err *err);

/* Gives the node to @owner and lets @reader read it; nobody else may. */
__attribute__((warn_unused_result)) int
hcl_store_permit(struct hcl_store *store, const char *dir, const char *node,
                 uint32_t owner, uint32_t reader, struct hcl_err *err);

/*
 * Runs @fn (0 or a negative errno) in a transaction and commits it; on a
 * conflict runs it again, up to 32 times, then -EAGAIN.  While @fn runs, all
 * calls on @store belong to the transaction.  If @fn fails nothing is changed.
 */
__attribute__((warn_unused_result)) int hcl_store_transact(
    struct hcl_store *store,
    int (*fn)(struct hcl_store *store, void *arg, struct hcl_err *err),
    void *arg, struct hcl_err *err);

/* ---- Watches ----------------------------------------------------------- */

/* Watches a path and all below; it fires once at once.  @token: see below. */
__attribute__((warn_unused_result)) int hcl_store_watch(struct hcl_store *store,
                                                        const char *path,
                                                        const char *token,
                                                        struct hcl_err *err);

/* Ends a watch; events of it that are queued are dropped.  No watch: fine. */
void hcl_store_unwatch(struct hcl_store *store, const char *path,
                       const char *token);

/*
 * Takes the next event: 1 with the path that changed and the watch's token
 * (each buffer HCL_STORE_PATH bytes; a longer path is given as ""), 0 if
 * there is none, or a negative errno when the connection to xenstored is lost.
 * Never blocks.
 */
__attribute__((warn_unused_result)) int
hcl_store_next_event(struct hcl_store *store, char *ret_path, char *ret_token,
                     struct hcl_err *err);

/* ---- The domain -------------------------------------------------------- */

/* The own domain's id, as xenstore says it now (it changes at restore). */
__attribute__((warn_unused_result)) int hcl_store_domid(struct hcl_store *store,
                                                        uint32_t *ret_domid,
                                                        struct hcl_err *err);

#endif /* HCL_STORE_H */
