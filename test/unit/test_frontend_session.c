/* SPDX-License-Identifier: MIT */
/* Handles, cancelling, and what a lost connection does to requests. */
#include "test_frontend_session.h"

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
