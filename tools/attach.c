/* SPDX-License-Identifier: MIT */
/*
 * attach.c: hclctl attach and hclctl detach.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "hclif.h"
#include "record.h"

#define DEFAULT_WAIT_US 5000000
/* How long a guest gets to let go after its backend has. */
#define FRONTEND_WAIT_US 2000000

/* ---- attach ------------------------------------------------------------ */

static int attach(struct hcl_store *store, const char *domain,
                  const struct hcl_item *item,
                  const struct hcl_options *options, struct hcl_err *err)
{
    struct hcl_attachment at = {0};
    struct hcl_guest guest;
    int ret = hcl_guest_find(store, domain, &guest, err);

    if (ret == 0) {
        ret =
            hcl_command_make(store, &guest, item, options->state_dir, &at, err);
    }
    if (ret < 0) {
        return ret;
    }
    printf("%s is devid %u of domain %u (%s)\n", item->device, at.devid,
           guest.domid, guest.name);
    fflush(stdout);
    if (options->timeout_us == 0) {
        return 0;
    }
    return hcl_command_wait_served(store, &at, 1, options->timeout_us, err);
}

static int run_attach(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {
        .timeout_us = DEFAULT_WAIT_US,
        .state_dir = HCL_RECORD_DIR,
    };
    struct hcl_store *store = NULL;
    struct hcl_item item;
    struct hcl_err err;
    int first, ret,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status >= 0) {
        return status;
    }
    if (hcl_item_parse(&item, argv[first + 1], &err) < 0) {
        return hcl_command_usage(command, "%s", err.text);
    }
    ret = hcl_store_open(&store, &err);
    if (ret == 0) {
        ret = attach(store, argv[first], &item, &options, &err);
    }
    status = ret < 0 ? hcl_command_failed(&err) : HCL_EXIT_OK;
    hcl_store_free(store);
    return status;
}

const struct hcl_command hcl_command_attach = {
    .name = "attach",
    .flags = "[-t SECONDS] [-s STATEDIR]",
    .arguments = "DOMAIN SPEC",
    .text =
        "Gives a running guest a device, until it is detached; it comes\n"
        "back after a reboot or restore of the guest if hclctl watch runs.\n"
        "\n"
        "DOMAIN is a name or domid.  SPEC is as in the hcl list of a domU's\n"
        "configuration:\n"
        "\n"
        "    device=NAME[,backend=DOMAIN][,devid=N][,key=value...]\n"
        "\n"
        "backend is the domain that has the device (default 0), devid the\n"
        "number of the attachment (default: the next free one); the other\n"
        "keys go to the device's class.\n"
        "\n"
        "  -t SECONDS    how long to wait for the backend (default 5; 0: do\n"
        "                not wait)\n"
        "  -s STATEDIR   where guests' devices are remembered (default\n"
        "                " HCL_RECORD_DIR ")\n"
        "\n"
        "Exit status: 0 the backend serves it (or -t 0); 1 usage; 2 nothing\n"
        "was attached; 3 attached, but the backend refuses it (the reason\n"
        "is printed); 4 attached, but no backend has taken it up within the\n"
        "time.\n",
    .options = "ts",
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_attach,
};

/* ---- detach ------------------------------------------------------------ */

/* A guest that is gone: found by what the backends' directories call it. */
static int find_gone(struct hcl_store *store, const char *name,
                     const struct hcl_attachment *list, unsigned int count,
                     struct hcl_guest *guest)
{
    char dir[HCL_STORE_PATH];
    unsigned int i;

    memset(guest, 0, sizeof(*guest));
    if (hcl_guest_number(name, HCL_GUEST_MAX_DOMID, &guest->domid)) {
        return 0;
    }
    for (i = 0; i < count; i++) {
        hcl_attachment_backend_dir(&list[i], dir);
        hcl_attachment_text(store, dir, HCLIF_NODE_DOMAIN, guest->name,
                            sizeof(guest->name));
        if (!strcmp(guest->name, name)) {
            guest->domid = list[i].frontend;
            return 0;
        }
    }
    return -ENOENT;
}

/*
 * Finds DEVICE, by name or devid, among the attachments of @guest: rather one
 * whose two sides agree than one that only a backend calls so.
 */
static int find_device(const struct hcl_attachment *list, unsigned int count,
                       const struct hcl_guest *guest, const char *device,
                       struct hcl_attachment *ret_at, struct hcl_err *err)
{
    const struct hcl_attachment *found = NULL;
    uint32_t devid;
    unsigned int i;
    int rank, best = 0;
    bool number = hcl_guest_number(device, HCL_ITEM_MAX_DEVID, &devid);

    for (i = 0; i < count; i++) {
        if (list[i].frontend != guest->domid) {
            continue;
        }
        rank = (!strcmp(list[i].device, device)    ? 4
                : number && list[i].devid == devid ? 2
                                                   : 0);
        if (rank && rank + list[i].agreed > best) {
            best = rank + list[i].agreed;
            found = &list[i];
        }
    }
    if (!found) {
        return hcl_err_set(err, -ENOENT,
                           "domain %u has no device '%s' (see hclctl list)",
                           guest->domid, device);
    }
    *ret_at = *found;
    return 0;
}

/* Finds what the command line names. */
static int find(struct hcl_store *store, const char *domain, const char *device,
                struct hcl_guest *guest, struct hcl_attachment *ret_at,
                struct hcl_err *err)
{
    struct hcl_attachment *list;
    unsigned int count;
    int ret =
        hcl_attachment_list(store, HCL_ATTACHMENT_ALL, &list, &count, err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_guest_find(store, domain, guest, err);
    if (ret == -ENOENT) {
        ret = find_gone(store, domain, list, count, guest);
    }
    if (ret == 0) {
        ret = find_device(list, count, guest, device, ret_at, err);
    }
    free(list);
    return ret;
}

struct leaving {
    struct hcl_store *store;
    const struct hcl_attachment *at;
};

/* The backend has let go, or none runs that holds anything. */
static int backend_left(void *arg, struct hcl_err *err)
{
    const struct leaving *leaving = arg;
    enum hcl_state backend, frontend;
    int ret = hcl_attachment_holders(leaving->store, leaving->at, &backend,
                                     &frontend, err);

    if (ret < 0) {
        return ret;
    }
    return backend == HCL_STATE_GONE || backend == HCL_STATE_INITIALISING ||
           backend == HCL_STATE_CLOSED;
}

static int frontend_left(void *arg, struct hcl_err *err)
{
    const struct leaving *leaving = arg;
    enum hcl_state backend, frontend;
    int ret = hcl_attachment_holders(leaving->store, leaving->at, &backend,
                                     &frontend, err);

    if (ret < 0) {
        return ret;
    }
    return frontend != HCL_STATE_INITIALISED &&
           frontend != HCL_STATE_CONNECTED && frontend != HCL_STATE_CLOSING;
}

/* doc/protocol.md 2.5. */
static int detach(struct hcl_store *store, const struct hcl_attachment *at,
                  uint64_t timeout_us, struct hcl_err *err)
{
    struct leaving leaving = {store, at};
    int ret = hcl_attachment_set(store, at, HCLIF_NODE_ONLINE, "0", err);

    if (ret < 0 && ret != -ENOENT) {
        return ret;
    }
    ret = hcl_attachment_wait(store, at, 1, timeout_us, backend_left, &leaving,
                              err);
    if (ret == -ETIMEDOUT) {
        hcl_command_warn("%s: the backend in domain %u did not let go; perhaps "
                         "it does not run",
                         at->device, at->backend);
        ret = 0;
    }
    if (ret == 0) {
        ret = hcl_attachment_wait(
            store, at, 1,
            timeout_us < FRONTEND_WAIT_US ? timeout_us : FRONTEND_WAIT_US,
            frontend_left, &leaving, err);
    }
    if (ret == 0 || ret == -ETIMEDOUT) {
        ret = hcl_attachment_remove(store, at, err);
    }
    return ret;
}

static int run_detach(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {
        .timeout_us = DEFAULT_WAIT_US,
        .state_dir = HCL_RECORD_DIR,
    };
    struct hcl_store *store = NULL;
    struct hcl_attachment at;
    struct hcl_guest guest;
    struct hcl_err err;
    int first, ret,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status >= 0) {
        return status;
    }
    ret = hcl_store_open(&store, &err);
    if (ret == 0) {
        ret = find(store, argv[first], argv[first + 1], &guest, &at, &err);
    }
    /* Forgotten first: else a reboot in the midst would bring it back. */
    if (ret == 0 && guest.uuid[0] &&
        hcl_record_drop(options.state_dir, &guest, at.device, &err) < 0) {
        hcl_command_warn("'%s' may come back after a reboot of the guest: %s",
                         at.device, err.text);
    }
    if (ret == 0) {
        ret = detach(store, &at, options.timeout_us, &err);
    }
    status = ret < 0 ? hcl_command_failed(&err) : HCL_EXIT_OK;
    hcl_store_free(store);
    return status;
}

const struct hcl_command hcl_command_detach = {
    .name = "detach",
    .flags = "[-t SECONDS] [-s STATEDIR]",
    .arguments = "DOMAIN DEVICE",
    .text =
        "Takes a device from a guest.  DOMAIN is a name or domid, DEVICE\n"
        "the device's name or the attachment's devid.  The guest's programs\n"
        "see it closed.  Works without a backend, and when the guest is\n"
        "gone.\n"
        "\n"
        "  -t SECONDS    how long the backend gets to let go (default 5), and\n"
        "                after it the guest, but that 2 at most\n"
        "  -s STATEDIR   as for hclctl attach\n"
        "\n"
        "Exit status: 0 detached; 1 usage; 2 nothing was detached.\n",
    .options = "ts",
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_detach,
};
