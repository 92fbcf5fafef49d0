/* SPDX-License-Identifier: MIT */
/*
 * memory.h: a domain's shared pages.  They lie in one memfd, side by side where
 * that is possible, so that a program maps many of them with one call.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct sim_memory;

/* It lives as long as somebody keeps it: its domain, or one of its frames. */
__attribute__((warn_unused_result)) int
sim_memory_new(struct sim_memory **ret_memory, struct hcl_err *err);
void sim_memory_drop(struct sim_memory *memory);

/*
 * Takes @count frames (pages by their number in the descriptor) in a row, all
 * zero.  Each is given back alone, and keeps the memory until then.
 */
__attribute__((warn_unused_result)) int
sim_memory_take(struct sim_memory *memory, uint32_t count, uint32_t *ret_frame);
void sim_memory_give(struct sim_memory *memory, uint32_t frame);

/* Sets a byte of @frame to 0. */
void sim_memory_clear(const struct sim_memory *memory, uint32_t frame,
                      uint32_t byte);

/*
 * What to map.  Through the read-only one no later mprotect can write.  It
 * stays the memory's.
 */
int sim_memory_fd(const struct sim_memory *memory, bool writable);

#endif /* SIM_MEMORY_H */
