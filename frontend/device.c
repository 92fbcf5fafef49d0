/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockfile.h"

#define MAX_POOL_BYTES (16u << 20)

/* The longest time in options: an hour. */
#define MAX_MS 3600000u

/* What 0 stands for in options. */
#define GRACE_MS 1000u
#define BACKOFF_MS 50u
#define MAX_BACKOFF_MS 5000u

/*
 * Of all but the rings, the time between two looks at least, when there is
 * nothing to wait for: a tick of the coarse clock.
 */
#define TICK_MS 4

/* ---- Driving ----------------------------------------------------------- */

/*
 * This clock is never a system call; the other one is, in a PV guest without a
 * stable time stamp counter.
 */
static uint64_t coarse_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void process(struct hcl_device *device)
{
    device->processed_ms = coarse_ms();
    hcl_loop_poll(device->loop, 0);
    hcl_connection_process(&device->connection);
}

/*
 * A program whose requests are always answered while it looks for the answer
 * must hear of xenstore's news, too.
 */
static void process_if_due(struct hcl_device *device)
{
    if (device->connection.look ||
        coarse_ms() - device->processed_ms >= TICK_MS) {
        process(device);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

void hcl_device_settle(struct hcl_device *device)
{
    if (!device->exposed) {
        return;
    }
    if (hcl_connection_arm(&device->connection) &&
        !device->session.done.first) {
        hcl_timer_stop(&device->attention);
    } else if (!device->attention.loop) {
        hcl_timer_start(&device->attention, device->loop, 0, nothing, NULL);
    }
}

/* Looks for a completion for a while.  False: there was none. */
static bool look_for_answer(struct hcl_device *device)
{
    const struct hcl_queue *queue = &device->session.queue;

    if (!queue->in_flight || !hcl_connection_serves(&device->connection)) {
        return false;
    }
    hcl_spin_begin(&device->spin);
    do {
        if (hcl_queue_ready(queue)) {
            hcl_spin_found(&device->spin);
            return true;
        }
    } while (hcl_spin_again(&device->spin));
    return false;
}

/* Sleeps until something happens.  -EINTR after a signal handler ran. */
static int sleep_for_event(struct hcl_device *device, int64_t timeout_us)
{
    int ret;

    hcl_spin_sleep(&device->spin);
    ret = hcl_loop_poll(device->loop, timeout_us);
    hcl_spin_woke(&device->spin, hcl_queue_ready(&device->session.queue));
    device->processed_ms = coarse_ms();
    hcl_connection_process(&device->connection);
    return ret;
}

/* As hcl_device_wait; @even_ended: goes on when the connection has ended. */
static int drive(struct hcl_device *device, int timeout_ms, bool interruptible,
                 bool even_ended, bool (*done)(const void *arg),
                 const void *arg)
{
    uint64_t timeout_ns =
        timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000000;
    uint64_t look_ns = 2 * device->spin.max_ns; /* both ways */
    uint64_t now = 0, deadline_us = 0;
    int ret;

    process_if_due(device);
    hcl_connection_serve(&device->connection);
    for (;;) {
        if (done(arg)) {
            return 0;
        }
        if (device->connection.end.code && !even_ended) {
            return device->connection.end.code;
        }
        /* Not where looking would take longer than the caller waits. */
        if (look_ns <= timeout_ns && look_for_answer(device)) {
            hcl_connection_serve(&device->connection);
            continue;
        }
        /* One look at the clock: it may be a system call. */
        if (timeout_ms >= 0) {
            now = hcl_now_us();
        }
        if (!deadline_us) {
            deadline_us = timeout_ms < 0 ? HCL_FOR_EVER
                                         : now + (uint64_t)timeout_ms * 1000;
        }
        if (now >= deadline_us) {
            hcl_spin_missed(&device->spin);
            return -ETIMEDOUT;
        }
        if (!hcl_connection_arm(&device->connection)) {
            process(device);
            continue;
        }
        ret = sleep_for_event(device, deadline_us == HCL_FOR_EVER
                                          ? -1
                                          : (int64_t)(deadline_us - now));
        if (ret == -EINTR && interruptible) {
            return -EINTR;
        }
    }
}

int hcl_device_wait(struct hcl_device *device, int timeout_ms,
                    bool interruptible, bool (*done)(const void *arg),
                    const void *arg)
{
    return drive(device, timeout_ms, interruptible, false, done, arg);
}

/* ---- Opening ----------------------------------------------------------- */

static bool is_connected(const void *arg)
{
    const struct hcl_device *device = arg;

    return device->connection.own == HCL_STATE_CONNECTED;
}

static int check_options(const struct hcl_open_options *options,
                         struct hcl_err *err)
{
    if (options->ring_page_order > HCLIF_MAX_RING_PAGE_ORDER ||
        options->tx_pool_bytes > MAX_POOL_BYTES ||
        options->rx_pool_bytes > MAX_POOL_BYTES) {
        return hcl_err_set(err, -EINVAL,
                           "a ring page order is at most %u, a pool at most "
                           "%u bytes",
                           HCLIF_MAX_RING_PAGE_ORDER, MAX_POOL_BYTES);
    }
    if (options->grace_ms > MAX_MS || options->backoff_ms > MAX_MS ||
        options->max_backoff_ms > MAX_MS) {
        return hcl_err_set(err, -EINVAL,
                           "a time in the options is at most %u ms", MAX_MS);
    }
    if (options->poll_us > HCL_SPIN_LIMIT_US || options->poll_percent > 100 ||
        (options->poll_us > 0 && options->poll_percent == 0)) {
        return hcl_err_set(err, -EINVAL,
                           "poll_us is at most %u, and poll_percent 1 to 100",
                           HCL_SPIN_LIMIT_US);
    }
    return 0;
}

/* Times that are 0 get their defaults. */
static void fill_times(struct hcl_open_options *options)
{
    options->grace_ms = options->grace_ms ? options->grace_ms : GRACE_MS;
    options->backoff_ms =
        options->backoff_ms ? options->backoff_ms : BACKOFF_MS;
    options->max_backoff_ms =
        options->max_backoff_ms ? options->max_backoff_ms : MAX_BACKOFF_MS;
}

static int prepare(struct hcl_device *device,
                   const struct hcl_open_options *options, struct hcl_err *err)
{
    int ret = hcl_fork_guard_start(&device->guard);

    if (ret < 0) {
        return hcl_err_sys(err, ret, "pthread_atfork");
    }
    device->guarded = true;
    ret = hcl_session_init(&device->session,
                           HCLIF_SLOTS_PER_PAGE << options->ring_page_order);
    if (ret < 0) {
        return hcl_err_sys(err, ret, "tables of requests");
    }
    device->session.owner = device;
    hcl_spin_init(&device->spin, &(struct hcl_spin_settings){
                                     .max_us = options->poll_us,
                                     .percent = options->poll_percent,
                                 });
    hcl_fork_guard_hold();
    ret = hcl_loop_new(&device->loop, err);
    if (ret == 0) {
        device->guard.fds[HCL_FORK_LOOP] = hcl_loop_fd(device->loop);
    }
    hcl_fork_guard_let_go();
    return ret;
}

int hcl_device_new(struct hcl_device **ret_device,
                   struct hcl_open_options *options, struct hcl_err *err)
{
    struct hcl_device *device;
    int ret = check_options(options, err);

    if (ret < 0) {
        return ret;
    }
    fill_times(options);
    device = calloc(1, sizeof(*device));
    if (!device) {
        return hcl_err_sys(err, -ENOMEM, "a device");
    }
    device->lock_fd = -1;
    ret = prepare(device, options, err);
    if (ret < 0) {
        hcl_close(device);
        return ret;
    }
    *ret_device = device;
    return 0;
}

/* Finds the attachment and keeps other processes from it. */
static int take(struct hcl_device *device, const char *name,
                struct hcl_err *err)
{
    int ret;

    ret = hcl_attachment_open(&device->connection.attachment, name, err);
    if (ret < 0) {
        return ret;
    }
    hcl_fork_guard_hold();
    ret = hcl_lock_take(device->connection.attachment.devid, &device->lock_fd,
                        err);
    device->guard.fds[HCL_FORK_LOCK] = device->lock_fd;
    hcl_fork_guard_let_go();
    return ret;
}

static int connect_device(struct hcl_device *device,
                          const struct hcl_open_options *options,
                          int timeout_ms, struct hcl_err *err)
{
    int ret =
        hcl_connection_start(&device->connection, device->loop,
                             &device->session, &device->guard, options, err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_device_wait(device, timeout_ms, true, is_connected, device);
    if (ret == -EINTR) {
        return hcl_err_set(err, ret, "interrupted");
    }
    if (ret == -ETIMEDOUT) {
        return hcl_connection_timed_out(&device->connection, err);
    }
    return ret < 0 ? hcl_device_usable(device, err) : 0;
}

int hcl_open(const char *name, const struct hcl_open_options *options,
             int timeout_ms, struct hcl_device **ret_device,
             struct hcl_err *err)
{
    struct hcl_open_options wanted = HCL_OPEN_DEFAULTS;
    struct hcl_device *device;
    int ret;

    if (options) {
        wanted = *options;
    }
    ret = hcl_device_new(&device, &wanted, err);
    if (ret < 0) {
        return ret;
    }
    ret = take(device, name, err);
    if (ret == 0) {
        ret = connect_device(device, &wanted, timeout_ms, err);
    }
    if (ret < 0) {
        hcl_close(device);
        return ret;
    }
    hcl_device_settle(device);
    *ret_device = device;
    return 0;
}

/* ---- Closing ----------------------------------------------------------- */

static bool has_no_handles(const void *arg)
{
    const struct hcl_device *device = arg;

    return !device->session.handles;
}

static bool is_down(const void *arg)
{
    const struct hcl_device *device = arg;

    return device->connection.own == HCL_STATE_CLOSED;
}

/*
 * Gives the backend the time to end everything as it should be: the handles,
 * then, twice as long, to let go of our memory.
 */
static void close_gently(struct hcl_device *device)
{
    struct hcl_connection *connection = &device->connection;
    int grace_ms = (int)connection->options.grace_ms;
    struct hcl_handle *handle, *next;

    /* First of all: are we still in the same domain? */
    connection->look = true;
    process(device);
    for (handle = device->session.handles; handle; handle = next) {
        next = handle->next;
        if (!handle->abandoned) {
            hcl_session_close(handle);
        }
    }
    if (is_connected(device)) {
        (void)!hcl_device_wait(device, grace_ms, false, has_no_handles, device);
    }
    hcl_connection_shut(connection);
    (void)!drive(device, 2 * grace_ms, false, true, is_down, device);
}

void hcl_close(struct hcl_device *device)
{
    if (!device) {
        return;
    }
    if (device->guard.forked) {
        /*
         * All descriptors are closed, and their numbers may be another's by
         * now; what refers to them is left alone.
         */
        hcl_fork_guard_stop(&device->guard);
        hcl_session_clear(&device->session);
        free(device);
        return;
    }
    if (device->connection.guard) {
        close_gently(device);
    }
    hcl_connection_stop(&device->connection);
    hcl_timer_stop(&device->attention);
    if (device->guarded) {
        hcl_fork_guard_hold();
        hcl_loop_free(device->loop);
        hcl_lock_release(device->lock_fd);
        device->guard.fds[HCL_FORK_LOOP] = -1;
        device->guard.fds[HCL_FORK_LOCK] = -1;
        hcl_fork_guard_let_go();
        hcl_fork_guard_stop(&device->guard);
    }
    hcl_session_clear(&device->session);
    free(device);
}

/* ---- Everything else of a device --------------------------------------- */

void hcl_status(const struct hcl_device *device, struct hcl_status *ret_status)
{
    const struct hcl_connection *connection = &device->connection;

    memset(ret_status, 0, sizeof(*ret_status));
    memcpy(ret_status->name, connection->attachment.name,
           sizeof(ret_status->name));
    memcpy(ret_status->class_name, connection->offer.class_name,
           sizeof(ret_status->class_name));
    ret_status->connected = is_connected(device);
    ret_status->reconnects = connection->reconnects;
    ret_status->max_requests = device->session.max_requests;
    ret_status->max_handles = device->session.max_handles;
    ret_status->tx_pool_bytes = device->session.tx.bytes;
    ret_status->rx_pool_bytes = device->session.rx.bytes;
    ret_status->requests = device->session.submitted;
    ret_status->completions = device->session.completed;
    ret_status->copied_bytes = device->session.copied_bytes;
    ret_status->events_out = connection->events_out;
    ret_status->events_in = connection->events_in;
    if (connection->share) {
        ret_status->grant_operations = hcl_share_operations(connection->share);
        ret_status->shared_pages = hcl_share_count(connection->share);
    }
}

int hcl_device_fd(struct hcl_device *device)
{
    if (device->guard.forked) {
        return -EOWNERDEAD;
    }
    device->exposed = true;
    hcl_device_settle(device);
    return hcl_loop_fd(device->loop);
}

int hcl_device_usable(const struct hcl_device *device, struct hcl_err *err)
{
    const struct hcl_err *end = &device->connection.end;

    if (device->guard.forked) {
        return hcl_err_set(err, -EOWNERDEAD,
                           "the device belongs to the parent process");
    }
    return end->code ? hcl_err_set(err, end->code, "%s", end->text) : 0;
}

int hcl_process(struct hcl_device *device, struct hcl_err *err)
{
    if (!device->guard.forked) {
        process(device);
        hcl_device_settle(device);
    }
    return hcl_device_usable(device, err);
}

void hcl_device_progress(struct hcl_device *device)
{
    hcl_connection_serve(&device->connection);
    if (!device->session.done.first && device->exposed) {
        process(device); /* its event, perhaps: the descriptor is readable */
    } else {
        process_if_due(device);
    }
}
