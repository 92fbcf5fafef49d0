/* SPDX-License-Identifier: MIT */
/* What hcl_status counts. */
#include "test_frontend_backend.h"

static struct hcl_status status_of(const struct hcl_device *device)
{
    struct hcl_status status;

    hcl_status(device, &status);
    return status;
}

static void exchange(struct hcl_handle *handle, const void *tx, void *rx,
                     uint32_t bytes)
{
    assert_int_equal(hcl_exchange(handle, tx, bytes, rx, bytes, 1000, NULL),
                     bytes);
}

static void test_requests_are_counted_once_and_results_too(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_status status = status_of(device);
    int i;

    (void)state;
    /* OPEN is none of the program's. */
    assert_int_equal(status.requests, 0);
    assert_int_equal(status.completions, 0);
    for (i = 0; i < 3; i++) {
        assert_int_equal(hcl_write(handle, "abc", 3, 1000, NULL), 3);
    }
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    status = status_of(device);
    assert_int_equal(status.requests, 4);
    assert_int_equal(status.completions, 3);
    hcl_close(device);
}

static void test_copies_are_counted_and_pool_buffers_are_none(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    void *tx = hcl_buffer_alloc(device, 1000, HCL_TX);
    void *rx = hcl_buffer_alloc(device, 1000, HCL_RX);
    uint8_t bytes[1000] = {0};

    (void)state;
    exchange(handle, tx, rx, 1000);
    assert_int_equal(status_of(device).copied_bytes, 0);
    exchange(handle, bytes, rx, 1000);
    assert_int_equal(status_of(device).copied_bytes, 1000);
    exchange(handle, tx, bytes, 1000);
    assert_int_equal(status_of(device).copied_bytes, 2000);
    /* In the slots. */
    exchange(handle, bytes, bytes, 20);
    assert_int_equal(status_of(device).copied_bytes, 2040);
    /* Not what was asked for, but what came. */
    assert_int_equal(hcl_exchange(handle, tx, 10, bytes, 900, 1000, NULL), 10);
    assert_int_equal(status_of(device).copied_bytes, 2050);
    hcl_close(device);
}

static void test_requests_cost_no_grant_operation(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_status before = status_of(device), status;
    uint8_t bytes[1000] = {0};
    int i;

    (void)state;
    /* Two side pages, two rings, two pools and the control page. */
    assert_int_equal(before.grant_operations, 7);
    assert_int_equal(before.shared_pages, 37);
    for (i = 0; i < 50; i++) {
        exchange(handle, bytes, bytes, sizeof(bytes));
    }
    status = status_of(device);
    assert_int_equal(status.grant_operations, 7);
    assert_int_equal(status.shared_pages, 37);
    hcl_close(device);
}

static void test_events_are_counted_both_ways(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_status before, status;
    int i;

    (void)state;
    /* From now on each call asks for an event. */
    assert_true(hcl_device_fd(device) >= 0);
    before = status_of(device);
    /* OPEN's: the first slot of a ring always causes one. */
    assert_true(before.events_out > 0);
    for (i = 0; i < 20; i++) {
        assert_int_equal(hcl_submit(handle, &io, NULL), 0);
        assert_int_equal(wait_result(device).error, 0);
    }
    /* The fake answers at once: its last event is there, and not taken yet. */
    assert_int_equal(hcl_process(device, NULL), 0);
    status = status_of(device);
    /* At most one of each for a request, since the last was answered. */
    assert_in_range(status.events_out - before.events_out, 1, 20);
    assert_in_range(status.events_in - before.events_in, 1, 20);
    hcl_close(device);
}

static void test_counters_outlive_a_reconnect(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_status before, status;

    (void)state;
    assert_int_equal(hcl_write(handle, "abc", 3, 1000, NULL), 3);
    before = status_of(device);
    backend_die();
    backend_start();
    wait_connected(device);
    assert_int_equal(hcl_write(handle, "abc", 3, 1000, NULL), 3);
    status = status_of(device);
    assert_int_equal(status.reconnects, 1);
    assert_int_equal(status.requests, before.requests + 1);
    assert_int_equal(status.completions, before.completions + 1);
    assert_int_equal(status.copied_bytes, before.copied_bytes + 3);
    assert_true(status.events_out > before.events_out);
    /* All shared pages went, and as many came. */
    assert_int_equal(status.grant_operations, 3 * 7);
    assert_int_equal(status.shared_pages, 37);
    hcl_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_requests_are_counted_once_and_results_too),
        T(test_copies_are_counted_and_pool_buffers_are_none),
        T(test_requests_cost_no_grant_operation),
        T(test_events_are_counted_both_ways),
        T(test_counters_outlive_a_reconnect),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
