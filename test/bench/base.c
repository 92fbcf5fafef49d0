/* SPDX-License-Identifier: MIT */
/* What all programs of the benchmarks use. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

void bench_die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fputs("bench: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

void bench_pin(int pid, int core)
{
    cpu_set_t cores;

    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(pid, sizeof(cores), &cores) < 0) {
        bench_die("cannot pin process %d to core %d: %s", pid, core,
                  strerror(errno));
    }
}

void bench_write_all(int fd, const void *message, size_t bytes)
{
    const uint8_t *at = message;
    ssize_t wrote;

    while (bytes > 0) {
        wrote = write(fd, at, bytes);
        if (wrote < 0 && errno != EINTR) {
            bench_die("write: %s", strerror(errno));
        }
        if (wrote > 0) {
            at += wrote;
            bytes -= (size_t)wrote;
        }
    }
}

/* A short read may end within a line. */
size_t bench_read_lines(int fd, void *message, size_t bytes)
{
    uint8_t *at = message;
    size_t have = 0;
    ssize_t got;

    do {
        got = read(fd, at + have, bytes - have);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            bench_die("read: %s", got ? strerror(errno) : "the end");
        }
        have += got > 0 ? (size_t)got : 0;
    } while (have < bytes && have % 64 != 0);
    return have;
}
