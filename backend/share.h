/* SPDX-License-Identifier: MIT */
/*
 * share.h: what part of a device each guest gets.  The keys weight,
 * max-requests-per-s and max-kib-per-s of a device's item in hcl.conf, which
 * only the host's administrator writes; the guest has no say.
 *
 *   weight=300                      every guest
 *   weight=nav-*:300|hmi:200|*:50   the first pattern that matches the name
 */
#ifndef HCL_SHARE_H
#define HCL_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "spec.h"

#define HCL_WEIGHT_DEFAULT 100
#define HCL_WEIGHT_MAX 1000
#define HCL_MAX_REQUESTS_PER_S 1000000
#define HCL_MAX_KIB_PER_S 1000000000

struct hcl_share {
    uint32_t weight;             /* 1 to HCL_WEIGHT_MAX */
    uint32_t max_requests_per_s; /* 0: no limit */
    uint32_t max_kib_per_s;      /* payloads and answers; 0: no limit */
};

/* Of a guest that no key speaks of. */
#define HCL_SHARE_DEFAULT                                                      \
    {                                                                          \
        .weight = HCL_WEIGHT_DEFAULT                                           \
    }

/* -EINVAL: a value is malformed, and the text says what was expected. */
__attribute__((warn_unused_result)) int
hcl_share_check(const struct hcl_spec *spec, struct hcl_err *err);

/* The share of the guest of that name; @spec has been checked. */
struct hcl_share hcl_share_of(const struct hcl_spec *spec, const char *guest);

/* Whether all numbers are in their ranges. */
bool hcl_share_ok(const struct hcl_share *share);

/* Whether @guest matches the @bytes at @pattern, which is as the shell's. */
bool hcl_share_match(const char *pattern, size_t bytes, const char *guest);

#endif /* HCL_SHARE_H */
