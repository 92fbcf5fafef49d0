/* SPDX-License-Identifier: MIT */
/*
 * attachment_make.c: hcl_attachment_make, with the nodes and permissions that
 * libxl gives to devices of its own.
 */
#include "attachment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hclif.h"

struct make {
    const struct hcl_guest *guest;
    const struct hcl_item *item;
    struct hcl_attachment at; /* backend is known, devid is found */
};

/* Looks at one attachment that the guest has already. */
static int check_other(struct hcl_store *store, struct make *make,
                       const struct hcl_attachment *other, struct hcl_err *err)
{
    char dir[HCL_STORE_PATH], uuid[HCL_GUEST_UUID + 1];

    hcl_attachment_backend_dir(other, dir);
    hcl_attachment_text(store, dir, HCLIF_NODE_UUID, uuid, sizeof(uuid));
    if (uuid[0] && make->guest->uuid[0] &&
        strcmp(uuid, make->guest->uuid) != 0) {
        /* Left behind by a guest that had this domid before. */
        return hcl_store_remove(store, dir, "", err);
    }
    /* Another backend's word alone counts for nothing. */
    if (!other->agreed && other->backend != make->at.backend) {
        return 0;
    }
    if (!strcmp(other->device, make->item->device)) {
        if (hcl_attachment_leaving(store, other)) {
            return hcl_err_set(err, -EBUSY,
                               "'%s' of domain %u is being detached: repeat "
                               "hclctl detach",
                               other->device, other->frontend);
        }
        make->at = *other;
        return hcl_err_set(err, -EEXIST,
                           "domain %u has '%s' already: devid %u, from domain "
                           "%u",
                           other->frontend, other->device, other->devid,
                           other->backend);
    }
    if (other->devid == make->item->devid) {
        return hcl_err_set(err, -EBUSY, "devid %u of domain %u is '%s' already",
                           other->devid, other->frontend, other->device);
    }
    return 0;
}

/* True if @devid is free in the guest and in the backend's own directory. */
static bool devid_free(struct hcl_store *store, const struct make *make,
                       const struct hcl_attachment *others, unsigned int count,
                       uint32_t devid)
{
    struct hcl_attachment at = {.frontend = make->guest->domid, .devid = devid};
    char dir[HCL_STORE_PATH];
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (others[i].devid == devid &&
            (others[i].agreed || others[i].backend == make->at.backend)) {
            return false;
        }
    }
    hcl_attachment_frontend_dir(&at, dir);
    return hcl_store_exists(store, dir, NULL) == 0;
}

/* Refuses what the guest has already, and finds a devid. */
static int choose_devid(struct hcl_store *store, struct make *make,
                        struct hcl_err *err)
{
    struct hcl_attachment *others;
    unsigned int i, count;
    uint32_t devid = make->item->devid;
    int ret =
        hcl_attachment_list(store, make->guest->domid, &others, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; ret == 0 && i < count; i++) {
        ret = check_other(store, make, &others[i], err);
    }
    if (ret == 0 && devid == HCL_ITEM_ANY_DEVID) {
        for (devid = 0; !devid_free(store, make, others, count, devid);
             devid++) {
            if (devid == HCL_ITEMS_MAX) {
                ret =
                    hcl_err_set(err, -E2BIG, "domain %u has %d devices already",
                                make->guest->domid, HCL_ITEMS_MAX);
                break;
            }
        }
    }
    free(others);
    if (ret == 0) {
        make->at.devid = devid;
    }
    return ret;
}

/* xs_mkdir would make all of a domain that is gone anew, for ever. */
static int check_domains(struct hcl_store *store, const struct make *make,
                         struct hcl_err *err)
{
    char dir[HCL_STORE_PATH];
    int ret;

    snprintf(dir, sizeof(dir), "/local/domain/%u%s", make->at.frontend,
             make->at.frontend ? "/device" : "");
    ret = hcl_store_exists(store, dir, err);
    if (ret == 0) {
        return hcl_err_set(err, -ENOENT, "domain %u is gone",
                           make->at.frontend);
    }
    if (ret > 0) {
        snprintf(dir, sizeof(dir), "/local/domain/%u", make->at.backend);
        ret = hcl_store_exists(store, dir, err);
    }
    if (ret == 0) {
        return hcl_err_set(err, -ENODEV, "domain %u is gone", make->at.backend);
    }
    return ret < 0 ? ret : 0;
}

/*
 * Empties or makes one side's directory and gives it to that side.  Nodes made
 * in it later have its permissions.
 */
static int make_dir(struct hcl_store *store, const char *dir, uint32_t owner,
                    uint32_t reader, struct hcl_err *err)
{
    int ret = hcl_store_remove(store, dir, "", err);

    if (ret == 0) {
        ret = hcl_store_mkdir(store, dir, err);
    }
    if (ret == 0) {
        ret = hcl_store_permit(store, dir, "", owner, reader, err);
    }
    return ret;
}

struct node {
    const char *name;
    const char *value;
};

static int write_nodes(struct hcl_store *store, const char *dir,
                       const struct node *nodes, struct hcl_err *err)
{
    int ret = 0;

    for (; ret == 0 && nodes->name; nodes++) {
        ret = hcl_store_write(store, dir, nodes->name, err, "%s", nodes->value);
    }
    return ret;
}

/* Makes the guest's directory @front. */
static int make_frontend(struct hcl_store *store, const struct make *make,
                         const char *front, const char *back,
                         struct hcl_err *err)
{
    char backend_id[12];
    const struct node nodes[] = {
        {HCLIF_NODE_BACKEND, back},
        {HCLIF_NODE_BACKEND_ID, backend_id},
        {HCLIF_NODE_DEVICE, make->item->device},
        {HCLIF_NODE_STATE, "1"},
        {NULL, NULL},
    };
    int ret = make_dir(store, front, make->at.frontend, make->at.backend, err);

    snprintf(backend_id, sizeof(backend_id), "%u", make->at.backend);
    return ret < 0 ? ret : write_nodes(store, front, nodes, err);
}

/* Makes the backend's directory @back. */
static int make_backend(struct hcl_store *store, const struct make *make,
                        const char *front, const char *back,
                        struct hcl_err *err)
{
    char frontend_id[12];
    const struct node nodes[] = {
        {HCLIF_NODE_FRONTEND, front},
        {HCLIF_NODE_FRONTEND_ID, frontend_id},
        {HCLIF_NODE_DEVICE, make->item->device},
        {HCLIF_NODE_DOMAIN, make->guest->name},
        {HCLIF_NODE_UUID, make->guest->uuid},
        {HCLIF_NODE_OPTIONS, make->item->options},
        {HCLIF_NODE_ONLINE, "1"},
        {HCLIF_NODE_STATE, "1"},
        {NULL, NULL},
    };
    int ret = make_dir(store, back, make->at.backend, make->at.frontend, err);

    snprintf(frontend_id, sizeof(frontend_id), "%u", make->at.frontend);
    return ret < 0 ? ret : write_nodes(store, back, nodes, err);
}

static int make_both(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    char back[HCL_STORE_PATH], front[HCL_STORE_PATH];
    struct make *make = arg;
    int ret = check_domains(store, make, err);

    if (ret == 0) {
        ret = choose_devid(store, make, err);
    }
    if (ret < 0) {
        return ret;
    }
    hcl_attachment_backend_dir(&make->at, back);
    hcl_attachment_frontend_dir(&make->at, front);
    ret = make_frontend(store, make, front, back, err);
    if (ret == 0) {
        ret = make_backend(store, make, front, back, err);
    }
    return ret;
}

int hcl_attachment_make(struct hcl_store *store, const struct hcl_guest *guest,
                        const struct hcl_item *item,
                        struct hcl_attachment *ret_at, struct hcl_err *err)
{
    struct make make = {.guest = guest, .item = item};
    struct hcl_guest backend;
    int ret = hcl_guest_find(store, item->backend, &backend, err);

    if (ret == -ENOENT) {
        return hcl_err_set(err, -ENODEV,
                           "backend='%s': there is no such domain (see xl "
                           "list)",
                           item->backend);
    }
    if (ret < 0) {
        return ret;
    }
    if (backend.domid == guest->domid) {
        return hcl_err_set(err, -EINVAL, "domain %u cannot be its own backend",
                           guest->domid);
    }
    make.at.backend = backend.domid;
    make.at.frontend = guest->domid;
    snprintf(make.at.device, sizeof(make.at.device), "%s", item->device);
    ret = hcl_store_transact(store, make_both, &make, err);
    if (ret == 0 || ret == -EEXIST) {
        *ret_at = make.at;
    }
    return ret;
}
