/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "log.h"
#include "port.h"
#include "watch_path.h"

#define BACKEND_DIR "backend/" HCLIF_KIND

/* The token of the one watch that is not a frontend's. */
#define BACKEND_TOKEN "backend"

/* Events that are read before they are acted on: bursts collapse. */
#define EVENT_BUDGET 256

/* Directories that are looked at, of one kind. */
#define MAX_ENTRIES 4096

/* ---- For attachments --------------------------------------------------- */

struct hcl_keeper *hcl_supervisor_keeper(struct hcl_supervisor *supervisor,
                                         const char *device)
{
    for (unsigned int i = 0; i < supervisor->num_keepers; i++) {
        if (strcmp(supervisor->keepers[i].config->name, device) == 0) {
            return &supervisor->keepers[i];
        }
    }
    return NULL;
}

void hcl_supervisor_device_names(const struct hcl_supervisor *supervisor,
                                 char *buf, size_t size)
{
    size_t used = 0;

    snprintf(buf, size, "nothing");
    for (unsigned int i = 0; i < supervisor->num_keepers && used < size; i++) {
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "",
                                 supervisor->keepers[i].config->name);
    }
}

uint32_t hcl_supervisor_new_connection(struct hcl_supervisor *supervisor)
{
    supervisor->last_connection++;
    if (supervisor->last_connection == 0) {
        supervisor->last_connection = 1; /* 0 is no connection */
    }
    return supervisor->last_connection;
}

/* ---- Attachments ------------------------------------------------------- */

static struct hcl_attachment *find_attachment(struct hcl_supervisor *supervisor,
                                              uint32_t domid, uint32_t devid)
{
    struct hcl_attachment *a = supervisor->attachments;

    while (a && (a->domid != domid || a->devid != devid)) {
        a = a->next;
    }
    return a;
}

/* Looks at a directory that may be there, may be new, or may be gone. */
static void mark_device(struct hcl_supervisor *supervisor, uint32_t domid,
                        uint32_t devid)
{
    struct hcl_attachment *a = find_attachment(supervisor, domid, devid);

    if (!a) {
        a = hcl_attachment_new(supervisor, domid, devid);
    }
    if (!a) {
        hcl_log(HCL_LOG_ERROR, "no memory for domain %u", domid);
        return;
    }
    a->pending_refresh = true;
}

/* The numbers among the names in @dir; *@ret_numbers is freed by the caller. */
static unsigned int list_numbers(struct hcl_supervisor *supervisor,
                                 const char *dir, uint32_t max,
                                 uint32_t **ret_numbers)
{
    char **names = NULL;
    unsigned int count = 0;
    unsigned int used = 0;
    struct hcl_err err = {0};
    int rc = hcl_store_list(supervisor->store, dir, MAX_ENTRIES, &names, &count,
                            &err);

    *ret_numbers = NULL;
    if (rc < 0) {
        if (rc != -ENOENT) {
            hcl_log(HCL_LOG_ERROR, "%s", err.text);
        }
        return 0;
    }
    *ret_numbers = calloc(count + 1, sizeof(**ret_numbers));
    for (unsigned int i = 0; *ret_numbers && i < count; i++) {
        int64_t number = hcl_watch_number(names[i], max);

        if (number >= 0) {
            (*ret_numbers)[used++] = (uint32_t)number;
        }
    }
    free(names);
    return used;
}

/* What is there now, and what we know of, which may be gone. */
static void mark_domain(struct hcl_supervisor *supervisor, uint32_t domid)
{
    char dir[HCL_ATTACHMENT_DIR];
    uint32_t *devids;
    unsigned int count;

    for (struct hcl_attachment *a = supervisor->attachments; a; a = a->next) {
        if (a->domid == domid) {
            a->pending_refresh = true;
        }
    }
    snprintf(dir, sizeof(dir), BACKEND_DIR "/%u", domid);
    count = list_numbers(supervisor, dir, INT32_MAX, &devids);
    for (unsigned int i = 0; i < count; i++) {
        mark_device(supervisor, domid, devids[i]);
    }
    free(devids);
}

static void mark_all(struct hcl_supervisor *supervisor)
{
    uint32_t *domids;
    unsigned int count =
        list_numbers(supervisor, BACKEND_DIR, HCL_MAX_DOMID, &domids);

    for (struct hcl_attachment *a = supervisor->attachments; a; a = a->next) {
        a->pending_refresh = true;
    }
    for (unsigned int i = 0; i < count; i++) {
        mark_domain(supervisor, domids[i]);
    }
    free(domids);
}

static void run_pending(struct hcl_supervisor *supervisor)
{
    struct hcl_attachment *next;

    for (struct hcl_attachment *a = supervisor->attachments; a; a = next) {
        bool refresh = a->pending_refresh;
        bool step = a->pending_step;

        next = a->next;
        a->pending_refresh = false;
        a->pending_step = false;
        if (refresh) {
            hcl_attachment_refresh(a);
        }
        if (refresh || step) {
            hcl_attachment_step(a);
        }
    }
}

/* All attachments of a device, or all of them if @keeper is NULL. */
static void for_each(struct hcl_supervisor *supervisor,
                     const struct hcl_keeper *keeper,
                     void (*fn)(struct hcl_attachment *attachment))
{
    struct hcl_attachment *next;

    for (struct hcl_attachment *a = supervisor->attachments; a; a = next) {
        next = a->next;
        if (!keeper || a->keeper == keeper) {
            fn(a);
        }
    }
}

/* ---- Events of xenstore ------------------------------------------------ */

static void take_event(struct hcl_supervisor *supervisor, const char *path,
                       const char *token)
{
    uint32_t domid = 0;
    uint32_t devid = 0;

    if (sscanf(token, "%u/%u", &domid, &devid) == 2) {
        struct hcl_attachment *a = find_attachment(supervisor, domid, devid);

        if (a) {
            a->pending_step = true;
        }
        return;
    }
    switch (hcl_watch_path(path, &domid, &devid)) {
    case HCL_WATCH_ALL:
        mark_all(supervisor);
        break;
    case HCL_WATCH_DOMAIN:
        mark_domain(supervisor, domid);
        break;
    case HCL_WATCH_DEVICE:
        mark_device(supervisor, domid, devid);
        break;
    case HCL_WATCH_NOTHING:
        break;
    }
}

/* Ends at once, without asking anybody. */
static void fail(struct hcl_supervisor *supervisor, const struct hcl_err *err)
{
    supervisor->failure = *err;
    hcl_loop_stop(supervisor->loop);
}

static void say_ready(struct hcl_supervisor *supervisor)
{
    if (supervisor->scanned && supervisor->settled && !supervisor->said_ready) {
        supervisor->said_ready = true;
        printf("ready\n");
        fflush(stdout);
    }
}

static void check_stopped(struct hcl_supervisor *supervisor);

static void on_store(void *arg, uint32_t events)
{
    struct hcl_supervisor *supervisor = arg;
    char path[HCL_STORE_PATH];
    char token[HCL_STORE_PATH];
    struct hcl_err err = {0};
    int rc = 0;

    (void)events;
    for (unsigned int i = 0; i < EVENT_BUDGET; i++) {
        rc = hcl_store_next_event(supervisor->store, path, token, &err);
        if (rc <= 0) {
            break;
        }
        take_event(supervisor, path, token);
    }
    if (rc < 0) {
        fail(supervisor, &err);
        return;
    }
    run_pending(supervisor);
    /* The first event of the watch found what was there before us. */
    supervisor->scanned = true;
    say_ready(supervisor);
    check_stopped(supervisor);
}

static int start_serving(struct hcl_supervisor *supervisor, struct hcl_err *err)
{
    int rc =
        hcl_store_watch(supervisor->store, BACKEND_DIR, BACKEND_TOKEN, err);

    if (rc < 0) {
        return rc;
    }
    return hcl_source_new(&supervisor->store_source, supervisor->loop,
                          hcl_store_fd(supervisor->store), EPOLLIN, on_store,
                          supervisor, err);
}

/* ---- Stopping ---------------------------------------------------------- */

/* A worker that hangs in the kernel cannot even be killed. */
static void on_stop_give_up(void *arg)
{
    struct hcl_supervisor *supervisor = arg;
    struct hcl_err err = {0};

    hcl_err_set(&err, -ETIMEDOUT, "a worker cannot be ended");
    fail(supervisor, &err);
}

static void on_stop_deadline(void *arg)
{
    struct hcl_supervisor *supervisor = arg;

    hcl_timer_start(&supervisor->stop_timer, supervisor->loop,
                    supervisor->settings->kill_timeout_ms * 1000ull,
                    on_stop_give_up, supervisor);
    for (unsigned int i = 0; i < supervisor->num_keepers; i++) {
        if (supervisor->keepers[i].state != HCL_KEEPER_DOWN) {
            hcl_keeper_kill(&supervisor->keepers[i], "does not end");
        }
    }
}

static void begin_stop(struct hcl_supervisor *supervisor)
{
    if (supervisor->stopping) {
        return;
    }
    supervisor->stopping = true;
    hcl_timer_start(&supervisor->stop_timer, supervisor->loop,
                    supervisor->settings->stop_timeout_ms * 1000ull,
                    on_stop_deadline, supervisor);
    for_each(supervisor, NULL, hcl_attachment_step);
    check_stopped(supervisor);
}

/* Once no guest is connected the workers go, and then we. */
static void check_stopped(struct hcl_supervisor *supervisor)
{
    bool all_down = true;

    if (!supervisor->stopping) {
        return;
    }
    for (struct hcl_attachment *a = supervisor->attachments; a; a = a->next) {
        if (a->link != HCL_LINK_LOOSE) {
            return;
        }
    }
    for (unsigned int i = 0; i < supervisor->num_keepers; i++) {
        struct hcl_keeper *keeper = &supervisor->keepers[i];

        if (!keeper->ending) {
            hcl_keeper_stop(keeper);
        }
        all_down = all_down && keeper->state == HCL_KEEPER_DOWN;
    }
    if (all_down) {
        hcl_loop_stop(supervisor->loop);
    }
}

static void reap_children(struct hcl_supervisor *supervisor)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        bool known = hcl_hotplug_reaped(supervisor->hotplug, pid, status);

        for (unsigned int i = 0; !known && i < supervisor->num_keepers; i++) {
            known = hcl_keeper_reaped(&supervisor->keepers[i], pid, status);
        }
    }
    check_stopped(supervisor);
}

static void on_signal(void *arg, int signal)
{
    if (signal == SIGCHLD) {
        reap_children(arg);
    } else {
        begin_stop(arg);
    }
}

/* ---- Events of keepers ------------------------------------------------- */

/*
 * "ready" is said once every worker has been ready, or has failed: a mistake in
 * hcl.conf is said instead.  Guests of a device do not wait for the others.
 */
static void check_settled(struct hcl_supervisor *supervisor)
{
    if (supervisor->settled || supervisor->stopping) {
        return;
    }
    for (unsigned int i = 0; i < supervisor->num_keepers; i++) {
        struct hcl_keeper *keeper = &supervisor->keepers[i];

        if (keeper->mistake) {
            hcl_err_set(&supervisor->failure, -EINVAL,
                        "devices item %u (\"%.80s\"): %s", i + 1, keeper->spec,
                        keeper->failure);
            begin_stop(supervisor);
            return;
        }
        if (!keeper->settled) {
            return;
        }
    }
    supervisor->settled = true;
    say_ready(supervisor);
}

static void on_keeper_changed(void *arg, struct hcl_keeper *keeper)
{
    for_each(arg, keeper, hcl_attachment_step);
    check_settled(arg);
    check_stopped(arg);
}

static void on_keeper_lost(void *arg, struct hcl_keeper *keeper)
{
    for_each(arg, keeper, hcl_attachment_lost);
}

/* The number of a message that is about one connection. */
static uint32_t message_connection(const struct hcl_message *message)
{
    switch (message->type) {
    case HCL_MESSAGE_CONNECTED:
        return message->connected.connection;
    case HCL_MESSAGE_REFUSED:
        return message->refused.connection;
    case HCL_MESSAGE_CLOSED:
        return message->closed.connection;
    case HCL_MESSAGE_STATS:
        return message->stats.connection;
    default:
        return 0;
    }
}

static void on_keeper_message(void *arg, struct hcl_keeper *keeper,
                              const struct hcl_message *message)
{
    struct hcl_supervisor *supervisor = arg;
    uint32_t connection = message_connection(message);
    struct hcl_attachment *a = supervisor->attachments;

    /* A worker speaks of its own connections only, whatever it sends. */
    while (a && (a->keeper != keeper || a->connection != connection ||
                 a->link == HCL_LINK_LOOSE)) {
        a = a->next;
    }
    if (a) {
        hcl_attachment_message(a, message);
    }
    check_stopped(supervisor);
}

static const struct hcl_keeper_events keeper_events = {
    .changed = on_keeper_changed,
    .lost = on_keeper_lost,
    .message = on_keeper_message,
};

/* ---- Life -------------------------------------------------------------- */

/* All that Xen has to give, so that a missing part is said at once. */
static int open_xen(struct hcl_supervisor *supervisor, struct hcl_err *err)
{
    struct hcl_ports *ports;
    int rc = hcl_store_open(&supervisor->store, err);

    if (rc < 0) {
        return rc;
    }
    rc = hcl_gntdev_open(&supervisor->reader, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_ports_open(&ports, err);
    if (rc < 0) {
        return rc;
    }
    hcl_ports_free(ports);
    return 0;
}

static int start_keepers(struct hcl_supervisor *supervisor,
                         const struct hcl_supervisor_setup *setup,
                         struct hcl_err *err)
{
    supervisor->keepers =
        calloc(setup->num_devices + 1, sizeof(*supervisor->keepers));
    if (!supervisor->keepers) {
        return hcl_err_set(err, -ENOMEM, "no memory for %u devices",
                           setup->num_devices);
    }
    for (unsigned int i = 0; i < setup->num_devices; i++) {
        hcl_keeper_init(&supervisor->keepers[i], &setup->devices[i],
                        setup->specs[i], setup->worker, supervisor->settings,
                        supervisor->loop, &keeper_events, supervisor);
    }
    supervisor->num_keepers = setup->num_devices;
    for (unsigned int i = 0; i < setup->num_devices; i++) {
        hcl_keeper_start(&supervisor->keepers[i]);
    }
    check_settled(supervisor); /* there may be no device at all */
    return 0;
}

static int start(struct hcl_supervisor *supervisor,
                 const struct hcl_supervisor_setup *setup, struct hcl_err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGCHLD, 0};
    int rc = hcl_loop_new(&supervisor->loop, err);

    if (rc < 0) {
        return rc;
    }
    rc = hcl_source_signals(&supervisor->signals, supervisor->loop, signals,
                            on_signal, supervisor, err);
    if (rc < 0) {
        return rc;
    }
    rc = open_xen(supervisor, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_hotplug_new(&supervisor->hotplug, setup->hotplug, supervisor->loop,
                         supervisor->settings->hotplug_timeout_ms, err);
    if (rc < 0) {
        return rc;
    }
    rc = start_serving(supervisor, err);
    if (rc < 0) {
        return rc;
    }
    return start_keepers(supervisor, setup, err);
}

static void clear(struct hcl_supervisor *supervisor)
{
    while (supervisor->attachments) {
        hcl_attachment_free(supervisor->attachments);
    }
    for (unsigned int i = 0; i < supervisor->num_keepers; i++) {
        hcl_keeper_clear(&supervisor->keepers[i]);
    }
    free(supervisor->keepers);
    hcl_timer_stop(&supervisor->stop_timer);
    hcl_hotplug_free(supervisor->hotplug);
    hcl_source_free(supervisor->store_source);
    hcl_source_free(supervisor->signals);
    hcl_gntdev_close(&supervisor->reader);
    hcl_store_free(supervisor->store);
    hcl_loop_free(supervisor->loop);
}

int hcl_supervisor_run(const struct hcl_supervisor_setup *setup,
                       struct hcl_err *err)
{
    struct hcl_supervisor supervisor = {.settings = setup->settings,
                                        .reader = {.fd = -1}};
    int rc = start(&supervisor, setup, err);

    if (rc == 0) {
        if (supervisor.failure.code == 0) {
            hcl_loop_run(supervisor.loop);
        }
        if (supervisor.failure.code < 0) {
            *err = supervisor.failure;
            rc = err->code;
        }
    }
    clear(&supervisor);
    return rc;
}
