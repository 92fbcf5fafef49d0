/* SPDX-License-Identifier: MIT */
/* The frontend's way from state 1 to 3: memory, event channel, nodes. */
#include <errno.h>
#include <sys/epoll.h>

#include "connection.h"

static void port_event(void *arg, uint32_t events)
{
    struct hcl_connection *connection = arg;

    (void)events;
    connection->events_in++;
    if (hcl_ports_drain(connection->ports) < 0) {
        connection->broken = true;
    }
}

static uint32_t pages_of(uint32_t bytes)
{
    return bytes / HCLIF_PAGE_BYTES + (bytes % HCLIF_PAGE_BYTES != 0);
}

/* Makes the pools, within what the backend offers at the first connection. */
static int make_pools(struct hcl_connection *connection, uint32_t most,
                      struct hcl_err *err)
{
    uint64_t tx = pages_of(connection->options.tx_pool_bytes);
    uint64_t rx = pages_of(connection->options.rx_pool_bytes);
    struct hcl_memory *memory = &connection->memory;
    uint64_t wanted = tx + rx;
    int ret;

    if (wanted > most) {
        tx = tx * most / wanted;
        rx = rx ? most - tx : 0;
    }
    ret = hcl_memory_init(memory, (uint32_t)tx, (uint32_t)rx, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_session_pools(connection->session, memory->tx.pages,
                            (uint32_t)tx * HCLIF_PAGE_BYTES, memory->rx.pages,
                            (uint32_t)rx * HCLIF_PAGE_BYTES);
    if (ret < 0) {
        return hcl_err_sys(err, ret, "tables of the pools");
    }
    connection->has_pools = true;
    return 0;
}

/* Fits what we have or want to what the backend offers. */
static int fit(struct hcl_connection *connection, uint32_t *ret_order,
               struct hcl_err *err)
{
    const struct hcl_limits *limits = &connection->offer.limits;
    const struct hcl_memory *memory = &connection->memory;
    uint32_t order = connection->options.ring_page_order;
    uint32_t pages = memory->tx.num + memory->rx.num, most;

    if (order > limits->max_ring_page_order) {
        order = limits->max_ring_page_order;
    }
    most = HCL_MAX_REFS - 2 * (1 + (1u << order));
    if (most > limits->max_pool_pages) {
        most = limits->max_pool_pages;
    }
    *ret_order = order;
    if (!connection->has_pools) {
        return make_pools(connection, most, err);
    }
    if (pages > most) {
        /* The program has pointers to all of them. */
        return hcl_err_set(err, -ENOSPC,
                           "the backend now allows %u pool pages only, this "
                           "program already uses %u",
                           most, pages);
    }
    return 0;
}

static int open_port(struct hcl_connection *connection, struct hcl_err *err)
{
    int ret;

    hcl_fork_guard_hold();
    ret = hcl_ports_open(&connection->ports, err);
    if (ret == 0) {
        connection->guard->fds[HCL_FORK_PORTS] =
            hcl_ports_fd(connection->ports);
    }
    hcl_fork_guard_let_go();
    ret = hcl_attachment_no_xen(ret, err);
    if (ret < 0) {
        return ret;
    }
    ret =
        hcl_ports_alloc(connection->ports, connection->attachment.backend_domid,
                        &connection->port, err);
    if (ret < 0) {
        return ret;
    }
    return hcl_source_new(&connection->ports_source, connection->loop,
                          hcl_ports_fd(connection->ports), EPOLLIN, port_event,
                          connection, err);
}

/* Makes the memory of a connection and says in xenstore where it is. */
static int publish_memory(struct hcl_connection *connection,
                          struct hcl_err *err)
{
    struct hcl_publication publication = {
        .generation = connection->offer.generation,
        .incarnation = hcl_new_id64(),
    };
    uint32_t order;
    int ret = fit(connection, &order, err);

    if (ret == 0) {
        ret = open_port(connection, err);
    }
    if (ret == 0) {
        ret = hcl_memory_share(&connection->memory, connection->share,
                               connection->attachment.backend_domid, order,
                               publication.generation, publication.incarnation,
                               err);
    }
    if (ret == 0) {
        publication.control_ref = connection->memory.control_ref;
        publication.port = connection->port;
        ret =
            hcl_attachment_publish(&connection->attachment, &publication, err);
    }
    if (ret == 0) {
        connection->incarnation = publication.incarnation;
        connection->published = true;
        connection->own = HCL_STATE_INITIALISED;
        return 0;
    }
    if (ret == -ENOENT) {
        /* The own directory is not there: perhaps this is another life. */
        connection->stale = true;
    }
    hcl_connection_free_ports(connection);
    (void)!hcl_memory_release(&connection->memory, connection->share, NULL);
    return ret;
}

int hcl_connection_publish(struct hcl_connection *connection,
                           struct hcl_err *err)
{
    uint64_t now = hcl_now_us();
    int ret;

    if (now < connection->publish_after_us) {
        hcl_timer_start(&connection->retry, connection->loop,
                        connection->publish_after_us - now,
                        hcl_connection_look_again, connection);
        connection->look = false;
        return 0;
    }
    ret =
        hcl_attachment_offer(&connection->attachment, &connection->offer, err);
    if (ret == -ESTALE) {
        return 0;
    }
    if (ret == 0) {
        ret = publish_memory(connection, err);
    }
    if (ret == -ENOENT) {
        connection->moved = true; /* the own directory went away */
        return 0;
    }
    return ret;
}
