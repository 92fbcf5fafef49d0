/* SPDX-License-Identifier: MIT */
/*
 * store_request.h: what clients ask the simulated xenstored for.
 *
 * A handler either replies and returns 0, or returns a negative errno, which
 * becomes the answer.
 */
#ifndef SIM_STORE_REQUEST_H
#define SIM_STORE_REQUEST_H

#include "store_private.h"

struct store_request {
    struct store_conn *conn;
    struct store_base *base;
    struct store_caller caller;
    struct store_open *open; /* the transaction that it names; NULL: none */
    const char *body;
    size_t bytes;
};

/* ---- Help for handlers ------------------------------------------------- */

/*
 * Finds the first @max strings of the body; returns how many there are in all.
 * What stands behind the last NUL is none.
 */
size_t store_strings(const struct store_request *request, const char **list,
                     size_t max);

/* The body, if it is one string and nothing else, or NULL. */
const char *store_one_string(const struct store_request *request);

/* Makes @given absolute in @path, of STORE_PATH bytes.  NULL: -EINVAL. */
__attribute__((warn_unused_result)) int
store_absolute(const struct store_request *request, const char *given,
               char *path);

void store_reply(const struct store_request *request, const void *body,
                 size_t bytes);

/* Replies "OK" if @ret is 0; returns it. */
int store_acknowledge(const struct store_request *request, int ret);

/* The connection's transaction @id, or NULL. */
struct store_open *store_find_open(const struct store_conn *conn, uint32_t id);

/* Ends request->open, which is not NULL; says why it does not commit. */
int store_end_transaction(struct store_request *request, bool commit);

/* ---- Handlers, by their operation -------------------------------------- */

int store_do_control(struct store_request *request);
int store_do_directory(struct store_request *request);
int store_do_read(struct store_request *request);
int store_do_get_perms(struct store_request *request);
int store_do_watch(struct store_request *request);
int store_do_unwatch(struct store_request *request);
int store_do_transaction_start(struct store_request *request);
int store_do_transaction_end(struct store_request *request);
int store_do_introduce(struct store_request *request);
int store_do_release(struct store_request *request);
int store_do_get_domain_path(struct store_request *request);
int store_do_write(struct store_request *request);
int store_do_mkdir(struct store_request *request);
int store_do_rm(struct store_request *request);
int store_do_set_perms(struct store_request *request);
int store_do_is_domain_introduced(struct store_request *request);
int store_do_resume(struct store_request *request);
int store_do_set_target(struct store_request *request);
int store_do_reset_watches(struct store_request *request);
int store_do_directory_part(struct store_request *request);

#endif /* SIM_STORE_REQUEST_H */
