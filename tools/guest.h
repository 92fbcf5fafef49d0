/* SPDX-License-Identifier: MIT */
/*
 * guest.h: domains as xenstore shows them: domid, name, uuid.
 */
#ifndef HCL_GUEST_H
#define HCL_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "store.h"

#define HCL_GUEST_NAME 256 /* bytes, NUL included */
#define HCL_GUEST_UUID 37
#define HCL_GUEST_MAX_DOMID 0x7fef /* DOMID_FIRST_RESERVED - 1 */

struct hcl_guest {
    uint32_t domid;
    char name[HCL_GUEST_NAME]; /* "" where xenstore has none */
    char uuid[HCL_GUEST_UUID]; /* lower case, or "" */
};

/*
 * 36 characters, hex digits and dashes in their places, lower case.  Not all
 * zero: that is what domains without a uuid have.
 */
bool hcl_guest_uuid_ok(const char *uuid);

/* Reads all of @text as a number up to @max. */
bool hcl_guest_number(const char *text, uint32_t max, uint32_t *ret_number);

/* Reads what xenstore has of a domain.  -ENOENT: no such domain. */
__attribute__((warn_unused_result)) int
hcl_guest_read(struct hcl_store *store, uint32_t domid,
               struct hcl_guest *ret_guest, struct hcl_err *err);

/*
 * The domids below /local/domain, ascending; the caller frees the array, which
 * is NULL where there are none.
 */
__attribute__((warn_unused_result)) int hcl_guest_list(struct hcl_store *store,
                                                       uint32_t **ret_domids,
                                                       unsigned int *ret_count,
                                                       struct hcl_err *err);

/* Finds a domain by its name alone.  -ENOENT: there is none. */
__attribute__((warn_unused_result)) int
hcl_guest_find_named(struct hcl_store *store, const char *name,
                     struct hcl_guest *ret_guest, struct hcl_err *err);

/* Finds a domain by its name or, as xl does, first by its domid.  -ENOENT. */
__attribute__((warn_unused_result)) int
hcl_guest_find(struct hcl_store *store, const char *name_or_domid,
               struct hcl_guest *ret_guest, struct hcl_err *err);

#endif /* HCL_GUEST_H */
