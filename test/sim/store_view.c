/* SPDX-License-Identifier: MIT */
#include "store_view.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* C xenstored's quota of nodes that a guest's transaction looks at. */
#define TRANSACTION_NODES 1024

/* A node in a transaction. */
struct access {
    const char *path; /* text, but in a key to search with */
    struct access *next;
    struct store_node *before; /* when it was first looked at; NULL: none */
    struct store_node *now;    /* NULL: none */
    bool changed;
    bool fire; /* watches, at the commit */
    bool exact;
    char text[];
};

/* How many more nodes a domain owns in a transaction. */
struct owner {
    struct owner *next;
    uint32_t domid;
    int change;
};

struct store_transaction {
    void *by_path; /* a tsearch tree of struct access; the list owns them */
    struct access *first, **last;
    unsigned int count;
    struct owner *owners; /* in the order of the first change */
    bool fail;
    bool created;
};

/* ---- Lives ------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const struct access *x = a, *y = b;

    return strcmp(x->path, y->path);
}

struct store_transaction *store_transaction_new(struct store_base *base)
{
    struct store_transaction *transaction = calloc(1, sizeof(*transaction));

    if (transaction) {
        base->generation++;
        transaction->last = &transaction->first;
    }
    return transaction;
}

static void access_free(struct access *access)
{
    store_node_unref(access->before);
    store_node_unref(access->now);
    free(access);
}

static void forget_entry(void *arg)
{
    (void)arg; /* the list owns it */
}

void store_transaction_free(struct store_transaction *transaction)
{
    struct access *access;
    struct owner *owner;

    if (!transaction) {
        return;
    }
    tdestroy(transaction->by_path, forget_entry);
    while ((access = transaction->first) != NULL) {
        transaction->first = access->next;
        access_free(access);
    }
    while ((owner = transaction->owners) != NULL) {
        transaction->owners = owner->next;
        free(owner);
    }
    free(transaction);
}

void store_view_fail(const struct store_caller *caller)
{
    if (caller->transaction) {
        caller->transaction->fail = true;
    }
}

void store_view_created(const struct store_caller *caller)
{
    if (caller->transaction) {
        caller->transaction->created = true;
    }
}

/* ---- Looks ------------------------------------------------------------- */

static struct access *find(const struct store_transaction *transaction,
                           const char *path)
{
    const struct access key = {.path = path};
    struct access **at = tfind(&key, &transaction->by_path, by_path);

    return at ? *at : NULL;
}

static struct access *add(struct store_base *base,
                          struct store_transaction *transaction,
                          const char *path)
{
    size_t bytes = strlen(path) + 1;
    struct access *access = calloc(1, sizeof(*access) + bytes);

    if (!access) {
        return NULL;
    }
    memcpy(access->text, path, bytes);
    access->path = access->text;
    if (!tsearch(access, &transaction->by_path, by_path)) {
        free(access);
        return NULL;
    }
    access->before = store_node_ref(store_base_find(base, path));
    access->now = store_node_ref(access->before);
    *transaction->last = access;
    transaction->last = &access->next;
    transaction->count++;
    return access;
}

/* Finds or adds; @caller is in a transaction. */
static int look(struct store_base *base, const struct store_caller *caller,
                const char *path, struct access **ret_access)
{
    struct store_transaction *transaction = caller->transaction;
    struct access *access = find(transaction, path);

    if (!access) {
        if (caller->domid != 0 && transaction->count >= TRANSACTION_NODES) {
            transaction->fail = true;
            return -ENOSPC;
        }
        access = add(base, transaction, path);
    }
    if (!access) {
        transaction->fail = true;
        return -ENOMEM;
    }
    *ret_access = access;
    return 0;
}

int store_view_get(struct store_base *base, const struct store_caller *caller,
                   const char *path, struct store_node **ret_node)
{
    struct store_node *node;
    struct access *access;
    int ret;

    if (caller->transaction) {
        ret = look(base, caller, path, &access);
        if (ret < 0) {
            return ret;
        }
        node = access->now;
    } else {
        node = store_base_find(base, path);
    }
    if (!node) {
        return -ENOENT;
    }
    *ret_node = node;
    return 0;
}

/* ---- Changes ----------------------------------------------------------- */

/* @node NULL removes it. */
static int change(struct store_base *base, const struct store_caller *caller,
                  const char *path, struct store_node *node)
{
    struct access *access;
    int ret = look(base, caller, path, &access);

    if (ret < 0) {
        store_node_unref(node);
        return ret;
    }
    store_node_unref(access->now);
    access->now = node;
    access->changed = true;
    return 0;
}

int store_view_put(struct store_base *base, const struct store_caller *caller,
                   const char *path, struct store_node *node)
{
    if (!node) {
        store_view_fail(caller);
        return -ENOMEM;
    }
    node->generation = ++base->generation;
    if (caller->transaction) {
        return change(base, caller, path, node);
    }
    return store_base_put(base, path, node);
}

int store_view_remove(struct store_base *base,
                      const struct store_caller *caller, const char *path)
{
    if (caller->transaction) {
        return change(base, caller, path, NULL);
    }
    store_base_remove(base, path);
    return 0;
}

int store_view_count(struct store_base *base, const struct store_caller *caller,
                     uint32_t domid, int change_by)
{
    struct owner **at;

    if (!caller->transaction) {
        return store_base_count(base, domid, change_by);
    }
    at = &caller->transaction->owners;
    while (*at && (*at)->domid != domid) {
        at = &(*at)->next;
    }
    if (!*at) {
        *at = calloc(1, sizeof(**at));
        if (!*at) {
            store_view_fail(caller);
            return -ENOMEM;
        }
        (*at)->domid = domid;
    }
    (*at)->change += change_by;
    return 0;
}

void store_view_changed(struct store_base *base,
                        const struct store_caller *caller, const char *path,
                        bool exact, const struct store_node *before)
{
    struct access *access;

    if (!caller->transaction) {
        base->on_change(base->arg, path, exact, before);
        return;
    }
    access = find(caller->transaction, path);
    if (access) {
        /* What all below may see replaces what only the path itself may. */
        access->exact = exact && (access->exact || !access->fire);
        access->fire = true;
    }
}

/* ---- Commit ------------------------------------------------------------ */

/* Before anything else, as C xenstored does: so this hides a conflict. */
static int check_owners(struct store_base *base,
                        const struct store_caller *caller)
{
    const struct owner *owner = caller->transaction->owners;
    bool quota = caller->transaction->created && caller->domid != 0;

    for (; owner; owner = owner->next) {
        int64_t nodes = store_base_owned(base, owner->domid);

        nodes += owner->change;
        if (owner->domid != 0 && quota && nodes >= base->limits->nodes) {
            return -ENOSPC;
        }
        if (!base->exists(base->arg, owner->domid) ||
            store_base_count(base, owner->domid, 0) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int check_conflicts(const struct store_base *base,
                           const struct store_transaction *transaction)
{
    const struct access *access;

    for (access = transaction->first; access; access = access->next) {
        /* The same version: a write, or a removal, takes another's place. */
        if (store_base_find(base, access->path) != access->before) {
            return -EAGAIN;
        }
    }
    return 0;
}

static int apply(struct store_base *base, struct access *access)
{
    int ret = 0;

    if (access->now) {
        access->now->generation = ++base->generation;
        ret = store_base_put(base, access->path, store_node_ref(access->now));
    } else {
        store_base_remove(base, access->path);
    }
    return ret;
}

int store_transaction_commit(struct store_base *base,
                             const struct store_caller *caller)
{
    struct store_transaction *transaction = caller->transaction;
    const struct owner *owner;
    struct access *access;
    int ret = transaction->fail ? -ENOMEM : check_owners(base, caller);

    if (ret == 0) {
        ret = check_conflicts(base, transaction);
    }
    for (access = transaction->first; ret == 0 && access;
         access = access->next) {
        ret = access->changed ? apply(base, access) : 0;
        if (access->changed && access->fire) {
            base->on_change(base->arg, access->path, access->exact,
                            access->before);
        }
    }
    for (owner = transaction->owners; ret == 0 && owner; owner = owner->next) {
        ret = store_base_count(base, owner->domid, owner->change);
    }
    store_transaction_free(transaction);
    return ret;
}
