/* SPDX-License-Identifier: MIT */
/*
 * A xenstore in the same process, one for each thread: stands before the one of
 * libxenstore.
 */
#ifndef TEST_FRONTEND_STORE_H
#define TEST_FRONTEND_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#define MAX_NODES 128
#define MAX_WATCHES 8
#define MAX_EVENTS 512

struct xs_handle {
    int fds[2]; /* one byte for each event */
};

static _Thread_local struct {
    struct xs_handle handle;
    unsigned int handles;
    uint32_t domid; /* of the guest */
    struct {
        char path[128], value[1025];
    } nodes[MAX_NODES];
    struct {
        char path[128], token[32];
    } watches[MAX_WATCHES];
    struct {
        char path[128], token[32];
    } events[MAX_EVENTS];
    unsigned int first_event, num_events;
    bool in_transaction;
    bool conflict; /* it cannot be committed */
    /* What happens right after a node was read; true: not once more. */
    bool (*after_read)(const char *path, const char *value);
    unsigned int writes; /* of the frontend */
    bool broken;         /* the connection is lost */
    char states[256];    /* the frontend's, in order, as digits */
} store;

__attribute__((unused)) static void backend_act(void);

__attribute__((unused)) static void absolute(const char *path, char *full)
{
    if (path[0] == '/') {
        snprintf(full, 128, "%.127s", path);
    } else {
        snprintf(full, 128, "/local/domain/%u/%.90s", store.domid, path);
    }
}

__attribute__((unused)) static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && (!path[len] || path[len] == '/');
}

__attribute__((unused)) static void fire(unsigned int watch, const char *path)
{
    unsigned int at = (store.first_event + store.num_events) % MAX_EVENTS;

    if (store.num_events == MAX_EVENTS) {
        return;
    }
    snprintf(store.events[at].path, 128, "%s", path);
    memcpy(store.events[at].token, store.watches[watch].token, 32);
    store.num_events++;
    assert_int_equal(write(store.handle.fds[1], "", 1), 1);
}

__attribute__((unused)) static void changed(const char *path)
{
    char full[128];
    unsigned int i;

    for (i = 0; i < MAX_WATCHES; i++) {
        if (!store.watches[i].path[0]) {
            continue;
        }
        absolute(store.watches[i].path, full);
        if (is_below(path, full)) {
            /* As the watch was set: relative stays relative. */
            fire(i, path + strlen(full) - strlen(store.watches[i].path));
        }
    }
}

__attribute__((unused)) static char *node_value(const char *path)
{
    unsigned int i;

    for (i = 0; i < MAX_NODES; i++) {
        if (store.nodes[i].path[0] && strcmp(store.nodes[i].path, path) == 0) {
            return store.nodes[i].value;
        }
    }
    return NULL;
}

__attribute__((format(printf, 2, 3))) static void node_set(const char *path,
                                                           const char *fmt, ...)
{
    char *value = node_value(path);
    unsigned int i;
    va_list args;

    for (i = 0; !value && i < MAX_NODES; i++) {
        if (!store.nodes[i].path[0]) {
            snprintf(store.nodes[i].path, 128, "%s", path);
            value = store.nodes[i].value;
        }
    }
    assert_non_null(value);
    va_start(args, fmt);
    vsnprintf(value, sizeof(store.nodes[0].value), fmt, args);
    va_end(args);
    changed(path);
}

__attribute__((unused)) static void node_remove(const char *dir)
{
    unsigned int i;

    for (i = 0; i < MAX_NODES; i++) {
        if (store.nodes[i].path[0] && is_below(store.nodes[i].path, dir)) {
            store.nodes[i].path[0] = '\0';
        }
    }
    changed(dir);
}

struct xs_handle *xs_open(unsigned long flags)
{
    (void)flags;
    if (store.broken) {
        errno = ENOENT;
        return NULL;
    }
    assert_int_equal(store.handles++, 0);
    assert_int_equal(pipe2(store.handle.fds, O_NONBLOCK | O_CLOEXEC), 0);
    return &store.handle;
}

void xs_close(struct xs_handle *handle)
{
    store.handles--;
    close(handle->fds[0]);
    close(handle->fds[1]);
    memset(store.watches, 0, sizeof(store.watches));
    store.num_events = 0;
}

int xs_fileno(struct xs_handle *handle)
{
    return handle->fds[0];
}

void *xs_read(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, unsigned int *len)
{
    static _Thread_local char domid[16];
    char full[128], *value;

    (void)handle;
    (void)transaction;
    if (store.broken) {
        errno = EIO;
        return NULL;
    }
    absolute(path, full);
    value = node_value(full);
    if (!value && strcmp(path, "domid") == 0) {
        snprintf(domid, sizeof(domid), "%u", store.domid);
        value = domid;
    }
    if (!value) {
        errno = ENOENT;
        return NULL;
    }
    *len = (unsigned int)strlen(value);
    value = strdup(value);
    if (store.after_read && store.after_read(full, value)) {
        store.after_read = NULL;
        store.conflict = store.in_transaction;
    }
    return value;
}

char **xs_directory(struct xs_handle *handle, xs_transaction_t transaction,
                    const char *path, unsigned int *num)
{
    static _Thread_local char names[MAX_NODES][128];
    char full[128], *name, *end;
    char **list;
    unsigned int i, j, count = 0;

    (void)handle;
    (void)transaction;
    absolute(path, full);
    for (i = 0; i < MAX_NODES; i++) {
        if (!store.nodes[i].path[0] || !is_below(store.nodes[i].path, full) ||
            !store.nodes[i].path[strlen(full)]) {
            continue;
        }
        name = store.nodes[i].path + strlen(full) + 1;
        end = strchrnul(name, '/');
        snprintf(names[count], 128, "%.*s", (int)(end - name), name);
        for (j = 0; strcmp(names[j], names[count]) != 0; j++) {
        }
        count += j == count;
    }
    if (!count) {
        errno = ENOENT;
        return NULL;
    }
    list = calloc(count, sizeof(*list));
    for (i = 0; i < count; i++) {
        list[i] = names[i];
    }
    *num = count;
    return list;
}

bool xs_write(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, const void *data, unsigned int len)
{
    char full[128];

    (void)handle;
    (void)transaction;
    absolute(path, full);
    /* Together with a look whether there is still a directory to write to. */
    assert_true(store.in_transaction);
    store.writes++;
    node_set(full, "%.*s", (int)len, (const char *)data);
    if (strstr(path, "/state")) {
        strncat(store.states, data, 1);
    }
    return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *handle)
{
    (void)handle;
    if (store.broken) {
        errno = EIO;
        return XBT_NULL;
    }
    assert_false(store.in_transaction);
    store.in_transaction = true;
    return 1;
}

bool xs_transaction_end(struct xs_handle *handle, xs_transaction_t transaction,
                        bool abort)
{
    (void)handle;
    (void)transaction;
    store.in_transaction = false;
    if (store.conflict && !abort) {
        store.conflict = false;
        errno = EAGAIN;
        return false;
    }
    store.conflict = false;
    if (!abort) {
        backend_act();
    }
    return true;
}

bool xs_watch(struct xs_handle *handle, const char *path, const char *token)
{
    unsigned int i;

    (void)handle;
    for (i = 0; store.watches[i].path[0]; i++) {
        assert_true(i + 1 < MAX_WATCHES);
    }
    snprintf(store.watches[i].path, 128, "%s", path);
    snprintf(store.watches[i].token, 32, "%s", token);
    fire(i, path);
    return true;
}

bool xs_unwatch(struct xs_handle *handle, const char *path, const char *token)
{
    unsigned int i;

    (void)handle;
    for (i = 0; i < MAX_WATCHES; i++) {
        if (strcmp(store.watches[i].path, path) == 0 &&
            strcmp(store.watches[i].token, token) == 0) {
            store.watches[i].path[0] = '\0';
            return true;
        }
    }
    errno = ENOENT;
    return false;
}

char **xs_check_watch(struct xs_handle *handle)
{
    char **event, *text, byte;

    if (store.broken) {
        errno = EIO;
        return NULL;
    }
    if (!store.num_events) {
        errno = EAGAIN;
        return NULL;
    }
    assert_int_equal(read(handle->fds[0], &byte, 1), 1);
    event = calloc(1, 2 * sizeof(*event) + 256);
    text = (char *)(event + 2);
    event[XS_WATCH_PATH] = text;
    event[XS_WATCH_TOKEN] = text + 128;
    memcpy(event[XS_WATCH_PATH], store.events[store.first_event].path, 128);
    memcpy(event[XS_WATCH_TOKEN], store.events[store.first_event].token, 32);
    store.first_event = (store.first_event + 1) % MAX_EVENTS;
    store.num_events--;
    return event;
}

bool xs_mkdir(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path)
{
    (void)handle;
    (void)transaction;
    fail_msg("the frontend makes a directory: %s", path);
    return false;
}

bool xs_rm(struct xs_handle *handle, xs_transaction_t transaction,
           const char *path)
{
    (void)handle;
    (void)transaction;
    fail_msg("the frontend removes a node: %s", path);
    return false;
}

bool xs_set_permissions(struct xs_handle *handle, xs_transaction_t transaction,
                        const char *path, struct xs_permissions *perms,
                        unsigned int num)
{
    (void)handle;
    (void)transaction;
    (void)perms;
    (void)num;
    fail_msg("the frontend changes permissions: %s", path);
    return false;
}

#endif /* TEST_FRONTEND_STORE_H */
