/* SPDX-License-Identifier: MIT */
/*
 * lockfile.h: one process at a time holds an attachment.
 *
 * An attachment has one pair of xenstore directories, so two programs that
 * both did the handshake would tear down each other's connections.  The lock
 * goes with the process, also when it is killed.
 */
#ifndef HCL_LOCKFILE_H
#define HCL_LOCKFILE_H

#include <stdint.h>

#include "err.h"

/* Where the lock files are; HCL_RUN in the environment names another place. */
#define HCL_LOCK_DIR "/run/hcl"

/*
 * Takes the lock of attachment @devid: *@ret_fd is a descriptor, close-on-exec,
 * for hcl_lock_release.  -EBUSY: the text has the holder's process number;
 * this process may be the holder.  Others: of the file system.  Never blocks.
 */
__attribute__((warn_unused_result)) int
hcl_lock_take(uint32_t devid, int *ret_fd, struct hcl_err *err);

/* -1: fine. */
void hcl_lock_release(int fd);

#endif /* HCL_LOCKFILE_H */
