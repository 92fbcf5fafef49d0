/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a connection against each other: libhcl's session in one
 * thread, the worker's connection and a class in another, over one mapping.  So
 * ThreadSanitizer sees all that HCL does with shared memory (make check-tsan).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* The backend's; of libhcl nothing that is a connection to Xen. */
#include "connection.h"
#include "device.h"
#include "loop.h"
#include "session.h"

#define POOL_PAGES 16
#define POOL_BYTES (POOL_PAGES * HCLIF_PAGE_BYTES)
#define SLOTS HCLIF_SLOTS_PER_PAGE
#define LOST_MS 20000

struct pair {
    struct hcl_layout layout;
    uint8_t *ro, *rw; /* mapped once: both sides use these */
    int front_bell, back_bell;
    const struct hcl_class *class;
    const char *back_wrong; /* NULL, or why the backend's thread ended */
    pthread_t thread;
    struct hcl_session session;
    uint32_t random;
};

static struct hclif_side *front_page(const struct pair *pair)
{
    return (struct hclif_side *)pair->ro;
}

static struct hclif_side *back_page(const struct pair *pair)
{
    return (struct hclif_side *)pair->rw;
}

static void ring_bell(int bell)
{
    uint64_t one = 1;

    (void)!write(bell, &one, sizeof(one));
}

/* Sleeps until the bell rings; false if it never does. */
static bool wait_bell(int bell)
{
    struct pollfd ready = {.fd = bell, .events = POLLIN};
    uint64_t count;

    return poll(&ready, 1, LOST_MS) == 1 &&
           read(bell, &count, sizeof(count)) == sizeof(count);
}

/* ---- A class ----------------------------------------------------------- */

/*
 * Answers with the payload.  It holds some jobs back and then answers the
 * newest first.
 */
#define MAX_HELD 5

struct mirror {
    struct hcl_job *held[MAX_HELD];
    unsigned int num_held;
};

static int mirror_open(struct hcl_device *device, const struct hcl_spec *spec,
                       struct hcl_err *err)
{
    (void)device;
    (void)spec;
    (void)err;
    return 0;
}

static void mirror_close(struct hcl_device *device)
{
    (void)device;
}

static uint16_t mirror_handle_open(struct hcl_device *device,
                                   struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
    return HCLIF_STATUS_OK;
}

static void mirror_handle_close(struct hcl_device *device,
                                struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
}

/* False: there was nothing. */
static bool mirror_answer(struct mirror *mirror)
{
    bool any = mirror->num_held > 0;

    while (mirror->num_held > 0) {
        struct hcl_job *job = mirror->held[--mirror->num_held];

        memcpy(job->rx, job->tx, job->tx_bytes);
        hcl_job_complete(job, HCLIF_STATUS_OK, job->tx_bytes, 0);
    }
    return any;
}

static void mirror_submit(struct hcl_device *device, struct hcl_job *job)
{
    struct mirror *mirror = hcl_device_state(device);

    mirror->held[mirror->num_held++] = job;
    if (mirror->num_held == MAX_HELD) {
        mirror_answer(mirror);
    }
}

static void mirror_cancel(struct hcl_device *device, struct hcl_job *job)
{
    struct mirror *mirror = hcl_device_state(device);
    unsigned int i = 0;

    while (mirror->held[i] != job) {
        i++;
    }
    mirror->held[i] = mirror->held[--mirror->num_held];
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const mirror_keys[] = {NULL};

#define MIRROR(how)                                                            \
    {                                                                          \
        .abi = HCL_CLASS_ABI, .flags = (how), .name = "mirror",                \
        .opcodes = "5", .idempotent = "5", .keys = mirror_keys,                \
        .device_bytes = sizeof(struct mirror), .open = mirror_open,            \
        .close = mirror_close, .handle_open = mirror_handle_open,              \
        .handle_close = mirror_handle_close, .submit = mirror_submit,          \
        .cancel = mirror_cancel,                                               \
    }

/* Its jobs are in the pools, or in memory that no guest reaches. */
static const struct hcl_class in_pool = MIRROR(HCL_CLASS_MOVES_BYTES);
static const struct hcl_class bounced = MIRROR(0);

/* ---- The backend's thread ---------------------------------------------- */

static void back_doorbell(void *arg, uint32_t queue)
{
    const struct pair *pair = arg;

    (void)queue;
    ring_bell(pair->front_bell);
}

static void back_failed(void *arg, const struct hcl_err *err)
{
    struct pair *pair = arg;

    (void)err;
    pair->back_wrong = "the device failed";
}

/* Serves until the guest is dead; NULL or what went wrong. */
static const char *back_serve(const struct pair *pair,
                              struct hcl_device *device,
                              struct hcl_connection *connection)
{
    while (hcl_connection_peer_alive(connection)) {
        switch (hcl_connection_serve(connection, 8 * HCL_REQUEST_NS)) {
        case HCL_SERVE_FAULT:
            return "the guest has broken the protocol";
        case HCL_SERVE_MORE:
            break;
        case HCL_SERVE_IDLE:
            if (mirror_answer(hcl_device_state(device))) {
                hcl_device_flush(device);
            } else if (hcl_connection_arm(connection) &&
                       !wait_bell(pair->back_bell)) {
                return "an event for the backend was lost";
            }
        }
    }
    return NULL;
}

static void *back_thread(void *arg)
{
    struct pair *pair = arg;
    struct hcl_connection_setup setup = {
        .layout = pair->layout,
        .share = HCL_SHARE_DEFAULT,
        .max_handles = 4,
        .ro = pair->ro,
        .rw = pair->rw,
        .doorbell = back_doorbell,
        .arg = pair,
    };
    struct hcl_connection *connection = NULL;
    struct hcl_device *device = NULL;
    struct hcl_loop *loop = NULL;
    struct hcl_spec spec;

    if (hcl_loop_new(&loop, NULL) < 0 ||
        hcl_spec_parse(&spec, "name=dev0", NULL) < 0 ||
        hcl_device_open(&device, pair->class, "dev0", &spec, loop, back_failed,
                        pair, NULL) < 0 ||
        hcl_connection_new(&connection, device, &setup, NULL) < 0) {
        pair->back_wrong = "the backend cannot be made";
    } else {
        pair->back_wrong = back_serve(pair, device, connection);
    }
    hcl_connection_free(connection);
    hcl_device_free(device);
    hcl_loop_free(loop);
    return NULL;
}

/* ---- The frontend ------------------------------------------------------ */

static void front_doorbell(void *arg)
{
    const struct pair *pair = arg;

    ring_bell(pair->back_bell);
}

static uint8_t *map_side(uint32_t pages)
{
    void *side =
        mmap(NULL, (size_t)pages * HCLIF_PAGE_BYTES, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(side != MAP_FAILED);
    return side;
}

static void unmap_side(uint8_t *side, uint32_t pages)
{
    munmap(side, (size_t)pages * HCLIF_PAGE_BYTES);
}

static void pair_start(struct pair *pair, const struct hcl_class *class)
{
    struct hcl_queue_memory memory = {
        .num_slots = SLOTS,
        .doorbell = front_doorbell,
        .doorbell_arg = pair,
    };
    size_t ring, pool;

    memset(pair, 0, sizeof(*pair));
    pair->random = 0x9e3779b9;
    pair->class = class;
    pair->layout = (struct hcl_layout){
        .num_queues = 1, .tx_pages = POOL_PAGES, .rx_pages = POOL_PAGES};
    pair->ro = map_side(hcl_layout_ro_pages(&pair->layout));
    pair->rw = map_side(hcl_layout_rw_pages(&pair->layout));
    pair->front_bell = eventfd(0, EFD_CLOEXEC);
    pair->back_bell = eventfd(0, EFD_CLOEXEC);
    assert_true(pair->front_bell >= 0 && pair->back_bell >= 0);
    ring = hcl_layout_ring_offset(&pair->layout, 0);
    pool = hcl_layout_pool_offset(&pair->layout);
    memory.requests = pair->ro + ring;
    memory.completions = pair->rw + ring;
    memory.own_event = &front_page(pair)->event[0].position;
    memory.peer_event = &back_page(pair)->event[0].position;
    assert_int_equal(hcl_session_init(&pair->session, SLOTS), 0);
    assert_int_equal(hcl_session_pools(&pair->session, pair->ro + pool,
                                       POOL_BYTES, pair->rw + pool, POOL_BYTES),
                     0);
    front_page(pair)->alive = 1;
    assert_int_equal(pthread_create(&pair->thread, NULL, back_thread, pair), 0);
    hcl_session_attach(&pair->session, &memory, 4);
}

/* The program dies, as its kernel says; the backend's thread ends. */
static void pair_stop(struct pair *pair)
{
    hcl_store_release(&front_page(pair)->alive, 0);
    ring_bell(pair->back_bell);
    pthread_join(pair->thread, NULL);
    if (pair->back_wrong) {
        fail_msg("%s", pair->back_wrong);
    }
    assert_int_equal(back_page(pair)->alive, 0);
    hcl_session_clear(&pair->session);
    unmap_side(pair->ro, hcl_layout_ro_pages(&pair->layout));
    unmap_side(pair->rw, hcl_layout_rw_pages(&pair->layout));
    close(pair->front_bell);
    close(pair->back_bell);
}

/* Takes what has come, and sleeps if @nothing was there to do. */
static void front_run(struct pair *pair, bool nothing)
{
    if (nothing && hcl_session_arm(&pair->session) &&
        !wait_bell(pair->front_bell)) {
        fail_msg("an event for the frontend was lost");
    }
    assert_int_equal(hcl_session_run(&pair->session), HCL_QUEUE_NO_FAULT);
}

static struct hcl_handle *front_open(struct pair *pair)
{
    struct hcl_handle *handle;

    assert_int_equal(hcl_session_open(&pair->session, &handle, NULL), 0);
    front_run(pair, false);
    while (handle->state != HCL_HANDLE_OPEN) {
        front_run(pair, true);
    }
    return handle;
}

static void front_close(struct pair *pair, struct hcl_handle *handle)
{
    hcl_session_close(handle);
    front_run(pair, false);
    while (hcl_session_has(&pair->session, handle)) {
        front_run(pair, true);
    }
}

/* ---- Requests ---------------------------------------------------------- */

#define REQUESTS 30000
#define RUN_US 1000000
#define BUFFERS 24
#define BUFFER_BYTES 600

/* What one request has; some are in the pools themselves. */
struct buffer {
    uint8_t *tx, *rx;
    uint32_t bytes;
    bool busy;
};

struct program {
    struct pair *pair;
    struct hcl_handle *handles[2];
    struct buffer buffers[BUFFERS];
    uint8_t memory[BUFFERS][2][BUFFER_BYTES];
    uint32_t submitted, finished, cancelled;
};

static uint32_t next_random(struct pair *pair)
{
    pair->random ^= pair->random << 13;
    pair->random ^= pair->random >> 17;
    pair->random ^= pair->random << 5;
    return pair->random;
}

static void program_init(struct program *program, struct pair *pair)
{
    unsigned int i;

    memset(program, 0, sizeof(*program));
    program->pair = pair;
    for (i = 0; i < 2; i++) {
        program->handles[i] = front_open(pair);
    }
    for (i = 0; i < BUFFERS; i++) {
        struct buffer *buffer = &program->buffers[i];

        buffer->tx = program->memory[i][0];
        buffer->rx = program->memory[i][1];
        if (i % 3 == 0) {
            buffer->tx = hcl_pool_alloc(&pair->session.tx, BUFFER_BYTES);
            buffer->rx = hcl_pool_alloc(&pair->session.rx, BUFFER_BYTES);
        }
    }
}

static void program_submit(struct program *program, struct buffer *buffer)
{
    struct pair *pair = program->pair;
    struct hcl_handle *handle = program->handles[next_random(pair) % 2];
    struct hcl_io io = {.opcode = HCL_EXCHANGE, .user = buffer};
    struct hcl_request *request;
    uint32_t i, salt = next_random(pair);

    /* Half of them fit into the slots. */
    buffer->bytes = next_random(pair) % (salt % 2 ? 29 : BUFFER_BYTES + 1);
    for (i = 0; i < buffer->bytes; i++) {
        buffer->tx[i] = (uint8_t)(salt + i * 7);
    }
    io.tx = buffer->tx;
    io.rx = buffer->rx;
    io.tx_bytes = io.rx_bytes = buffer->bytes;
    assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    buffer->busy = true;
    program->submitted++;
    if (salt % 64 == 0) {
        hcl_session_cancel(&pair->session, request);
    }
}

/* How many results there were. */
static unsigned int program_reap(struct program *program)
{
    struct hcl_result results[8];
    unsigned int i, count;

    count = hcl_session_reap(&program->pair->session, results, 8);
    for (i = 0; i < count; i++) {
        struct buffer *buffer = results[i].user;

        if (results[i].status == HCL_CANCELLED) {
            program->cancelled++;
        } else {
            assert_int_equal(results[i].status, HCL_OK);
            assert_int_equal(results[i].rx_bytes, buffer->bytes);
            assert_memory_equal(buffer->rx, buffer->tx, buffer->bytes);
        }
        buffer->busy = false;
    }
    program->finished += count;
    return count;
}

static void exchange_with(const struct hcl_class *class)
{
    uint64_t end_us = hcl_now_us() + RUN_US;
    static struct program program;
    struct pair pair;
    unsigned int i, burst, reaped;

    pair_start(&pair, class);
    program_init(&program, &pair);
    while (program.submitted < REQUESTS && hcl_now_us() < end_us) {
        burst = next_random(&pair) % BUFFERS;
        for (i = 0; i < burst; i++) {
            if (!program.buffers[i].busy) {
                program_submit(&program, &program.buffers[i]);
            }
        }
        front_run(&pair, false);
        reaped = program_reap(&program);
        if (reaped == 0 && program.finished < program.submitted) {
            front_run(&pair, true);
        }
    }
    while (program.finished < program.submitted) {
        if (program_reap(&program) == 0) {
            front_run(&pair, true);
        }
    }
    front_close(&pair, program.handles[0]);
    front_close(&pair, program.handles[1]);
    assert_true(program.submitted > program.cancelled);
    pair_stop(&pair);
}

static void exchanges_in_the_pools_come_back_whole(void **state)
{
    (void)state;
    exchange_with(&in_pool);
}

static void exchanges_by_bounce_memory_come_back_whole(void **state)
{
    (void)state;
    exchange_with(&bounced);
}

/* A frontend that goes away without a word: the backend is left with jobs. */
static void death_with_requests_in_flight_leaves_nothing(void **state)
{
    static struct program program;
    struct pair pair;
    unsigned int i;

    (void)state;
    pair_start(&pair, &bounced);
    program_init(&program, &pair);
    for (i = 0; i < BUFFERS; i++) {
        program_submit(&program, &program.buffers[i]);
    }
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchanges_in_the_pools_come_back_whole),
        cmocka_unit_test(exchanges_by_bounce_memory_come_back_whole),
        cmocka_unit_test(death_with_requests_in_flight_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
