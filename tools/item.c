/* SPDX-License-Identifier: MIT */
#include "item.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const own_keys[] = {"device", "backend", "devid", NULL};

/* ---- One item ---------------------------------------------------------- */

/* What a domain can be called in a list whose values have no comma. */
static bool backend_ok(const char *name)
{
    return *name && strlen(name) < HCL_ITEM_BACKEND;
}

/* Takes over the two names of a spec. */
static int take_names(struct hcl_item *item, const struct hcl_spec *spec,
                      const char *text, struct hcl_err *err)
{
    const char *device = hcl_spec_get(spec, "device");
    const char *backend = hcl_spec_get(spec, "backend");

    if (!device) {
        return hcl_err_set(err, -EINVAL,
                           "'%s': expected device=NAME[,backend=DOMAIN]"
                           "[,devid=N][,key=value...]",
                           text);
    }
    if (!hcl_spec_name_ok(device)) {
        return hcl_err_set(err, -EINVAL,
                           "device='%s': expected 1 to 31 letters, digits, "
                           "'_', '.', '-'",
                           device);
    }
    if (backend && !backend_ok(backend)) {
        return hcl_err_set(err, -EINVAL,
                           "backend='%s': expected the name or id of a domain",
                           backend);
    }
    snprintf(item->device, sizeof(item->device), "%s", device);
    snprintf(item->backend, sizeof(item->backend), "%s",
             backend ? backend : "0");
    return 0;
}

int hcl_item_parse(struct hcl_item *ret_item, const char *text,
                   struct hcl_err *err)
{
    char options[HCL_SPEC_BYTES];
    struct hcl_item item;
    struct hcl_spec spec;
    int ret = hcl_spec_parse(&spec, text, err);

    if (ret == 0) {
        ret = take_names(&item, &spec, text, err);
    }
    if (ret == 0) {
        ret = hcl_spec_get_u32(&spec, "devid", 0, HCL_ITEM_MAX_DEVID,
                               HCL_ITEM_ANY_DEVID, &item.devid, err);
    }
    if (ret < 0) {
        return ret;
    }
    hcl_spec_format_without(&spec, own_keys, options, sizeof(options));
    if (strlen(options) >= sizeof(item.options)) {
        return hcl_err_set(err, -EINVAL,
                           "device='%s': expected at most %zu characters of "
                           "options",
                           item.device, sizeof(item.options) - 1);
    }
    memcpy(item.options, options, strlen(options) + 1);
    *ret_item = item;
    return 0;
}

void hcl_item_format(const struct hcl_item *item, char *buf, size_t size)
{
    char devid[24] = "";

    if (item->devid != HCL_ITEM_ANY_DEVID) {
        snprintf(devid, sizeof(devid), ",devid=%u", item->devid);
    }
    snprintf(buf, size, "device=%s,backend=%s%s%s%s", item->device,
             item->backend, devid, item->options[0] ? "," : "", item->options);
}

/* ---- The list ---------------------------------------------------------- */

void hcl_items_clear(struct hcl_items *items)
{
    free(items->item);
    items->item = NULL;
    items->count = 0;
}

struct hcl_item *hcl_items_find(const struct hcl_items *items,
                                const char *device)
{
    unsigned int i;

    for (i = 0; i < items->count; i++) {
        if (!strcmp(items->item[i].device, device)) {
            return &items->item[i];
        }
    }
    return NULL;
}

/* The item with this devid, or NULL. */
static struct hcl_item *find_devid(const struct hcl_items *items,
                                   uint32_t devid)
{
    unsigned int i;

    for (i = 0; devid != HCL_ITEM_ANY_DEVID && i < items->count; i++) {
        if (items->item[i].devid == devid) {
            return &items->item[i];
        }
    }
    return NULL;
}

int hcl_items_put(struct hcl_items *items, const struct hcl_item *item,
                  struct hcl_err *err)
{
    struct hcl_item *at = hcl_items_find(items, item->device);
    struct hcl_item *other = find_devid(items, item->devid);

    /* A list with a number twice could be written, but not be read again. */
    if (other && other != at) {
        other->devid = HCL_ITEM_ANY_DEVID;
    }
    if (at) {
        *at = *item;
        return 0;
    }
    if (items->count == HCL_ITEMS_MAX) {
        return hcl_err_set(err, -E2BIG, "%s: a guest has at most %d devices",
                           item->device, HCL_ITEMS_MAX);
    }
    at = realloc(items->item, (items->count + 1) * sizeof(*at));
    if (!at) {
        return hcl_err_sys(err, -ENOMEM, "%s", item->device);
    }
    items->item = at;
    items->item[items->count++] = *item;
    return 0;
}

int hcl_items_learn(struct hcl_items *items, const struct hcl_item *item,
                    struct hcl_err *err)
{
    const struct hcl_item *same = hcl_items_find(items, item->device);
    const struct hcl_item *other = find_devid(items, item->devid);
    int ret;

    if (same && (same == other || same->devid == HCL_ITEM_ANY_DEVID)) {
        return 0;
    }
    if (same || other) {
        return hcl_err_set(err, -EEXIST,
                           "devid %u from domain %s calls itself '%s', but "
                           "%s is devid %u from domain %s",
                           item->devid, item->backend, item->device,
                           same ? same->device : other->device,
                           same ? same->devid : other->devid,
                           same ? same->backend : other->backend);
    }
    ret = hcl_items_put(items, item, err);
    return ret < 0 ? ret : 1;
}

bool hcl_items_drop(struct hcl_items *items, const char *device)
{
    struct hcl_item *at = hcl_items_find(items, device);
    unsigned int index;

    if (!at) {
        return false;
    }
    index = (unsigned int)(at - items->item);
    items->count--;
    memmove(at, at + 1, (items->count - index) * sizeof(*at));
    return true;
}

void hcl_items_number(struct hcl_items *items)
{
    uint32_t devid = 0;
    unsigned int i;

    for (i = 0; i < items->count; i++) {
        if (items->item[i].devid == HCL_ITEM_ANY_DEVID) {
            while (find_devid(items, devid)) {
                devid++;
            }
            items->item[i].devid = devid;
        }
    }
}

/* ---- Out of a configuration -------------------------------------------- */

/* Adds one item of a list that is read from a file. */
static int add_new(struct hcl_items *items, const char *text,
                   struct hcl_err *err)
{
    struct hcl_item item;
    int ret = hcl_item_parse(&item, text, err);

    if (ret < 0) {
        return ret;
    }
    if (hcl_items_find(items, item.device)) {
        return hcl_err_set(err, -EINVAL,
                           "device '%s' stands in the list already",
                           item.device);
    }
    if (find_devid(items, item.devid)) {
        return hcl_err_set(err, -EINVAL, "devid %u stands in the list already",
                           item.devid);
    }
    return hcl_items_put(items, &item, err);
}

int hcl_items_load(struct hcl_items *items, const struct hcl_config *config,
                   void (*bad)(void *arg, const char *text), void *arg,
                   struct hcl_err *err)
{
    const char **texts;
    unsigned int count, i;
    struct hcl_err item_err;
    char why[HCL_ERR_TEXT + 32];
    int left_out = 0;
    int ret = hcl_config_list(config, "hcl", &texts, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; i < count; i++) {
        if (add_new(items, texts[i], &item_err) < 0) {
            left_out++;
            if (bad) {
                snprintf(why, sizeof(why), "hcl item %u: %s", i + 1,
                         item_err.text);
                bad(arg, why);
            }
        }
    }
    free(texts);
    return left_out;
}
