/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "handshake.h"

#define TRANSACTION_TRIES 32

/*
 * A watch that is set.  Events of one that was ended can still be queued; that
 * they are not mistaken for those of a later one, the token that xenstored
 * knows has a number behind it.  (XS_UNWATCH_FILTER would drop them, but leaks
 * each: xs_unwatch in Xen 4.17's xs.c frees the message and not its body.)
 */
struct watch {
    struct watch *next;
    unsigned int number;
    char path[HCL_STORE_PATH];
    char token[HCL_STORE_PATH];
};

struct hcl_store {
    struct xs_handle *xs;         /* owned */
    xs_transaction_t transaction; /* XBT_NULL outside hcl_store_transact */
    struct watch *watches;        /* owned */
    unsigned int number;          /* of the last watch */
};

int hcl_store_open(struct hcl_store **ret_store, struct hcl_err *err)
{
    struct hcl_store *store = calloc(1, sizeof(*store));
    int ret;

    if (!store) {
        return hcl_err_sys(err, -ENOMEM, "xenstore");
    }
    store->xs = xs_open(0);
    if (!store->xs) {
        ret = hcl_err_sys(err, -errno,
                          "cannot reach xenstore (is this a Xen domain, and in "
                          "dom0 xenstored running?)");
        free(store);
        return ret;
    }
    store->transaction = XBT_NULL;
    *ret_store = store;
    return 0;
}

void hcl_store_free(struct hcl_store *store)
{
    struct watch *watch;

    if (!store) {
        return;
    }
    while ((watch = store->watches) != NULL) {
        store->watches = watch->next;
        free(watch);
    }
    xs_close(store->xs);
    free(store);
}

int hcl_store_fd(struct hcl_store *store)
{
    return xs_fileno(store->xs);
}

unsigned int hcl_store_watches(const struct hcl_store *store)
{
    const struct watch *watch;
    unsigned int count = 0;

    for (watch = store->watches; watch; watch = watch->next) {
        count++;
    }
    return count;
}

/* ---- Paths and errors -------------------------------------------------- */

static int join(char *path, const char *dir, const char *node,
                struct hcl_err *err)
{
    int len =
        snprintf(path, HCL_STORE_PATH, "%s%s%s", dir, *node ? "/" : "", node);

    if (len < 0 || len >= HCL_STORE_PATH) {
        return hcl_err_set(err, -ENAMETOOLONG, "xenstore path too long: %s",
                           path);
    }
    return 0;
}

/* C xenstored says a met quota as ENOSPC or E2BIG, oxenstored as EINVAL. */
static int failed(struct hcl_err *err, const char *verb, const char *path)
{
    int code = errno ? -errno : -EIO;
    const char *hint = "";

    if (code == -ENOSPC || code == -E2BIG) {
        hint = " (a xenstore quota of this domain is met)";
    } else if (code == -EINVAL) {
        hint = " (perhaps a xenstore quota of this domain is met)";
    }
    return hcl_err_set(err, code, "xenstore: cannot %s %s: %s%s", verb, path,
                       strerror(-code), hint);
}

/* ---- Reading ----------------------------------------------------------- */

int hcl_store_read(struct hcl_store *store, const char *dir, const char *node,
                   char *buf, size_t size, struct hcl_err *err)
{
    char path[HCL_STORE_PATH];
    unsigned int len;
    char *value;
    int ret = join(path, dir, node, err);

    if (ret < 0) {
        return ret;
    }
    value = xs_read(store->xs, store->transaction, path, &len);
    if (!value) {
        return failed(err, "read", path);
    }
    if (strnlen(value, len) != len) {
        ret = hcl_err_set(err, -EBADMSG, "xenstore: %s has a NUL inside", path);
    } else if (len >= size) {
        ret = hcl_err_set(err, -EMSGSIZE,
                          "xenstore: %s has %u bytes, at most %zu are allowed",
                          path, len, size - 1);
    } else {
        memcpy(buf, value, len + 1);
    }
    free(value);
    return ret;
}

int hcl_store_read_u32(struct hcl_store *store, const char *dir,
                       const char *node, uint32_t min, uint32_t max,
                       uint32_t *ret_value, struct hcl_err *err)
{
    char text[16];
    uint64_t value = 0;
    size_t i;
    int ret = hcl_store_read(store, dir, node, text, sizeof(text), err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; text[i] >= '0' && text[i] <= '9'; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (i == 0 || i > 10 || text[i] || value < min || value > max) {
        return hcl_err_set(err, -EBADMSG,
                           "xenstore: %s/%s is \"%s\", expected a number from "
                           "%u to %u",
                           dir, node, text, min, max);
    }
    *ret_value = (uint32_t)value;
    return 0;
}

int hcl_store_read_id64(struct hcl_store *store, const char *dir,
                        const char *node, uint64_t *ret_value,
                        struct hcl_err *err)
{
    char text[32];
    int ret = hcl_store_read(store, dir, node, text, sizeof(text), err);

    if (ret < 0) {
        return ret;
    }
    if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16) {
        return hcl_err_set(err, -EBADMSG,
                           "xenstore: %s/%s is \"%s\", expected 16 hex digits",
                           dir, node, text);
    }
    *ret_value = strtoull(text, NULL, 16);
    return 0;
}

int hcl_store_read_state(struct hcl_store *store, const char *dir,
                         unsigned int *ret_state, struct hcl_err *err)
{
    char text[8];
    int ret = hcl_store_read(store, dir, "state", text, sizeof(text), err);

    switch (ret) {
    case 0:
        if (text[0] >= '1' && text[0] <= '6' && !text[1]) {
            *ret_state = (unsigned int)(text[0] - '0');
        } else {
            *ret_state = HCL_STATE_ILLEGAL;
        }
        return 0;
    case -ENOENT:
    case -EACCES:
    case -EPERM:
        *ret_state = HCL_STATE_GONE;
        return 0;
    case -EBADMSG:
    case -EMSGSIZE:
        *ret_state = HCL_STATE_ILLEGAL;
        return 0;
    default:
        return ret;
    }
}

int hcl_store_list(struct hcl_store *store, const char *dir, unsigned int max,
                   char ***ret_names, unsigned int *ret_count,
                   struct hcl_err *err)
{
    unsigned int count;
    char **names = xs_directory(store->xs, store->transaction, dir, &count);

    if (!names) {
        return failed(err, "list", dir);
    }
    if (count > max) {
        free(names);
        return hcl_err_set(err, -E2BIG,
                           "xenstore: %s has %u entries, at most %u are "
                           "expected",
                           dir, count, max);
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}

int hcl_store_exists(struct hcl_store *store, const char *dir,
                     struct hcl_err *err)
{
    unsigned int len;
    void *value = xs_read(store->xs, store->transaction, dir, &len);

    if (!value) {
        return errno == ENOENT ? 0 : failed(err, "read", dir);
    }
    free(value);
    return 1;
}

/* ---- Writing ----------------------------------------------------------- */

int hcl_store_write(struct hcl_store *store, const char *dir, const char *node,
                    struct hcl_err *err, const char *fmt, ...)
{
    char path[HCL_STORE_PATH], value[HCL_STORE_VALUE + 1];
    va_list args;
    int len, ret = join(path, dir, node, err);

    if (ret < 0) {
        return ret;
    }
    va_start(args, fmt);
    len = vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    if (len < 0 || len > HCL_STORE_VALUE) {
        return hcl_err_set(err, -EMSGSIZE,
                           "xenstore: value for %s has %d bytes, at most %d "
                           "are allowed",
                           path, len, HCL_STORE_VALUE);
    }
    if (!xs_write(store->xs, store->transaction, path, value,
                  (unsigned int)len)) {
        return failed(err, "write", path);
    }
    return 0;
}

int hcl_store_write_id64(struct hcl_store *store, const char *dir,
                         const char *node, uint64_t value, struct hcl_err *err)
{
    return hcl_store_write(store, dir, node, err, "%016" PRIx64, value);
}

int hcl_store_mkdir(struct hcl_store *store, const char *dir,
                    struct hcl_err *err)
{
    if (!xs_mkdir(store->xs, store->transaction, dir)) {
        return failed(err, "make", dir);
    }
    return 0;
}

int hcl_store_remove(struct hcl_store *store, const char *dir, const char *node,
                     struct hcl_err *err)
{
    char path[HCL_STORE_PATH];
    int ret = join(path, dir, node, err);

    if (ret < 0) {
        return ret;
    }
    if (xs_rm(store->xs, store->transaction, path) || errno == ENOENT) {
        return 0;
    }
    /*
     * C xenstored's words for a node that others have changed or removed since
     * the transaction began: a conflict, which may go away.
     */
    if (store->transaction != XBT_NULL && (errno == EIO || errno == EINVAL)) {
        return hcl_err_set(err, -EAGAIN, "xenstore: %s changes all the time",
                           path);
    }
    return failed(err, "remove", path);
}

int hcl_store_permit(struct hcl_store *store, const char *dir, const char *node,
                     uint32_t owner, uint32_t reader, struct hcl_err *err)
{
    struct xs_permissions permissions[2] = {
        {.id = owner, .perms = XS_PERM_NONE},
        {.id = reader, .perms = XS_PERM_READ},
    };
    char path[HCL_STORE_PATH];
    int ret = join(path, dir, node, err);

    if (ret < 0) {
        return ret;
    }
    if (!xs_set_permissions(store->xs, store->transaction, path, permissions,
                            owner == reader ? 1 : 2)) {
        return failed(err, "set the permissions of", path);
    }
    return 0;
}

int hcl_store_transact(struct hcl_store *store,
                       int (*fn)(struct hcl_store *store, void *arg,
                                 struct hcl_err *err),
                       void *arg, struct hcl_err *err)
{
    unsigned int i;
    int ret;

    assert(store->transaction == XBT_NULL);
    for (i = 0; i < TRANSACTION_TRIES; i++) {
        store->transaction = xs_transaction_start(store->xs);
        if (store->transaction == XBT_NULL) {
            return failed(err, "start", "a transaction");
        }
        ret = fn(store, arg, err);
        if (!xs_transaction_end(store->xs, store->transaction, ret < 0)) {
            /* If an abort fails, what @fn said is what counts. */
            if (ret == 0) {
                ret = errno == EAGAIN ? -EAGAIN
                                      : failed(err, "end", "a transaction");
            }
        }
        store->transaction = XBT_NULL;
        if (ret != -EAGAIN) {
            return ret;
        }
    }
    return hcl_err_set(err, -EAGAIN,
                       "xenstore: a transaction met conflicts %u times",
                       TRANSACTION_TRIES);
}

/* ---- Watches ----------------------------------------------------------- */

/* What xenstored knows as the token. */
static void full_token(const struct watch *watch, char *text, size_t size)
{
    snprintf(text, size, "%s#%u", watch->token, watch->number);
}

int hcl_store_watch(struct hcl_store *store, const char *path,
                    const char *token, struct hcl_err *err)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    char text[HCL_STORE_PATH + 16];

    if (!watch) {
        return hcl_err_sys(err, -ENOMEM, "watch of %s", path);
    }
    if (strlen(path) >= sizeof(watch->path) ||
        strlen(token) >= sizeof(watch->token)) {
        free(watch);
        return hcl_err_set(err, -ENAMETOOLONG, "xenstore path too long: %.200s",
                           path);
    }
    snprintf(watch->path, sizeof(watch->path), "%s", path);
    snprintf(watch->token, sizeof(watch->token), "%s", token);
    watch->number = ++store->number;
    full_token(watch, text, sizeof(text));
    if (!xs_watch(store->xs, path, text)) {
        free(watch);
        return failed(err, "watch", path);
    }
    watch->next = store->watches;
    store->watches = watch;
    return 0;
}

void hcl_store_unwatch(struct hcl_store *store, const char *path,
                       const char *token)
{
    struct watch *watch, **at = &store->watches;
    char text[HCL_STORE_PATH + 16];

    while ((watch = *at) != NULL && (strcmp(watch->path, path) != 0 ||
                                     strcmp(watch->token, token) != 0)) {
        at = &watch->next;
    }
    if (!watch) {
        return;
    }
    full_token(watch, text, sizeof(text));
    if (xs_unwatch(store->xs, path, text)) {
        *at = watch->next;
        free(watch);
    }
}

/* The watch that has this token, or NULL if it was ended. */
static const struct watch *find_watch(const struct hcl_store *store,
                                      const char *token)
{
    const struct watch *watch = store->watches;
    char text[HCL_STORE_PATH + 16];

    for (; watch; watch = watch->next) {
        full_token(watch, text, sizeof(text));
        if (!strcmp(text, token)) {
            break;
        }
    }
    return watch;
}

int hcl_store_next_event(struct hcl_store *store, char *ret_path,
                         char *ret_token, struct hcl_err *err)
{
    const struct watch *watch = NULL;
    char **event;

    while ((event = xs_check_watch(store->xs)) != NULL) {
        watch = find_watch(store, event[XS_WATCH_TOKEN]);
        if (watch) {
            break;
        }
        free(event);
    }
    if (!event) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        return failed(err, "wait for events of", "xenstored");
    }
    /* A path that is too long is nobody's: cut, it could look like another. */
    if (snprintf(ret_path, HCL_STORE_PATH, "%s", event[XS_WATCH_PATH]) >=
        HCL_STORE_PATH) {
        ret_path[0] = '\0';
    }
    snprintf(ret_token, HCL_STORE_PATH, "%s", watch->token);
    free(event);
    return 1;
}

/* ---- The domain -------------------------------------------------------- */

int hcl_store_domid(struct hcl_store *store, uint32_t *ret_domid,
                    struct hcl_err *err)
{
    return hcl_store_read_u32(store, "domid", "", 0, 0x7fef, ret_domid, err);
}
