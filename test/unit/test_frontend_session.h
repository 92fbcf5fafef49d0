/* SPDX-License-Identifier: MIT */
/*
 * A session on plain memory, with the backend's end in the same process.
 */
#ifndef TEST_FRONTEND_SESSION_H
#define TEST_FRONTEND_SESSION_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session.h"

#define SLOTS 64
#define POOL 4096
#define USER_SLOTS (SLOTS - 8)

/* A life of the shared memory, and the backend's end of it. */
struct life {
    struct hcl_slot requests[SLOTS], completions[SLOTS];
    uint32_t front_event, back_event;
    struct hcl_consumer in;
    struct hcl_producer out;
};

static struct life life;
static uint8_t tx_pool[POOL], rx_pool[POOL];
static struct hcl_session session;
static unsigned int doorbells;

__attribute__((unused)) static void doorbell(void *arg)
{
    (void)arg;
    doorbells++;
}

__attribute__((unused)) static void attach_slots(uint32_t slots,
                                                 uint32_t max_handles)
{
    struct hcl_queue_memory memory = {
        .requests = life.requests,
        .completions = life.completions,
        .own_event = &life.front_event,
        .peer_event = &life.back_event,
        .num_slots = slots,
        .doorbell = doorbell,
    };

    memset(&life, 0, sizeof(life));
    hcl_consumer_init(&life.in, life.requests, slots, &life.back_event);
    hcl_producer_init(&life.out, life.completions, slots, &life.front_event);
    hcl_session_attach(&session, &memory, max_handles);
}

__attribute__((unused)) static int setup(void **state)
{
    (void)state;
    doorbells = 0;
    memset(tx_pool, 0, sizeof(tx_pool));
    memset(rx_pool, 0, sizeof(rx_pool));
    if (hcl_session_init(&session, SLOTS) < 0 ||
        hcl_session_pools(&session, tx_pool, POOL, rx_pool, POOL) < 0) {
        return -1;
    }
    attach_slots(SLOTS, 4);
    return 0;
}

__attribute__((unused)) static int teardown(void **state)
{
    (void)state;
    hcl_session_clear(&session);
    return 0;
}

/* ---- The backend ------------------------------------------------------- */

__attribute__((unused)) static struct hclif_request get(void)
{
    struct hclif_request request;

    assert_int_equal(hcl_consumer_take(&life.in, &request), HCL_TAKE_SLOT);
    return request;
}

__attribute__((unused)) static void get_nothing(void)
{
    struct hclif_request request;

    assert_int_equal(hcl_consumer_take(&life.in, &request), HCL_TAKE_EMPTY);
}

__attribute__((unused)) static void put(uint32_t tag, uint16_t status,
                                        const void *data, uint32_t rx_bytes)
{
    struct hclif_completion completion = {
        .tag = tag,
        .status = status,
        .rx_bytes = rx_bytes,
    };

    if (data) {
        memcpy(completion.data, data, rx_bytes);
    }
    hcl_producer_put(&life.out, &completion);
}

__attribute__((unused)) static enum hcl_queue_fault run(void)
{
    return hcl_session_run(&session);
}

/* ---- The program ------------------------------------------------------- */

__attribute__((unused)) static struct hcl_handle *open_handle(void)
{
    struct hcl_handle *handle;
    struct hclif_request request;

    assert_int_equal(hcl_session_open(&session, &handle, NULL), 0);
    assert_int_equal(run(), 0);
    request = get();
    assert_int_equal(request.opcode, HCLIF_OP_OPEN);
    assert_int_equal(request.handle, handle->number);
    put(request.tag, HCLIF_STATUS_OK, NULL, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(handle->state, HCL_HANDLE_OPEN);
    return handle;
}

__attribute__((unused)) static int submit_io(struct hcl_handle *handle,
                                             const struct hcl_io *io)
{
    struct hcl_request *request;

    return hcl_session_submit(handle, io, false, &request);
}

/* A request whose result has @user. */
__attribute__((unused)) static void submit(struct hcl_handle *handle,
                                           uint8_t opcode, uintptr_t user)
{
    static uint8_t sink[16];
    struct hcl_io io = {.opcode = opcode, .user = (void *)user};

    if (opcode == HCL_READ) {
        io.rx = sink;
        io.rx_bytes = sizeof(sink);
    }
    assert_int_equal(submit_io(handle, &io), 0);
}

__attribute__((unused)) static struct hcl_result reap(void)
{
    struct hcl_result result = {0};

    assert_int_equal(hcl_session_reap(&session, &result, 1), 1);
    return result;
}

__attribute__((unused)) static void reap_nothing(void)
{
    struct hcl_result result;

    assert_int_equal(hcl_session_reap(&session, &result, 1), 0);
}

__attribute__((unused)) static void assert_whole_pools(void)
{
    assert_int_equal(hcl_pool_largest(&session.tx), POOL);
    assert_int_equal(hcl_pool_largest(&session.rx), POOL);
}

#endif /* TEST_FRONTEND_SESSION_H */
