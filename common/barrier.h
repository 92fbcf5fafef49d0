/* SPDX-License-Identifier: MIT */
/*
 * barrier.h: every ordering rule of memory that is shared with another domain.
 *
 * Shared memory is touched only through these and by the ring code: a plain
 * read could be fetched twice by the compiler, and the peer changes it between
 * the two (XSA-155).
 */
#ifndef HCL_BARRIER_H
#define HCL_BARRIER_H

#include <stdint.h>

/* Under clang's analyser a shared pointer cannot be dereferenced by accident.
 */
#if defined(__clang__) && defined(HCL_CHECK_SHARED)
#define HCL_SHARED __attribute__((noderef))
#else
#define HCL_SHARED
#endif

/* Pairs with hcl_store_release of the peer. */
#define hcl_load_acquire(pointer) __atomic_load_n((pointer), __ATOMIC_ACQUIRE)

/* Pairs with hcl_load_acquire of the peer. */
#define hcl_store_release(pointer, value)                                      \
    __atomic_store_n((pointer), (value), __ATOMIC_RELEASE)

/* One fetch, no order. */
#define hcl_load_once(pointer) __atomic_load_n((pointer), __ATOMIC_RELAXED)

/* One store, no order. */
#define hcl_store_once(pointer, value)                                         \
    __atomic_store_n((pointer), (value), __ATOMIC_RELAXED)

/* Stores before it are visible before loads after it are done. */
static inline void hcl_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The compiler may not move or repeat memory accesses across it. */
static inline void hcl_compiler_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

#endif /* HCL_BARRIER_H */
