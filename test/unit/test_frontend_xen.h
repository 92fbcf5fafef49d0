/* SPDX-License-Identifier: MIT */
/*
 * A Xen for tests of the frontend, in the same process: xenstore, grants and
 * event channels stand before those of the real libraries, and a backend acts
 * whenever the frontend has written or rung.  Everything is deterministic: the
 * backend runs inside the frontend's calls, never beside them.
 *
 * Shared pages are memfds, so that mapping, moving and unmapping them is real.
 */
#ifndef TEST_FRONTEND_XEN_H
#define TEST_FRONTEND_XEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoollog.h>

#include "hclif.h"
#include "layout.h"
#include "ring.h"

#define PAGE ((size_t)4096)
#define MAX_NODES 128
#define MAX_WATCHES 8
#define MAX_EVENTS 512
#define MAX_REFS 256
#define MAX_HELD 256

/* ---- xenstore ---------------------------------------------------------- */

struct xs_handle {
    int fds[2]; /* one byte for each event */
};

static struct {
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
    unsigned int writes; /* of the frontend */
    bool broken;         /* the connection is lost */
    char states[256];    /* the frontend's, in order, as digits */
} store;

static void backend_act(void);

static void absolute(const char *path, char *full)
{
    if (path[0] == '/') {
        snprintf(full, 128, "%.127s", path);
    } else {
        snprintf(full, 128, "/local/domain/%u/%.90s", store.domid, path);
    }
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && (!path[len] || path[len] == '/');
}

static void fire(unsigned int watch, const char *path)
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

static void changed(const char *path)
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

static char *node_value(const char *path)
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

static void node_remove(const char *dir)
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
    static char domid[16];
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
    return strdup(value);
}

char **xs_directory(struct xs_handle *handle, xs_transaction_t transaction,
                    const char *path, unsigned int *num)
{
    static char names[MAX_NODES][128];
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
    store.writes++;
    node_set(full, "%.*s", (int)len, (const char *)data);
    if (strstr(path, "/state")) {
        strncat(store.states, data, 1);
    }
    if (!store.in_transaction) {
        backend_act();
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

/* ---- Grants ------------------------------------------------------------ */

struct xengntdev_handle {
    int fd;
};

static struct {
    struct xengntdev_handle handle;
    unsigned int handles;
    uint32_t next_ref, limit; /* pages that may be shared */
    struct {
        int fd; /* -1: none */
        uint32_t page;
        uint32_t domid;
        bool writable;
    } refs[MAX_REFS];
} grants;

xengntshr_handle *xengntshr_open(xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    grants.handle.fd = open("/dev/null", O_RDWR);
    grants.handles++;
    return &grants.handle;
}

int xengntshr_close(xengntshr_handle *handle)
{
    grants.handles--;
    return close(handle->fd);
}

int xengntshr_fd(xengntshr_handle *handle)
{
    return handle->fd;
}

void *xengntshr_share_pages(xengntshr_handle *handle, uint32_t domid, int count,
                            uint32_t *refs, int writable)
{
    uint32_t i, ref;
    void *pages;
    int fd;

    (void)handle;
    if (grants.limit < (uint32_t)count) {
        errno = ENOSPC;
        return NULL;
    }
    grants.limit -= (uint32_t)count;
    fd = memfd_create("hcl-shared", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(count * (int)PAGE)), 0);
    pages = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                 fd, 0);
    assert_true(pages != MAP_FAILED);
    for (i = 0; i < (uint32_t)count; i++) {
        ref = grants.next_ref++ % MAX_REFS;
        if (grants.refs[ref].fd >= 0) {
            close(grants.refs[ref].fd);
        }
        grants.refs[ref].fd = dup(fd);
        grants.refs[ref].page = i;
        grants.refs[ref].domid = domid;
        grants.refs[ref].writable = writable;
        refs[i] = ref;
    }
    close(fd);
    return pages;
}

void *xengntshr_share_page_notify(xengntshr_handle *handle, uint32_t domid,
                                  uint32_t *ref, int writable,
                                  uint32_t notify_offset,
                                  evtchn_port_t notify_port)
{
    assert_int_equal(notify_offset, 0);
    assert_int_equal(notify_port, UINT32_MAX);
    return xengntshr_share_pages(handle, domid, 1, ref, writable);
}

int xengntshr_unshare(xengntshr_handle *handle, void *pages, uint32_t count)
{
    (void)handle;
    return munmap(pages, count * PAGE);
}

/* The backend's own mapping of @count pages. */
static void *map_refs(const uint32_t *refs, uint32_t count, bool writable)
{
    uint8_t *pages =
        mmap(NULL, count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t i;

    assert_true(pages != MAP_FAILED);
    for (i = 0; i < count; i++) {
        assert_true(refs[i] < MAX_REFS && grants.refs[refs[i]].fd >= 0);
        assert_int_equal(grants.refs[refs[i]].writable, writable);
        assert_true(mmap(pages + i * PAGE, PAGE,
                         writable ? PROT_READ | PROT_WRITE : PROT_READ,
                         MAP_SHARED | MAP_FIXED, grants.refs[refs[i]].fd,
                         (off_t)(grants.refs[refs[i]].page * PAGE)) !=
                    MAP_FAILED);
    }
    return pages;
}

/* How many mappings of shared pages this process has. */
static unsigned int shared_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned int count = 0;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        count += strstr(line, "memfd:hcl-shared") != NULL;
    }
    fclose(maps);
    return count;
}

/* ---- Event channels ---------------------------------------------------- */

struct xenevtchn_handle {
    int fds[2]; /* ours, the hypervisor's */
};

static struct {
    unsigned int opened, closed;
    struct xenevtchn_handle *last;
    evtchn_port_t port;
    bool lost; /* after a restore: a close would be a BUG in the kernel */
    unsigned int notified;
} events;

static unsigned int handles_used;

static void backend_serve(void);

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
                                 unsigned int flags)
{
    /* Not allocated: a parked one is never freed. */
    static struct xenevtchn_handle handles[1024];
    struct xenevtchn_handle *handle = &handles[handles_used++ % 1024];

    (void)logger;
    (void)flags;
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                handle->fds),
                     0);
    events.opened++;
    events.last = handle;
    return handle;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
                                   unsigned int flags)
{
    (void)logger;
    (void)fd;
    (void)flags;
    fail_msg("the frontend adopts an event channel handle");
    return NULL;
}

int xenevtchn_close(xenevtchn_handle *handle)
{
    assert_false(events.lost);
    if (events.last == handle) {
        events.last = NULL;
    }
    close(handle->fds[0]);
    close(handle->fds[1]);
    events.closed++;
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    return handle->fds[0];
}

int xenevtchn_restrict(xenevtchn_handle *handle, domid_t domid)
{
    (void)handle;
    (void)domid;
    return -1;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    assert_int_equal(port, events.port);
    events.notified++;
    backend_serve();
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *handle,
                                                      uint32_t domid)
{
    (void)handle;
    (void)domid;
    return (xenevtchn_port_or_error_t)(events.port = 14);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle,
                                                     uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    (void)handle;
    (void)domid;
    (void)remote_port;
    return -1;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    (void)port;
    assert_false(events.lost);
    return 0;
}

/* An event for the frontend. */
static void send_event(void)
{
    uint32_t port = events.port;

    if (events.last) {
        (void)!write(events.last->fds[1], &port, sizeof(port));
    }
}

/* ---- The backend ------------------------------------------------------- */

/* What it does with requests. */
enum backend_mode {
    ANSWER, /* READ: 'r'; EXCHANGE: the payload; all others OK */
    HOLD,   /* keeps them in held[] */
};

static struct {
    enum backend_mode mode;
    bool passive; /* leaves the handshake alone */
    bool deaf;    /* does not answer 5 */
    uint64_t generation;
    uint32_t state;
    /* While it has mapped. */
    bool mapped;
    struct hcl_layout layout;
    uint8_t *ro, *rw;
    uint64_t incarnation;
    struct hcl_consumer in;
    struct hcl_producer out;
    struct hclif_request held[MAX_HELD];
    unsigned int num_held;
    unsigned int served; /* requests but OPEN, CLOSE and CANCEL */
    uint16_t cancel_status;
    const char *cancel_data; /* what a cancelled request brings */
} backend;

static char front_dir[64], back_dir[64];

static const char *front(const char *node)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", front_dir, node);
    return path;
}

static const char *back(const char *node)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", back_dir, node);
    return path;
}

static uint32_t front_state(void)
{
    const char *value = node_value(front("state"));

    return value ? (uint32_t)atoi(value) : 0;
}

static void backend_state(uint32_t state)
{
    backend.state = state;
    node_set(back("state"), "%u", state);
}

static struct hclif_side *backend_side(void)
{
    return (struct hclif_side *)backend.rw;
}

static void backend_unmap(void)
{
    if (backend.mapped) {
        backend_side()->alive = 0;
        munmap(backend.ro, hcl_layout_ro_pages(&backend.layout) * PAGE);
        munmap(backend.rw, hcl_layout_rw_pages(&backend.layout) * PAGE);
        backend.mapped = false;
    }
    backend.num_held = 0;
}

static void backend_map(void)
{
    static const struct hcl_limits limits = {1, 6, 1024, 16};
    static uint32_t refs[HCL_MAX_REFS];
    uint32_t ref = (uint32_t)atoi(node_value(front("control-ref")));
    struct hclif_control *control = map_refs(&ref, 1, false);
    struct hcl_layout *l = &backend.layout;
    struct hcl_err err;

    backend.incarnation = strtoull(node_value(front("incarnation")), NULL, 16);
    assert_int_equal(hcl_control_check(control, &limits, 1, backend.generation,
                                       backend.incarnation, l, &err),
                     0);
    assert_int_equal(hcl_control_refs(control, NULL, ref, l, refs, &err), 0);
    munmap(control, PAGE);
    backend.ro = map_refs(refs, hcl_layout_ro_pages(l), false);
    backend.rw =
        map_refs(refs + hcl_layout_ro_pages(l), hcl_layout_rw_pages(l), true);
    assert_int_equal(((struct hclif_side *)backend.ro)->alive, 1);
    backend_side()->alive = 1;
    hcl_consumer_init(&backend.in, backend.ro + hcl_layout_ring_offset(l, 0),
                      hcl_layout_slots(l), &backend_side()->event[0].position);
    hcl_producer_init(&backend.out, backend.rw + hcl_layout_ring_offset(l, 0),
                      hcl_layout_slots(l),
                      &((struct hclif_side *)backend.ro)->event[0].position);
    backend.mapped = true;
}

/* The table of doc/protocol.md 2.4, as far as the tests need it. */
static void backend_act(void)
{
    char generation[32];
    uint32_t own = front_state();
    const char *answers = node_value(front("generation"));

    if (backend.passive) {
        return;
    }
    snprintf(generation, sizeof(generation), "%016" PRIx64, backend.generation);
    if (backend.state == 2 && own == 3 && answers &&
        strcmp(answers, generation) == 0) {
        backend_map();
        node_set(back("incarnation"), "%016" PRIx64, backend.incarnation);
        backend_state(4);
    } else if (backend.state == 4 && own != 3 && own != 4 && !backend.deaf) {
        backend_state(5);
        backend_unmap();
        node_remove(back("incarnation"));
        backend_state(2);
    }
}

/* A new life that is ready: all that it advertises, then state 2. */
static void backend_start(void)
{
    backend.generation++;
    node_set(back("class"), "echo");
    node_set(back("versions"), "1");
    node_set(back("generation"), "%016" PRIx64, backend.generation);
    node_set(back("max-queues"), "1");
    node_set(back("max-ring-page-order"), "2");
    node_set(back("max-pool-pages"), "64");
    node_set(back("max-handles"), "4");
    node_set(back("idempotent"), "3,5");
    node_remove(back("incarnation"));
    backend_state(2);
}

/* Dies: unmapped, and a supervisor says that nobody serves. */
static void backend_die(void)
{
    backend_unmap();
    backend_state(1);
    send_event();
}

static void backend_answer(uint32_t tag, uint16_t status, const void *data,
                           uint32_t bytes)
{
    struct hclif_completion completion = {
        .tag = tag,
        .status = status,
        .rx_bytes = bytes,
    };

    if (data && bytes <= sizeof(completion.data)) {
        memcpy(completion.data, data, bytes);
    }
    hcl_producer_put(&backend.out, &completion);
    if (hcl_producer_notify(&backend.out)) {
        send_event();
    }
}

static void backend_do(const struct hclif_request *request)
{
    static uint8_t bytes[1 << 20];
    const uint8_t *tx = request->data;
    uint8_t *rx = backend.rw + hcl_layout_pool_offset(&backend.layout) +
                  request->rx_offset;
    uint32_t count = request->rx_bytes;

    backend.served++;
    if (request->flags & HCLIF_TX_POOL) {
        tx = backend.ro + hcl_layout_pool_offset(&backend.layout) +
             request->tx_offset;
    }
    memset(bytes, 'r', sizeof(bytes));
    if (request->opcode == HCLIF_OP_EXCHANGE) {
        count = request->tx_bytes < count ? request->tx_bytes : count;
        memcpy(bytes, tx, count);
    } else if (request->opcode != HCLIF_OP_READ) {
        count = 0;
    }
    if (request->flags & HCLIF_RX_POOL) {
        memcpy(rx, bytes, count);
        backend_answer(request->tag, HCLIF_STATUS_OK, NULL, count);
    } else {
        backend_answer(request->tag, HCLIF_STATUS_OK, bytes, count);
    }
}

static void backend_cancel(uint32_t tag)
{
    unsigned int i;

    for (i = 0; i < backend.num_held; i++) {
        if (backend.held[i].tag == tag) {
            backend.held[i] = backend.held[--backend.num_held];
            backend_answer(tag, backend.cancel_status, backend.cancel_data,
                           backend.cancel_data
                               ? (uint32_t)strlen(backend.cancel_data)
                               : 0);
        }
    }
}

static void backend_serve(void)
{
    struct hclif_request request;

    while (backend.mapped &&
           (hcl_consumer_take(&backend.in, &request) == HCL_TAKE_SLOT ||
            !hcl_consumer_arm(&backend.in))) {
        switch (request.opcode) {
        case HCLIF_OP_CANCEL:
            backend_cancel((uint32_t)request.argument);
            __attribute__((fallthrough));
        case HCLIF_OP_OPEN:
        case HCLIF_OP_CLOSE:
            backend_answer(request.tag, HCLIF_STATUS_OK, NULL, 0);
            break;
        default:
            if (backend.mode == HOLD) {
                assert_true(backend.num_held < MAX_HELD);
                backend.held[backend.num_held++] = request;
            } else {
                backend_do(&request);
            }
        }
    }
}

/* What the toolstack writes for a guest that is domain @domid. */
static void attach(uint32_t domid)
{
    store.domid = domid;
    snprintf(front_dir, sizeof(front_dir), "/local/domain/%u/device/hcl/0",
             domid);
    snprintf(back_dir, sizeof(back_dir), "/local/domain/0/backend/hcl/%u/0",
             domid);
    node_set(back("device"), "dev0");
    node_set(back("state"), "1");
    node_set(front("backend"), "%s", back_dir);
    node_set(front("backend-id"), "0");
    node_set(front("device"), "dev0");
    node_set(front("state"), "1");
}

static void detach(void)
{
    node_remove(back_dir);
    node_remove(front_dir);
}

/* An empty host with one guest, one device and a backend that is ready. */
static void world_make(void)
{
    unsigned int i;

    memset(&store, 0, sizeof(store));
    memset(&events, 0, sizeof(events));
    memset(&backend, 0, sizeof(backend));
    for (i = 0; i < MAX_REFS; i++) {
        if (grants.next_ref && grants.refs[i].fd >= 0) {
            close(grants.refs[i].fd);
        }
        grants.refs[i].fd = -1;
    }
    grants.limit = 1 << 20;
    grants.next_ref++;
    backend.generation = 0x91b0d2b5f4a98d11;
    backend.cancel_status = HCLIF_STATUS_CANCELLED;
    attach(1);
    backend_start();
}

static void world_end(void)
{
    unsigned int i;

    backend_unmap();
    for (i = 0; i < MAX_REFS; i++) {
        if (grants.refs[i].fd >= 0) {
            close(grants.refs[i].fd);
        }
        grants.refs[i].fd = -1;
    }
}

#endif /* TEST_FRONTEND_XEN_H */
