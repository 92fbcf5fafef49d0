/* SPDX-License-Identifier: MIT */
/*
 * spec.h: "key=value,key=value", the form of an item in hcl.conf's devices, of
 * an item in a domU config's hcl list, and of the options node.
 *
 * Blanks around keys and values are dropped.  Values have no comma.  Keys are
 * [a-z0-9-], each at most once.
 */
#ifndef HCL_SPEC_H
#define HCL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define HCL_SPEC_MAX_KEYS 32
#define HCL_SPEC_BYTES 1024 /* longest spec, NUL included */

struct hcl_spec {
    unsigned int count;
    const char *key[HCL_SPEC_MAX_KEYS];   /* point into text */
    const char *value[HCL_SPEC_MAX_KEYS]; /* point into text */
    char text[HCL_SPEC_BYTES];
};

/*
 * Parses @text into @spec (filled only on success).  -EINVAL with a text that
 * quotes the bad part and says what was expected.
 */
__attribute__((warn_unused_result)) int
hcl_spec_parse(struct hcl_spec *spec, const char *text, struct hcl_err *err);

/* The value of @key, or NULL.  Belongs to @spec. */
const char *hcl_spec_get(const struct hcl_spec *spec, const char *key);

/*
 * Reads all of @text as a number, decimal or 0x hex; false if it is none or
 * does not fit.
 */
bool hcl_spec_number(const char *text, uint32_t *ret_value);

/*
 * Reads a number between @min and @max, as hcl_spec_number does; @fallback
 * where the key is missing.  -EINVAL says key, value and range.
 */
__attribute__((warn_unused_result)) int
hcl_spec_get_u32(const struct hcl_spec *spec, const char *key, uint32_t min,
                 uint32_t max, uint32_t fallback, uint32_t *ret_value,
                 struct hcl_err *err);

/*
 * -EINVAL if the spec has a key that is in none of the lists (each ended by
 * NULL; @more may be NULL); the text names the key and lists the known ones.
 */
__attribute__((warn_unused_result)) int
hcl_spec_only(const struct hcl_spec *spec, const char *const *known,
              const char *const *more, struct hcl_err *err);

/*
 * Writes into @buf (@size bytes) the spec without the keys in @drop (ended by
 * NULL), in the form it is parsed from.
 */
void hcl_spec_format_without(const struct hcl_spec *spec,
                             const char *const *drop, char *buf, size_t size);

/* A name of a device or class: 1 to 31 of [A-Za-z0-9_.-], first alphanumeric.
 */
bool hcl_spec_name_ok(const char *name);

#endif /* HCL_SPEC_H */
