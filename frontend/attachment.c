/* SPDX-License-Identifier: MIT */
#include "attachment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offer.h"

#define TOKEN_FRONT "front"
#define TOKEN_BACK "back"

/* Events that are taken at a time; the descriptor stays readable for more. */
#define EVENTS_AT_A_TIME 64

/* ---- Finding it -------------------------------------------------------- */

/* "There is no device x; there are: a, b". */
static int no_such_device(const char *name, const struct hcl_info *infos,
                          unsigned int count, struct hcl_err *err)
{
    char list[HCL_ERR_TEXT] = "";
    size_t used = 0;
    unsigned int i;

    for (i = 0; i < count && used < sizeof(list); i++) {
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
                                 i ? ", " : "", infos[i].name);
    }
    return hcl_err_set(err, -ENOENT, "this guest has no device \"%s\"%s%s",
                       name, count ? "; it has: " : ", and no other", list);
}

int hcl_attachment_open(struct hcl_attachment *attachment, const char *name,
                        struct hcl_err *err)
{
    struct hcl_info *infos = NULL;
    unsigned int count, i;
    int ret;

    memset(attachment, 0, sizeof(*attachment));
    ret = hcl_attachment_no_xen(hcl_store_open(&attachment->store, err), err);
    if (ret < 0) {
        goto out;
    }
    ret = hcl_attachment_list(attachment->store, &infos, &count, err);
    if (ret < 0) {
        goto out;
    }
    for (i = 0; i < count && strcmp(infos[i].name, name) != 0; i++) {
    }
    if (i == count) {
        ret = no_such_device(name, infos, count, err);
        goto out;
    }
    attachment->devid = infos[i].devid;
    memcpy(attachment->name, infos[i].name, sizeof(attachment->name));
    snprintf(attachment->dir, sizeof(attachment->dir),
             HCL_ATTACHMENTS_DIR "/%u", attachment->devid);
    ret = hcl_attachment_no_xen(
        hcl_store_domid(attachment->store, &attachment->domid, err), err);
out:
    free(infos);
    if (ret < 0) {
        hcl_attachment_close(attachment);
    }
    return ret;
}

static void unwatch_backend(struct hcl_attachment *attachment)
{
    char path[HCL_STORE_PATH + 16];

    if (attachment->watched) {
        snprintf(path, sizeof(path), "%s/" HCLIF_NODE_STATE,
                 attachment->backend_dir);
        hcl_store_unwatch(attachment->store, path, TOKEN_BACK);
        attachment->watched = false;
    }
}

void hcl_attachment_close(struct hcl_attachment *attachment)
{
    /* The watches go with the connection. */
    hcl_store_free(attachment->store);
    memset(attachment, 0, sizeof(*attachment));
}

int hcl_attachment_watch(struct hcl_attachment *attachment, struct hcl_err *err)
{
    return hcl_store_watch(attachment->store, attachment->dir, TOKEN_FRONT,
                           err);
}

/*
 * Whether an event in the own directory may be about where the backend is: of
 * the directory as a whole, or of the nodes that say it.  All others are of
 * what we wrote ourselves.
 */
static bool about_place(const struct hcl_attachment *attachment,
                        const char *path)
{
    size_t len = strlen(attachment->dir);

    if (strncmp(path, attachment->dir, len) != 0 || path[len] != '/') {
        return true;
    }
    return strncmp(path + len + 1, HCLIF_NODE_BACKEND,
                   strlen(HCLIF_NODE_BACKEND)) == 0;
}

int hcl_attachment_events(struct hcl_attachment *attachment, bool *ret_moved,
                          struct hcl_err *err)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];
    int ret, count;

    for (count = 0; count < EVENTS_AT_A_TIME; count++) {
        ret = hcl_store_next_event(attachment->store, path, token, err);
        if (ret < 0) {
            return ret;
        }
        if (ret == 0) {
            break;
        }
        if (strcmp(token, TOKEN_FRONT) == 0 && about_place(attachment, path)) {
            *ret_moved = true;
        }
    }
    return count;
}

/* ---- Where everything is ----------------------------------------------- */

int hcl_attachment_check_domid(struct hcl_attachment *attachment,
                               bool *ret_changed, struct hcl_err *err)
{
    uint32_t domid;
    int ret = hcl_store_domid(attachment->store, &domid, err);

    *ret_changed = false;
    if (ret == -EBADMSG) {
        ret = -ENOENT;
    }
    if (ret == 0 && domid != attachment->domid) {
        attachment->domid = domid;
        *ret_changed = true;
    }
    return ret;
}

static int watch_backend(struct hcl_attachment *attachment, const char *dir,
                         struct hcl_err *err)
{
    char path[HCL_STORE_PATH + 16];
    int ret;

    unwatch_backend(attachment);
    snprintf(path, sizeof(path), "%s/" HCLIF_NODE_STATE, dir);
    ret = hcl_store_watch(attachment->store, path, TOKEN_BACK, err);
    if (ret == 0) {
        snprintf(attachment->backend_dir, sizeof(attachment->backend_dir), "%s",
                 dir);
        attachment->watched = true;
    }
    return ret;
}

int hcl_attachment_locate(struct hcl_attachment *attachment, bool *ret_changed,
                          struct hcl_err *err)
{
    char dir[HCL_STORE_PATH];
    uint32_t domid = 0;
    int ret = hcl_store_read(attachment->store, attachment->dir,
                             HCLIF_NODE_BACKEND, dir, sizeof(dir), err);

    *ret_changed = false;
    if (ret == 0) {
        ret = hcl_store_read_u32(attachment->store, attachment->dir,
                                 HCLIF_NODE_BACKEND_ID, 0, 0x7fef, &domid, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (attachment->watched && domid == attachment->backend_domid &&
        strcmp(dir, attachment->backend_dir) == 0) {
        return 0;
    }
    *ret_changed = true;
    attachment->backend_domid = domid;
    return watch_backend(attachment, dir, err);
}

/* A life number that may be missing, or malformed, which is as bad. */
static int read_id(struct hcl_attachment *attachment, const char *dir,
                   const char *node, bool *ret_has, uint64_t *ret_id,
                   struct hcl_err *err)
{
    int ret = hcl_store_read_id64(attachment->store, dir, node, ret_id, err);

    *ret_has = ret == 0;
    switch (ret) {
    case -ENOENT:
    case -EACCES:
    case -EPERM:
    case -EBADMSG:
    case -EMSGSIZE:
        return 0;
    default:
        return ret;
    }
}

int hcl_attachment_same_life(struct hcl_attachment *attachment,
                             uint64_t incarnation, bool *ret_same,
                             struct hcl_err *err)
{
    uint64_t found = 0;
    bool has;
    int ret = read_id(attachment, attachment->dir, HCLIF_NODE_INCARNATION, &has,
                      &found, err);

    *ret_same = ret == 0 && has && found == incarnation;
    return ret;
}

int hcl_attachment_none_yet(struct hcl_attachment *attachment, bool *ret_none,
                            struct hcl_err *err)
{
    char text[HCL_STORE_VALUE + 1];
    int ret = hcl_store_read(attachment->store, HCL_ATTACHMENTS_DIR, "", text,
                             sizeof(text), err);

    *ret_none = ret == -ENOENT;
    switch (ret) {
    case -ENOENT:
    case -EACCES:
    case -EPERM:
    case -EBADMSG:
        return 0;
    default:
        return ret;
    }
}

/* ---- Reading the backend's --------------------------------------------- */

struct viewing {
    struct hcl_attachment *attachment;
    struct hcl_peer_view view;
    bool paused;
};

static int read_view(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    struct viewing *viewing = arg;
    struct hcl_peer_view *view = &viewing->view;
    const char *dir = viewing->attachment->backend_dir;
    char pause[HCL_STORE_VALUE + 1];
    unsigned int state;
    int ret = hcl_store_read_state(store, dir, &state, err);

    if (ret < 0) {
        return ret;
    }
    view->state = (enum hcl_state)state;
    ret = read_id(viewing->attachment, dir, HCLIF_NODE_GENERATION,
                  &view->has_generation, &view->generation, err);
    if (ret < 0) {
        return ret;
    }
    ret = read_id(viewing->attachment, dir, HCLIF_NODE_INCARNATION,
                  &view->has_incarnation, &view->incarnation, err);
    if (ret < 0) {
        return ret;
    }
    viewing->paused = state == HCL_STATE_INITIALISING &&
                      hcl_store_read(store, dir, HCLIF_NODE_PAUSE, pause,
                                     sizeof(pause), NULL) == 0 &&
                      strcmp(pause, "1") == 0;
    return 0;
}

/*
 * In one transaction: state and lives of two moments could look like a refusal
 * that never was (doc/protocol.md 2.2).
 */
int hcl_attachment_view(struct hcl_attachment *attachment,
                        struct hcl_peer_view *ret_view, bool *ret_paused,
                        struct hcl_err *err)
{
    struct viewing viewing = {.attachment = attachment};
    int ret = hcl_store_transact(attachment->store, read_view, &viewing, err);

    if (ret == 0) {
        *ret_view = viewing.view;
        *ret_paused = viewing.paused;
    }
    return ret;
}

/* Turns what a node is not allowed to be into the backend's fault. */
static int fault_if(int ret, struct hcl_err *err)
{
    if (ret == -ENOENT || ret == -EBADMSG || ret == -EMSGSIZE) {
        if (err) {
            err->code = -EPROTO;
        }
        return -EPROTO;
    }
    return ret;
}

static int read_limit(struct hcl_attachment *attachment, const char *node,
                      uint32_t min, uint32_t max, uint32_t fallback,
                      uint32_t *ret_limit, struct hcl_err *err)
{
    int ret = hcl_store_read_u32(attachment->store, attachment->backend_dir,
                                 node, min, max, ret_limit, err);

    if (ret == -ENOENT) {
        *ret_limit = fallback;
        return 0;
    }
    return fault_if(ret, err);
}

static int read_limits(struct hcl_attachment *attachment,
                       struct hcl_limits *limits, struct hcl_err *err)
{
    int ret = read_limit(attachment, HCLIF_NODE_MAX_QUEUES, 1, HCLIF_MAX_QUEUES,
                         1, &limits->max_queues, err);

    if (ret == 0) {
        ret = read_limit(attachment, HCLIF_NODE_MAX_RING_PAGE_ORDER, 0,
                         HCLIF_MAX_RING_PAGE_ORDER, 0,
                         &limits->max_ring_page_order, err);
    }
    if (ret == 0) {
        ret = read_limit(attachment, HCLIF_NODE_MAX_POOL_PAGES, 0, UINT32_MAX,
                         0, &limits->max_pool_pages, err);
    }
    if (ret == 0) {
        ret = read_limit(attachment, HCLIF_NODE_MAX_HANDLES, 1, UINT16_MAX, 1,
                         &limits->max_handles, err);
    }
    return ret;
}

/* Reads a text node; NULL as @fallback: it must be there. */
static int read_text(struct hcl_attachment *attachment, const char *node,
                     const char *fallback, char *text, size_t size,
                     struct hcl_err *err)
{
    int ret = hcl_store_read(attachment->store, attachment->backend_dir, node,
                             text, size, err);

    if (ret == -ENOENT && fallback) {
        snprintf(text, size, "%s", fallback);
        return 0;
    }
    return fault_if(ret, err);
}

static int read_lists(struct hcl_attachment *attachment,
                      struct hcl_offer *offer, struct hcl_err *err)
{
    char text[HCL_STORE_VALUE + 1];
    int ret = read_text(attachment, HCLIF_NODE_VERSIONS, NULL, text,
                        sizeof(text), err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_offer_version(text, HCLIF_VERSION);
    if (ret < 0) {
        return hcl_err_set(err, -EPROTO, "the backend's versions are \"%s\"",
                           text);
    }
    if (!ret) {
        return hcl_err_set(err, -EPROTONOSUPPORT,
                           "the backend speaks protocol versions %s, this "
                           "program only %u",
                           text, HCLIF_VERSION);
    }
    ret = read_text(attachment, HCLIF_NODE_IDEMPOTENT, "", text, sizeof(text),
                    err);
    if (ret < 0) {
        return ret;
    }
    if (hcl_offer_opcodes(text, &offer->repeatable) < 0) {
        return hcl_err_set(err, -EPROTO,
                           "the backend's idempotent opcodes are \"%s\"", text);
    }
    return 0;
}

struct offering {
    struct hcl_attachment *attachment;
    struct hcl_offer offer;
    int ret;
    struct hcl_err err;
};

static int read_nodes(struct hcl_attachment *attachment,
                      struct hcl_offer *offer, struct hcl_err *err)
{
    unsigned int state;
    int ret = hcl_store_read_state(attachment->store, attachment->backend_dir,
                                   &state, err);

    if (ret == 0 && state != HCL_STATE_INIT_WAIT) {
        return hcl_err_set(err, -ESTALE, "the backend is not ready any more");
    }
    if (ret == 0) {
        ret = fault_if(
            hcl_store_read_id64(attachment->store, attachment->backend_dir,
                                HCLIF_NODE_GENERATION, &offer->generation, err),
            err);
    }
    if (ret == 0) {
        ret = read_text(attachment, HCLIF_NODE_CLASS, NULL, offer->class_name,
                        sizeof(offer->class_name), err);
    }
    if (ret == 0) {
        hcl_text_clean(offer->class_name);
        ret = read_limits(attachment, &offer->limits, err);
    }
    if (ret == 0) {
        ret = read_lists(attachment, offer, err);
    }
    return ret;
}

static int read_offer(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    struct offering *offering = arg;

    (void)store;
    (void)err;
    memset(&offering->offer, 0, sizeof(offering->offer));
    offering->ret =
        read_nodes(offering->attachment, &offering->offer, &offering->err);
    /* A fault counts only if the commit says that its nodes go together. */
    return 0;
}

int hcl_attachment_offer(struct hcl_attachment *attachment,
                         struct hcl_offer *ret_offer, struct hcl_err *err)
{
    struct offering offering = {.attachment = attachment};
    int ret = hcl_store_transact(attachment->store, read_offer, &offering, err);

    if (ret < 0) {
        return ret;
    }
    if (offering.ret < 0) {
        return hcl_err_set(err, offering.ret, "%s", offering.err.text);
    }
    *ret_offer = offering.offer;
    return 0;
}

void hcl_attachment_reason(const struct hcl_attachment *attachment,
                           char *ret_text)
{
    hcl_attachment_text(attachment->store, attachment->backend_dir,
                        HCLIF_NODE_ERROR, ret_text, HCL_ERR_TEXT);
}

/* ---- Writing the own --------------------------------------------------- */

struct writing {
    const struct hcl_attachment *attachment;
    const struct hcl_publication *publication; /* or NULL */
    enum hcl_state state;
};

static int write_publication(struct hcl_store *store, const char *dir,
                             const struct hcl_publication *publication,
                             struct hcl_err *err)
{
    char node[32];
    int ret = hcl_store_write(store, dir, HCLIF_NODE_VERSION, err, "%u",
                              HCLIF_VERSION);

    if (ret == 0) {
        ret = hcl_store_write(store, dir, HCLIF_NODE_CONTROL_REF, err, "%u",
                              publication->control_ref);
    }
    if (ret == 0) {
        snprintf(node, sizeof(node), HCLIF_NODE_EVENT_CHANNEL, 0u);
        ret = hcl_store_write(store, dir, node, err, "%u", publication->port);
    }
    if (ret == 0) {
        ret = hcl_store_write_id64(store, dir, HCLIF_NODE_GENERATION,
                                   publication->generation, err);
    }
    if (ret == 0) {
        ret = hcl_store_write_id64(store, dir, HCLIF_NODE_INCARNATION,
                                   publication->incarnation, err);
    }
    return ret;
}

static int write_nodes(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    const struct writing *writing = arg;
    const char *dir = writing->attachment->dir;
    char state[8];
    /* Only where the toolstack has made the directory: doc/protocol.md 1.2. */
    int ret =
        hcl_store_read(store, dir, HCLIF_NODE_STATE, state, sizeof(state), err);

    if (ret == -EBADMSG || ret == -EMSGSIZE) {
        ret = 0; /* it is there, whoever wrote it */
    }
    if (ret == 0 && writing->publication) {
        ret = write_publication(store, dir, writing->publication, err);
    }
    if (ret == 0) {
        ret = hcl_store_write(store, dir, HCLIF_NODE_STATE, err, "%u",
                              writing->state);
    }
    return ret;
}

int hcl_attachment_write_state(struct hcl_attachment *attachment,
                               enum hcl_state state, struct hcl_err *err)
{
    struct writing writing = {attachment, NULL, state};

    return hcl_store_transact(attachment->store, write_nodes, &writing, err);
}

int hcl_attachment_publish(struct hcl_attachment *attachment,
                           const struct hcl_publication *publication,
                           struct hcl_err *err)
{
    struct writing writing = {attachment, publication, HCL_STATE_INITIALISED};

    return hcl_store_transact(attachment->store, write_nodes, &writing, err);
}
