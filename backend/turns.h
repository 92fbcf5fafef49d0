/* SPDX-License-Identifier: MIT */
/*
 * turns.h: jobs that wait for the device, taken in turn: one of each guest that
 * waits, then the next of each; the jobs of one guest in their own order.  A
 * guest with many jobs so waits no less than one with a single job.
 *
 *   first -> guest 3: job -> job -> job
 *               |
 *            guest 1: job
 *               |
 *            guest 7: job -> job
 *
 * Nothing is allocated: a class keeps a struct hcl_turn in each job's state.
 */
#ifndef HCL_TURNS_H
#define HCL_TURNS_H

#include <stdbool.h>

#include "class.h"

struct hcl_turn {
    struct hcl_job *job;
    struct hcl_turn *next; /* of the same guest */
    /* Of a guest's first one only. */
    struct hcl_turn *last;       /* of the same guest */
    struct hcl_turn *next_guest; /* first one of the guest that comes next */
};

/* Zero-initialised is empty. */
struct hcl_turns {
    struct hcl_turn *first; /* of the guest whose turn it is */
};

/* Adds a job with its node; costs a walk over the guests that wait. */
void hcl_turns_add(struct hcl_turns *turns, struct hcl_turn *turn,
                   struct hcl_job *job);

/* The job whose turn it is, or NULL; stays in the queue. */
struct hcl_job *hcl_turns_peek(const struct hcl_turns *turns);

/* Takes that job; its guest goes to the end. */
struct hcl_job *hcl_turns_take(struct hcl_turns *turns);

/* Takes out a job that waits; false if it does not. */
bool hcl_turns_remove(struct hcl_turns *turns, struct hcl_turn *turn);

#endif /* HCL_TURNS_H */
