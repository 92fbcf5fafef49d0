/* SPDX-License-Identifier: MIT */
/*
 * device_list.h: `devices` of hcl.conf.  Only the supervisor reads the file.
 */
#ifndef HCL_DEVICE_LIST_H
#define HCL_DEVICE_LIST_H

#include "config.h"
#include "device_config.h"

/*
 * Reads `devices` of hcl.conf.  *@ret_devices is one allocation of
 * *@ret_count entries: the caller frees it with free().  -EINVAL: the text has
 * the item's number, the item and what was expected; two devices of one name
 * are a mistake too.
 */
__attribute__((warn_unused_result)) int
hcl_device_config_list(const struct hcl_config *config,
                       struct hcl_device_config **ret_devices,
                       unsigned int *ret_count, struct hcl_err *err);

#endif /* HCL_DEVICE_LIST_H */
