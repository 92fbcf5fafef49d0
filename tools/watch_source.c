/* SPDX-License-Identifier: MIT */
/*
 * watch_source.c: which devices a new domain is to have.  In this order:
 *
 * 1. the configuration of the xl process that creates it, unless a record of
 *    this uuid is newer than that process: then it is a reboot, and the record
 *    also knows what was attached and detached by hand;
 * 2. the record of its uuid: a reboot or a restore;
 * 3. the configuration that xl restore CONFIG FILE was given;
 * 4. a configuration of its name in the folder of -C.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "watch.h"
#include "xl_process.h"

#define PATH_BYTES 1024

/* ---- Those who may come back ------------------------------------------- */

void hcl_watch_depart(struct hcl_watch *watch, struct hcl_record *record)
{
    struct hcl_watch_departed *departed = calloc(1, sizeof(*departed));

    if (!departed) {
        hcl_record_clear(record);
        return;
    }
    departed->record = *record;
    memset(record, 0, sizeof(*record));
    departed->deadline_us = hcl_now_us() + watch->times.return_us;
    departed->next = watch->departed;
    watch->departed = departed;
}

/* True if the record's file is about this life of the guest, and not saved. */
static bool file_is_stale(const struct hcl_watch *watch,
                          const struct hcl_record *record)
{
    struct hcl_record now = {0};
    bool stale = hcl_record_load(&now, watch->state_dir, record->guest.uuid,
                                 NULL) == 0 &&
                 !now.saved && now.guest.domid == record->guest.domid;

    hcl_record_clear(&now);
    return stale;
}

void hcl_watch_expire(struct hcl_watch *watch, uint64_t now_us)
{
    struct hcl_watch_departed *departed, **at = &watch->departed;

    while ((departed = *at) != NULL) {
        if (departed->deadline_us > now_us) {
            at = &departed->next;
            continue;
        }
        *at = departed->next;
        if (file_is_stale(watch, &departed->record)) {
            hcl_log(HCL_LOG_DEBUG, "%s did not come back",
                    departed->record.guest.name);
            hcl_record_remove(watch->state_dir, departed->record.guest.uuid);
        }
        hcl_record_clear(&departed->record);
        free(departed);
    }
}

void hcl_watch_forget(struct hcl_watch *watch)
{
    struct hcl_watch_departed *departed;

    while ((departed = watch->departed) != NULL) {
        watch->departed = departed->next;
        hcl_record_clear(&departed->record);
        free(departed);
    }
}

bool hcl_watch_return(struct hcl_watch *watch, const char *uuid,
                      struct hcl_record *ret_record)
{
    struct hcl_watch_departed *departed, **at = &watch->departed;

    for (; (departed = *at) != NULL; at = &departed->next) {
        if (!strcmp(departed->record.guest.uuid, uuid)) {
            *at = departed->next;
            *ret_record = departed->record;
            free(departed);
            return true;
        }
    }
    return false;
}

/* ---- Configurations ---------------------------------------------------- */

struct reading {
    const struct hcl_watch_guest *guest;
    const char *path;
};

static void log_bad(void *arg, const char *text)
{
    const struct reading *reading = arg;

    hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s: %s; left out",
            reading->guest->guest.name, reading->guest->guest.domid,
            reading->path, text);
}

/* Takes the hcl list of a configuration; what is wrong in it is logged. */
static void take_config(struct hcl_watch_guest *guest, const char *path,
                        const struct hcl_config *config)
{
    struct reading reading = {guest, path};
    struct hcl_err err;

    if (hcl_items_load(&guest->items, config, log_bad, &reading, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s", guest->guest.name,
                guest->guest.domid, err.text);
    }
    hcl_items_number(&guest->items);
    guest->replace = true;
    if (guest->items.count) {
        hcl_log(HCL_LOG_INFO, "%s (domain %u): %u device%s from %s",
                guest->guest.name, guest->guest.domid, guest->items.count,
                guest->items.count == 1 ? "" : "s", path);
    }
}

/* Tries one file of the folder of -C; true if it is this guest's. */
static bool try_file(struct hcl_watch_guest *guest, const char *path)
{
    struct hcl_config *config;
    struct hcl_err err;
    const char *name;
    bool fits;
    int ret = hcl_config_load(&config, path, &err);

    if (ret < 0) {
        if (ret != -ENOENT) {
            hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s", guest->guest.name,
                    guest->guest.domid, err.text);
        }
        return false;
    }
    fits = hcl_config_string(config, "name", &name, NULL) == 0 && name &&
           !strcmp(name, guest->guest.name);
    if (fits) {
        take_config(guest, path, config);
    }
    hcl_config_free(config);
    return fits;
}

static bool try_config_dir(const struct hcl_watch *watch,
                           struct hcl_watch_guest *guest)
{
    char path[PATH_BYTES];
    const char *name = guest->guest.name;

    if (!watch->config_dir || name[0] == '.' || strchr(name, '/')) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/%s.cfg", watch->config_dir, name);
    if (try_file(guest, path)) {
        return true;
    }
    snprintf(path, sizeof(path), "%s/%s", watch->config_dir, name);
    return try_file(guest, path);
}

/* ---- The order --------------------------------------------------------- */

/* The record of its uuid, from the folder or from those who left just now. */
static bool find_record(struct hcl_watch *watch,
                        const struct hcl_watch_guest *guest,
                        struct hcl_record *record)
{
    struct hcl_record departed = {0};
    struct hcl_err err;
    int ret;

    if (!hcl_watch_return(watch, guest->guest.uuid, &departed)) {
        memset(&departed, 0, sizeof(departed));
    }
    ret = hcl_record_load(record, watch->state_dir, guest->guest.uuid, &err);
    if (ret == 0) {
        hcl_record_clear(&departed);
        return true;
    }
    if (ret != -ENOENT) {
        hcl_log(HCL_LOG_ERROR, "%s (domain %u): %s", guest->guest.name,
                guest->guest.domid, err.text);
    }
    *record = departed;
    return departed.guest.uuid[0] != '\0';
}

static void take_record(struct hcl_watch_guest *guest,
                        struct hcl_record *record)
{
    guest->items = record->items;
    memset(&record->items, 0, sizeof(record->items));
    if (guest->items.count && record->guest.domid != guest->guest.domid) {
        hcl_log(HCL_LOG_INFO,
                "%s (domain %u): %u device%s as it had when it was domain %u",
                guest->guest.name, guest->guest.domid, guest->items.count,
                guest->items.count == 1 ? "" : "s", record->guest.domid);
    }
}

/* Steps 1 and 3; true if it was the answer. */
static bool try_process(const struct hcl_watch *watch,
                        struct hcl_watch_guest *guest,
                        enum hcl_xl_search search,
                        const struct hcl_record *record, struct hcl_err *unread)
{
    struct hcl_xl_process process;
    struct hcl_err err;
    int found =
        hcl_xl_process_find(guest->guest.name, search,
                            watch->times.fresh_us / 1000, &process, &err);

    if (found < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
        return false;
    }
    if (process.unread) {
        *unread = process.unread_why;
    }
    if (found && (!record || hcl_record_older(record, process.started_ms))) {
        take_config(guest, process.path, process.config);
    } else {
        found = 0;
    }
    hcl_xl_process_clear(&process);
    return found;
}

void hcl_watch_source_find(struct hcl_watch *watch,
                           struct hcl_watch_guest *guest)
{
    struct hcl_record record = {0};
    struct hcl_err unread = {0};
    bool recorded = find_record(watch, guest, &record);

    if (try_process(watch, guest,
                    guest->older ? HCL_XL_CREATED : HCL_XL_CREATES,
                    recorded ? &record : NULL, &unread)) {
        goto out;
    }
    if (recorded) {
        take_record(guest, &record);
        goto out;
    }
    if (try_process(watch, guest, HCL_XL_RESTORES, NULL, &unread) ||
        try_config_dir(watch, guest)) {
        goto out;
    }
    if (unread.code) {
        hcl_log(HCL_LOG_WARNING,
                "%s (domain %u): if it has an hcl list, it was not found: %s "
                "(hclctl attach helps)",
                guest->guest.name, guest->guest.domid, unread.text);
    }
out:
    hcl_record_clear(&record);
}
