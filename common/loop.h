/* SPDX-License-Identifier: MIT */
/*
 * loop.h: the event loop of each HCL process: descriptors, timers, signals.
 *
 * One thread owns a loop and everything on it.  Nothing here blocks but
 * hcl_loop_run and hcl_loop_poll.  Callbacks may add and free any source or
 * timer, their own too.
 */
#ifndef HCL_LOOP_H
#define HCL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct hcl_loop;
struct hcl_source;

__attribute__((warn_unused_result)) int hcl_loop_new(struct hcl_loop **ret_loop,
                                                     struct hcl_err *err);

/* All sources must have been freed before. */
void hcl_loop_free(struct hcl_loop *loop);

/* Runs until hcl_loop_stop. */
void hcl_loop_run(struct hcl_loop *loop);
void hcl_loop_stop(struct hcl_loop *loop);

/*
 * Dispatches what is ready, waiting at most @timeout_us (-1: for ever).
 * Returns the number of callbacks that ran, or -EINTR after a signal handler.
 */
int hcl_loop_poll(struct hcl_loop *loop, int64_t timeout_us);

/* A descriptor that is readable when hcl_loop_poll(loop, 0) has work. */
int hcl_loop_fd(const struct hcl_loop *loop);

/* Monotonic microseconds, and nanoseconds of the same clock. */
uint64_t hcl_now_us(void);
uint64_t hcl_now_ns(void);

/* ---- Descriptors ------------------------------------------------------- */

/*
 * Calls @fn(@arg, events) while @fd has one of @events (EPOLLIN, EPOLLOUT;
 * EPOLLERR and EPOLLHUP always).  @fd stays the caller's.
 */
__attribute__((warn_unused_result)) int
hcl_source_new(struct hcl_source **ret_source, struct hcl_loop *loop, int fd,
               uint32_t events, void (*fn)(void *arg, uint32_t events),
               void *arg, struct hcl_err *err);

/* Changes the events; 0 keeps only errors. */
void hcl_source_events(struct hcl_source *source, uint32_t events);

/* Takes it off the loop; call before closing the descriptor.  Takes NULL. */
void hcl_source_free(struct hcl_source *source);

/* ---- Timers ------------------------------------------------------------ */

/* Embedded in its owner; zero-initialised is stopped. */
struct hcl_timer {
    struct hcl_loop *loop; /* while it is armed */
    struct hcl_timer *next;
    uint64_t due_us;
    void (*fn)(void *arg);
    void *arg;
};

/* Calls @fn(@arg) once, @delay_us from now.  Armed already: starts anew. */
void hcl_timer_start(struct hcl_timer *timer, struct hcl_loop *loop,
                     uint64_t delay_us, void (*fn)(void *arg), void *arg);

/* Not armed: fine. */
void hcl_timer_stop(struct hcl_timer *timer);

/* ---- Signals ----------------------------------------------------------- */

/*
 * Blocks the signals in the list (ended by 0) and calls @fn(@arg, signal) for
 * each that arrives.  Returns a source to free.
 */
__attribute__((warn_unused_result)) int
hcl_source_signals(struct hcl_source **ret_source, struct hcl_loop *loop,
                   const int *signals, void (*fn)(void *arg, int signal),
                   void *arg, struct hcl_err *err);

#endif /* HCL_LOOP_H */
