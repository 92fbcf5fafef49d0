/* SPDX-License-Identifier: MIT */
/*
 * The console of a second guest, in which bench-xen-console answers: each round
 * trip begins and ends in dom0, since the first guest's console is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "console.h"
#include "loop.h"

/* A message that takes longer is lost; so many may be, at first. */
#define LOST_MS 1000
#define TRIES 3

/* Eight of a: a console takes others for commands, 0x0f for SysRq. */
#define LETTERS UINT64_C(0x6161616161616161)

static int tty = -1;
static int other_reader;

void bench_console_open(const char *path, int reader_pid)
{
    struct termios raw;

    tty = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0 || tcgetattr(tty, &raw) < 0) {
        bench_die("%s: %s", path, strerror(errno));
    }
    cfmakeraw(&raw);
    tcsetattr(tty, TCSANOW, &raw);
    other_reader = reader_pid;
}

/* Reads one message; false: none has come. */
static bool answer(void *in)
{
    struct pollfd ready = {.fd = tty, .events = POLLIN};
    size_t have = 0;
    ssize_t got;

    while (have < BENCH_TRIP_BYTES && poll(&ready, 1, LOST_MS) == 1) {
        got = read(tty, (uint8_t *)in + have, BENCH_TRIP_BYTES - have);
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    return have == BENCH_TRIP_BYTES;
}

static bool trip(uint64_t seed)
{
    uint64_t out[BENCH_TRIP_BYTES / 8], in[BENCH_TRIP_BYTES / 8];
    uint64_t sum = bench_fill(out, sizeof(out), LETTERS + seed % 16);

    bench_write_all(tty, out, sizeof(out));
    return answer(in) &&
           bench_add(in, sizeof(in)) == sum + BENCH_TRIP_BYTES / 8;
}

/* Trips until one succeeds: the guest may have heard something before. */
static bool synchronise(void)
{
    for (unsigned int i = 0; i < TRIES; i++) {
        tcflush(tty, TCIFLUSH);
        if (trip(0)) {
            return true;
        }
    }
    return false;
}

void bench_console_serve(struct bench *bench)
{
    bool answered;
    uint64_t begin;

    bench_link_ready(bench);
    kill(other_reader, SIGSTOP);
    answered = synchronise();
    begin = hcl_now_ns();
    for (uint64_t i = 0; i < bench->work.count && answered; i++) {
        answered = trip(i);
    }
    bench->page->sum = hcl_now_ns() - begin;
    kill(other_reader, SIGCONT);
    if (!answered) {
        bench_die("the console does not answer, or not rightly");
    }
}
