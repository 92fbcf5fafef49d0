/* SPDX-License-Identifier: MIT */
/*
 * pairs.h: A10: several pairs of ends at once, more than there are cores.
 *
 * Each client is a process of its own, with a device echo1, echo2, ... and a
 * vchan of its own; at the other end there is a worker for each device and a
 * process of the server for each vchan.  None of them is pinned.
 */
#ifndef PAIRS_H
#define PAIRS_H

#define BENCH_PAIRS 4

/* pairs_server.c: starts the processes that answer, before anything is pinned.
 */
void bench_pairs_listen(int domid);

/* pairs.c: starts the clients, before anything is connected or pinned. */
void bench_pairs_start(int server_domid);
void bench_pairs_measure(double seconds);
/* Without a measurement, too. */
void bench_pairs_end(void);

#endif /* PAIRS_H */
