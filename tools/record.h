/* SPDX-License-Identifier: MIT */
/*
 * record.h: what hclctl remembers of a guest across reboot and save, one file
 * STATEDIR/<uuid> for each guest, in the syntax of xl's own files:
 *
 *     name = "guest1"
 *     domid = 5
 *     saved = 0
 *     saver = 0
 *     boot = "6f0f2d1c-..."
 *     written = 812345
 *     hcl = [ "device=rng0,backend=0,devid=0", ]
 *
 * Only root writes here.  Each change is made under a lock and is atomic, so
 * that hclctl attach and hclctl watch can both make it.  Blocks for the disk.
 */
#ifndef HCL_RECORD_H
#define HCL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "guest.h"
#include "item.h"

#define HCL_RECORD_DIR "/var/lib/hcl"
#define HCL_RECORD_BOOT 40 /* bytes of a boot id, NUL included */

/* Zero-initialised is empty. */
struct hcl_record {
    struct hcl_guest guest; /* domid: the last one that it had */
    bool saved;             /* by xl save; kept until it is restored */
    uint32_t saver; /* the hclctl save that has paused its devices, or 0 */
    /*
     * When it was last written: which boot of this host, and milliseconds since
     * then, as processes' start times are counted.
     */
    char boot[HCL_RECORD_BOOT];
    uint64_t written_ms;
    struct hcl_items items;
};

void hcl_record_clear(struct hcl_record *record);

/* The text of a record's file; the caller frees it.  NULL: no memory. */
char *hcl_record_format(const struct hcl_record *record);

/*
 * Fills the empty @record from @config.  -EINVAL names what is wrong, and then
 * @record stays empty.
 */
__attribute__((warn_unused_result)) int
hcl_record_parse(struct hcl_record *record, const char *uuid,
                 const struct hcl_config *config, struct hcl_err *err);

/* Reads the record of @uuid.  -ENOENT: there is none. */
__attribute__((warn_unused_result)) int
hcl_record_load(struct hcl_record *record, const char *dir, const char *uuid,
                struct hcl_err *err);

/* Writes it, with the present time; makes @dir if it is missing. */
__attribute__((warn_unused_result)) int
hcl_record_store(struct hcl_record *record, const char *dir,
                 struct hcl_err *err);

/* Removes it; none there: fine. */
void hcl_record_remove(const char *dir, const char *uuid);

/*
 * Changes the record of @guest under the lock: @fn may change its items and
 * saved, and returns true if it did.  Made where it is missing.  Items
 * without a devid get one.
 */
__attribute__((warn_unused_result)) int
hcl_record_update(const char *dir, const struct hcl_guest *guest,
                  bool (*fn)(struct hcl_record *record, void *arg), void *arg,
                  struct hcl_err *err);

/* hcl_record_update: the guest has @item from now on. */
__attribute__((warn_unused_result)) int
hcl_record_put(const char *dir, const struct hcl_guest *guest,
               const struct hcl_item *item, struct hcl_err *err);

/* hcl_record_update: it has @device no longer. */
__attribute__((warn_unused_result)) int
hcl_record_drop(const char *dir, const struct hcl_guest *guest,
                const char *device, struct hcl_err *err);

/* hcl_record_update: it is being saved by this process, or is not. */
__attribute__((warn_unused_result)) int
hcl_record_set_saved(const char *dir, const struct hcl_guest *guest, bool saved,
                     struct hcl_err *err);

/* True if a hclctl save paused the guest's devices and is no more. */
bool hcl_record_forsaken(const struct hcl_record *record);

/* Calls @fn for the uuid of each record in @dir. */
void hcl_record_each(const char *dir, void (*fn)(void *arg, const char *uuid),
                     void *arg);

/* Milliseconds since boot, the clock of processes' start times. */
uint64_t hcl_record_now_ms(void);

/* True if @record was written before this boot, or earlier than @ms in it. */
bool hcl_record_older(const struct hcl_record *record, uint64_t ms);

#endif /* HCL_RECORD_H */
