/* SPDX-License-Identifier: MIT */
#include "store_node.h"

#include <stdlib.h>
#include <string.h>

/* C xenstored's record: generation and three counts, padded to 8. */
#define RECORD_BYTES 24
#define RECORD_PERMISSION_BYTES 8

/* ---- Versions ---------------------------------------------------------- */

/* Its parts are still to be filled in; @ret_value points to the first. */
static struct store_node *node_alloc(unsigned int permissions_count,
                                     size_t value_bytes, size_t children_bytes,
                                     char **ret_value)
{
    size_t head = sizeof(struct store_node) +
                  permissions_count * sizeof(struct xs_permissions);
    struct store_node *node = malloc(head + value_bytes + children_bytes);

    if (!node) {
        return NULL;
    }
    *ret_value = (char *)node + head;
    *node = (struct store_node){
        .refs = 1,
        .value_bytes = value_bytes,
        .children_bytes = children_bytes,
        .value = *ret_value,
        .children = *ret_value + value_bytes,
        .permissions_count = permissions_count,
    };
    return node;
}

/* memcpy may not be given NULL, not even for nothing. */
static char *append(char *at, const void *from, size_t bytes)
{
    if (bytes > 0) {
        memcpy(at, from, bytes);
    }
    return at + bytes;
}

static void set_permissions(struct store_node *node,
                            const struct xs_permissions *permissions)
{
    memcpy(node->permissions, permissions,
           node->permissions_count * sizeof(*permissions));
}

struct store_node *store_node_new(const struct xs_permissions *permissions,
                                  unsigned int permissions_count,
                                  const void *value, size_t value_bytes)
{
    char *at;
    struct store_node *node =
        node_alloc(permissions_count, value_bytes, 0, &at);

    if (node) {
        set_permissions(node, permissions);
        append(at, value, value_bytes);
    }
    return node;
}

struct store_node *store_node_with_value(const struct store_node *node,
                                         const void *value, size_t value_bytes)
{
    char *at;
    struct store_node *new = node_alloc(node->permissions_count, value_bytes,
                                        node->children_bytes, &at);

    if (new) {
        set_permissions(new, node->permissions);
        at = append(at, value, value_bytes);
        append(at, node->children, node->children_bytes);
    }
    return new;
}

struct store_node *
store_node_with_permissions(const struct store_node *node,
                            const struct xs_permissions *permissions,
                            unsigned int permissions_count)
{
    char *at;
    struct store_node *new = node_alloc(permissions_count, node->value_bytes,
                                        node->children_bytes, &at);

    if (new) {
        set_permissions(new, permissions);
        at = append(at, node->value, node->value_bytes);
        append(at, node->children, node->children_bytes);
    }
    return new;
}

struct store_node *store_node_with_child(const struct store_node *node,
                                         const char *name)
{
    size_t bytes = strlen(name) + 1;
    char *at;
    struct store_node *new =
        node_alloc(node->permissions_count, node->value_bytes,
                   node->children_bytes + bytes, &at);

    if (new) {
        set_permissions(new, node->permissions);
        at = append(at, node->value, node->value_bytes);
        at = append(at, node->children, node->children_bytes);
        append(at, name, bytes);
    }
    return new;
}

/* The name in the list, or the list's end. */
static const char *find_child(const struct store_node *node, const char *name)
{
    const char *end = node->children + node->children_bytes;
    const char *child = node->children;

    while (child < end && strcmp(child, name) != 0) {
        child += strlen(child) + 1;
    }
    return child;
}

struct store_node *store_node_without_child(const struct store_node *node,
                                            const char *name)
{
    const char *end = node->children + node->children_bytes;
    const char *child = find_child(node, name), *rest;
    struct store_node *new;
    char *at;

    rest = child < end ? child + strlen(child) + 1 : end;
    new = node_alloc(node->permissions_count, node->value_bytes,
                     node->children_bytes - (size_t)(rest - child), &at);
    if (new) {
        set_permissions(new, node->permissions);
        at = append(at, node->value, node->value_bytes);
        at = append(at, node->children, (size_t)(child - node->children));
        append(at, rest, (size_t)(end - rest));
    }
    return new;
}

struct store_node *store_node_ref(struct store_node *node)
{
    if (node) {
        node->refs++;
    }
    return node;
}

void store_node_unref(struct store_node *node)
{
    if (node && --node->refs == 0) {
        free(node);
    }
}

/* ---- What it says ------------------------------------------------------ */

bool store_node_has_child(const struct store_node *node, const char *name)
{
    return find_child(node, name) < node->children + node->children_bytes;
}

size_t store_node_bytes_empty(unsigned int permissions_count)
{
    return RECORD_BYTES + (size_t)permissions_count * RECORD_PERMISSION_BYTES;
}

size_t store_node_bytes(const struct store_node *node)
{
    return store_node_bytes_empty(node->permissions_count) + node->value_bytes +
           node->children_bytes;
}

unsigned int store_node_rights(const struct store_node *node, uint32_t domid,
                               uint32_t target)
{
    const unsigned int all = XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;
    const struct xs_permissions *p = node->permissions;
    unsigned int i;

    if (domid == 0 || p[0].id == domid || (target && p[0].id == target)) {
        return all;
    }
    for (i = 1; i < node->permissions_count; i++) {
        if (!(p[i].perms & XS_PERM_IGNORE) &&
            (p[i].id == domid || (target && p[i].id == target))) {
            return p[i].perms & all;
        }
    }
    return p[0].perms & all;
}

/* ---- Paths ------------------------------------------------------------- */

/* The bytes of "/local/domain/N/" that @path begins with, or 0. */
static size_t domain_prefix(const char *path)
{
    static const char prefix[] = "/local/domain/";
    size_t len = sizeof(prefix) - 1, digits;

    if (strncmp(path, prefix, len) != 0) {
        return 0;
    }
    digits = strspn(path + len, "0123456789");
    if (digits == 0 || digits > 5 || path[len + digits] != '/') {
        return 0;
    }
    return len + digits + 1;
}

bool store_path_valid(const char *path, uint32_t path_bytes)
{
    size_t len = strlen(path);

    return path[0] == '/' && (len == 1 || path[len - 1] != '/') &&
           !strstr(path, "//") && len <= domain_prefix(path) + path_bytes &&
           strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "abcdefghijklmnopqrstuvwxyz"
                        "0123456789-/_@") == len;
}

void store_path_parent(char *path)
{
    char *slash = strrchr(path, '/');

    slash[slash == path ? 1 : 0] = '\0';
}

const char *store_path_name(const char *path)
{
    return strrchr(path, '/') + 1;
}
