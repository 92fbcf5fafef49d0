/* SPDX-License-Identifier: MIT */
/*
 * list.c: hclctl list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "command.h"
#include "hclif.h"

/* One attachment as it is shown. */
struct row {
    const struct hcl_attachment *at;
    char guest[HCL_GUEST_NAME];
    char uuid[HCL_GUEST_UUID + 1];
    char class[64];
    char options[HCL_ITEM_OPTIONS];
    char online[4];
    char pause[4];
    char error[HCL_STORE_VALUE + 1];
    enum hcl_state backend;
    enum hcl_state frontend;
};

static int read_row(struct hcl_store *store, const struct hcl_attachment *at,
                    struct row *row, struct hcl_err *err)
{
    const struct {
        const char *node;
        char *buf;
        size_t size;
    } nodes[] = {
        {HCLIF_NODE_DOMAIN, row->guest, sizeof(row->guest)},
        {HCLIF_NODE_UUID, row->uuid, sizeof(row->uuid)},
        {HCLIF_NODE_CLASS, row->class, sizeof(row->class)},
        {HCLIF_NODE_OPTIONS, row->options, sizeof(row->options)},
        {HCLIF_NODE_ONLINE, row->online, sizeof(row->online)},
        {HCLIF_NODE_PAUSE, row->pause, sizeof(row->pause)},
        {HCLIF_NODE_ERROR, row->error, sizeof(row->error)},
    };
    struct hcl_guest guest;
    char dir[HCL_STORE_PATH];
    size_t i;

    row->at = at;
    hcl_attachment_backend_dir(at, dir);
    for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        hcl_attachment_text(store, dir, nodes[i].node, nodes[i].buf,
                            nodes[i].size);
    }
    /* Its present name, where it still lives. */
    if (hcl_guest_read(store, at->frontend, &guest, NULL) == 0 &&
        guest.name[0]) {
        snprintf(row->guest, sizeof(row->guest), "%s", guest.name);
        hcl_text_clean(row->guest);
    }
    return hcl_attachment_states(store, at, &row->backend, &row->frontend, err);
}

/* ---- For people -------------------------------------------------------- */

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

static void print_row(const struct row *row)
{
    printf("%-16s %5u %5u %-16s %-8s %7u %-12s ", or_dash(row->guest),
           row->at->frontend, row->at->devid, or_dash(row->at->device),
           or_dash(row->class), row->at->backend, hcl_state_name(row->backend));
    if (row->error[0]) {
        printf("%-12s %s\n", hcl_state_name(row->frontend), row->error);
    } else {
        puts(hcl_state_name(row->frontend));
    }
}

static void print_head(void)
{
    printf("%-16s %5s %5s %-16s %-8s %7s %-12s %-12s %s\n", "GUEST", "ID",
           "DEVID", "DEVICE", "CLASS", "BACKEND", "STATE", "GUEST-STATE",
           "ERROR");
}

/* ---- For programs ------------------------------------------------------ */

/* Adds one object to @array; false: no memory. */
static bool add_json(cJSON *array, const struct row *row)
{
    cJSON *object = cJSON_CreateObject();

    if (!object || !cJSON_AddItemToArray(array, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddNumberToObject(object, "domid", row->at->frontend) &&
           cJSON_AddStringToObject(object, "domain", row->guest) &&
           cJSON_AddStringToObject(object, "uuid", row->uuid) &&
           cJSON_AddNumberToObject(object, "devid", row->at->devid) &&
           cJSON_AddStringToObject(object, "device", row->at->device) &&
           cJSON_AddStringToObject(object, "class", row->class) &&
           cJSON_AddStringToObject(object, "options", row->options) &&
           cJSON_AddNumberToObject(object, "backend_domid", row->at->backend) &&
           cJSON_AddStringToObject(object, "backend_state",
                                   hcl_state_name(row->backend)) &&
           cJSON_AddStringToObject(object, "frontend_state",
                                   hcl_state_name(row->frontend)) &&
           cJSON_AddBoolToObject(object, "online", row->online[0] != '0') &&
           cJSON_AddBoolToObject(object, "paused", row->pause[0] == '1') &&
           cJSON_AddStringToObject(object, "error", row->error);
}

static int print_json(cJSON *array, struct hcl_err *err)
{
    char *text = cJSON_Print(array);

    if (!text) {
        return hcl_err_sys(err, -ENOMEM, "JSON");
    }
    puts(text);
    cJSON_free(text);
    return 0;
}

/* ---- The command ------------------------------------------------------- */

static int print_all(struct hcl_store *store, const struct hcl_attachment *list,
                     unsigned int count, bool json, struct hcl_err *err)
{
    cJSON *array = json ? cJSON_CreateArray() : NULL;
    struct row row;
    unsigned int i;
    int ret = 0;

    if (json && !array) {
        return hcl_err_sys(err, -ENOMEM, "JSON");
    }
    for (i = 0; ret == 0 && i < count; i++) {
        ret = read_row(store, &list[i], &row, err);
        if (ret < 0) {
            break;
        }
        if (json) {
            ret = add_json(array, &row) ? 0 : hcl_err_sys(err, -ENOMEM, "JSON");
        } else {
            if (i == 0) {
                print_head();
            }
            print_row(&row);
        }
    }
    if (ret == 0 && json) {
        ret = print_json(array, err);
    }
    cJSON_Delete(array);
    return ret;
}

static int run_list(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {0};
    struct hcl_attachment *list = NULL;
    struct hcl_store *store = NULL;
    unsigned int count;
    struct hcl_err err;
    int first, ret,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status >= 0) {
        return status;
    }
    ret = hcl_store_open(&store, &err);
    if (ret == 0) {
        ret =
            hcl_attachment_list(store, HCL_ATTACHMENT_ALL, &list, &count, &err);
    }
    if (ret == 0) {
        ret = print_all(store, list, count, options.json, &err);
    }
    status = ret < 0 ? hcl_command_failed(&err) : HCL_EXIT_OK;
    free(list);
    hcl_store_free(store);
    return status;
}

const struct hcl_command hcl_command_list = {
    .name = "list",
    .flags = "[--json]",
    .arguments = "",
    .text = "Shows who is connected to what: one line for each guest and\n"
            "device, with the states of both sides and, where something does\n"
            "not work, the reason that the backend gives.  Nothing attached:\n"
            "nothing printed.\n"
            "\n"
            "  --json        the same as a JSON array of objects ([] for\n"
            "                nothing)\n",
    .options = "j",
    .min_arguments = 0,
    .max_arguments = 0,
    .run = run_list,
};
