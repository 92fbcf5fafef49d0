/* SPDX-License-Identifier: MIT */
/*
 * Debian's libxenvchan, unmodified: the client in a guest, the server in dom0.
 * One vchan of each size of ring, since none serves all best; polled (not
 * blocking, called again at once) or blocking.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libxenvchan.h>

#include "bench.h"
#include "loop.h"

#define NUM_SIZES 4

/* Of the ring towards the server; variant / 2 is an index here. */
static const size_t ring_bytes[NUM_SIZES] = {4096, 65536, 262144, 1048576};

/* The way back carries answers only. */
#define BACK_BYTES 4096

#define NOTIFY_TIMES 10000

static struct libxenvchan *vchans[NUM_SIZES];
static struct libxenvchan *vchan; /* of the work at hand */

static void path_of(char *path, size_t size, int domid, int index)
{
    snprintf(path, size, "/local/domain/%d/data/bench/%d", domid, index);
}

void bench_vchan_listen(int domid)
{
    char path[64];

    for (int i = 0; i < NUM_SIZES; i++) {
        path_of(path, sizeof(path), 0, i);
        vchans[i] = libxenvchan_server_init(NULL, domid, path, ring_bytes[i],
                                            BACK_BYTES);
        if (!vchans[i]) {
            bench_die("libxenvchan_server_init: %s", strerror(errno));
        }
    }
}

void bench_vchan_connect(int domid)
{
    char path[64];

    for (int i = 0; i < NUM_SIZES; i++) {
        path_of(path, sizeof(path), domid, i);
        vchans[i] = libxenvchan_client_init(NULL, domid, path);
        if (!vchans[i]) {
            bench_die("libxenvchan_client_init: %s", strerror(errno));
        }
    }
}

/* One end of an event channel within the guest; never waits. */
static void take_event(xenevtchn_handle *handle)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(handle);

    if (port < 0 || xenevtchn_unmask(handle, (evtchn_port_t)port) < 0) {
        bench_die("no event came: %s", strerror(errno));
    }
}

double bench_notify_ns(int own_domid)
{
    xenevtchn_handle *from = xenevtchn_open(NULL, 0);
    xenevtchn_handle *to = xenevtchn_open(NULL, 0);
    xenevtchn_port_or_error_t there = -1, here = -1;
    uint64_t begin, spent = 0;

    if (from && to) {
        there = xenevtchn_bind_unbound_port(to, (uint32_t)own_domid);
    }
    if (there >= 0) {
        here = xenevtchn_bind_interdomain(from, (uint32_t)own_domid,
                                          (evtchn_port_t)there);
    }
    if (here < 0) {
        bench_die("no event channel: %s", strerror(errno));
    }
    for (int i = 0; i < NOTIFY_TIMES; i++) {
        begin = hcl_now_ns();
        xenevtchn_notify(from, (evtchn_port_t)here);
        spent += hcl_now_ns() - begin;
        take_event(to);
    }
    xenevtchn_close(from);
    xenevtchn_close(to);
    return (double)spent / NOTIFY_TIMES;
}

static void begin(struct bench *bench, int blocking)
{
    vchan = vchans[bench->work.variant / 2 % NUM_SIZES];
    vchan->blocking = blocking & 1;
}

static void begin_polled(struct bench *bench)
{
    begin(bench, 0);
}

static void begin_blocking(struct bench *bench)
{
    begin(bench, 1);
}

static void send_all(struct bench *bench, const void *message, size_t bytes)
{
    const uint8_t *at = message;
    int wrote;

    (void)bench;
    while (bytes > 0) {
        wrote = libxenvchan_write(vchan, at, bytes);
        if (wrote < 0) {
            bench_die("libxenvchan_write: %s", strerror(errno));
        }
        at += wrote;
        bytes -= (size_t)wrote;
    }
}

static size_t receive(struct bench *bench, void *message, size_t bytes)
{
    uint8_t *at = message;
    size_t have = 0;
    int got;

    (void)bench;
    do {
        got = libxenvchan_read(vchan, at + have, bytes - have);
        if (got < 0) {
            bench_die("libxenvchan_read: %s", strerror(errno));
        }
        have += (size_t)got;
    } while (have == 0 || have % 64 != 0);
    return have;
}

const struct bench_transport bench_vchan_polled = {
    .name = "vchan-polled",
    .variants = 2 * NUM_SIZES,
    .begin = begin_polled,
    .send = send_all,
    .receive = receive,
};

const struct bench_transport bench_vchan_blocking = {
    .name = "vchan-blocking",
    .variants = 2 * NUM_SIZES,
    .begin = begin_blocking,
    .send = send_all,
    .receive = receive,
};
