/* SPDX-License-Identifier: MIT */
#include "offer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * Takes the next number, at most @max, of a comma-separated list: 1; 0 at the
 * end; -EBADMSG for anything else.
 */
static int next_number(const char **at, uint32_t max, uint32_t *ret_number)
{
    const char *p = *at;
    uint64_t number = 0;
    unsigned int digits = 0;

    if (!*p) {
        return 0;
    }
    for (; *p >= '0' && *p <= '9' && digits < 10; p++, digits++) {
        number = number * 10 + (uint64_t)(*p - '0');
    }
    if (!digits || number > max || (*p && *p != ',') || (*p && !p[1])) {
        return -EBADMSG;
    }
    *at = *p ? p + 1 : p;
    *ret_number = (uint32_t)number;
    return 1;
}

int hcl_offer_version(const char *text, uint32_t wanted)
{
    uint32_t number;
    bool found = false;
    int ret;

    if (!*text) {
        return -EBADMSG;
    }
    while ((ret = next_number(&text, UINT32_MAX, &number)) > 0) {
        found |= number == wanted;
    }
    return ret < 0 ? ret : found;
}

int hcl_offer_opcodes(const char *text, struct hcl_opcodes *ret_opcodes)
{
    struct hcl_opcodes opcodes = {{0}};
    uint32_t number;
    int ret;

    while ((ret = next_number(&text, UINT8_MAX, &number)) > 0) {
        hcl_opcodes_add(&opcodes, (uint8_t)number);
    }
    if (ret == 0) {
        *ret_opcodes = opcodes;
    }
    return ret;
}
