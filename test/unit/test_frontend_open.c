/* SPDX-License-Identifier: MIT */
/* Opening, closing and listing devices, and data. */
#include "test_frontend_backend.h"

#include "../../frontend/device.h"

/* ---- Opening and closing ----------------------------------------------- */

static void test_open_and_close_go_through_the_states(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_status status;

    (void)state;
    assert_string_equal(store.states, "134");
    assert_string_equal(node_value(front("version")), "1");
    assert_string_equal(node_value(front("event-channel-0")), "14");
    assert_string_equal(node_value(front("generation")),
                        node_value(back("generation")));
    assert_string_equal(node_value(front("incarnation")),
                        node_value(back("incarnation")));
    hcl_status(device, &status);
    assert_string_equal(status.name, "dev0");
    assert_string_equal(status.class_name, "echo");
    assert_true(status.connected);
    assert_int_equal(status.reconnects, 0);
    assert_int_equal(status.max_handles, 4);
    assert_int_equal(status.tx_pool_bytes, 65536);
    assert_int_equal(status.rx_pool_bytes, 65536);
    hcl_close(device);
    assert_string_equal(store.states, "13456");
    assert_false(backend.mapped);
    assert_int_equal(backend.state, 2);
}

static void test_a_closed_device_can_be_opened_again(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 5; i++) {
        hcl_close(open_device());
    }
    assert_int_equal(shared_mappings(), 0);
}

static void test_close_takes_null(void **state)
{
    (void)state;
    hcl_close(NULL);
    hcl_handle_close(NULL);
}

static void test_pools_fit_into_what_the_backend_offers(void **state)
{
    struct hcl_open_options options = {
        .ring_page_order = 6, .tx_pool_bytes = 1 << 20, .rx_pool_bytes = 4096};
    struct hcl_status status;
    struct hcl_device *device;

    (void)state;
    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    hcl_status(device, &status);
    assert_true(status.tx_pool_bytes + status.rx_pool_bytes <= 64 * 4096);
    assert_true(status.rx_pool_bytes >= 4096);
    assert_int_equal(backend.layout.ring_page_order, 2);
    hcl_close(device);
}

static void test_a_backend_without_pools(void **state)
{
    struct hcl_device *device;
    struct hcl_handle *handle;
    uint8_t bytes[100];

    (void)state;
    node_set(back("max-pool-pages"), "0");
    device = open_device();
    handle = open_handle(device);
    assert_int_equal(hcl_read(handle, bytes, 100, 1000, NULL), 48);
    assert_int_equal(hcl_write(handle, bytes, 28, 1000, NULL), 28);
    assert_int_equal(hcl_write(handle, bytes, 29, 1000, NULL), -EMSGSIZE);
    assert_null(hcl_buffer_alloc(device, 1, HCL_TX));
    hcl_close(device);
}

static void test_bad_options_are_refused(void **state)
{
    struct hcl_open_options order = {.ring_page_order = 7};
    struct hcl_open_options pool = {.tx_pool_bytes = (16 << 20) + 1};
    struct hcl_open_options times[] = {
        {.grace_ms = 3600001},
        {.backoff_ms = 3600001},
        {.max_backoff_ms = UINT32_MAX},
    };
    struct hcl_device *device;
    struct hcl_err err;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        assert_int_equal(hcl_open("dev0", &times[i], 0, &device, &err),
                         -EINVAL);
        assert_non_null(strstr(err.text, "at most 3600000 ms"));
    }
    assert_int_equal(hcl_open("dev0", &order, 0, &device, NULL), -EINVAL);
    assert_int_equal(hcl_open("dev0", &pool, 0, &device, NULL), -EINVAL);
}

static void test_an_unknown_name_lists_what_there_is(void **state)
{
    struct hcl_device *device;
    struct hcl_err err;

    (void)state;
    node_set("/local/domain/1/device/hcl/3/backend", "%s", back_dir);
    node_set("/local/domain/1/device/hcl/3/device", "gps");
    assert_int_equal(hcl_open("gpt", NULL, 0, &device, &err), -ENOENT);
    assert_string_equal(err.text,
                        "this guest has no device \"gpt\"; it has: dev0, gps");
    detach();
    node_remove("/local/domain/1/device/hcl/3");
    assert_int_equal(hcl_open("gpt", NULL, 0, &device, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no other"));
}

static void test_without_xen_it_is_not_no_such_device(void **state)
{
    (void)state;
    store.broken = true;
    assert_int_equal(no_device(0).code, -ENXIO);
}

static void test_a_second_open_is_busy(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_err err;
    char pid[16];

    (void)state;
    /* The fake has one connection to xenstore at a time. */
    store.handles = 0;
    {
        struct xs_handle saved = store.handle;

        err = no_device(1000);
        store.handle = saved;
    }
    store.handles = 1;
    assert_int_equal(err.code, -EBUSY);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_int_equal(front_state(), 4);
    /* Its watches went with the fake's second connection. */
    hcl_close(device);
}

static void test_refused_says_the_backends_words(void **state)
{
    struct hcl_err err;

    (void)state;
    node_set(back("error"), "guest1 is not \033[31mallowed");
    backend_state(6);
    err = no_device(1000);
    assert_int_equal(err.code, -ECONNREFUSED);
    assert_string_equal(err.text, "guest1 is not ?[31mallowed");
    assert_int_equal(front_state(), 6);
}

static void test_refusal_of_another_life_is_none(void **state)
{
    struct hcl_err err;

    (void)state;
    node_set(back("error"), "bad control page");
    node_set(back("incarnation"), "0123456789abcdef");
    backend_state(6);
    err = no_device(50);
    assert_int_equal(err.code, -ETIMEDOUT);
    assert_non_null(strstr(err.text, "bad control page"));
}

/* The backend goes on from a refusal of another life to 2. */
static bool backend_goes_on(const char *path, const char *value)
{
    if (strcmp(path, back("state")) != 0 || strcmp(value, "6") != 0 ||
        !store.writes) {
        return false; /* of the list of devices */
    }
    backend_start();
    return true;
}

static void test_a_refusal_of_another_life_is_read_in_one_piece(void **state)
{
    (void)state;
    node_set(back("error"), "bad control page");
    node_set(back("incarnation"), "0123456789abcdef");
    backend_state(6);
    store.after_read = backend_goes_on;
    hcl_close(open_device());
    assert_null(store.after_read);
}

static bool backend_begins_anew(const char *path, const char *value)
{
    (void)value;
    if (strcmp(path, back("generation")) != 0 || !store.writes) {
        return false;
    }
    if (backend.state == 2) {
        backend_start();
    }
    return true;
}

/* Of the look before it, and of the offer itself. */
static bool at_the_second_read(const char *path, const char *value)
{
    (void)value;
    if (strcmp(path, back("generation")) == 0) {
        store.after_read = backend_begins_anew;
    }
    return false;
}

static void test_an_offer_is_read_in_one_piece(void **state)
{
    (void)state;
    store.after_read = at_the_second_read;
    hcl_close(open_device());
    assert_null(store.after_read);
    assert_string_equal(store.states, "13456");
}

static bool backend_goes_away(const char *path, const char *value)
{
    (void)value;
    if (strcmp(path, back("class")) != 0 || !store.writes) {
        return false; /* of the list of devices */
    }
    node_remove(back("versions"));
    backend_state(1);
    return true;
}

static void test_half_an_offer_is_no_fault(void **state)
{
    struct hcl_err err;

    (void)state;
    store.after_read = backend_goes_away;
    err = no_device(100);
    assert_null(store.after_read);
    assert_int_equal(err.code, -ETIMEDOUT);
}

static void test_a_reason_takes_the_place_of_the_hint(void **state)
{
    struct hcl_err err;

    (void)state;
    node_set(back("error"), "the device does not answer");
    backend_state(1);
    err = no_device(20);
    assert_non_null(strstr(err.text, "the device does not answer"));
    assert_null(strstr(err.text, "is hcl-backend running"));
    /* In state 2 it is of a connection long past. */
    backend.passive = true;
    backend_state(2);
    err = no_device(20);
    assert_int_equal(err.code, -ETIMEDOUT);
    assert_null(strstr(err.text, "the device does not answer"));
}

static void test_time_out_says_what_to_do(void **state)
{
    uint64_t start = now_ms();
    struct hcl_err err;

    (void)state;
    backend_state(1);
    err = no_device(100);
    assert_int_equal(err.code, -ETIMEDOUT);
    assert_non_null(strstr(err.text, "domain 0 is in state Initialising"));
    assert_non_null(strstr(err.text, "is hcl-backend running"));
    assert_true(now_ms() - start >= 100 && now_ms() - start < 1000);
    assert_int_equal(front_state(), 6);
}

/* Everything may take longer than that; the reason is the true one still. */
static void test_the_shortest_time_out_knows_why(void **state)
{
    struct hcl_err err;

    (void)state;
    backend_state(1);
    err = no_device(0);
    assert_int_equal(err.code, -ETIMEDOUT);
    assert_non_null(strstr(err.text, "domain 0 is in state Initialising"));
    assert_non_null(strstr(err.text, "is hcl-backend running"));
}

/* Who does not want to wait is not made to, and looks no longer each time. */
static void test_a_wait_of_no_time_does_not_look(void **state)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_device *device;
    struct hcl_handle *handle;

    (void)state;
    options.poll_us = 1000000;
    assert_int_equal(hcl_open("dev0", &options, 5000, &device, NULL), 0);
    assert_int_equal(hcl_handle_open(device, 5000, &handle, NULL), 0);
    device->spin.plain.budget_ns = device->spin.max_ns;
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(hcl_wait(device, 0, NULL), -ETIMEDOUT);
    }
    assert_int_equal(device->spin.counts.missed, 0);
    hcl_close(device);
}

static void test_a_backend_that_never_maps_times_out(void **state)
{
    (void)state;
    backend.passive = true;
    assert_int_equal(no_device(50).code, -ETIMEDOUT);
    assert_int_equal(shared_mappings(), 0);
    assert_string_equal(store.states, "1356");
}

static void test_no_version_in_common(void **state)
{
    struct hcl_err err;

    (void)state;
    node_set(back("versions"), "2,3,10");
    err = no_device(1000);
    assert_int_equal(err.code, -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, "2,3,10"));
}

static void test_malformed_offers_are_faults(void **state)
{
    static const struct {
        const char *node, *value;
    } bad[] = {
        {"versions", ""},
        {"versions", "1,"},
        {"versions", "one"},
        {"class", "a-class-name-that-is-far-longer-than-any-class"},
        {"generation", "xyz"},
        {"max-queues", "0"},
        {"max-queues", "9"},
        {"max-ring-page-order", "7"},
        {"max-pool-pages", "-1"},
        {"max-pool-pages", "99999999999"},
        {"max-handles", "0"},
        {"max-handles", "65536"},
        {"max-handles", "4 "},
        {"idempotent", "3,,4"},
        {"idempotent", "256"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        backend_start();
        node_set(back(bad[i].node), "%s", bad[i].value);
        if (no_device(1000).code != -EPROTO) {
            fail_msg("%s = \"%s\"", bad[i].node, bad[i].value);
        }
        assert_int_equal(front_state(), 6);
    }
}

static void test_missing_nodes_of_an_offer(void **state)
{
    (void)state;
    node_remove(back("class"));
    assert_int_equal(no_device(1000).code, -EPROTO);
    backend_start();
    node_remove(back("versions"));
    assert_int_equal(no_device(1000).code, -EPROTO);
    backend_start();
    node_remove(back("max-queues"));
    node_remove(back("max-handles"));
    node_remove(back("idempotent"));
    hcl_close(open_device());
}

static void test_an_illegal_state_is_a_fault(void **state)
{
    (void)state;
    node_set(back("state"), "9");
    assert_int_equal(no_device(1000).code, -EPROTO);
}

static void test_the_limit_of_shared_pages_is_named(void **state)
{
    struct hcl_err err;
    uint32_t limit;

    (void)state;
    for (limit = 0; limit < 37; limit++) {
        grants.limit = limit;
        err = no_device(1000);
        assert_int_equal(err.code, -ENOSPC);
        assert_non_null(strstr(err.text, "xen_gntalloc"));
        assert_int_equal(shared_mappings(), 0);
        assert_int_equal(front_state(), 6);
    }
    grants.limit = 37;
    hcl_close(open_device());
}

static void nothing_on_signal(int number)
{
    (void)number;
}

static void test_a_signal_interrupts_opening(void **state)
{
    struct sigaction action = {.sa_handler = nothing_on_signal,
                               .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_value = {.tv_usec = 50000}};

    (void)state;
    backend_state(1);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    assert_int_equal(no_device(5000).code, -EINTR);
}

static void test_close_waits_as_long_as_grace_ms_says(void **state)
{
    struct hcl_device *device = open_with_grace(50);

    (void)state;
    answer_later();
    hcl_close(device);
    answer_never();
    assert_false(too_late);
    assert_string_equal(store.states, "13456");
}

static void test_a_handle_that_does_not_end_is_left_behind(void **state)
{
    struct hcl_device *device = open_with_grace(50);
    struct hcl_handle *handle = open_handle(device);

    (void)state;
    answer_later();
    backend.mode = IGNORE;
    hcl_handle_close(handle);
    answer_never();
    assert_false(too_late);
    backend.deaf = false;
    hcl_close(device);
}

static void test_a_request_that_does_not_end_is_left_behind(void **state)
{
    struct hcl_device *device = open_with_grace(50);
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;

    (void)state;
    answer_later();
    backend.mode = IGNORE;
    assert_int_equal(hcl_read(handle, &byte, 1, 20, NULL), -ETIMEDOUT);
    answer_never();
    assert_false(too_late);
    backend.deaf = false;
    hcl_close(device);
}

static void test_list_tells_what_there_is(void **state)
{
    struct hcl_info *infos;
    unsigned int count;

    (void)state;
    node_set(back("error"), "no light");
    node_set("/local/domain/1/device/hcl/x/backend", "/a");
    node_set("/local/domain/1/device/hcl/12/backend", "/gone");
    node_set("/local/domain/1/device/hcl/12/device", "gps");
    node_set("/local/domain/1/device/hcl/4/device", "half");
    assert_int_equal(hcl_list(&infos, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(infos[0].name, "dev0");
    assert_string_equal(infos[0].class_name, "echo");
    assert_string_equal(infos[0].state, "InitWait");
    assert_string_equal(infos[0].error, "no light");
    assert_int_equal(infos[1].devid, 12);
    assert_string_equal(infos[1].name, "gps");
    assert_string_equal(infos[1].class_name, "");
    assert_string_equal(infos[1].state, "Gone");
    free(infos);
}

static void test_list_of_nothing(void **state)
{
    struct hcl_info *infos = (void *)1;
    unsigned int count;

    (void)state;
    detach();
    assert_int_equal(hcl_list(&infos, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_null(infos);
}

/* ---- Data -------------------------------------------------------------- */

static void test_exchange_of_all_sizes(void **state)
{
    static uint8_t sent[65536], got[65536];
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    size_t bytes, i;

    (void)state;
    for (i = 0; i < sizeof(sent); i++) {
        sent[i] = (uint8_t)(i * 7 + i / 256);
    }
    for (bytes = 0; bytes <= sizeof(sent); bytes += bytes < 70 ? 1 : 2339) {
        memset(got, 0, sizeof(got));
        assert_int_equal(
            hcl_exchange(handle, sent, bytes, got, bytes, 1000, NULL), bytes);
        assert_memory_equal(got, sent, bytes);
    }
    assert_int_equal(
        hcl_exchange(handle, sent, sizeof(sent), got, sizeof(got), 1000, NULL),
        sizeof(sent));
    assert_int_equal(hcl_write(handle, sent, sizeof(sent) + 1, 1000, NULL),
                     -EMSGSIZE);
    hcl_close(device);
}

static void test_reads_ask_for_no_more_than_the_pool_has(void **state)
{
    static uint8_t big[1 << 20];
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    void *piece = hcl_buffer_alloc(device, 65536 - 128, HCL_RX);

    (void)state;
    assert_int_equal(hcl_read(handle, big, sizeof(big), 1000, NULL), 128);
    hcl_buffer_free(device, piece);
    assert_int_equal(hcl_read(handle, big, sizeof(big), 1000, NULL), 65536);
    hcl_close(device);
}

static void test_results_of_others_wake_after_a_blocking_call(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct pollfd ready = {.fd = hcl_device_fd(device), .events = POLLIN};
    struct hcl_io io = {.opcode = HCL_WRITE, .user = &io};
    struct hcl_result result;

    (void)state;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    assert_int_equal(hcl_write(handle, "x", 1, 1000, NULL), 1);
    assert_int_equal(poll(&ready, 1, 0), 1);
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(poll(&ready, 1, 0), 1); /* it is still not reaped */
    assert_int_equal(hcl_reap(device, &result, 1), 1);
    assert_ptr_equal(result.user, &io);
    assert_int_equal(hcl_reap(device, &result, 1), 0);
    assert_int_equal(poll(&ready, 1, 0), 0);
    hcl_close(device);
}

static void test_the_descriptor_wakes_for_a_completion(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct pollfd ready = {.fd = hcl_device_fd(device), .events = POLLIN};
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_result result;
    uint64_t id;

    (void)state;
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, &id), 0);
    assert_int_equal(hcl_reap(device, &result, 1), 0);
    assert_int_equal(poll(&ready, 1, 0), 0);
    backend_answer(backend.held[0].tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(poll(&ready, 1, 0), 1);
    assert_int_equal(hcl_reap(device, &result, 1), 1);
    assert_true(result.id == id);
    hcl_close(device);
}

static void test_a_read_that_times_out_is_cancelled(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t bytes[8];
    struct hcl_err err;

    (void)state;
    backend.mode = HOLD;
    assert_int_equal(hcl_read(handle, bytes, 8, 20, &err), -ETIMEDOUT);
    assert_int_equal(backend.num_held, 0);
    hcl_close(device);
}

static void test_data_that_comes_with_the_cancellation_is_kept(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t bytes[8];

    (void)state;
    backend.mode = HOLD;
    backend.cancel_status = HCLIF_STATUS_OK;
    backend.cancel_data = "late";
    assert_int_equal(hcl_read(handle, bytes, 8, 20, NULL), 4);
    assert_memory_equal(bytes, "late", 4);
    hcl_close(device);
}

static void test_cancel_of_a_submitted_request(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    uint64_t id;

    (void)state;
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, &id), 0);
    assert_int_equal(hcl_cancel(handle, id), 0);
    assert_int_equal(wait_result(device).status, HCL_CANCELLED);
    assert_int_equal(hcl_cancel(handle, id), -ENOENT);
    hcl_close(device);
}

static void test_handles_come_and_go(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handles[4], *fifth;
    int i, round;

    (void)state;
    for (round = 0; round < 3; round++) {
        for (i = 0; i < 4; i++) {
            handles[i] = open_handle(device);
        }
        assert_int_equal(hcl_handle_open(device, 1000, &fifth, NULL), -EMFILE);
        for (i = 0; i < 4; i++) {
            hcl_handle_close(handles[i]);
        }
    }
    hcl_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_open_and_close_go_through_the_states),
        T(test_a_closed_device_can_be_opened_again),
        T(test_close_takes_null),
        T(test_pools_fit_into_what_the_backend_offers),
        T(test_a_backend_without_pools),
        T(test_bad_options_are_refused),
        T(test_an_unknown_name_lists_what_there_is),
        T(test_without_xen_it_is_not_no_such_device),
        T(test_a_second_open_is_busy),
        T(test_refused_says_the_backends_words),
        T(test_refusal_of_another_life_is_none),
        T(test_a_refusal_of_another_life_is_read_in_one_piece),
        T(test_an_offer_is_read_in_one_piece),
        T(test_half_an_offer_is_no_fault),
        T(test_a_reason_takes_the_place_of_the_hint),
        T(test_time_out_says_what_to_do),
        T(test_the_shortest_time_out_knows_why),
        T(test_a_wait_of_no_time_does_not_look),
        T(test_a_backend_that_never_maps_times_out),
        T(test_no_version_in_common),
        T(test_malformed_offers_are_faults),
        T(test_missing_nodes_of_an_offer),
        T(test_an_illegal_state_is_a_fault),
        T(test_the_limit_of_shared_pages_is_named),
        T(test_a_signal_interrupts_opening),
        T(test_close_waits_as_long_as_grace_ms_says),
        T(test_a_handle_that_does_not_end_is_left_behind),
        T(test_a_request_that_does_not_end_is_left_behind),
        T(test_list_tells_what_there_is),
        T(test_list_of_nothing),
        T(test_exchange_of_all_sizes),
        T(test_reads_ask_for_no_more_than_the_pool_has),
        T(test_results_of_others_wake_after_a_blocking_call),
        T(test_the_descriptor_wakes_for_a_completion),
        T(test_a_read_that_times_out_is_cancelled),
        T(test_data_that_comes_with_the_cancellation_is_kept),
        T(test_cancel_of_a_submitted_request),
        T(test_handles_come_and_go),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
