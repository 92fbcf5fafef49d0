/* SPDX-License-Identifier: MIT */
#include "store_base.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct store_entry {
    const char *path; /* text, but in a key to search with */
    struct store_node *node;
    char text[];
};

static int by_path(const void *a, const void *b)
{
    const struct store_entry *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static struct store_entry *find(const struct store_base *base, const char *path)
{
    const struct store_entry key = {.path = path};
    struct store_entry **at = tfind(&key, &base->entries, by_path);

    return at ? *at : NULL;
}

static void entry_free(void *arg)
{
    struct store_entry *entry = arg;

    store_node_unref(entry->node);
    free(entry);
}

void store_base_clear(struct store_base *base)
{
    tdestroy(base->entries, entry_free);
    base->entries = NULL;
    free(base->owned);
    base->owned = NULL;
    base->owned_size = 0;
}

struct store_node *store_base_find(const struct store_base *base,
                                   const char *path)
{
    const struct store_entry *entry = find(base, path);

    return entry ? entry->node : NULL;
}

int store_base_put(struct store_base *base, const char *path,
                   struct store_node *node)
{
    struct store_entry *entry = find(base, path);
    size_t bytes = strlen(path) + 1;

    if (entry) {
        store_node_unref(entry->node);
        entry->node = node;
        return 0;
    }
    entry = malloc(sizeof(*entry) + bytes);
    if (!entry) {
        store_node_unref(node);
        return -ENOMEM;
    }
    memcpy(entry->text, path, bytes);
    entry->path = entry->text;
    entry->node = node;
    if (!tsearch(entry, &base->entries, by_path)) {
        entry_free(entry);
        return -ENOMEM;
    }
    return 0;
}

void store_base_remove(struct store_base *base, const char *path)
{
    struct store_entry *entry = find(base, path);

    if (entry) {
        tdelete(entry, &base->entries, by_path);
        entry_free(entry);
    }
}

int store_base_count(struct store_base *base, uint32_t domid, int change)
{
    size_t size = (size_t)domid + 64;
    uint32_t *grown;

    if (domid >= base->owned_size) {
        grown = realloc(base->owned, size * sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        memset(grown + base->owned_size, 0,
               (size - base->owned_size) * sizeof(*grown));
        base->owned = grown;
        base->owned_size = size;
    }
    base->owned[domid] += (uint32_t)change;
    return 0;
}

uint32_t store_base_owned(const struct store_base *base, uint32_t domid)
{
    return domid < base->owned_size ? base->owned[domid] : 0;
}
