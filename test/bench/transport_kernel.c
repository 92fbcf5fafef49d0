/* SPDX-License-Identifier: MIT */
/* What the kernel offers between two processes, and memcpy in one. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "loop.h"

static void begin_nothing(struct bench *bench)
{
    (void)bench;
}

/* ---- eventfd: the payload lies in shared memory ------------------------ */

static void eventfd_send(struct bench *bench, const void *message, size_t bytes)
{
    uint64_t one = 1;

    memcpy(&bench->page->payload[bench->server], message, bytes);
    bench_write_all(
        bench->fds[bench->server ? BENCH_FD_EVENT_DOWN : BENCH_FD_EVENT_UP],
        &one, sizeof(one));
}

static size_t eventfd_receive(struct bench *bench, void *message, size_t bytes)
{
    uint64_t count;

    bench_read_lines(
        bench->fds[bench->server ? BENCH_FD_EVENT_UP : BENCH_FD_EVENT_DOWN],
        &count, sizeof(count));
    memcpy(message, &bench->page->payload[!bench->server], bytes);
    return bytes;
}

double bench_eventfd_ns(struct bench *bench)
{
    int fd = bench->fds[BENCH_FD_EVENT_UP];
    uint64_t begin, one = 1, times = 100000, ns;

    begin = hcl_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        bench_write_all(fd, &one, sizeof(one));
    }
    ns = hcl_now_ns() - begin;
    bench_read_lines(fd, &one, sizeof(one)); /* all of them */
    return (double)ns / (double)times;
}

const struct bench_transport bench_eventfd = {
    .name = "eventfd",
    .begin = begin_nothing,
    .send = eventfd_send,
    .receive = eventfd_receive,
};

/* ---- Pipes and sockets ------------------------------------------------- */

static void pipe_send(struct bench *bench, const void *message, size_t bytes)
{
    bench_write_all(bench->fds[bench->server ? BENCH_FD_PIPE_DOWN_WRITE
                                             : BENCH_FD_PIPE_UP_WRITE],
                    message, bytes);
}

static size_t pipe_receive(struct bench *bench, void *message, size_t bytes)
{
    return bench_read_lines(bench->fds[bench->server ? BENCH_FD_PIPE_UP_READ
                                                     : BENCH_FD_PIPE_DOWN_READ],
                            message, bytes);
}

const struct bench_transport bench_pipe = {
    .name = "pipe",
    .variants = 2,
    .begin = begin_nothing,
    .send = pipe_send,
    .receive = pipe_receive,
};

static void stream_send(struct bench *bench, const void *message, size_t bytes)
{
    bench_write_all(bench->fds[BENCH_FD_STREAM_CLIENT + bench->server], message,
                    bytes);
}

static size_t stream_receive(struct bench *bench, void *message, size_t bytes)
{
    return bench_read_lines(bench->fds[BENCH_FD_STREAM_CLIENT + bench->server],
                            message, bytes);
}

const struct bench_transport bench_unix_stream = {
    .name = "unix-stream",
    .variants = 2,
    .begin = begin_nothing,
    .send = stream_send,
    .receive = stream_receive,
};

static void seqpacket_send(struct bench *bench, const void *message,
                           size_t bytes)
{
    bench_write_all(bench->fds[BENCH_FD_SEQPACKET_CLIENT + bench->server],
                    message, bytes);
}

static size_t seqpacket_receive(struct bench *bench, void *message,
                                size_t bytes)
{
    return bench_read_lines(
        bench->fds[BENCH_FD_SEQPACKET_CLIENT + bench->server], message, bytes);
}

const struct bench_transport bench_unix_seqpacket = {
    .name = "unix-seqpacket",
    .begin = begin_nothing,
    .send = seqpacket_send,
    .receive = seqpacket_receive,
};

/* ---- memcpy: in and out by one process, and read there ----------------- */

static uint64_t memcpy_stream(struct bench *bench)
{
    static uint8_t from[BENCH_MESSAGE_BYTES] __attribute__((aligned(4096)));
    static uint8_t through[BENCH_MESSAGE_BYTES] __attribute__((aligned(4096)));
    static uint8_t to[BENCH_MESSAGE_BYTES] __attribute__((aligned(4096)));
    const struct bench_work *work = &bench->work;
    uint64_t n = work->count, rest = bench_fill(from, work->bytes, 0), sum = 0;
    uint64_t begin = hcl_now_ns(), ns;

    for (uint64_t i = 0; i < n; i++) {
        *(uint64_t *)from = i;
        memcpy(through, from, work->bytes);
        __asm__ volatile("" ::: "memory");
        memcpy(to, through, work->bytes);
        sum += bench_add(to, work->bytes);
    }
    ns = hcl_now_ns() - begin;
    if (sum != n * (n - 1) / 2 + n * rest) {
        bench_die("memcpy: a wrong sum");
    }
    return ns;
}

const struct bench_transport bench_memcpy = {
    .name = "memcpy",
    .begin = begin_nothing,
    .stream = memcpy_stream,
};
