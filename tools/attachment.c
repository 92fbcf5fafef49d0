/* SPDX-License-Identifier: MIT */
#include "attachment.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hclif.h"
#include "loop.h"
#include "stop.h"

#define MAX_ENTRIES 65536
#define TOKEN "hclctl"
/* A timeout longer than a day is as good as none and fits poll(2). */
#define MAX_WAIT_US (UINT64_C(86400) * 1000000)

/* ---- Paths ------------------------------------------------------------- */

static void kind_dir(uint32_t backend, char *dir)
{
    snprintf(dir, HCL_STORE_PATH, "/local/domain/%u/backend/" HCLIF_KIND,
             backend);
}

static void guest_dir(uint32_t backend, uint32_t frontend, char *dir)
{
    snprintf(dir, HCL_STORE_PATH, "/local/domain/%u/backend/" HCLIF_KIND "/%u",
             backend, frontend);
}

void hcl_attachment_backend_dir(const struct hcl_attachment *at, char *dir)
{
    snprintf(dir, HCL_STORE_PATH,
             "/local/domain/%u/backend/" HCLIF_KIND "/%u/%u", at->backend,
             at->frontend, at->devid);
}

void hcl_attachment_frontend_dir(const struct hcl_attachment *at, char *dir)
{
    snprintf(dir, HCL_STORE_PATH, "/local/domain/%u/device/" HCLIF_KIND "/%u",
             at->frontend, at->devid);
}

/* ---- Reading ----------------------------------------------------------- */

void hcl_attachment_text(struct hcl_store *store, const char *dir,
                         const char *node, char *buf, size_t size)
{
    if (hcl_store_read(store, dir, node, buf, size, NULL) < 0) {
        buf[0] = '\0';
    }
    hcl_text_clean(buf);
}

int hcl_attachment_states(struct hcl_store *store,
                          const struct hcl_attachment *at,
                          enum hcl_state *ret_backend,
                          enum hcl_state *ret_frontend, struct hcl_err *err)
{
    unsigned int backend, frontend;
    char dir[HCL_STORE_PATH];
    int ret;

    hcl_attachment_backend_dir(at, dir);
    ret = hcl_store_read_state(store, dir, &backend, err);
    if (ret < 0) {
        return ret;
    }
    hcl_attachment_frontend_dir(at, dir);
    ret = hcl_store_read_state(store, dir, &frontend, err);
    if (ret < 0) {
        return ret;
    }
    *ret_backend = (enum hcl_state)backend;
    *ret_frontend = (enum hcl_state)frontend;
    return 0;
}

/* Read after the state: a next life has written another by then. */
static bool has_departed(struct hcl_store *store,
                         const struct hcl_attachment *at)
{
    char back[HCL_STORE_PATH], front[HCL_STORE_PATH];
    uint64_t departed, incarnation;

    hcl_attachment_backend_dir(at, back);
    hcl_attachment_frontend_dir(at, front);
    return hcl_store_read_id64(store, back, HCLIF_NODE_DEPARTED, &departed,
                               NULL) == 0 &&
           hcl_store_read_id64(store, front, HCLIF_NODE_INCARNATION,
                               &incarnation, NULL) == 0 &&
           departed == incarnation;
}

int hcl_attachment_holders(struct hcl_store *store,
                           const struct hcl_attachment *at,
                           enum hcl_state *ret_backend,
                           enum hcl_state *ret_frontend, struct hcl_err *err)
{
    int ret = hcl_attachment_states(store, at, ret_backend, ret_frontend, err);

    if (ret == 0 &&
        (*ret_frontend == HCL_STATE_INITIALISED ||
         *ret_frontend == HCL_STATE_CONNECTED ||
         *ret_frontend == HCL_STATE_CLOSING) &&
        has_departed(store, at)) {
        *ret_frontend = HCL_STATE_CLOSED;
    }
    return ret;
}

bool hcl_attachment_leaving(struct hcl_store *store,
                            const struct hcl_attachment *at)
{
    char dir[HCL_STORE_PATH], online[8];

    hcl_attachment_backend_dir(at, dir);
    return hcl_store_read(store, dir, HCLIF_NODE_ONLINE, online, sizeof(online),
                          NULL) == 0 &&
           !strcmp(online, "0");
}

int hcl_attachment_item(struct hcl_store *store,
                        const struct hcl_attachment *at,
                        struct hcl_item *ret_item, struct hcl_err *err)
{
    char text[HCL_SPEC_BYTES + 256], options[HCL_ITEM_OPTIONS];
    char dir[HCL_STORE_PATH];
    struct hcl_guest backend;
    const char *name = backend.name;

    hcl_attachment_backend_dir(at, dir);
    hcl_attachment_text(store, dir, HCLIF_NODE_OPTIONS, options,
                        sizeof(options));
    /* dom0 keeps its number, and a name with a comma cannot stand in an item.
     */
    if (at->backend == 0 ||
        hcl_guest_read(store, at->backend, &backend, NULL) < 0 || !*name ||
        strchr(name, ',') || strlen(name) >= HCL_ITEM_BACKEND) {
        snprintf(backend.name, sizeof(backend.name), "%u", at->backend);
    }
    snprintf(text, sizeof(text), "device=%s,backend=%s,devid=%u%s%s",
             at->device, name, at->devid, *options ? "," : "", options);
    return hcl_item_parse(ret_item, text, err);
}

struct set {
    const struct hcl_attachment *at;
    const char *node;
    const char *value;
};

static int set_node(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    const struct set *set = arg;
    char dir[HCL_STORE_PATH];
    int ret;

    hcl_attachment_backend_dir(set->at, dir);
    ret = hcl_store_exists(store, dir, err);
    if (ret <= 0) {
        return ret < 0 ? ret
                       : hcl_err_set(err, -ENOENT,
                                     "domain %u has no devid %u any more",
                                     set->at->frontend, set->at->devid);
    }
    if (!set->value) {
        return hcl_store_remove(store, dir, set->node, err);
    }
    return hcl_store_write(store, dir, set->node, err, "%s", set->value);
}

int hcl_attachment_set(struct hcl_store *store, const struct hcl_attachment *at,
                       const char *node, const char *value, struct hcl_err *err)
{
    struct set set = {at, node, value};

    return hcl_store_transact(store, set_node, &set, err);
}

/* As hcl_store_list, but a directory that is not there is empty. */
static int list_dir(struct hcl_store *store, const char *dir, char ***ret_names,
                    unsigned int *ret_count, struct hcl_err *err)
{
    int ret =
        hcl_store_list(store, dir, MAX_ENTRIES, ret_names, ret_count, err);

    if (ret == -ENOENT) {
        *ret_names = NULL;
        *ret_count = 0;
        return 0;
    }
    return ret;
}

struct list {
    struct hcl_attachment *item; /* owned */
    unsigned int count;
};

/* True if the guest's directory names @backend. */
static bool names_backend(struct hcl_store *store, const char *front,
                          uint32_t backend)
{
    uint32_t named;

    return hcl_store_read_u32(store, front, HCLIF_NODE_BACKEND_ID, 0,
                              HCL_GUEST_MAX_DOMID, &named, NULL) == 0 &&
           named == backend;
}

/* Fills in the device's name, and whether the guest agrees. */
static void read_names(struct hcl_store *store, struct hcl_attachment *at)
{
    char dir[HCL_STORE_PATH], device[HCL_ITEM_DEVICE];

    hcl_attachment_backend_dir(at, dir);
    hcl_attachment_text(store, dir, HCLIF_NODE_DEVICE, at->device,
                        sizeof(at->device));
    hcl_attachment_frontend_dir(at, dir);
    hcl_attachment_text(store, dir, HCLIF_NODE_DEVICE, device, sizeof(device));
    at->agreed = at->device[0] && !strcmp(at->device, device) &&
                 names_backend(store, dir, at->backend);
}

/* Adds what one backend has of one guest. */
static int list_guest(struct hcl_store *store, uint32_t backend,
                      uint32_t frontend, struct list *list, struct hcl_err *err)
{
    struct hcl_attachment *grown, at = {backend, frontend, 0, "", false};
    char dir[HCL_STORE_PATH];
    char **names;
    unsigned int i, count;
    int ret;

    guest_dir(backend, frontend, dir);
    ret = list_dir(store, dir, &names, &count, err);
    if (ret < 0 || count == 0) {
        free(ret < 0 ? NULL : names);
        return ret;
    }
    grown = realloc(list->item, (list->count + count) * sizeof(*grown));
    if (!grown) {
        free(names);
        return hcl_err_sys(err, -ENOMEM, "list of attachments");
    }
    list->item = grown;
    for (i = 0; i < count; i++) {
        if (hcl_guest_number(names[i], HCL_ITEM_MAX_DEVID, &at.devid)) {
            read_names(store, &at);
            list->item[list->count++] = at;
        }
    }
    free(names);
    return 0;
}

/* Adds what one backend has of all guests. */
static int list_backend(struct hcl_store *store, uint32_t backend,
                        struct list *list, struct hcl_err *err)
{
    char dir[HCL_STORE_PATH];
    char **names;
    uint32_t frontend;
    unsigned int i, count;
    int ret;

    kind_dir(backend, dir);
    ret = list_dir(store, dir, &names, &count, err);
    if (ret < 0) {
        return ret;
    }
    for (i = 0; ret == 0 && i < count; i++) {
        if (hcl_guest_number(names[i], HCL_GUEST_MAX_DOMID, &frontend)) {
            ret = list_guest(store, backend, frontend, list, err);
        }
    }
    free(names);
    return ret;
}

static int by_guest(const void *a, const void *b)
{
    const struct hcl_attachment *x = a, *y = b;

    if (x->frontend != y->frontend) {
        return x->frontend < y->frontend ? -1 : 1;
    }
    if (x->devid != y->devid) {
        return x->devid < y->devid ? -1 : 1;
    }
    return x->backend < y->backend ? -1 : x->backend > y->backend;
}

int hcl_attachment_list(struct hcl_store *store, uint32_t frontend,
                        struct hcl_attachment **ret_list,
                        unsigned int *ret_count, struct hcl_err *err)
{
    struct list list = {NULL, 0};
    uint32_t *domids;
    unsigned int i, count;
    int ret = hcl_guest_list(store, &domids, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; ret == 0 && i < count; i++) {
        if (frontend == HCL_ATTACHMENT_ALL) {
            ret = list_backend(store, domids[i], &list, err);
        } else {
            ret = list_guest(store, domids[i], frontend, &list, err);
        }
    }
    free(domids);
    if (ret < 0) {
        free(list.item);
        return ret;
    }
    if (list.count) {
        qsort(list.item, list.count, sizeof(*list.item), by_guest);
    }
    *ret_list = list.item;
    *ret_count = list.count;
    return 0;
}

/* ---- Removing ---------------------------------------------------------- */

/* Removes @dir if nothing is in it. */
static int remove_if_empty(struct hcl_store *store, const char *dir,
                           struct hcl_err *err)
{
    unsigned int count;
    char **names;
    int ret = list_dir(store, dir, &names, &count, err);

    if (ret < 0) {
        return ret;
    }
    free(names);
    return count ? 0 : hcl_store_remove(store, dir, "", err);
}

static int remove_empty_parents(struct hcl_store *store, uint32_t backend,
                                uint32_t frontend, struct hcl_err *err)
{
    char dir[HCL_STORE_PATH];
    int ret;

    guest_dir(backend, frontend, dir);
    ret = remove_if_empty(store, dir, err);
    if (ret == 0) {
        kind_dir(backend, dir);
        ret = remove_if_empty(store, dir, err);
    }
    return ret;
}

static int remove_both(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    const struct hcl_attachment *at = arg;
    struct hcl_attachment other = *at;
    char dir[HCL_STORE_PATH];
    int ret = 0;

    /* Another backend may have made a directory for this devid, too. */
    hcl_attachment_frontend_dir(at, dir);
    if (hcl_store_read_u32(store, dir, HCLIF_NODE_BACKEND_ID, 0,
                           HCL_GUEST_MAX_DOMID, &other.backend, NULL) == 0 &&
        other.backend != at->backend) {
        hcl_attachment_backend_dir(&other, dir);
        ret = hcl_store_exists(store, dir, err);
        hcl_attachment_frontend_dir(at, dir);
    }
    if (ret == 0) {
        ret = hcl_store_remove(store, dir, "", err);
    }
    if (ret >= 0) {
        hcl_attachment_backend_dir(at, dir);
        ret = hcl_store_remove(store, dir, "", err);
    }
    if (ret == 0) {
        ret = remove_empty_parents(store, at->backend, at->frontend, err);
    }
    return ret;
}

int hcl_attachment_remove(struct hcl_store *store,
                          const struct hcl_attachment *at, struct hcl_err *err)
{
    struct hcl_attachment copy = *at;

    return hcl_store_transact(store, remove_both, &copy, err);
}

/* One backend's part of hcl_attachment_reap. */
static int reap_backend(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    const struct hcl_attachment *at = arg;
    char dir[HCL_STORE_PATH];
    int ret;

    guest_dir(at->backend, at->frontend, dir);
    ret = hcl_store_remove(store, dir, "", err);
    if (ret == 0) {
        ret = remove_empty_parents(store, at->backend, at->frontend, err);
    }
    return ret;
}

int hcl_attachment_reap(struct hcl_store *store, uint32_t frontend,
                        struct hcl_err *err)
{
    struct hcl_attachment at = {.frontend = frontend};
    char dir[HCL_STORE_PATH];
    uint32_t *domids;
    char **names;
    unsigned int i, count, found;
    int reaped = 0, ret = hcl_guest_list(store, &domids, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; i < count; i++) {
        at.backend = domids[i];
        guest_dir(at.backend, frontend, dir);
        /* -ENOENT is the rule; no transaction for each other domain. */
        ret = hcl_store_list(store, dir, MAX_ENTRIES, &names, &found, err);
        if (ret == 0) {
            free(names);
            reaped += (int)found;
            ret = hcl_store_transact(store, reap_backend, &at, err);
        }
        if (ret < 0 && ret != -ENOENT) {
            break;
        }
        ret = 0;
    }
    free(domids);
    return ret < 0 ? ret : reaped;
}

/* ---- Waiting ----------------------------------------------------------- */

/* Takes all events that are there: what changed is looked at anew anyway. */
static int drain(struct hcl_store *store, struct hcl_err *err)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];
    int ret;

    do {
        ret = hcl_store_next_event(store, path, token, err);
    } while (ret > 0);
    return ret;
}

static int wait_until(struct hcl_store *store, uint64_t deadline_us,
                      int (*fn)(void *arg, struct hcl_err *err), void *arg,
                      struct hcl_err *err)
{
    /* poll(2) takes no notice of a descriptor that is -1. */
    struct pollfd pollfds[] = {
        {.fd = hcl_store_fd(store), .events = POLLIN},
        {.fd = hcl_stop_fd(), .events = POLLIN},
    };
    uint64_t now_us;
    int ret;

    for (;;) {
        if (hcl_stop_wanted()) {
            return hcl_err_set(err, -EINTR, "ended by a signal");
        }
        ret = drain(store, err);
        if (ret == 0) {
            ret = fn(arg, err);
        }
        if (ret != 0) {
            return ret > 0 ? 0 : ret;
        }
        now_us = hcl_now_us();
        if (now_us >= deadline_us) {
            return hcl_err_set(err, -ETIMEDOUT, "the time is over");
        }
        if (poll(pollfds, 2, (int)((deadline_us - now_us + 999) / 1000)) < 0 &&
            errno != EINTR) {
            return hcl_err_sys(err, -errno, "poll");
        }
    }
}

int hcl_attachment_wait(struct hcl_store *store,
                        const struct hcl_attachment *list, unsigned int count,
                        uint64_t timeout_us,
                        int (*fn)(void *arg, struct hcl_err *err), void *arg,
                        struct hcl_err *err)
{
    uint64_t deadline_us =
        hcl_now_us() + (timeout_us < MAX_WAIT_US ? timeout_us : MAX_WAIT_US);
    char dir[HCL_STORE_PATH];
    unsigned int i;
    int ret = 0;

    for (i = 0; ret == 0 && i < count; i++) {
        hcl_attachment_backend_dir(&list[i], dir);
        ret = hcl_store_watch(store, dir, TOKEN, err);
        hcl_attachment_frontend_dir(&list[i], dir);
        if (ret == 0) {
            ret = hcl_store_watch(store, dir, TOKEN, err);
        }
    }
    if (ret == 0) {
        ret = wait_until(store, deadline_us, fn, arg, err);
    }
    while (i-- > 0) {
        hcl_attachment_backend_dir(&list[i], dir);
        hcl_store_unwatch(store, dir, TOKEN);
        hcl_attachment_frontend_dir(&list[i], dir);
        hcl_store_unwatch(store, dir, TOKEN);
    }
    return ret;
}
