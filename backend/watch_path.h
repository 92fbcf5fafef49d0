/* SPDX-License-Identifier: MIT */
/*
 * watch_path.h: what a watch event of backend/hcl speaks about.  Paths come as
 * they were watched, relative, or absolute from some xenstoreds.
 */
#ifndef HCL_WATCH_PATH_H
#define HCL_WATCH_PATH_H

#include <stdint.h>

/* Domids above are Xen's own. */
#define HCL_MAX_DOMID 0x7fefu

enum hcl_watch_scope {
    HCL_WATCH_NOTHING, /* nothing of ours */
    HCL_WATCH_ALL,     /* backend/hcl or above */
    HCL_WATCH_DOMAIN,  /* backend/hcl/<domid> */
    HCL_WATCH_DEVICE,  /* backend/hcl/<domid>/<devid>, or a node of the
                          toolstack in it */
};

/*
 * Takes @path apart.  @ret_domid is filled for DOMAIN and DEVICE, @ret_devid
 * for DEVICE.  A change of a node that the backend writes itself is NOTHING.
 */
enum hcl_watch_scope hcl_watch_path(const char *path, uint32_t *ret_domid,
                                    uint32_t *ret_devid);

/* A decimal number up to @max that is all of @text; -1 if it is not. */
int64_t hcl_watch_number(const char *text, uint32_t max);

#endif /* HCL_WATCH_PATH_H */
