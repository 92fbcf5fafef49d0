/* SPDX-License-Identifier: MIT */
/*
 * test_backend_store.h: a xenstore and granted pages in this process, behind
 * the interfaces of store.h, grant.h and port.h, so that the supervisor runs
 * unchanged.  It runs in a thread of its own; one lock guards everything, but
 * what a test sets or looks at by itself, which is atomic.
 */
#ifndef TEST_BACKEND_STORE_H
#define TEST_BACKEND_STORE_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "grant.h"
#include "handshake.h"
#include "port.h"
#include "store.h"

#define FAKE_NODES 512
#define FAKE_WATCHES 64
#define FAKE_EVENTS 4096

/* Nodes by absolute path; a directory is there if something in it is. */
struct fake_node {
    char path[128];
    char value[512];
};

struct fake_pair {
    char path[128]; /* of an event: as the watch was given */
    char token[64];
};

struct hcl_store {
    struct fake_node nodes[FAKE_NODES];
    unsigned int num_nodes;
    struct fake_pair watches[FAKE_WATCHES];
    _Atomic unsigned int num_watches;
    struct fake_pair events[FAKE_EVENTS];
    unsigned int first_event, num_events;
    _Atomic unsigned int transactions;
    bool in_transaction;
    bool open;
    int fd; /* eventfd, a count of events */
};

static struct hcl_store fake;
static const char *_Atomic fake_no_read;  /* a node that cannot be read */
static const char *_Atomic fake_no_write; /* or written */
static _Atomic bool fake_deaf;            /* events do not come through */
static _Atomic unsigned int fake_fives;   /* times that state 5 was written */
static _Atomic unsigned int fake_alone; /* lives read, but with nothing else */
/* A node that all first reads find missing; then the commit fails. */
static const char *_Atomic fake_late;
static const char *fake_no_node; /* now, under the lock */
static pthread_mutex_t fake_lock;

static void fake_init(void)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&fake_lock, &attr);
}

/* The one domain that this store knows as its own is 0. */
static void fake_path(char *buf, size_t size, const char *dir, const char *node)
{
    snprintf(buf, size, "%s%s%s%s", dir[0] == '/' ? "" : "/local/domain/0/",
             dir, node[0] ? "/" : "", node);
}

static bool fake_below(const char *path, const char *dir)
{
    size_t length = strlen(dir);

    return strncmp(path, dir, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

static void fake_queue(const char *path, const char *token)
{
    struct fake_pair *event =
        &fake.events[(fake.first_event + fake.num_events) % FAKE_EVENTS];
    uint64_t one = 1;

    if (fake.num_events == FAKE_EVENTS) {
        abort();
    }
    fake.num_events++;
    snprintf(event->path, sizeof(event->path), "%s", path);
    snprintf(event->token, sizeof(event->token), "%s", token);
    if (write(fake.fd, &one, sizeof(one)) < 0) {
        abort();
    }
}

/* A change of @path: every watch at or above it, or below what is removed. */
static void fake_fire(const char *path, bool removed)
{
    for (unsigned int i = 0; fake.open && i < fake.num_watches; i++) {
        const struct fake_pair *watch = &fake.watches[i];
        char absolute[256];
        size_t skip;

        fake_path(absolute, sizeof(absolute), watch->path, "");
        skip = strlen(absolute) - strlen(watch->path);
        if (fake_below(path, absolute)) {
            fake_queue(path + skip, watch->token);
        } else if (removed && fake_below(absolute, path)) {
            fake_queue(watch->path, watch->token);
        }
    }
}

static struct fake_node *fake_find(const char *path)
{
    for (unsigned int i = 0; i < fake.num_nodes; i++) {
        if (strcmp(fake.nodes[i].path, path) == 0) {
            return &fake.nodes[i];
        }
    }
    return NULL;
}

static void fake_set(const char *path, const char *value)
{
    struct fake_node *node;

    pthread_mutex_lock(&fake_lock);
    node = fake_find(path);
    if (!node) {
        if (fake.num_nodes == FAKE_NODES) {
            abort();
        }
        node = &fake.nodes[fake.num_nodes++];
        snprintf(node->path, sizeof(node->path), "%s", path);
    }
    snprintf(node->value, sizeof(node->value), "%s", value);
    fake_fire(path, false);
    pthread_mutex_unlock(&fake_lock);
}

static void fake_remove(const char *path)
{
    bool any = false;

    pthread_mutex_lock(&fake_lock);
    for (unsigned int i = 0; i < fake.num_nodes;) {
        if (fake_below(fake.nodes[i].path, path)) {
            fake.nodes[i] = fake.nodes[--fake.num_nodes];
            any = true;
        } else {
            i++;
        }
    }
    if (any) {
        fake_fire(path, true);
    }
    pthread_mutex_unlock(&fake_lock);
}

/* Copies the value; false: no such node. */
static bool fake_get(const char *path, char *buf, size_t size)
{
    const struct fake_node *node;

    pthread_mutex_lock(&fake_lock);
    node = fake_find(path);
    if (node) {
        snprintf(buf, size, "%s", node->value);
    }
    pthread_mutex_unlock(&fake_lock);
    return node;
}

/* ---- store.h ------------------------------------------------------------ */

int hcl_store_open(struct hcl_store **ret_store, struct hcl_err *err)
{
    (void)err;
    pthread_mutex_lock(&fake_lock);
    fake.open = true;
    fake.num_watches = 0;
    fake.num_events = 0;
    fake.fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_unlock(&fake_lock);
    *ret_store = &fake;
    return 0;
}

void hcl_store_free(struct hcl_store *store)
{
    if (store) {
        pthread_mutex_lock(&fake_lock);
        fake.open = false;
        close(fake.fd);
        pthread_mutex_unlock(&fake_lock);
    }
}

int hcl_store_fd(struct hcl_store *store)
{
    return store->fd;
}

unsigned int hcl_store_watches(const struct hcl_store *store)
{
    return store->num_watches;
}

int hcl_store_read(struct hcl_store *store, const char *dir, const char *node,
                   char *buf, size_t size, struct hcl_err *err)
{
    char path[256];

    (void)store;
    fake_path(path, sizeof(path), dir, node);
    if (fake_no_read && strcmp(node, fake_no_read) == 0) {
        return hcl_err_sys(err, -EIO, "cannot read %s", path);
    }
    if ((fake_no_node && strcmp(node, fake_no_node) == 0) ||
        !fake_get(path, buf, size)) {
        return hcl_err_sys(err, -ENOENT, "cannot read %s", path);
    }
    return 0;
}

int hcl_store_read_u32(struct hcl_store *store, const char *dir,
                       const char *node, uint32_t min, uint32_t max,
                       uint32_t *ret_value, struct hcl_err *err)
{
    char text[64];
    char *end;
    unsigned long value;
    int rc = hcl_store_read(store, dir, node, text, sizeof(text), err);

    if (rc < 0) {
        return rc;
    }
    value = strtoul(text, &end, 10);
    if (end == text || *end || value < min || value > max) {
        return hcl_err_set(err, -EBADMSG, "%s/%s is \"%s\"", dir, node, text);
    }
    *ret_value = (uint32_t)value;
    return 0;
}

int hcl_store_read_id64(struct hcl_store *store, const char *dir,
                        const char *node, uint64_t *ret_value,
                        struct hcl_err *err)
{
    char text[64];
    char *end;
    uint64_t value;
    int rc = hcl_store_read(store, dir, node, text, sizeof(text), err);

    fake_alone += !store->in_transaction;

    if (rc < 0) {
        return rc;
    }
    value = strtoull(text, &end, 16);
    if (strlen(text) != 16 || *end) {
        return hcl_err_set(err, -EBADMSG, "%s/%s is \"%s\"", dir, node, text);
    }
    *ret_value = value;
    return 0;
}

int hcl_store_read_state(struct hcl_store *store, const char *dir,
                         unsigned int *ret_state, struct hcl_err *err)
{
    uint32_t state = 0;
    int rc = hcl_store_read_u32(store, dir, "state", 0, 6, &state, err);

    *ret_state = rc == 0 ? state : rc == -ENOENT ? 0 : HCL_STATE_ILLEGAL;
    return 0;
}

int hcl_store_list(struct hcl_store *store, const char *dir, unsigned int max,
                   char ***ret_names, unsigned int *ret_count,
                   struct hcl_err *err)
{
    char **names = calloc(1, FAKE_NODES * (sizeof(char *) + 64));
    char *text = (char *)(names + FAKE_NODES);
    char path[256];
    size_t length;
    unsigned int count = 0;

    (void)store;
    (void)max;
    fake_path(path, sizeof(path), dir, "");
    length = strlen(path);
    pthread_mutex_lock(&fake_lock);
    for (unsigned int i = 0; i < fake.num_nodes; i++) {
        const char *rest = fake.nodes[i].path + length + 1;
        unsigned int j = 0;

        if (!fake_below(fake.nodes[i].path, path) ||
            fake.nodes[i].path[length] == '\0') {
            continue;
        }
        snprintf(text, 64, "%.*s", (int)strcspn(rest, "/"), rest);
        while (j < count && strcmp(names[j], text) != 0) {
            j++;
        }
        if (j == count) {
            names[count++] = text;
            text += 64;
        }
    }
    pthread_mutex_unlock(&fake_lock);
    if (count == 0) {
        free(names);
        return hcl_err_sys(err, -ENOENT, "cannot list %s", path);
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}

int hcl_store_write(struct hcl_store *store, const char *dir, const char *node,
                    struct hcl_err *err, const char *fmt, ...)
{
    char path[256];
    char value[HCL_STORE_VALUE];
    va_list args;

    (void)store;
    if (fake_no_write && strcmp(node, fake_no_write) == 0) {
        return hcl_err_sys(err, -ENOSPC, "cannot write %s", node);
    }
    va_start(args, fmt);
    vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    fake_path(path, sizeof(path), dir, node);
    fake_set(path, value);
    fake_fives += strcmp(node, "state") == 0 && strcmp(value, "5") == 0;
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
    (void)store;
    (void)dir;
    return hcl_err_set(err, -ENOSYS, "no mkdir");
}

int hcl_store_remove(struct hcl_store *store, const char *dir, const char *node,
                     struct hcl_err *err)
{
    char path[256];

    (void)store;
    (void)err;
    fake_path(path, sizeof(path), dir, node);
    fake_remove(path);
    return 0;
}

int hcl_store_permit(struct hcl_store *store, const char *dir, const char *node,
                     uint32_t owner, uint32_t reader, struct hcl_err *err)
{
    (void)store;
    (void)dir;
    (void)node;
    (void)owner;
    (void)reader;
    return hcl_err_set(err, -ENOSYS, "no permit");
}

/* One at a time: there are no conflicts but those that a test asks for. */
int hcl_store_transact(struct hcl_store *store,
                       int (*fn)(struct hcl_store *store, void *arg,
                                 struct hcl_err *err),
                       void *arg, struct hcl_err *err)
{
    const char *late = fake_late;
    int rc = 0;

    pthread_mutex_lock(&fake_lock);
    store->transactions++;
    store->in_transaction = true;
    if (late) {
        fake_no_node = late;
        rc = fn(store, arg, err);
        fake_no_node = NULL;
    }
    if (rc == 0) {
        rc = fn(store, arg, err);
    }
    store->in_transaction = false;
    pthread_mutex_unlock(&fake_lock);
    return rc;
}

int hcl_store_watch(struct hcl_store *store, const char *path,
                    const char *token, struct hcl_err *err)
{
    struct fake_pair *watch;

    (void)err;
    pthread_mutex_lock(&fake_lock);
    watch = &store->watches[store->num_watches++];
    snprintf(watch->path, sizeof(watch->path), "%s", path);
    snprintf(watch->token, sizeof(watch->token), "%s", token);
    fake_queue(path, token);
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

void hcl_store_unwatch(struct hcl_store *store, const char *path,
                       const char *token)
{
    pthread_mutex_lock(&fake_lock);
    for (unsigned int i = 0; i < store->num_watches; i++) {
        if (strcmp(store->watches[i].path, path) == 0 &&
            strcmp(store->watches[i].token, token) == 0) {
            store->watches[i] = store->watches[--store->num_watches];
            break;
        }
    }
    pthread_mutex_unlock(&fake_lock);
}

int hcl_store_next_event(struct hcl_store *store, char *ret_path,
                         char *ret_token, struct hcl_err *err)
{
    struct fake_pair *event = &store->events[store->first_event];
    uint64_t one;
    int rc = 0;

    (void)err;
    pthread_mutex_lock(&fake_lock);
    if (!fake_deaf && store->num_events > 0 &&
        read(store->fd, &one, sizeof(one)) == sizeof(one)) {
        snprintf(ret_path, HCL_STORE_PATH, "%s", event->path);
        snprintf(ret_token, HCL_STORE_PATH, "%s", event->token);
        store->first_event = (store->first_event + 1) % FAKE_EVENTS;
        store->num_events--;
        rc = 1;
    }
    pthread_mutex_unlock(&fake_lock);
    return rc;
}

int hcl_store_domid(struct hcl_store *store, uint32_t *ret_domid,
                    struct hcl_err *err)
{
    (void)store;
    (void)err;
    *ret_domid = 0;
    return 0;
}

/* ---- grant.h and port.h: what the supervisor needs ---------------------- */

#define FAKE_CONTROL_REF 8
#define FAKE_NO_REF UINT32_MAX

static uint8_t fake_control[4096]; /* what FAKE_CONTROL_REF grants */
static _Atomic uint32_t fake_bad_ref = FAKE_NO_REF;
static _Atomic int fake_open_handles; /* gntdevs and ports */
static _Atomic uint32_t fake_mapped;  /* pages, at the end of a gntdev */
static _Atomic int fake_restricted;   /* to whom the last ports sent were */
static _Atomic bool fake_no_gntdev;
static bool fake_bad_range; /* of what was registered last */
static _Atomic unsigned int fake_maps;
static _Atomic unsigned int fake_control_reads; /* one for each connect */

int hcl_gntdev_open(struct hcl_gntdev *gntdev, struct hcl_err *err)
{
    if (fake_no_gntdev) {
        return hcl_err_sys(err, -EMFILE, "cannot open gntdev");
    }
    gntdev->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    gntdev->registered = 0;
    gntdev->mapped = 0;
    fake_open_handles++;
    return 0;
}

void hcl_gntdev_close(struct hcl_gntdev *gntdev)
{
    if (gntdev->fd >= 0) {
        close(gntdev->fd);
        gntdev->fd = -1;
        fake_open_handles--;
        fake_mapped += gntdev->mapped;
    }
}

int hcl_gntdev_register(struct hcl_gntdev *gntdev, uint32_t domid,
                        const uint32_t *refs, uint32_t count,
                        uint64_t *ret_offset, struct hcl_err *err)
{
    (void)domid;
    (void)err;
    gntdev->registered += count;
    fake_bad_range = false;
    for (uint32_t i = 0; i < count; i++) {
        fake_bad_range = fake_bad_range || refs[i] == fake_bad_ref;
    }
    *ret_offset = (uint64_t)refs[0] << 12;
    return 0;
}

void hcl_gntdev_unregister(struct hcl_gntdev *gntdev, uint64_t offset,
                           uint32_t count)
{
    (void)offset;
    gntdev->registered -= count;
}

int hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t count,
                   bool writable, void **ret_pages, struct hcl_err *err)
{
    (void)writable;
    (void)offset;
    fake_maps++;
    if (fake_bad_range) {
        return hcl_err_sys(err, -EINVAL, "cannot map");
    }
    gntdev->mapped += count;
    *ret_pages = fake_control;
    return 0;
}

void hcl_gntdev_unmap(struct hcl_gntdev *gntdev, void *pages, uint32_t count)
{
    (void)pages;
    gntdev->mapped -= count;
}

int hcl_gntdev_notify(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t byte,
                      uint32_t port, struct hcl_err *err)
{
    (void)gntdev;
    (void)offset;
    (void)byte;
    (void)port;
    return hcl_err_set(err, -ENOSYS, "no notify");
}

int hcl_gntdev_read(struct hcl_gntdev *gntdev, uint32_t domid,
                    const uint32_t *refs, uint32_t count, void *buffer,
                    struct hcl_err *err)
{
    (void)gntdev;
    (void)domid;
    fake_control_reads++;
    if (count != 1 || refs[0] != FAKE_CONTROL_REF) {
        return hcl_err_sys(err, -EINVAL, "cannot map %u granted pages", count);
    }
    pthread_mutex_lock(&fake_lock);
    memcpy(buffer, fake_control, sizeof(fake_control));
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

struct hcl_ports {
    int fd;
    int domid; /* or -1 */
};

int hcl_ports_open(struct hcl_ports **ret_ports, struct hcl_err *err)
{
    (void)err;
    *ret_ports = malloc(sizeof(**ret_ports));
    (*ret_ports)->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    (*ret_ports)->domid = -1;
    fake_open_handles++;
    return 0;
}

void hcl_ports_free(struct hcl_ports *ports)
{
    if (ports) {
        close(ports->fd);
        free(ports);
        fake_open_handles--;
    }
}

int hcl_ports_restrict(struct hcl_ports *ports, uint32_t domid,
                       struct hcl_err *err)
{
    (void)err;
    ports->domid = (int)domid;
    return 0;
}

/* Only to be sent to a worker. */
int hcl_ports_fd(const struct hcl_ports *ports)
{
    fake_restricted = ports->domid;
    return ports->fd;
}

#endif /* TEST_BACKEND_STORE_H */
