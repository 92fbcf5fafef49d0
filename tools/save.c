/* SPDX-License-Identifier: MIT */
/*
 * save.c: hclctl save and hclctl restore: around xl save and xl restore, the
 * guest's devices are released and given back (doc/protocol.md 2.6).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "hclif.h"
#include "record.h"
#include "save_file.h"
#include "stop.h"
#include "xl.h"

#define PAUSE_WAIT_US 10000000
#define SERVE_WAIT_US 10000000

/* ---- save -------------------------------------------------------------- */

struct save {
    struct hcl_store *store;
    struct hcl_guest guest;
    struct hcl_attachment *list; /* owned */
    unsigned int count;
    unsigned int waiting; /* index of one that is not released */
    bool need_backend;    /* the backend, too, has to say so */
};

static bool lets_go(enum hcl_state state)
{
    return state == HCL_STATE_GONE || state == HCL_STATE_INITIALISING ||
           state == HCL_STATE_CLOSED;
}

static int all_released(void *arg, struct hcl_err *err)
{
    struct save *save = arg;
    enum hcl_state backend, frontend;
    unsigned int i;
    int ret;

    for (i = 0; i < save->count; i++) {
        ret = hcl_attachment_holders(save->store, &save->list[i], &backend,
                                     &frontend, err);
        if (ret < 0) {
            return ret;
        }
        /* While the backend is in 2, a frontend in 1 may be about to publish.
         */
        if (!lets_go(frontend) || (save->need_backend && !lets_go(backend))) {
            save->waiting = i;
            return 0;
        }
    }
    return 1;
}

static void warn_skipped(void *arg, const char *text)
{
    (void)arg;
    hcl_command_warn("%s; left out", text);
}

static bool learn_all(struct hcl_record *record, void *arg)
{
    const struct save *save = arg;
    struct hcl_attachment_learn learn = {
        .store = save->store,
        .domid = save->guest.domid,
        .skipped = warn_skipped,
    };
    struct hcl_err err;

    if (hcl_attachment_learn(&learn, &record->items, &err) < 0) {
        hcl_command_warn("the guest may lack devices after its restore: %s",
                         err.text);
    }
    return true;
}

/* Remembers the guest's devices, also those that were attached by other means.
 */
static void remember(struct save *save, const char *state_dir, bool saved)
{
    struct hcl_err err;
    int ret = 0;

    if (saved) {
        ret = hcl_record_update(state_dir, &save->guest, learn_all, save, &err);
    }
    if (ret == 0) {
        ret = hcl_record_set_saved(state_dir, &save->guest, saved, &err);
    }
    if (ret < 0) {
        hcl_command_warn("the guest may lack devices after its restore: %s",
                         err.text);
    }
}

static int pause_all(const struct save *save, const char *value,
                     struct hcl_err *err)
{
    unsigned int i;
    int ret = 0, failed;

    for (i = 0; i < save->count; i++) {
        failed = hcl_attachment_set(save->store, &save->list[i],
                                    HCLIF_NODE_PAUSE, value, err);
        if (failed < 0 && failed != -ENOENT) {
            ret = failed;
        }
    }
    return ret;
}

static void resume_all(struct save *save, const char *state_dir)
{
    struct hcl_err err;

    if (pause_all(save, NULL, &err) < 0) {
        hcl_command_warn("%s", err.text);
    }
    remember(save, state_dir, false);
}

/* Waits until nothing of the guest is held or holds. */
static int wait_released(struct save *save, uint64_t timeout_us,
                         struct hcl_err *err)
{
    enum hcl_state backend, frontend;
    const struct hcl_attachment *at;
    int ret;

    save->need_backend = true;
    ret = hcl_attachment_wait(save->store, save->list, save->count, timeout_us,
                              all_released, save, err);
    if (ret == -ETIMEDOUT) {
        /* No backend runs that could answer: then the guest alone counts. */
        save->need_backend = false;
        ret = all_released(save, err);
        ret = ret > 0 ? 0 : ret < 0 ? ret : -ETIMEDOUT;
    }
    if (ret == -EINTR) {
        hcl_err_set(err, ret, "ended by a signal; %s was not saved",
                    save->guest.name);
    }
    if (ret == -ETIMEDOUT) {
        at = &save->list[save->waiting];
        if (hcl_attachment_states(save->store, at, &backend, &frontend, err) <
            0) {
            frontend = HCL_STATE_ILLEGAL;
        }
        hcl_err_set(err, ret,
                    "%s: the guest has not released it (its state is %s); it "
                    "was not saved",
                    at->device, hcl_state_name(frontend));
    }
    return ret;
}

static int xl_save(uint32_t domid, const char *file, bool checkpoint,
                   struct hcl_err *err)
{
    char text[12];
    const char *const with[] = {"xl", "save", "-c", text, file, NULL};
    const char *const without[] = {"xl", "save", text, file, NULL};

    snprintf(text, sizeof(text), "%u", domid);
    return hcl_xl_run(checkpoint ? with : without, err);
}

static int save_guest(struct save *save, const char *file,
                      const struct hcl_options *options, struct hcl_err *err)
{
    int ret;

    if (save->count == 0) {
        return xl_save(save->guest.domid, file, options->checkpoint, err);
    }
    /* The guest must not stay paused, whatever happens to this program. */
    ret = hcl_stop_hold(err);
    if (ret < 0) {
        return ret;
    }
    remember(save, options->state_dir, true);
    ret = pause_all(save, "1", err);
    if (ret == 0) {
        ret = wait_released(save, options->timeout_us, err);
    }
    if (ret == 0) {
        ret = xl_save(save->guest.domid, file, options->checkpoint, err);
    }
    if (ret < 0 || options->checkpoint) {
        resume_all(save, options->state_dir);
        return ret;
    }
    /* It is saved, and hclctl watch or the next attach clears up as well. */
    if (hcl_attachment_reap(save->store, save->guest.domid, err) < 0) {
        hcl_command_warn("what the backends have of the guest stays behind: %s",
                         err->text);
    }
    return 0;
}

static int run_save(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {
        .timeout_us = PAUSE_WAIT_US,
        .state_dir = HCL_RECORD_DIR,
    };
    struct save save = {0};
    struct hcl_err err;
    int first, ret,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status >= 0) {
        return status;
    }
    ret = hcl_store_open(&save.store, &err);
    if (ret == 0) {
        ret = hcl_guest_find(save.store, argv[first], &save.guest, &err);
    }
    if (ret == 0) {
        ret = hcl_attachment_list(save.store, save.guest.domid, &save.list,
                                  &save.count, &err);
    }
    if (ret == 0) {
        ret = save_guest(&save, argv[first + 1], &options, &err);
    }
    status = ret < 0 ? hcl_command_failed(&err) : HCL_EXIT_OK;
    free(save.list);
    hcl_store_free(save.store);
    return status;
}

const struct hcl_command hcl_command_save = {
    .name = "save",
    .flags = "[-c] [-t SECONDS] [-s STATEDIR]",
    .arguments = "DOMAIN FILE",
    .text =
        "Saves a guest with xl, after its devices were released, so that\n"
        "its programs keep them across the restore.  If they are not\n"
        "released in time or xl fails, the guest gets them back and goes\n"
        "on; so it does if SIGINT, SIGTERM or SIGHUP ends the wait.\n"
        "\n"
        "  -c            leave the guest running, as xl save -c\n"
        "  -t SECONDS    how long the guest gets to release its devices\n"
        "                (default 10)\n"
        "  -s STATEDIR   as for hclctl attach\n"
        "\n"
        "Exit status: 0 saved; 1 usage; 2 not saved; 4 not saved, the guest\n"
        "did not release a device.\n",
    .options = "cts",
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_save,
};

/* ---- restore ----------------------------------------------------------- */

/* Finds the newest domain with this uuid. */
static int find_uuid(struct hcl_store *store, const char *uuid,
                     struct hcl_guest *ret_guest, struct hcl_err *err)
{
    struct hcl_guest guest;
    uint32_t *domids;
    unsigned int i, count;
    int ret = hcl_guest_list(store, &domids, &count, err);

    if (ret < 0) {
        return ret;
    }
    ret =
        hcl_err_set(err, -ENOENT, "there is no domain with the uuid %s", uuid);
    for (i = count; i-- > 0;) {
        if (hcl_guest_read(store, domids[i], &guest, NULL) == 0 &&
            !strcmp(guest.uuid, uuid)) {
            *ret_guest = guest;
            ret = 0;
            break;
        }
    }
    free(domids);
    return ret;
}

/* Gives the guest what its record says; hclctl watch may do so as well. */
static int
attach_recorded(struct hcl_store *store, const struct hcl_guest *guest,
                const struct hcl_record *record, struct hcl_attachment *list,
                const struct hcl_options *options, unsigned int *ret_count)
{
    const struct hcl_item *item;
    struct hcl_err err;
    unsigned int i, count = 0;
    int ret, status = HCL_EXIT_OK;

    for (i = 0; i < record->items.count; i++) {
        item = &record->items.item[i];
        ret = hcl_command_make(store, guest, item, options->state_dir,
                               &list[count], &err);
        if (ret == 0 || ret == -EEXIST) {
            count++;
        } else {
            hcl_err_prefix(&err, "%s", item->device);
            status = hcl_command_failed(&err);
        }
    }
    *ret_count = count;
    if (hcl_record_set_saved(options->state_dir, guest, false, &err) < 0) {
        hcl_command_warn("%s", err.text);
    }
    return status;
}

/* After xl restore -p. */
static int give_back(struct hcl_store *store, const char *uuid,
                     const struct hcl_options *options)
{
    struct hcl_record record = {0};
    struct hcl_attachment *list;
    struct hcl_guest guest;
    struct hcl_err err;
    char text[12];
    const char *const unpause[] = {"xl", "unpause", text, NULL};
    unsigned int count = 0;
    int ret, status = HCL_EXIT_OK;

    if (find_uuid(store, uuid, &guest, &err) < 0) {
        return hcl_command_failed(&err);
    }
    ret = hcl_record_load(&record, options->state_dir, uuid, &err);
    if (ret < 0 && ret != -ENOENT) {
        status = hcl_command_failed(&err);
    }
    list = calloc(record.items.count + 1, sizeof(*list));
    if (list) {
        ret = attach_recorded(store, &guest, &record, list, options, &count);
        status = status ? status : ret;
    }
    /* Whatever became of its devices: it is not saved any more. */
    snprintf(text, sizeof(text), "%u", guest.domid);
    ret = options->paused ? 0 : hcl_xl_run(unpause, &err);
    if (ret == 0 && count && options->timeout_us) {
        ret = hcl_command_wait_served(store, list, count, options->timeout_us,
                                      &err);
    }
    if (ret < 0) {
        status = hcl_command_failed(&err);
    }
    free(list);
    hcl_record_clear(&record);
    return status;
}

static int run_restore(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {
        .timeout_us = SERVE_WAIT_US,
        .state_dir = HCL_RECORD_DIR,
    };
    const char *xl_restore[] = {"xl", "restore", "-p", NULL, NULL};
    struct hcl_store *store = NULL;
    char uuid[HCL_GUEST_UUID];
    struct hcl_err err;
    int first, ret,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status >= 0) {
        return status;
    }
    ret = hcl_store_open(&store, &err);
    if (ret == 0) {
        ret = hcl_save_file_uuid(argv[first], uuid, &err);
    }
    if (ret == 0) {
        xl_restore[3] = argv[first];
        ret = hcl_xl_run(xl_restore, &err);
    }
    if (ret == 0) {
        status = give_back(store, uuid, &options);
    } else {
        status = hcl_command_failed(&err);
    }
    hcl_store_free(store);
    return status;
}

const struct hcl_command hcl_command_restore = {
    .name = "restore",
    .flags = "[-p] [-t SECONDS] [-s STATEDIR]",
    .arguments = "FILE",
    .text =
        "Restores a guest with xl and gives it the devices back that it had\n"
        "when it was saved.  Works with and without hclctl watch.\n"
        "\n"
        "  -p            leave the guest paused\n"
        "  -t SECONDS    how long to wait for the backends (default 10; 0:\n"
        "                do not wait)\n"
        "  -s STATEDIR   as for hclctl attach\n"
        "\n"
        "Exit status: 0 restored with all devices; 1 usage; 2 not restored,\n"
        "or without a device; 3 restored, but a backend refuses a device; 4\n"
        "restored, but a device is not served yet.\n",
    .options = "pts",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_restore,
};
