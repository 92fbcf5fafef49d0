/* SPDX-License-Identifier: MIT */
/* The vchans' ends of A10: a process each, which sends back what it gets. */
#include "pairs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <libxenvchan.h>

#include "bench.h"

#define RING_BYTES 4096

__attribute__((noreturn)) static void answer(struct libxenvchan *vchan)
{
    uint8_t message[BENCH_TRIP_BYTES];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Until the client closes. */
    while (
        libxenvchan_recv(vchan, message, sizeof(message)) == sizeof(message) &&
        libxenvchan_send(vchan, message, sizeof(message)) == sizeof(message)) {
    }
    libxenvchan_close(vchan);
    _exit(0);
}

void bench_pairs_listen(int domid)
{
    struct libxenvchan *vchan;
    char path[64];
    pid_t pid;

    for (int i = 0; i < BENCH_PAIRS; i++) {
        snprintf(path, sizeof(path), "/local/domain/0/data/bench/pair%d", i);
        vchan =
            libxenvchan_server_init(NULL, domid, path, RING_BYTES, RING_BYTES);
        if (!vchan) {
            bench_die("libxenvchan_server_init: %s", strerror(errno));
        }
        vchan->blocking = 1;
        pid = fork();
        if (pid == 0) {
            answer(vchan);
        }
        if (pid < 0) {
            bench_die("fork: %s", strerror(errno));
        }
    }
}
