/* SPDX-License-Identifier: MIT */
#include "guest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAINS "/local/domain"

bool hcl_guest_uuid_ok(const char *uuid)
{
    unsigned int i;

    for (i = 0; i < HCL_GUEST_UUID - 1; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (uuid[i] != '-') {
                return false;
            }
        } else if (!uuid[i] || !strchr("0123456789abcdef", uuid[i])) {
            return false;
        }
    }
    return uuid[i] == '\0' && uuid[strspn(uuid, "0-")];
}

bool hcl_guest_number(const char *text, uint32_t max, uint32_t *ret_number)
{
    size_t len = strlen(text);
    uint64_t number;

    if (len == 0 || len > 10 || strspn(text, "0123456789") != len) {
        return false;
    }
    number = strtoull(text, NULL, 10);
    if (number > max) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* Fills in the uuid from the path /vm/<uuid>. */
static void set_uuid(struct hcl_guest *guest, const char *vm)
{
    const char *slash = strrchr(vm, '/');
    size_t i;

    guest->uuid[0] = '\0';
    if (!slash || strlen(slash + 1) != HCL_GUEST_UUID - 1) {
        return;
    }
    for (i = 0; i < HCL_GUEST_UUID; i++) {
        guest->uuid[i] = (char)tolower((unsigned char)slash[1 + i]);
    }
    if (!hcl_guest_uuid_ok(guest->uuid)) {
        guest->uuid[0] = '\0';
    }
}

/* A node that need not be there: "" instead. */
static int read_optional(struct hcl_store *store, const char *dir,
                         const char *node, char *buf, size_t size,
                         struct hcl_err *err)
{
    int ret = hcl_store_read(store, dir, node, buf, size, err);

    if (ret == -ENOENT || ret == -EBADMSG || ret == -EMSGSIZE) {
        buf[0] = '\0';
        return 0;
    }
    return ret;
}

int hcl_guest_read(struct hcl_store *store, uint32_t domid,
                   struct hcl_guest *ret_guest, struct hcl_err *err)
{
    struct hcl_guest guest = {.domid = domid};
    char dir[32], buf[HCL_STORE_VALUE + 1];
    int ret;

    snprintf(dir, sizeof(dir), DOMAINS "/%u", domid);
    ret = hcl_store_exists(store, dir, err);
    if (ret == 0) {
        return hcl_err_set(err, -ENOENT, "there is no domain %u (see xl list)",
                           domid);
    }
    if (ret > 0) {
        ret = read_optional(store, dir, "name", guest.name, sizeof(guest.name),
                            err);
    }
    if (ret == 0) {
        ret = read_optional(store, dir, "vm", buf, sizeof(buf), err);
    }
    if (ret < 0) {
        return ret;
    }
    set_uuid(&guest, buf);
    *ret_guest = guest;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int hcl_guest_list(struct hcl_store *store, uint32_t **ret_domids,
                   unsigned int *ret_count, struct hcl_err *err)
{
    uint32_t *domids;
    char **names;
    unsigned int i, count, used = 0;
    int ret = hcl_store_list(store, DOMAINS, HCL_GUEST_MAX_DOMID, &names,
                             &count, err);

    if (ret < 0) {
        return ret;
    }
    domids = calloc((size_t)count + 1, sizeof(*domids));
    if (!domids) {
        free(names);
        return hcl_err_sys(err, -ENOMEM, DOMAINS);
    }
    for (i = 0; i < count; i++) {
        if (hcl_guest_number(names[i], HCL_GUEST_MAX_DOMID, &domids[used])) {
            used++;
        }
    }
    free(names);
    qsort(domids, used, sizeof(*domids), by_number);
    *ret_domids = domids;
    *ret_count = used;
    return 0;
}

int hcl_guest_find_named(struct hcl_store *store, const char *name,
                         struct hcl_guest *ret_guest, struct hcl_err *err)
{
    struct hcl_guest guest;
    uint32_t *domids;
    unsigned int i, count;
    bool found = false;
    int ret = hcl_guest_list(store, &domids, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; !found && i < count; i++) {
        ret = hcl_guest_read(store, domids[i], &guest, err);
        if (ret < 0 && ret != -ENOENT) {
            break;
        }
        found = ret == 0 && !strcmp(guest.name, name);
        ret = 0;
    }
    free(domids);
    if (found) {
        *ret_guest = guest;
    } else if (ret == 0) {
        ret = hcl_err_set(err, -ENOENT, "there is no domain '%s' (see xl list)",
                          name);
    }
    return ret;
}

int hcl_guest_find(struct hcl_store *store, const char *name_or_domid,
                   struct hcl_guest *ret_guest, struct hcl_err *err)
{
    uint32_t domid;
    int ret;

    if (hcl_guest_number(name_or_domid, HCL_GUEST_MAX_DOMID, &domid)) {
        ret = hcl_guest_read(store, domid, ret_guest, err);
        if (ret != -ENOENT) {
            return ret;
        }
    }
    return hcl_guest_find_named(store, name_or_domid, ret_guest, err);
}
