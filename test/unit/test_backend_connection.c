/* SPDX-License-Identifier: MIT */
/* connection.c, request.c and job.c against doc/protocol.md 3.3 to 5. */
#include "test_backend_hold.h"

/* Looks at payloads, so that it must get private ones. */
static const struct hcl_class hold_class = {HOLD_CLASS(.flags = 0)};
static const struct hcl_class move_class = {
    HOLD_CLASS(.flags = HCL_CLASS_MOVES_BYTES)};

static int set_up(void **state)
{
    return set_up_class(state, &hold_class);
}

static int set_up_move(void **state)
{
    return set_up_class(state, &move_class);
}

/* ---- Faults: one for each check, each fails without it ------------------ */

static void expect_fault(struct fixture *f, struct hclif_request request,
                         enum hcl_fault fault, const char *part)
{
    const struct hcl_fault_report *report;

    assert_int_equal(rig_send(&f->guest, request), HCL_SERVE_FAULT);
    report = hcl_connection_fault(f->guest.connection);
    assert_int_equal(report->fault, fault);
    assert_non_null(strstr(report->text, hcl_fault_name(fault)));
    assert_non_null(strstr(report->text, part));
    assert_int_equal(hcl_connection_stats(f->guest.connection)->faults, 1);
}

static void sequence_neither_old_nor_new_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct hclif_request *slot =
        (struct hclif_request *)(f->guest.ro + HCLIF_PAGE_BYTES);

    slot->sequence = 77;
    assert_int_equal(rig_serve(&f->guest), HCL_SERVE_FAULT);
    assert_int_equal(hcl_connection_fault(f->guest.connection)->fault,
                     HCL_FAULT_SEQUENCE);
}

static void more_in_flight_than_slots_is_a_fault(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    for (uint32_t tag = 0; tag < RIG_SLOTS; tag++) {
        assert_int_equal(rig_send(&f->guest, read_request(tag)),
                         HCL_SERVE_IDLE);
    }
    assert_int_equal(num_held, RIG_SLOTS);
    expect_fault(f, read_request(0), HCL_FAULT_IN_FLIGHT, "64 of 64");
}

static void tag_not_below_slots_is_a_fault(void **state)
{
    expect_fault(*state, read_request(RIG_SLOTS), HCL_FAULT_TAG_RANGE,
                 "64 of 64");
}

static void tag_in_use_is_a_fault(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    rig_send(&f->guest, read_request(5));
    expect_fault(f, read_request(5), HCL_FAULT_TAG_BUSY, "5");
}

static void unknown_flag_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.flags = 0x04;
    expect_fault(*state, request, HCL_FAULT_FLAGS, "0x04");
}

static void payload_longer_than_the_slot_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.tx_bytes = HCLIF_REQUEST_DATA + 1;
    expect_fault(*state, request, HCL_FAULT_TX_INLINE, "29 bytes");
}

static void inline_payload_with_an_offset_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.tx_offset = 1;
    expect_fault(*state, request, HCL_FAULT_TX_INLINE, "at 1");
}

static void payload_past_the_tx_pool_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.flags = HCLIF_TX_POOL;
    request.tx_offset = RIG_POOL_PAGES * HCLIF_PAGE_BYTES - 1;
    request.tx_bytes = 2;
    expect_fault(*state, request, HCL_FAULT_TX_POOL, "2 bytes at 262143");
}

static void payload_whose_end_wraps_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.flags = HCLIF_TX_POOL;
    request.tx_offset = 4096;
    request.tx_bytes = UINT32_MAX - 4000;
    expect_fault(*state, request, HCL_FAULT_TX_POOL, "at 4096");
}

static void answer_longer_than_the_slot_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.rx_bytes = HCLIF_COMPLETION_DATA + 1;
    expect_fault(*state, request, HCL_FAULT_RX_INLINE, "49 bytes");
}

static void inline_answer_with_an_offset_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.rx_offset = 64;
    expect_fault(*state, request, HCL_FAULT_RX_INLINE, "at 64");
}

static void answer_past_the_rx_pool_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.flags = HCLIF_RX_POOL;
    request.rx_offset = RIG_POOL_PAGES * HCLIF_PAGE_BYTES;
    request.rx_bytes = 1;
    expect_fault(*state, request, HCL_FAULT_RX_POOL, "1 bytes at 262144");
}

static void answer_whose_end_wraps_is_a_fault(void **state)
{
    struct hclif_request request = read_request(0);

    request.flags = HCLIF_RX_POOL;
    request.rx_offset = UINT32_MAX;
    request.rx_bytes = 2;
    expect_fault(*state, request, HCL_FAULT_RX_POOL, "2 bytes");
}

/* They need not be alike. */
static void each_pool_has_its_own_end(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = read_request(0);
    struct rig_guest other;

    rig_disconnect(&f->guest);
    rig_connect_pools(&f->rig, &f->guest, 1, 2);
    rig_connect_pools(&f->rig, &other, 2, 1);
    request.flags = HCLIF_RX_POOL;
    request.rx_offset = HCLIF_PAGE_BYTES;
    rig_open_handle(&f->guest);
    assert_int_equal(rig_send(&f->guest, request), HCL_SERVE_IDLE);
    assert_int_equal(rig_send(&other, request), HCL_SERVE_FAULT);
    assert_int_equal(hcl_connection_fault(other.connection)->fault,
                     HCL_FAULT_RX_POOL);
    request = read_request(1);
    request.flags = HCLIF_TX_POOL;
    request.tx_offset = HCLIF_PAGE_BYTES;
    request.tx_bytes = 1;
    expect_fault(f, request, HCL_FAULT_TX_POOL, "1 bytes at 4096 of 4096");
    rig_disconnect(&other);
}

static void faults_are_seen_in_opcodes_of_the_worker_too(void **state)
{
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .flags = 0x80};

    expect_fault(*state, request, HCL_FAULT_FLAGS, "0x80");
}

static void a_fault_touches_no_other_connection(void **state)
{
    struct fixture *f = *state;
    struct rig_guest other;

    rig_connect(&f->rig, &other);
    rig_open_handle(&other);
    rig_send(&other, read_request(1));
    expect_fault(f, read_request(1000), HCL_FAULT_TAG_RANGE, "1000");
    complete_first(HCLIF_STATUS_OK, 0, 0);
    rig_expect(&other, 1, HCLIF_STATUS_OK);
    rig_disconnect(&other);
}

/* The guest goes on writing the slot while its request is being served. */
static void a_slot_is_read_once(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .tag = 3};

    changing_slot = (struct hclif_request *)(f->guest.ro + HCLIF_PAGE_BYTES);
    assert_int_equal(rig_send(&f->guest, request), HCL_SERVE_IDLE);
    rig_expect(&f->guest, 3, HCLIF_STATUS_OK);
}

/* ---- Handles ------------------------------------------------------------ */

static void open_checks_its_number_and_argument(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .tag = 9};

    request.argument = 1;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_INVALID);
    request.argument = 0;
    request.handle = RIG_HANDLES;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
    request.handle = RIG_HANDLES - 1;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
    assert_int_equal(num_open, 1);
}

static void open_may_be_refused_by_the_class(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN};

    open_status = HCLIF_STATUS_BUSY;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BUSY);
    assert_int_equal(status_of(&f->guest, read_request(0)),
                     HCLIF_STATUS_BAD_HANDLE);
}

/* hold_handle_open looks at its state. */
static void a_handle_opened_again_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_CLOSE, .tag = 1};

    rig_open_handle(&f->guest);
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    rig_open_handle(&f->guest);
    assert_int_equal(num_open, 1);
}

static void requests_need_an_open_handle_and_a_known_opcode(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = read_request(3);

    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
    request.handle = 60000;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
    request.handle = RIG_HANDLES;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
    rig_open_handle(&f->guest);
    request.handle = 0;
    request.opcode = 201;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_UNSUPPORTED);
    request.opcode = 0;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_UNSUPPORTED);
}

static void close_completes_the_jobs_of_its_handle_first(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .handle = 1};
    struct hclif_completion completion;

    rig_open_handle(&f->guest);
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    rig_send(&f->guest, read_request(10));
    rig_send(&f->guest, read_request(11));
    request = read_request(12);
    request.handle = 1;
    rig_send(&f->guest, request);
    request = (struct hclif_request){.opcode = HCLIF_OP_CLOSE, .tag = 13};
    rig_send(&f->guest, request);
    assert_int_equal(num_cancelled, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(rig_take(&f->guest, &completion));
        assert_in_range(completion.tag, 10, 11);
        assert_int_equal(completion.status, HCLIF_STATUS_CANCELLED);
    }
    rig_expect(&f->guest, 13, HCLIF_STATUS_OK);
    assert_int_equal(num_held, 1);
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
}

static void cancel_ends_the_job_of_that_tag_and_handle_only(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .handle = 1};

    rig_open_handle(&f->guest);
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    rig_send(&f->guest, read_request(20));
    request = (struct hclif_request){
        .opcode = HCLIF_OP_CANCEL, .tag = 1, .argument = 20, .handle = 1};
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    request.handle = 0;
    request.argument = (1ull << 32) + 20; /* no tag, whatever is cut off */
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    request.argument = RIG_SLOTS;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    assert_int_equal(num_held, 1);
    request.argument = 20;
    rig_send(&f->guest, request);
    rig_expect(&f->guest, 20, HCLIF_STATUS_CANCELLED);
    rig_expect(&f->guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(num_held, 0);
    request.handle = 2;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_BAD_HANDLE);
}

/* ---- Payloads ----------------------------------------------------------- */

static void inline_payload_and_answer_travel_in_the_slots(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {
        .opcode = HCLIF_OP_EXCHANGE, .tx_bytes = 5, .rx_bytes = 48, .tag = 2};
    struct hclif_completion completion;

    rig_open_handle(&f->guest);
    memcpy(request.data, "hello", 5);
    rig_send(&f->guest, request);
    assert_int_equal(held[0]->tx_bytes, 5);
    assert_memory_equal(held[0]->tx, "hello", 5);
    memset(held[0]->rx, 'x', 48);
    complete_first(HCLIF_STATUS_OK, 48, HCLIF_OVERRUN);
    completion = rig_expect(&f->guest, 2, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 48);
    assert_int_equal(completion.flags, HCLIF_OVERRUN);
    assert_int_equal(completion.data[47], 'x');
}

static void a_class_that_looks_gets_a_private_payload(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_EXCHANGE,
                                    .flags = HCLIF_TX_POOL | HCLIF_RX_POOL,
                                    .tx_bytes = 4,
                                    .tx_offset = 100,
                                    .rx_bytes = 4,
                                    .rx_offset = 5000};

    rig_open_handle(&f->guest);
    memcpy(rig_tx_pool(&f->guest) + 100, "good", 4);
    rig_send(&f->guest, request);
    memcpy(rig_tx_pool(&f->guest) + 100, "evil", 4);
    assert_memory_equal(held[0]->tx, "good", 4);
    memcpy(held[0]->rx, "back", 4);
    assert_int_equal(rig_rx_pool(&f->guest)[5000], 0);
    complete_first(HCLIF_STATUS_OK, 3, 0);
    assert_memory_equal(rig_rx_pool(&f->guest) + 5000, "bac\0", 4);
    rig_expect(&f->guest, 0, HCLIF_STATUS_OK);
}

static void a_class_that_moves_works_on_the_pool(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_EXCHANGE,
                                    .flags = HCLIF_TX_POOL | HCLIF_RX_POOL,
                                    .tx_bytes = 4,
                                    .tx_offset = 100,
                                    .rx_bytes = 4,
                                    .rx_offset = 200};

    rig_open_handle(&f->guest);
    rig_send(&f->guest, request);
    assert_ptr_equal(held[0]->tx, rig_tx_pool(&f->guest) + 100);
    assert_ptr_equal(held[0]->rx, rig_rx_pool(&f->guest) + 200);
    complete_first(HCLIF_STATUS_OK, 4, 0);
    rig_expect(&f->guest, 0, HCLIF_STATUS_OK);
}

static void private_payloads_cannot_overlap(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_WRITE,
                                    .flags = HCLIF_TX_POOL,
                                    .tx_bytes = 100,
                                    .tx_offset = 100};

    rig_open_handle(&f->guest);
    memcpy(rig_tx_pool(&f->guest) + 199, "G", 1);
    rig_send(&f->guest, request);
    memcpy(rig_tx_pool(&f->guest) + 199, "E", 1);
    request.tag = 1;
    request.tx_offset = 199;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_LIMIT);
    assert_int_equal(((const uint8_t *)held[0]->tx)[99], 'G');
    request.tx_offset = 200;
    rig_send(&f->guest, request);
    assert_int_equal(num_held, 2);
    complete_first(HCLIF_STATUS_OK, 0, 0);
    rig_expect(&f->guest, 0, HCLIF_STATUS_OK);
    request.tag = 2;
    request.tx_offset = 100;
    rig_send(&f->guest, request);
    assert_int_equal(num_held, 2);
}

static void overlapping_answers_give_the_payload_back(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_EXCHANGE,
                                    .flags = HCLIF_TX_POOL | HCLIF_RX_POOL,
                                    .tx_bytes = 10,
                                    .rx_bytes = 10};

    rig_open_handle(&f->guest);
    rig_send(&f->guest, request);
    request.tag = 1;
    request.tx_offset = 10;
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_LIMIT);
    request.rx_offset = 10;
    rig_send(&f->guest, request);
    assert_int_equal(num_held, 2);
}

static void a_failed_job_says_why_whatever_room_it_has(void **state)
{
    static const char text[] =
        "0123456789 0123456789 0123456789 0123456789 01234567";
    struct fixture *f = *state;
    struct hclif_request request = read_request(1);
    struct hclif_completion completion;

    rig_open_handle(&f->guest);
    rig_send(&f->guest, request);
    hcl_job_fail(held[--num_held], HCLIF_STATUS_IO, "broken");
    completion = rig_expect(&f->guest, 1, HCLIF_STATUS_IO);
    assert_int_equal(completion.rx_bytes, 6); /* with room for 4 */
    assert_memory_equal(completion.data, "broken", 6);
    rig_send(&f->guest, request);
    hcl_job_fail(held[--num_held], HCLIF_STATUS_BUSY, "");
    completion = rig_expect(&f->guest, 1, HCLIF_STATUS_BUSY);
    assert_int_equal(completion.rx_bytes, 0);
    request.flags = HCLIF_RX_POOL;
    rig_send(&f->guest, request);
    hcl_job_fail(held[--num_held], HCLIF_STATUS_LIMIT, text);
    completion = rig_expect(&f->guest, 1, HCLIF_STATUS_LIMIT);
    assert_int_equal(completion.rx_bytes, HCLIF_COMPLETION_DATA);
    assert_memory_equal(completion.data, text, HCLIF_COMPLETION_DATA);
    assert_int_equal(hcl_connection_stats(f->guest.connection)->rx_bytes, 0);
}

static void a_job_that_is_not_ok_has_no_answer(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = read_request(1);
    struct hclif_completion completion;

    rig_open_handle(&f->guest);
    rig_send(&f->guest, request);
    memcpy(held[0]->rx, "data", 4);
    complete_first(HCLIF_STATUS_CANCELLED, 4, 0);
    completion = rig_expect(&f->guest, 1, HCLIF_STATUS_CANCELLED);
    assert_int_equal(completion.rx_bytes, 0);
    assert_int_equal(completion.data[0], 0);
    request.flags = HCLIF_RX_POOL;
    rig_send(&f->guest, request);
    memcpy(held[0]->rx, "data", 4);
    complete_first(HCLIF_STATUS_TIMEOUT, 4, 0);
    rig_expect(&f->guest, 1, HCLIF_STATUS_TIMEOUT);
    assert_int_equal(rig_rx_pool(&f->guest)[0], 0);
}

/* So that what lies on the stack by chance is not 0. */
__attribute__((noinline)) static void soil_the_stack(void)
{
    volatile uint8_t soil[8192];

    for (unsigned int i = 0; i < sizeof(soil); i++) {
        soil[i] = 0xa5;
    }
}

static void expect_zeros(const struct hclif_completion *completion, size_t from)
{
    for (size_t i = from; i < sizeof(completion->data); i++) {
        assert_int_equal(completion->data[i], 0);
    }
}

/* Whatever the worker has in memory is none of the guest's business. */
static void unused_octets_of_a_completion_are_0(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .tag = 1};
    struct hclif_completion completion;

    soil_the_stack();
    assert_int_equal(rig_send(&f->guest, request), HCL_SERVE_IDLE);
    completion = rig_expect(&f->guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 0);
    assert_int_equal(completion.flags, 0);
    expect_zeros(&completion, 0);
    rig_send(&f->guest, read_request(2));
    memcpy(held[0]->rx, "data", 4);
    soil_the_stack();
    complete_first(HCLIF_STATUS_OK, 1, 0);
    completion = rig_expect(&f->guest, 2, HCLIF_STATUS_OK);
    assert_int_equal(completion.data[0], 'd');
    expect_zeros(&completion, 1);
}

/* ---- Bursts and events -------------------------------------------------- */

static void a_flood_uses_up_its_budget_only(void **state)
{
    struct fixture *f = *state;
    const struct hclif_side *back = (struct hclif_side *)f->guest.rw;

    rig_open_handle(&f->guest);
    for (uint32_t tag = 0; tag < RIG_SLOTS; tag++) {
        rig_put(&f->guest, read_request(tag));
    }
    assert_int_equal(
        hcl_connection_serve(f->guest.connection, 10 * HCL_REQUEST_NS),
        HCL_SERVE_MORE);
    assert_int_equal(num_held, 10);
    assert_int_equal(rig_serve(&f->guest), HCL_SERVE_IDLE);
    assert_int_equal(num_held, RIG_SLOTS);
    /* No event was asked for, by all that; only before a sleep. */
    assert_int_equal(back->event[0].position, 0);
    assert_true(hcl_connection_arm(f->guest.connection));
    assert_int_equal(back->event[0].position, 1 + RIG_SLOTS);
}

static void a_burst_of_completions_rings_once(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    rig_send(&f->guest, read_request(1));
    rig_send(&f->guest, read_request(2));
    assert_true(hcl_consumer_arm(&f->guest.completions));
    f->guest.rings = 0;
    complete_first(HCLIF_STATUS_OK, 0, 0);
    complete_first(HCLIF_STATUS_OK, 0, 0);
    assert_int_equal(f->guest.rings, 0);
    hcl_device_flush(f->rig.device);
    assert_int_equal(f->guest.rings, 1);
    hcl_device_flush(f->rig.device);
    assert_int_equal(f->guest.rings, 1);
}

static void a_guest_that_does_not_sleep_gets_no_event(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    rig_send(&f->guest, read_request(1));
    f->guest.rings = 0;
    complete_first(HCLIF_STATUS_OK, 0, 0);
    hcl_device_flush(f->rig.device);
    assert_int_equal(f->guest.rings, 0);
}

static void an_armed_connection_gets_the_next_event(void **state)
{
    struct fixture *f = *state;

    /* In fresh memory the first request is asked for. */
    rig_open_handle(&f->guest);
    assert_true(hcl_producer_notify(&f->guest.requests));
    assert_false(hcl_connection_ready(f->guest.connection));
    rig_put(&f->guest, read_request(0));
    assert_true(hcl_connection_ready(f->guest.connection));
    /* It was not asked for: the backend looks by itself. */
    assert_false(hcl_producer_notify(&f->guest.requests));
    assert_false(hcl_connection_arm(f->guest.connection));
    assert_int_equal(rig_serve(&f->guest), HCL_SERVE_IDLE);
    assert_true(hcl_connection_arm(f->guest.connection));
    rig_put(&f->guest, read_request(1));
    assert_true(hcl_producer_notify(&f->guest.requests));
}

static void alive_is_kept_and_watched(void **state)
{
    struct fixture *f = *state;
    struct hclif_side *front = (struct hclif_side *)f->guest.ro;
    struct hclif_side *back = (struct hclif_side *)f->guest.rw;
    struct rig_guest other;

    assert_int_equal(back->alive, 1);
    assert_true(hcl_connection_peer_alive(f->guest.connection));
    front->alive = 0;
    assert_false(hcl_connection_peer_alive(f->guest.connection));
    rig_connect(&f->rig, &other);
    back = (struct hclif_side *)other.rw;
    hcl_connection_free(other.connection);
    assert_int_equal(back->alive, 0);
    other.connection = NULL;
    rig_disconnect(&other);
}

static void the_end_cancels_jobs_and_sends_nothing(void **state)
{
    struct fixture *f = *state;
    struct hclif_completion completion;
    struct rig_guest other;

    rig_connect(&f->rig, &other);
    rig_open_handle(&other);
    rig_send(&other, read_request(1));
    rig_send(&other, read_request(2));
    other.rings = 0;
    hcl_connection_free(other.connection);
    other.connection = NULL;
    assert_int_equal(num_cancelled, 2);
    assert_int_equal(num_open, 0);
    assert_false(rig_take(&other, &completion));
    hcl_device_flush(f->rig.device);
    assert_int_equal(other.rings, 0);
    rig_disconnect(&other);
}

static void the_end_cancels_the_newest_job_first(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .handle = 1};
    struct rig_guest other;

    rig_connect(&f->rig, &other);
    rig_open_handle(&other);
    rig_send(&other, request);
    rig_expect(&other, 0, HCLIF_STATUS_OK);
    for (uint32_t tag = 1; tag <= 4; tag++) {
        request = read_request(tag);
        request.handle = (uint16_t)(tag % 2);
        request.argument = tag;
        rig_send(&other, request);
    }
    complete_first(HCLIF_STATUS_OK, 0, 0);
    hcl_connection_free(other.connection);
    other.connection = NULL;
    assert_int_equal(num_cancelled, 3);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(cancelled[i], 4 - i);
    }
    rig_disconnect(&other);
}

static void everything_is_counted(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {
        .opcode = HCLIF_OP_EXCHANGE, .tx_bytes = 7, .rx_bytes = 9};
    const struct hcl_stats *stats = hcl_connection_stats(f->guest.connection);

    rig_open_handle(&f->guest);
    rig_send(&f->guest, request);
    assert_int_equal(hcl_connection_in_flight(f->guest.connection), 1);
    complete_first(HCLIF_STATUS_OK, 9, 0);
    assert_int_equal(hcl_connection_in_flight(f->guest.connection), 0);
    assert_int_equal(stats->requests, 2);
    assert_int_equal(stats->completions, 2);
    assert_int_equal(stats->tx_bytes, 7);
    assert_int_equal(stats->rx_bytes, 9);
    assert_int_equal(stats->queued, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sequence_neither_old_nor_new_is_a_fault),
        TEST(more_in_flight_than_slots_is_a_fault),
        TEST(tag_not_below_slots_is_a_fault),
        TEST(tag_in_use_is_a_fault),
        TEST(unknown_flag_is_a_fault),
        TEST(payload_longer_than_the_slot_is_a_fault),
        TEST(inline_payload_with_an_offset_is_a_fault),
        TEST(payload_past_the_tx_pool_is_a_fault),
        TEST(payload_whose_end_wraps_is_a_fault),
        TEST(answer_longer_than_the_slot_is_a_fault),
        TEST(inline_answer_with_an_offset_is_a_fault),
        TEST(answer_past_the_rx_pool_is_a_fault),
        TEST(answer_whose_end_wraps_is_a_fault),
        TEST(each_pool_has_its_own_end),
        TEST(faults_are_seen_in_opcodes_of_the_worker_too),
        TEST(a_fault_touches_no_other_connection),
        TEST(a_slot_is_read_once),
        TEST(open_checks_its_number_and_argument),
        TEST(open_may_be_refused_by_the_class),
        TEST(a_handle_opened_again_begins_anew),
        TEST(requests_need_an_open_handle_and_a_known_opcode),
        TEST(close_completes_the_jobs_of_its_handle_first),
        TEST(cancel_ends_the_job_of_that_tag_and_handle_only),
        TEST(inline_payload_and_answer_travel_in_the_slots),
        TEST(a_class_that_looks_gets_a_private_payload),
        cmocka_unit_test_setup_teardown(a_class_that_moves_works_on_the_pool,
                                        set_up_move, tear_down),
        TEST(private_payloads_cannot_overlap),
        TEST(overlapping_answers_give_the_payload_back),
        TEST(a_failed_job_says_why_whatever_room_it_has),
        TEST(a_job_that_is_not_ok_has_no_answer),
        TEST(unused_octets_of_a_completion_are_0),
        TEST(a_flood_uses_up_its_budget_only),
        TEST(a_burst_of_completions_rings_once),
        TEST(a_guest_that_does_not_sleep_gets_no_event),
        TEST(an_armed_connection_gets_the_next_event),
        TEST(alive_is_kept_and_watched),
        TEST(the_end_cancels_jobs_and_sends_nothing),
        TEST(the_end_cancels_the_newest_job_first),
        TEST(everything_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
