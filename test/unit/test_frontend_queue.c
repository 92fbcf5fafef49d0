/* SPDX-License-Identifier: MIT */
/*
 * The session and its queue against a backend in the same process, on plain
 * memory: what is right, and each fault of a backend (doc/protocol.md 5).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session.h"

#define SLOTS 64
#define POOL 4096
#define USER_SLOTS (SLOTS - 8)

/* A life of the shared memory, and the backend's end of it. */
struct life {
    struct hcl_slot requests[SLOTS], completions[SLOTS];
    uint32_t front_event, back_event;
    struct hcl_consumer in;
    struct hcl_producer out;
};

static struct life life;
static uint8_t tx_pool[POOL], rx_pool[POOL];
static struct hcl_session session;
static unsigned int doorbells;

static void doorbell(void *arg)
{
    (void)arg;
    doorbells++;
}

static void attach_slots(uint32_t slots, uint32_t max_handles)
{
    struct hcl_queue_memory memory = {
        .requests = life.requests,
        .completions = life.completions,
        .own_event = &life.front_event,
        .peer_event = &life.back_event,
        .num_slots = slots,
        .doorbell = doorbell,
    };

    memset(&life, 0, sizeof(life));
    hcl_consumer_init(&life.in, life.requests, slots, &life.back_event);
    hcl_producer_init(&life.out, life.completions, slots, &life.front_event);
    hcl_session_attach(&session, &memory, max_handles);
}

static int setup(void **state)
{
    (void)state;
    doorbells = 0;
    memset(tx_pool, 0, sizeof(tx_pool));
    memset(rx_pool, 0, sizeof(rx_pool));
    if (hcl_session_init(&session, SLOTS) < 0 ||
        hcl_session_pools(&session, tx_pool, POOL, rx_pool, POOL) < 0) {
        return -1;
    }
    attach_slots(SLOTS, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hcl_session_clear(&session);
    return 0;
}

/* ---- The backend ------------------------------------------------------- */

static struct hclif_request get(void)
{
    struct hclif_request request;

    assert_int_equal(hcl_consumer_take(&life.in, &request), HCL_TAKE_SLOT);
    return request;
}

static void get_nothing(void)
{
    struct hclif_request request;

    assert_int_equal(hcl_consumer_take(&life.in, &request), HCL_TAKE_EMPTY);
}

static void put(uint32_t tag, uint16_t status, const void *data,
                uint32_t rx_bytes)
{
    struct hclif_completion completion = {
        .tag = tag,
        .status = status,
        .rx_bytes = rx_bytes,
    };

    if (data) {
        memcpy(completion.data, data, rx_bytes);
    }
    hcl_producer_put(&life.out, &completion);
}

static enum hcl_queue_fault run(void)
{
    return hcl_session_run(&session);
}

/* ---- The program ------------------------------------------------------- */

static struct hcl_handle *open_handle(void)
{
    struct hcl_handle *handle;
    struct hclif_request request;

    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    assert_int_equal(run(), 0);
    request = get();
    assert_int_equal(request.opcode, HCLIF_OP_OPEN);
    assert_int_equal(request.handle, handle->number);
    put(request.tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(handle->state, HCL_HANDLE_OPEN);
    return handle;
}

static int submit_io(struct hcl_handle *handle, const struct hcl_io *io)
{
    struct hcl_request *request;

    return hcl_session_submit(handle, io, false, &request);
}

/* A request whose result has @user. */
static void submit(struct hcl_handle *handle, uint8_t opcode, uintptr_t user)
{
    static uint8_t sink[16];
    struct hcl_io io = {.opcode = opcode, .user = (void *)user};

    if (opcode == HCL_READ) {
        io.rx = sink;
        io.rx_bytes = sizeof(sink);
    }
    assert_int_equal(submit_io(handle, &io), 0);
}

static struct hcl_result reap(void)
{
    struct hcl_result result = {0};

    assert_int_equal(hcl_session_reap(&session, &result, 1), 1);
    return result;
}

static void reap_nothing(void)
{
    struct hcl_result result;

    assert_int_equal(hcl_session_reap(&session, &result, 1), 0);
}

static void assert_whole_pools(void)
{
    assert_int_equal(hcl_pool_largest(&session.tx), POOL);
    assert_int_equal(hcl_pool_largest(&session.rx), POOL);
}

/* ---- Round trips ------------------------------------------------------- */

static void test_small_payloads_travel_in_the_slots(void **state)
{
    struct hcl_handle *handle = open_handle();
    char answer[48] = "";
    struct hcl_io io = {
        .opcode = HCL_EXCHANGE,
        .argument = 0x123456789abcdef0,
        .tx = "0123456789012345678901234567",
        .tx_bytes = 28,
        .rx = answer,
        .rx_bytes = sizeof(answer),
        .user = &io,
    };
    struct hclif_request request;
    struct hcl_result result;

    (void)state;
    assert_int_equal(submit_io(handle, &io), 0);
    request = get();
    assert_int_equal(request.opcode, HCLIF_OP_EXCHANGE);
    assert_int_equal(request.flags, 0);
    assert_true(request.argument == io.argument);
    assert_int_equal(request.tx_bytes, 28);
    assert_int_equal(request.tx_offset, 0);
    assert_int_equal(request.rx_bytes, 48);
    assert_int_equal(request.rx_offset, 0);
    assert_memory_equal(request.data, io.tx, 28);
    put(request.tag, HCLIF_STATUS_OK, "answer", 6);
    assert_int_equal(run(), 0);
    result = reap();
    assert_int_equal(result.error, 0);
    assert_int_equal(result.rx_bytes, 6);
    assert_ptr_equal(result.user, &io);
    assert_string_equal(answer, "answer");
    assert_whole_pools();
}

static void test_larger_payloads_are_copied_through_the_pools(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t question[300], answer[500] = {0};
    struct hcl_io io = {
        .opcode = HCL_EXCHANGE,
        .tx = question,
        .tx_bytes = sizeof(question),
        .rx = answer,
        .rx_bytes = sizeof(answer),
    };
    struct hclif_request request;

    (void)state;
    memset(question, 0x5a, sizeof(question));
    assert_int_equal(submit_io(handle, &io), 0);
    memset(question, 0, sizeof(question)); /* the program's again */
    request = get();
    assert_int_equal(request.flags, HCLIF_TX_POOL | HCLIF_RX_POOL);
    assert_true(request.tx_offset + request.tx_bytes <= POOL);
    assert_int_equal(tx_pool[request.tx_offset], 0x5a);
    assert_int_equal(tx_pool[request.tx_offset + 299], 0x5a);
    memset(rx_pool + request.rx_offset, 0xa5, 400);
    put(request.tag, HCLIF_STATUS_OK, NULL, 400);
    assert_int_equal(run(), 0);
    assert_int_equal(reap().rx_bytes, 400);
    assert_int_equal(answer[0], 0xa5);
    assert_int_equal(answer[399], 0xa5);
    assert_int_equal(answer[400], 0);
    assert_whole_pools();
}

static void test_pool_memory_is_used_in_place(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t *tx = hcl_pool_alloc(&session.tx, 8);
    uint8_t *rx = hcl_pool_alloc(&session.rx, 8);
    struct hcl_io io = {
        .opcode = HCL_EXCHANGE,
        .tx = tx + 4,
        .tx_bytes = 4,
        .rx = rx + 2,
        .rx_bytes = 6,
    };
    struct hclif_request request;

    (void)state;
    assert_int_equal(submit_io(handle, &io), 0);
    request = get();
    assert_int_equal(request.flags, HCLIF_TX_POOL | HCLIF_RX_POOL);
    assert_ptr_equal(tx_pool + request.tx_offset, tx + 4);
    assert_ptr_equal(rx_pool + request.rx_offset, rx + 2);
    put(request.tag, HCLIF_STATUS_OK, NULL, 6);
    assert_int_equal(run(), 0);
    assert_int_equal(reap().rx_bytes, 6);
    /* The program's pieces are still the program's. */
    assert_true(hcl_pool_free(&session.tx, tx));
    assert_true(hcl_pool_free(&session.rx, rx));
}

static void test_completions_may_come_in_any_order(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request requests[3];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        submit(handle, HCL_READ, (uintptr_t)i);
        requests[i] = get();
    }
    put(requests[2].tag, HCLIF_STATUS_OK, "c", 1);
    put(requests[0].tag, HCLIF_STATUS_OK, "a", 1);
    put(requests[1].tag, HCLIF_STATUS_OK, "b", 1);
    assert_int_equal(run(), 0);
    assert_int_equal((uintptr_t)reap().user, 2);
    assert_int_equal((uintptr_t)reap().user, 0);
    assert_int_equal((uintptr_t)reap().user, 1);
    reap_nothing();
}

static void test_many_laps_of_the_ring(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request request;
    uintptr_t i;

    (void)state;
    for (i = 0; i < 10 * SLOTS; i++) {
        submit(handle, HCL_READ, i);
        request = get();
        put(request.tag, HCLIF_STATUS_OK, "x", 1);
        assert_int_equal(run(), 0);
        assert_int_equal((uintptr_t)reap().user, i);
    }
}

static void test_a_full_table_says_so_and_leaves_room_to_cancel(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_request *request;
    struct hclif_request slot;
    int i;

    (void)state;
    for (i = 0; i < USER_SLOTS; i++) {
        assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    }
    assert_int_equal(submit_io(handle, &io), -EAGAIN);
    hcl_session_cancel(&session, request);
    for (i = 0; i < USER_SLOTS; i++) {
        slot = get();
    }
    assert_int_equal(get().opcode, HCLIF_OP_CANCEL);
    put(slot.tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    /* The place is free once the result has been taken. */
    assert_int_equal(submit_io(handle, &io), -EAGAIN);
    reap();
    assert_int_equal(submit_io(handle, &io), 0);
}

static void test_bad_requests_are_refused_and_leave_nothing(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t big[2 * POOL], *piece;
    struct hcl_io open = {.opcode = HCLIF_OP_OPEN};
    struct hcl_io no_tx = {.opcode = HCL_WRITE, .tx_bytes = 1};
    struct hcl_io no_rx = {.opcode = HCL_READ, .rx_bytes = 1};
    struct hcl_io large = {
        .opcode = HCL_WRITE, .tx = big, .tx_bytes = POOL + 1};
    struct hcl_io both = {.opcode = HCL_EXCHANGE,
                          .tx = big,
                          .tx_bytes = 100,
                          .rx = big,
                          .rx_bytes = 100};

    (void)state;
    assert_int_equal(submit_io(handle, &open), -EINVAL);
    assert_int_equal(submit_io(handle, &no_tx), -EINVAL);
    assert_int_equal(submit_io(handle, &no_rx), -EINVAL);
    assert_int_equal(submit_io(handle, &large), -EMSGSIZE);
    piece = hcl_pool_alloc(&session.rx, POOL);
    assert_int_equal(submit_io(handle, &both), -ENOBUFS);
    hcl_pool_free(&session.rx, piece);
    get_nothing();
    assert_whole_pools();
}

static void test_the_doorbell_rings_only_if_asked_for(void **state)
{
    struct hcl_handle *handle = open_handle();
    unsigned int before;

    (void)state;
    assert_int_equal(doorbells, 1); /* for the first slot of a ring */
    submit(handle, HCL_WRITE, 1);
    assert_int_equal(doorbells, 1);
    get();
    assert_true(hcl_consumer_arm(&life.in));
    before = doorbells;
    submit(handle, HCL_WRITE, 2);
    submit(handle, HCL_WRITE, 3);
    assert_int_equal(doorbells, before + 1);
}

static void test_the_session_asks_for_an_event_before_it_rests(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request request;

    (void)state;
    submit(handle, HCL_WRITE, 1);
    assert_int_equal(run(), 0);
    request = get();
    put(request.tag, HCLIF_STATUS_OK, NULL, 0);
    assert_true(hcl_producer_notify(&life.out));
}

/* ---- Status ------------------------------------------------------------ */

static void test_each_status_has_its_errno(void **state)
{
    static const struct {
        uint16_t status;
        uint32_t seen;
        int error;
    } cases[] = {
        {HCLIF_STATUS_OK, HCL_OK, 0},
        {HCLIF_STATUS_INVALID, HCL_INVALID, -EINVAL},
        {HCLIF_STATUS_UNSUPPORTED, HCL_UNSUPPORTED, -EOPNOTSUPP},
        {HCLIF_STATUS_BAD_HANDLE, HCL_BAD_HANDLE, -EBADF},
        {HCLIF_STATUS_BUSY, HCL_BUSY, -EBUSY},
        {HCLIF_STATUS_DENIED, HCL_DENIED, -EACCES},
        {HCLIF_STATUS_LIMIT, HCL_LIMIT, -EDQUOT},
        {HCLIF_STATUS_IO, HCL_IO_ERROR, -EIO},
        {HCLIF_STATUS_GONE, HCL_GONE, -ENXIO},
        {HCLIF_STATUS_CANCELLED, HCL_CANCELLED, -ECANCELED},
        {HCLIF_STATUS_TIMEOUT, HCL_TIMEOUT, -ETIME},
        {11, HCL_IO_ERROR, -EIO},
        {0xffff, HCL_IO_ERROR, -EIO},
    };
    struct hcl_handle *handle = open_handle();
    struct hcl_result result;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        submit(handle, HCL_WRITE, 0);
        put(get().tag, cases[i].status, NULL, 0);
        assert_int_equal(run(), 0);
        result = reap();
        assert_int_equal(result.status, cases[i].seen);
        assert_int_equal(result.error, cases[i].error);
        assert_int_equal(result.rx_bytes, 0);
    }
}

static void test_a_failure_may_bring_a_text_which_is_cleaned(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_result result;

    (void)state;
    submit(handle, HCL_WRITE, 0); /* has no room for an answer */
    put(get().tag, HCLIF_STATUS_IO, "no\nlight", 8);
    assert_int_equal(run(), 0);
    result = reap();
    assert_string_equal(result.text, "no?light");
    assert_int_equal(result.rx_bytes, 0);
}

static void test_overrun_is_passed_on(void **state)
{
    struct hclif_completion completion = {.flags = 0xffff};
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_READ, 0);
    completion.tag = get().tag;
    hcl_producer_put(&life.out, &completion);
    assert_int_equal(run(), 0);
    assert_int_equal(reap().flags, HCL_OVERRUN);
}

/* ---- Faults of a backend ----------------------------------------------- */

static void test_fault_sequence(void **state)
{
    (void)state;
    open_handle();
    life.completions[1].word[HCL_SLOT_SEQUENCE] = 7;
    assert_int_equal(run(), HCL_QUEUE_BAD_SEQUENCE);
}

static void test_fault_tag_out_of_range(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_WRITE, 0);
    put(SLOTS, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), HCL_QUEUE_BAD_TAG);
}

static void test_fault_tag_far_out_of_range(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_WRITE, 0);
    put(UINT32_MAX, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), HCL_QUEUE_BAD_TAG);
}

static void test_fault_tag_not_in_flight(void **state)
{
    (void)state;
    open_handle();
    put(5, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), HCL_QUEUE_UNUSED_TAG);
}

static void test_fault_a_request_completed_twice(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint32_t tag;

    (void)state;
    submit(handle, HCL_WRITE, 0);
    tag = get().tag;
    put(tag, HCLIF_STATUS_OK, NULL, 0);
    put(tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), HCL_QUEUE_UNUSED_TAG);
    reap(); /* the first one counts */
    reap_nothing();
}

static void test_fault_answer_larger_than_asked_for(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_READ, 0);
    put(get().tag, HCLIF_STATUS_OK, NULL, 17);
    assert_int_equal(run(), HCL_QUEUE_BAD_ANSWER);
}

static void test_fault_answer_larger_than_a_pool_piece(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t answer[200];
    struct hcl_io io = {.opcode = HCL_READ, .rx = answer, .rx_bytes = 200};

    (void)state;
    assert_int_equal(submit_io(handle, &io), 0);
    put(get().tag, HCLIF_STATUS_OK, NULL, 201);
    assert_int_equal(run(), HCL_QUEUE_BAD_ANSWER);
}

static void test_fault_text_larger_than_a_slot(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_WRITE, 0);
    put(get().tag, HCLIF_STATUS_IO, NULL, 49);
    assert_int_equal(run(), HCL_QUEUE_BAD_ANSWER);
}

static void test_fault_answer_to_an_open(void **state)
{
    struct hcl_handle *handle;

    (void)state;
    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    assert_int_equal(run(), 0);
    put(get().tag, HCLIF_STATUS_OK, NULL, 1);
    assert_int_equal(run(), HCL_QUEUE_BAD_ANSWER);
}

static void test_every_fault_has_a_text(void **state)
{
    enum hcl_queue_fault fault;

    (void)state;
    for (fault = HCL_QUEUE_NO_FAULT; fault <= HCL_QUEUE_BAD_ANSWER; fault++) {
        assert_non_null(hcl_queue_fault_text(fault));
    }
}

/* A backend that answers before it is asked cannot hold the program. */
static void test_any_bytes_in_the_ring_end_in_time(void **state)
{
    struct hcl_handle *handle;
    unsigned int round, seed = 1, i;
    uint32_t *words = (uint32_t *)life.completions;

    (void)state;
    for (round = 0; round < 300; round++) {
        hcl_session_clear(&session);
        assert_int_equal(setup(NULL), 0);
        handle = open_handle();
        for (i = 0; i < USER_SLOTS; i++) {
            submit(handle, HCL_READ, i);
        }
        for (i = 16; i < sizeof(life.completions) / 4; i++) {
            words[i] = (uint32_t)rand_r(&seed) % 80;
            if (i % 16 == HCL_SLOT_SEQUENCE) {
                words[i] = i / 16 + 1 + (rand_r(&seed) % 32 == 0);
            }
        }
        (void)run();
    }
}

/* ---- Handles ----------------------------------------------------------- */

static void test_handles_get_the_lowest_free_number(void **state)
{
    struct hcl_handle *a = open_handle(), *b = open_handle(), *c;
    struct hcl_err err;

    (void)state;
    assert_int_equal(a->number, 0);
    assert_int_equal(b->number, 1);
    hcl_session_close(a);
    assert_int_equal(run(), 0);
    put(get().tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_false(hcl_session_has(&session, a));
    c = open_handle();
    assert_int_equal(c->number, 0);
    open_handle();
    open_handle();
    assert_int_equal(hcl_session_open(&session, &c, &err), -EMFILE);
}

static void test_requests_wait_for_their_handle(void **state)
{
    struct hcl_handle *handle;
    struct hclif_request open;

    (void)state;
    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    submit(handle, HCL_WRITE, 1);
    open = get();
    get_nothing();
    put(open.tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(get().opcode, HCLIF_OP_WRITE);
}

static void test_a_refused_handle_ends_its_requests(void **state)
{
    struct hcl_handle *handle;
    struct hcl_result result;
    struct hcl_io io = {.opcode = HCL_WRITE};

    (void)state;
    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    submit(handle, HCL_WRITE, 1);
    put(get().tag, HCLIF_STATUS_BUSY, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(handle->state, HCL_HANDLE_FAILED);
    result = reap();
    assert_int_equal(result.error, -EBUSY);
    assert_int_equal(submit_io(handle, &io), -EBUSY);
    hcl_session_close(handle);
    assert_false(hcl_session_has(&session, handle));
    get_nothing();
}

static void test_a_closed_handle_lives_until_its_requests_are_done(void **s)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request read, close;

    (void)s;
    submit(handle, HCL_READ, 1);
    read = get();
    hcl_session_close(handle);
    assert_int_equal(run(), 0);
    close = get();
    assert_int_equal(close.opcode, HCLIF_OP_CLOSE);
    put(close.tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_true(hcl_session_has(&session, handle));
    put(read.tag, HCLIF_STATUS_CANCELLED, NULL, 0);
    assert_int_equal(run(), 0);
    assert_false(hcl_session_has(&session, handle));
    assert_int_equal(reap().error, -ECANCELED);
}

static void test_a_handle_closed_while_it_opens_is_closed_after(void **state)
{
    struct hcl_handle *handle;

    (void)state;
    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    assert_int_equal(run(), 0);
    hcl_session_close(handle);
    put(get().tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(get().opcode, HCLIF_OP_CLOSE);
}

/* ---- Cancelling -------------------------------------------------------- */

static void test_cancel_names_the_tag(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hclif_request write, cancel;
    struct hcl_request *request;

    (void)state;
    assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    assert_ptr_equal(hcl_session_find(handle, request->id), request);
    hcl_session_cancel(&session, request);
    hcl_session_cancel(&session, request); /* once is enough */
    write = get();
    cancel = get();
    get_nothing();
    assert_int_equal(cancel.opcode, HCLIF_OP_CANCEL);
    assert_int_equal(cancel.argument, write.tag);
    assert_int_equal(cancel.handle, write.handle);
    put(cancel.tag, HCLIF_STATUS_OK, NULL, 0);
    put(write.tag, HCLIF_STATUS_CANCELLED, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(reap().status, HCL_CANCELLED);
    reap_nothing();
}

static void test_a_cancelled_request_may_have_been_done(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hclif_request write;
    struct hcl_request *request;

    (void)state;
    assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    hcl_session_cancel(&session, request);
    write = get();
    put(write.tag, HCLIF_STATUS_OK, NULL, 0);
    put(get().tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(reap().status, HCL_OK);
}

static void test_what_was_not_sent_is_cancelled_at_once(void **state)
{
    struct hcl_handle *handle;
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_request *request;

    (void)state;
    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    hcl_session_cancel(&session, request);
    assert_int_equal(reap().status, HCL_CANCELLED);
    assert_int_equal(get().opcode, HCLIF_OP_OPEN);
    get_nothing();
}

static void test_a_completed_request_is_not_found(void **state)
{
    struct hcl_handle *handle = open_handle(), *other = open_handle();
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_request *request;
    uint64_t id;

    (void)state;
    assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    id = request->id;
    assert_null(hcl_session_find(other, id));
    assert_null(hcl_session_find(handle, 0));
    assert_null(hcl_session_find(handle, UINT64_MAX));
    put(get().tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_null(hcl_session_find(handle, id));
    reap();
    assert_null(hcl_session_find(handle, id));
}

static void test_an_orphan_touches_no_memory_of_the_program(void **state)
{
    struct hcl_handle *handle = open_handle();
    char answer[8] = "before";
    struct hcl_io io = {.opcode = HCL_READ, .rx = answer, .rx_bytes = 8};
    struct hcl_request *request;

    (void)state;
    assert_int_equal(hcl_session_submit(handle, &io, true, &request), 0);
    hcl_session_release(&session, request);
    put(get().tag, HCLIF_STATUS_OK, "after", 6);
    assert_int_equal(run(), 0);
    assert_string_equal(answer, "before");
    reap_nothing();
    assert_int_equal(request->state, HCL_REQUEST_FREE);
}

/* ---- A lost connection ------------------------------------------------- */

static struct hcl_opcodes repeatable(void)
{
    struct hcl_opcodes opcodes = {{0}};

    hcl_opcodes_add(&opcodes, HCL_READ);
    hcl_opcodes_add(&opcodes, 200);
    return opcodes;
}

static void lose(void)
{
    struct hcl_opcodes opcodes = repeatable();

    hcl_session_detach(&session, &opcodes);
}

/* The backend opens again whatever is opened. */
static void reopen(unsigned int handles)
{
    struct hclif_request request;

    while (handles--) {
        request = get();
        assert_int_equal(request.opcode, HCLIF_OP_OPEN);
        put(request.tag, HCLIF_STATUS_OK, NULL, 0);
    }
    assert_int_equal(run(), 0);
}

static void test_lost_repeatable_ones_are_sent_again(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_READ, 1);
    submit(handle, 200, 2);
    lose();
    reap_nothing();
    attach_slots(SLOTS, 4);
    reopen(1);
    assert_int_equal(get().opcode, HCLIF_OP_READ);
    assert_int_equal(get().opcode, 200);
    get_nothing();
}

static void test_lost_others_have_an_unknown_outcome(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_result result;

    (void)state;
    submit(handle, HCL_WRITE, 1);
    lose();
    result = reap();
    assert_int_equal(result.status, HCL_OUTCOME_UNKNOWN);
    assert_int_equal(result.error, -ECONNRESET);
    assert_int_equal((uintptr_t)result.user, 1);
    attach_slots(SLOTS, 4);
    reopen(1);
    get_nothing();
    reap_nothing();
}

static void test_lost_what_was_not_sent_is_just_sent_later(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    lose();
    submit(handle, HCL_WRITE, 1);
    reap_nothing();
    attach_slots(SLOTS, 4);
    reopen(1);
    assert_int_equal(get().opcode, HCLIF_OP_WRITE);
    get_nothing();
}

static void test_lost_ones_keep_their_order(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request request;
    uint64_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        struct hcl_io io = {.opcode = 200, .argument = i};

        if (i == 4) {
            lose();
        }
        assert_int_equal(submit_io(handle, &io), 0);
    }
    attach_slots(SLOTS, 4);
    reopen(1);
    for (i = 0; i < 6; i++) {
        request = get();
        assert_true(request.argument == i);
    }
}

static void test_lost_but_completed_ones_are_completed(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request write;

    (void)state;
    submit(handle, HCL_WRITE, 1);
    submit(handle, HCL_WRITE, 2);
    write = get();
    put(write.tag, HCLIF_STATUS_OK, NULL, 0);
    hcl_session_drain(&session);
    lose();
    assert_int_equal(reap().status, HCL_OK);
    assert_int_equal(reap().status, HCL_OUTCOME_UNKNOWN);
}

static void test_drain_sends_nothing(void **state)
{
    struct hcl_handle *handle;

    (void)state;
    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    submit(handle, HCL_WRITE, 1);
    put(get().tag, HCLIF_STATUS_OK, NULL, 0);
    hcl_session_drain(&session);
    get_nothing();
    lose();
    reap_nothing();
    attach_slots(SLOTS, 4);
    reopen(1);
    assert_int_equal(get().opcode, HCLIF_OP_WRITE);
}

static void test_lost_payloads_in_the_pool_survive(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t payload[100], answer[100];
    struct hcl_io io = {.opcode = 200,
                        .tx = payload,
                        .tx_bytes = 100,
                        .rx = answer,
                        .rx_bytes = 100};
    struct hclif_request request;

    (void)state;
    memset(payload, 0x77, sizeof(payload));
    assert_int_equal(submit_io(handle, &io), 0);
    lose();
    attach_slots(SLOTS, 4);
    reopen(1);
    request = get();
    assert_int_equal(tx_pool[request.tx_offset + 99], 0x77);
    put(request.tag, HCLIF_STATUS_OK, NULL, 100);
    assert_int_equal(run(), 0);
    reap();
    assert_whole_pools();
}

static void test_lost_while_cancelled_is_not_sent_again(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_io io = {.opcode = 200};
    struct hcl_request *request;

    (void)state;
    assert_int_equal(hcl_session_submit(handle, &io, false, &request), 0);
    hcl_session_cancel(&session, request);
    lose();
    assert_int_equal(reap().status, HCL_CANCELLED);
    attach_slots(SLOTS, 4);
    reopen(1);
    get_nothing();
    assert_int_equal(session.cancels_wanted, 0);
}

static void test_lost_orphans_are_not_sent_again(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_io io = {.opcode = 200};
    struct hcl_request *request;

    (void)state;
    assert_int_equal(hcl_session_submit(handle, &io, true, &request), 0);
    hcl_session_release(&session, request);
    lose();
    reap_nothing();
    attach_slots(SLOTS, 4);
    reopen(1);
    get_nothing();
    assert_int_equal(request->state, HCL_REQUEST_FREE);
}

static void test_lost_closed_handles_are_gone(void **state)
{
    struct hcl_handle *handle = open_handle(), *other = open_handle();

    (void)state;
    hcl_session_close(handle);
    assert_int_equal(run(), 0);
    lose();
    assert_false(hcl_session_has(&session, handle));
    assert_true(hcl_session_has(&session, other));
    attach_slots(SLOTS, 4);
    reopen(1);
    get_nothing();
}

static void test_lost_and_refused_handles_end_their_requests(void **state)
{
    struct hcl_handle *handle = open_handle();

    (void)state;
    submit(handle, HCL_READ, 1);
    lose();
    attach_slots(SLOTS, 4);
    put(get().tag, HCLIF_STATUS_BUSY, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(reap().error, -EBUSY);
}

static void test_lost_and_fewer_handles_allowed(void **state)
{
    struct hcl_handle *first = open_handle(), *second = open_handle();

    (void)state;
    submit(second, HCL_READ, 2);
    lose();
    attach_slots(SLOTS, 1);
    reopen(1);
    assert_int_equal(first->state, HCL_HANDLE_OPEN);
    assert_int_equal(second->state, HCL_HANDLE_FAILED);
    assert_int_equal(reap().error, -EMFILE);
}

static void test_lost_and_a_smaller_ring(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hclif_request request;
    unsigned int i, done = 0;

    (void)state;
    for (i = 0; i < USER_SLOTS; i++) {
        submit(handle, HCL_READ, i);
    }
    lose();
    attach_slots(16, 4);
    reopen(1);
    while (done < USER_SLOTS) {
        for (i = 0; i < 8 && done + i < USER_SLOTS; i++) {
            request = get();
            assert_true(request.tag < 16);
            put(request.tag, HCLIF_STATUS_OK, NULL, 0);
        }
        get_nothing();
        assert_int_equal(run(), 0);
        done += i;
    }
    for (i = 0; i < USER_SLOTS; i++) {
        assert_int_equal((uintptr_t)reap().user, i);
    }
}

static void test_the_end_completes_everything(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_err why = {.code = -ENODEV, .text = "detached"};
    struct hcl_result result;
    int i;

    (void)state;
    submit(handle, HCL_READ, 0);
    submit(handle, HCL_WRITE, 1);
    lose();
    assert_int_equal(reap().status, HCL_OUTCOME_UNKNOWN);
    submit(handle, HCL_WRITE, 1);
    hcl_session_end(&session, &why);
    for (i = 0; i < 2; i++) {
        result = reap();
        assert_int_equal(result.status, HCL_ENDED);
        assert_int_equal(result.error, -ENODEV);
        assert_string_equal(result.text, "detached");
        assert_int_equal((uintptr_t)result.user, i);
    }
    reap_nothing();
    assert_int_equal(submit_io(handle, &io), -ENODEV);
    hcl_session_close(handle);
    assert_false(hcl_session_has(&session, handle));
    assert_whole_pools();
}

static void test_the_end_while_connected_completes_everything(void **state)
{
    struct hcl_handle *handle = open_handle();
    struct hcl_err why = {.code = -EPROTO, .text = "fault"};

    (void)state;
    submit(handle, HCL_READ, 0);
    submit(handle, HCL_WRITE, 1);
    hcl_session_end(&session, &why);
    assert_int_equal(reap().error, -EPROTO);
    assert_int_equal(reap().error, -EPROTO);
    assert_int_equal(run(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_small_payloads_travel_in_the_slots),
        T(test_larger_payloads_are_copied_through_the_pools),
        T(test_pool_memory_is_used_in_place),
        T(test_completions_may_come_in_any_order),
        T(test_many_laps_of_the_ring),
        T(test_a_full_table_says_so_and_leaves_room_to_cancel),
        T(test_bad_requests_are_refused_and_leave_nothing),
        T(test_the_doorbell_rings_only_if_asked_for),
        T(test_the_session_asks_for_an_event_before_it_rests),
        T(test_each_status_has_its_errno),
        T(test_a_failure_may_bring_a_text_which_is_cleaned),
        T(test_overrun_is_passed_on),
        T(test_fault_sequence),
        T(test_fault_tag_out_of_range),
        T(test_fault_tag_far_out_of_range),
        T(test_fault_tag_not_in_flight),
        T(test_fault_a_request_completed_twice),
        T(test_fault_answer_larger_than_asked_for),
        T(test_fault_answer_larger_than_a_pool_piece),
        T(test_fault_text_larger_than_a_slot),
        T(test_fault_answer_to_an_open),
        T(test_every_fault_has_a_text),
        T(test_any_bytes_in_the_ring_end_in_time),
        T(test_handles_get_the_lowest_free_number),
        T(test_requests_wait_for_their_handle),
        T(test_a_refused_handle_ends_its_requests),
        T(test_a_closed_handle_lives_until_its_requests_are_done),
        T(test_a_handle_closed_while_it_opens_is_closed_after),
        T(test_cancel_names_the_tag),
        T(test_a_cancelled_request_may_have_been_done),
        T(test_what_was_not_sent_is_cancelled_at_once),
        T(test_a_completed_request_is_not_found),
        T(test_an_orphan_touches_no_memory_of_the_program),
        T(test_lost_repeatable_ones_are_sent_again),
        T(test_lost_others_have_an_unknown_outcome),
        T(test_lost_what_was_not_sent_is_just_sent_later),
        T(test_lost_ones_keep_their_order),
        T(test_lost_but_completed_ones_are_completed),
        T(test_drain_sends_nothing),
        T(test_lost_payloads_in_the_pool_survive),
        T(test_lost_while_cancelled_is_not_sent_again),
        T(test_lost_orphans_are_not_sent_again),
        T(test_lost_closed_handles_are_gone),
        T(test_lost_and_refused_handles_end_their_requests),
        T(test_lost_and_fewer_handles_allowed),
        T(test_lost_and_a_smaller_ring),
        T(test_the_end_completes_everything),
        T(test_the_end_while_connected_completes_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
