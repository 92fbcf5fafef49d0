/* SPDX-License-Identifier: MIT */
/*
 * offer.h: what a frontend has published (doc/protocol.md 1.2 and 3.1), read,
 * copied and checked by the supervisor, and made into what a worker maps.
 */
#ifndef HCL_OFFER_H
#define HCL_OFFER_H

#include <stdint.h>

#include "grant.h"
#include "layout.h"
#include "message.h"
#include "port.h"
#include "store.h"

struct hcl_offer {
    uint32_t domid;
    /* From xenstore. */
    uint32_t control_ref;
    uint32_t ports[HCLIF_MAX_QUEUES]; /* 0: missing */
    uint64_t generation;
    uint64_t incarnation; /* 0: could not be read */
    /* From the control page. */
    struct hcl_layout layout;
    uint32_t refs[HCL_MAX_REFS]; /* ro ones first, then rw ones */
};

/*
 * Reads the nodes of the frontend directory @dir, all of one moment.
 * @generation is the backend's, @max_queues what it offers.
 *
 * -EAGAIN: the frontend is no longer in state 3 for this generation: no fault.
 * -EBADMSG: a node is missing or malformed: a fault; offer->incarnation is set
 * if that could be read.  Others: xenstore itself (-EBUSY: conflicts).
 */
__attribute__((warn_unused_result)) int
hcl_offer_read(struct hcl_offer *offer, struct hcl_store *store,
               const char *dir, uint32_t domid, uint64_t generation,
               uint32_t max_queues, struct hcl_err *err);

/*
 * Copies the control page and its extra pages through @reader, and checks them.
 * -EBADMSG: a fault, also that a page is not granted.  Others: our own failure.
 */
__attribute__((warn_unused_result)) int
hcl_offer_load(struct hcl_offer *offer, struct hcl_gntdev *reader,
               const struct hcl_limits *limits, struct hcl_err *err);

/*
 * Makes the two descriptors that let a worker map and bind just this, and fills
 * @connect but for connection, devid and max_handles.  The caller owns
 * *@gntdev and *@ret_ports; the descriptors in them are what CONNECT takes.
 */
__attribute__((warn_unused_result)) int
hcl_offer_prepare(const struct hcl_offer *offer, struct hcl_gntdev *gntdev,
                  struct hcl_ports **ret_ports,
                  struct hcl_message_connect *connect, struct hcl_err *err);

/*
 * A worker could not map all: maps ever smaller ranges, so that a bad reference
 * costs O(log n) maps.  -EBADMSG: @err says which is the first bad one and what
 * it is for ("rx pool page 3").  0: all can be mapped now.  Others: our own
 * failure.  Leaves @err alone but for -EBADMSG.
 */
__attribute__((warn_unused_result)) int
hcl_offer_find_bad(const struct hcl_offer *offer, struct hcl_gntdev *reader,
                   struct hcl_err *err);

/* "tx pool page 3": what reference number @index of the list is for. */
void hcl_offer_name_page(const struct hcl_layout *layout, uint32_t index,
                         char *buf, size_t size);

#endif /* HCL_OFFER_H */
