/* SPDX-License-Identifier: MIT */
#include "bench_local.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"
#include "open_local.h"
#include "process.h"

#define ITEM "name=local,class=echo"
#define MAX_HANDLES 1024

/* How long hcl-worker gets to end before it is killed. */
#define STOP_MS 2000

/* ---- The program ------------------------------------------------------- */

/* Where it is in a build, and as installed. */
static int find_worker(char *buf, size_t size, struct hcl_err *err)
{
    static const char *const places[] = {"hcl-worker", "../sbin/hcl-worker"};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length < 0) {
        return hcl_err_sys(err, -errno, "cannot read /proc/self/exe");
    }
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (snprintf(buf, size, "%s/%s", self, places[i]) < (int)size &&
            access(buf, X_OK) == 0) {
            return 0;
        }
    }
    return hcl_err_set(err, -ENOENT,
                       "there is no hcl-worker in %.100s and ../sbin: "
                       "--worker says where it is",
                       self);
}

static int start_program(struct hcl_bench_worker *worker, const char *path,
                         struct hcl_err *err)
{
    const char *argv[] = {path, "local", NULL};
    char found[PATH_MAX];
    int ends[2], ret;

    if (!path) {
        ret = find_worker(found, sizeof(found), err);
        if (ret < 0) {
            return ret;
        }
        argv[0] = found;
    }
    if (access(argv[0], X_OK) < 0) {
        return hcl_err_sys(err, -errno, "cannot run %.100s", argv[0]);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return hcl_err_sys(err, -errno, "cannot make a socket");
    }
    worker->socket = ends[0];
    ret = hcl_process_start(&worker->pid, argv, (const char *const *)environ,
                            ends[1], err);
    close(ends[1]);
    return ret;
}

/* ---- What hcl-backend would say ---------------------------------------- */

/* The next message that is none of STATS. */
static int receive(const struct hcl_bench_worker *worker,
                   struct hcl_message *message, struct hcl_err *err)
{
    struct pollfd ready = {.fd = worker->socket, .events = POLLIN};
    int fds[HCL_MESSAGE_FDS], ret;

    do {
        ret = poll(&ready, 1, worker->timeout_ms);
        if (ret < 0) {
            return hcl_err_sys(err, -errno, "cannot wait for hcl-worker");
        }
        if (ret == 0) {
            return hcl_err_set(err, -ETIMEDOUT,
                               "timed out: hcl-worker does not answer");
        }
        ret = hcl_message_receive(worker->socket, message, fds, err);
        if (ret < 0) {
            return hcl_err_prefix(err, "hcl-worker");
        }
        hcl_message_close_fds(fds);
    } while (ret == 0 || message->type == HCL_MESSAGE_STATS);
    return 0;
}

/* Opens the device, which says of what class it is. */
static int configure(struct hcl_bench_worker *worker, const char *item,
                     struct hcl_err *err)
{
    struct hcl_message config = {.type = HCL_MESSAGE_CONFIG};
    struct hcl_message ready = {0};
    int ret;

    if (snprintf(config.config.spec, sizeof(config.config.spec), "%s", item) >=
        (int)sizeof(config.config.spec)) {
        return hcl_err_set(err, -EINVAL, "'%.40s...' is too long", item);
    }
    ret = hcl_message_send(worker->socket, &config, NULL, err);
    if (ret == 0) {
        ret = receive(worker, &ready, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (ready.type == HCL_MESSAGE_READY) {
        snprintf(worker->class_name, sizeof(worker->class_name), "%s",
                 ready.ready.class_name);
        return 0;
    }
    return hcl_err_set(
        err, -ENODEV, "hcl-worker cannot open '%.60s': %.150s", item,
        ready.type == HCL_MESSAGE_FAILED ? ready.failed.text
                                         : hcl_message_name(ready.type));
}

static int connect_guest(struct hcl_bench_worker *worker,
                         const struct hcl_share *share,
                         const struct hcl_local *local, struct hcl_err *err)
{
    struct hcl_message connect = {.type = HCL_MESSAGE_CONNECT};
    struct hcl_message answer = {0};
    int fds[HCL_LOCAL_FDS], ret;

    connect.connect.connection = ++worker->connections;
    connect.connect.domid = HCL_MESSAGE_SELF;
    connect.connect.incarnation = 1;
    connect.connect.max_handles = MAX_HANDLES;
    connect.connect.polls = 1;
    connect.connect.share = *share;
    connect.connect.layout = local->layout;
    hcl_local_peer_fds(local, fds);
    ret = hcl_message_send(worker->socket, &connect, fds, err);
    if (ret == 0) {
        ret = receive(worker, &answer, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (answer.type == HCL_MESSAGE_CONNECTED) {
        return 0;
    }
    return hcl_err_set(err, -ECONNREFUSED, "hcl-worker: %.200s",
                       answer.type == HCL_MESSAGE_REFUSED
                           ? answer.refused.text
                           : hcl_message_name(answer.type));
}

/* ---- A worker ---------------------------------------------------------- */

/* "gps" of "name=gps,class=serial". */
static void name_of(const char *item, char *buf, size_t size)
{
    const char *name = strstr(item, "name=");

    name = name ? name + strlen("name=") : item;
    snprintf(buf, size, "%.*s", (int)strcspn(name, ","), name);
}

int hcl_bench_worker_start(struct hcl_bench_worker *worker, const char *path,
                           const char *item, int timeout_ms,
                           struct hcl_err *err)
{
    int ret;

    *worker = (struct hcl_bench_worker){.socket = -1, .timeout_ms = timeout_ms};
    name_of(item, worker->name, sizeof(worker->name));
    ret = start_program(worker, path, err);
    if (ret < 0) {
        return ret;
    }
    return configure(worker, item, err);
}

static uint32_t pages_of(uint32_t bytes)
{
    return (bytes + HCLIF_PAGE_BYTES - 1) / HCLIF_PAGE_BYTES;
}

static int make_memory(const struct hcl_open_options *options,
                       struct hcl_local *local, struct hcl_err *err)
{
    struct hcl_layout layout = {
        .num_queues = 1,
        .ring_page_order = options->ring_page_order,
        .tx_pages = pages_of(options->tx_pool_bytes),
        .rx_pages = pages_of(options->rx_pool_bytes),
    };

    if (hcl_layout_extra_pages(&layout) > HCLIF_MAX_EXTRA_PAGES) {
        return hcl_err_set(err, -EINVAL,
                           "pools of %u and %u pages are more than the "
                           "protocol allows: make --size or --depth smaller",
                           layout.tx_pages, layout.rx_pages);
    }
    return hcl_local_new(local, &layout, err);
}

int hcl_bench_worker_open(struct hcl_bench_worker *worker,
                          const struct hcl_share *share,
                          const struct hcl_open_options *options,
                          struct hcl_local *local,
                          struct hcl_device **ret_device, struct hcl_err *err)
{
    const struct hcl_local_setup setup = {
        .name = worker->name,
        .class_name = worker->class_name,
        .local = local,
        .max_handles = MAX_HANDLES,
        .life_fd = worker->socket,
    };
    int ret;

    *local = (struct hcl_local)HCL_LOCAL_NONE;
    ret = make_memory(options, local, err);
    if (ret == 0) {
        ret = connect_guest(worker, share, local, err);
    }
    if (ret < 0) {
        return ret;
    }
    return hcl_open_local(&setup, options, ret_device, err);
}

/* Reads all that it has to say: else it could not end. */
static bool wait_for_end(const struct hcl_bench_worker *worker)
{
    struct pollfd ready = {.fd = worker->socket, .events = POLLIN};
    struct hcl_message message;
    int fds[HCL_MESSAGE_FDS], ret;

    do {
        if (poll(&ready, 1, STOP_MS) <= 0) {
            return false;
        }
        ret = hcl_message_receive(worker->socket, &message, fds, NULL);
        if (ret > 0) {
            hcl_message_close_fds(fds);
        }
    } while (ret >= 0);
    return ret == -EPIPE;
}

void hcl_bench_worker_stop(struct hcl_bench_worker *worker)
{
    struct hcl_message stop = {.type = HCL_MESSAGE_STOP};

    if (worker->pid) {
        if (hcl_message_send(worker->socket, &stop, NULL, NULL) < 0 ||
            !wait_for_end(worker)) {
            kill(worker->pid, SIGKILL);
        }
        while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR) {
            /* a signal that stops us has done so already */
        }
    }
    if (worker->socket >= 0) {
        close(worker->socket);
    }
}

/* ---- A worker with one guest ------------------------------------------- */

int hcl_bench_local_start(struct hcl_bench_local *local, const char *worker,
                          const char *item,
                          const struct hcl_open_options *options,
                          int timeout_ms, struct hcl_device **ret_device,
                          struct hcl_err *err)
{
    const struct hcl_share share = HCL_SHARE_DEFAULT;
    int ret;

    local->local = (struct hcl_local)HCL_LOCAL_NONE;
    ret = hcl_bench_worker_start(&local->worker, worker, item ? item : ITEM,
                                 timeout_ms, err);
    if (ret < 0) {
        return ret;
    }
    return hcl_bench_worker_open(&local->worker, &share, options, &local->local,
                                 ret_device, err);
}

void hcl_bench_local_stop(struct hcl_bench_local *local)
{
    hcl_bench_worker_stop(&local->worker);
    hcl_local_close(&local->local);
}
