/* SPDX-License-Identifier: MIT */
/* console.h: the server's part of the transport console. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "bench.h"

/* @path: of the pty; @reader_pid reads there, too, and is stopped meanwhile. */
void bench_console_open(const char *path, int reader_pid);

/* Makes the work's round trips; their nanoseconds are the sum. */
void bench_console_serve(struct bench *bench);

#endif /* CONSOLE_H */
