/* SPDX-License-Identifier: MIT */
/*
 * The link of the two ends on real Xen: a small blocking vchan of its own. What
 * would be shared memory is private to each end; only the sum is passed on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libxenvchan.h>

#include "bench.h"

#define PATH "/local/domain/0/data/bench/link"
#define RING_BYTES 4096

static struct libxenvchan *link;

static void set_up(struct bench *bench)
{
    if (!link) {
        bench_die("the link, a vchan: %s", strerror(errno));
    }
    link->blocking = 1;
    bench->page = aligned_alloc(4096, sizeof(*bench->page));
    if (!bench->page) {
        bench_die("no memory");
    }
    memset(bench->page, 0, sizeof(*bench->page));
}

void bench_link_listen(struct bench *bench, int domid)
{
    link = libxenvchan_server_init(NULL, domid, PATH, RING_BYTES, RING_BYTES);
    set_up(bench);
}

void bench_link_connect(struct bench *bench, int domid)
{
    link = libxenvchan_client_init(NULL, domid, PATH);
    set_up(bench);
}

static void give(const void *what, size_t bytes)
{
    /* Sends all or nothing. */
    if (libxenvchan_send(link, what, bytes) != (int)bytes) {
        bench_die("the other end has gone");
    }
}

static void take(void *what, size_t bytes)
{
    if (libxenvchan_recv(link, what, bytes) != (int)bytes) {
        bench_die("the other end has gone");
    }
}

void bench_link_tell(void)
{
    give("!", 1);
}

void bench_link_hear(void)
{
    char byte;

    take(&byte, 1);
}

void bench_link_post(struct bench *bench, const struct bench_work *work)
{
    bench->work = *work;
    give(work, sizeof(*work));
    bench_link_hear();
}

void bench_link_finish(struct bench *bench)
{
    take(&bench->page->sum, sizeof(bench->page->sum));
}

void bench_link_next(struct bench *bench)
{
    take(&bench->work, sizeof(bench->work));
}

void bench_link_ready(struct bench *bench)
{
    (void)bench;
    bench_link_tell();
}

void bench_link_done(struct bench *bench)
{
    give(&bench->page->sum, sizeof(bench->page->sum));
}
