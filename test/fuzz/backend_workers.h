/* SPDX-License-Identifier: MIT */
/*
 * backend_workers.h: the other ends of the supervisor's sockets in the
 * backend_nodes target: they check what they hear, and say anything.
 */
#ifndef BACKEND_WORKERS_H
#define BACKEND_WORKERS_H

#include "backend_xen.h"
#include "fuzz.h"

/* As if none had ever been. */
void workers_reset(void);

/*
 * Reads what the supervisor has said to @process, and answers as a worker does
 * that works, if @answers.  True if there was anything.
 */
bool worker_listen(struct process *process, bool answers);

/* One worker does something; @what says which, and what. */
void worker_step(struct fuzz_input *input, uint32_t what);

#endif /* BACKEND_WORKERS_H */
