/* SPDX-License-Identifier: MIT */
/* attachment_nodes.c: what an attachment reads and writes in xenstore. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attachment.h"
#include "spec.h"
#include "supervisor.h"

/* ---- Reading ----------------------------------------------------------- */

/*
 * What the value says, or its being missing or malformed; what the store alone
 * could not tell leaves everything as it is, for a second.
 */
static bool is_answer(struct hcl_attachment *a, int rc)
{
    if (rc == 0 || rc == -ENOENT || rc == -EBADMSG || rc == -EMSGSIZE) {
        return true;
    }
    hcl_attachment_retry(a);
    return false;
}

/* "0" and "1"; anything else, or nothing, is @fallback. */
static void read_flag(struct hcl_attachment *a, const char *node, bool fallback,
                      bool *flag)
{
    uint32_t value;
    int rc = hcl_store_read_u32(a->supervisor->store, a->backend_dir, node, 0,
                                1, &value, NULL);

    if (is_answer(a, rc)) {
        *flag = rc == 0 ? value : fallback;
    }
}

/*
 * Complete is a directory that has what it must have.  Half of it means that
 * the toolstack is not done making or removing it.
 */
static void read_identity(struct hcl_attachment *a)
{
    struct hcl_store *store = a->supervisor->store;
    char device[sizeof(a->device)];
    uint32_t frontend_id = 0;
    int rc = hcl_store_read_u32(store, a->backend_dir, HCLIF_NODE_FRONTEND_ID,
                                0, UINT32_MAX, &frontend_id, NULL);

    if (rc == 0) {
        rc = hcl_store_read(store, a->backend_dir, HCLIF_NODE_DEVICE, device,
                            sizeof(device), NULL);
    }
    if (!is_answer(a, rc)) {
        return;
    }
    a->complete = rc == 0 && frontend_id == a->domid;
    if (a->complete) {
        hcl_text_clean(device);
        snprintf(a->device, sizeof(a->device), "%s", device);
    }
}

static void read_domain(struct hcl_attachment *a)
{
    char domain[sizeof(a->domain)];
    int rc = hcl_store_read(a->supervisor->store, a->backend_dir,
                            HCLIF_NODE_DOMAIN, domain, sizeof(domain), NULL);

    if (is_answer(a, rc)) {
        snprintf(a->domain, sizeof(a->domain), "%s", rc == 0 ? domain : "");
        hcl_text_clean(a->domain);
    }
}

/* Text that is no list of options is shown as if it were the first one. */
static void read_option(struct hcl_attachment *a)
{
    char text[HCL_STORE_VALUE + 1] = "";
    struct hcl_spec spec;
    const char *first = text;
    int rc = hcl_store_read(a->supervisor->store, a->backend_dir,
                            HCLIF_NODE_OPTIONS, text, sizeof(text), NULL);

    if (!is_answer(a, rc)) {
        return;
    }
    if (rc < 0) {
        first = "";
    } else if (hcl_spec_parse(&spec, text, NULL) == 0) {
        first = spec.count > 0 ? spec.key[0] : "";
    }
    snprintf(a->option, sizeof(a->option), "%.60s", first);
    hcl_text_clean(a->option);
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
        a->departed = 0;
        a->error[0] = '\0';
    }
}

void hcl_attachment_refresh(struct hcl_attachment *a)
{
    read_identity(a);
    if (!a->complete) {
        return;
    }
    read_domain(a);
    read_option(a);
    read_flag(a, HCLIF_NODE_ONLINE, true, &a->online);
    read_flag(a, HCLIF_NODE_PAUSE, false, &a->pause);
    check_remade(a);
    watch_frontend(a);
}

struct peer_reading {
    const char *dir;
    struct hcl_peer_view view;
};

/* Missing, malformed and hidden numbers are alike. */
static int read_life(struct hcl_store *store, const char *dir, const char *node,
                     bool *ret_has, uint64_t *ret_value, struct hcl_err *err)
{
    int rc = hcl_store_read_id64(store, dir, node, ret_value, err);

    if (rc < 0 && rc != -ENOENT && rc != -EBADMSG && rc != -EMSGSIZE &&
        rc != -EACCES && rc != -EPERM) {
        return rc;
    }
    *ret_has = rc == 0;
    return 0;
}

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
        rc = read_life(store, reading->dir, HCLIF_NODE_GENERATION,
                       &view->has_generation, &view->generation, err);
        if (rc == 0) {
            rc = read_life(store, reading->dir, HCLIF_NODE_INCARNATION,
                           &view->has_incarnation, &view->incarnation, err);
        }
    }
    return rc;
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
    bool missing; /* the directory, or the one that we advertised in */
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

/* hclctl learns from it that a frontend in state 3 or 4 is dead. */
static int write_departed(struct hcl_store *store,
                          const struct hcl_attachment *a, enum hcl_state state,
                          struct hcl_err *err)
{
    if (state == HCL_STATE_CONNECTED) {
        return hcl_store_remove(store, a->backend_dir, HCLIF_NODE_DEPARTED,
                                err);
    }
    if (a->departed) {
        return hcl_store_write_id64(store, a->backend_dir, HCLIF_NODE_DEPARTED,
                                    a->departed, err);
    }
    return 0;
}

/*
 * Whether there is a directory to write to.  The verdict is used after the
 * commit: what an uncommitted transaction read may never have been.
 */
static int check_state(struct hcl_store *store, struct writing *writing,
                       struct hcl_err *err)
{
    char state[8] = "";
    int rc = hcl_store_read(store, writing->attachment->backend_dir,
                            HCLIF_NODE_STATE, state, sizeof(state), err);

    writing->missing = rc == -ENOENT;
    if (rc < 0 && rc != -ENOENT && rc != -EBADMSG && rc != -EMSGSIZE) {
        return rc;
    }
    if (writing->update->state == HCL_STATE_CONNECTED &&
        (rc < 0 || strcmp(state, "2") != 0)) {
        writing->missing = true;
    }
    return 0;
}

static int write_update(struct hcl_store *store, void *arg, struct hcl_err *err)
{
    struct writing *writing = arg;
    const struct hcl_attachment_update *update = writing->update;
    const char *dir = writing->attachment->backend_dir;
    int rc = check_state(store, writing, err);

    if (rc < 0 || writing->missing) {
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
        rc = write_departed(store, writing->attachment, update->state, err);
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
    struct writing writing = {a, update, false};
    int rc =
        hcl_store_transact(a->supervisor->store, write_update, &writing, err);

    if (rc < 0) {
        return rc;
    }
    if (writing.missing) {
        return hcl_err_set(err, -ENOENT, "%s is gone", a->backend_dir);
    }
    a->departed = 0;
    a->own = update->state;
    a->written = true;
    a->refused = update->refuse;
    if (update->error) {
        snprintf(a->error, sizeof(a->error), "%s", update->error);
    }
    return 0;
}
