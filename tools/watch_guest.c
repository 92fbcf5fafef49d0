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
#include "hclif.h"
#include "log.h"
#include "watch.h"

#define NAME(guest) (guest)->guest.name, (guest)->guest.domid

/* ---- Attaching --------------------------------------------------------- */

/* It is tried again, and not taken for one that was detached by hand. */
static void miss(struct hcl_watch_guest *guest, const struct hcl_item *item)
{
    struct hcl_err err;

    if (hcl_items_put(&guest->missing, item, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s", NAME(guest), err.text);
    }
}

/* Attaches one item; false if the guest is gone and the rest is pointless. */
static bool attach(struct hcl_watch *watch, struct hcl_watch_guest *guest,
                   struct hcl_item *item, bool again)
{
    struct hcl_attachment at;
    struct hcl_err err;
    int ret = hcl_attachment_make(watch->store, &guest->guest, item, &at, &err);

    switch (ret) {
    case 0:
        hcl_log(HCL_LOG_INFO,
                "%s (domain %u): %s attached: devid %u, from domain %u",
                NAME(guest), item->device, at.devid, at.backend);
        /* fall through */
    case -EEXIST:
        item->devid = at.devid;
        hcl_items_drop(&guest->missing, item->device);
        return true;
    case -ENODEV:
        miss(guest, item);
        if (!again) {
            hcl_log(HCL_LOG_WARNING, "%s (domain %u): %s waits: %s",
                    NAME(guest), item->device, err.text);
        }
        return true;
    case -ENOENT:
        miss(guest, item);
        return false;
    default:
        miss(guest, item);
        hcl_log(again ? HCL_LOG_DEBUG : HCL_LOG_ERROR,
                "%s (domain %u): %s not attached: %s", NAME(guest),
                item->device, err.text);
        return true;
    }
}

/*
 * @again: only those that were missing, or whose backend may have restarted.
 * Others were there, so they were detached by hand, with the scripts.
 */
static void attach_all(struct hcl_watch *watch, struct hcl_watch_guest *guest,
                       struct hcl_items *items, bool again)
{
    bool foreign, there = true;
    unsigned int i;

    guest->foreign = false;
    for (i = 0; i < items->count; i++) {
        foreign = strcmp(items->item[i].backend, "0") != 0;
        guest->foreign = guest->foreign || foreign;
        if (there && (!again || foreign ||
                      hcl_items_find(&guest->missing, items->item[i].device))) {
            there = attach(watch, guest, &items->item[i], again);
        }
    }
}

/* A hclctl save was killed before it could do so. */
static void end_pause(struct hcl_watch *watch, struct hcl_watch_guest *guest)
{
    struct hcl_attachment *list;
    struct hcl_err err;
    unsigned int i, count;
    int failed, ret = hcl_attachment_list(watch->store, guest->guest.domid,
                                          &list, &count, &err);

    if (ret == 0) {
        for (i = 0; i < count; i++) {
            failed = hcl_attachment_set(watch->store, &list[i],
                                        HCLIF_NODE_PAUSE, NULL, &err);
            if (failed < 0 && failed != -ENOENT) {
                ret = failed;
            }
        }
        free(list);
    }
    if (ret == 0) {
        ret =
            hcl_record_set_saved(watch->state_dir, &guest->guest, false, &err);
    }
    if (ret < 0) {
        hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s", NAME(guest), err.text);
    } else {
        hcl_log(HCL_LOG_WARNING,
                "%s (domain %u): hclctl save was killed; its devices are not "
                "paused any more",
                NAME(guest));
    }
}

void hcl_watch_guest_recheck(struct hcl_watch *watch,
                             struct hcl_watch_guest *guest)
{
    struct hcl_record record = {0};

    if (hcl_record_load(&record, watch->state_dir, guest->guest.uuid, NULL) ==
        0) {
        if (guest->shutdown == HCL_SHUTDOWN_NONE &&
            hcl_record_forsaken(&record)) {
            end_pause(watch, guest);
        }
        if (guest->missing.count || guest->foreign) {
            attach_all(watch, guest, &record.items, true);
        }
    }
    hcl_record_clear(&record);
}

/* ---- The record -------------------------------------------------------- */

/* True while the toolstack has not begun to remove what the guest had. */
static bool is_whole(struct hcl_watch *watch,
                     const struct hcl_watch_guest *guest)
{
    char dir[HCL_STORE_PATH];

    snprintf(dir, sizeof(dir), "/local/domain/%u/device", guest->guest.domid);
    return !guest->dying && hcl_store_exists(watch->store, dir, NULL) != 0;
}

/* What a record is brought up to date with, besides what xenstore has. */
struct update {
    struct hcl_watch *watch;
    struct hcl_watch_guest *guest;
    const struct hcl_items *items; /* it is to have these; NULL: none */
    bool replace;                  /* they are all that there is */
    bool drop;                     /* what was detached by hand, too */
    bool saved;
};

/*
 * Its domain is there, so it could be attached, and is not: by hand.  Whether
 * the guest is whole is asked after the attachments were read, since it may be
 * destroyed meanwhile.
 */
static bool was_detached(void *arg, const struct hcl_item *item)
{
    const struct update *update = arg;
    struct hcl_guest backend;

    return is_whole(update->watch, update->guest) &&
           !hcl_items_find(&update->guest->missing, item->device) &&
           hcl_guest_find(update->watch->store, item->backend, &backend,
                          NULL) == 0;
}

static void log_skipped(void *arg, const char *text)
{
    const struct update *update = arg;
    const struct hcl_watch_guest *guest = update->guest;

    hcl_log(HCL_LOG_WARNING, "%s (domain %u): %s; not remembered", NAME(guest),
            text);
}

static void take_items(struct hcl_record *record, const struct update *update)
{
    unsigned int i;

    if (update->replace) {
        hcl_items_clear(&record->items);
    }
    for (i = 0; i < update->items->count; i++) {
        if (hcl_items_put(&record->items, &update->items->item[i], NULL) < 0) {
            break;
        }
    }
}

/* Under the record's lock, xenstore is looked at, too. */
static bool apply(struct hcl_record *record, void *arg)
{
    struct update *update = arg;
    struct hcl_attachment_learn learn = {
        .store = update->watch->store,
        .domid = update->guest->guest.domid,
        .gone = update->drop ? was_detached : NULL,
        .skipped = log_skipped,
        .arg = update,
    };
    struct hcl_err err;

    /* While hclctl save is at work, it decides. */
    record->saved = update->saved || (record->saved && record->saver &&
                                      !hcl_record_forsaken(record));
    if (update->items) {
        take_items(record, update);
    }
    if (hcl_attachment_learn(&learn, &record->items, &err) < 0) {
        log_skipped(update, err.text);
    }
    return true;
}

static bool has_record(struct hcl_watch *watch, struct hcl_watch_guest *guest)
{
    struct hcl_record record = {0};
    int ret =
        hcl_record_load(&record, watch->state_dir, guest->guest.uuid, NULL);

    hcl_record_clear(&record);
    return ret == 0;
}

static bool has_attachment(struct hcl_watch *watch,
                           struct hcl_watch_guest *guest)
{
    struct hcl_attachment *list;
    unsigned int count;

    if (hcl_attachment_list(watch->store, guest->guest.domid, &list, &count,
                            NULL) < 0) {
        return false;
    }
    free(list);
    return count > 0;
}

static void write_record(struct update *update)
{
    struct hcl_watch *watch = update->watch;
    struct hcl_watch_guest *guest = update->guest;
    struct hcl_err err;

    /* No file for each guest that has nothing to do with HCL. */
    if (!(update->items && update->items->count) && !has_record(watch, guest) &&
        !has_attachment(watch, guest)) {
        return;
    }
    if (hcl_record_update(watch->state_dir, &guest->guest, apply, update,
                          &err) < 0) {
        hcl_log(HCL_LOG_ERROR,
                "%s (domain %u): its devices are not "
                "remembered: %s",
                NAME(guest), err.text);
    }
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
    struct update update = {
        .watch = watch,
        .guest = guest,
        .items = &guest->items,
        .replace = guest->replace,
    };

    if (!is_introduced(watch, guest)) {
        return;
    }
    attach_all(watch, guest, &guest->items, false);
    write_record(&update);
    hcl_items_clear(&guest->items);
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
    /* Also what was attached and detached by hand. */
    struct update update = {
        .watch = watch,
        .guest = guest,
        .drop = true,
        .saved = shutdown == HCL_SHUTDOWN_SUSPEND,
    };

    guest->shutdown = shutdown;
    if (guest->phase == HCL_WATCH_SETTLED) {
        write_record(&update);
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
