/* SPDX-License-Identifier: MIT */
#include "store_watch.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "store_node.h"

/* The watches at one path. */
struct point {
    const char *path; /* text, but in a key to search with */
    struct store_watch *first;
    char text[];
};

struct store_watches {
    void *points; /* a tsearch tree of struct point */
    uint64_t registrations;
    struct store_watch **list; /* of the last match; owned */
    size_t list_size;
};

static int by_path(const void *a, const void *b)
{
    const struct point *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static struct point *find(const struct store_watches *watches, const char *path)
{
    const struct point key = {.path = path};
    struct point **at = tfind(&key, &watches->points, by_path);

    return at ? *at : NULL;
}

static struct point *find_or_add(struct store_watches *watches,
                                 const char *path)
{
    struct point *point = find(watches, path);
    size_t bytes = strlen(path) + 1;

    if (point) {
        return point;
    }
    point = calloc(1, sizeof(*point) + bytes);
    if (!point) {
        return NULL;
    }
    memcpy(point->text, path, bytes);
    point->path = point->text;
    if (!tsearch(point, &watches->points, by_path)) {
        free(point);
        return NULL;
    }
    return point;
}

struct store_watches *store_watches_new(void)
{
    return calloc(1, sizeof(struct store_watches));
}

void store_watches_free(struct store_watches *watches)
{
    if (watches) {
        tdestroy(watches->points, free);
        free(watches->list);
        free(watches);
    }
}

struct store_watch *store_watch_add(struct store_watches *watches,
                                    struct store_conn *conn, const char *path,
                                    const char *given, const char *token,
                                    size_t skip)
{
    size_t given_bytes = strlen(given) + 1, token_bytes = strlen(token) + 1;
    struct store_watch *watch =
        calloc(1, sizeof(*watch) + given_bytes + token_bytes);
    struct point *point = watch ? find_or_add(watches, path) : NULL;

    if (!point) {
        free(watch);
        return NULL;
    }
    memcpy(watch->text, given, given_bytes);
    memcpy(watch->text + given_bytes, token, token_bytes);
    watch->given = watch->text;
    watch->token = watch->text + given_bytes;
    watch->path = point->path;
    watch->conn = conn;
    watch->skip = skip;
    watch->order = watches->registrations++;
    watch->next_here = point->first;
    point->first = watch;
    return watch;
}

void store_watch_remove(struct store_watches *watches,
                        struct store_watch *watch)
{
    struct point *point = find(watches, watch->path);
    struct store_watch **at = &point->first;

    while (*at != watch) {
        at = &(*at)->next_here;
    }
    *at = watch->next_here;
    if (!point->first) {
        tdelete(point, &watches->points, by_path);
        free(point);
    }
    free(watch);
}

/* ---- Matches ----------------------------------------------------------- */

static size_t append(struct store_watches *watches, size_t count,
                     const struct point *point)
{
    struct store_watch *watch = point ? point->first : NULL;

    for (; watch; watch = watch->next_here) {
        if (count == watches->list_size) {
            size_t size = 2 * count + 16;
            struct store_watch **grown =
                reallocarray(watches->list, size, sizeof(struct store_watch *));

            if (!grown) {
                return count;
            }
            watches->list = grown;
            watches->list_size = size;
        }
        watches->list[count++] = watch;
    }
    return count;
}

static int by_order(const void *a, const void *b)
{
    const struct store_watch *x = *(struct store_watch *const *)a;
    const struct store_watch *y = *(struct store_watch *const *)b;

    return x->order < y->order ? -1 : x->order > y->order;
}

size_t store_watch_match(struct store_watches *watches, const char *path,
                         bool exact, struct store_watch ***ret_list)
{
    char at[STORE_PATH];
    size_t count = append(watches, 0, find(watches, path));

    strcpy(at, path);
    while (!exact && at[1]) {
        store_path_parent(at);
        count = append(watches, count, find(watches, at));
    }
    if (count > 1) {
        qsort(watches->list, count, sizeof(struct store_watch *), by_order);
    }
    *ret_list = watches->list;
    return count;
}

const char *store_watch_event_path(const struct store_watch *watch,
                                   const char *path)
{
    path += watch->skip;
    return watch->skip && *path == '/' ? path + 1 : path;
}
