/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "store_private.h"

/* ---- Baseline ---------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

void store_baseline_free(struct sim_store *store)
{
    tdestroy(store->baseline, free);
    store->baseline = NULL;
}

static void baseline_add(void *arg, const char *path,
                         const struct store_node *node)
{
    struct sim_store *store = arg;
    char *copy = strdup(path);
    char **at = copy ? tsearch(copy, &store->baseline, by_text) : NULL;

    (void)node;
    /* Without memory the audit lists one node more. */
    if (!at || *at != copy) {
        free(copy);
    }
}

void sim_store_baseline(struct sim_store *store)
{
    store_baseline_free(store);
    store_tree_walk(&store->base, baseline_add, store);
}

/* ---- What is the host's own -------------------------------------------- */

/* What follows @name in @path: "" or "/..."; NULL: something else. */
static const char *behind(const char *path, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(path, name, len) != 0 ||
        (path[len] != '\0' && path[len] != '/')) {
        return NULL;
    }
    return path + len;
}

static bool is_living_guests(const struct sim_store *store, const char *path)
{
    const struct sim_domain *domain = store->host->domains;
    char name[64];
    const char *rest;

    for (; domain; domain = domain->next) {
        if (domain->domid == 0 || domain->dying) {
            continue;
        }
        snprintf(name, sizeof(name), "/local/domain/%" PRIu32, domain->domid);
        rest = behind(path, name);
        if (rest) {
            return !behind(rest, "/backend/hcl") &&
                   strncmp(rest, "/device/hcl/", 12) != 0;
        }
        snprintf(name, sizeof(name), "/libxl/%" PRIu32, domain->domid);
        if (behind(path, name)) {
            return true;
        }
        snprintf(name, sizeof(name), "/vm/%s", domain->uuid);
        if (behind(path, name)) {
            return true;
        }
    }
    return false;
}

static bool is_own(const struct sim_store *store, const char *path)
{
    static const char *const folders[] = {"/local", "/local/domain", "/libxl",
                                          "/vm"};
    size_t i;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (!strcmp(path, folders[i])) {
            return true;
        }
    }
    return tfind(path, &store->baseline, by_text) != NULL ||
           is_living_guests(store, path);
}

/* ---- Audit ------------------------------------------------------------- */

struct audit {
    const struct sim_store *store;
    FILE *out;
    unsigned int count;
};

/* A client has written it: only what is printable. */
static void print(FILE *out, const char *text, size_t bytes)
{
    size_t i;

    for (i = 0; i < bytes; i++) {
        fputc(isprint((unsigned char)text[i]) ? text[i] : '?', out);
    }
}

static void audit_node(void *arg, const char *path,
                       const struct store_node *node)
{
    struct audit *audit = arg;

    if (is_own(audit->store, path)) {
        return;
    }
    audit->count++;
    if (audit->out) {
        fprintf(audit->out, "node: %s = \"", path);
        print(audit->out, node->value, node->value_bytes);
        fputs("\"\n", audit->out);
    }
}

static void audit_conn(struct audit *audit, const struct store_conn *conn)
{
    const struct store_watch *watch;
    const struct store_open *open;

    for (watch = conn->watches; watch; watch = watch->next) {
        audit->count++;
        if (audit->out) {
            fprintf(audit->out, "watch: domain %" PRIu32 " ", conn->domid);
            print(audit->out, watch->path, strlen(watch->path));
            fputc(' ', audit->out);
            print(audit->out, watch->token, strlen(watch->token));
            fputc('\n', audit->out);
        }
    }
    for (open = conn->open; open; open = open->next) {
        if (!open->stale) {
            audit->count++;
            if (audit->out) {
                fprintf(audit->out, "transaction: domain %" PRIu32 "\n",
                        conn->domid);
            }
        }
    }
}

unsigned int sim_store_audit(struct sim_store *store, FILE *out)
{
    struct audit audit = {.store = store, .out = out};
    const struct store_conn *conn;

    store_tree_walk(&store->base, audit_node, &audit);
    for (conn = store->conns; conn; conn = conn->next) {
        /* A saved machine's are known to its kernel alone. */
        if (store_conn_domain(conn)) {
            audit_conn(&audit, conn);
        }
    }
    return audit.count;
}
