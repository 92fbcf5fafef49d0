/* SPDX-License-Identifier: MIT */
#include "keeper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handshake.h"
#include "log.h"
#include "process.h"

/* Messages of one worker before the others get their turn. */
#define MESSAGE_BUDGET 32

void hcl_keeper_init(struct hcl_keeper *keeper,
                     const struct hcl_device_config *config, const char *spec,
                     const char *worker, const struct hcl_settings *settings,
                     struct hcl_loop *loop,
                     const struct hcl_keeper_events *events, void *arg)
{
    keeper->config = config;
    keeper->spec = spec;
    keeper->worker = worker;
    keeper->settings = settings;
    keeper->loop = loop;
    keeper->events = events;
    keeper->arg = arg;
    keeper->state = HCL_KEEPER_DOWN;
    keeper->fd = -1;
}

/* Nothing more is heard from the worker. */
static void close_socket(struct hcl_keeper *keeper)
{
    hcl_source_free(keeper->source);
    keeper->source = NULL;
    if (keeper->fd >= 0) {
        close(keeper->fd);
        keeper->fd = -1;
    }
}

static void kill_worker(struct hcl_keeper *keeper)
{
    close_socket(keeper);
    if (keeper->pid > 0) {
        kill(keeper->pid, SIGKILL);
        keeper->state = HCL_KEEPER_STOPPING;
    }
    hcl_timer_stop(&keeper->timer);
}

void hcl_keeper_kill(struct hcl_keeper *keeper, const char *why)
{
    if (keeper->pid == 0) {
        /* It has ended by itself: how, says hcl_keeper_reaped. */
        hcl_log(HCL_LOG_ERROR, "device %s: %s", keeper->config->name, why);
        close_socket(keeper);
        return;
    }
    snprintf(keeper->trouble, sizeof(keeper->trouble),
             "device %s: %.160s: its worker is killed and started again",
             keeper->config->name, why);
    hcl_log(HCL_LOG_ERROR, "%s", keeper->trouble);
    keeper->expected = true;
    keeper->settled = true;
    kill_worker(keeper);
}

static void set_failure(struct hcl_keeper *keeper, const char *text)
{
    char failure[HCL_ERR_TEXT];

    /* Cut rather than refused: it is for people. */
    snprintf(failure, sizeof(failure), "device %s: %.200s",
             keeper->config->name, text);
    if (strcmp(failure, keeper->failure) != 0) {
        if (!keeper->mistake) { /* that ends the program, which says why */
            hcl_log(HCL_LOG_WARNING, "%s", failure);
        }
        memcpy(keeper->failure, failure, sizeof(failure));
    }
}

/* ---- Messages ---------------------------------------------------------- */

static void on_stop_deadline(void *arg)
{
    struct hcl_keeper *keeper = arg;

    hcl_keeper_kill(keeper, "does not end");
}

static void expect_end(struct hcl_keeper *keeper)
{
    keeper->state = HCL_KEEPER_STOPPING;
    keeper->expected = true;
    hcl_timer_start(&keeper->timer, keeper->loop,
                    keeper->settings->stop_timeout_ms * 1000ull,
                    on_stop_deadline, keeper);
}

static void send_stop(struct hcl_keeper *keeper)
{
    struct hcl_message message = {.type = HCL_MESSAGE_STOP};

    if (keeper->fd < 0 ||
        hcl_message_send(keeper->fd, &message, NULL, NULL) < 0) {
        kill_worker(keeper);
        return;
    }
    expect_end(keeper);
}

static void take_ready(struct hcl_keeper *keeper,
                       const struct hcl_message_ready *ready)
{
    hcl_timer_stop(&keeper->timer);
    memcpy(keeper->class_name, ready->class_name, sizeof(keeper->class_name));
    memcpy(keeper->idempotent, ready->idempotent, sizeof(keeper->idempotent));
    keeper->state = HCL_KEEPER_READY;
    keeper->settled = true;
    keeper->failure[0] = '\0';
    keeper->trouble[0] = '\0';
    hcl_log(HCL_LOG_INFO, "device %s: ready", keeper->config->name);
    keeper->events->changed(keeper->arg, keeper);
}

static void take_failed(struct hcl_keeper *keeper,
                        const struct hcl_message_failed *failed)
{
    keeper->mistake = failed->mistake;
    set_failure(keeper, failed->text);
    keeper->settled = true;
    expect_end(keeper);
    keeper->events->changed(keeper->arg, keeper);
}

/* The guests are let go before the worker is. */
static void take_device_failed(struct hcl_keeper *keeper, const char *text)
{
    set_failure(keeper, text);
    keeper->events->changed(keeper->arg, keeper);
    send_stop(keeper);
}

/* False: it makes no sense now. */
static bool dispatch(struct hcl_keeper *keeper,
                     const struct hcl_message *message)
{
    bool starting = keeper->state == HCL_KEEPER_STARTING;
    bool stopping = keeper->state == HCL_KEEPER_STOPPING;
    bool ended = keeper->pid == 0;

    switch (message->type) {
    case HCL_MESSAGE_READY:
        if (starting && !ended) {
            take_ready(keeper, &message->ready);
        }
        return starting || stopping;
    case HCL_MESSAGE_FAILED:
        if (starting) {
            take_failed(keeper, &message->failed);
        }
        return starting || stopping;
    case HCL_MESSAGE_DEVICE_FAILED:
        if (keeper->state == HCL_KEEPER_READY) {
            take_device_failed(keeper, message->device_failed.text);
        } else if (ended && !starting) {
            set_failure(keeper, message->device_failed.text);
        }
        return !starting || ended;
    case HCL_MESSAGE_STATS:
        if (message->stats.stats.completions > 0) {
            keeper->served = true;
            keeper->backoff_ms = 0;
        }
        keeper->events->message(keeper->arg, keeper, message);
        return !starting || ended;
    case HCL_MESSAGE_CONNECTED:
    case HCL_MESSAGE_REFUSED:
    case HCL_MESSAGE_CLOSED:
        keeper->events->message(keeper->arg, keeper, message);
        return !starting || ended;
    default:
        return false;
    }
}

/* Takes one message; false if there is none, or will be none any more. */
static bool receive(struct hcl_keeper *keeper)
{
    struct hcl_message message;
    int fds[HCL_MESSAGE_FDS];
    struct hcl_err err = {0};
    int rc = hcl_message_receive(keeper->fd, &message, fds, &err);

    if (rc == 0) {
        return false;
    }
    if (rc == -EPIPE) {
        kill_worker(keeper); /* it is ending; make sure of it */
        return false;
    }
    if (rc < 0) {
        hcl_keeper_kill(keeper, err.text);
        return false;
    }
    for (unsigned int i = 0; i < HCL_MESSAGE_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]); /* a CONNECT, which no worker may send */
        }
    }
    if (!dispatch(keeper, &message)) {
        snprintf(err.text, sizeof(err.text), "unexpected message %s",
                 hcl_message_name(message.type));
        hcl_keeper_kill(keeper, err.text);
    }
    return keeper->fd >= 0;
}

static void on_message(void *arg, uint32_t events)
{
    struct hcl_keeper *keeper = arg;

    (void)events;
    for (unsigned int i = 0; i < MESSAGE_BUDGET && receive(keeper); i++) {
    }
}

int hcl_keeper_send(struct hcl_keeper *keeper, struct hcl_message *message,
                    const int *fds, struct hcl_err *err)
{
    int rc;

    if (keeper->fd < 0 || keeper->pid == 0) {
        return hcl_err_set(err, -EPIPE, "the worker has gone");
    }
    rc = hcl_message_send(keeper->fd, message, fds, err);
    if (rc < 0) {
        hcl_keeper_kill(keeper, err->text);
    }
    return rc;
}

/* ---- Life -------------------------------------------------------------- */

static void on_start_timer(void *arg)
{
    hcl_keeper_start(arg);
}

/* Doubles the time between two lives. */
static uint32_t next_backoff(struct hcl_keeper *keeper, uint32_t least_ms)
{
    keeper->backoff_ms *= 2;
    if (keeper->backoff_ms < least_ms) {
        keeper->backoff_ms = least_ms;
    }
    if (keeper->backoff_ms > keeper->settings->max_backoff_ms) {
        keeper->backoff_ms = keeper->settings->max_backoff_ms;
    }
    return keeper->backoff_ms;
}

static void plan_start(struct hcl_keeper *keeper)
{
    const struct hcl_settings *settings = keeper->settings;
    uint32_t delay_ms = 0;

    if (keeper->ending || keeper->mistake) {
        return;
    }
    if (keeper->failure[0]) {
        delay_ms = next_backoff(keeper, settings->retry_backoff_ms);
    } else if (!keeper->served) {
        delay_ms = next_backoff(keeper, settings->restart_backoff_ms);
    }
    hcl_timer_start(&keeper->timer, keeper->loop, delay_ms * 1000ull,
                    on_start_timer, keeper);
}

static void on_start_deadline(void *arg)
{
    struct hcl_keeper *keeper = arg;
    char text[64];

    snprintf(text, sizeof(text),
             "cannot be opened within %u ms (open-timeout-ms)",
             keeper->config->open_timeout_ms);
    set_failure(keeper, text);
    keeper->settled = true;
    keeper->expected = true;
    kill_worker(keeper);
    keeper->events->changed(keeper->arg, keeper);
}

/* Starts the process; its end of the socket is its descriptor 3. */
static int spawn(struct hcl_keeper *keeper, struct hcl_err *err)
{
    const char *argv[] = {keeper->worker, keeper->config->name, NULL};
    struct hcl_message config = {.type = HCL_MESSAGE_CONFIG};
    int ends[2];
    int rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return hcl_err_sys(err, -errno, "cannot make a socketpair");
    }
    rc = hcl_process_start(&keeper->pid, argv, (const char *const *)environ,
                           ends[1], err);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    keeper->fd = ends[0];
    /* A worker that hangs must not hang us. */
    fcntl(keeper->fd, F_SETFL, O_NONBLOCK);
    rc = hcl_source_new(&keeper->source, keeper->loop, keeper->fd, EPOLLIN,
                        on_message, keeper, err);
    if (rc < 0) {
        return rc;
    }
    snprintf(config.config.spec, sizeof(config.config.spec), "%s",
             keeper->spec);
    return hcl_message_send(keeper->fd, &config, NULL, err);
}

void hcl_keeper_start(struct hcl_keeper *keeper)
{
    struct hcl_err err = {0};

    assert(keeper->pid == 0);
    keeper->served = false;
    keeper->expected = false;
    keeper->generation = hcl_new_id64();
    keeper->state = HCL_KEEPER_STARTING;
    if (spawn(keeper, &err) < 0) {
        snprintf(keeper->trouble, sizeof(keeper->trouble), "device %s: %.200s",
                 keeper->config->name, err.text);
        hcl_log(HCL_LOG_ERROR, "%s", keeper->trouble);
        if (keeper->pid > 0) {
            kill_worker(keeper); /* goes on when it is reaped */
        } else {
            keeper->state = HCL_KEEPER_DOWN;
            keeper->settled = true;
            plan_start(keeper);
        }
        return;
    }
    hcl_timer_start(&keeper->timer, keeper->loop,
                    keeper->config->open_timeout_ms * 1000ull,
                    on_start_deadline, keeper);
}

void hcl_keeper_stop(struct hcl_keeper *keeper)
{
    keeper->ending = true;
    if (keeper->state == HCL_KEEPER_DOWN) {
        hcl_timer_stop(&keeper->timer);
    } else if (keeper->state != HCL_KEEPER_STOPPING) {
        send_stop(keeper);
    }
}

bool hcl_keeper_reaped(struct hcl_keeper *keeper, pid_t pid, int status)
{
    char how[64];

    if (keeper->pid == 0 || keeper->pid != pid) {
        return false;
    }
    keeper->pid = 0; /* the number may be another's from now on */
    if (keeper->state == HCL_KEEPER_READY) {
        keeper->state = HCL_KEEPER_STOPPING; /* nobody can be served */
    }
    /* What it said before it went: FAILED, CLOSED, ... */
    while (keeper->fd >= 0 && receive(keeper)) {
    }
    if (!keeper->expected) {
        hcl_process_status(status, how, sizeof(how));
        snprintf(keeper->trouble, sizeof(keeper->trouble),
                 "device %s: its worker ended with %s and is started again",
                 keeper->config->name, how);
        hcl_log(HCL_LOG_ERROR, "%s", keeper->trouble);
    }
    keeper->settled = true;
    close_socket(keeper);
    hcl_timer_stop(&keeper->timer);
    keeper->state = HCL_KEEPER_DOWN;
    plan_start(keeper);
    keeper->events->lost(keeper->arg, keeper);
    keeper->events->changed(keeper->arg, keeper);
    return true;
}

void hcl_keeper_clear(struct hcl_keeper *keeper)
{
    kill_worker(keeper);
    if (keeper->pid > 0) {
        waitpid(keeper->pid, NULL, WNOHANG);
        keeper->pid = 0;
    }
}
