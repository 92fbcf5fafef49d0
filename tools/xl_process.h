/* SPDX-License-Identifier: MIT */
/*
 * xl_process.h: the xl process that makes a guest, and the configuration that
 * it reads, read again.
 *
 * Believed is only a process whose user is root and whose program is named xl,
 * belongs to root and is writable by nobody else: what any other process calls
 * itself could hand a device to a stranger.
 */
#ifndef HCL_XL_PROCESS_H
#define HCL_XL_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "err.h"

#define HCL_XL_PATH 512

enum hcl_xl_search {
    /* xl create, which makes its guest now or did a moment ago */
    HCL_XL_CREATES,
    /* also those that only stay to watch over a guest they made long ago */
    HCL_XL_CREATED,
    /* xl restore with a configuration of its own, as the first */
    HCL_XL_RESTORES,
};

struct hcl_xl_process {
    pid_t pid;
    uint64_t started_ms;       /* since boot */
    char path[HCL_XL_PATH];    /* of the configuration, as xl was told */
    struct hcl_config *config; /* owned */
    unsigned int unread;       /* xl processes whose file could not be read */
    struct hcl_err unread_why; /* ... the last of them, and what to do */
};

/*
 * Looks for the xl process whose configuration has this @name; of several the
 * one that started last.  Those that watch over a guest are another matter than
 * those that make one: their guest may have another name by now.  They count
 * for HCL_XL_CREATES and HCL_XL_RESTORES only if they started less than
 * @fresh_ms ago.
 * 1: found, 0: not found (unread is filled in any case), or a negative errno.
 */
__attribute__((warn_unused_result)) int
hcl_xl_process_find(const char *name, enum hcl_xl_search search,
                    uint64_t fresh_ms, struct hcl_xl_process *ret_found,
                    struct hcl_err *err);

void hcl_xl_process_clear(struct hcl_xl_process *process);

/*
 * Parses the file at @path (for messages: and its name) with the assignments
 * @extra (may be NULL) as xl does.  A pipe cannot be read twice: -ESPIPE.
 * /dev/null is empty, as for xl.
 */
__attribute__((warn_unused_result)) int
hcl_xl_config_load(struct hcl_config **ret_config, const char *path,
                   const char *extra, struct hcl_err *err);

#endif /* HCL_XL_PROCESS_H */
