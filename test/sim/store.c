/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store_private.h"

/* ---- Domains ----------------------------------------------------------- */

static struct store_known *find_known(const struct sim_store *store,
                                      uint32_t domid)
{
    struct store_known *known = store->known;

    while (known && known->domid != domid) {
        known = known->next;
    }
    return known;
}

/* NULL: no memory. */
static struct store_known *know(struct sim_store *store, uint32_t domid)
{
    struct store_known *known = find_known(store, domid);

    if (!known) {
        known = calloc(1, sizeof(*known));
        if (!known) {
            return NULL;
        }
        known->domid = domid;
        known->next = store->known;
        store->known = known;
    }
    return known;
}

static void unknow(struct sim_store *store, uint32_t domid)
{
    struct store_known **at = &store->known, *known;

    while ((known = *at) != NULL) {
        if (known->domid == domid) {
            *at = known->next;
            free(known);
        } else {
            if (known->target == domid) {
                known->target = 0;
            }
            at = &known->next;
        }
    }
}

struct store_caller store_caller(const struct store_conn *conn)
{
    const struct store_known *known = find_known(conn->store, conn->domid);

    return (struct store_caller){
        .domid = conn->domid,
        .target = known ? known->target : 0,
    };
}

/* ---- Events ------------------------------------------------------------ */

struct store_node **store_special(struct sim_store *store, const char *path)
{
    if (!strcmp(path, "@introduceDomain")) {
        return &store->introduce;
    }
    if (!strcmp(path, "@releaseDomain")) {
        return &store->release;
    }
    return NULL;
}

static bool readable(const struct store_node *node,
                     const struct store_caller *caller)
{
    return node && (store_node_rights(node, caller->domid, caller->target) &
                    XS_PERM_READ);
}

/*
 * Who may read the node, or could, or may read its parent if the node is there,
 * is told of the change.
 */
static bool permitted(struct sim_store *store, const struct store_conn *conn,
                      const char *path, const struct store_node *before)
{
    struct store_caller caller = store_caller(conn);
    const struct store_node *node;
    char parent[STORE_PATH];

    if (!store_conn_domain(conn)) {
        return false;
    }
    if (path[0] == '@') {
        return readable(*store_special(store, path), &caller);
    }
    node = store_base_find(&store->base, path);
    if (readable(before, &caller) || readable(node, &caller)) {
        return true;
    }
    strcpy(parent, path);
    store_path_parent(parent);
    return node && readable(store_base_find(&store->base, parent), &caller);
}

static void on_change(void *arg, const char *path, bool exact,
                      const struct store_node *before)
{
    struct sim_store *store = arg;
    struct store_watch **list;
    size_t i, count = store_watch_match(store->watches, path, exact, &list);

    for (i = 0; i < count; i++) {
        if (permitted(store, list[i]->conn, path, before)) {
            store_queue_event(list[i]->conn,
                              store_watch_event_path(list[i], path),
                              list[i]->token, store->asking);
        }
    }
}

static bool exists(void *arg, uint32_t domid)
{
    struct sim_store *store = arg;

    return sim_domain_find(store->host, domid) != NULL;
}

/* ---- Lives of domains -------------------------------------------------- */

static void reset_machine(struct sim_store *store,
                          const struct sim_machine *machine)
{
    struct store_conn *conn = store->conns;

    for (; conn; conn = conn->next) {
        if (conn->machine == machine) {
            store_conn_reset(conn);
        }
    }
}

static void wake_machine(struct sim_store *store,
                         const struct sim_machine *machine)
{
    struct store_conn *conn, *next;

    for (conn = store->conns; conn; conn = next) {
        next = conn->next;
        if (conn->machine == machine) {
            store_conn_wake(conn);
        }
    }
}

int store_introduce(struct sim_store *store, uint32_t domid)
{
    struct sim_domain *domain = sim_domain_find(store->host, domid);

    if (!domain || domain->dying) {
        return -EINVAL;
    }
    if (domain->introduced && domid != 0 && domain->machine) {
        /* Its kernel begins anew. */
        reset_machine(store, domain->machine);
    }
    if (!domain->introduced) {
        domain->introduced = true;
        on_change(store, "@introduceDomain", true, NULL);
        if (domain->machine) {
            wake_machine(store, domain->machine);
        }
    }
    return 0;
}

/* A domain that has ended is in nobody's permissions. */
static void forget_special(struct store_node *node, uint32_t domid)
{
    unsigned int i, kept = 1;

    if (node->permissions[0].id == domid) {
        node->permissions[0].id = 0;
    }
    for (i = 1; i < node->permissions_count; i++) {
        if (node->permissions[i].id != domid) {
            node->permissions[kept++] = node->permissions[i];
        }
    }
    node->permissions_count = kept;
}

static void forget(struct sim_store *store, struct sim_domain *domain)
{
    bool introduced = domain->introduced;

    domain->introduced = false;
    if (domain->machine) {
        reset_machine(store, domain->machine);
    }
    store_tree_forget(&store->base, domain->domid);
    forget_special(store->introduce, domain->domid);
    forget_special(store->release, domain->domid);
    unknow(store, domain->domid);
    if (introduced) {
        on_change(store, "@releaseDomain", true, NULL);
    }
}

static struct sim_domain *find_introduced(struct sim_store *store,
                                          uint32_t domid)
{
    struct sim_domain *domain = sim_domain_find(store->host, domid);

    return domain && domain->introduced ? domain : NULL;
}

int store_release(struct sim_store *store, uint32_t domid)
{
    struct sim_domain *domain = find_introduced(store, domid);

    if (!domain) {
        return -ENOENT;
    }
    forget(store, domain);
    return 0;
}

int store_resume(struct sim_store *store, uint32_t domid)
{
    struct store_known *known = find_known(store, domid);

    if (!find_introduced(store, domid)) {
        return -ENOENT;
    }
    if (known) {
        known->shutdown = false;
    }
    return 0;
}

int store_set_target(struct sim_store *store, uint32_t domid, uint32_t target)
{
    struct store_known *known;

    if (!find_introduced(store, domid) || !find_introduced(store, target)) {
        return -ENOENT;
    }
    known = know(store, domid);
    if (!known) {
        return -ENOMEM;
    }
    known->target = target;
    return 0;
}

void sim_store_domain_changed(struct sim_store *store,
                              struct sim_domain *domain)
{
    struct store_known *known;

    if (domain->dying) {
        forget(store, domain);
    } else if (domain->introduced && domain->shutdown >= 0) {
        known = know(store, domain->domid);
        if (!known || !known->shutdown) {
            on_change(store, "@releaseDomain", true, NULL);
        }
        if (known) {
            known->shutdown = true;
        }
    }
    store_conn_flush_all(store);
}

/* ---- Machines ---------------------------------------------------------- */

void sim_store_connect(struct sim_store *store, int fd,
                       struct sim_machine *machine)
{
    /* Without memory the client sees that it has ended. */
    (void)!store_conn_new(store, fd, machine);
}

void sim_store_disconnect(struct sim_store *store, struct sim_machine *machine)
{
    struct store_conn *conn, *next;

    for (conn = store->conns; conn; conn = next) {
        next = conn->next;
        if (conn->machine == machine) {
            store_conn_free(conn);
        }
    }
}

void sim_store_mended(struct sim_store *store, struct sim_machine *machine)
{
    wake_machine(store, machine);
}

/*
 * A restored Linux registers its watches anew, the relative ones in its new
 * directory.  Each fires.
 */
static void watch_anew(struct store_conn *conn)
{
    struct store_watches *watches = conn->store->watches;
    struct store_watch *watch, *new, *oldest = NULL;
    char path[STORE_PATH];

    while ((watch = conn->watches) != NULL) {
        conn->watches = watch->next;
        watch->next = oldest;
        oldest = watch;
    }
    while ((watch = oldest) != NULL) {
        size_t skip = 0;

        oldest = watch->next;
        snprintf(path, sizeof(path), "%s", watch->path);
        if (watch->skip > 0) {
            skip = (size_t)snprintf(path, sizeof(path),
                                    "/local/domain/%" PRIu32, conn->domid);
            snprintf(path + skip, sizeof(path) - skip, "/%s", watch->given);
        }
        new = store_watch_add(watches, conn, path, watch->given, watch->token,
                              skip);
        if (new) {
            store_watch_remove(watches, watch);
        } else {
            new = watch; /* no memory: it stays where it was */
        }
        new->next = conn->watches;
        conn->watches = new;
        store_queue_event(conn, store_watch_event_path(new, new->path),
                          new->token, NULL);
    }
}

void sim_store_restored(struct sim_store *store, struct sim_machine *machine)
{
    struct store_conn *conn;
    struct store_open *open;

    for (conn = store->conns; conn; conn = conn->next) {
        if (conn->machine != machine || !machine->domain) {
            continue;
        }
        conn->domid = machine->domain->domid;
        for (open = conn->open; open; open = open->next) {
            store_transaction_free(open->transaction);
            open->transaction = NULL;
            open->stale = true;
        }
        watch_anew(conn);
    }
    wake_machine(store, machine);
    store_conn_flush_all(store);
}

/* ---- The store --------------------------------------------------------- */

int sim_store_new(struct sim_store **ret_store, struct sim_host *host,
                  struct hcl_err *err)
{
    struct xs_permissions dom0 = {.id = 0, .perms = XS_PERM_NONE};
    struct sim_store *store = calloc(1, sizeof(*store));
    int ret;

    if (!store) {
        return hcl_err_sys(err, -ENOMEM, "xenstored");
    }
    store->host = host;
    store->work_fd = -1;
    store->base.limits = &host->limits;
    store->base.on_change = on_change;
    store->base.exists = exists;
    store->base.arg = store;
    store->watches = store_watches_new();
    store->introduce = store_node_new(&dom0, 1, NULL, 0);
    store->release = store_node_new(&dom0, 1, NULL, 0);
    ret = store->watches && store->introduce && store->release
              ? store_tree_start(&store->base)
              : -ENOMEM;
    if (ret < 0) {
        hcl_err_sys(err, ret, "xenstored");
    } else {
        ret = store_conn_start(store, err);
    }
    if (ret < 0) {
        sim_store_free(store);
        return ret;
    }
    *ret_store = store;
    return 0;
}

void sim_store_free(struct sim_store *store)
{
    if (!store) {
        return;
    }
    store_conn_stop(store);
    while (store->known) {
        unknow(store, store->known->domid);
    }
    store_baseline_free(store);
    store_watches_free(store->watches);
    store_node_unref(store->introduce);
    store_node_unref(store->release);
    store_base_clear(&store->base);
    free(store);
}
