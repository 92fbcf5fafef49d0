/* SPDX-License-Identifier: MIT */
/*
 * bench-xen-client OWN ADDRESS JSON [--rows ID,...] [--seconds N]: the guest's
 * end of `make bench-xen`, which decides what is measured and prints it.  OWN
 * is the guest's domid, ADDRESS dom0's; bench-xen-server runs there already.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hcl.h>
#include <xenstore.h>

#include "rows.h"

/* What HCL and a peer each get of a sample: peers take 0.3 to 45 ms for one. */
#define PART_NS 30000000
#define GUESS_NS 1e6

/* B5. */
#define LATE "late0"
#define LATE_TIMES 15
#define LATE_MOST_MS 100
#define CONNECT_MS 10000

const struct bench_transport *const bench_transports[BENCH_NUM_TRANSPORTS] = {
    [BENCH_HCL] = &bench_hcl,
    [BENCH_VCHAN_POLLED] = &bench_vchan_polled,
    [BENCH_VCHAN_BLOCKING] = &bench_vchan_blocking,
    [BENCH_NETFRONT_TCP] = &bench_netfront_tcp,
    [BENCH_NETFRONT_UDP] = &bench_netfront_udp,
    [BENCH_CONSOLE] = &bench_console,
    [BENCH_MEMCPY] = &bench_memcpy,
};

/* ---- The console's client, which has nothing to do --------------------- */

static void begin_nothing(struct bench *bench)
{
    (void)bench;
}

static uint64_t console_trips(struct bench *bench)
{
    struct bench_work work = {.op = BENCH_CONSOLE_TRIPS,
                              .count = bench->work.count};

    bench->done_count = work.count;
    bench_link_post(bench, &work);
    bench_link_finish(bench);
    return bench->page->sum;
}

const struct bench_transport bench_console = {
    .name = "console",
    .begin = begin_nothing,
    .stream = console_trips,
};

/* ---- B5 ---------------------------------------------------------------- */

/* hcl_open knows devices that exist: a program that comes first looks for them
 * in xenstore itself. */
static struct hcl_device *open_late(struct xs_handle *store)
{
    struct hcl_device *device = NULL;
    struct hcl_err err;
    unsigned int count;
    char **event;
    int ret;

    while ((ret = hcl_open(LATE, NULL, CONNECT_MS, &device, &err)) == -ENOENT) {
        event = xs_read_watch(store, &count);
        if (!event) {
            bench_die("xs_read_watch: %s", strerror(errno));
        }
        free(event);
    }
    if (ret < 0) {
        bench_die("%s: %s", LATE, err.text);
    }
    return device;
}

static double attach_once(struct bench *bench, struct xs_handle *store)
{
    const struct bench_work attach = {.op = BENCH_ATTACH};
    const struct bench_work detach = {.op = BENCH_DETACH};
    struct hcl_handle *handle;
    struct hcl_device *device;
    struct hcl_err err;
    char answer[4];
    double ns;

    bench_link_post(bench, &attach);
    device = open_late(store);
    if (hcl_handle_open(device, CONNECT_MS, &handle, &err) < 0 ||
        hcl_exchange(handle, "abc", 4, answer, 4, CONNECT_MS, &err) != 4) {
        bench_die("%s: %s", LATE, err.text);
    }
    bench_link_tell();
    bench_link_finish(bench);
    ns = (double)bench->page->sum;
    hcl_close(device);
    bench_link_post(bench, &detach);
    bench_link_finish(bench);
    return ns;
}

static void measure_attach(struct bench *bench)
{
    struct xs_handle *store = xs_open(0);
    struct bench_values ms = {0};

    if (!store || !xs_watch(store, "device/hcl", LATE)) {
        bench_die("cannot watch device/hcl: %s", strerror(errno));
    }
    for (int i = 0; i < LATE_TIMES; i++) {
        bench_values_add(&ms, attach_once(bench, store) / 1e6);
    }
    bench_report_alone("B5", "from xenstore nodes to the first answer",
                       BENCH_UNIT_MS, &ms, LATE_MOST_MS);
    xs_close(store);
}

/* ---- All rows ---------------------------------------------------------- */

static void measure_rows(struct bench *bench,
                         const struct bench_options *options)
{
    struct bench_found found = {0};

    for (size_t i = 0; i < bench_num_rows; i++) {
        const struct bench_row *row = &bench_rows[i];

        if (bench_options_want(options, row->id)) {
            bench_measure(bench, row, options->seconds, &found);
            bench_report_row(row, &found);
            bench_found_clear(&found);
        }
    }
    if (bench_options_want(options, "B4")) {
        bench_count_xen_row(bench, options->seconds);
    }
    if (bench_options_want(options, "B5")) {
        measure_attach(bench);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .part_ns = PART_NS, .guess_ns = GUESS_NS, .acknowledge = true};
    struct bench_options options;

    if (!bench_options_read(&options, argc, argv, 4)) {
        fprintf(stderr, "usage: bench-xen-client OWN ADDRESS JSON "
                        "[--rows ID,...] [--seconds N]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_link_connect(&bench, 0);
    bench_vchan_connect(0);
    bench_net_connect(argv[2]);
    bench_hcl_connect();
    bench_hcl_connect_unpolled();
    bench_report_begin(false);
    printf("cost of a notification here: %.0f ns\n\n",
           bench_notify_ns(atoi(argv[1])));
    measure_rows(&bench, &options);
    bench_report_end(argv[3]);
    bench_hcl_disconnect();
    return 0;
}
