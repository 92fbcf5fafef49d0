/* SPDX-License-Identifier: MIT */
/*
 * offer.h: the lists that a backend writes as text.  Pure.
 */
#ifndef HCL_OFFER_H
#define HCL_OFFER_H

#include <stdint.h>

#include "session.h"

/*
 * Whether @wanted is in @text, "1,2,...": 1 or 0; -EBADMSG: malformed.
 */
__attribute__((warn_unused_result)) int hcl_offer_version(const char *text,
                                                          uint32_t wanted);

/* Parses @text, "3,4,..." or "": numbers up to 255.  -EBADMSG: malformed. */
__attribute__((warn_unused_result)) int
hcl_offer_opcodes(const char *text, struct hcl_opcodes *ret_opcodes);

#endif /* HCL_OFFER_H */
