/* SPDX-License-Identifier: MIT */
/*
 * store_watch.h: all watches, found by path: an event costs as many look-ups
 * as its path has names, however many watches there are.
 */
#ifndef SIM_STORE_WATCH_H
#define SIM_STORE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_conn;
struct store_watches;

struct store_watch {
    struct store_watch *next;      /* of its connection, the latest first */
    struct store_watch *next_here; /* at the same path */
    struct store_conn *conn;
    const char *path;  /* absolute, or begins with @ */
    const char *given; /* as the client wrote it */
    const char *token;
    size_t skip;    /* bytes that events' paths lack; 0: not relative */
    uint64_t order; /* of registration */
    char text[];
};

/* NULL: no memory. */
struct store_watches *store_watches_new(void);

/* All watches must have been removed.  Takes NULL. */
void store_watches_free(struct store_watches *watches);

/*
 * @given is what the client wrote, @path what it means; if @skip is not 0, this
 * many bytes of it are the client's own directory, and events lack them.  NULL:
 * no memory.
 */
struct store_watch *store_watch_add(struct store_watches *watches,
                                    struct store_conn *conn, const char *path,
                                    const char *given, const char *token,
                                    size_t skip);

/* Frees it; the connection's list is the caller's business. */
void store_watch_remove(struct store_watches *watches,
                        struct store_watch *watch);

/*
 * The watches that see a change at @path: those at it and, unless @exact,
 * above it; in the order of registration.  They are in *@ret_list, which is
 * kept until the next call.  Without memory there are none.
 */
size_t store_watch_match(struct store_watches *watches, const char *path,
                         bool exact, struct store_watch ***ret_list);

/* What an event of @watch says about a change at @path, which it sees. */
const char *store_watch_event_path(const struct store_watch *watch,
                                   const char *path);

#endif /* SIM_STORE_WATCH_H */
