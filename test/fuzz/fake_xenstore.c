/* SPDX-License-Identifier: MIT */
#include "fake_xenstore.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

struct xs_handle {
    char unused;
};

struct fake_xs fake_xs;
void (*fake_xs_meanwhile)(void);
void (*fake_xs_commits)(const char *path, const char *value);

static struct xs_handle the_handle;

/* ---- The tree ---------------------------------------------------------- */

void fake_xs_reset(uint32_t domid)
{
    assert(!fake_xs.open);
    for (unsigned int i = 0; i < fake_xs.num_nodes; i++) {
        fake_xs.nodes[i].used = false;
    }
    memset(&fake_xs, 0, offsetof(struct fake_xs, nodes));
    fake_xs.domid = domid;
}

static void absolute(const char *path, char *full)
{
    int bytes = path[0] == '/'
                    ? snprintf(full, FAKE_XS_PATH, "%s", path)
                    : snprintf(full, FAKE_XS_PATH, "/local/domain/%u/%s",
                               fake_xs.domid, path);

    if (bytes >= FAKE_XS_PATH) {
        full[0] = '\0'; /* matches no node */
    }
}

static bool is_below(const char *path, const char *dir)
{
    size_t bytes = strlen(dir);

    return strncmp(path, dir, bytes) == 0 &&
           (path[bytes] == '\0' || path[bytes] == '/');
}

/* FNV-1a: each comparison of texts costs the fuzzer an entry in its tables. */
static uint32_t hash_of(const char *path)
{
    uint32_t hash = 2166136261u;

    for (; *path; path++) {
        hash = (hash ^ (uint8_t)*path) * 16777619u;
    }
    return hash;
}

static struct fake_xs_node *find(const char *path)
{
    uint32_t hash = hash_of(path);

    for (unsigned int i = 0; i < fake_xs.num_nodes; i++) {
        struct fake_xs_node *node = &fake_xs.nodes[i];

        if (node->used && node->hash == hash && strcmp(node->path, path) == 0) {
            return node;
        }
    }
    return NULL;
}

static struct fake_xs_node *make(const char *path)
{
    unsigned int i = 0;

    while (i < fake_xs.num_nodes && fake_xs.nodes[i].used) {
        i++;
    }
    if (i == FAKE_XS_NODES) {
        return NULL;
    }
    fake_xs.num_nodes += i == fake_xs.num_nodes;
    fake_xs.nodes[i].used = true;
    fake_xs.nodes[i].denied = false;
    fake_xs.nodes[i].hash = hash_of(path);
    fake_xs.nodes[i].bytes = 0;
    fake_xs.nodes[i].value[0] = '\0';
    snprintf(fake_xs.nodes[i].path, FAKE_XS_PATH, "%s", path);
    return &fake_xs.nodes[i];
}

static void queue_event(const struct fake_xs_event *watch, const char *path)
{
    struct fake_xs_event *event =
        &fake_xs.events[(fake_xs.first_event + fake_xs.num_events) %
                        FAKE_XS_EVENTS];

    if (fake_xs.num_events == FAKE_XS_EVENTS) {
        return;
    }
    fake_xs.num_events++;
    snprintf(event->path, sizeof(event->path), "%s", path);
    memcpy(event->token, watch->token, sizeof(event->token));
}

/* A removal is seen by those who watch something below, too. */
static void changed(const char *path, bool removed)
{
    for (unsigned int i = 0; i < fake_xs.num_watches; i++) {
        const struct fake_xs_event *watch = &fake_xs.watches[i];
        char full[FAKE_XS_PATH];
        size_t skip;

        absolute(watch->path, full);
        if (!full[0]) {
            continue; /* of no node */
        }
        skip = fake_xs.absolute ? 0 : strlen(full) - strlen(watch->path);
        if (is_below(path, full)) {
            queue_event(watch, path + skip);
        } else if (removed && is_below(full, path)) {
            queue_event(watch, watch->path);
        }
    }
}

/* As xenstored does, with all directories above. */
static void set(const char *path, const char *value, unsigned int bytes)
{
    char dir[FAKE_XS_PATH];
    struct fake_xs_node *node = find(path);

    for (size_t i = 1; !node && path[i]; i++) {
        if (path[i] == '/') {
            memcpy(dir, path, i);
            dir[i] = '\0';
            if (!find(dir)) {
                (void)make(dir);
            }
        }
    }
    node = node ? node : make(path);
    if (!node) {
        return;
    }
    memcpy(node->value, value, bytes);
    node->value[bytes] = '\0';
    node->bytes = bytes;
    changed(path, false);
}

static void drop(const char *path)
{
    bool any = false;

    for (unsigned int i = 0; i < fake_xs.num_nodes; i++) {
        if (fake_xs.nodes[i].used && is_below(fake_xs.nodes[i].path, path)) {
            fake_xs.nodes[i].used = false;
            any = true;
        }
    }
    if (any) {
        changed(path, true);
    }
}

/* ---- Somebody else ----------------------------------------------------- */

void fake_xs_write(const char *path, const void *value, size_t bytes)
{
    assert(bytes <= FAKE_XS_VALUE && strlen(path) < FAKE_XS_PATH);
    fake_xs.conflict = fake_xs.conflict || fake_xs.in_transaction;
    set(path, value, (unsigned int)bytes);
}

void fake_xs_remove(const char *path)
{
    fake_xs.conflict = fake_xs.conflict || fake_xs.in_transaction;
    drop(path);
}

void fake_xs_deny(const char *path)
{
    struct fake_xs_node *node = find(path);

    fake_xs.conflict = fake_xs.conflict || fake_xs.in_transaction;
    if (node) {
        node->denied = true;
    }
}

const char *fake_xs_value(const char *path)
{
    const struct fake_xs_node *node = find(path);

    return node ? node->value : NULL;
}

void fake_xs_write_in(const char *dir, const char *node, const char *text)
{
    char path[FAKE_XS_PATH];

    snprintf(path, sizeof(path), "%s/%s", dir, node);
    fake_xs_write(path, text, strlen(text));
}

const char *fake_xs_value_in(const char *dir, const char *node)
{
    char path[FAKE_XS_PATH];

    snprintf(path, sizeof(path), "%s/%s", dir, node);
    return fake_xs_value(path);
}

void fake_xs_fire_all(void)
{
    for (unsigned int i = 0; i < fake_xs.num_watches; i++) {
        queue_event(&fake_xs.watches[i], fake_xs.watches[i].path);
    }
}

/* ---- libxenstore: reading ---------------------------------------------- */

struct xs_handle *xs_open(unsigned long flags)
{
    assert(flags == 0 && !fake_xs.open);
    if (fake_xs.broken) {
        errno = ENOENT;
        return NULL;
    }
    fake_xs.open = true;
    return &the_handle;
}

void xs_close(struct xs_handle *handle)
{
    assert(handle == &the_handle && fake_xs.open && !fake_xs.in_transaction);
    fake_xs.open = false;
    fake_xs.num_watches = 0;
    fake_xs.num_events = 0;
}

int xs_fileno(struct xs_handle *handle)
{
    assert(handle == &the_handle && fake_xs.open);
    return FAKE_XS_FD;
}

/* True: the call fails, errno is set. */
static bool fails(int *code, unsigned int *good)
{
    assert(fake_xs.open);
    errno = fake_xs.broken ? EIO : 0;
    if (*code && (*good)-- == 0) {
        errno = *code;
        *code = 0;
    }
    return errno != 0;
}

static bool read_fails(void)
{
    return fails(&fake_xs.fail_read, &fake_xs.good_reads);
}

static bool write_fails(void)
{
    return fails(&fake_xs.fail_write, &fake_xs.good_writes);
}

/* What the transaction itself has done with @path; NULL: nothing. */
static const struct fake_xs_pending *pending(const char *path)
{
    for (unsigned int i = fake_xs.num_pending; i > 0; i--) {
        const struct fake_xs_pending *change = &fake_xs.pending[i - 1];

        if (change->removed ? is_below(path, change->path)
                            : strcmp(change->path, path) == 0) {
            return change;
        }
    }
    return NULL;
}

static void *copy_value(const char *value, unsigned int bytes,
                        unsigned int *ret_bytes)
{
    char *copy = malloc(bytes + 1); /* exactly, as libxenstore gives it */

    if (!copy) {
        abort();
    }
    memcpy(copy, value, bytes);
    copy[bytes] = '\0';
    *ret_bytes = bytes;
    return copy;
}

static void *read_node(const char *path, unsigned int *len)
{
    const struct fake_xs_pending *change = pending(path);
    const struct fake_xs_node *node = find(path);
    char domid[16];

    if (change && !change->removed) {
        return copy_value(change->value, change->bytes, len);
    }
    if (!change && node && !node->denied) {
        return copy_value(node->value, node->bytes, len);
    }
    errno = !change && node ? EACCES : ENOENT;
    snprintf(domid, sizeof(domid), "%u", fake_xs.domid);
    /* Every domain has it, unless the target makes another one. */
    if (!node && strlen(path) > 6 &&
        strcmp(path + strlen(path) - 6, "/domid") == 0) {
        return copy_value(domid, (unsigned int)strlen(domid), len);
    }
    return NULL;
}

void *xs_read(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, unsigned int *len)
{
    char full[FAKE_XS_PATH];
    void *value;
    int code;

    (void)handle;
    assert((transaction != XBT_NULL) == fake_xs.in_transaction);
    if (read_fails()) {
        return NULL;
    }
    absolute(path, full);
    value = read_node(full, len);
    code = errno;
    if (fake_xs.in_transaction && fake_xs_meanwhile) {
        fake_xs_meanwhile();
    }
    errno = code;
    return value;
}

char **xs_directory(struct xs_handle *handle, xs_transaction_t transaction,
                    const char *path, unsigned int *num)
{
    size_t names = FAKE_XS_NODES * sizeof(char *), bytes;
    unsigned int count = 0;
    char full[FAKE_XS_PATH];
    char **list, *text;

    (void)handle;
    (void)transaction;
    if (read_fails()) {
        return NULL;
    }
    absolute(path, full);
    if (!find(full)) {
        errno = ENOENT;
        return NULL;
    }
    list = malloc(names + (size_t)FAKE_XS_NODES * FAKE_XS_PATH);
    if (!list) {
        abort();
    }
    text = (char *)list + names;
    bytes = strlen(full);
    for (unsigned int i = 0; i < fake_xs.num_nodes; i++) {
        const struct fake_xs_node *node = &fake_xs.nodes[i];

        if (node->used && is_below(node->path, full) && node->path[bytes] &&
            !strchr(node->path + bytes + 1, '/')) {
            list[count++] = text;
            text = stpcpy(text, node->path + bytes + 1) + 1;
        }
    }
    *num = count;
    return list;
}

/* ---- libxenstore: writing ---------------------------------------------- */

static void apply(const char *path, const char *value, unsigned int bytes)
{
    if (fake_xs_commits) {
        fake_xs_commits(path, value);
    }
    if (value) {
        set(path, value, bytes);
    } else {
        drop(path);
    }
}

static bool change(const char *path, const char *value, unsigned int bytes)
{
    struct fake_xs_pending *at = &fake_xs.pending[fake_xs.num_pending];
    char full[FAKE_XS_PATH];

    if (write_fails()) {
        return false;
    }
    assert(bytes <= FAKE_XS_VALUE);
    absolute(path, full);
    if (!fake_xs.in_transaction) {
        apply(full, value, bytes);
        return true;
    }
    assert(fake_xs.num_pending < FAKE_XS_PENDING);
    fake_xs.num_pending++;
    memcpy(at->path, full, sizeof(at->path));
    at->removed = !value;
    at->bytes = bytes;
    if (value) {
        memcpy(at->value, value, bytes);
    }
    at->value[bytes] = '\0';
    return true;
}

bool xs_write(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, const void *data, unsigned int len)
{
    (void)handle;
    assert((transaction != XBT_NULL) == fake_xs.in_transaction);
    return change(path, data, len);
}

bool xs_rm(struct xs_handle *handle, xs_transaction_t transaction,
           const char *path)
{
    (void)handle;
    assert((transaction != XBT_NULL) == fake_xs.in_transaction);
    return change(path, NULL, 0);
}

/* Neither backend nor frontend does either. */
bool xs_mkdir(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path)
{
    (void)handle;
    (void)transaction;
    (void)path;
    abort();
}

bool xs_set_permissions(struct xs_handle *handle, xs_transaction_t transaction,
                        const char *path, struct xs_permissions *perms,
                        unsigned int num)
{
    (void)handle;
    (void)transaction;
    (void)path;
    (void)perms;
    (void)num;
    abort();
}

xs_transaction_t xs_transaction_start(struct xs_handle *handle)
{
    (void)handle;
    assert(!fake_xs.in_transaction);
    if (fake_xs.broken) {
        errno = EIO;
        return XBT_NULL;
    }
    fake_xs.in_transaction = true;
    fake_xs.conflict = false;
    fake_xs.num_pending = 0;
    return 1;
}

bool xs_transaction_end(struct xs_handle *handle, xs_transaction_t transaction,
                        bool abort)
{
    unsigned int count = fake_xs.num_pending;

    (void)handle;
    assert(transaction == 1 && fake_xs.in_transaction);
    fake_xs.in_transaction = false;
    fake_xs.num_pending = 0;
    if (fake_xs.broken) {
        errno = EIO;
        return false;
    }
    if (!abort && fake_xs.quarrels > 0) {
        fake_xs.quarrels--;
        fake_xs.conflict = true;
    }
    if (!abort && fake_xs.conflict) {
        errno = EAGAIN;
        return false;
    }
    for (unsigned int i = 0; !abort && i < count; i++) {
        const struct fake_xs_pending *at = &fake_xs.pending[i];

        apply(at->path, at->removed ? NULL : at->value, at->bytes);
    }
    return true;
}

/* ---- libxenstore: watches ---------------------------------------------- */

bool xs_watch(struct xs_handle *handle, const char *path, const char *token)
{
    struct fake_xs_event *watch = &fake_xs.watches[fake_xs.num_watches];

    (void)handle;
    if (write_fails()) {
        return false;
    }
    if (strlen(path) >= FAKE_XS_PATH) {
        errno = E2BIG;
        return false;
    }
    assert(fake_xs.num_watches < FAKE_XS_WATCHES);
    for (unsigned int i = 0; i < fake_xs.num_watches; i++) {
        if (strcmp(fake_xs.watches[i].path, path) == 0 &&
            strcmp(fake_xs.watches[i].token, token) == 0) {
            errno = EEXIST;
            return false;
        }
    }
    fake_xs.num_watches++;
    snprintf(watch->path, sizeof(watch->path), "%s", path);
    snprintf(watch->token, sizeof(watch->token), "%s", token);
    queue_event(watch, path);
    return true;
}

/* Events that are queued stay: nobody asked for XS_UNWATCH_FILTER. */
bool xs_unwatch(struct xs_handle *handle, const char *path, const char *token)
{
    (void)handle;
    if (write_fails()) {
        return false;
    }
    for (unsigned int i = 0; i < fake_xs.num_watches; i++) {
        struct fake_xs_event *watch = &fake_xs.watches[i];

        if (strcmp(watch->path, path) == 0 &&
            strcmp(watch->token, token) == 0) {
            *watch = fake_xs.watches[--fake_xs.num_watches];
            return true;
        }
    }
    errno = ENOENT;
    return false;
}

char **xs_check_watch(struct xs_handle *handle)
{
    const struct fake_xs_event *event = &fake_xs.events[fake_xs.first_event];
    char **vector, *text;

    (void)handle;
    if (fake_xs.broken) {
        errno = EIO;
        return NULL;
    }
    if (fake_xs.num_events == 0) {
        errno = EAGAIN;
        return NULL;
    }
    vector = malloc(2 * sizeof(*vector) + strlen(event->path) + 1 +
                    strlen(event->token) + 1);
    if (!vector) {
        abort();
    }
    text = (char *)(vector + 2);
    vector[XS_WATCH_PATH] = text;
    vector[XS_WATCH_TOKEN] = stpcpy(text, event->path) + 1;
    memcpy(vector[XS_WATCH_TOKEN], event->token, strlen(event->token) + 1);
    fake_xs.first_event = (fake_xs.first_event + 1) % FAKE_XS_EVENTS;
    fake_xs.num_events--;
    return vector;
}
