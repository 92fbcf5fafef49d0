/* SPDX-License-Identifier: MIT */
/*
 * store_node.h: one version of a xenstore node, and what can be said about it
 * and its path alone.
 *
 * A version never changes once others can see it: a change makes a new one.
 * So a transaction keeps what it has read by a reference, and costs nothing.
 */
#ifndef SIM_STORE_NODE_H
#define SIM_STORE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore.h> /* with xs_wire.h, and what that needs before it */

/* Any path that a request can name, made absolute, with its NUL. */
#define STORE_PATH (XENSTORE_PAYLOAD_MAX + 64)

struct store_node {
    unsigned int refs;
    uint64_t generation; /* differs for all writes in the store */
    size_t value_bytes;
    size_t children_bytes;
    const char *value;    /* inside this allocation, as is children */
    const char *children; /* names, each with its NUL, the oldest first */
    unsigned int permissions_count;
    struct xs_permissions permissions[]; /* [0].id is the owner */
};

/* ---- Versions ---------------------------------------------------------- */

/* All of these: a new version with one reference, or NULL: no memory. */
struct store_node *store_node_new(const struct xs_permissions *permissions,
                                  unsigned int permissions_count,
                                  const void *value, size_t value_bytes);
struct store_node *store_node_with_value(const struct store_node *node,
                                         const void *value, size_t value_bytes);
struct store_node *
store_node_with_permissions(const struct store_node *node,
                            const struct xs_permissions *permissions,
                            unsigned int permissions_count);
struct store_node *store_node_with_child(const struct store_node *node,
                                         const char *name);
struct store_node *store_node_without_child(const struct store_node *node,
                                            const char *name);

/* Takes NULL and returns it. */
struct store_node *store_node_ref(struct store_node *node);
void store_node_unref(struct store_node *node);

/* ---- What it says ------------------------------------------------------ */

bool store_node_has_child(const struct store_node *node, const char *name);

/* The size that the quota node_bytes limits, as C xenstored stores it. */
size_t store_node_bytes(const struct store_node *node);

/* The same of a node without value and children. */
size_t store_node_bytes_empty(unsigned int permissions_count);

/*
 * XS_PERM_* that @domid has; @target is the domain that it may also act for, 0
 * if there is none.  dom0 and the owner have all.
 */
unsigned int store_node_rights(const struct store_node *node, uint32_t domid,
                               uint32_t target);

/* ---- Paths ------------------------------------------------------------- */

/*
 * Whether xenstored takes @path as a node's: absolute, of legal characters, and
 * of at most @path_bytes, what stands before and in /local/domain/N/ excluded.
 */
bool store_path_valid(const char *path, uint32_t path_bytes);

/* Cuts @path to its parent's; that of / is /. */
void store_path_parent(char *path);

/* The last name in @path; "" for /. */
const char *store_path_name(const char *path);

#endif /* SIM_STORE_NODE_H */
