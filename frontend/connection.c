/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "barrier.h"

/* Steps of the handshake in one hcl_connection_process. */
#define STEPS_AT_A_TIME 8

void hcl_connection_look_again(void *arg)
{
    struct hcl_connection *connection = arg;

    connection->look = true;
}

/*
 * Not while xenstore has news, or had some that we have not looked at: after a
 * restore that is how we hear of it, and the event channel is another domain's
 * then (2.7).  hcl_connection_process comes, looks and rings.
 */
static void ring_doorbell(void *arg)
{
    struct hcl_connection *connection = arg;
    struct pollfd news = {.fd = hcl_store_fd(connection->attachment.store),
                          .events = POLLIN};

    if (connection->look || poll(&news, 1, 0) > 0) {
        connection->to_ring = true;
    } else {
        connection->events_out++;
        hcl_ports_notify(connection->ports, connection->port);
    }
}

/* ---- Letting go -------------------------------------------------------- */

/*
 * Whether the domain that we published in is still this one.  After a plain
 * save and restore it is another, mostly with another domid, and the event
 * channels are those of a domain that is no more.
 */
static int check_life(struct hcl_connection *connection, struct hcl_err *err)
{
    bool changed, same = true;
    int ret =
        hcl_attachment_check_domid(&connection->attachment, &changed, err);

    if (changed) {
        connection->restoring = true;
    } else if (ret == 0 && connection->published) {
        ret = hcl_attachment_same_life(&connection->attachment,
                                       connection->incarnation, &same, err);
    }
    if (changed || !same) {
        connection->stale = true;
        connection->moved = true;
    }
    return ret;
}

/* Never closes a port of another life: Linux would hit a BUG (2.7). */
void hcl_connection_free_ports(struct hcl_connection *connection)
{
    hcl_source_free(connection->ports_source);
    connection->ports_source = NULL;
    if (connection->ports &&
        (check_life(connection, NULL) < 0 || connection->stale)) {
        hcl_fork_guard_park(connection->guard, HCL_FORK_PORTS);
        hcl_ports_park(connection->ports);
    } else {
        hcl_fork_guard_hold();
        hcl_ports_free(connection->ports);
        connection->guard->fds[HCL_FORK_PORTS] = -1;
        hcl_fork_guard_let_go();
    }
    connection->ports = NULL;
    connection->published = false;
    connection->to_ring = false;
    connection->broken = false;
    connection->stale = false;
}

/* Of no use any more: @code and the text in @err say why. */
static void end_with(struct hcl_connection *connection, enum hcl_state own,
                     bool write_it, const struct hcl_err *err)
{
    if (!connection->end.code) {
        connection->end = *err;
        hcl_session_end(connection->session, err);
    }
    hcl_connection_free_ports(connection);
    if (own == HCL_STATE_CLOSED && !connection->local) {
        (void)!hcl_memory_release(&connection->memory, connection->share, NULL);
    }
    connection->own = own;
    if (write_it && !connection->local) {
        /* There is nobody left to tell that it failed. */
        (void)!hcl_attachment_write_state(&connection->attachment, own, NULL);
    }
}

/* The backend broke the protocol in shared memory (doc/protocol.md 5). */
static void end_by_fault(struct hcl_connection *connection,
                         enum hcl_queue_fault fault)
{
    struct hcl_err err;

    hcl_err_set(&err, -EPROTO, "the backend broke the protocol: %s",
                hcl_queue_fault_text(fault));
    end_with(connection, HCL_STATE_CLOSING, true, &err);
    connection->look = true;
}

/*
 * A backend that loses its connections soon after it made them is not
 * asked again at once, and later each time.
 */
static void set_backoff(struct hcl_connection *connection)
{
    uint64_t least = connection->options.backoff_ms * UINT64_C(1000);
    uint64_t most = connection->options.max_backoff_ms * UINT64_C(1000);
    uint64_t now = hcl_now_us(), backoff = connection->backoff_us * 2;

    if (connection->own == HCL_STATE_CONNECTED &&
        now - connection->connected_us >= 2 * most) {
        backoff = 0;
    } else if (backoff < least) {
        backoff = least;
    }
    if (backoff > most) {
        backoff = most;
    }
    connection->backoff_us = backoff;
    connection->publish_after_us = now + backoff;
}

/* Back to 1, to be connected anew. */
static int restart(struct hcl_connection *connection, struct hcl_err *err)
{
    int ret;

    if (connection->local) {
        return hcl_err_set(err, -ECONNRESET,
                           "the process that served the device has ended");
    }
    ret = check_life(connection, err);
    if (ret < 0 && ret != -ENOENT) {
        return ret;
    }
    if (connection->own == HCL_STATE_CONNECTED) {
        /* In another life the old rings mean nothing (2.7). */
        if (!connection->stale) {
            hcl_session_drain(connection->session);
        }
        hcl_session_detach(connection->session, &connection->offer.repeatable);
        connection->reconnects++;
    }
    if (connection->own != HCL_STATE_INITIALISING) {
        set_backoff(connection);
    }
    hcl_connection_free_ports(connection);
    connection->own = HCL_STATE_INITIALISING;
    ret = hcl_memory_release(&connection->memory, connection->share, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_attachment_write_state(&connection->attachment,
                                     HCL_STATE_INITIALISING, err);
    connection->look = true;
    return ret == -ENOENT ? 0 : ret;
}

/* ---- Acting on the handshake ------------------------------------------- */

static int connect_now(struct hcl_connection *connection, struct hcl_err *err)
{
    struct hcl_memory *memory = &connection->memory;
    struct hcl_queue_memory queue = {
        .requests = memory->requests,
        .completions = memory->completions,
        .own_event = &memory->front->event[0].position,
        .peer_event = &memory->back->event[0].position,
        .num_slots = hcl_layout_slots(&memory->layout),
        .doorbell = ring_doorbell,
        .doorbell_arg = connection,
    };
    int ret = hcl_attachment_write_state(&connection->attachment,
                                         HCL_STATE_CONNECTED, err);

    if (ret < 0 && ret != -ENOENT) {
        return ret;
    }
    connection->own = HCL_STATE_CONNECTED;
    connection->connected_us = hcl_now_us();
    connection->deserted_us = 0;
    hcl_session_attach(connection->session, &queue,
                       connection->offer.limits.max_handles);
    return 0;
}

/* Ends with the backend's own words, or ours. */
static int end_refused(struct hcl_connection *connection)
{
    char reason[HCL_ERR_TEXT];
    struct hcl_err err;

    hcl_attachment_reason(&connection->attachment, reason);
    hcl_err_set(&err, -ECONNREFUSED, "%s",
                reason[0] ? reason
                          : "the backend refuses, and does not say why");
    end_with(connection, HCL_STATE_CLOSED, true, &err);
    return 0;
}

/* Nothing is written: only the toolstack can make the directory again. */
static int end_gone(struct hcl_connection *connection)
{
    struct hcl_err err;

    hcl_err_set(&err, -ENODEV, "the device was detached from this guest");
    end_with(connection, HCL_STATE_CLOSED, false, &err);
    return 0;
}

static int act(struct hcl_connection *connection, enum hcl_action action,
               struct hcl_err *err)
{
    /* After each step there may be another. */
    connection->look = action != HCL_ACTION_NONE;
    switch (action) {
    case HCL_ACTION_PUBLISH:
        return hcl_connection_publish(connection, err);
    case HCL_ACTION_CONNECT:
        return connect_now(connection, err);
    case HCL_ACTION_RESTART:
        return restart(connection, err);
    case HCL_ACTION_REFUSED:
        return end_refused(connection);
    case HCL_ACTION_GONE:
        return end_gone(connection);
    case HCL_ACTION_FAULT:
        return hcl_err_set(err, -EPROTO, "the backend wrote an illegal state");
    case HCL_ACTION_RELEASE:
        end_with(connection, HCL_STATE_CLOSED, true, &connection->end);
        return 0;
    default:
        return 0;
    }
}

/* ---- Looking ----------------------------------------------------------- */

/* Another life: all that we had was another domain's. */
static int leave_old_domain(struct hcl_connection *connection,
                            struct hcl_err *err)
{
    if (connection->own == HCL_STATE_CLOSING) {
        end_with(connection, HCL_STATE_CLOSED, false, &connection->end);
        return 0;
    }
    return restart(connection, err);
}

static int check_place(struct hcl_connection *connection, struct hcl_err *err)
{
    bool changed;
    int ret = hcl_attachment_locate(&connection->attachment, &changed, err);

    connection->moved = false;
    connection->absent = ret == -ENOENT;
    if (connection->absent) {
        bool none;

        ret = hcl_attachment_none_yet(&connection->attachment, &none, err);
        connection->restoring |= none;
        return ret;
    }
    if (ret < 0 || !changed || connection->own == HCL_STATE_CLOSING) {
        return ret;
    }
    /* Says 1 to the backend at the new place, too. */
    return restart(connection, err);
}

static int check_peer(struct hcl_connection *connection, struct hcl_err *err)
{
    struct hcl_peer_view view = {.state = HCL_STATE_GONE};
    bool published = connection->own != HCL_STATE_INITIALISING;
    bool paused = false;
    int ret = 0;

    if (!connection->absent) {
        ret = hcl_attachment_view(&connection->attachment, &view, &paused, err);
    }
    connection->peer = view.state;
    connection->peer_now = hcl_handshake_backend_state(
        &view, published, connection->offer.generation,
        connection->incarnation);
    if (view.state == HCL_STATE_GONE && !connection->absent) {
        /* Its domain ended; the attachment may be made anew. */
        connection->peer_now = HCL_STATE_INITIALISING;
    } else if (view.state != HCL_STATE_GONE) {
        /* What is missing after a pause will come again (2.7). */
        connection->restoring = paused;
    }
    return ret;
}

static void look(struct hcl_connection *connection)
{
    enum hcl_action action;
    struct hcl_err err;
    bool placed = connection->moved;
    int ret;

    if (connection->local) {
        /* There is nobody to wait for. */
        if (connection->own == HCL_STATE_CLOSING) {
            end_with(connection, HCL_STATE_CLOSED, false, &connection->end);
        }
        return;
    }
    ret = check_life(connection, &err);
    if (ret == -ENOENT) {
        return;
    }
    if (ret == 0 && connection->stale) {
        ret = leave_old_domain(connection, &err);
    }
    if (ret == 0 && connection->moved) {
        ret = check_place(connection, &err);
    }
    if (ret == 0) {
        ret = check_peer(connection, &err);
    }
    if (ret == 0 && !placed && !connection->absent &&
        connection->peer == HCL_STATE_GONE) {
        /* The backend's directory alone, or both? */
        connection->moved = true;
        connection->look = true;
        return;
    }
    if (ret == 0 && connection->restoring &&
        connection->peer_now == HCL_STATE_GONE &&
        connection->own != HCL_STATE_CLOSING) {
        /* After a restore the toolstack makes the directories anew. */
        connection->look = false;
        return;
    }
    if (ret == 0) {
        action = hcl_handshake_next(HCL_FRONTEND, connection->own,
                                    connection->peer_now);
        ret = act(connection, action, &err);
    }
    if (ret < 0) {
        end_with(connection, HCL_STATE_CLOSED, true, &err);
    }
}

/* ---- Interface --------------------------------------------------------- */

static void store_event(void *arg, uint32_t events)
{
    struct hcl_connection *connection = arg;
    struct hcl_err err;
    int ret = hcl_attachment_events(&connection->attachment, &connection->moved,
                                    &err);

    (void)events;
    if (ret < 0) {
        /* Not again: the descriptor of a lost connection is always readable. */
        hcl_source_free(connection->store_source);
        connection->store_source = NULL;
        end_with(connection, HCL_STATE_CLOSED, false, &err);
    } else if (ret > 0) {
        connection->look = true;
    }
}

int hcl_connection_start(struct hcl_connection *connection,
                         struct hcl_loop *loop, struct hcl_session *session,
                         struct hcl_fork_guard *guard,
                         const struct hcl_open_options *options,
                         struct hcl_err *err)
{
    struct hcl_attachment *attachment = &connection->attachment;
    int ret;

    connection->loop = loop;
    connection->session = session;
    connection->guard = guard;
    connection->options = *options;
    connection->own = HCL_STATE_CLOSED; /* until there is all it needs */
    hcl_fork_guard_hold();
    ret = hcl_share_open(&connection->share, err);
    if (ret == 0) {
        guard->fds[HCL_FORK_SHARE] = hcl_share_fd(connection->share);
    }
    hcl_fork_guard_let_go();
    ret = hcl_attachment_no_xen(ret, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_attachment_watch(attachment, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_source_new(&connection->store_source, loop,
                         hcl_store_fd(attachment->store), EPOLLIN, store_event,
                         connection, err);
    if (ret < 0) {
        return ret;
    }
    connection->own = HCL_STATE_INITIALISING;
    connection->moved = true;
    connection->look = true;
    return 0;
}

/*
 * The backend has let go of our memory.  Why, its state says in a moment: a
 * restart, or a refusal with a reason that a restart of ours would hide.  If it
 * says nothing nobody is left there to speak.  True: that time has passed.
 */
static bool is_deserted(struct hcl_connection *connection)
{
    uint64_t now = hcl_now_us();
    uint64_t grace_us = connection->options.grace_ms * UINT64_C(1000);

    if (connection->deserted_us == 0) {
        connection->deserted_us = now;
        connection->look = true;
        hcl_timer_start(&connection->retry, connection->loop, grace_us,
                        hcl_connection_look_again, connection);
    }
    return now - connection->deserted_us >= grace_us;
}

void hcl_connection_serve(struct hcl_connection *connection)
{
    enum hcl_queue_fault fault;
    struct hcl_err err;
    int ret = 0;

    if (connection->own != HCL_STATE_CONNECTED) {
        return;
    }
    if (connection->broken) {
        ret = restart(connection, &err);
    } else if (!hcl_load_once(&connection->memory.back->alive)) {
        if (is_deserted(connection)) {
            ret = restart(connection, &err);
        }
    } else {
        fault = hcl_session_run(connection->session);
        if (fault != HCL_QUEUE_NO_FAULT) {
            end_by_fault(connection, fault);
        }
    }
    if (ret < 0) {
        end_with(connection, HCL_STATE_CLOSED, true, &err);
    }
}

bool hcl_connection_serves(const struct hcl_connection *connection)
{
    return connection->own == HCL_STATE_CONNECTED && !connection->broken &&
           hcl_load_once(&connection->memory.back->alive);
}

bool hcl_connection_arm(struct hcl_connection *connection)
{
    if (connection->look) {
        return false;
    }
    /* Of what cannot be served an event or a timer will tell. */
    return !hcl_connection_serves(connection) ||
           hcl_session_arm(connection->session);
}

void hcl_connection_process(struct hcl_connection *connection)
{
    unsigned int step;

    hcl_connection_serve(connection);
    for (step = 0; step < STEPS_AT_A_TIME && connection->look; step++) {
        connection->look = false;
        if (connection->own != HCL_STATE_CLOSED) {
            look(connection);
        }
    }
    if (connection->look) {
        hcl_timer_start(&connection->retry, connection->loop, 0,
                        hcl_connection_look_again, connection);
    }
    if (step > 0) {
        hcl_connection_serve(connection);
    }
    if (connection->to_ring && !connection->look) {
        connection->to_ring = false;
        ring_doorbell(connection); /* there may be later news */
    }
}

void hcl_connection_shut(struct hcl_connection *connection)
{
    struct hcl_err err;
    bool published = connection->own == HCL_STATE_INITIALISED ||
                     connection->own == HCL_STATE_CONNECTED;

    if (connection->own == HCL_STATE_CLOSED ||
        connection->own == HCL_STATE_CLOSING) {
        return;
    }
    hcl_err_set(&err, -ECANCELED, "closed by the program");
    end_with(connection, published ? HCL_STATE_CLOSING : HCL_STATE_CLOSED, true,
             &err);
    connection->look = true;
}

void hcl_connection_stop(struct hcl_connection *connection)
{
    struct hcl_err err;

    if (connection->guard && connection->own != HCL_STATE_CLOSED) {
        hcl_err_set(&err, -ECANCELED, "closed by the program");
        end_with(connection, HCL_STATE_CLOSED, true, &err);
    }
    hcl_timer_stop(&connection->retry);
    hcl_source_free(connection->store_source);
    hcl_attachment_close(&connection->attachment);
    hcl_memory_clear(&connection->memory);
    if (connection->guard) {
        hcl_fork_guard_hold();
        hcl_share_free(connection->share);
        connection->guard->fds[HCL_FORK_SHARE] = -1;
        hcl_fork_guard_let_go();
    }
}

int hcl_connection_timed_out(const struct hcl_connection *connection,
                             struct hcl_err *err)
{
    uint32_t domid = connection->attachment.backend_domid;
    char reason[HCL_ERR_TEXT] = "";
    const char *hint = "";

    if (connection->absent) {
        return hcl_err_set(err, -ETIMEDOUT,
                           "timed out: the device is not attached, after a "
                           "restore of this guest (does hclctl watch run on "
                           "the host?)");
    }
    if (connection->peer == HCL_STATE_GONE) {
        return hcl_err_set(err, -ETIMEDOUT,
                           "timed out: the backend's domain %u is gone "
                           "(attach the device again on the host)",
                           domid);
    }
    /* In the other states it may be of a connection long past (2.3). */
    if (connection->peer == HCL_STATE_INITIALISING ||
        connection->peer == HCL_STATE_CLOSED) {
        hcl_attachment_reason(&connection->attachment, reason);
    }
    if (connection->peer_now == HCL_STATE_INITIALISING && !reason[0]) {
        hint = " (is hcl-backend running there?)";
    }
    return hcl_err_set(
        err, -ETIMEDOUT,
        "timed out: the backend in domain %u is in state %s%s%s%s", domid,
        hcl_state_name(connection->peer), reason[0] ? ": " : "", reason, hint);
}
