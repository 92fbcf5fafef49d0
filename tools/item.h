/* SPDX-License-Identifier: MIT */
/*
 * item.h: one item of a guest's hcl list, "device=gps,backend=io,devid=2,...",
 * and the list itself.  The same text stands in a domU's configuration, on
 * the command line of hclctl attach and in the records of hclctl watch.  Pure:
 * no files, no xenstore.
 */
#ifndef HCL_ITEM_H
#define HCL_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "err.h"
#include "spec.h"

#define HCL_ITEM_DEVICE 32  /* bytes of a device's name, NUL included */
#define HCL_ITEM_BACKEND 64 /* bytes of a backend's name, NUL included */
/* So long that device, backend and devid still fit into one spec with them. */
#define HCL_ITEM_OPTIONS (HCL_SPEC_BYTES - 128)
#define HCL_ITEM_MAX_DEVID 65535
#define HCL_ITEM_ANY_DEVID UINT32_MAX
#define HCL_ITEMS_MAX 256 /* devices of one guest */

struct hcl_item {
    char device[HCL_ITEM_DEVICE];
    char backend[HCL_ITEM_BACKEND]; /* name or domid; "0" where not given */
    uint32_t devid;                 /* HCL_ITEM_ANY_DEVID: the next free one */
    char options[HCL_ITEM_OPTIONS]; /* the other keys, for the class */
};

/* Zero-initialised is empty. */
struct hcl_items {
    struct hcl_item *item; /* owned */
    unsigned int count;
};

/* Parses @text.  -EINVAL with a text that says what was expected. */
__attribute__((warn_unused_result)) int
hcl_item_parse(struct hcl_item *ret_item, const char *text,
               struct hcl_err *err);

/* Writes @item in the form it is parsed from; @size: HCL_SPEC_BYTES. */
void hcl_item_format(const struct hcl_item *item, char *buf, size_t size);

/* Empties the list. */
void hcl_items_clear(struct hcl_items *items);

/* The item of @device, or NULL.  Belongs to @items. */
struct hcl_item *hcl_items_find(const struct hcl_items *items,
                                const char *device);

/*
 * Adds a copy of @item, or replaces the one of the same device.  Another one
 * with its devid, which must then be one that is not attached, loses that.
 */
__attribute__((warn_unused_result)) int
hcl_items_put(struct hcl_items *items, const struct hcl_item *item,
              struct hcl_err *err);

/*
 * Adds @item, as somebody's directory has it, but changes none that is there:
 * 1 added, 0 it is there already, -EEXIST another has its name or number.
 */
__attribute__((warn_unused_result)) int
hcl_items_learn(struct hcl_items *items, const struct hcl_item *item,
                struct hcl_err *err);

/* Takes the item of @device out; false if there is none. */
bool hcl_items_drop(struct hcl_items *items, const char *device);

/*
 * Gives each item without a devid the lowest one that no item has, in the order
 * of the list, so that all who read one list number it alike.
 */
void hcl_items_number(struct hcl_items *items);

/*
 * Adds the hcl list of @config to @items.  An item that is no good is left out:
 * @bad (may be NULL) is told why, with its number, from 1.  Returns how many
 * were left out, or a negative errno if the list as a whole cannot be read.
 */
__attribute__((warn_unused_result)) int
hcl_items_load(struct hcl_items *items, const struct hcl_config *config,
               void (*bad)(void *arg, const char *text), void *arg,
               struct hcl_err *err);

#endif /* HCL_ITEM_H */
