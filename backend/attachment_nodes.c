/* SPDX-License-Identifier: MIT */
/* attachment_nodes.c: what an attachment reads and writes in xenstore. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attachment.h"
#include "spec.h"
#include "supervisor.h"

/* ---- Reading ----------------------------------------------------------- */

/* "0" and "1"; anything else, or nothing, is @fallback. */
static bool read_flag(struct hcl_store *store, const char *dir,
                      const char *node, bool fallback)
{
    uint32_t value;

    if (hcl_store_read_u32(store, dir, node, 0, 1, &value, NULL) < 0) {
        return fallback;
    }
    return value;
}

/*
 * True if the directory has what it must have.  Half of it means that the
 * toolstack is not done making or removing it.
 */
static bool read_identity(struct hcl_attachment *a)
{
    struct hcl_store *store = a->supervisor->store;
    uint32_t frontend_id;

    if (hcl_store_read_u32(store, a->backend_dir, HCLIF_NODE_FRONTEND_ID, 0,
                           UINT32_MAX, &frontend_id, NULL) < 0 ||
        frontend_id != a->domid ||
        hcl_store_read(store, a->backend_dir, HCLIF_NODE_DEVICE, a->device,
                       sizeof(a->device), NULL) < 0) {
        return false;
    }
    hcl_text_clean(a->device);
    return true;
}

/* Text that is no list of options is shown as if it were the first one. */
static void read_option(struct hcl_attachment *a)
{
    char text[HCL_STORE_VALUE + 1];
    struct hcl_spec spec;
    int rc = hcl_store_read(a->supervisor->store, a->backend_dir,
                            HCLIF_NODE_OPTIONS, text, sizeof(text), NULL);

    a->option[0] = '\0';
    if (rc == 0 && text[0]) {
        rc = hcl_spec_parse(&spec, text, NULL);
        snprintf(a->option, sizeof(a->option), "%.60s",
                 rc == 0 ? spec.key[0] : text);
        hcl_text_clean(a->option);
    }
}

static void watch_frontend(struct hcl_attachment *a)
{
    char token[HCL_ATTACHMENT_DIR];
    char path[HCL_STORE_PATH];
    struct hcl_err err = {0};

    if (a->watched) {
        return;
    }
    hcl_attachment_token(a->domid, a->devid, token);
    snprintf(path, sizeof(path), "%s/" HCLIF_NODE_STATE, a->frontend_dir);
    if (hcl_store_watch(a->supervisor->store, path, token, &err) < 0) {
        memcpy(a->watch_error, err.text, sizeof(a->watch_error));
        return;
    }
    a->watched = true;
    a->watch_error[0] = '\0';
}

/*
 * Somebody else wrote `state`: the directory was removed and made again between
 * two looks, so nothing of the old one counts.
 */
static void check_remade(struct hcl_attachment *a)
{
    unsigned int state;

    if (hcl_store_read_state(a->supervisor->store, a->backend_dir, &state,
                             NULL) < 0) {
        return;
    }
    if (!a->written || state != (unsigned int)a->own) {
        a->own = HCL_STATE_INITIALISING;
        a->written = state == HCL_STATE_INITIALISING;
        a->refused = false;
        a->error[0] = '\0';
    }
}

void hcl_attachment_refresh(struct hcl_attachment *a)
{
    struct hcl_store *store = a->supervisor->store;

    a->complete = read_identity(a);
    if (!a->complete) {
        return;
    }
    if (hcl_store_read(store, a->backend_dir, HCLIF_NODE_DOMAIN, a->domain,
                       sizeof(a->domain), NULL) < 0) {
        a->domain[0] = '\0';
    }
    hcl_text_clean(a->domain);
    read_option(a);
    a->online = read_flag(store, a->backend_dir, HCLIF_NODE_ONLINE, true);
    a->pause = read_flag(store, a->backend_dir, HCLIF_NODE_PAUSE, false);
    check_remade(a);
    watch_frontend(a);
}

struct peer_reading {
    const char *dir;
    struct hcl_peer_view view;
};

static int read_view(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    struct peer_reading *reading = arg;
    struct hcl_peer_view *view = &reading->view;
    unsigned int state;
    int rc = hcl_store_read_state(store, reading->dir, &state, err);

    if (rc < 0) {
        return rc;
    }
    memset(view, 0, sizeof(*view));
    view->state = (enum hcl_state)state;
    if (view->state == HCL_STATE_INITIALISED ||
        view->state == HCL_STATE_CONNECTED) {
        view->has_generation =
            hcl_store_read_id64(store, reading->dir, HCLIF_NODE_GENERATION,
                                &view->generation, NULL) == 0;
        view->has_incarnation =
            hcl_store_read_id64(store, reading->dir, HCLIF_NODE_INCARNATION,
                                &view->incarnation, NULL) == 0;
    }
    return 0;
}

/*
 * In one transaction: state and lives of two moments could look like a third.
 * Most states speak about no life, and need none.
 */
int hcl_attachment_read_peer(struct hcl_attachment *a,
                             struct hcl_peer_view *ret_view,
                             struct hcl_err *err)
{
    struct hcl_store *store = a->supervisor->store;
    struct peer_reading reading = {.dir = a->frontend_dir};
    unsigned int state;
    int rc = hcl_store_read_state(store, a->frontend_dir, &state, err);

    if (rc < 0) {
        return rc;
    }
    reading.view.state = (enum hcl_state)state;
    if (state == HCL_STATE_INITIALISED || state == HCL_STATE_CONNECTED) {
        rc = hcl_store_transact(store, read_view, &reading, err);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_view = reading.view;
    return 0;
}

/* ---- Writing ----------------------------------------------------------- */

struct writing {
    struct hcl_attachment *attachment;
    const struct hcl_attachment_update *update;
};

static int write_limit(struct hcl_store *store, const char *dir,
                       const char *node, uint32_t value, struct hcl_err *err)
{
    return hcl_store_write(store, dir, node, err, "%u", value);
}

static int write_limits(struct hcl_store *store, const char *dir,
                        const struct hcl_limits *limits, struct hcl_err *err)
{
    int rc =
        write_limit(store, dir, HCLIF_NODE_MAX_QUEUES, limits->max_queues, err);

    if (rc == 0) {
        rc = write_limit(store, dir, HCLIF_NODE_MAX_RING_PAGE_ORDER,
                         limits->max_ring_page_order, err);
    }
    if (rc == 0) {
        rc = write_limit(store, dir, HCLIF_NODE_MAX_POOL_PAGES,
                         limits->max_pool_pages, err);
    }
    if (rc == 0) {
        rc = write_limit(store, dir, HCLIF_NODE_MAX_HANDLES,
                         limits->max_handles, err);
    }
    return rc;
}

static int write_facts(struct hcl_store *store, const char *dir,
                       const struct hcl_keeper *keeper, struct hcl_err *err)
{
    int rc = hcl_store_write(store, dir, HCLIF_NODE_CLASS, err, "%s",
                             keeper->class_name);

    if (rc == 0) {
        rc = hcl_store_write(store, dir, HCLIF_NODE_VERSIONS, err, "%u",
                             HCLIF_VERSION);
    }
    if (rc == 0) {
        rc = hcl_store_write_id64(store, dir, HCLIF_NODE_GENERATION,
                                  keeper->generation, err);
    }
    if (rc == 0) {
        rc = hcl_store_write(store, dir, HCLIF_NODE_IDEMPOTENT, err, "%s",
                             keeper->idempotent);
    }
    return rc == 0 ? write_limits(store, dir, &keeper->config->limits, err)
                   : rc;
}

static int write_incarnation(struct hcl_store *store, const char *dir,
                             const struct hcl_attachment_update *update,
                             struct hcl_err *err)
{
    if (update->has_incarnation) {
        return hcl_store_write_id64(store, dir, HCLIF_NODE_INCARNATION,
                                    update->incarnation, err);
    }
    if (update->advertise || update->refuse) {
        return hcl_store_remove(store, dir, HCLIF_NODE_INCARNATION, err);
    }
    return 0;
}

static int write_error(struct hcl_store *store, const char *dir,
                       const struct hcl_attachment_update *update,
                       struct hcl_err *err)
{
    if (!update->error) {
        return 0;
    }
    if (!update->error[0]) {
        return hcl_store_remove(store, dir, HCLIF_NODE_ERROR, err);
    }
    return hcl_store_write(store, dir, HCLIF_NODE_ERROR, err, "%s",
                           update->error);
}

static int write_update(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    struct writing *writing = arg;
    const struct hcl_attachment_update *update = writing->update;
    const char *dir = writing->attachment->backend_dir;
    char id[16];
    int rc =
        hcl_store_read(store, dir, HCLIF_NODE_FRONTEND_ID, id, sizeof(id), err);

    if (rc < 0) {
        return rc;
    }
    if (update->advertise) {
        rc = write_facts(store, dir, writing->attachment->keeper, err);
    }
    if (rc == 0) {
        rc = write_incarnation(store, dir, update, err);
    }
    if (rc == 0) {
        rc = write_error(store, dir, update, err);
    }
    if (rc == 0) {
        rc = hcl_store_write(store, dir, HCLIF_NODE_STATE, err, "%d",
                             (int)update->state);
    }
    return rc;
}

int hcl_attachment_write(struct hcl_attachment *a,
                         const struct hcl_attachment_update *update,
                         struct hcl_err *err)
{
    struct writing writing = {a, update};
    int rc =
        hcl_store_transact(a->supervisor->store, write_update, &writing, err);

    if (rc < 0) {
        return rc;
    }
    a->own = update->state;
    a->written = true;
    a->refused = update->refuse;
    if (update->error) {
        snprintf(a->error, sizeof(a->error), "%s", update->error);
    }
    return 0;
}
