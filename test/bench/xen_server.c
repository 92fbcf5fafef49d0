/* SPDX-License-Identifier: MIT */
/*
 * bench-xen-server DOMID TTY PID: dom0's end of `make bench-xen`.  Serves the
 * client in the domain DOMID until that ends.  TTY and PID are for
 * bench_console_open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenstore.h>

#include "bench.h"
#include "console.h"
#include "loop.h"

/* The device that is attached and detached. */
#define LATE "late0"

const struct bench_transport *const bench_transports[BENCH_NUM_TRANSPORTS] = {
    [BENCH_VCHAN_POLLED] = &bench_vchan_polled,
    [BENCH_VCHAN_BLOCKING] = &bench_vchan_blocking,
    [BENCH_NETFRONT_TCP] = &bench_netfront_tcp,
    [BENCH_NETFRONT_UDP] = &bench_netfront_udp,
};

static char guest[16]; /* its domid */

/* What the user types; its output is nobody's. */
static pid_t start_hclctl(const char *verb, const char *what)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        execlp("hclctl", "hclctl", verb, guest, what, NULL);
        _exit(127);
    }
    if (pid < 0) {
        bench_die("fork: %s", strerror(errno));
    }
    return pid;
}

static void end_hclctl(pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) != pid || status != 0) {
        bench_die("hclctl has failed");
    }
}

/* Waits until a node appears below the watched @dir. */
static void await_node(struct xs_handle *store, const char *dir)
{
    size_t length = strlen(dir);
    bool appeared = false;
    unsigned int count;
    char **event;

    while (!appeared) {
        event = xs_read_watch(store, &count);
        if (!event) {
            bench_die("xs_read_watch: %s", strerror(errno));
        }
        appeared = strlen(event[XS_WATCH_PATH]) > length &&
                   strstr(event[XS_WATCH_PATH], "/state");
        free(event);
    }
}

/*
 * From the appearance of the nodes to when the guest's program, which has been
 * waiting, tells that a request was completed: both seen here.
 */
static void serve_attach(struct bench *bench)
{
    struct xs_handle *store = xs_open(0);
    uint64_t begin;
    char dir[64];
    pid_t pid;

    snprintf(dir, sizeof(dir), "/local/domain/%s/device/hcl", guest);
    if (!store || !xs_watch(store, dir, "late")) {
        bench_die("cannot watch %s: %s", dir, strerror(errno));
    }
    bench_link_ready(bench);
    pid = start_hclctl("attach", "device=" LATE);
    await_node(store, dir);
    begin = hcl_now_ns();
    bench_link_hear();
    bench->page->sum = hcl_now_ns() - begin;
    end_hclctl(pid);
    xs_close(store);
}

static void serve_other(struct bench *bench)
{
    switch (bench->work.op) {
    case BENCH_ATTACH:
        serve_attach(bench);
        break;
    case BENCH_DETACH:
        bench_link_ready(bench);
        end_hclctl(start_hclctl("detach", LATE));
        break;
    case BENCH_CONSOLE_TRIPS:
        bench_console_serve(bench);
        break;
    default:
        bench_die("an unknown work");
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .server = true, .acknowledge = true, .serve_other = serve_other};

    if (argc != 4) {
        fprintf(stderr, "usage: bench-xen-server DOMID TTY PID\n");
        return 2;
    }
    snprintf(guest, sizeof(guest), "%s", argv[1]);
    bench_console_open(argv[2], atoi(argv[3]));
    bench_link_listen(&bench, atoi(guest));
    bench_vchan_listen(atoi(guest));
    bench_net_listen();
    puts("ready");
    fflush(stdout);
    bench_net_accept();
    bench_serve(&bench);
}
