/* SPDX-License-Identifier: MIT */
#include "share.h"

#include <errno.h>
#include <fnmatch.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct share_key {
    const char *name;
    uint32_t min;
    uint32_t max;
    size_t field; /* in struct hcl_share */
};

static const struct share_key keys[] = {
    {"weight", 1, HCL_WEIGHT_MAX, offsetof(struct hcl_share, weight)},
    {"max-requests-per-s", 0, HCL_MAX_REQUESTS_PER_S,
     offsetof(struct hcl_share, max_requests_per_s)},
    {"max-kib-per-s", 0, HCL_MAX_KIB_PER_S,
     offsetof(struct hcl_share, max_kib_per_s)},
};

#define NUM_KEYS (sizeof(keys) / sizeof(keys[0]))

/* One entry of a list: [at, end), "NUMBER" or "PATTERN:NUMBER". */
struct entry {
    const char *pattern; /* pattern_bytes of it; not ended */
    size_t pattern_bytes;
    uint32_t number;
};

static bool parse_entry(const struct share_key *key, const char *at,
                        const char *end, struct entry *ret)
{
    const char *colon = memrchr(at, ':', (size_t)(end - at));
    const char *digits = colon ? colon + 1 : at;
    char number[16];

    if (colon == at || (size_t)(end - digits) >= sizeof(number)) {
        return false;
    }
    snprintf(number, sizeof(number), "%.*s", (int)(end - digits), digits);
    ret->pattern = colon ? at : "*";
    ret->pattern_bytes = colon ? (size_t)(colon - at) : 1;
    return hcl_spec_number(number, &ret->number) && ret->number >= key->min &&
           ret->number <= key->max;
}

bool hcl_share_match(const char *pattern, size_t bytes, const char *guest)
{
    char one[HCL_SPEC_BYTES];

    snprintf(one, sizeof(one), "%.*s", (int)bytes, pattern);
    return fnmatch(one, guest, 0) == 0;
}

/*
 * Looks for @guest, or through all entries if it is NULL.  False: there is one
 * that is malformed.
 */
static bool look_up(const struct share_key *key, const char *list,
                    const char *guest, uint32_t *number)
{
    for (const char *at = list;; at++) {
        const char *end = strchrnul(at, '|');
        struct entry entry;

        if (!parse_entry(key, at, end, &entry)) {
            return false;
        }
        if (guest &&
            hcl_share_match(entry.pattern, entry.pattern_bytes, guest)) {
            *number = entry.number;
            return true;
        }
        if (!*end) {
            return true;
        }
        at = end;
    }
}

int hcl_share_check(const struct hcl_spec *spec, struct hcl_err *err)
{
    for (size_t i = 0; i < NUM_KEYS; i++) {
        const char *list = hcl_spec_get(spec, keys[i].name);

        if (list && !look_up(&keys[i], list, NULL, NULL)) {
            return hcl_err_set(err, -EINVAL,
                               "%s='%s': expected a number from %u to %u, or "
                               "PATTERN:NUMBER for guests' names, several "
                               "separated by '|'",
                               keys[i].name, list, keys[i].min, keys[i].max);
        }
    }
    return 0;
}

struct hcl_share hcl_share_of(const struct hcl_spec *spec, const char *guest)
{
    struct hcl_share share = HCL_SHARE_DEFAULT;

    for (size_t i = 0; i < NUM_KEYS; i++) {
        const char *list = hcl_spec_get(spec, keys[i].name);

        if (list) {
            look_up(&keys[i], list, guest,
                    (uint32_t *)(void *)((char *)&share + keys[i].field));
        }
    }
    return share;
}

bool hcl_share_ok(const struct hcl_share *share)
{
    return share->weight >= 1 && share->weight <= HCL_WEIGHT_MAX &&
           share->max_requests_per_s <= HCL_MAX_REQUESTS_PER_S &&
           share->max_kib_per_s <= HCL_MAX_KIB_PER_S;
}
