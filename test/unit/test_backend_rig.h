/* SPDX-License-Identifier: MIT */
/*
 * test_backend_rig.h: a device with connections over plain memory, and the
 * guest's end of each: what a worker does, without Xen.
 */
#ifndef TEST_BACKEND_RIG_H
#define TEST_BACKEND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "device.h"
#include "loop.h"
#include "ring.h"

#define RIG_POOL_PAGES 64
#define RIG_SLOTS 64
#define RIG_HANDLES 4
#define RIG_BUDGET_NS 100000000 /* more than any test needs */

struct rig {
    struct hcl_loop *loop;
    struct hcl_device *device;
    int failures; /* calls of hcl_device_failed */
    char failure[HCL_ERR_TEXT];
};

struct rig_guest {
    struct rig *rig;
    struct hcl_connection *connection;
    struct hcl_layout layout;
    uint8_t *ro; /* the guest writes it */
    uint8_t *rw;
    struct hcl_producer requests;
    struct hcl_consumer completions;
    int rings; /* of the doorbell */
};

static void rig_failed(void *arg, const struct hcl_err *err)
{
    struct rig *rig = arg;

    rig->failures++;
    snprintf(rig->failure, sizeof(rig->failure), "%s", err->text);
}

/* Opens a device; returns what the class said. */
__attribute__((unused)) static int rig_open(struct rig *rig,
                                            const struct hcl_class *class,
                                            const char *text,
                                            struct hcl_err *err)
{
    struct hcl_spec spec;
    int rc;

    memset(rig, 0, sizeof(*rig));
    assert_int_equal(hcl_loop_new(&rig->loop, err), 0);
    assert_int_equal(hcl_spec_parse(&spec, text, err), 0);
    rc = hcl_device_open(&rig->device, class, "dev0", &spec, rig->loop,
                         rig_failed, rig, err);
    if (rc < 0) {
        hcl_loop_free(rig->loop);
        rig->loop = NULL;
    }
    return rc;
}

__attribute__((unused)) static void rig_close(struct rig *rig)
{
    hcl_device_free(rig->device);
    hcl_loop_free(rig->loop);
}

static void rig_doorbell(void *arg, uint32_t queue)
{
    struct rig_guest *guest = arg;

    assert_int_equal(queue, 0);
    guest->rings++;
}

static void *rig_pages(uint32_t count)
{
    size_t bytes = count * HCLIF_PAGE_BYTES;
    void *pages = aligned_alloc(HCLIF_PAGE_BYTES, bytes);

    assert_non_null(pages);
    return memset(pages, 0, bytes);
}

static void rig_connect_as(struct rig *rig, struct rig_guest *guest,
                           struct hcl_share share, uint32_t tx_pages,
                           uint32_t rx_pages)
{
    struct hcl_connection_setup setup = {
        .share = share,
        .layout = {.num_queues = 1,
                   .ring_page_order = 0,
                   .tx_pages = tx_pages,
                   .rx_pages = rx_pages},
        .max_handles = RIG_HANDLES,
        .doorbell = rig_doorbell,
        .arg = guest,
    };
    size_t ring = hcl_layout_ring_offset(&setup.layout, 0);
    struct hclif_side *front;
    struct hclif_side *back;

    memset(guest, 0, sizeof(*guest));
    guest->rig = rig;
    guest->layout = setup.layout;
    guest->ro = rig_pages(hcl_layout_ro_pages(&setup.layout));
    guest->rw = rig_pages(hcl_layout_rw_pages(&setup.layout));
    front = (struct hclif_side *)guest->ro;
    back = (struct hclif_side *)guest->rw;
    front->alive = 1;
    setup.ro = guest->ro;
    setup.rw = guest->rw;
    assert_int_equal(
        hcl_connection_new(&guest->connection, rig->device, &setup, NULL), 0);
    hcl_producer_init(&guest->requests, guest->ro + ring, RIG_SLOTS,
                      &back->event[0].position);
    hcl_consumer_init(&guest->completions, guest->rw + ring, RIG_SLOTS,
                      &front->event[0].position);
}

__attribute__((unused)) static void rig_connect_pools(struct rig *rig,
                                                      struct rig_guest *guest,
                                                      uint32_t tx_pages,
                                                      uint32_t rx_pages)
{
    struct hcl_share share = HCL_SHARE_DEFAULT;

    rig_connect_as(rig, guest, share, tx_pages, rx_pages);
}

__attribute__((unused)) static void rig_connect(struct rig *rig,
                                                struct rig_guest *guest)
{
    rig_connect_pools(rig, guest, RIG_POOL_PAGES, RIG_POOL_PAGES);
}

__attribute__((unused)) static void rig_disconnect(struct rig_guest *guest)
{
    hcl_connection_free(guest->connection);
    free(guest->ro);
    free(guest->rw);
}

__attribute__((unused)) static uint8_t *rig_tx_pool(struct rig_guest *guest)
{
    return guest->ro + hcl_layout_pool_offset(&guest->layout);
}

__attribute__((unused)) static uint8_t *rig_rx_pool(struct rig_guest *guest)
{
    return guest->rw + hcl_layout_pool_offset(&guest->layout);
}

/* Puts a request on the ring; the connection does not look yet. */
__attribute__((unused)) static void rig_put(struct rig_guest *guest,
                                            struct hclif_request request)
{
    hcl_producer_put(&guest->requests, &request);
}

/* A turn of the worker for this guest. */
__attribute__((unused)) static enum hcl_serve rig_serve(struct rig_guest *guest)
{
    enum hcl_serve served =
        hcl_connection_serve(guest->connection, RIG_BUDGET_NS);

    hcl_device_flush(guest->rig->device);
    return served;
}

/* Puts one and has it served. */
__attribute__((unused)) static enum hcl_serve
rig_send(struct rig_guest *guest, struct hclif_request request)
{
    rig_put(guest, request);
    return rig_serve(guest);
}

__attribute__((unused)) static bool rig_take(struct rig_guest *guest,
                                             struct hclif_completion *ret)
{
    enum hcl_take take = hcl_consumer_take(&guest->completions, ret);

    assert_int_not_equal(take, HCL_TAKE_FAULT);
    return take == HCL_TAKE_SLOT;
}

/* Takes the next completion, which must be there, and checks it. */
__attribute__((unused)) static struct hclif_completion
rig_expect(struct rig_guest *guest, uint32_t tag, uint16_t status)
{
    struct hclif_completion completion;

    assert_true(rig_take(guest, &completion));
    assert_int_equal(completion.tag, tag);
    assert_int_equal(completion.status, status);
    return completion;
}

/* Runs the worker's loop until a completion comes, at most 5 seconds. */
__attribute__((unused)) static struct hclif_completion
rig_wait(struct rig_guest *guest, uint32_t tag, uint16_t status)
{
    struct hclif_completion completion;
    uint64_t end = hcl_now_us() + 5000000;

    while (!rig_take(guest, &completion)) {
        assert_true(hcl_now_us() < end);
        bool again = hcl_device_poll(guest->rig->device) == HCL_DUE_NOW;

        hcl_loop_poll(guest->rig->loop, again ? 0 : 100000);
        hcl_device_flush(guest->rig->device);
    }
    assert_int_equal(completion.tag, tag);
    assert_int_equal(completion.status, status);
    return completion;
}

/* Opens handle 0 with tag 0. */
__attribute__((unused)) static void rig_open_handle(struct rig_guest *guest)
{
    struct hclif_request request = {.opcode = HCLIF_OP_OPEN};

    assert_int_equal(rig_send(guest, request), HCL_SERVE_IDLE);
    rig_expect(guest, 0, HCLIF_STATUS_OK);
}

#endif /* TEST_BACKEND_RIG_H */
