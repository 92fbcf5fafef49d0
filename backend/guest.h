/* SPDX-License-Identifier: MIT */
/*
 * guest.h: a connection over Xen: mapped grants for its memory, event channels
 * for its doorbell; or, if its other end is a process of this domain, over
 * local.h.  Lives in a worker; one thread.
 */
#ifndef HCL_GUEST_H
#define HCL_GUEST_H

#include "connection.h"
#include "message.h"

struct hcl_guest;

/*
 * Maps both regions, binds the ports and makes the connection, as @connect
 * says.  @fds are its descriptors (message.h): they belong to the guest from
 * now on, also on failure.  @event(@arg, broken) is called when
 * the guest has sent an event, or when its event channels stopped working; it
 * may free the guest.  On failure *@ret_refusal says what kind it is, and
 * nothing stays mapped or bound.
 */
__attribute__((warn_unused_result)) int
hcl_guest_new(struct hcl_guest **ret_guest, struct hcl_device *device,
              const struct hcl_message_connect *connect, int *fds,
              void (*event)(void *arg, bool broken), void *arg,
              enum hcl_refusal *ret_refusal, struct hcl_err *err);

/* Ends the connection, unmaps and unbinds everything.  Takes NULL. */
void hcl_guest_free(struct hcl_guest *guest);

/* Belongs to the guest. */
struct hcl_connection *hcl_guest_connection(struct hcl_guest *guest);

#endif /* HCL_GUEST_H */
