/* SPDX-License-Identifier: MIT */
#include "offer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handshake.h"

/* Event channels of a domain in Xen's largest ABI (FIFO). */
#define MAX_PORT ((1u << 17) - 1)

/* ---- xenstore ---------------------------------------------------------- */

struct offer_reading {
    struct hcl_offer *offer;
    const char *dir;
    uint64_t generation;
    uint32_t max_queues;
    int verdict; /* -EBADMSG, -ECANCELED or 0; used after the commit */
};

/*
 * What the guest wrote is its fault, what the store does is not.  A node that
 * it hides from us is as good as missing.
 */
static int node_fault(int rc, struct hcl_err *err)
{
    if (rc == -ENOENT || rc == -EACCES || rc == -EMSGSIZE) {
        err->code = -EBADMSG;
        return -EBADMSG;
    }
    return rc;
}

/* Ports beyond those of the control page's queues may be missing. */
static int read_ports(struct hcl_store *store,
                      const struct offer_reading *reading, struct hcl_err *err)
{
    for (uint32_t i = 0; i < reading->max_queues; i++) {
        char node[32];
        int rc;

        snprintf(node, sizeof(node), HCLIF_NODE_EVENT_CHANNEL, i);
        rc = hcl_store_read_u32(store, reading->dir, node, 1, MAX_PORT,
                                &reading->offer->ports[i], err);
        if (rc == -ENOENT && i > 0) {
            break;
        }
        if (rc < 0) {
            return node_fault(rc, err);
        }
    }
    return 0;
}

static int read_lives(struct hcl_store *store,
                      const struct offer_reading *reading, struct hcl_err *err)
{
    struct hcl_offer *offer = reading->offer;
    int rc;

    rc = hcl_store_read_id64(store, reading->dir, HCLIF_NODE_INCARNATION,
                             &offer->incarnation, err);
    if (rc < 0) {
        return node_fault(rc, err);
    }
    if (offer->incarnation == 0) {
        return hcl_err_set(err, -EBADMSG, "incarnation is 0");
    }
    rc = hcl_store_read_id64(store, reading->dir, HCLIF_NODE_GENERATION,
                             &offer->generation, err);
    if (rc < 0) {
        return node_fault(rc, err);
    }
    if (offer->generation != reading->generation) {
        return hcl_err_set(err, -ECANCELED, "it answers another generation");
    }
    return 0;
}

static int read_nodes(struct hcl_store *store,
                      const struct offer_reading *reading, struct hcl_err *err)
{
    struct hcl_offer *offer = reading->offer;
    unsigned int state;
    uint32_t version;
    int rc;

    offer->incarnation = 0;
    memset(offer->ports, 0, sizeof(offer->ports));
    rc = hcl_store_read_state(store, reading->dir, &state, err);
    if (rc < 0) {
        return rc;
    }
    if (state != HCL_STATE_INITIALISED) {
        return hcl_err_set(err, -ECANCELED, "it left state 3");
    }
    rc = read_lives(store, reading, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_store_read_u32(store, reading->dir, HCLIF_NODE_VERSION,
                            HCLIF_VERSION, HCLIF_VERSION, &version, err);
    if (rc < 0) {
        return node_fault(rc, err);
    }
    rc = hcl_store_read_u32(store, reading->dir, HCLIF_NODE_CONTROL_REF, 0,
                            UINT32_MAX, &offer->control_ref, err);
    if (rc < 0) {
        return node_fault(rc, err);
    }
    return read_ports(store, reading, err);
}

/* A verdict on reads that do not commit would be one on what never was. */
static int read_offer(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    struct offer_reading *reading = arg;
    int rc = read_nodes(store, reading, err);

    reading->verdict = rc == -EBADMSG || rc == -ECANCELED ? rc : 0;
    return reading->verdict ? 0 : rc;
}

int hcl_offer_read(struct hcl_offer *offer, struct hcl_store *store,
                   const char *dir, uint32_t domid, uint64_t generation,
                   uint32_t max_queues, struct hcl_err *err)
{
    struct offer_reading reading = {offer, dir, generation, max_queues, 0};
    int rc;

    offer->domid = domid;
    rc = hcl_store_transact(store, read_offer, &reading, err);
    if (rc < 0) {
        return rc == -EAGAIN ? -EBUSY : rc; /* conflicts without end */
    }
    return reading.verdict == -ECANCELED ? -EAGAIN : reading.verdict;
}

/* ---- Control page ------------------------------------------------------ */

static int check_ports(const struct hcl_offer *offer, struct hcl_err *err)
{
    for (uint32_t i = 0; i < offer->layout.num_queues; i++) {
        if (offer->ports[i] == 0) {
            return hcl_err_set(err, -EBADMSG,
                               "event-channel-%u is missing, for %u queues", i,
                               offer->layout.num_queues);
        }
    }
    return 0;
}

/* A page that the guest did not grant, or no longer, is its fault. */
static int map_fault(int rc)
{
    return rc == -EINVAL ? -EBADMSG : rc;
}

/* Private copies of what the guest may still be writing. */
struct control_copy {
    struct hclif_control control;
    uint32_t extra[HCLIF_MAX_EXTRA_PAGES][HCLIF_EXTRA_REFS];
};

static int read_extra(const struct hcl_offer *offer, struct hcl_gntdev *reader,
                      struct control_copy *copy, struct hcl_err *err)
{
    const struct hclif_control *control = &copy->control;
    int rc;

    if (control->num_extra == 0) {
        return 0;
    }
    rc = hcl_gntdev_read(reader, offer->domid, control->extra_refs,
                         control->num_extra, copy->extra, err);
    if (rc < 0) {
        hcl_err_prefix(err, "extra control pages");
    }
    return map_fault(rc);
}

int hcl_offer_load(struct hcl_offer *offer, struct hcl_gntdev *reader,
                   const struct hcl_limits *limits, struct hcl_err *err)
{
    struct control_copy *copy = calloc(1, sizeof(*copy));
    int rc;

    if (!copy) {
        return hcl_err_set(err, -ENOMEM, "no memory for a control page");
    }
    rc = hcl_gntdev_read(reader, offer->domid, &offer->control_ref, 1,
                         &copy->control, err);
    if (rc < 0) {
        hcl_err_prefix(err, "grant reference %u (control page)",
                       offer->control_ref);
        rc = map_fault(rc);
        goto out;
    }
    rc = hcl_control_check(&copy->control, limits, HCLIF_VERSION,
                           offer->generation, offer->incarnation,
                           &offer->layout, err);
    if (rc < 0) {
        goto out;
    }
    rc = check_ports(offer, err);
    if (rc < 0) {
        goto out;
    }
    rc = read_extra(offer, reader, copy, err);
    if (rc < 0) {
        goto out;
    }
    rc = hcl_control_refs(&copy->control, copy->extra, offer->control_ref,
                          &offer->layout, offer->refs, err);
out:
    free(copy);
    return rc;
}

/* ---- For the worker ---------------------------------------------------- */

static int register_refs(const struct hcl_offer *offer,
                         struct hcl_gntdev *gntdev,
                         struct hcl_message_connect *connect,
                         struct hcl_err *err)
{
    uint32_t ro = hcl_layout_ro_pages(&offer->layout);
    uint32_t rw = hcl_layout_rw_pages(&offer->layout);
    int rc = hcl_gntdev_register(gntdev, offer->domid, offer->refs, ro,
                                 &connect->ro_offset, err);

    if (rc < 0) {
        return rc;
    }
    return hcl_gntdev_register(gntdev, offer->domid, offer->refs + ro, rw,
                               &connect->rw_offset, err);
}

int hcl_offer_prepare(const struct hcl_offer *offer, struct hcl_gntdev *gntdev,
                      struct hcl_ports **ret_ports,
                      struct hcl_message_connect *connect, struct hcl_err *err)
{
    struct hcl_gntdev pages = {.fd = -1};
    struct hcl_ports *ports = NULL;
    int rc;

    rc = hcl_gntdev_open(&pages, err);
    if (rc < 0) {
        goto out;
    }
    rc = register_refs(offer, &pages, connect, err);
    if (rc < 0) {
        goto out;
    }
    rc = hcl_ports_open(&ports, err);
    if (rc < 0) {
        goto out;
    }
    rc = hcl_ports_restrict(ports, offer->domid, err);
    if (rc < 0) {
        goto out;
    }
    connect->incarnation = offer->incarnation;
    connect->domid = offer->domid;
    connect->layout = offer->layout;
    memcpy(connect->remote_port, offer->ports, sizeof(offer->ports));
    *gntdev = pages;
    *ret_ports = ports;
    pages.fd = -1;
    ports = NULL;
out:
    hcl_ports_free(ports);
    hcl_gntdev_close(&pages);
    return rc;
}

/* ---- Which one is bad -------------------------------------------------- */

void hcl_offer_name_page(const struct hcl_layout *layout, uint32_t index,
                         char *buf, size_t size)
{
    uint32_t ro = hcl_layout_ro_pages(layout);
    bool writable = index >= ro;
    uint32_t page = writable ? index - ro : index;
    uint32_t pool = hcl_layout_pool_page(layout);

    if (page == 0) {
        snprintf(buf, size, "%s page", writable ? "back" : "front");
    } else if (page < pool) {
        uint32_t ring_pages = 1u << layout->ring_page_order;

        snprintf(buf, size, "%s ring of queue %u, page %u",
                 writable ? "completion" : "request", (page - 1) / ring_pages,
                 (page - 1) % ring_pages);
    } else {
        snprintf(buf, size, "%s pool page %u", writable ? "rx" : "tx",
                 page - pool);
    }
}

/*
 * Maps @count pages as the worker would: a page that is to be written and was
 * granted read-only fails, too.
 */
static int try_pages(const struct hcl_offer *offer, struct hcl_gntdev *reader,
                     uint32_t first, uint32_t count, struct hcl_err *err)
{
    bool writable = first >= hcl_layout_ro_pages(&offer->layout);
    uint64_t offset;
    void *pages;
    int rc = hcl_gntdev_register(reader, offer->domid, &offer->refs[first],
                                 count, &offset, err);

    if (rc < 0) {
        return rc;
    }
    rc = hcl_gntdev_map(reader, offset, count, writable, &pages, err);
    if (rc == 0) {
        hcl_gntdev_unmap(reader, pages, count);
    }
    hcl_gntdev_unregister(reader, offset, count);
    return map_fault(rc);
}

/* Halves a range that has a bad page until that is left, the first one. */
static int find_in_range(const struct hcl_offer *offer,
                         struct hcl_gntdev *reader, uint32_t first,
                         uint32_t count, struct hcl_err *err)
{
    struct hcl_err why = {0};
    int rc = try_pages(offer, reader, first, count, &why);
    char page[64];

    while (rc == -EBADMSG && count > 1) {
        uint32_t half = count / 2;

        rc = try_pages(offer, reader, first, half, &why);
        if (rc == -EBADMSG) {
            count = half;
        } else if (rc == 0) {
            first += half;
            count -= half;
            rc = -EBADMSG; /* so it is in the other half */
        }
    }
    if (rc == -EBADMSG) {
        hcl_offer_name_page(&offer->layout, first, page, sizeof(page));
        hcl_err_sys(err, -EINVAL, "grant reference %u (%s) cannot be mapped",
                    offer->refs[first], page);
    }
    return rc;
}

int hcl_offer_find_bad(const struct hcl_offer *offer, struct hcl_gntdev *reader,
                       struct hcl_err *err)
{
    uint32_t ro = hcl_layout_ro_pages(&offer->layout);
    uint32_t rw = hcl_layout_rw_pages(&offer->layout);
    int rc = find_in_range(offer, reader, 0, ro, err);

    return rc == 0 ? find_in_range(offer, reader, ro, rw, err) : rc;
}
