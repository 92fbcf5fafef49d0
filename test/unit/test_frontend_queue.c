/* SPDX-License-Identifier: MIT */
/*
 * What travels on the rings, and each fault of a backend there
 * (doc/protocol.md 5).
 */
#include "test_frontend_session.h"

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
    for (i = 0; i < (uintptr_t)10 * SLOTS; i++) {
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

static void test_any_failure_may_bring_a_text(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t answer[200];
    struct hcl_io io = {.opcode = HCL_READ, .rx = answer, .rx_bytes = 200};
    struct hcl_result result;

    (void)state;
    submit(handle, HCL_WRITE, 0);
    put(get().tag, HCLIF_STATUS_BUSY, "guest2 has it", 13);
    assert_int_equal(run(), 0);
    assert_string_equal(reap().text, "guest2 has it");
    /* In data[], where an answer would have come to the pool. */
    assert_int_equal(submit_io(handle, &io), 0);
    put(get().tag, HCLIF_STATUS_GONE, "unplugged", 9);
    assert_int_equal(run(), 0);
    result = reap();
    assert_int_equal(result.status, HCL_GONE);
    assert_string_equal(result.text, "unplugged");
    assert_int_equal(result.rx_bytes, 0);
    /* And of a status that nobody knows. */
    submit(handle, HCL_WRITE, 0);
    put(get().tag, 99, "48 bytes of text 48 bytes of text 48 bytes of te", 48);
    assert_int_equal(run(), 0);
    assert_int_equal(strlen(reap().text), 48);
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

static void test_fault_text_as_large_as_the_answer_would_be(void **state)
{
    struct hcl_handle *handle = open_handle();
    uint8_t answer[200];
    struct hcl_io io = {.opcode = HCL_READ, .rx = answer, .rx_bytes = 200};

    (void)state;
    assert_int_equal(submit_io(handle, &io), 0);
    put(get().tag, HCLIF_STATUS_TIMEOUT, NULL, 49);
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
        T(test_any_failure_may_bring_a_text),
        T(test_overrun_is_passed_on),
        T(test_fault_sequence),
        T(test_fault_tag_out_of_range),
        T(test_fault_tag_far_out_of_range),
        T(test_fault_tag_not_in_flight),
        T(test_fault_a_request_completed_twice),
        T(test_fault_answer_larger_than_asked_for),
        T(test_fault_answer_larger_than_a_pool_piece),
        T(test_fault_text_larger_than_a_slot),
        T(test_fault_text_as_large_as_the_answer_would_be),
        T(test_fault_answer_to_an_open),
        T(test_every_fault_has_a_text),
        T(test_any_bytes_in_the_ring_end_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
