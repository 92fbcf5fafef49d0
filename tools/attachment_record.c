/* SPDX-License-Identifier: MIT */
/*
 * attachment_record.c: hcl_attachment_learn.  A record decides what a guest
 * gets after a reboot, so a hostile directory must change nothing in it.
 */
#include "attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void skip(const struct hcl_attachment_learn *learn, const char *text)
{
    if (learn->skipped) {
        learn->skipped(learn->arg, text);
    }
}

/* True if the backend of @item, a name or number, is the domain of @at. */
static bool same_backend(const struct hcl_attachment_learn *learn,
                         const struct hcl_item *item,
                         const struct hcl_attachment *at)
{
    struct hcl_guest backend;

    return hcl_guest_find(learn->store, item->backend, &backend, NULL) == 0 &&
           backend.domid == at->backend;
}

/* True if one of the attachments is that of @item, and stays. */
static bool is_attached(const struct hcl_attachment_learn *learn,
                        const struct hcl_item *item,
                        const struct hcl_attachment *list, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (hcl_attachment_leaving(learn->store, &list[i])) {
            continue;
        }
        /* Whatever it calls itself now. */
        if ((list[i].agreed && !strcmp(list[i].device, item->device)) ||
            (list[i].devid == item->devid &&
             same_backend(learn, item, &list[i]))) {
            return true;
        }
    }
    return false;
}

static int learn_one(const struct hcl_attachment_learn *learn,
                     const struct hcl_attachment *at, struct hcl_items *items,
                     struct hcl_err *err)
{
    struct hcl_err why;
    struct hcl_item item;
    int ret;

    if (hcl_attachment_leaving(learn->store, at)) {
        return 0;
    }
    if (!at->agreed) {
        hcl_err_set(&why, -EBADMSG,
                    "devid %u from domain %u: '%s', says the backend; the "
                    "guest does not",
                    at->devid, at->backend, at->device);
        skip(learn, why.text);
        return 0;
    }
    /* One that cannot be read is somebody's mistake, and only that. */
    ret = hcl_attachment_item(learn->store, at, &item, &why);
    if (ret == 0) {
        ret = hcl_items_learn(items, &item, &why);
    }
    if (ret == -ENOMEM) {
        return hcl_err_sys(err, ret, "%s", at->device);
    }
    if (ret < 0) {
        skip(learn, why.text);
    }
    return 0;
}

int hcl_attachment_learn(const struct hcl_attachment_learn *learn,
                         struct hcl_items *items, struct hcl_err *err)
{
    struct hcl_attachment *list;
    struct hcl_item *item;
    unsigned int i, count;
    int ret =
        hcl_attachment_list(learn->store, learn->domid, &list, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = items->count; learn->gone && i-- > 0;) {
        item = &items->item[i];
        if (!is_attached(learn, item, list, count) &&
            learn->gone(learn->arg, item)) {
            hcl_items_drop(items, item->device);
        }
    }
    for (i = 0; ret == 0 && i < count; i++) {
        ret = learn_one(learn, &list[i], items, err);
    }
    free(list);
    return ret;
}
