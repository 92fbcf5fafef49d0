/* SPDX-License-Identifier: MIT */
/*
 * store_base.h: the committed nodes by path, and how many each domain owns.
 *
 * Nothing is checked here; store_tree.h is what requests use.
 */
#ifndef SIM_STORE_BASE_H
#define SIM_STORE_BASE_H

#include "host.h"
#include "store_node.h"

struct store_base {
    void *entries;       /* a tsearch tree of struct store_entry, by path */
    uint64_t generation; /* of the last write */
    uint32_t *owned;     /* by domid: its nodes; owned */
    size_t owned_size;
    const struct sim_limits *limits; /* may change at any time */

    /*
     * The node at @path, which has the rights of a watcher now, has changed;
     * @before: what it was before, if its permissions may have been others
     * then, or NULL.  @exact: only watches at that very path see it.
     */
    void (*on_change)(void *arg, const char *path, bool exact,
                      const struct store_node *before);
    /* Whether Xen knows the domain. */
    bool (*exists)(void *arg, uint32_t domid);
    void *arg;
};

void store_base_clear(struct store_base *base);

/* The base's own reference, or NULL. */
struct store_node *store_base_find(const struct store_base *base,
                                   const char *path);

/* Takes over the reference, also when it fails: -ENOMEM.  No parent is
 * changed. */
__attribute__((warn_unused_result)) int store_base_put(struct store_base *base,
                                                       const char *path,
                                                       struct store_node *node);
void store_base_remove(struct store_base *base, const char *path);

/* Adds @change to the nodes that @domid owns.  -ENOMEM. */
__attribute__((warn_unused_result)) int
store_base_count(struct store_base *base, uint32_t domid, int change);
uint32_t store_base_owned(const struct store_base *base, uint32_t domid);

#endif /* SIM_STORE_BASE_H */
