/* SPDX-License-Identifier: MIT */
/* Losing the backend, the device, the domain; and fork. */
#include "test_frontend_backend.h"

/* The backend has a device.h, too. */
#include "../../frontend/device.h"

/* ---- Losing the backend ------------------------------------------------ */

static void test_restart_of_the_backend_is_survived(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t *tx = hcl_buffer_alloc(device, 1000, HCL_TX);
    uint8_t *rx = hcl_buffer_alloc(device, 1000, HCL_RX);
    struct hcl_status status;
    int round;

    (void)state;
    memset(tx, 0x3c, 1000);
    for (round = 1; round <= 3; round++) {
        backend_die();
        assert_int_equal(hcl_process(device, NULL), 0);
        assert_int_equal(front_state(), 1);
        hcl_status(device, &status);
        assert_false(status.connected);
        assert_int_equal(shared_mappings(), 0);
        /* The pools are there all the time. */
        assert_int_equal(tx[999], 0x3c);
        rx[0] = 1;
        backend_start();
        wait_connected(device);
        hcl_status(device, &status);
        assert_int_equal(status.reconnects, round);
        assert_int_equal(tx[999], 0x3c);
        assert_int_equal(rx[0], 1);
        assert_int_equal(hcl_exchange(handle, tx, 1000, rx, 1000, 1000, NULL),
                         1000);
        assert_memory_equal(rx, tx, 1000);
    }
    hcl_close(device);
}

static unsigned int shared_then, ports_then;

/* When the next state is about to be written. */
static bool look_at_what_is_held(const char *path, const char *value)
{
    (void)value;
    if (strcmp(path, front("state")) != 0 || !store.in_transaction) {
        return false;
    }
    shared_then = shared_mappings();
    ports_then = events.opened - events.closed;
    return true;
}

/* Who sees it may save the guest. */
static void test_state_1_comes_when_all_is_let_go(void **state)
{
    struct hcl_device *device = open_device();

    (void)state;
    shared_then = ports_then = UINT_MAX;
    store.after_read = look_at_what_is_held;
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(front_state(), 1);
    assert_int_equal(shared_then, 0);
    assert_int_equal(ports_then, 0);
    hcl_close(device);
}

static void test_a_new_life_is_noticed_without_state_1(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;

    (void)state;
    backend_unmap();
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    assert_string_equal(store.states, "134134");
    hcl_close(device);
}

static void test_the_death_of_the_worker_is_noticed_by_its_byte(void **state)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct pollfd ready = {.events = POLLIN};
    struct hcl_device *device;

    (void)state;
    options.grace_ms = 50;
    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    ready.fd = hcl_device_fd(device);
    backend.passive = true;
    backend_unmap(); /* clears alive; xenstore says nothing */
    send_event();
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(front_state(), 4);
    while (front_state() == 4) {
        assert_int_equal(poll(&ready, 1, 5000), 1);
        assert_int_equal(hcl_process(device, NULL), 0);
    }
    assert_int_equal(front_state(), 1);
    /* State 4 with that old incarnation is not an answer to anything. */
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(front_state(), 1);
    backend.passive = false;
    backend_start();
    wait_connected(device);
    hcl_close(device);
}

/* The event comes with the unmapping, the reason through xenstore. */
static void test_a_reason_that_comes_after_the_unmapping_is_read(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_err err;

    (void)state;
    backend.passive = true;
    backend_unmap();
    send_event();
    assert_int_equal(hcl_process(device, &err), 0);
    node_set(back("error"), "you broke the protocol");
    node_set(back("incarnation"), "%s", node_value(front("incarnation")));
    backend_state(6);
    assert_int_equal(hcl_process(device, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, "you broke the protocol"));
    assert_int_equal(front_state(), 6);
    hcl_close(device);
}

static void test_what_was_in_flight_is_not_lost_and_not_done_twice(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte[3];
    struct hcl_io read = {.opcode = HCL_READ, .rx_bytes = 1};
    struct hcl_io write = {.opcode = HCL_WRITE};
    struct hcl_result results[8];
    unsigned int count = 0, i;
    int got;

    (void)state;
    backend.mode = HOLD;
    for (i = 0; i < 3; i++) {
        read.rx = &byte[i];
        read.user = &byte[i];
        assert_int_equal(hcl_submit(handle, &read, NULL), 0);
        write.user = &write;
        assert_int_equal(hcl_submit(handle, &write, NULL), 0);
    }
    /* One of each was done, and its completion is on the ring. */
    backend_do(&backend.held[0]);
    backend_do(&backend.held[1]);
    backend_die();
    backend.mode = ANSWER;
    backend.served = 0;
    assert_int_equal(hcl_process(device, NULL), 0);
    backend_start();
    wait_connected(device);
    while (count < 6) {
        got = hcl_reap(device, results + count, 8 - count);
        assert_true(got >= 0);
        count += (unsigned int)got;
    }
    assert_int_equal(results[0].error, 0);
    assert_int_equal(results[1].error, 0);
    assert_int_equal(results[2].status, HCL_OUTCOME_UNKNOWN);
    assert_int_equal(results[3].status, HCL_OUTCOME_UNKNOWN);
    assert_int_equal(results[4].error, 0);
    assert_ptr_equal(results[4].user, &byte[1]);
    assert_int_equal(results[5].error, 0);
    assert_ptr_equal(results[5].user, &byte[2]);
    assert_int_equal(backend.served, 2); /* the two reads, once more */
    hcl_close(device);
}

static void test_requests_made_meanwhile_wait(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE, .tx = "x", .tx_bytes = 1};
    struct hcl_result result;

    (void)state;
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    assert_int_equal(hcl_reap(device, &result, 1), 0);
    backend_start();
    assert_int_equal(wait_result(device).error, 0);
    hcl_close(device);
}

static void test_a_deadline_covers_the_reconnect(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;
    struct hcl_err err;

    (void)state;
    backend_die();
    assert_int_equal(hcl_read(handle, &byte, 1, 50, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "is hcl-backend running"));
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    hcl_close(device);
}

static void test_a_pool_that_no_longer_fits_ends_it(void **state)
{
    struct hcl_device *device = open_device();
    struct pollfd ready = {.fd = hcl_device_fd(device), .events = POLLIN};
    struct hcl_err err;

    (void)state;
    backend_die();
    hcl_process(device, NULL);
    backend.passive = true;
    backend_start();
    node_set(back("max-pool-pages"), "8");
    while (hcl_process(device, &err) == 0) {
        assert_int_equal(poll(&ready, 1, 5000), 1);
    }
    assert_int_equal(err.code, -ENOSPC);
    assert_int_equal(front_state(), 6);
    hcl_close(device);
}

/* Opened, and lost at once: the time to the next connection. */
static uint64_t backoff_of(uint32_t backoff_ms, uint32_t max_backoff_ms,
                           unsigned int losses)
{
    struct hcl_open_options options = {.backoff_ms = backoff_ms,
                                       .max_backoff_ms = max_backoff_ms};
    struct hcl_device *device;
    uint64_t backoff_us;

    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    for (;;) {
        backend_die();
        assert_int_equal(hcl_process(device, NULL), 0);
        backend_start();
        if (--losses == 0) {
            break;
        }
        wait_connected(device);
    }
    backoff_us = device->connection.backoff_us;
    hcl_close(device);
    return backoff_us;
}

static void test_a_flapping_backend_is_not_chased(void **state)
{
    struct hcl_open_options options = {.backoff_ms = 3600000,
                                       .max_backoff_ms = 3600000};
    struct hcl_device *device;
    unsigned int opened, i;

    (void)state;
    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    opened = events.opened;
    for (i = 0; i < 100; i++) {
        backend_die();
        backend_start();
        assert_int_equal(hcl_process(device, NULL), 0);
    }
    assert_int_equal(events.opened, opened);
    assert_int_equal(device->connection.backoff_us, 3600000000);
    hcl_close(device);
}

static void test_a_backoff_doubles_up_to_the_longest(void **state)
{
    (void)state;
    assert_int_equal(backoff_of(0, 0, 1), 50000);
    assert_int_equal(backoff_of(0, 0, 2), 100000);
    assert_int_equal(backoff_of(20, 0, 2), 40000);
    assert_int_equal(backoff_of(500, 300, 1), 300000);
    assert_int_equal(backoff_of(3600000, 0, 1), 5000000);
}

/* It lasted twice the longest backoff, at least. */
static void test_after_a_good_connection_the_next_comes_at_once(void **state)
{
    struct hcl_open_options options = {.max_backoff_ms = 1};
    struct hcl_device *device;

    (void)state;
    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    usleep(2000);
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(device->connection.backoff_us, 0);
    hcl_close(device);
}

static void test_detached_says_why(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_READ, .rx = &io, .rx_bytes = 1};
    struct hcl_result result;
    struct hcl_err err;

    (void)state;
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    backend.passive = true;
    backend_state(5);
    backend_unmap();
    node_remove(back("incarnation"));
    node_set(back("error"), "detached by the administrator");
    backend_state(6);
    result = wait_result(device);
    assert_int_equal(result.error, -ECONNREFUSED);
    assert_int_equal(result.status, HCL_ENDED);
    assert_string_equal(result.text, "detached by the administrator");
    assert_int_equal(hcl_process(device, &err), -ECONNREFUSED);
    assert_string_equal(err.text, "detached by the administrator");
    assert_int_equal(hcl_reap(device, &result, 1), -ECONNREFUSED);
    assert_int_equal(hcl_submit(handle, &io, NULL), -ECONNREFUSED);
    assert_int_equal(front_state(), 6);
    hcl_close(device);
}

static void test_gone_writes_nothing(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;
    unsigned int writes;

    (void)state;
    backend.mode = HOLD;
    backend.passive = true;
    backend_unmap();
    detach();
    writes = store.writes;
    assert_int_equal(hcl_read(handle, &byte, 1, 1000, NULL), -ENODEV);
    hcl_close(device);
    assert_int_equal(store.writes, writes);
    assert_null(node_value(front("state")));
    /* Nothing shows that the event channel is of this life: left open. */
    assert_int_equal(events.opened - events.closed, 1);
}

static void test_a_backend_whose_domain_died_is_waited_for(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_err err;
    uint8_t byte;

    (void)state;
    backend.passive = true;
    backend_unmap();
    node_remove(back_dir);
    assert_int_equal(hcl_read(handle, &byte, 1, 50, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "domain 0 is gone"));
    assert_int_equal(front_state(), 1);
    backend.passive = false;
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    /* And then it is detached. */
    detach();
    assert_int_equal(hcl_process(device, &err), -ENODEV);
    assert_non_null(strstr(err.text, "detached"));
    hcl_close(device);
}

static void test_the_own_directory_gone_is_gone(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_err err;

    (void)state;
    node_remove(front_dir);
    assert_int_equal(hcl_process(device, &err), -ENODEV);
    assert_null(node_value(front("state")));
    hcl_close(device);
}

/* doc/protocol.md 1.2: a node that it wrote there would be a new one. */
static void test_a_state_that_is_gone_is_not_made_anew(void **state)
{
    struct hcl_device *device = open_device();

    (void)state;
    node_remove(front("state"));
    hcl_close(device);
    assert_null(node_value(front("state")));
}

static void test_a_lost_xenstore_ends_it(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_err err;

    (void)state;
    store.broken = true;
    node_set(back("state"), "4"); /* wakes the descriptor */
    assert_int_equal(hcl_process(device, &err), -EIO);
    hcl_close(device);
    /* Nobody can say whether the event channel is ours: left open. */
    assert_int_equal(events.opened - events.closed, 1);
}

static void test_a_fault_in_the_ring_ends_it(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_result result;
    struct hcl_err err;

    (void)state;
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    backend_answer(4711, HCLIF_STATUS_OK, NULL, 0);
    result = wait_result(device);
    assert_int_equal(result.error, -EPROTO);
    assert_int_equal(hcl_process(device, &err), -EPROTO);
    assert_non_null(strstr(err.text, "tag"));
    assert_string_equal(store.states, "13456");
    assert_int_equal(shared_mappings(), 0);
    hcl_close(device);
    assert_string_equal(store.states, "13456");
}

static void test_any_back_page_is_no_trouble(void **state)
{
    struct hcl_device *device = open_with_grace(50);
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;

    (void)state;
    /* A wrong event.position costs an event, here or there. */
    memset(backend.rw, 0xff, PAGE);
    assert_int_not_equal(hcl_read(handle, &byte, 1, 20, NULL), 0);
    hcl_close(device);
}

/* ---- Another domid ----------------------------------------------------- */

/* What a plain save and restore does to the guest. */
static void restore(uint32_t domid)
{
    unsigned int i;

    char own[32];

    /* The old domain's nodes and connection go; the guest saw nothing of it. */
    backend.passive = true;
    backend_unmap();
    detach();
    snprintf(own, sizeof(own), "/local/domain/%u", store.domid);
    node_remove(own);
    store.num_events = 0;
    store.first_event = 0;
    {
        char byte;

        while (read(store.handle.fds[0], &byte, 1) == 1) {
        }
    }
    events.lost = true;
    store.domid = domid;
    for (i = 0; i < MAX_WATCHES; i++) {
        if (store.watches[i].path[0]) {
            fire(i, store.watches[i].path);
        }
    }
}

static void test_restore_parks_and_waits_for_the_new_directory(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t *tx = hcl_buffer_alloc(device, 100, HCL_TX);
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_result result;
    struct hcl_err err;
    unsigned int writes;
    uint8_t byte;

    (void)state;
    memset(tx, 9, 100);
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    /* A completion that stands in the old ring means nothing any more. */
    backend_answer(backend.held[0].tag, HCLIF_STATUS_OK, NULL, 0);
    restore(2);
    /* alive was cleared when the backend unmapped: after the save. */
    writes = store.writes;
    assert_int_equal(hcl_process(device, &err), 0);
    assert_int_equal(shared_mappings(), 0);
    assert_int_equal(store.writes, writes);
    result = wait_result(device);
    assert_int_equal(result.status, HCL_OUTCOME_UNKNOWN);
    assert_int_equal(hcl_read(handle, &byte, 1, 50, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "restore"));
    assert_int_equal(tx[99], 9);
    /* hclctl watch makes the directories again. */
    attach(2);
    backend.passive = false;
    backend.mode = ANSWER;
    backend_start();
    events.lost = false; /* of new handles */
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, &err), 1);
    assert_string_equal(node_value("/local/domain/2/device/hcl/0/state"), "4");
    assert_int_equal(tx[99], 9);
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 1); /* the parked one */
}

static void test_close_after_a_restore_closes_no_old_port(void **state)
{
    struct hcl_device *device = open_device();

    (void)state;
    restore(2);
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 1);
}

static void test_a_restore_under_the_same_domid_is_noticed(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    uint8_t byte;

    (void)state;
    backend.mode = HOLD;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    backend_answer(backend.held[0].tag, HCLIF_STATUS_OK, NULL, 0);
    restore(1);
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(shared_mappings(), 0);
    assert_int_equal(wait_result(device).status, HCL_OUTCOME_UNKNOWN);
    attach(1);
    backend.passive = false;
    backend.mode = ANSWER;
    events.lost = false; /* of new handles */
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 1); /* the parked one */
}

static void test_directories_made_anew_before_we_look_are_noticed(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;

    (void)state;
    restore(1);
    attach(1);
    backend_start();
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(shared_mappings(), 0);
    backend.passive = false;
    events.lost = false;
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 1);
}

static void test_close_under_the_same_domid_closes_no_old_port(void **state)
{
    struct hcl_device *device = open_device();

    (void)state;
    restore(1);
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 1);
    attach(1);
    backend.passive = false;
    backend_start();
    events.lost = false;
    device = open_device();
    restore(1);
    attach(1); /* the state of another life is in the directory */
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 2);
}

/* As restore; alive stays 1: nobody unmaps what a saved domain had shared. */
static void restore_alive(uint32_t domid)
{
    munmap(backend.ro, hcl_layout_ro_pages(&backend.layout) * PAGE);
    munmap(backend.rw, hcl_layout_rw_pages(&backend.layout) * PAGE);
    backend.mapped = false;
    restore(domid);
}

static void test_an_old_port_is_not_notified(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    unsigned int notified;

    (void)state;
    assert_int_equal(hcl_write(handle, "x", 1, 1000, NULL), 1);
    assert_int_equal(hcl_process(device, NULL), 0);
    restore(1);
    notified = events.notified;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(events.notified, notified);
    assert_int_equal(wait_result(device).status, HCL_OUTCOME_UNKNOWN);
    hcl_close(device);
}

/* Nor between the news of a restore and the look at what they are. */
static void test_an_old_port_is_not_notified_for_what_waited(void **state)
{
    struct hcl_open_options options = {.ring_page_order = 2};
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_device *device;
    struct hcl_handle *handle;
    unsigned int notified;

    (void)state;
    node_set(back("max-ring-page-order"), "0");
    assert_int_equal(hcl_open("dev0", &options, 1000, &device, NULL), 0);
    handle = open_handle(device);
    backend.mode = HOLD;
    while (backend.num_held < 56) {
        assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    }
    assert_int_equal(hcl_submit(handle, &io, NULL), 0); /* waits for room */
    assert_int_equal(backend.num_held, 56);
    backend_answer(backend.held[0].tag, HCLIF_STATUS_OK, NULL, 0);
    restore_alive(1);
    notified = events.notified;
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(events.notified, notified);
    hcl_close(device);
}

/* Nor if the news come when the loop has been polled already. */
static void test_an_old_port_is_not_notified_by_late_news(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    unsigned int notified;

    (void)state;
    assert_int_equal(hcl_write(handle, "x", 1, 1000, NULL), 1);
    assert_int_equal(hcl_process(device, NULL), 0);
    restore_alive(1);
    notified = events.notified;
    assert_int_equal(hcl_submit(handle, &io, NULL), 0);
    hcl_connection_process(&device->connection);
    assert_int_equal(events.notified, notified);
    assert_int_equal(wait_result(device).status, HCL_OUTCOME_UNKNOWN);
    hcl_close(device);
}

static void test_news_in_xenstore_hold_up_no_request(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_io io = {.opcode = HCL_WRITE};
    int i;

    (void)state;
    for (i = 0; i < 10; i++) {
        node_set(back("state"), "4");
        assert_int_equal(hcl_submit(handle, &io, NULL), 0);
        assert_int_equal(wait_result(device).error, 0);
        node_set(back("state"), "4");
        assert_int_equal(hcl_write(handle, "x", 1, 1000, NULL), 1);
    }
    hcl_close(device);
}

static void test_a_restore_during_the_handshake_is_noticed(void **state)
{
    struct hcl_device *device = open_device();

    (void)state;
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    backend_start();
    backend.passive = true;
    while (front_state() != 3) {
        assert_int_equal(hcl_process(device, NULL), 0);
    }
    restore(1);
    assert_int_equal(hcl_process(device, NULL), 0);
    hcl_close(device);
    assert_int_equal(events.opened - events.closed, 1);
}

static void test_after_a_pause_a_missing_directory_is_waited_for(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    struct hcl_err err;
    uint8_t byte;

    (void)state;
    node_set(back("pause"), "1");
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    restore(1);
    /* The toolstack is at another attachment of this guest. */
    node_set("/local/domain/1/device/hcl", "%s", "");
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(hcl_read(handle, &byte, 1, 20, &err), -ETIMEDOUT);
    attach(1);
    backend.passive = false;
    events.lost = false;
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    /* That was that: now it is a detach. */
    detach();
    assert_int_equal(hcl_process(device, &err), -ENODEV);
    hcl_close(device);
}

static void test_after_a_pause_that_was_withdrawn_missing_is_gone(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_err err;

    (void)state;
    node_set(back("pause"), "1");
    backend_die();
    assert_int_equal(hcl_process(device, NULL), 0);
    node_set(back("pause"), "0");
    backend_start();
    wait_connected(device);
    detach();
    assert_int_equal(hcl_process(device, &err), -ENODEV);
    hcl_close(device);
}

static void test_a_pause_for_a_save_leaves_nothing_to_park(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;

    (void)state;
    backend_die(); /* pause=1: state 1 */
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(front_state(), 1);
    restore(7);
    assert_int_equal(hcl_process(device, NULL), 0);
    attach(7);
    backend.passive = false;
    events.lost = false;
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    hcl_close(device);
    assert_int_equal(events.opened, events.closed);
}

static void test_a_backend_that_moves_is_followed(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;

    (void)state;
    backend.passive = true;
    backend_unmap();
    snprintf(back_dir, sizeof(back_dir), "/local/domain/5/backend/hcl/1/0");
    backend_state(1);
    node_set(front("backend-id"), "5");
    node_set(front("backend"), "%s", back_dir);
    assert_int_equal(hcl_process(device, NULL), 0);
    backend.passive = false;
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    assert_int_equal(grants.refs[atoi(node_value(front("control-ref")))].domid,
                     5);
    hcl_close(device);
}

/* ---- fork -------------------------------------------------------------- */

static int as_child(struct hcl_device *device, struct hcl_handle *handle)
{
    struct hcl_io io = {.opcode = HCL_WRITE};
    struct hcl_result result;
    struct hcl_err err;
    uint8_t byte;
    bool fine = shared_mappings() == 0 || backend.mapped;

    fine = fine && hcl_process(device, &err) == -EOWNERDEAD;
    fine = fine && hcl_submit(handle, &io, NULL) == -EOWNERDEAD;
    fine = fine && hcl_reap(device, &result, 1) == -EOWNERDEAD;
    fine = fine && hcl_read(handle, &byte, 1, 0, &err) == -EOWNERDEAD;
    fine = fine && hcl_cancel(handle, 1) == -EOWNERDEAD;
    fine = fine && !hcl_buffer_alloc(device, 1, HCL_TX);
    fine = fine && hcl_handle_open(device, 0, &handle, &err) == -EOWNERDEAD;
    fine = fine && hcl_device_fd(device) == -EOWNERDEAD;
    hcl_close(device);
    return !fine;
}

static void test_a_forked_child_has_no_part_in_it(void **state)
{
    struct hcl_device *device = open_device();
    struct hcl_handle *handle = open_handle(device);
    uint8_t byte;
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        _exit(as_child(device, handle));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* And the parent is as it was: its descriptors and epoll set too. */
    assert_int_equal(hcl_read(handle, &byte, 1, 1000, NULL), 1);
    backend_die();
    backend_start();
    assert_int_equal(hcl_read(handle, &byte, 1, 2000, NULL), 1);
    hcl_close(device);
}

static void test_a_forked_child_has_no_parked_event_channel(void **state)
{
    struct hcl_device *device = open_device();
    int parked = events.last->fds[0], status;
    pid_t child;

    (void)state;
    restore(2);
    assert_int_equal(hcl_process(device, NULL), 0);
    hcl_close(device);
    child = fork();
    if (child == 0) {
        _exit(fcntl(parked, F_GETFD) >= 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(fcntl(parked, F_GETFD) >= 0);
}

static void test_a_forked_child_has_no_shared_pages(void **state)
{
    struct hcl_device *device = open_device();
    unsigned int in_child;
    int status;
    pid_t child;

    (void)state;
    backend.passive = true;
    backend_unmap(); /* what is left is the frontend's */
    assert_true(shared_mappings() > 0);
    child = fork();
    if (child == 0) {
        in_child = shared_mappings();
        _exit(in_child != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hcl_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_restart_of_the_backend_is_survived),
        T(test_state_1_comes_when_all_is_let_go),
        T(test_a_new_life_is_noticed_without_state_1),
        T(test_the_death_of_the_worker_is_noticed_by_its_byte),
        T(test_a_reason_that_comes_after_the_unmapping_is_read),
        T(test_what_was_in_flight_is_not_lost_and_not_done_twice),
        T(test_requests_made_meanwhile_wait),
        T(test_a_deadline_covers_the_reconnect),
        T(test_a_pool_that_no_longer_fits_ends_it),
        T(test_a_flapping_backend_is_not_chased),
        T(test_a_backoff_doubles_up_to_the_longest),
        T(test_after_a_good_connection_the_next_comes_at_once),
        T(test_detached_says_why),
        T(test_gone_writes_nothing),
        T(test_a_backend_whose_domain_died_is_waited_for),
        T(test_the_own_directory_gone_is_gone),
        T(test_a_state_that_is_gone_is_not_made_anew),
        T(test_a_lost_xenstore_ends_it),
        T(test_a_fault_in_the_ring_ends_it),
        T(test_any_back_page_is_no_trouble),
        T(test_restore_parks_and_waits_for_the_new_directory),
        T(test_close_after_a_restore_closes_no_old_port),
        T(test_a_restore_under_the_same_domid_is_noticed),
        T(test_directories_made_anew_before_we_look_are_noticed),
        T(test_close_under_the_same_domid_closes_no_old_port),
        T(test_an_old_port_is_not_notified),
        T(test_an_old_port_is_not_notified_for_what_waited),
        T(test_an_old_port_is_not_notified_by_late_news),
        T(test_news_in_xenstore_hold_up_no_request),
        T(test_a_restore_during_the_handshake_is_noticed),
        T(test_after_a_pause_a_missing_directory_is_waited_for),
        T(test_after_a_pause_that_was_withdrawn_missing_is_gone),
        T(test_a_pause_for_a_save_leaves_nothing_to_park),
        T(test_a_backend_that_moves_is_followed),
        T(test_a_forked_child_has_no_part_in_it),
        T(test_a_forked_child_has_no_parked_event_channel),
        T(test_a_forked_child_has_no_shared_pages),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
