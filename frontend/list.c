/* SPDX-License-Identifier: MIT */
/* The attachments of this guest, as xenstore has them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"

void hcl_attachment_text(struct hcl_store *store, const char *dir,
                         const char *node, char *text, size_t size)
{
    char value[HCL_STORE_VALUE + 1];

    text[0] = '\0';
    if (hcl_store_read(store, dir, node, value, sizeof(value), NULL) == 0) {
        snprintf(text, size, "%.*s", (int)size - 1, value);
        hcl_text_clean(text);
    }
}

int hcl_attachment_info(struct hcl_store *store, uint32_t devid,
                        struct hcl_info *ret_info, struct hcl_err *err)
{
    char dir[32], backend[HCL_STORE_PATH];
    struct hcl_info info = {.devid = devid};
    unsigned int state = HCL_STATE_GONE;
    int ret;

    snprintf(dir, sizeof(dir), HCL_ATTACHMENTS_DIR "/%u", devid);
    ret = hcl_store_read(store, dir, HCLIF_NODE_BACKEND, backend,
                         sizeof(backend), err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_store_read_state(store, backend, &state, err);
    if (ret < 0) {
        return ret;
    }
    hcl_attachment_text(store, dir, HCLIF_NODE_DEVICE, info.name,
                        sizeof(info.name));
    hcl_attachment_text(store, backend, HCLIF_NODE_CLASS, info.class_name,
                        sizeof(info.class_name));
    hcl_attachment_text(store, backend, HCLIF_NODE_ERROR, info.error,
                        sizeof(info.error));
    snprintf(info.state, sizeof(info.state), "%s", hcl_state_name(state));
    *ret_info = info;
    return 0;
}

/* "7" is 7; false for anything else, which is no attachment. */
static bool parse_devid(const char *text, uint32_t *ret_devid)
{
    uint64_t devid = 0;
    size_t i;

    for (i = 0; i < 10 && text[i] >= '0' && text[i] <= '9'; i++) {
        devid = devid * 10 + (uint64_t)(text[i] - '0');
    }
    if (i == 0 || text[i] || devid > UINT32_MAX || (text[0] == '0' && i > 1)) {
        return false;
    }
    *ret_devid = (uint32_t)devid;
    return true;
}

static int compare_infos(const void *a, const void *b)
{
    uint32_t x = ((const struct hcl_info *)a)->devid;
    uint32_t y = ((const struct hcl_info *)b)->devid;

    return (x > y) - (x < y);
}

int hcl_attachment_list(struct hcl_store *store, struct hcl_info **ret_infos,
                        unsigned int *ret_count, struct hcl_err *err)
{
    struct hcl_info *infos = NULL;
    unsigned int num_names, i, count = 0;
    char **names = NULL;
    uint32_t devid;
    int ret = hcl_store_list(store, HCL_ATTACHMENTS_DIR, HCL_MAX_ATTACHMENTS,
                             &names, &num_names, err);

    if (ret == -ENOENT) {
        num_names = 0;
        ret = 0;
    } else if (ret < 0) {
        return ret;
    }
    if (num_names) {
        infos = calloc(num_names, sizeof(*infos));
        if (!infos) {
            ret = hcl_err_sys(err, -ENOMEM, "a list of devices");
            goto out;
        }
    }
    for (i = 0; i < num_names; i++) {
        if (!parse_devid(names[i], &devid)) {
            continue;
        }
        ret = hcl_attachment_info(store, devid, &infos[count], err);
        if (ret == 0) {
            count++;
        } else if (ret != -ENOENT && ret != -EMSGSIZE && ret != -EBADMSG) {
            goto out; /* the store itself failed */
        }
        ret = 0;
    }
    if (count) {
        qsort(infos, count, sizeof(*infos), compare_infos);
    }
out:
    free(names);
    if (ret < 0 || !count) {
        free(infos);
        infos = NULL;
    }
    if (ret == 0) {
        *ret_infos = infos;
        *ret_count = count;
    }
    return ret;
}

int hcl_list(struct hcl_info **ret_infos, unsigned int *ret_count,
             struct hcl_err *err)
{
    struct hcl_store *store;
    int ret = hcl_attachment_no_xen(hcl_store_open(&store, err), err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_attachment_list(store, ret_infos, ret_count, err);
    hcl_store_free(store);
    return ret;
}
