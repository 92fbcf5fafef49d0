/* SPDX-License-Identifier: MIT */
/* libhcl's public calls over a Xen in the same process. */
#include "test_frontend_xen.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "hcl.h"

static char run_dir[] = "/tmp/hcl-test-XXXXXX";
static unsigned int fds_before;

static unsigned int open_fds(void)
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

static int setup(void **state)
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
static int teardown(void **state)
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

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(run_dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", run_dir);
    return system(command);
}

static struct hcl_device *open_device(void)
{
    struct hcl_device *device;
    struct hcl_err err;

    if (hcl_open("dev0", NULL, 1000, &device, &err) < 0) {
        fail_msg("hcl_open: %s", err.text);
    }
    return device;
}

static struct hcl_handle *open_handle(struct hcl_device *device)
{
    struct hcl_handle *handle;
    struct hcl_err err;

    if (hcl_handle_open(device, 1000, &handle, &err) < 0) {
        fail_msg("hcl_handle_open: %s", err.text);
    }
    return handle;
}

/* The error of an hcl_open that fails. */
static struct hcl_err no_device(int timeout_ms)
{
    struct hcl_device *device = NULL;
    struct hcl_err err = {0};
    int ret = hcl_open("dev0", NULL, timeout_ms, &device, &err);

    assert_int_equal(ret, err.code);
    assert_null(device);
    return err;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Processes until hcl_status says connected. */
static void wait_connected(struct hcl_device *device)
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

static struct hcl_result wait_result(struct hcl_device *device)
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
    struct hcl_device *device;

    (void)state;
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

static void test_close_does_not_wait_for_ever(void **state)
{
    struct hcl_device *device = open_device();
    uint64_t start = now_ms();

    (void)state;
    backend.deaf = true;
    hcl_close(device);
    assert_true(now_ms() - start < 4000);
    assert_string_equal(store.states, "13456");
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
    struct hcl_device *device = open_device();

    (void)state;
    backend.passive = true;
    backend_unmap(); /* clears alive; xenstore says nothing yet */
    send_event();
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(front_state(), 1);
    /* State 4 with that old incarnation is not an answer to anything. */
    assert_int_equal(hcl_process(device, NULL), 0);
    assert_int_equal(front_state(), 1);
    backend.passive = false;
    backend_start();
    wait_connected(device);
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

static void test_a_flapping_backend_is_not_chased(void **state)
{
    struct hcl_device *device = open_device();
    unsigned int opened, i;
    uint64_t end = now_ms() + 500;

    (void)state;
    opened = events.opened;
    while (now_ms() < end) {
        for (i = 0; i < 100; i++) {
            backend_die();
            backend_start();
            assert_int_equal(hcl_process(device, NULL), 0);
        }
    }
    assert_in_range(events.opened - opened, 1, 5);
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
    struct hcl_device *device = open_device();
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

    /* The old domain's nodes and connection go; the guest saw nothing of it. */
    backend.passive = true;
    backend_unmap();
    detach();
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        T(test_time_out_says_what_to_do),
        T(test_a_backend_that_never_maps_times_out),
        T(test_no_version_in_common),
        T(test_malformed_offers_are_faults),
        T(test_missing_nodes_of_an_offer),
        T(test_an_illegal_state_is_a_fault),
        T(test_the_limit_of_shared_pages_is_named),
        T(test_a_signal_interrupts_opening),
        T(test_close_does_not_wait_for_ever),
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
        T(test_restart_of_the_backend_is_survived),
        T(test_a_new_life_is_noticed_without_state_1),
        T(test_the_death_of_the_worker_is_noticed_by_its_byte),
        T(test_what_was_in_flight_is_not_lost_and_not_done_twice),
        T(test_requests_made_meanwhile_wait),
        T(test_a_deadline_covers_the_reconnect),
        T(test_a_pool_that_no_longer_fits_ends_it),
        T(test_a_flapping_backend_is_not_chased),
        T(test_detached_says_why),
        T(test_gone_writes_nothing),
        T(test_the_own_directory_gone_is_gone),
        T(test_a_lost_xenstore_ends_it),
        T(test_a_fault_in_the_ring_ends_it),
        T(test_any_back_page_is_no_trouble),
        T(test_restore_parks_and_waits_for_the_new_directory),
        T(test_close_after_a_restore_closes_no_old_port),
        T(test_a_pause_for_a_save_leaves_nothing_to_park),
        T(test_a_backend_that_moves_is_followed),
        T(test_a_forked_child_has_no_part_in_it),
        T(test_a_forked_child_has_no_shared_pages),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
