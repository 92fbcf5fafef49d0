/* SPDX-License-Identifier: MIT */
#include "device_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The device of that name among the first @count, or -1. */
static int find_name(const struct hcl_device_config *devices,
                     unsigned int count, const char *name)
{
    for (unsigned int i = 0; i < count; i++) {
        if (strcmp(devices[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int parse_items(struct hcl_device_config *devices,
                       const char *const *items, unsigned int count,
                       struct hcl_err *err)
{
    for (unsigned int i = 0; i < count; i++) {
        int rc = hcl_device_config_parse(&devices[i], items[i], err);
        int twin;

        if (rc < 0) {
            return hcl_err_prefix(err, "devices item %u (\"%.80s\")", i + 1,
                                  items[i]);
        }
        twin = find_name(devices, i, devices[i].name);
        if (twin >= 0) {
            return hcl_err_set(err, -EINVAL,
                               "devices item %u (\"%.80s\"): item %d has the "
                               "name %s already",
                               i + 1, items[i], twin + 1, devices[i].name);
        }
    }
    return 0;
}

int hcl_device_config_list(const struct hcl_config *config,
                           struct hcl_device_config **ret_devices,
                           unsigned int *ret_count, struct hcl_err *err)
{
    struct hcl_device_config *devices = NULL;
    const char **items = NULL;
    unsigned int count = 0;
    int rc;

    rc = hcl_config_list(config, "devices", &items, &count, err);
    if (rc < 0) {
        goto out;
    }
    /* Most likely a misspelt key: libxlutil cannot tell us of those. */
    if (count == 0) {
        rc = hcl_err_set(err, -EINVAL,
                         "there are no devices; expected devices = "
                         "[ \"name=NAME,class=CLASS,...\", ... ]");
        goto out;
    }
    devices = calloc(count, sizeof(*devices));
    if (!devices) {
        rc = hcl_err_set(err, -ENOMEM, "no memory for %u devices", count);
        goto out;
    }
    rc = parse_items(devices, items, count, err);
    if (rc < 0) {
        goto out;
    }
    *ret_devices = devices;
    *ret_count = count;
    devices = NULL;
out:
    free(devices);
    free(items);
    return rc;
}
