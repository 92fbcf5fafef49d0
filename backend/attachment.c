/* SPDX-License-Identifier: MIT */
#include "attachment.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor.h"

/* More hops than the tables have in a row. */
#define MAX_HOPS 8

/* ---- Life -------------------------------------------------------------- */

void hcl_attachment_token(uint32_t domid, uint32_t devid, char *buf)
{
    snprintf(buf, HCL_ATTACHMENT_DIR, "%u/%u", domid, devid);
}

struct hcl_attachment *hcl_attachment_new(struct hcl_supervisor *supervisor,
                                          uint32_t domid, uint32_t devid)
{
    struct hcl_attachment *a = calloc(1, sizeof(*a));

    if (!a) {
        return NULL;
    }
    a->supervisor = supervisor;
    a->domid = domid;
    a->devid = devid;
    a->own = HCL_STATE_INITIALISING;
    snprintf(a->backend_dir, sizeof(a->backend_dir),
             "backend/" HCLIF_KIND "/%u/%u", domid, devid);
    snprintf(a->frontend_dir, sizeof(a->frontend_dir),
             "/local/domain/%u/device/" HCLIF_KIND "/%u", domid, devid);
    a->next = supervisor->attachments;
    supervisor->attachments = a;
    return a;
}

static void unwatch_frontend(struct hcl_attachment *a)
{
    char token[HCL_ATTACHMENT_DIR];
    char path[HCL_STORE_PATH];

    if (a->watched) {
        hcl_attachment_token(a->domid, a->devid, token);
        snprintf(path, sizeof(path), "%s/" HCLIF_NODE_STATE, a->frontend_dir);
        hcl_store_unwatch(a->supervisor->store, path, token);
        a->watched = false;
    }
}

void hcl_attachment_free(struct hcl_attachment *a)
{
    struct hcl_attachment **link = &a->supervisor->attachments;

    while (*link != a) {
        link = &(*link)->next;
    }
    *link = a->next;
    unwatch_frontend(a);
    hcl_timer_stop(&a->deadline);
    hcl_timer_stop(&a->retry);
    free(a->offer);
    free(a);
}

static void on_retry(void *arg)
{
    struct hcl_attachment *a = arg;

    a->trouble[0] = '\0';
    hcl_attachment_refresh(a);
    hcl_attachment_step(a);
}

void hcl_attachment_retry(struct hcl_attachment *a)
{
    /* Armed already: events must not put it off for ever. */
    if (!a->retry.loop) {
        hcl_timer_start(&a->retry, a->supervisor->loop,
                        a->supervisor->settings->retry_backoff_ms * 1000ull,
                        on_retry, a);
    }
}

/* ---- For people -------------------------------------------------------- */

/* The guest can make these lines come: the limit is its own. */
static void log_about(struct hcl_attachment *a, enum hcl_log_level level,
                      const char *text)
{
    hcl_log_limited(&a->log_limit, level, "%s: guest %s (domain %u): %s",
                    a->device, a->domain[0] ? a->domain : "?", a->domid, text);
}

static void run_hotplug(struct hcl_attachment *a, bool connect)
{
    struct hcl_hotplug_event event = {
        .connect = connect,
        .domid = a->domid,
        .devid = a->devid,
        .device = a->keeper->config->name,
        .class_name = a->keeper->class_name,
        .domain = a->domain,
    };

    hcl_hotplug_run(a->supervisor->hotplug, &event);
}

/* ---- Writing ----------------------------------------------------------- */

/* False: the directory is gone, or nothing can be written until the retry. */
static bool write_nodes(struct hcl_attachment *a,
                        const struct hcl_attachment_update *update)
{
    struct hcl_err err = {0};
    int rc = hcl_attachment_write(a, update, &err);

    if (rc == -ENOENT) {
        a->complete = false;
    } else if (rc < 0) {
        log_about(a, HCL_LOG_ERROR, err.text);
        hcl_attachment_retry(a);
    }
    return rc == 0;
}

static bool write_state(struct hcl_attachment *a, enum hcl_state state,
                        const char *error)
{
    struct hcl_attachment_update update = {.state = state, .error = error};

    return write_nodes(a, &update);
}

/* To 6, because of this life of the frontend. */
static void write_fault(struct hcl_attachment *a, uint64_t incarnation,
                        const char *text)
{
    struct hcl_attachment_update update = {
        .state = HCL_STATE_CLOSED,
        .has_incarnation = true,
        .incarnation = incarnation,
        .error = text,
    };

    log_about(a, HCL_LOG_WARNING, text);
    write_nodes(a, &update);
}

/* What failed is ours, not the guest's: state 1 with @text, and once more. */
static void postpone(struct hcl_attachment *a, const char *text)
{
    snprintf(a->trouble, sizeof(a->trouble), "%s", text);
    log_about(a, HCL_LOG_ERROR, text);
    hcl_attachment_retry(a);
}

/* ---- Connecting -------------------------------------------------------- */

static void on_deadline(void *arg)
{
    struct hcl_attachment *a = arg;

    if (a->link == HCL_LINK_CONNECTING) {
        snprintf(a->fault, sizeof(a->fault),
                 "the device's worker did not connect within %u ms",
                 a->keeper->config->connect_timeout_ms);
    }
    /* What it has mapped goes when it is reaped: hcl_attachment_lost. */
    hcl_keeper_kill(a->keeper, "does not answer");
}

static void set_link(struct hcl_attachment *a, enum hcl_link link)
{
    a->link = link;
    hcl_timer_stop(&a->deadline);
    if (link == HCL_LINK_CONNECTING || link == HCL_LINK_CLOSING) {
        /* A worker that needs longer to map or unmap hangs. */
        hcl_timer_start(&a->deadline, a->supervisor->loop,
                        a->keeper->config->connect_timeout_ms * 1000ull,
                        on_deadline, a);
    }
    if (link != HCL_LINK_CONNECTING) {
        free(a->offer);
        a->offer = NULL;
    }
}

/* Hands the offer to the worker. */
static int send_connect(struct hcl_attachment *a, struct hcl_err *err)
{
    struct hcl_message message = {.type = HCL_MESSAGE_CONNECT};
    struct hcl_gntdev gntdev = {.fd = -1};
    struct hcl_ports *ports = NULL;
    int rc =
        hcl_offer_prepare(a->offer, &gntdev, &ports, &message.connect, err);

    if (rc == 0) {
        int fds[HCL_MESSAGE_FDS] = {gntdev.fd, hcl_ports_fd(ports)};

        message.connect.connection = a->connection;
        message.connect.devid = a->devid;
        message.connect.max_handles = a->keeper->config->limits.max_handles;
        message.connect.polls =
            hcl_device_config_polls(a->keeper->config, a->domain);
        message.connect.share =
            hcl_share_of(&a->keeper->config->spec, a->domain);
        rc = hcl_keeper_send(a->keeper, &message, fds, err);
    }
    hcl_ports_free(ports);
    hcl_gntdev_close(&gntdev);
    return rc;
}

/* Reads, checks and sends; -EAGAIN: the frontend has changed its mind. */
static int connect_offer(struct hcl_attachment *a, struct hcl_err *err)
{
    const struct hcl_limits *limits = &a->keeper->config->limits;
    int rc = hcl_offer_read(a->offer, a->supervisor->store, a->frontend_dir,
                            a->domid, a->keeper->generation, limits->max_queues,
                            err);

    a->incarnation = a->offer->incarnation;
    if (rc < 0) {
        return rc;
    }
    rc = hcl_offer_load(a->offer, &a->supervisor->reader, limits, err);
    if (rc < 0) {
        return rc;
    }
    a->connection = hcl_supervisor_new_connection(a->supervisor);
    return send_connect(a, err);
}

/* True: the state has to change, look again. */
static bool connect_frontend(struct hcl_attachment *a)
{
    struct hcl_err err = {0};
    int rc;

    if (!hcl_attachment_may_connect(a)) {
        hcl_attachment_retry(a);
        return false;
    }
    a->offer = calloc(1, sizeof(*a->offer));
    if (!a->offer) {
        postpone(a, "hcl-backend has no memory for this connection");
        return true;
    }
    memset(&a->stats, 0, sizeof(a->stats));
    rc = connect_offer(a, &err);
    if (rc == 0) {
        set_link(a, HCL_LINK_CONNECTING);
        return false;
    }
    set_link(a, HCL_LINK_LOOSE);
    /* A worker that took no message has been killed: all start anew. */
    if (rc == -EAGAIN || a->keeper->state != HCL_KEEPER_READY) {
        return false;
    }
    if (rc == -EBADMSG) {
        write_fault(a, a->incarnation, err.text);
        return false;
    }
    postpone(a, err.text);
    return true;
}

/*
 * What changed while the worker was mapping is seen by the step that follows:
 * it disconnects what is not in state 4.
 */
static void take_connected(struct hcl_attachment *a)
{
    struct hcl_attachment_update update = {
        .state = HCL_STATE_CONNECTED,
        .has_incarnation = true,
        .incarnation = a->incarnation,
        .error = "",
    };

    set_link(a, HCL_LINK_CONNECTED);
    if (!a->complete || a->own != HCL_STATE_INIT_WAIT ||
        a->keeper->state != HCL_KEEPER_READY) {
        return;
    }
    if (!write_nodes(a, &update)) {
        if (a->complete) {
            postpone(a, "cannot write state 4 to xenstore");
        }
        return;
    }
    log_about(a, HCL_LOG_INFO, "connected");
    a->announced = true;
    run_hotplug(a, true);
}

static void take_refused(struct hcl_attachment *a,
                         const struct hcl_message_refused *refused)
{
    bool ours = refused->refusal == HCL_REFUSAL_OTHER;
    struct hcl_err err = {0};

    hcl_err_set(&err, -EBADMSG, "%s", refused->text);
    if (refused->refusal == HCL_REFUSAL_MAP) {
        ours = hcl_offer_find_bad(a->offer, &a->supervisor->reader, &err) !=
               -EBADMSG;
    } else if (refused->refusal == HCL_REFUSAL_GONE) {
        a->departed = a->incarnation;
    }
    set_link(a, HCL_LINK_LOOSE);
    if (ours) {
        postpone(a, err.text);
    } else if (a->complete && a->own == HCL_STATE_INIT_WAIT) {
        write_fault(a, a->incarnation, err.text);
    }
}

/* ---- Closing ----------------------------------------------------------- */

/*
 * To 5, or, for a fault, straight to 6: at 5 the frontend would start anew
 * before it has read why.  What comes then is seen when the worker has
 * unmapped.
 */
static void disconnect(struct hcl_attachment *a, const char *fault)
{
    struct hcl_message message = {.type = HCL_MESSAGE_DISCONNECT};
    struct hcl_err err = {0};

    if (!fault && a->complete) {
        write_state(a, HCL_STATE_CLOSING, NULL);
    }
    snprintf(a->fault, sizeof(a->fault), "%s", fault ? fault : "");
    set_link(a, HCL_LINK_CLOSING);
    message.disconnect.connection = a->connection;
    if (hcl_keeper_send(a->keeper, &message, NULL, &err) < 0) {
        /* The worker was killed, or is going: hcl_attachment_lost follows. */
        hcl_timer_stop(&a->deadline);
    }
}

static void describe_end(const struct hcl_stats *stats, char *buf, size_t size)
{
    snprintf(buf, size,
             "disconnected, after %llu requests and %llu completions, %llu ms "
             "of device time; %llu requests waited for their turn, a cap "
             "stopped it %llu times",
             (unsigned long long)stats->requests,
             (unsigned long long)stats->completions,
             (unsigned long long)stats->device_ns / 1000000,
             (unsigned long long)stats->queued,
             (unsigned long long)stats->throttled);
}

/* Nothing is mapped any more. */
static void closed(struct hcl_attachment *a, const char *fault)
{
    char text[HCL_ERR_TEXT];
    char line[HCL_ERR_TEXT];

    describe_end(&a->stats, line, sizeof(line));
    if (a->announced) {
        a->announced = false;
        log_about(a, HCL_LOG_INFO, line);
        run_hotplug(a, false);
    }
    snprintf(text, sizeof(text), "%s", fault);
    a->fault[0] = '\0';
    set_link(a, HCL_LINK_LOOSE);
    /* Not in a directory that was made again meanwhile. */
    if (a->complete && a->own != HCL_STATE_INITIALISING && text[0]) {
        write_fault(a, a->incarnation, text);
    }
}

void hcl_attachment_lost(struct hcl_attachment *a)
{
    if (a->link != HCL_LINK_LOOSE) {
        closed(a, a->fault);
    }
    hcl_attachment_step(a);
}

static void take_closed(struct hcl_attachment *a,
                        const struct hcl_message_closed *message)
{
    if (message->reason == HCL_CLOSE_PEER_GONE) {
        a->departed = a->incarnation;
    }
    if (message->reason == HCL_CLOSE_PEER_GONE ||
        message->reason == HCL_CLOSE_BROKEN) {
        log_about(a, HCL_LOG_INFO, message->text);
    }
    closed(a, message->reason == HCL_CLOSE_FAULT ? message->text : a->fault);
}

void hcl_attachment_message(struct hcl_attachment *a,
                            const struct hcl_message *message)
{
    switch (message->type) {
    case HCL_MESSAGE_CONNECTED:
        if (a->link == HCL_LINK_CONNECTING) {
            take_connected(a);
        }
        break;
    case HCL_MESSAGE_REFUSED:
        if (a->link == HCL_LINK_CONNECTING) {
            take_refused(a, &message->refused);
        }
        break;
    case HCL_MESSAGE_CLOSED:
        if (a->link == HCL_LINK_CONNECTED || a->link == HCL_LINK_CLOSING) {
            take_closed(a, &message->closed);
        }
        break;
    case HCL_MESSAGE_STATS:
        a->stats = message->stats.stats;
        return;
    default:
        return;
    }
    hcl_attachment_step(a);
}

/* ---- The tables -------------------------------------------------------- */

/* False: xenstore failed, and is asked again soon. */
static bool read_view(struct hcl_attachment *a, struct hcl_peer_view *ret_view)
{
    struct hcl_err err = {0};

    if (hcl_attachment_read_peer(a, ret_view, &err) < 0) {
        log_about(a, HCL_LOG_ERROR, err.text);
        hcl_attachment_retry(a);
        return false;
    }
    return true;
}

/* The frontend's effective state; false: as above. */
static bool read_peer(struct hcl_attachment *a, enum hcl_state *ret_peer)
{
    struct hcl_peer_view view;

    if (!read_view(a, &view)) {
        return false;
    }
    *ret_peer = hcl_handshake_frontend_state(&view, a->keeper->generation,
                                             a->link == HCL_LINK_CONNECTED,
                                             a->incarnation);
    return true;
}

static void step_connected(struct hcl_attachment *a)
{
    char text[HCL_ERR_TEXT];
    enum hcl_state peer;

    if (!a->complete || a->own != HCL_STATE_CONNECTED ||
        a->keeper != hcl_supervisor_keeper(a->supervisor, a->device) ||
        hcl_attachment_admit(a, text) != HCL_ADMIT_SERVE) {
        disconnect(a, NULL);
        return;
    }
    if (!read_peer(a, &peer)) {
        return;
    }
    switch (hcl_handshake_next(HCL_BACKEND, a->own, peer)) {
    case HCL_ACTION_DISCONNECT:
        disconnect(a, NULL);
        break;
    case HCL_ACTION_FAULT:
        disconnect(a, peer == HCL_STATE_GONE
                          ? "the guest has gone: its state is missing"
                          : "the frontend's state is illegal");
        break;
    default:
        break;
    }
}

/* True: the state has changed, look again. */
static bool act(struct hcl_attachment *a, enum hcl_state own,
                enum hcl_state peer)
{
    struct hcl_attachment_update advertise = {.state = HCL_STATE_INIT_WAIT,
                                              .advertise = true};

    switch (hcl_handshake_next(HCL_BACKEND, own, peer)) {
    case HCL_ACTION_ADVERTISE:
        return write_nodes(a, &advertise);
    case HCL_ACTION_CONNECT:
        return connect_frontend(a);
    case HCL_ACTION_FAULT:
        write_fault(a, 0, "the frontend's state is illegal");
        return false;
    default:
        return false;
    }
}

static bool step_serve(struct hcl_attachment *a)
{
    /* A refusal that holds no more, and what was just unmapped, begin anew. */
    bool anew = (a->own == HCL_STATE_CLOSED && a->refused) ||
                a->own == HCL_STATE_CONNECTED || a->own == HCL_STATE_CLOSING;
    enum hcl_state own = anew ? HCL_STATE_INITIALISING : a->own;
    enum hcl_state peer;

    return read_peer(a, &peer) && act(a, own, peer);
}

/* A frontend that has not looked at its fault yet still has to read it. */
static bool fault_stands(struct hcl_attachment *a)
{
    struct hcl_peer_view view;

    if (a->own != HCL_STATE_CLOSED || a->refused || a->pause ||
        a->supervisor->stopping) {
        return false;
    }
    return read_view(a, &view) &&
           hcl_handshake_next(HCL_BACKEND, a->own, view.state) !=
               HCL_ACTION_ADVERTISE;
}

static void step_wait(struct hcl_attachment *a, const char *text)
{
    bool news = text[0] && strcmp(text, a->error) != 0;

    if (fault_stands(a)) {
        return;
    }
    if (a->own != HCL_STATE_INITIALISING || news) {
        write_state(a, HCL_STATE_INITIALISING, text[0] ? text : NULL);
    }
}

static void step_refuse(struct hcl_attachment *a, const char *text)
{
    struct hcl_attachment_update update = {
        .state = HCL_STATE_CLOSED, .refuse = true, .error = text};

    if (a->own != HCL_STATE_CLOSED || !a->refused ||
        strcmp(text, a->error) != 0) {
        log_about(a, HCL_LOG_WARNING, text);
        write_nodes(a, &update);
    }
}

/* True: look again. */
static bool step_loose(struct hcl_attachment *a)
{
    char text[HCL_ERR_TEXT];

    /* The first thing that we say: doc/protocol.md 2.3. */
    if (!a->written && !write_state(a, HCL_STATE_INITIALISING, NULL)) {
        return false;
    }
    switch (hcl_attachment_admit(a, text)) {
    case HCL_ADMIT_WAIT:
        step_wait(a, text);
        return false;
    case HCL_ADMIT_REFUSE:
        step_refuse(a, text);
        return false;
    default:
        return step_serve(a);
    }
}

void hcl_attachment_step(struct hcl_attachment *a)
{
    if (a->link == HCL_LINK_CONNECTING || a->link == HCL_LINK_CLOSING) {
        return;
    }
    if (a->link == HCL_LINK_CONNECTED) {
        step_connected(a);
        return;
    }
    /* The device of a directory that was made again may be another one. */
    a->keeper = hcl_supervisor_keeper(a->supervisor, a->device);
    for (unsigned int hops = 0; a->complete && hops < MAX_HOPS; hops++) {
        if (!step_loose(a)) {
            break;
        }
    }
    /* With a retry ahead it may only be that it could not be read. */
    if (!a->complete && !a->retry.loop) {
        hcl_attachment_free(a);
    }
}
