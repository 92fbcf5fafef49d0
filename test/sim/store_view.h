/* SPDX-License-Identifier: MIT */
/*
 * store_view.h: transactions, and the nodes as a caller sees them: the
 * committed ones, or those of its transaction.
 *
 * A transaction keeps each node as it was when it was first looked at.  It
 * commits if none of them, changed or not, has been written since: then all
 * changes are made, and watches fire, in the order of first looks.
 */
#ifndef SIM_STORE_VIEW_H
#define SIM_STORE_VIEW_H

#include "store_base.h"

struct store_transaction;

/* Who asks, and in which transaction. */
struct store_caller {
    uint32_t domid;
    uint32_t target;                       /* see store_node_rights */
    struct store_transaction *transaction; /* NULL: none */
};

/* ---- Transactions ------------------------------------------------------ */

/* NULL: no memory. */
struct store_transaction *store_transaction_new(struct store_base *base);

/* Forgets what it would have changed.  Takes NULL. */
void store_transaction_free(struct store_transaction *transaction);

/*
 * Commits @caller's and frees it in any case.  -EAGAIN: a node has changed;
 * -ENOSPC: too many nodes; -ENOMEM: a request in it failed half-way, or the
 * new owner of a node is gone.
 */
__attribute__((warn_unused_result)) int
store_transaction_commit(struct store_base *base,
                         const struct store_caller *caller);

/* A request failed half-way: it will not commit.  Outside of one: nothing. */
void store_view_fail(const struct store_caller *caller);

/* A node was made in it: its commit looks at the quota of nodes. */
void store_view_created(const struct store_caller *caller);

/* ---- Nodes ------------------------------------------------------------- */

/*
 * *@ret_node stays the view's: until the next call.  -ENOENT; -ENOSPC: a
 * guest's transaction looks at too many nodes; -ENOMEM.
 */
__attribute__((warn_unused_result)) int
store_view_get(struct store_base *base, const struct store_caller *caller,
               const char *path, struct store_node **ret_node);

/* Takes over the reference, also when it fails.  NULL gives -ENOMEM. */
__attribute__((warn_unused_result)) int
store_view_put(struct store_base *base, const struct store_caller *caller,
               const char *path, struct store_node *node);
__attribute__((warn_unused_result)) int
store_view_remove(struct store_base *base, const struct store_caller *caller,
                  const char *path);

/* As store_base_count. */
__attribute__((warn_unused_result)) int
store_view_count(struct store_base *base, const struct store_caller *caller,
                 uint32_t domid, int change);

/* Fires watches as store_base.on_change: at once, or at the commit. */
void store_view_changed(struct store_base *base,
                        const struct store_caller *caller, const char *path,
                        bool exact, const struct store_node *before);

#endif /* SIM_STORE_VIEW_H */
