/* SPDX-License-Identifier: MIT */
/*
 * result.h: what a program is told about the end of a request.
 */
#ifndef HCL_RESULT_H
#define HCL_RESULT_H

#include "hcl.h"
#include "hclif.h"

/* An end that is not in a completion. */
void hcl_result_local(struct hcl_result *result, enum hcl_result_status status,
                      int error, const char *text);

/* What a checked completion says. */
void hcl_result_completed(struct hcl_result *result,
                          const struct hclif_completion *completion);

/* For a person; never NULL. */
const char *hcl_result_status_text(uint32_t status);

/* Fills @err from a result; returns the result's error. */
int hcl_result_err(const struct hcl_result *result, struct hcl_err *err);

#endif /* HCL_RESULT_H */
