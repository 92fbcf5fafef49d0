/* SPDX-License-Identifier: MIT */
/* Requests for nodes and their permissions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_request.h"

/* ---- Nodes ------------------------------------------------------------- */

static int get(struct store_request *request, const char *given,
               struct store_node **ret_node)
{
    char path[STORE_PATH];
    int ret = store_absolute(request, given, path);

    return ret < 0 ? ret
                   : store_tree_get(request->base, &request->caller, path,
                                    XS_PERM_READ, ret_node);
}

int store_do_read(struct store_request *request)
{
    struct store_node *node;
    int ret = get(request, store_one_string(request), &node);

    if (ret == 0) {
        store_reply(request, node->value, node->value_bytes);
    }
    return ret;
}

int store_do_directory(struct store_request *request)
{
    struct store_node *node;
    int ret = get(request, store_one_string(request), &node);

    if (ret == 0) {
        store_reply(request, node->children, node->children_bytes);
    }
    return ret;
}

/*
 * The names from an offset on, as many as fit, behind the generation, which
 * tells the client whether the parts belong together.  An empty name ends the
 * list.
 */
int store_do_directory_part(struct store_request *request)
{
    char out[XENSTORE_PAYLOAD_MAX];
    const char *list[2], *names;
    struct store_node *node;
    size_t at, head, len = 0, all, room;
    int ret;

    if (store_strings(request, list, 2) != 2) {
        return -EINVAL;
    }
    ret = get(request, list[0], &node);
    if (ret < 0) {
        return ret;
    }
    head = (size_t)snprintf(out, sizeof(out), "%" PRIu64, node->generation) + 1;
    room = sizeof(out) - head - 1;
    at = strtoul(list[1], NULL, 10);
    all = at < node->children_bytes ? node->children_bytes - at : 0;
    names = node->children + (all ? at : 0);
    while (len < all && len + strlen(names + len) < room) {
        len += strlen(names + len) + 1;
    }
    memcpy(out + head, names, len);
    if (len == all) {
        out[head + len] = '\0';
        len++;
    }
    store_reply(request, out, head + len);
    return 0;
}

int store_do_write(struct store_request *request)
{
    char path[STORE_PATH];
    const char *given = NULL;
    size_t len;
    int ret;

    if (store_strings(request, &given, 1) < 1) {
        return -EINVAL;
    }
    len = strlen(given) + 1;
    ret = store_absolute(request, given, path);
    if (ret == 0) {
        ret = store_tree_write(request->base, &request->caller, path,
                               request->body + len, request->bytes - len);
    }
    return store_acknowledge(request, ret);
}

int store_do_mkdir(struct store_request *request)
{
    char path[STORE_PATH];
    int ret = store_absolute(request, store_one_string(request), path);

    if (ret == 0) {
        ret = store_tree_mkdir(request->base, &request->caller, path);
    }
    return store_acknowledge(request, ret);
}

int store_do_rm(struct store_request *request)
{
    char path[STORE_PATH];
    int ret = store_absolute(request, store_one_string(request), path);

    if (ret == 0) {
        ret = store_tree_remove(request->base, &request->caller, path);
    }
    return store_acknowledge(request, ret);
}

/* ---- Permissions ------------------------------------------------------- */

int store_do_get_perms(struct store_request *request)
{
    static const char letters[] = "nrwb"; /* by XS_PERM_READ and _WRITE */
    struct store_node *node;
    char *text;
    size_t bytes = 0, size;
    unsigned int i;
    int ret = get(request, store_one_string(request), &node);

    if (ret < 0) {
        return ret;
    }
    size = node->permissions_count * (size_t)16;
    text = malloc(size);
    if (!text) {
        return -ENOMEM;
    }
    for (i = 0; i < node->permissions_count; i++) {
        const struct xs_permissions *p = &node->permissions[i];

        bytes += (size_t)snprintf(text + bytes, size - bytes, "%c%d",
                                  letters[p->perms & 3], (int)p->id) +
                 1;
    }
    store_reply(request, text, bytes);
    free(text);
    return 0;
}

/* "r5" */
static int parse_permission(const char *text, struct xs_permissions *ret)
{
    const char *letter = *text ? strchr("nrwb", *text) : NULL;
    static const unsigned int rights[] = {XS_PERM_NONE, XS_PERM_READ,
                                          XS_PERM_WRITE,
                                          XS_PERM_READ | XS_PERM_WRITE};
    char *end;

    if (!letter || !text[1]) {
        return -EINVAL;
    }
    ret->perms = rights[letter - "nrwb"];
    ret->id = (unsigned int)strtol(text + 1, &end, 0);
    return *end ? -EINVAL : 0;
}

static int do_set_special(struct store_request *request, const char *path,
                          const struct xs_permissions *permissions,
                          unsigned int count)
{
    const unsigned int needed = XS_PERM_WRITE | XS_PERM_OWNER;
    struct store_node **special = store_special(request->conn->store, path);
    struct store_node *node;

    if (!special) {
        return -EINVAL;
    }
    if ((store_node_rights(*special, request->caller.domid,
                           request->caller.target) &
         needed) != needed) {
        return -EACCES;
    }
    node = store_node_new(permissions, count, NULL, 0);
    if (!node) {
        return -ENOMEM;
    }
    store_node_unref(*special);
    *special = node;
    return 0;
}

static int set_perms(struct store_request *request, const char *given,
                     struct xs_permissions *permissions, unsigned int count)
{
    struct sim_host *host = request->conn->store->host;
    const char *text = given;
    char path[STORE_PATH];
    unsigned int i;
    int ret;

    for (i = 0; i < count; i++) {
        text += strlen(text) + 1;
        ret = parse_permission(text, &permissions[i]);
        if (ret < 0) {
            return ret;
        }
        /* A later domain of that number shall not have the rights. */
        if (!sim_domain_find(host, permissions[i].id)) {
            permissions[i].perms |= XS_PERM_IGNORE;
        }
    }
    if (permissions[0].perms & XS_PERM_IGNORE) {
        return -ENOENT;
    }
    if (given[0] == '@') {
        return do_set_special(request, given, permissions, count);
    }
    ret = store_absolute(request, given, path);
    return ret < 0 ? ret
                   : store_tree_set_permissions(request->base, &request->caller,
                                                path, permissions, count);
}

int store_do_set_perms(struct store_request *request)
{
    struct xs_permissions *permissions;
    const char *given;
    size_t count = store_strings(request, &given, 1);
    int ret;

    if (count < 2) {
        return -EINVAL;
    }
    count--;
    if (request->caller.domid != 0 &&
        count > request->base->limits->permissions) {
        return -ENOSPC;
    }
    permissions = calloc(count, sizeof(*permissions));
    if (!permissions) {
        return -ENOMEM;
    }
    ret = set_perms(request, given, permissions, (unsigned int)count);
    free(permissions);
    return store_acknowledge(request, ret);
}
