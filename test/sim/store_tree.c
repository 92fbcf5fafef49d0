/* SPDX-License-Identifier: MIT */
#include "store_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* xenstored itself, in no transaction. */
static const struct store_caller own = {.domid = 0};

/* ---- Finding ----------------------------------------------------------- */

/*
 * Who may not ask the nearest existing ancestor for @rights shall not learn
 * whether there is a node: @error becomes -EACCES.
 */
static int hide(struct store_base *base, const struct store_caller *caller,
                const char *path, unsigned int rights, int error)
{
    char parent[STORE_PATH];
    struct store_node *node;
    int ret;

    strcpy(parent, path);
    do {
        store_path_parent(parent);
        ret = store_view_get(base, caller, parent, &node);
    } while (ret == -ENOENT);
    if (ret < 0) {
        return ret;
    }
    if (store_node_rights(node, caller->domid, caller->target) & rights) {
        return error;
    }
    return -EACCES;
}

int store_tree_get(struct store_base *base, const struct store_caller *caller,
                   const char *path, unsigned int rights,
                   struct store_node **ret_node)
{
    struct store_node *node;
    int ret;

    if (!store_path_valid(path, base->limits->path_bytes)) {
        return -EINVAL;
    }
    ret = store_view_get(base, caller, path, &node);
    if (ret == 0 && (store_node_rights(node, caller->domid, caller->target) &
                     rights) != rights) {
        ret = -EACCES;
    }
    if (ret == -ENOENT || ret == -EACCES) {
        ret = hide(base, caller, path, rights, ret);
    }
    if (ret < 0) {
        return ret;
    }
    *ret_node = node;
    return 0;
}

/* ---- Writing ----------------------------------------------------------- */

static bool too_large(const struct store_base *base,
                      const struct store_caller *caller, size_t bytes)
{
    return caller->domid != 0 && bytes >= base->limits->node_bytes;
}

/* Takes over @node; NULL gives -ENOMEM. */
static int put(struct store_base *base, const struct store_caller *caller,
               const char *path, struct store_node *node)
{
    if (node && too_large(base, caller, store_node_bytes(node))) {
        store_view_fail(caller);
        store_node_unref(node);
        return -ENOSPC;
    }
    return store_view_put(base, caller, path, node);
}

/* ---- Making ------------------------------------------------------------ */

/* A node like @like, without its value and with one child. */
static struct store_node *node_above(const struct store_node *like,
                                     const char *child)
{
    struct store_node *alone, *node;

    alone = store_node_new(like->permissions, like->permissions_count, NULL, 0);
    node = alone ? store_node_with_child(alone, child) : NULL;
    store_node_unref(alone);
    return node;
}

/* Takes over @node, a new one; NULL gives -ENOMEM. */
static int make_one(struct store_base *base, const struct store_caller *caller,
                    const char *path, struct store_node *node)
{
    uint32_t owner = node ? node->permissions[0].id : 0;
    int ret;

    if (caller->domid != 0 &&
        store_base_owned(base, caller->domid) >= base->limits->nodes) {
        store_node_unref(node);
        return -ENOSPC;
    }
    ret = store_view_count(base, caller, owner, 1);
    if (ret < 0) {
        store_node_unref(node);
        return ret;
    }
    ret = put(base, caller, path, node);
    if (ret < 0) {
        (void)!store_view_count(base, caller, owner, -1);
    }
    return ret;
}

/*
 * Takes back the nodes from @path up to, and without, the one at @end.  A
 * transaction will not commit any more.
 */
static void unmake(struct store_base *base, const struct store_caller *caller,
                   const char *path, const char *end)
{
    char at[STORE_PATH];
    struct store_node *node;

    strcpy(at, path);
    for (; strcmp(at, end) != 0; store_path_parent(at)) {
        store_view_fail(caller);
        if (store_view_get(base, caller, at, &node) == 0 &&
            store_view_count(base, caller, node->permissions[0].id, -1) == 0) {
            (void)!store_view_remove(base, caller, at);
        }
    }
}

/*
 * Makes @last at @path, and what is missing above it, below @parent at
 * @parent_path: the last first, so that nobody sees them before all are there.
 */
static int make_below(struct store_base *base,
                      const struct store_caller *caller, const char *path,
                      struct store_node *last, const char *parent_path,
                      const struct store_node *parent)
{
    char at[STORE_PATH], child[STORE_PATH] = "";
    int ret = 0;

    strcpy(at, path);
    while (ret == 0 && strcmp(at, parent_path) != 0) {
        ret =
            make_one(base, caller, at,
                     child[0] ? node_above(last, child) : store_node_ref(last));
        if (ret == 0) {
            strcpy(child, store_path_name(at));
            store_path_parent(at);
        }
    }
    if (ret == 0) {
        ret = put(base, caller, at, store_node_with_child(parent, child));
    }
    if (ret < 0) {
        unmake(base, caller, path, at);
    }
    return ret;
}

/* @path does not exist; its nearest ancestor does and has been checked. */
static int make(struct store_base *base, const struct store_caller *caller,
                const char *path, const void *value, size_t value_bytes)
{
    char parent_path[STORE_PATH];
    struct store_node *parent, *node;
    int ret;

    strcpy(parent_path, path);
    do {
        store_path_parent(parent_path);
        ret = store_view_get(base, caller, parent_path, &parent);
    } while (ret == -ENOENT);
    if (ret < 0) {
        return ret;
    }
    node = store_node_new(parent->permissions, parent->permissions_count, value,
                          value_bytes);
    if (!node) {
        return -ENOMEM;
    }
    /* What a guest makes is its own; what dom0 makes is the parent's owner's.
     */
    if (caller->domid != 0) {
        node->permissions[0].id = caller->domid;
    }
    store_view_created(caller);
    parent = store_node_ref(parent);
    ret = make_below(base, caller, path, node, parent_path, parent);
    store_node_unref(parent);
    store_node_unref(node);
    return ret;
}

int store_tree_write(struct store_base *base, const struct store_caller *caller,
                     const char *path, const void *value, size_t value_bytes)
{
    struct store_node *node;
    int ret = store_tree_get(base, caller, path, XS_PERM_WRITE, &node);

    if (ret == 0) {
        ret = put(base, caller, path,
                  store_node_with_value(node, value, value_bytes));
    } else if (ret == -ENOENT) {
        ret = make(base, caller, path, value, value_bytes);
    }
    if (ret == 0) {
        store_view_changed(base, caller, path, false, NULL);
    }
    return ret;
}

int store_tree_mkdir(struct store_base *base, const struct store_caller *caller,
                     const char *path)
{
    struct store_node *node;
    int ret = store_tree_get(base, caller, path, XS_PERM_WRITE, &node);

    if (ret != -ENOENT) {
        return ret;
    }
    ret = make(base, caller, path, NULL, 0);
    if (ret == 0) {
        store_view_changed(base, caller, path, false, NULL);
    }
    return ret;
}

int store_tree_start(struct store_base *base)
{
    struct xs_permissions nobody = {.id = 0, .perms = XS_PERM_NONE};
    struct store_node *root = store_node_new(&nobody, 1, NULL, 0);
    int ret = root ? store_base_put(base, "/", root) : -ENOMEM;

    if (ret == 0) {
        ret = store_base_count(base, 0, 1);
    }
    return ret < 0 ? ret : store_tree_mkdir(base, &own, "/tool/xenstored");
}

/* ---- Removing ---------------------------------------------------------- */

/* What is at @path and below; @path has room for more. */
static int remove_at(struct store_base *base, const struct store_caller *caller,
                     char *path, bool below)
{
    size_t len = strlen(path);
    const char *child, *end;
    struct store_node *node;
    int ret = store_view_get(base, caller, path, &node);

    if (ret < 0) {
        return ret;
    }
    node = store_node_ref(node);
    end = node->children + node->children_bytes;
    for (child = node->children; ret == 0 && child < end;
         child += strlen(child) + 1) {
        path[len] = '/';
        strcpy(path + len + 1, child);
        ret = remove_at(base, caller, path, true);
        path[len] = '\0';
    }
    if (ret == 0) {
        /* Before it goes: watchers' rights are still to be seen. */
        store_view_changed(base, caller, path, below, NULL);
        ret = store_view_count(base, caller, node->permissions[0].id, -1);
    }
    if (ret == 0) {
        ret = store_view_remove(base, caller, path);
    }
    store_node_unref(node);
    return ret;
}

/* @path is there, and is not /. */
static int remove_tree(struct store_base *base,
                       const struct store_caller *caller, const char *path)
{
    char at[STORE_PATH];
    struct store_node *parent;
    int ret;

    strcpy(at, path);
    store_path_parent(at);
    ret = store_view_get(base, caller, at, &parent);
    if (ret < 0) {
        return ret == -ENOENT ? -EINVAL : ret;
    }
    strcpy(at, path);
    if (remove_at(base, caller, at, false) < 0) {
        return -EIO;
    }
    store_path_parent(at);
    ret = store_view_get(base, caller, at, &parent);
    if (ret < 0) {
        return ret;
    }
    /* A transaction may have seen the parent before the node was made. */
    if (!store_node_has_child(parent, store_path_name(path))) {
        return -EIO;
    }
    /* Smaller than before: no quota. */
    return store_view_put(
        base, caller, at,
        store_node_without_child(parent, store_path_name(path)));
}

int store_tree_remove(struct store_base *base,
                      const struct store_caller *caller, const char *path)
{
    char parent[STORE_PATH];
    struct store_node *node;
    int ret = store_tree_get(base, caller, path, XS_PERM_WRITE, &node);

    if (ret == 0) {
        return path[1] ? remove_tree(base, caller, path) : -EINVAL;
    }
    if (ret == -ENOENT) {
        strcpy(parent, path);
        store_path_parent(parent);
        ret = store_view_get(base, caller, parent, &node);
    }
    return ret;
}

/* ---- Permissions ------------------------------------------------------- */

int store_tree_set_permissions(struct store_base *base,
                               const struct store_caller *caller,
                               const char *path,
                               const struct xs_permissions *permissions,
                               unsigned int permissions_count)
{
    struct store_node *node;
    int ret = store_tree_get(base, caller, path, XS_PERM_WRITE | XS_PERM_OWNER,
                             &node);

    if (ret < 0) {
        return ret;
    }
    if (caller->domid != 0 && permissions[0].id != node->permissions[0].id) {
        return -EPERM;
    }
    node = store_node_ref(node);
    ret =
        put(base, caller, path,
            store_node_with_permissions(node, permissions, permissions_count));
    if (ret == 0) {
        ret = store_view_count(base, caller, node->permissions[0].id, -1);
    }
    if (ret == 0) {
        ret = store_view_count(base, caller, permissions[0].id, 1);
    }
    if (ret == 0) {
        store_view_changed(base, caller, path, false, node);
    }
    store_node_unref(node);
    return ret;
}

/* ---- The whole --------------------------------------------------------- */

/*
 * A domain of that number that comes later has no right to what stands now.
 * The version may be one that transactions keep: they shall see it, too.
 */
static void ignore(struct store_node *node, uint32_t domid)
{
    unsigned int i;

    for (i = 1; i < node->permissions_count; i++) {
        if (node->permissions[i].id == domid) {
            node->permissions[i].perms |= XS_PERM_IGNORE;
        }
    }
}

/* @path has room for more. */
static void forget_at(struct store_base *base, char *path, uint32_t domid)
{
    struct store_node *node = store_node_ref(store_base_find(base, path));
    size_t len = strlen(path), slash = len > 1 ? len : 0;
    const char *child, *end;

    if (!node) {
        return; /* memory has run out in the middle of a commit */
    }
    child = node->children;
    end = child + node->children_bytes;
    if (node->permissions[0].id == domid && len > 1) {
        (void)!remove_tree(base, &own, path);
        end = child;
    }
    ignore(node, domid);
    for (; child < end; child += strlen(child) + 1) {
        path[slash] = '/';
        strcpy(path + slash + 1, child);
        forget_at(base, path, domid);
        path[len] = '\0';
    }
    store_node_unref(node);
}

void store_tree_forget(struct store_base *base, uint32_t domid)
{
    char path[STORE_PATH] = "/";

    forget_at(base, path, domid);
}

static void walk_at(const struct store_base *base, char *path,
                    void (*fn)(void *arg, const char *path,
                               const struct store_node *node),
                    void *arg)
{
    const struct store_node *node = store_base_find(base, path);
    size_t len = strlen(path), slash = len > 1 ? len : 0;
    const char *child, *end;

    if (!node) {
        return; /* as above */
    }
    child = node->children;
    end = child + node->children_bytes;
    fn(arg, path, node);
    for (; child < end; child += strlen(child) + 1) {
        path[slash] = '/';
        strcpy(path + slash + 1, child);
        walk_at(base, path, fn, arg);
        path[len] = '\0';
    }
}

void store_tree_walk(const struct store_base *base,
                     void (*fn)(void *arg, const char *path,
                                const struct store_node *node),
                     void *arg)
{
    char path[STORE_PATH] = "/";

    walk_at(base, path, fn, arg);
}
