/* SPDX-License-Identifier: MIT */
/*
 * bench_local.h: an hcl-worker of our own, which serves this process over
 * local.h, without Xen: we play hcl-backend for it, and its guests.
 */
#ifndef HCL_BENCH_LOCAL_H
#define HCL_BENCH_LOCAL_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "hcl.h"
#include "local.h"
#include "share.h"

/* ---- A worker with any number of guests -------------------------------- */

struct hcl_bench_worker {
    pid_t pid;  /* 0: none */
    int socket; /* as hcl-backend has it; -1: none */
    int timeout_ms;
    uint32_t connections; /* so far */
    char name[HCL_NAME_BYTES];
    char class_name[HCL_NAME_BYTES];
};

/*
 * Starts hcl-worker (@path, or the one that is installed) for the device @item,
 * as in hcl.conf, which has @timeout_ms for each answer.  On failure
 * hcl_bench_worker_stop is still due.
 */
__attribute__((warn_unused_result)) int
hcl_bench_worker_start(struct hcl_bench_worker *worker, const char *path,
                       const char *item, int timeout_ms, struct hcl_err *err);

/*
 * Connects one more guest, which gets that share of the device, with what
 * @options say.  @local, the memory, is filled; it ends with hcl_local_close
 * after hcl_close, and on failure.
 */
__attribute__((warn_unused_result)) int hcl_bench_worker_open(
    struct hcl_bench_worker *worker, const struct hcl_share *share,
    const struct hcl_open_options *options, struct hcl_local *local,
    struct hcl_device **ret_device, struct hcl_err *err);

/* After all hcl_close: ends hcl-worker. */
void hcl_bench_worker_stop(struct hcl_bench_worker *worker);

/* ---- A worker with one guest ------------------------------------------- */

struct hcl_bench_local {
    struct hcl_local local;
    struct hcl_bench_worker worker;
};

/*
 * Starts hcl-worker as above, @item may be NULL for an echo device, and
 * connects to it.  On failure hcl_bench_local_stop is still due.
 */
__attribute__((warn_unused_result)) int
hcl_bench_local_start(struct hcl_bench_local *local, const char *worker,
                      const char *item, const struct hcl_open_options *options,
                      int timeout_ms, struct hcl_device **ret_device,
                      struct hcl_err *err);

/* After hcl_close: ends hcl-worker and frees all. */
void hcl_bench_local_stop(struct hcl_bench_local *local);

#endif /* HCL_BENCH_LOCAL_H */
