/* SPDX-License-Identifier: MIT */
#include "guest.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "barrier.h"
#include "grant.h"
#include "local.h"
#include "port.h"

struct hcl_guest {
    struct hcl_layout layout;
    struct hcl_gntdev gntdev;
    struct hcl_ports *ports;
    uint32_t local_port[HCLIF_MAX_QUEUES];
    bool is_local; /* then all of the above is unused */
    struct hcl_local local;
    void *ro; /* mapped, or NULL */
    void *rw;
    struct hcl_connection *connection;
    struct hcl_source *source;
    void (*event)(void *arg, bool broken);
    void *event_arg;
};

static void ring_doorbell(void *arg, uint32_t queue)
{
    struct hcl_guest *guest = arg;

    hcl_ports_notify(guest->ports, guest->local_port[queue]);
}

static void on_event(void *arg, uint32_t events)
{
    struct hcl_guest *guest = arg;

    (void)events;
    hcl_connection_stats(guest->connection)->events_in++;
    guest->event(guest->event_arg, hcl_ports_drain(guest->ports) < 0);
}

/* One doorbell for all queues: a look costs less than a second one. */
static void ring_local(void *arg, uint32_t queue)
{
    const struct hcl_guest *guest = arg;

    (void)queue;
    hcl_local_ring(&guest->local);
}

static void on_local_event(void *arg, uint32_t events)
{
    struct hcl_guest *guest = arg;

    (void)events;
    hcl_connection_stats(guest->connection)->events_in++;
    hcl_local_drain(&guest->local);
    guest->event(guest->event_arg, false);
}

static int bind_ports(struct hcl_guest *guest,
                      const struct hcl_message_connect *connect,
                      struct hcl_err *err)
{
    for (uint32_t i = 0; i < guest->layout.num_queues; i++) {
        int rc =
            hcl_ports_bind(guest->ports, connect->domid,
                           connect->remote_port[i], &guest->local_port[i], err);
        if (rc < 0) {
            return hcl_err_prefix(err, "event-channel-%u", i);
        }
    }
    return 0;
}

static int map_regions(struct hcl_guest *guest,
                       const struct hcl_message_connect *connect,
                       struct hcl_err *err)
{
    int rc = hcl_gntdev_map(&guest->gntdev, connect->ro_offset,
                            hcl_layout_ro_pages(&guest->layout), false,
                            &guest->ro, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_gntdev_map(&guest->gntdev, connect->rw_offset,
                        hcl_layout_rw_pages(&guest->layout), true, &guest->rw,
                        err);
    if (rc < 0) {
        return rc;
    }
    /* Our death then wakes the guest, however we die. */
    return hcl_gntdev_notify(&guest->gntdev, connect->rw_offset,
                             offsetof(struct hclif_side, alive),
                             guest->local_port[0], err);
}

/* A guest that died since it published would be mapped again and again. */
static int check_alive(const struct hcl_guest *guest, struct hcl_err *err)
{
    const struct hclif_side *front = guest->ro;

    if (hcl_load_once(&front->alive) == 0) {
        return hcl_err_set(err, -EPIPE,
                           "the guest's program has ended (alive is 0)");
    }
    return 0;
}

static int make_connection(struct hcl_guest *guest, struct hcl_device *device,
                           const struct hcl_message_connect *connect,
                           struct hcl_err *err)
{
    struct hcl_connection_setup setup = {
        .layout = guest->layout,
        .share = connect->share,
        .max_handles = connect->max_handles,
        .ro = guest->ro,
        .rw = guest->rw,
        .doorbell = guest->is_local ? ring_local : ring_doorbell,
        .arg = guest,
    };
    int rc = hcl_connection_new(&guest->connection, device, &setup, err);

    if (rc < 0) {
        return rc;
    }
    return hcl_source_new(&guest->source, hcl_device_loop(device),
                          guest->is_local ? hcl_local_fd(&guest->local)
                                          : hcl_ports_fd(guest->ports),
                          EPOLLIN, guest->is_local ? on_local_event : on_event,
                          guest, err);
}

/* What we have too little of is not the guest's doing. */
static enum hcl_refusal of_guest(int rc, enum hcl_refusal refusal)
{
    return rc == -ENOMEM || rc == -ENOSPC ? HCL_REFUSAL_OTHER : refusal;
}

/* Takes over the descriptors: whatever happens, they are the guest's. */
static int attach_xen(struct hcl_guest *guest,
                      const struct hcl_message_connect *connect, const int *fds,
                      enum hcl_refusal *ret_refusal, struct hcl_err *err)
{
    int rc;

    guest->gntdev.fd = fds[0];
    rc = hcl_ports_adopt(&guest->ports, fds[1], err);
    if (rc < 0) {
        return rc;
    }
    rc = bind_ports(guest, connect, err);
    if (rc < 0) {
        *ret_refusal = of_guest(rc, HCL_REFUSAL_PORT);
        return rc;
    }
    rc = map_regions(guest, connect, err);
    if (rc < 0) {
        *ret_refusal = of_guest(rc, HCL_REFUSAL_MAP);
    }
    return rc;
}

/* The same for a process of this domain. */
static int attach_local(struct hcl_guest *guest, const int *fds,
                        enum hcl_refusal *ret_refusal, struct hcl_err *err)
{
    int rc = hcl_local_adopt(&guest->local, &guest->layout, fds, err);

    guest->is_local = true;
    guest->ro = guest->local.ro;
    guest->rw = guest->local.rw;
    if (rc < 0) {
        *ret_refusal = of_guest(rc, HCL_REFUSAL_MAP);
    }
    return rc;
}

int hcl_guest_new(struct hcl_guest **ret_guest, struct hcl_device *device,
                  const struct hcl_message_connect *connect, int *fds,
                  void (*event)(void *arg, bool broken), void *arg,
                  enum hcl_refusal *ret_refusal, struct hcl_err *err)
{
    struct hcl_guest *guest = calloc(1, sizeof(*guest));
    enum hcl_refusal refusal = HCL_REFUSAL_OTHER;
    int rc;

    if (!guest) {
        hcl_message_close_fds(fds);
        *ret_refusal = refusal;
        return hcl_err_set(err, -ENOMEM, "no memory for a guest");
    }
    guest->layout = connect->layout;
    guest->event = event;
    guest->event_arg = arg;
    rc = connect->domid == HCL_MESSAGE_SELF
             ? attach_local(guest, fds, &refusal, err)
             : attach_xen(guest, connect, fds, &refusal, err);
    if (rc < 0) {
        goto out;
    }
    rc = check_alive(guest, err);
    if (rc < 0) {
        refusal = HCL_REFUSAL_GONE;
        goto out;
    }
    rc = make_connection(guest, device, connect, err);
    if (rc < 0) {
        goto out;
    }
    *ret_guest = guest;
    guest = NULL;
out:
    if (rc < 0) {
        *ret_refusal = refusal;
    }
    hcl_guest_free(guest);
    return rc;
}

void hcl_guest_free(struct hcl_guest *guest)
{
    if (!guest) {
        return;
    }
    hcl_source_free(guest->source);
    hcl_connection_free(guest->connection);
    if (guest->is_local) {
        /* Nobody else does, unlike below. */
        hcl_local_ring(&guest->local);
        hcl_local_close(&guest->local);
        free(guest);
        return;
    }
    /* The kernel clears `alive` and sends an event: before the ports go. */
    if (guest->rw) {
        hcl_gntdev_unmap(&guest->gntdev, guest->rw,
                         hcl_layout_rw_pages(&guest->layout));
    }
    if (guest->ro) {
        hcl_gntdev_unmap(&guest->gntdev, guest->ro,
                         hcl_layout_ro_pages(&guest->layout));
    }
    hcl_ports_free(guest->ports);
    hcl_gntdev_close(&guest->gntdev);
    free(guest);
}

struct hcl_connection *hcl_guest_connection(struct hcl_guest *guest)
{
    return guest->connection;
}
