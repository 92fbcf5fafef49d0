/* SPDX-License-Identifier: MIT */
/*
 * A backend and a toolstack for tests of the frontend, over the Xen of
 * test_frontend_xen.h, and a program that uses libhcl.
 */
#ifndef TEST_FRONTEND_BACKEND_H
#define TEST_FRONTEND_BACKEND_H

#include "test_frontend_xen.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "hcl.h"

/* What it does with requests. */
enum backend_mode {
    ANSWER, /* READ: 'r'; EXCHANGE: the payload; all others OK */
    HOLD,   /* keeps them in held[] */
    IGNORE, /* takes none from the ring */
};

static _Thread_local struct {
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

static _Thread_local unsigned int own_devid;
static _Thread_local char front_dir[64], back_dir[64];

__attribute__((unused)) static const char *front(const char *node)
{
    static _Thread_local char path[128];

    snprintf(path, sizeof(path), "%s/%s", front_dir, node);
    return path;
}

__attribute__((unused)) static const char *back(const char *node)
{
    static _Thread_local char path[128];

    snprintf(path, sizeof(path), "%s/%s", back_dir, node);
    return path;
}

__attribute__((unused)) static uint32_t front_state(void)
{
    const char *value = node_value(front("state"));

    return value ? (uint32_t)atoi(value) : 0;
}

__attribute__((unused)) static void backend_state(uint32_t state)
{
    backend.state = state;
    node_set(back("state"), "%u", state);
}

__attribute__((unused)) static struct hclif_side *backend_side(void)
{
    return (struct hclif_side *)backend.rw;
}

__attribute__((unused)) static void backend_unmap(void)
{
    if (backend.mapped) {
        backend_side()->alive = 0;
        munmap(backend.ro, hcl_layout_ro_pages(&backend.layout) * PAGE);
        munmap(backend.rw, hcl_layout_rw_pages(&backend.layout) * PAGE);
        backend.mapped = false;
    }
    backend.num_held = 0;
}

__attribute__((unused)) static void backend_map(void)
{
    static const struct hcl_limits limits = {1, 6, 1024, 16};
    static _Thread_local uint32_t refs[HCL_MAX_REFS];
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
__attribute__((unused)) static void backend_act(void)
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
__attribute__((unused)) static void backend_start(void)
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
__attribute__((unused)) static void backend_die(void)
{
    backend_unmap();
    backend_state(1);
    send_event();
}

__attribute__((unused)) static void
backend_answer(uint32_t tag, uint16_t status, const void *data, uint32_t bytes)
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

__attribute__((unused)) static void
backend_do(const struct hclif_request *request)
{
    static _Thread_local uint8_t bytes[1 << 20];
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

__attribute__((unused)) static void backend_cancel(uint32_t tag)
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

__attribute__((unused)) static void backend_serve(void)
{
    struct hclif_request request;

    while (backend.mapped && backend.mode != IGNORE &&
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
__attribute__((unused)) static void attach(uint32_t domid)
{
    char kind[64];

    store.domid = domid;
    snprintf(front_dir, sizeof(front_dir), "/local/domain/%u/device/hcl/%u",
             domid, own_devid);
    snprintf(back_dir, sizeof(back_dir), "/local/domain/0/backend/hcl/%u/%u",
             domid, own_devid);
    snprintf(kind, sizeof(kind), "/local/domain/%u/device/hcl", domid);
    node_set(kind, "%s", ""); /* stays when its last attachment goes */
    node_set(back("device"), "dev0");
    node_set(back("state"), "1");
    node_set(front("backend"), "%s", back_dir);
    node_set(front("backend-id"), "0");
    node_set(front("device"), "dev0");
    node_set(front("state"), "1");
}

__attribute__((unused)) static void detach(void)
{
    node_remove(back_dir);
    node_remove(front_dir);
}

/* An empty host with one guest, one device and a backend that is ready. */
__attribute__((unused)) static void world_make(void)
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

__attribute__((unused)) static void world_end(void)
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

/* ---- The program ------------------------------------------------------- */

static char run_dir[] = "/tmp/hcl-test-XXXXXX";
static unsigned int fds_before;

__attribute__((unused)) static unsigned int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned int count = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

__attribute__((unused)) static int setup(void **state)
{
    static unsigned int count;
    char dir[64];

    (void)state;
    store.handles = 0;
    grants.handles = 0;
    /* Of its own, so that one failed test does not lock out all others. */
    snprintf(dir, sizeof(dir), "%s/%u", run_dir, count++);
    setenv("HCL_RUN", dir, 1);
    world_make();
    world_end(); /* leaves no descriptor of the test before */
    fds_before = open_fds();
    return 0;
}

/* Whatever happened: nothing is left. */
__attribute__((unused)) static int teardown(void **state)
{
    (void)state;
    world_end();
    assert_int_equal(shared_mappings(), 0);
    assert_int_equal(store.handles, 0);
    assert_int_equal(grants.handles, 0);
    /* Parked handles stay open for ever. */
    assert_int_equal(open_fds(),
                     fds_before + 2 * (events.opened - events.closed));
    return 0;
}

__attribute__((unused)) static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(run_dir) ? 0 : -1;
}

__attribute__((unused)) static int remove_dir(void **state)
{
    char command[64];

    (void)state;
    events.lost = false;
    close_parked();
    snprintf(command, sizeof(command), "rm -rf %s", run_dir);
    return system(command);
}

__attribute__((unused)) static struct hcl_device *open_device(void)
{
    struct hcl_device *device;
    struct hcl_err err;

    if (hcl_open("dev0", NULL, 1000, &device, &err) < 0) {
        fail_msg("hcl_open: %s", err.text);
    }
    return device;
}

/* With a backend that has @grace_ms to end things. */
__attribute__((unused)) static struct hcl_device *
open_with_grace(uint32_t grace_ms)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_device *device;

    options.grace_ms = grace_ms;
    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    return device;
}

static bool too_late; /* answers_later has answered */

static void on_alarm_answer(int number)
{
    (void)number;
    too_late = true;
    backend.deaf = false;
    backend.mode = ANSWER;
    backend_act();
}

/*
 * A backend that answers nothing for a second, unlike the default of grace_ms
 * and three times that: who waited less sees too_late false.
 */
__attribute__((unused)) static void answer_later(void)
{
    struct sigaction action = {.sa_handler = on_alarm_answer};
    struct itimerval timer = {.it_value = {.tv_usec = 900000}};

    too_late = false;
    backend.deaf = true;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

__attribute__((unused)) static void answer_never(void)
{
    static const struct itimerval off;

    setitimer(ITIMER_REAL, &off, NULL);
}

__attribute__((unused)) static struct hcl_handle *
open_handle(struct hcl_device *device)
{
    struct hcl_handle *handle;
    struct hcl_err err;

    if (hcl_handle_open(device, 1000, &handle, &err) < 0) {
        fail_msg("hcl_handle_open: %s", err.text);
    }
    return handle;
}

/* The error of an hcl_open that fails. */
__attribute__((unused)) static struct hcl_err no_device(int timeout_ms)
{
    struct hcl_device *device = NULL;
    struct hcl_err err = {0};
    int ret = hcl_open("dev0", NULL, timeout_ms, &device, &err);

    assert_int_equal(ret, err.code);
    assert_null(device);
    return err;
}

__attribute__((unused)) static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Processes until hcl_status says connected. */
__attribute__((unused)) static void wait_connected(struct hcl_device *device)
{
    struct pollfd ready = {.fd = hcl_device_fd(device), .events = POLLIN};
    struct hcl_status status;
    uint64_t deadline = now_ms() + 5000;
    struct hcl_err err;

    for (;;) {
        if (hcl_process(device, &err) < 0) {
            fail_msg("hcl_process: %s", err.text);
        }
        hcl_status(device, &status);
        if (status.connected) {
            return;
        }
        assert_true(now_ms() < deadline);
        poll(&ready, 1, 100);
    }
}

__attribute__((unused)) static struct hcl_result
wait_result(struct hcl_device *device)
{
    struct pollfd ready = {.fd = hcl_device_fd(device), .events = POLLIN};
    struct hcl_result result;
    int count;

    while ((count = hcl_reap(device, &result, 1)) == 0) {
        assert_int_equal(poll(&ready, 1, 5000), 1);
    }
    assert_int_equal(count, 1);
    return result;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif /* TEST_FRONTEND_BACKEND_H */
