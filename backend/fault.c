/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const fault_names[HCL_NUM_FAULTS] = {
    [HCL_FAULT_NONE] = "no fault",
    [HCL_FAULT_SEQUENCE] = "sequence neither old nor new",
    [HCL_FAULT_IN_FLIGHT] = "more requests in flight than slots",
    [HCL_FAULT_TAG_RANGE] = "tag out of range",
    [HCL_FAULT_TAG_BUSY] = "tag in use",
    [HCL_FAULT_FLAGS] = "unknown flags",
    [HCL_FAULT_TX_INLINE] = "payload does not fit the slot",
    [HCL_FAULT_TX_POOL] = "payload outside the tx pool",
    [HCL_FAULT_RX_INLINE] = "answer does not fit the slot",
    [HCL_FAULT_RX_POOL] = "answer outside the rx pool",
};

const char *hcl_fault_name(enum hcl_fault fault)
{
    if ((unsigned int)fault >= HCL_NUM_FAULTS) {
        return "unknown fault";
    }
    return fault_names[fault];
}

enum hcl_fault hcl_fault_set(struct hcl_fault_report *report,
                             enum hcl_fault fault, const char *fmt, ...)
{
    va_list args;
    int used;

    report->fault = fault;
    used = snprintf(report->text, sizeof(report->text),
                    "%s: ", hcl_fault_name(fault));
    va_start(args, fmt);
    vsnprintf(report->text + used, sizeof(report->text) - (size_t)used, fmt,
              args);
    va_end(args);
    return fault;
}
