/* SPDX-License-Identifier: MIT */
/*
 * hcl-bench --local: plays hcl-backend for an hcl-worker of its own, which
 * serves this process over local.h.
 */
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
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

static int start_worker(struct hcl_bench_local *local, const char *worker,
                        struct hcl_err *err)
{
    const char *argv[] = {worker, "local", NULL};
    char found[PATH_MAX];
    int ends[2], ret;

    if (!worker) {
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
    local->socket = ends[0];
    ret = hcl_process_start(&local->worker, argv, (const char *const *)environ,
                            ends[1], err);
    close(ends[1]);
    return ret;
}

/* ---- What hcl-backend would say ---------------------------------------- */

/* The next message that is none of STATS. */
static int receive(const struct hcl_bench_local *local, int timeout_ms,
                   struct hcl_message *message, struct hcl_err *err)
{
    struct pollfd ready = {.fd = local->socket, .events = POLLIN};
    int fds[HCL_MESSAGE_FDS], ret;

    do {
        ret = poll(&ready, 1, timeout_ms);
        if (ret < 0) {
            return hcl_err_sys(err, -errno, "cannot wait for hcl-worker");
        }
        if (ret == 0) {
            return hcl_err_set(err, -ETIMEDOUT,
                               "timed out: hcl-worker does not answer");
        }
        ret = hcl_message_receive(local->socket, message, fds, err);
        if (ret < 0) {
            return hcl_err_prefix(err, "hcl-worker");
        }
        hcl_message_close_fds(fds);
    } while (ret == 0 || message->type == HCL_MESSAGE_STATS);
    return 0;
}

/* Opens the device; @ready is its answer. */
static int configure(const struct hcl_bench_local *local, const char *item,
                     int timeout_ms, struct hcl_message *ready,
                     struct hcl_err *err)
{
    struct hcl_message config = {.type = HCL_MESSAGE_CONFIG};
    int ret;

    if (snprintf(config.config.spec, sizeof(config.config.spec), "%s", item) >=
        (int)sizeof(config.config.spec)) {
        return hcl_err_set(err, -EINVAL, "'%.40s...' is too long", item);
    }
    ret = hcl_message_send(local->socket, &config, NULL, err);
    if (ret == 0) {
        ret = receive(local, timeout_ms, ready, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (ready->type == HCL_MESSAGE_READY) {
        return 0;
    }
    return hcl_err_set(
        err, -ENODEV, "hcl-worker cannot open '%.60s': %.150s", item,
        ready->type == HCL_MESSAGE_FAILED ? ready->failed.text
                                          : hcl_message_name(ready->type));
}

static int connect_worker(struct hcl_bench_local *local, int timeout_ms,
                          struct hcl_err *err)
{
    struct hcl_message connect = {.type = HCL_MESSAGE_CONNECT};
    struct hcl_message answer = {0};
    int fds[HCL_LOCAL_FDS], ret;

    connect.connect.connection = 1;
    connect.connect.domid = HCL_MESSAGE_SELF;
    connect.connect.incarnation = 1;
    connect.connect.max_handles = MAX_HANDLES;
    connect.connect.polls = 1;
    connect.connect.share.weight = HCL_WEIGHT_DEFAULT;
    connect.connect.layout = local->local.layout;
    hcl_local_peer_fds(&local->local, fds);
    ret = hcl_message_send(local->socket, &connect, fds, err);
    if (ret == 0) {
        ret = receive(local, timeout_ms, &answer, err);
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

static uint32_t pages_of(uint32_t bytes)
{
    return (bytes + HCLIF_PAGE_BYTES - 1) / HCLIF_PAGE_BYTES;
}

/* "gps" of "name=gps,class=serial". */
static void name_of(const char *item, char *buf, size_t size)
{
    const char *name = strstr(item, "name=");

    name = name ? name + strlen("name=") : item;
    snprintf(buf, size, "%.*s", (int)strcspn(name, ","), name);
}

int hcl_bench_local_start(struct hcl_bench_local *local, const char *worker,
                          const char *item,
                          const struct hcl_open_options *options,
                          int timeout_ms, struct hcl_device **ret_device,
                          struct hcl_err *err)
{
    struct hcl_layout layout = {
        .num_queues = 1,
        .ring_page_order = options->ring_page_order,
        .tx_pages = pages_of(options->tx_pool_bytes),
        .rx_pages = pages_of(options->rx_pool_bytes),
    };
    char name[HCL_NAME_BYTES];
    struct hcl_local_setup setup = {.name = name, .max_handles = MAX_HANDLES};
    struct hcl_message ready = {0};
    int ret;

    *local = (struct hcl_bench_local){.local = HCL_LOCAL_NONE, .socket = -1};
    item = item ? item : ITEM;
    if (hcl_layout_extra_pages(&layout) > HCLIF_MAX_EXTRA_PAGES) {
        return hcl_err_set(err, -EINVAL,
                           "pools of %u and %u pages are more than the "
                           "protocol allows: make --size or --depth smaller",
                           layout.tx_pages, layout.rx_pages);
    }
    ret = hcl_local_new(&local->local, &layout, err);
    if (ret == 0) {
        ret = start_worker(local, worker, err);
    }
    if (ret == 0) {
        ret = configure(local, item, timeout_ms, &ready, err);
    }
    if (ret == 0) {
        ret = connect_worker(local, timeout_ms, err);
    }
    if (ret < 0) {
        return ret;
    }
    name_of(item, name, sizeof(name));
    setup.class_name = ready.ready.class_name;
    setup.local = &local->local;
    setup.life_fd = local->socket;
    return hcl_open_local(&setup, options, ret_device, err);
}

/* ---- The end ----------------------------------------------------------- */

static void end_worker(const struct hcl_bench_local *local)
{
    struct hcl_message stop = {.type = HCL_MESSAGE_STOP};
    struct pollfd ended = {.fd = local->socket}; /* for POLLHUP */

    if (hcl_message_send(local->socket, &stop, NULL, NULL) < 0 ||
        poll(&ended, 1, STOP_MS) <= 0) {
        kill(local->worker, SIGKILL);
    }
    while (waitpid(local->worker, NULL, 0) < 0 && errno == EINTR) {
        /* a signal that stops us has done so already */
    }
}

void hcl_bench_local_stop(struct hcl_bench_local *local)
{
    if (local->worker) {
        end_worker(local);
    }
    if (local->socket >= 0) {
        close(local->socket);
    }
    hcl_local_close(&local->local);
}
