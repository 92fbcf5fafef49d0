/* SPDX-License-Identifier: MIT */
/*
 * save_file.h: which guest a file of xl save has in it.
 */
#ifndef HCL_SAVE_FILE_H
#define HCL_SAVE_FILE_H

#include "err.h"
#include "guest.h"

/*
 * Reads the head of the file @path that xl save wrote: the guest's uuid into
 * @ret_uuid (HCL_GUEST_UUID bytes).  -EINVAL: it is no such file.
 */
__attribute__((warn_unused_result)) int
hcl_save_file_uuid(const char *path, char *ret_uuid, struct hcl_err *err);

#endif /* HCL_SAVE_FILE_H */
