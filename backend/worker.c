/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "class_table.h"
#include "device_config.h"
#include "guest.h"
#include "log.h"
#include "message.h"
#include "spin.h"

/* Work for one connection before the others get their turn. */
#define SERVE_BUDGET_NS 10000

/*
 * Looks at rings, and turns, between two looks at everything else: a system
 * call that nobody who is busy should pay each time.
 */
#define LOOP_EVERY 256

/*
 * While nobody has a request outstanding, guests' programs are looked after
 * less and less often, down to this fraction: an idle worker sleeps.
 */
#define IDLE_ALIVE_INTERVALS 256

/* One connection in the worker's lists. */
struct client {
    struct client *next;     /* of all */
    struct client **link;    /* what points to us in that list */
    struct client *next_run; /* of those with work */
    struct client *next_hot; /* of those that were not asked for an event */
    bool runs;               /* is in the list of next_run */
    bool hot;                /* is in the list of next_hot */
    bool polls;              /* may stay there */
    bool told_first;         /* STATS with the first request has been sent */
    struct hcl_worker *worker;
    struct hcl_guest *guest; /* owned */
    uint32_t id;
    uint32_t domid;
    uint32_t devid;
};

struct hcl_worker {
    int fd;
    struct hcl_loop *loop;
    struct hcl_source *source;
    struct hcl_device *device;
    struct client *clients;   /* owned */
    struct client *run_first; /* those with work */
    struct client **run_last; /* where the next one is linked */
    unsigned int num_runs;
    struct client *hot; /* those to look at before sleeping */
    struct hcl_spin spin;
    unsigned int loop_in; /* looks and turns until the loop is polled */
    struct hcl_timer alive;
    uint32_t alive_interval_ms;
    uint32_t alive_intervals; /* until the next look, when it was started */
    bool stopping;
    bool crashed; /* a process of ours was killed: end, and tell nobody */
};

/* ---- To the supervisor ------------------------------------------------- */

/* A supervisor that cannot be told has gone, and the worker with it. */
static void tell(struct hcl_worker *worker, struct hcl_message *message)
{
    struct hcl_err err = {0};

    if (hcl_message_send(worker->fd, message, NULL, &err) < 0) {
        if (err.code != -EPIPE) {
            hcl_log(HCL_LOG_ERROR, "%s", err.text);
        }
        worker->stopping = true;
    }
}

static void tell_stats(struct client *client)
{
    struct hcl_message message = {.type = HCL_MESSAGE_STATS};

    message.stats.connection = client->id;
    message.stats.stats =
        *hcl_connection_stats(hcl_guest_connection(client->guest));
    tell(client->worker, &message);
}

static void tell_failed(int fd, const struct hcl_err *failure)
{
    struct hcl_message message = {.type = HCL_MESSAGE_FAILED};
    struct hcl_err err = {0};

    message.failed.mistake = failure->code == -EINVAL;
    snprintf(message.failed.text, sizeof(message.failed.text), "%s",
             failure->text);
    if (hcl_message_send(fd, &message, NULL, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
    }
}

static void on_device_failed(void *arg, const struct hcl_err *failure)
{
    struct hcl_message message = {.type = HCL_MESSAGE_DEVICE_FAILED};
    struct hcl_worker *worker = arg;

    if (failure->code == -ECHILD) {
        hcl_log(HCL_LOG_ERROR, "%s", failure->text);
        worker->crashed = true;
        worker->stopping = true;
        return;
    }
    snprintf(message.device_failed.text, sizeof(message.device_failed.text),
             "%s", failure->text);
    tell(worker, &message);
}

/* ---- The run list ------------------------------------------------------ */

static void run_add(struct client *client)
{
    struct hcl_worker *worker = client->worker;

    if (!client->runs) {
        client->runs = true;
        client->next_run = NULL;
        *worker->run_last = client;
        worker->run_last = &client->next_run;
        worker->num_runs++;
    }
}

static struct client *run_take(struct hcl_worker *worker)
{
    struct client *client = worker->run_first;

    assert(client);
    worker->run_first = client->next_run;
    if (!worker->run_first) {
        worker->run_last = &worker->run_first;
    }
    worker->num_runs--;
    client->runs = false;
    return client;
}

static void run_remove(struct client *client)
{
    struct hcl_worker *worker = client->worker;
    struct client **link = &worker->run_first;

    if (!client->runs) {
        return;
    }
    while (*link != client) {
        link = &(*link)->next_run;
    }
    *link = client->next_run;
    if (!client->next_run) {
        worker->run_last = link;
    }
    worker->num_runs--;
    client->runs = false;
}

/* ---- The hot list ------------------------------------------------------ */

/* Served just now, so more may come soon. */
static void hot_add(struct client *client)
{
    struct hcl_worker *worker = client->worker;

    if (!client->hot) {
        client->hot = true;
        client->next_hot = worker->hot;
        worker->hot = client;
    }
}

static void hot_remove(struct client *client)
{
    struct client **link = &client->worker->hot;

    if (!client->hot) {
        return;
    }
    while (*link != client) {
        link = &(*link)->next_hot;
    }
    *link = client->next_hot;
    client->hot = false;
}

/* Asks for an event at the next request; there may be one already. */
static void cool(struct client *client)
{
    hot_remove(client);
    if (!hcl_connection_arm(hcl_guest_connection(client->guest))) {
        run_add(client);
    }
}

/* ---- Connections ------------------------------------------------------- */

static struct client *find_client(struct hcl_worker *worker, uint32_t id)
{
    struct client *client = worker->clients;

    while (client && client->id != id) {
        client = client->next;
    }
    return client;
}

/* Unmaps everything. */
static void free_client(struct client *client)
{
    run_remove(client);
    hot_remove(client);
    hcl_guest_free(client->guest);
    *client->link = client->next;
    if (client->next) {
        client->next->link = client->link;
    }
    free(client);
}

/* Unmaps everything, then says so. */
static void close_client(struct client *client, enum hcl_close_reason reason,
                         const char *text)
{
    struct hcl_worker *worker = client->worker;
    struct hcl_message message = {.type = HCL_MESSAGE_CLOSED};

    message.closed.connection = client->id;
    message.closed.reason = reason;
    snprintf(message.closed.text, sizeof(message.closed.text), "%s", text);
    tell_stats(client);
    free_client(client);
    tell(worker, &message);
}

/* doc/protocol.md 3.2: looked at after each wake-up, and from time to time. */
static bool close_if_dead(struct client *client)
{
    if (hcl_connection_peer_alive(hcl_guest_connection(client->guest))) {
        return false;
    }
    close_client(client, HCL_CLOSE_PEER_GONE, "the guest's program has ended");
    return true;
}

static void on_alive_timer(void *arg);

/* The death of a guest's program sends no event. */
static void start_alive_timer(struct hcl_worker *worker, uint32_t intervals)
{
    worker->alive_intervals = intervals;
    hcl_timer_start(&worker->alive, worker->loop,
                    UINT64_C(1000) * intervals * worker->alive_interval_ms,
                    on_alive_timer, worker);
}

static void on_alive_timer(void *arg)
{
    struct hcl_worker *worker = arg;
    uint32_t in_flight = 0, intervals = 1;
    struct client *next;

    for (struct client *client = worker->clients; client; client = next) {
        next = client->next;
        if (!close_if_dead(client)) {
            in_flight +=
                hcl_connection_in_flight(hcl_guest_connection(client->guest));
        }
    }
    if (in_flight == 0) {
        intervals = worker->alive_intervals < IDLE_ALIVE_INTERVALS
                        ? 2 * worker->alive_intervals
                        : IDLE_ALIVE_INTERVALS;
    }
    if (worker->clients) {
        start_alive_timer(worker, intervals);
    }
}

/* There is something to do again, and perhaps something to lose. */
static void hurry_alive_timer(struct hcl_worker *worker)
{
    if (worker->alive_intervals > 1) {
        start_alive_timer(worker, 1);
    }
}

static void on_guest_event(void *arg, bool broken)
{
    struct client *client = arg;

    if (broken) {
        close_client(client, HCL_CLOSE_BROKEN, "its event channel is broken");
    } else if (!close_if_dead(client)) {
        run_add(client);
        hurry_alive_timer(client->worker);
    }
}

static void refuse(struct hcl_worker *worker, uint32_t id,
                   enum hcl_refusal refusal, const struct hcl_err *err)
{
    struct hcl_message message = {.type = HCL_MESSAGE_REFUSED};

    message.refused.connection = id;
    message.refused.refusal = refusal;
    snprintf(message.refused.text, sizeof(message.refused.text), "%s",
             err->text);
    tell(worker, &message);
}

/* We are the ones who fail: the supervisor tries again. */
static void refuse_ours(struct hcl_worker *worker, uint32_t id,
                        const char *text)
{
    struct hcl_err err = {0};

    hcl_err_set(&err, -ENOMEM, "%s", text);
    refuse(worker, id, HCL_REFUSAL_OTHER, &err);
}

static void serve_connect(struct hcl_worker *worker,
                          const struct hcl_message_connect *connect, int *fds)
{
    struct hcl_message message = {.type = HCL_MESSAGE_CONNECTED};
    struct client *client;
    enum hcl_refusal refusal;
    struct hcl_err err = {0};

    if (fds[0] < 0 || fds[1] < 0) {
        refuse_ours(worker, connect->connection,
                    "hcl-worker is out of descriptors");
        return;
    }
    client = calloc(1, sizeof(*client));
    if (!client) {
        hcl_message_close_fds(fds);
        refuse_ours(worker, connect->connection, "no memory for a connection");
        return;
    }
    client->worker = worker;
    client->id = connect->connection;
    client->domid = connect->domid;
    client->devid = connect->devid;
    client->polls = connect->polls;
    if (hcl_guest_new(&client->guest, worker->device, connect, fds,
                      on_guest_event, client, &refusal, &err) < 0) {
        free(client);
        refuse(worker, connect->connection, refusal, &err);
        return;
    }
    if (!worker->clients) {
        start_alive_timer(worker, 1);
    }
    client->next = worker->clients;
    client->link = &worker->clients;
    if (client->next) {
        client->next->link = &client->next;
    }
    worker->clients = client;
    message.connected.connection = client->id;
    tell(worker, &message);
    run_add(client); /* requests may be there already, their event gone */
}

static void serve_disconnect(struct hcl_worker *worker, uint32_t id)
{
    struct client *client = find_client(worker, id);

    /* Closed on our own account a moment ago: CLOSED is on its way. */
    if (client && !close_if_dead(client)) {
        close_client(client, HCL_CLOSE_ASKED, "");
    }
}

static void serve_client(struct client *client)
{
    struct hcl_connection *connection = hcl_guest_connection(client->guest);
    const struct hcl_fault_report *fault;

    if (!client->worker->run_first) {
        hcl_connection_forgive(connection);
    }
    switch (hcl_connection_serve(connection, SERVE_BUDGET_NS)) {
    case HCL_SERVE_IDLE:
        if (client->polls) {
            hot_add(client);
        } else {
            cool(client);
        }
        break;
    case HCL_SERVE_MORE:
        run_add(client);
        break;
    case HCL_SERVE_FAULT:
        fault = hcl_connection_fault(connection);
        close_client(client, HCL_CLOSE_FAULT, fault->text);
        return;
    }
    /* One that is looked for sends no event, and may now wait for long. */
    if (hcl_connection_in_flight(connection) > 0) {
        hurry_alive_timer(client->worker);
    }
    /* Tells the supervisor that this life of ours was of use. */
    if (!client->told_first &&
        hcl_connection_stats(connection)->completions > 0) {
        client->told_first = true;
        tell_stats(client);
    }
}

/* ---- From the supervisor ----------------------------------------------- */

static void dispatch(struct hcl_worker *worker,
                     const struct hcl_message *message, int *fds)
{
    switch (message->type) {
    case HCL_MESSAGE_CONNECT:
        serve_connect(worker, &message->connect, fds);
        break;
    case HCL_MESSAGE_DISCONNECT:
        serve_disconnect(worker, message->disconnect.connection);
        break;
    case HCL_MESSAGE_STOP:
        worker->stopping = true;
        break;
    default:
        hcl_log(HCL_LOG_ERROR, "unexpected message %s",
                hcl_message_name(message->type));
        worker->stopping = true;
    }
}

static void on_message(void *arg, uint32_t events)
{
    struct hcl_worker *worker = arg;
    struct hcl_message message;
    struct hcl_err err = {0};
    int fds[HCL_MESSAGE_FDS];
    int rc;

    (void)events;
    rc = hcl_message_receive(worker->fd, &message, fds, &err);
    if (rc < 0) {
        if (rc != -EPIPE) {
            hcl_log(HCL_LOG_ERROR, "%s", err.text);
        }
        worker->stopping = true;
    } else if (rc > 0) {
        dispatch(worker, &message, fds);
    }
}

/* ---- Life -------------------------------------------------------------- */

static int wait_config(int fd, struct hcl_message *ret_message,
                       struct hcl_err *err)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    int fds[HCL_MESSAGE_FDS];
    int rc;

    while (poll(&pollfd, 1, -1) < 0) {
        if (errno != EINTR) {
            return hcl_err_sys(err, -errno, "cannot wait for CONFIG");
        }
    }
    rc = hcl_message_receive(fd, ret_message, fds, err);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 || ret_message->type != HCL_MESSAGE_CONFIG) {
        return hcl_err_set(err, -EBADMSG, "expected CONFIG");
    }
    return 0;
}

static int open_device(struct hcl_worker *worker, const char *spec,
                       struct hcl_err *err)
{
    struct hcl_device_config config;
    const struct hcl_class *class;
    int rc = hcl_device_config_parse(&config, spec, err);

    if (rc < 0) {
        return rc;
    }
    class = hcl_class_find(config.class_name);
    if (!class) {
        char names[HCL_ERR_TEXT / 2];

        hcl_class_names(names, sizeof(names));
        return hcl_err_set(err, -EINVAL,
                           "class=%s: there is no such class, but these: %s",
                           config.class_name, names);
    }
    rc = hcl_spec_only(&config.spec, hcl_device_keys, class->keys, err);
    if (rc < 0) {
        return rc;
    }
    worker->alive_interval_ms = config.alive_interval_ms;
    hcl_spin_init(&worker->spin, &config.spin);
    return hcl_device_open(&worker->device, class, config.name, &config.spec,
                           worker->loop, on_device_failed, worker, err);
}

int hcl_worker_new(struct hcl_worker **ret_worker, int fd, struct hcl_err *err)
{
    struct hcl_worker *worker = calloc(1, sizeof(*worker));
    struct hcl_message config;
    int rc;

    if (!worker) {
        return hcl_err_set(err, -ENOMEM, "no memory for the worker");
    }
    worker->fd = fd;
    worker->run_last = &worker->run_first;
    worker->loop_in = LOOP_EVERY;
    rc = hcl_loop_new(&worker->loop, err);
    if (rc < 0) {
        goto out;
    }
    rc = wait_config(fd, &config, err);
    if (rc < 0) {
        goto out;
    }
    rc = open_device(worker, config.config.spec, err);
    if (rc < 0) {
        tell_failed(fd, err);
        goto out;
    }
    *ret_worker = worker;
    worker = NULL;
out:
    hcl_worker_free(worker);
    return rc;
}

static void tell_ready(struct hcl_worker *worker)
{
    struct hcl_message message = {.type = HCL_MESSAGE_READY};
    const struct hcl_class *class = worker->device->class;

    snprintf(message.ready.class_name, sizeof(message.ready.class_name), "%s",
             class->name);
    snprintf(message.ready.idempotent, sizeof(message.ready.idempotent), "%s",
             class->idempotent);
    tell(worker, &message);
}

static void poll_loop(struct hcl_worker *worker, int64_t timeout_us)
{
    worker->loop_in = LOOP_EVERY;
    hcl_loop_poll(worker->loop, timeout_us);
    hcl_device_flush(worker->device);
}

/* Descriptors and timers have their turn, too, at least now and then. */
static void poll_loop_if_due(struct hcl_worker *worker)
{
    if (--worker->loop_in == 0) {
        poll_loop(worker, 0);
    }
}

/*
 * Looks for requests for a while, and for what the hardware is about to have
 * done.  False: there is nothing to do.
 */
static bool look_for_requests(struct hcl_worker *worker)
{
    enum hcl_device_due due;

    hcl_spin_begin(&worker->spin);
    do {
        /* First: what the loop brings may change when the device is due. */
        poll_loop_if_due(worker);
        due = hcl_device_poll(worker->device);
        for (struct client *client = worker->hot; client;
             client = client->next_hot) {
            if (hcl_connection_ready(hcl_guest_connection(client->guest))) {
                run_add(client);
            }
        }
        if (worker->run_first || worker->stopping) {
            hcl_spin_found(&worker->spin);
            return true;
        }
        /* Not while the device has work: nobody waits for us, but for it. */
    } while (due == HCL_DUE_NOW || (due == HCL_DUE_NEVER && worker->hot &&
                                    hcl_spin_again(&worker->spin)));
    return false;
}

/* Sleeps until there is something to do. */
static void wait_for_work(struct hcl_worker *worker)
{
    if (look_for_requests(worker)) {
        return;
    }
    while (worker->hot) {
        cool(worker->hot);
    }
    if (!worker->run_first) {
        hcl_spin_sleep(&worker->spin);
        poll_loop(worker, -1);
        hcl_spin_woke(&worker->spin, worker->run_first != NULL);
    }
}

/* One pass: what happened, then a turn for each connection with work. */
static void run_once(struct hcl_worker *worker)
{
    if (worker->run_first) {
        hcl_device_poll(worker->device);
        poll_loop_if_due(worker);
    } else {
        wait_for_work(worker);
    }
    for (unsigned int turns = worker->num_runs; turns > 0; turns--) {
        serve_client(run_take(worker));
    }
    /* A job of one connection may have completed another's. */
    hcl_device_flush(worker->device);
}

int hcl_worker_run(struct hcl_worker *worker, struct hcl_err *err)
{
    struct client *next;
    int rc = hcl_source_new(&worker->source, worker->loop, worker->fd, EPOLLIN,
                            on_message, worker, err);
    if (rc < 0) {
        return rc;
    }
    tell_ready(worker);
    while (!worker->stopping) {
        run_once(worker);
    }
    if (worker->crashed) {
        return hcl_err_set(err, -ECHILD, "cannot go on");
    }
    for (struct client *client = worker->clients; client; client = next) {
        next = client->next;
        close_client(client, HCL_CLOSE_ASKED, "");
    }
    return 0;
}

void hcl_worker_free(struct hcl_worker *worker)
{
    struct client *next;

    if (!worker) {
        return;
    }
    for (struct client *client = worker->clients; client; client = next) {
        next = client->next;
        free_client(client);
    }
    hcl_timer_stop(&worker->alive);
    hcl_source_free(worker->source);
    hcl_device_free(worker->device);
    if (worker->loop) {
        hcl_loop_free(worker->loop);
    }
    free(worker);
}
