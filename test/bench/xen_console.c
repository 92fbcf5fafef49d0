/* SPDX-License-Identifier: MIT */
/*
 * bench-xen-console: process 1 of a guest that does nothing but answer on its
 * console: each message with its words, each one more.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <termios.h>
#include <unistd.h>

#include <xenstore.h>

#include "bench.h"

#define CONSOLE "/dev/hvc0"

/* Tenths of a second between two bytes: of a message there are none. */
#define GAP 2

static void say_ready(void)
{
    struct xs_handle *store = xs_open(0);

    if (!store || !xs_write(store, XBT_NULL, "data/ready", "1", 1)) {
        bench_die("cannot write to xenstore");
    }
    xs_close(store);
}

int main(void)
{
    uint64_t words[BENCH_TRIP_BYTES / 8];
    struct termios raw;
    int tty;

    mount("dev", "/dev", "devtmpfs", 0, NULL);
    tty = open(CONSOLE, O_RDWR | O_NOCTTY);
    if (tty < 0 || tcgetattr(tty, &raw) < 0) {
        bench_die("no " CONSOLE);
    }
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = BENCH_TRIP_BYTES;
    raw.c_cc[VTIME] = GAP;
    tcsetattr(tty, TCSAFLUSH, &raw);
    say_ready();
    for (;;) {
        /* What comes in pieces is not a message. */
        if (read(tty, words, sizeof(words)) != sizeof(words)) {
            continue;
        }
        for (size_t i = 0; i < BENCH_TRIP_BYTES / 8; i++) {
            words[i]++;
        }
        bench_write_all(tty, words, sizeof(words));
    }
}
