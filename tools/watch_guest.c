/* SPDX-License-Identifier: MIT */
/*
 * watch_guest.c: what hclctl watch does for one guest: gives it its devices,
 * keeps its record true, and clears up after it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "log.h"
#include "watch.h"

#define NAME(guest) (guest)->guest.name, (guest)->guest.domid

/* ---- Attaching --------------------------------------------------------- */

/* Attaches one item; false if the guest is gone and the rest is pointless. */
static bool attach(struct hcl_watch *watch, struct hcl_watch_guest *guest,
                   struct hcl_item *item, bool again)
{
    struct hcl_attachment at;
    struct hcl_err err;
    int ret = hcl_attachment_make(watch->store, &guest->guest, item, &at, &err);

    guest->foreign = guest->foreign || strcmp(item->backend, "0") != 0;
    switch (ret) {
    case 0:
        item->devid = at.devid;
        hcl_log(HCL_LOG_INFO,
                "%s (domain %u): %s attached: devid %u, from domain %u",
                NAME(guest), item->device, at.devid, at.backend);
        return true;
    case -EEXIST:
        item->devid = at.devid;
        return true;
    case -ENODEV:
        guest->pending = true;
        if (!again) {
            hcl_log(HCL_LOG_WARNING, "%s (domain %u): %s waits: %s",
                    NAME(guest), item->device, err.text);
        }
        return true;
    case -ENOENT:
        return false;
    default:
        hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s not attached: %s",
                NAME(guest), item->device, err.text);
        return true;
    }
}

static void attach_all(struct hcl_watch *watch, struct hcl_watch_guest *guest,
                       struct hcl_items *items, bool again)
{
    unsigned int i;

    guest->pending = false;
    guest->foreign = false;
    for (i = 0; i < items->count; i++) {
        if (!attach(watch, guest, &items->item[i], again)) {
            return;
        }
    }
}

void hcl_watch_guest_recheck(struct hcl_watch *watch,
                             struct hcl_watch_guest *guest)
{
    struct hcl_record record = {0};

    if (hcl_record_load(&record, watch->state_dir, guest->guest.uuid, NULL) ==
        0) {
        attach_all(watch, guest, &record.items, true);
    }
    hcl_record_clear(&record);
}

/* ---- The record -------------------------------------------------------- */

/* What a record is brought up to date with. */
struct update {
    struct hcl_watch *watch;
    const struct hcl_items *items; /* to add; NULL: none */
    bool replace;                  /* they are all that there is */
    bool drop; /* others whose backend is there were detached by hand */
    bool saved;
};

/* Its domain is there, so it could be attached, and is not: by hand. */
static bool was_detached(const struct update *update,
                         const struct hcl_item *item)
{
    struct hcl_guest backend;

    return !hcl_items_find(update->items, item->device) &&
           hcl_guest_find(update->watch->store, item->backend, &backend,
                          NULL) == 0;
}

static bool apply(struct hcl_record *record, void *arg)
{
    const struct update *update = arg;
    unsigned int i;

    record->saved = update->saved;
    if (update->replace) {
        hcl_items_clear(&record->items);
    }
    for (i = record->items.count; update->drop && i-- > 0;) {
        if (was_detached(update, &record->items.item[i])) {
            hcl_items_drop(&record->items, record->items.item[i].device);
        }
    }
    for (i = 0; i < update->items->count; i++) {
        if (hcl_items_put(&record->items, &update->items->item[i], NULL) < 0) {
            break;
        }
    }
    return true;
}

static void write_record(struct update *update, struct hcl_watch_guest *guest)
{
    struct hcl_err err;

    if (hcl_record_update(update->watch->state_dir, &guest->guest, apply,
                          update, &err) < 0) {
        hcl_log(HCL_LOG_ERROR,
                "%s (domain %u): its devices are not "
                "remembered: %s",
                NAME(guest), err.text);
    }
}

static bool has_record(struct hcl_watch *watch, struct hcl_watch_guest *guest)
{
    struct hcl_record record = {0};
    int ret =
        hcl_record_load(&record, watch->state_dir, guest->guest.uuid, NULL);

    hcl_record_clear(&record);
    return ret == 0;
}

/* The guest's attachments as xenstore has them, whoever made them. */
static int read_attached(struct hcl_watch *watch, struct hcl_watch_guest *guest,
                         struct hcl_items *items, struct hcl_err *err)
{
    struct hcl_attachment *list;
    struct hcl_item item;
    unsigned int i, count;
    int ret = hcl_attachment_list(watch->store, guest->guest.domid, &list,
                                  &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; ret == 0 && i < count; i++) {
        /* One that cannot be read is somebody's mistake, and only that. */
        if (hcl_attachment_item(watch->store, &list[i], &item, NULL) == 0) {
            ret = hcl_items_put(items, &item, err);
        }
    }
    free(list);
    return ret;
}

/* True while the toolstack has not begun to remove what the guest had. */
static bool is_whole(struct hcl_watch *watch,
                     const struct hcl_watch_guest *guest)
{
    char dir[HCL_STORE_PATH], value[8];

    snprintf(dir, sizeof(dir), "/local/domain/%u/device", guest->guest.domid);
    return !guest->dying && hcl_store_read(watch->store, dir, "", value,
                                           sizeof(value), NULL) != -ENOENT;
}

/* Brings the record up to date with what was attached and detached by hand. */
static void sync_record(struct hcl_watch *watch, struct hcl_watch_guest *guest,
                        bool saved)
{
    struct hcl_items items = {NULL, 0};
    struct update update = {watch, &items, false, false, saved};
    struct hcl_err err;

    if (read_attached(watch, guest, &items, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s", NAME(guest), err.text);
    } else if (items.count || has_record(watch, guest)) {
        update.drop = is_whole(watch, guest);
        write_record(&update, guest);
    }
    hcl_items_clear(&items);
}

/* ---- A new guest ------------------------------------------------------- */

/* Its name is there: finds out which devices it is to have. */
static void look(struct hcl_watch *watch, struct hcl_watch_guest *guest)
{
    struct hcl_guest now;

    if (hcl_guest_read(watch->store, guest->guest.domid, &now, NULL) < 0 ||
        !now.name[0]) {
        return;
    }
    snprintf(guest->guest.name, sizeof(guest->guest.name), "%s", now.name);
    hcl_watch_source_find(watch, guest);
    guest->phase = HCL_WATCH_WAITING;
    watch->recheck = true;
}

/*
 * libxl writes the node domid right before it introduces the domain: from then
 * on its end is told to all who watch @releaseDomain.
 */
static bool is_introduced(struct hcl_watch *watch,
                          const struct hcl_watch_guest *guest)
{
    char dir[HCL_STORE_PATH], value[16];

    snprintf(dir, sizeof(dir), "/local/domain/%u", guest->guest.domid);
    return hcl_store_read(watch->store, dir, "domid", value, sizeof(value),
                          NULL) == 0 &&
           is_whole(watch, guest);
}

static void give(struct hcl_watch *watch, struct hcl_watch_guest *guest)
{
    struct update update = {watch, &guest->items, guest->replace, false, false};

    if (!is_introduced(watch, guest)) {
        return;
    }
    attach_all(watch, guest, &guest->items, false);
    if (guest->items.count || has_record(watch, guest)) {
        write_record(&update, guest);
    }
    hcl_items_clear(&guest->items);
    sync_record(watch, guest, false);
    guest->phase = HCL_WATCH_SETTLED;
}

void hcl_watch_guest_settle(struct hcl_watch *watch,
                            struct hcl_watch_guest *guest)
{
    if (guest->phase == HCL_WATCH_LOOKING) {
        look(watch, guest);
    }
    if (guest->phase == HCL_WATCH_WAITING) {
        give(watch, guest);
    }
}

/* ---- The end ----------------------------------------------------------- */

void hcl_watch_guest_shutdown(struct hcl_watch *watch,
                              struct hcl_watch_guest *guest,
                              enum hcl_shutdown shutdown)
{
    guest->shutdown = shutdown;
    if (guest->phase == HCL_WATCH_SETTLED) {
        sync_record(watch, guest, shutdown == HCL_SHUTDOWN_SUSPEND);
    }
}

void hcl_watch_guest_reap(struct hcl_watch *watch, uint32_t domid)
{
    struct hcl_err err;
    int ret = hcl_attachment_reap(watch->store, domid, &err);

    if (ret < 0) {
        hcl_log(HCL_LOG_ERROR, "domain %u: its attachments stay behind: %s",
                domid, err.text);
    } else if (ret > 0) {
        hcl_log(HCL_LOG_INFO, "domain %u is gone: %d attachment%s removed",
                domid, ret, ret == 1 ? "" : "s");
    }
}

void hcl_watch_guest_gone(struct hcl_watch *watch,
                          struct hcl_watch_guest *guest)
{
    struct hcl_record record = {0};

    hcl_watch_guest_reap(watch, guest->guest.domid);
    if (hcl_record_load(&record, watch->state_dir, guest->guest.uuid, NULL) <
            0 ||
        record.guest.domid != guest->guest.domid) {
        /* None, or it is its next life's already. */
        hcl_record_clear(&record);
        return;
    }
    if (record.saved) {
        hcl_log(HCL_LOG_INFO,
                "%s (domain %u): saved; it gets its devices back when it is "
                "restored",
                NAME(guest));
        hcl_record_clear(&record);
        return;
    }
    /* xl may also restart it after a crash; then it comes from memory. */
    if (guest->shutdown != HCL_SHUTDOWN_REBOOT) {
        hcl_record_remove(watch->state_dir, guest->guest.uuid);
    }
    hcl_watch_depart(watch, &record);
}
