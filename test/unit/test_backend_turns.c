/* SPDX-License-Identifier: MIT */
/* Who gets the device and the worker's time, through the whole worker. */
#include "test_backend_hold.h"

static const struct hcl_class hold_class = {HOLD_CLASS(.flags = 0)};

/* A device that takes two jobs at a time; a READ is none of them. */
static const struct hcl_class turns_class = {
    HOLD_CLASS(.service = {.depth = 2, .opcodes = "4,5,200"})};

/* One with a clock. */
static const struct hcl_class measured_class = {
    HOLD_CLASS(.service = {.depth = 1, .measured = true})};

static int set_up(void **state)
{
    return set_up_class(state, &hold_class);
}

static int set_up_turns(void **state)
{
    return set_up_class(state, &turns_class);
}

static int set_up_measured(void **state)
{
    return set_up_class(state, &measured_class);
}

/* ---- Turns -------------------------------------------------------------- */

static struct hclif_request write_request(uint32_t tag)
{
    struct hclif_request request = {
        .tag = tag, .opcode = HCLIF_OP_WRITE, .argument = tag};

    return request;
}

static struct hclif_request cancel_request(uint32_t tag, uint32_t victim)
{
    struct hclif_request request = {
        .tag = tag, .opcode = HCLIF_OP_CANCEL, .argument = victim};

    return request;
}

static void jobs_beyond_the_depth_wait_in_the_worker(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    for (uint32_t tag = 1; tag <= 5; tag++) {
        assert_int_equal(rig_send(&f->guest, write_request(tag)),
                         HCL_SERVE_IDLE);
    }
    for (uint32_t tag = 1; tag <= 5; tag++) {
        assert_int_equal(num_held, tag < 5 ? 2 : 1);
        assert_int_equal(held[0]->argument, tag);
        complete_first(HCLIF_STATUS_OK, 0, 0);
        /* No submit from within hcl_job_complete. */
        assert_int_equal(num_held, tag < 5 ? 1 : 0);
        hcl_device_flush(f->rig.device);
        rig_expect(&f->guest, tag, HCLIF_STATUS_OK);
    }
    assert_int_equal(hcl_connection_stats(f->guest.connection)->queued, 3);
}

static void jobs_that_do_not_occupy_the_device_go_at_once(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    for (uint32_t tag = 1; tag <= 10; tag++) {
        rig_send(&f->guest, read_request(tag));
    }
    assert_int_equal(num_held, 10);
    rig_send(&f->guest, write_request(11));
    rig_send(&f->guest, write_request(12));
    rig_send(&f->guest, write_request(13));
    assert_int_equal(num_held, 12);
}

static void a_job_that_waits_is_cancelled_without_the_class(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_send(&f->guest, write_request(tag));
    }
    rig_send(&f->guest, cancel_request(9, 3));
    rig_expect(&f->guest, 3, HCLIF_STATUS_CANCELLED);
    rig_expect(&f->guest, 9, HCLIF_STATUS_OK);
    assert_int_equal(num_cancelled, 0);
    rig_send(&f->guest, write_request(3)); /* its tag is free again */
    rig_send(&f->guest, cancel_request(9, 1));
    rig_expect(&f->guest, 1, HCLIF_STATUS_CANCELLED);
    rig_expect(&f->guest, 9, HCLIF_STATUS_OK);
    assert_int_equal(num_cancelled, 1);
    /* And the next one has its place. */
    assert_int_equal(num_held, 2);
    assert_int_equal(held[0]->argument + held[1]->argument, 2 + 4);
}

static void closing_a_handle_cancels_what_waits_there(void **state)
{
    struct fixture *f = *state;
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN, .handle = 1};
    struct hclif_completion completion;

    rig_open_handle(&f->guest);
    assert_int_equal(status_of(&f->guest, request), HCLIF_STATUS_OK);
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_send(&f->guest, write_request(tag));
    }
    request = write_request(5);
    request.handle = 1;
    rig_send(&f->guest, request);
    request = (struct hclif_request){.opcode = HCLIF_OP_CLOSE, .tag = 13};
    rig_send(&f->guest, request);
    assert_int_equal(num_cancelled, 2);
    assert_int_equal(num_open, 1);
    for (uint32_t tag = 4; tag >= 1; tag--) {
        assert_true(rig_take(&f->guest, &completion));
        assert_int_equal(completion.status, HCLIF_STATUS_CANCELLED);
        assert_int_equal(completion.tag, tag);
    }
    rig_expect(&f->guest, 13, HCLIF_STATUS_OK);
    assert_int_equal(num_held, 1);
    assert_int_equal(held[0]->argument, 5);
}

static void the_end_of_a_guest_lets_others_jobs_go_on(void **state)
{
    struct fixture *f = *state;
    struct rig_guest other;

    rig_connect(&f->rig, &other);
    rig_open_handle(&other);
    rig_open_handle(&f->guest);
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_send(&other, write_request(tag));
    }
    rig_send(&f->guest, write_request(7));
    assert_int_equal(num_held, 2);
    rig_disconnect(&other);
    assert_int_equal(num_cancelled, 2);
    assert_int_equal(num_held, 0);
    hcl_device_flush(f->rig.device);
    assert_int_equal(num_held, 1);
    complete_first(HCLIF_STATUS_OK, 0, 0);
    rig_expect(&f->guest, 7, HCLIF_STATUS_OK);
}

/* One with many jobs before one with few. */
static void guests_have_their_turns(void **state)
{
    struct fixture *f = *state;
    struct rig_guest other;

    rig_connect(&f->rig, &other);
    rig_open_handle(&other);
    rig_open_handle(&f->guest);
    for (uint32_t tag = 1; tag <= 20; tag++) {
        rig_send(&other, write_request(tag));
    }
    rig_send(&f->guest, write_request(30));
    complete_first(HCLIF_STATUS_OK, 0, 0);
    hcl_device_flush(f->rig.device);
    assert_int_equal(held[1]->argument, 30);
    rig_disconnect(&other);
}

static void the_devices_time_is_counted(void **state)
{
    struct fixture *f = *state;
    const struct hcl_stats *stats;
    uint64_t began;

    rig_open_handle(&f->guest);
    rig_send(&f->guest, write_request(1));
    rig_send(&f->guest, write_request(2));
    began = hcl_now_ns();
    while (hcl_now_ns() - began < 1000000) {
    }
    complete_first(HCLIF_STATUS_OK, 0, 0);
    stats = hcl_connection_stats(f->guest.connection);
    assert_true(stats->device_ns >= 1000000);
    assert_int_equal(stats->queued, 1);
    assert_int_equal(stats->throttled, 0);
}

/* Ten a second: two at once, the third a tenth of a second later. */
static void a_capped_guest_goes_on_by_itself(void **state)
{
    struct fixture *f = *state;
    struct hcl_share share = {.weight = 100, .max_requests_per_s = 10};
    struct rig_guest other;

    rig_connect_as(&f->rig, &other, share, 1, 1);
    rig_open_handle(&other);
    rig_open_handle(&f->guest);
    for (uint32_t tag = 1; tag <= 3; tag++) {
        rig_send(&other, write_request(tag));
    }
    assert_int_equal(num_held, 2);
    assert_int_equal(hcl_connection_stats(other.connection)->throttled, 1);
    rig_send(&f->guest, write_request(9));
    assert_int_equal(num_held, 3);
    while (num_held < 4) {
        assert_int_equal(hcl_loop_poll(f->rig.loop, 5000000), 1);
        hcl_device_flush(f->rig.device);
    }
    assert_int_equal(held[3]->argument, 3);
    rig_disconnect(&other);
}

/* ---- The worker's own time ---------------------------------------------- */

static uint32_t served(struct rig_guest *guest, uint32_t budget_ns)
{
    uint64_t before = hcl_connection_stats(guest->connection)->requests;

    assert_int_not_equal(hcl_connection_serve(guest->connection, budget_ns),
                         HCL_SERVE_FAULT);
    return (uint32_t)(hcl_connection_stats(guest->connection)->requests -
                      before);
}

static void put_requests(struct rig_guest *guest, uint32_t count,
                         uint32_t rx_bytes)
{
    for (uint32_t tag = 0; tag < count; tag++) {
        struct hclif_request request = read_request(tag);

        request.rx_bytes = rx_bytes;
        request.flags = rx_bytes > 48 ? HCLIF_RX_POOL : 0;
        rig_put(guest, request);
    }
}

/* A large request is worth many small ones, and is paid by its guest. */
static void a_turn_is_measured_in_bytes_too(void **state)
{
    struct fixture *f = *state;
    const uint32_t large = RIG_POOL_PAGES * HCLIF_PAGE_BYTES;
    const uint32_t cost = HCL_REQUEST_NS + large / 1024 * HCL_REQUEST_KIB_NS;
    uint32_t turns = 0;

    rig_open_handle(&f->guest);
    put_requests(&f->guest, 2, large);
    assert_int_equal(served(&f->guest, 1000), 1);
    while (served(&f->guest, 1000) == 0) {
        turns++;
    }
    assert_in_range(turns, cost / 1000 - 1, cost / 1000);
    /* Nobody else is there: the debt is void. */
    put_requests(&f->guest, 0, 0);
    hcl_connection_forgive(f->guest.connection);
    rig_put(&f->guest, read_request(10));
    assert_int_equal(served(&f->guest, 1000), 1);
}

static void idle_turns_are_not_saved_up(void **state)
{
    struct fixture *f = *state;

    rig_open_handle(&f->guest);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(served(&f->guest, 1000), 0);
    }
    put_requests(&f->guest, 40, 4);
    assert_int_equal(served(&f->guest, 1000), 1000 / HCL_REQUEST_NS);
}

static void turns_are_as_long_as_weights_say(void **state)
{
    struct fixture *f = *state;
    struct hcl_share share = {.weight = 300};
    struct rig_guest other;

    rig_connect_as(&f->rig, &other, share, 1, 1);
    rig_open_handle(&other);
    rig_open_handle(&f->guest);
    put_requests(&other, 50, 4);
    put_requests(&f->guest, 50, 4);
    /* 3 to 1, their mean is what was given. */
    assert_in_range(served(&other, 20 * HCL_REQUEST_NS), 29, 31);
    assert_in_range(served(&f->guest, 20 * HCL_REQUEST_NS), 9, 11);
    rig_disconnect(&other);
}

/* A class that works within submit says what that takes. */
static void a_class_without_depth_has_its_own_costs(void **state)
{
    static const struct hcl_class slow_class = {
        HOLD_CLASS(.service = {.job_ns = 10000})};
    struct fixture *f = *state;

    rig_disconnect(&f->guest);
    rig_close(&f->rig);
    assert_int_equal(rig_open(&f->rig, &slow_class, "name=dev0", NULL), 0);
    rig_connect(&f->rig, &f->guest);
    rig_open_handle(&f->guest);
    put_requests(&f->guest, 20, 4);
    assert_int_equal(served(&f->guest, 50000), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TURNS(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_turns, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TURNS(jobs_beyond_the_depth_wait_in_the_worker),
        TURNS(jobs_that_do_not_occupy_the_device_go_at_once),
        TURNS(a_job_that_waits_is_cancelled_without_the_class),
        TURNS(closing_a_handle_cancels_what_waits_there),
        TURNS(the_end_of_a_guest_lets_others_jobs_go_on),
        TURNS(guests_have_their_turns),
        cmocka_unit_test_setup_teardown(the_devices_time_is_counted,
                                        set_up_measured, tear_down),
        TEST(a_capped_guest_goes_on_by_itself),
        TEST(a_turn_is_measured_in_bytes_too),
        TEST(idle_turns_are_not_saved_up),
        TEST(turns_are_as_long_as_weights_say),
        TEST(a_class_without_depth_has_its_own_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
