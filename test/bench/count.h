/* SPDX-License-Identifier: MIT */
/*
 * count.h: what HCL does, counted from outside: the linker puts count.c between
 * HCL and what it calls (--wrap in rules.mk).
 */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>

struct bench_count {
    uint64_t notifications; /* events sent */
    uint64_t copied;        /* bytes, by calls of memcpy and memmove */
    uint64_t grants;        /* mappings of a guest's pages */
};

extern struct bench_count bench_count;

#endif /* COUNT_H */
