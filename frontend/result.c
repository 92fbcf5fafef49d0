/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The public header repeats the wire's numbers, so that it stands alone. */
_Static_assert(HCL_OK == HCLIF_STATUS_OK &&
                   HCL_INVALID == HCLIF_STATUS_INVALID &&
                   HCL_UNSUPPORTED == HCLIF_STATUS_UNSUPPORTED &&
                   HCL_BAD_HANDLE == HCLIF_STATUS_BAD_HANDLE &&
                   HCL_BUSY == HCLIF_STATUS_BUSY &&
                   HCL_DENIED == HCLIF_STATUS_DENIED &&
                   HCL_LIMIT == HCLIF_STATUS_LIMIT &&
                   HCL_IO_ERROR == HCLIF_STATUS_IO &&
                   HCL_GONE == HCLIF_STATUS_GONE &&
                   HCL_CANCELLED == HCLIF_STATUS_CANCELLED &&
                   HCL_TIMEOUT == HCLIF_STATUS_TIMEOUT,
               "hcl.h and hclif.h differ in the status numbers");
_Static_assert(HCL_READ == HCLIF_OP_READ && HCL_WRITE == HCLIF_OP_WRITE &&
                   HCL_EXCHANGE == HCLIF_OP_EXCHANGE &&
                   HCL_CLASS_OPCODE == HCLIF_OP_CLASS &&
                   HCL_OVERRUN == HCLIF_OVERRUN,
               "hcl.h and hclif.h differ in opcodes or flags");
_Static_assert(HCL_RESULT_TEXT > HCLIF_COMPLETION_DATA,
               "a completion's text does not fit");

/* By wire status. */
static const struct {
    int error;
    const char *text;
} statuses[] = {
    [HCL_OK] = {0, "done"},
    [HCL_INVALID] = {-EINVAL, "the device cannot make sense of the request"},
    [HCL_UNSUPPORTED] = {-EOPNOTSUPP, "the device has no such operation"},
    [HCL_BAD_HANDLE] = {-EBADF, "the backend does not know the handle"},
    [HCL_BUSY] = {-EBUSY, "the device is in use by another handle or guest"},
    [HCL_DENIED] = {-EACCES, "not allowed for this guest"},
    [HCL_LIMIT] = {-EDQUOT, "a budget of this guest is used up"},
    [HCL_IO_ERROR] = {-EIO, "the hardware failed"},
    [HCL_GONE] = {-ENXIO, "the hardware is not there"},
    [HCL_CANCELLED] = {-ECANCELED, "cancelled"},
    [HCL_TIMEOUT] = {-ETIME, "the hardware did not answer in time"},
};

#define NUM_STATUSES (sizeof(statuses) / sizeof(*statuses))

void hcl_result_local(struct hcl_result *result, enum hcl_result_status status,
                      int error, const char *text)
{
    memset(result, 0, sizeof(*result));
    result->status = status;
    result->error = error;
    snprintf(result->text, sizeof(result->text), "%s", text);
}

void hcl_result_completed(struct hcl_result *result,
                          const struct hclif_completion *completion)
{
    uint32_t bytes = completion->rx_bytes;

    result->rx_bytes = 0;
    result->text[0] = '\0';
    /* doc/protocol.md 4: an unknown status is IO. */
    result->status =
        completion->status < NUM_STATUSES ? completion->status : HCL_IO_ERROR;
    result->error = statuses[result->status].error;
    result->flags = completion->flags & HCL_OVERRUN;
    if (completion->status == HCLIF_STATUS_OK) {
        result->rx_bytes = bytes;
    } else if (bytes <= HCLIF_COMPLETION_DATA) {
        memcpy(result->text, completion->data, bytes);
        result->text[bytes] = '\0';
        hcl_text_clean(result->text);
    }
}

const char *hcl_result_status_text(uint32_t status)
{
    if (status == HCL_OUTCOME_UNKNOWN) {
        return "the connection was lost";
    }
    if (status == HCL_ENDED) {
        return "the connection has ended";
    }
    return status < NUM_STATUSES ? statuses[status].text
                                 : statuses[HCL_IO_ERROR].text;
}

int hcl_result_err(const struct hcl_result *result, struct hcl_err *err)
{
    const char *text = hcl_result_status_text(result->status);

    if (result->status == HCL_OK) {
        return 0;
    }
    if (result->status == HCL_ENDED) {
        return hcl_err_set(err, result->error, "%s", result->text);
    }
    return hcl_err_set(err, result->error, "%s%s%s", text,
                       result->text[0] ? ": " : "", result->text);
}
