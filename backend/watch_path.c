/* SPDX-License-Identifier: MIT */
#include "watch_path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "hclif.h"

/* Nodes that this program writes: their changes are no news. */
static const char *const own_nodes[] = {
    HCLIF_NODE_STATE,          HCLIF_NODE_CLASS,
    HCLIF_NODE_VERSIONS,       HCLIF_NODE_GENERATION,
    HCLIF_NODE_MAX_QUEUES,     HCLIF_NODE_MAX_RING_PAGE_ORDER,
    HCLIF_NODE_MAX_POOL_PAGES, HCLIF_NODE_MAX_HANDLES,
    HCLIF_NODE_IDEMPOTENT,     HCLIF_NODE_INCARNATION,
    HCLIF_NODE_ERROR,          NULL,
};

int64_t hcl_watch_number(const char *text, uint32_t max)
{
    uint64_t value = 0;
    size_t length = strlen(text);

    if (length == 0 || length > 10 || (length > 1 && text[0] == '0')) {
        return -1;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value <= max ? (int64_t)value : -1;
}

/*
 * Copies the part of *@path up to the next '/' into @part (@size bytes) and
 * moves on; false at the end or if it is too long.
 */
static bool next_part(const char **path, char *part, size_t size)
{
    size_t length = strcspn(*path, "/");

    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(part, *path, length);
    part[length] = '\0';
    *path += length;
    if (**path == '/') {
        (*path)++;
    }
    return true;
}

/* Without /local/domain/<own domid>/, if that is there. */
static const char *skip_domain(const char *path)
{
    static const char local[] = "/local/domain/";
    char part[16];

    if (strncmp(path, local, sizeof(local) - 1) != 0) {
        return path;
    }
    path += sizeof(local) - 1;
    if (next_part(&path, part, sizeof(part)) &&
        hcl_watch_number(part, HCL_MAX_DOMID) >= 0) {
        return path;
    }
    return "";
}

static bool is_own_node(const char *node)
{
    for (unsigned int i = 0; own_nodes[i]; i++) {
        if (strcmp(own_nodes[i], node) == 0) {
            return true;
        }
    }
    return false;
}

enum hcl_watch_scope hcl_watch_path(const char *path, uint32_t *ret_domid,
                                    uint32_t *ret_devid)
{
    char part[16];
    int64_t domid;
    int64_t devid;

    path = skip_domain(path);
    if (strcmp(path, "") == 0 || strcmp(path, "backend") == 0 ||
        strcmp(path, "backend/" HCLIF_KIND) == 0) {
        return HCL_WATCH_ALL;
    }
    if (strncmp(path, "backend/" HCLIF_KIND "/", 12) != 0) {
        return HCL_WATCH_NOTHING;
    }
    path += 12;
    if (!next_part(&path, part, sizeof(part))) {
        return HCL_WATCH_NOTHING;
    }
    domid = hcl_watch_number(part, HCL_MAX_DOMID);
    if (domid < 0) {
        return HCL_WATCH_NOTHING;
    }
    *ret_domid = (uint32_t)domid;
    if (!*path) {
        return HCL_WATCH_DOMAIN;
    }
    if (!next_part(&path, part, sizeof(part))) {
        return HCL_WATCH_NOTHING;
    }
    devid = hcl_watch_number(part, INT32_MAX);
    if (devid < 0 || is_own_node(path)) {
        return HCL_WATCH_NOTHING;
    }
    *ret_devid = (uint32_t)devid;
    return HCL_WATCH_DEVICE;
}
