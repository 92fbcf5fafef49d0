/* SPDX-License-Identifier: MIT */
/*
 * config.h: files in xl's syntax, read with libxlutil, the parser of xl itself.
 * Only hcl-backend and hclctl link this (libxlutil changes with Xen releases).
 */
#ifndef HCL_CONFIG_H
#define HCL_CONFIG_H

#include <stdint.h>

#include "err.h"

struct hcl_config;

/*
 * Parses @bytes of @data as the file @name (for messages only).  -EINVAL with
 * libxlutil's own message, which has file and line.  Never touches the file.
 */
__attribute__((warn_unused_result)) int
hcl_config_parse(struct hcl_config **ret_config, const char *name,
                 const char *data, unsigned int bytes, struct hcl_err *err);

/* Reads and parses the file @path (at most 1 MiB). */
__attribute__((warn_unused_result)) int
hcl_config_load(struct hcl_config **ret_config, const char *path,
                struct hcl_err *err);

void hcl_config_free(struct hcl_config *config);

/* The string @key: NULL in *@ret_value where missing; -EINVAL for a list. */
__attribute__((warn_unused_result)) int
hcl_config_string(const struct hcl_config *config, const char *key,
                  const char **ret_value, struct hcl_err *err);

/*
 * The list of strings @key: count 0 where missing.  -EINVAL when it is no
 * list, or item n is no string.  The array is freed by the caller with free(),
 * the strings belong to @config.
 */
__attribute__((warn_unused_result)) int
hcl_config_list(const struct hcl_config *config, const char *key,
                const char ***ret_items, unsigned int *ret_count,
                struct hcl_err *err);

/*
 * The number @key, between @min and @max, decimal or 0x hex; @fallback where
 * missing.  -EINVAL: the text has the file, the key, the value and the range.
 */
__attribute__((warn_unused_result)) int
hcl_config_u32(const struct hcl_config *config, const char *key, uint32_t min,
               uint32_t max, uint32_t fallback, uint32_t *ret_value,
               struct hcl_err *err);

#endif /* HCL_CONFIG_H */
