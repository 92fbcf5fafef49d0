/* SPDX-License-Identifier: MIT */
/*
 * store_tree.h: what a caller may do to nodes: C xenstored's permissions,
 * errors and quotas.  Paths are absolute.
 *
 * All of them return 0 or
 *   -EINVAL  no legal path
 *   -ENOENT  no such node, if the nearest ancestor grants what was asked for
 *   -EACCES  otherwise
 *   -ENOSPC  a quota
 *   -ENOMEM
 * and after a change fire watches by store_base.on_change.
 */
#ifndef SIM_STORE_TREE_H
#define SIM_STORE_TREE_H

#include "store_view.h"

/* Makes the nodes that xenstored begins with.  -ENOMEM. */
__attribute__((warn_unused_result)) int
store_tree_start(struct store_base *base);

/*
 * The node for one who asks for @rights (XS_PERM_*).  *@ret_node stays the
 * tree's: until the next call.
 */
__attribute__((warn_unused_result)) int
store_tree_get(struct store_base *base, const struct store_caller *caller,
               const char *path, unsigned int rights,
               struct store_node **ret_node);

/* Both make the node, and parents, if need be. */
__attribute__((warn_unused_result)) int
store_tree_write(struct store_base *base, const struct store_caller *caller,
                 const char *path, const void *value, size_t value_bytes);
__attribute__((warn_unused_result)) int
store_tree_mkdir(struct store_base *base, const struct store_caller *caller,
                 const char *path);

/* With all below it.  Fine if only the parent is there. */
__attribute__((warn_unused_result)) int
store_tree_remove(struct store_base *base, const struct store_caller *caller,
                  const char *path);

/* -EPERM: a guest may not give a node to another owner. */
__attribute__((warn_unused_result)) int
store_tree_set_permissions(struct store_base *base,
                           const struct store_caller *caller, const char *path,
                           const struct xs_permissions *permissions,
                           unsigned int permissions_count);

/*
 * The domain has ended: removes what it owns, with all below, and it has no
 * right to anything any more.
 */
void store_tree_forget(struct store_base *base, uint32_t domid);

/*
 * Calls @fn for the committed nodes, parents first, children as they were
 * made.  @fn must not change them.
 */
void store_tree_walk(const struct store_base *base,
                     void (*fn)(void *arg, const char *path,
                                const struct store_node *node),
                     void *arg);

#endif /* SIM_STORE_TREE_H */
