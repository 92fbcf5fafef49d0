/* SPDX-License-Identifier: MIT */
/*
 * create.c: hclctl create: xl create, and the guest's devices are there before
 * it runs its first instruction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "record.h"
#include "xl.h"
#include "xl_command.h"
#include "xl_process.h"

#define DEFAULT_WAIT_US 5000000

struct create {
    const char *path;   /* of the configuration */
    char **assignments; /* trailing key=value, ended by NULL */
    char name[HCL_GUEST_NAME];
    struct hcl_items items;
    struct hcl_attachment *list; /* owned; of these items, as many */
};

/* ---- The configuration ------------------------------------------------- */

static void print_bad(void *arg, const char *text)
{
    const struct create *create = arg;

    fprintf(stderr, "hclctl: %s: %s\n", create->path, text);
}

static int take_config(struct create *create, const struct hcl_config *config,
                       struct hcl_err *err)
{
    const char *name;
    int ret = hcl_config_string(config, "name", &name, err);

    if (ret < 0) {
        return ret;
    }
    if (!name || !*name || strlen(name) >= sizeof(create->name)) {
        return hcl_err_set(err, -EINVAL,
                           "%s: expected a name for the guest: name = \"...\"",
                           create->path);
    }
    snprintf(create->name, sizeof(create->name), "%s", name);
    ret = hcl_items_load(&create->items, config, print_bad, create, err);
    if (ret > 0) {
        return hcl_err_set(err, -EINVAL,
                           "%s: nothing was created, since %d item%s of hcl "
                           "%s no good",
                           create->path, ret, ret == 1 ? "" : "s",
                           ret == 1 ? "is" : "are");
    }
    hcl_items_number(&create->items);
    return ret;
}

/* Reads the configuration as xl will. */
static int load(struct create *create, struct hcl_err *err)
{
    struct hcl_config *config;
    char *extra = NULL, *grown;
    size_t used = 0, len;
    char **text;
    int ret;

    for (text = create->assignments; *text; text++) {
        len = strlen(*text);
        grown = realloc(extra, used + len + 2);
        if (!grown) {
            free(extra);
            return hcl_err_sys(err, -ENOMEM, "%s", create->path);
        }
        extra = grown;
        memcpy(extra + used, *text, len);
        memcpy(extra + used + len, "\n", 2);
        used += len + 1;
    }
    ret = hcl_xl_config_load(&config, create->path, extra, err);
    free(extra);
    if (ret < 0) {
        return ret;
    }
    ret = take_config(create, config, err);
    hcl_config_free(config);
    return ret;
}

/* ---- xl ---------------------------------------------------------------- */

/* xl create -p CONFIG key=value... */
static int xl_create(const struct create *create, struct hcl_err *err)
{
    const char **argv;
    int count = 0, i, ret;

    while (create->assignments[count]) {
        count++;
    }
    argv = calloc((size_t)count + 5, sizeof(*argv));
    if (!argv) {
        return hcl_err_sys(err, -ENOMEM, "xl create");
    }
    argv[0] = "xl";
    argv[1] = "create";
    argv[2] = "-p";
    argv[3] = create->path;
    for (i = 0; i < count; i++) {
        argv[4 + i] = create->assignments[i];
    }
    ret = hcl_xl_run(argv, err);
    free(argv);
    return ret;
}

static int xl_with_domid(const char *verb, uint32_t domid, struct hcl_err *err)
{
    char text[12];
    const char *const argv[] = {"xl", verb, text, NULL};

    snprintf(text, sizeof(text), "%u", domid);
    return hcl_xl_run(argv, err);
}

/* ---- The devices ------------------------------------------------------- */

/* Attaches all items; those that hclctl watch attached meanwhile are fine. */
static int attach_all(struct hcl_store *store, struct create *create,
                      const struct hcl_guest *guest,
                      const struct hcl_options *options, struct hcl_err *err)
{
    const struct hcl_item *item;
    unsigned int i;
    int ret;

    create->list = calloc(create->items.count + 1, sizeof(*create->list));
    if (!create->list) {
        return hcl_err_sys(err, -ENOMEM, "%s", create->path);
    }
    for (i = 0; i < create->items.count; i++) {
        item = &create->items.item[i];
        ret = hcl_command_make(store, guest, item, options->state_dir,
                               &create->list[i], err);
        if (ret < 0 && ret != -EEXIST) {
            hcl_err_prefix(err, "%s: hcl item %u (%s)", create->path, i + 1,
                           item->device);
            return ret;
        }
    }
    if (options->timeout_us == 0 || create->items.count == 0) {
        return 0;
    }
    ret = hcl_command_wait_served(store, create->list, create->items.count,
                                  options->timeout_us, err);
    if (ret == -ETIMEDOUT) {
        /* As with a backend that is restarted: it will come. */
        hcl_command_warn("%s", err->text);
        ret = 0;
    }
    return ret;
}

static int create_guest(struct hcl_store *store, struct create *create,
                        const struct hcl_options *options, struct hcl_err *err)
{
    struct hcl_guest guest;
    struct hcl_err destroy_err;
    int ret = xl_create(create, err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_guest_find_named(store, create->name, &guest, err);
    if (ret < 0) {
        return ret;
    }
    ret = attach_all(store, create, &guest, options, err);
    if (ret == 0 && !options->paused) {
        ret = xl_with_domid("unpause", guest.domid, err);
    }
    if (ret < 0) {
        if (xl_with_domid("destroy", guest.domid, &destroy_err) < 0 ||
            hcl_attachment_reap(store, guest.domid, &destroy_err) < 0) {
            hcl_command_warn("%s", destroy_err.text);
        }
        hcl_record_remove(options->state_dir, guest.uuid);
        hcl_err_prefix(err, "%s was destroyed again", create->name);
        return ret;
    }
    printf("%s is domain %u\n", create->name, guest.domid);
    return 0;
}

/* ---- The command ------------------------------------------------------- */

static int check_arguments(const struct hcl_command *command, char **argv)
{
    for (; *argv; argv++) {
        if (!strchr(*argv, '=')) {
            return hcl_command_usage(command, "'%s': expected key=value",
                                     *argv);
        }
    }
    return -1;
}

static int run_create(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {
        .timeout_us = DEFAULT_WAIT_US,
        .state_dir = HCL_RECORD_DIR,
    };
    struct create create = {0};
    struct hcl_store *store = NULL;
    struct hcl_err err;
    int first, ret,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status < 0) {
        status = check_arguments(command, argv + first + 1);
    }
    if (status >= 0) {
        return status;
    }
    create.path = argv[first];
    create.assignments = argv + first + 1;
    ret = hcl_store_open(&store, &err);
    if (ret == 0) {
        ret = load(&create, &err);
    }
    if (ret == 0) {
        ret = create_guest(store, &create, &options, &err);
    }
    status = ret < 0 ? hcl_command_failed(&err) : HCL_EXIT_OK;
    hcl_items_clear(&create.items);
    free(create.list);
    hcl_store_free(store);
    return status;
}

const struct hcl_command hcl_command_create = {
    .name = "create",
    .flags = "[-p] [-t SECONDS] [-s STATEDIR]",
    .arguments = "CONFIG [key=value...]",
    .text = "Creates a guest with xl, paused, attaches the devices of its hcl\n"
            "list, and lets it run.  If a device cannot be attached or is\n"
            "refused, the guest is destroyed again.  Works with and without\n"
            "hclctl watch.\n"
            "\n"
            "  -p            leave the guest paused\n"
            "  -t SECONDS    how long to wait for the backends (default 5; 0:\n"
            "                do not wait)\n"
            "  -s STATEDIR   as for hclctl attach\n"
            "\n"
            "Exit status: 0 created; 1 usage; 2 nothing was created; 3 a\n"
            "backend refused a device, nothing was created.\n",
    .options = "pts",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run_create,
};
