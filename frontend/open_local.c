/* SPDX-License-Identifier: MIT */
#include "open_local.h"

#include <stdio.h>
#include <sys/epoll.h>

#include "device.h"

/* The rings' place in either region; there is one queue. */
static void *ring_at(void *region, const struct hcl_layout *layout)
{
    return (uint8_t *)region + hcl_layout_ring_offset(layout, 0);
}

static void ring_doorbell(void *arg)
{
    struct hcl_connection *connection = arg;

    connection->events_out++;
    hcl_local_ring(connection->local);
}

static void local_event(void *arg, uint32_t events)
{
    struct hcl_connection *connection = arg;

    (void)events;
    connection->events_in++;
    hcl_local_drain(connection->local);
}

/* Once: it stays readable. */
static void other_end_died(void *arg, uint32_t events)
{
    struct hcl_connection *connection = arg;

    (void)events;
    hcl_source_free(connection->store_source);
    connection->store_source = NULL;
    connection->broken = true;
}

static int watch(struct hcl_device *device, const struct hcl_local_setup *setup,
                 struct hcl_err *err)
{
    struct hcl_connection *connection = &device->connection;
    int ret = hcl_source_new(&connection->ports_source, device->loop,
                             hcl_local_fd(setup->local), EPOLLIN, local_event,
                             connection, err);

    if (ret < 0) {
        return ret;
    }
    return hcl_source_new(&connection->store_source, device->loop,
                          setup->life_fd, 0, other_end_died, connection, err);
}

static int make_pools(struct hcl_session *session,
                      const struct hcl_local *local, struct hcl_err *err)
{
    const struct hcl_layout *layout = &local->layout;
    size_t pool = hcl_layout_pool_offset(layout);
    int ret = hcl_session_pools(session, (uint8_t *)local->ro + pool,
                                layout->tx_pages * HCLIF_PAGE_BYTES,
                                (uint8_t *)local->rw + pool,
                                layout->rx_pages * HCLIF_PAGE_BYTES);

    return ret < 0 ? hcl_err_sys(err, ret, "tables of the pools") : 0;
}

/* Connected from the first moment: there is no handshake. */
static void connect_device(struct hcl_device *device,
                           const struct hcl_local_setup *setup)
{
    struct hcl_connection *connection = &device->connection;
    const struct hcl_local *local = setup->local;
    struct hclif_side *front = local->ro, *back = local->rw;
    struct hcl_queue_memory queue = {
        .requests = ring_at(local->ro, &local->layout),
        .completions = ring_at(local->rw, &local->layout),
        .own_event = &front->event[0].position,
        .peer_event = &back->event[0].position,
        .num_slots = hcl_layout_slots(&local->layout),
        .doorbell = ring_doorbell,
        .doorbell_arg = connection,
    };

    snprintf(connection->attachment.name, sizeof(connection->attachment.name),
             "%s", setup->name);
    snprintf(connection->offer.class_name, sizeof(connection->offer.class_name),
             "%s", setup->class_name);
    connection->memory.back = back;
    connection->own = HCL_STATE_CONNECTED;
    connection->connected_us = hcl_now_us();
    hcl_session_attach(&device->session, &queue, setup->max_handles);
}

int hcl_open_local(const struct hcl_local_setup *setup,
                   const struct hcl_open_options *options,
                   struct hcl_device **ret_device, struct hcl_err *err)
{
    struct hcl_open_options wanted = HCL_OPEN_DEFAULTS;
    struct hcl_connection *connection;
    struct hcl_device *device;
    int ret;

    if (options) {
        wanted = *options;
    }
    wanted.ring_page_order = setup->local->layout.ring_page_order;
    ret = hcl_device_new(&device, &wanted, err);
    if (ret < 0) {
        return ret;
    }
    connection = &device->connection;
    connection->local = setup->local;
    connection->own = HCL_STATE_CLOSED; /* until there is all it needs */
    connection->loop = device->loop;
    connection->session = &device->session;
    connection->guard = &device->guard;
    connection->options = wanted;
    ret = make_pools(&device->session, setup->local, err);
    if (ret == 0) {
        ret = watch(device, setup, err);
    }
    if (ret < 0) {
        hcl_close(device);
        return ret;
    }
    connect_device(device, setup);
    hcl_device_settle(device);
    *ret_device = device;
    return 0;
}
