/* SPDX-License-Identifier: MIT */
/* The public calls on handles, buffers and requests. */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "result.h"

/* ---- Handles ----------------------------------------------------------- */

static bool is_settled(const void *arg)
{
    const struct hcl_handle *handle = arg;

    return handle->state == HCL_HANDLE_OPEN ||
           handle->state == HCL_HANDLE_FAILED;
}

/* How long the backend has to end a handle, and to answer a cancellation. */
static int grace(const struct hcl_device *device)
{
    return (int)device->connection.options.grace_ms;
}

/* Why something was not done in time. */
static int not_done(struct hcl_device *device, int ret, struct hcl_err *err)
{
    if (ret == -EINTR) {
        return hcl_err_set(err, ret, "interrupted");
    }
    if (ret != -ETIMEDOUT) {
        return hcl_device_usable(device, err);
    }
    if (device->connection.own != HCL_STATE_CONNECTED) {
        return hcl_connection_timed_out(&device->connection, err);
    }
    return hcl_err_set(err, ret, "timed out: the device did not answer");
}

int hcl_handle_open(struct hcl_device *device, int timeout_ms,
                    struct hcl_handle **ret_handle, struct hcl_err *err)
{
    struct hcl_handle *handle;
    int ret = hcl_device_usable(device, err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_session_open(&device->session, &handle, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_device_wait(device, timeout_ms, true, is_settled, handle);
    if (ret < 0) {
        ret = not_done(device, ret, err);
    } else if (handle->state == HCL_HANDLE_FAILED) {
        ret = hcl_result_err(&handle->failure, err);
    }
    if (ret < 0) {
        hcl_session_close(handle);
    } else {
        *ret_handle = handle;
    }
    hcl_device_settle(device);
    return ret;
}

static bool is_freed(const void *arg)
{
    const void *const *both = arg;
    const struct hcl_device *device = both[0];

    return !hcl_session_has(&device->session, both[1]);
}

void hcl_handle_close(struct hcl_handle *handle)
{
    struct hcl_device *device;
    const void *both[2];

    if (!handle) {
        return;
    }
    device = hcl_handle_device(handle);
    hcl_session_close(handle);
    if (device->guard.forked) {
        return;
    }
    both[0] = device;
    both[1] = handle; /* may be freed: only compared */
    (void)!hcl_device_wait(device, grace(device), false, is_freed, both);
    hcl_device_settle(device);
}

/* ---- Pool memory ------------------------------------------------------- */

void *hcl_buffer_alloc(struct hcl_device *device, size_t bytes,
                       enum hcl_pool_kind kind)
{
    if (device->guard.forked) {
        return NULL;
    }
    return hcl_pool_alloc(
        kind == HCL_TX ? &device->session.tx : &device->session.rx, bytes);
}

void hcl_buffer_free(struct hcl_device *device, void *buffer)
{
    if (!hcl_pool_free(&device->session.tx, buffer)) {
        hcl_pool_free(&device->session.rx, buffer);
    }
}

/* ---- Requests ---------------------------------------------------------- */

int hcl_submit(struct hcl_handle *handle, const struct hcl_io *io,
               uint64_t *ret_id)
{
    struct hcl_request *request;
    int ret;

    if (hcl_handle_device(handle)->guard.forked) {
        return -EOWNERDEAD;
    }
    ret = hcl_session_submit(handle, io, false, &request);
    if (ret == 0 && ret_id) {
        *ret_id = request->id;
    }
    hcl_device_settle(hcl_handle_device(handle));
    return ret;
}

int hcl_reap(struct hcl_device *device, struct hcl_result *results,
             unsigned int max)
{
    unsigned int count;

    if (device->guard.forked) {
        return -EOWNERDEAD;
    }
    hcl_device_progress(device);
    count = hcl_session_reap(&device->session, results, max);
    hcl_device_settle(device);
    return count ? (int)count : hcl_device_usable(device, NULL);
}

static bool has_results(const void *arg)
{
    const struct hcl_device *device = arg;

    return device->session.done.first != NULL;
}

int hcl_wait(struct hcl_device *device, int timeout_ms, struct hcl_err *err)
{
    int ret;

    if (device->guard.forked) {
        return hcl_device_usable(device, err);
    }
    ret = hcl_device_wait(device, timeout_ms, true, has_results, device);
    if (ret < 0) {
        ret = not_done(device, ret, err);
    }
    hcl_device_settle(device);
    return ret;
}

int hcl_cancel(struct hcl_handle *handle, uint64_t id)
{
    struct hcl_request *request;

    if (hcl_handle_device(handle)->guard.forked) {
        return -EOWNERDEAD;
    }
    request = hcl_session_find(handle, id);
    if (!request) {
        return -ENOENT;
    }
    hcl_session_cancel(handle->session, request);
    hcl_device_settle(hcl_handle_device(handle));
    return 0;
}

/* ---- Requests that wait ------------------------------------------------ */

static bool is_done(const void *arg)
{
    const struct hcl_request *request = arg;

    return request->state == HCL_REQUEST_DONE;
}

static int not_submitted(const struct hcl_handle *handle, int ret,
                         const struct hcl_io *io, struct hcl_err *err)
{
    struct hcl_session *session = handle->session;

    switch (ret) {
    case -EAGAIN:
        return hcl_err_set(err, ret, "%u requests are outstanding already",
                           session->max_requests);
    case -ENOBUFS:
        return hcl_err_set(err, ret, "the pool has no space now");
    case -EMSGSIZE:
        return hcl_err_set(err, ret,
                           "%u bytes to send and %u to receive are too many "
                           "for pools of %u and %u bytes",
                           io->tx_bytes, io->rx_bytes, session->tx.bytes,
                           session->rx.bytes);
    case -EINVAL:
        return hcl_err_set(err, ret, "not a valid request");
    default:
        return handle->state == HCL_HANDLE_FAILED
                   ? hcl_result_err(&handle->failure, err)
                   : hcl_device_usable(hcl_handle_device(handle), err);
    }
}

/* Waits; after the deadline asks for the end, and waits for what comes. */
static int wait_for_result(struct hcl_device *device,
                           struct hcl_request *request, int timeout_ms,
                           struct hcl_err *err)
{
    int ret = hcl_device_wait(device, timeout_ms, true, is_done, request);

    if (ret == 0) {
        return hcl_result_err(&request->result, err);
    }
    ret = not_done(device, ret, err);
    hcl_session_cancel(&device->session, request);
    if (hcl_device_wait(device, grace(device), false, is_done, request) < 0) {
        return ret;
    }
    /* It was done all the same, or there is a better reason than ours. */
    if (request->result.status != HCL_CANCELLED) {
        return hcl_result_err(&request->result, err);
    }
    return ret;
}

int hcl_call(struct hcl_handle *handle, const struct hcl_io *io, int timeout_ms,
             struct hcl_result *ret_result, struct hcl_err *err)
{
    struct hcl_device *device = hcl_handle_device(handle);
    struct hcl_request *request;
    int ret;

    if (device->guard.forked) {
        return hcl_device_usable(device, err);
    }
    ret = hcl_session_submit(handle, io, true, &request);
    if (ret < 0) {
        return not_submitted(handle, ret, io, err);
    }
    ret = wait_for_result(device, request, timeout_ms, err);
    if (ret_result) {
        *ret_result = request->result;
        ret_result->error = ret;
    }
    hcl_session_release(&device->session, request);
    hcl_device_settle(device);
    return ret;
}

ssize_t hcl_read(struct hcl_handle *handle, void *buffer, size_t bytes,
                 int timeout_ms, struct hcl_err *err)
{
    struct hcl_pool *pool = &handle->session->rx;
    struct hcl_io io = {.opcode = HCL_READ, .rx = buffer};
    struct hcl_result result = {0};
    uint32_t most = hcl_pool_largest(pool);
    int ret;

    if (most < HCLIF_COMPLETION_DATA) {
        most = HCLIF_COMPLETION_DATA;
    }
    if (hcl_pool_holds(pool, buffer, bytes)) {
        most = pool->bytes;
    }
    io.rx_bytes = bytes < most ? (uint32_t)bytes : most;
    ret = hcl_call(handle, &io, timeout_ms, &result, err);
    return ret < 0 ? ret : (ssize_t)result.rx_bytes;
}

ssize_t hcl_write(struct hcl_handle *handle, const void *data, size_t bytes,
                  int timeout_ms, struct hcl_err *err)
{
    struct hcl_io io = {.opcode = HCL_WRITE, .tx = data};
    int ret;

    if (bytes > UINT32_MAX) {
        return hcl_err_set(err, -EMSGSIZE, "%zu bytes are too many", bytes);
    }
    io.tx_bytes = (uint32_t)bytes;
    ret = hcl_call(handle, &io, timeout_ms, NULL, err);
    return ret < 0 ? ret : (ssize_t)bytes;
}

ssize_t hcl_exchange(struct hcl_handle *handle, const void *tx, size_t tx_bytes,
                     void *rx, size_t rx_bytes, int timeout_ms,
                     struct hcl_err *err)
{
    struct hcl_io io = {.opcode = HCL_EXCHANGE, .tx = tx, .rx = rx};
    struct hcl_result result = {0};
    int ret;

    if (tx_bytes > UINT32_MAX || rx_bytes > UINT32_MAX) {
        return hcl_err_set(err, -EMSGSIZE, "%zu or %zu bytes are too many",
                           tx_bytes, rx_bytes);
    }
    io.tx_bytes = (uint32_t)tx_bytes;
    io.rx_bytes = (uint32_t)rx_bytes;
    ret = hcl_call(handle, &io, timeout_ms, &result, err);
    return ret < 0 ? ret : (ssize_t)result.rx_bytes;
}
