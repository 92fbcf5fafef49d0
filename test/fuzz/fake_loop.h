/* SPDX-License-Identifier: MIT */
/*
 * fake_loop.h: stands in for common/loop.c, without a system call: descriptors
 * are mere numbers, time passes when the target says so.
 */
#ifndef FAKE_LOOP_H
#define FAKE_LOOP_H

#include "loop.h"

/* What hcl_now_us says. */
extern uint64_t fake_now_us;

/*
 * The target's: which of EPOLLIN, EPOLLOUT and EPOLLHUP @fd has now.  Called
 * before each callback.
 */
extern uint32_t (*fake_ready)(int fd);

/* The target's: hcl_loop_run calls it when nothing is ready. */
extern void (*fake_idle)(void);

/* hcl_loop_run aborts if it is idle, or is busy, so often in a row. */
#define FAKE_CALLS 10000

/* The loop that was made last, until it is freed. */
extern struct hcl_loop *fake_loop;

/* Delivers a signal to hcl_source_signals; false: nobody listens. */
bool fake_signal(int signal);

/* Lets time pass until the next timer is due; false: none is armed. */
bool fake_skip_to_timer(void);

#endif /* FAKE_LOOP_H */
