/* SPDX-License-Identifier: MIT */
/*
 * fault.h: what a correct frontend never does to its rings (doc/protocol.md 5).
 * Each costs that frontend this connection, and nobody else anything.
 */
#ifndef HCL_FAULT_H
#define HCL_FAULT_H

#include "err.h"

enum hcl_fault {
    HCL_FAULT_NONE = 0,
    HCL_FAULT_SEQUENCE,  /* of a request slot: neither old nor new */
    HCL_FAULT_IN_FLIGHT, /* more requests than the ring has slots */
    HCL_FAULT_TAG_RANGE, /* not below the ring's slots */
    HCL_FAULT_TAG_BUSY,  /* another request in flight has it */
    HCL_FAULT_FLAGS,     /* unknown ones */
    HCL_FAULT_TX_INLINE, /* payload does not fit data[], or has an offset */
    HCL_FAULT_TX_POOL,   /* payload outside the tx pool */
    HCL_FAULT_RX_INLINE, /* answer does not fit data[], or has an offset */
    HCL_FAULT_RX_POOL,   /* answer outside the rx pool */
    HCL_NUM_FAULTS
};

/* A fault with the values that show it. */
struct hcl_fault_report {
    enum hcl_fault fault;
    char text[HCL_ERR_TEXT];
};

/* "tag in use", ... ; never NULL. */
const char *hcl_fault_name(enum hcl_fault fault);

/* Fills @report: "<name>: <formatted values>".  Returns @fault. */
enum hcl_fault hcl_fault_set(struct hcl_fault_report *report,
                             enum hcl_fault fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* HCL_FAULT_H */
