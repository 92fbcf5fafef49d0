/* SPDX-License-Identifier: MIT */
/*
 * bench.h: the parts of hcl-bench: what was asked for (bench_options.c), one
 * measurement (bench_run.c), what it found (bench_report.c), and an other end
 * without Xen (bench_local.c).
 */
#ifndef HCL_BENCH_H
#define HCL_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "bench_local.h"
#include "err.h"
#include "hcl.h"
#include "histogram.h"

enum hcl_bench_exit {
    HCL_BENCH_OK = 0,
    HCL_BENCH_USAGE = 1,
    HCL_BENCH_NO_DEVICE = 2,
    HCL_BENCH_REFUSED = 3,
    HCL_BENCH_TIMEOUT = 4,
    HCL_BENCH_FAILED = 5,
    HCL_BENCH_BUSY = 6,
};

/* ---- What to measure --------------------------------------------------- */

enum hcl_bench_mode {
    HCL_BENCH_LATENCY, /* one request at a time */
    HCL_BENCH_RATE,    /* one way, many at a time */
    HCL_BENCH_DEPTH,   /* there and back, some at a time */
    HCL_BENCH_STREAM,  /* large payloads */
    HCL_BENCH_MODES
};

/* One measurement. */
struct hcl_bench_run {
    enum hcl_bench_mode mode;
    uint8_t opcode;       /* HCL_READ, HCL_WRITE or HCL_EXCHANGE */
    bool copy;            /* ordinary memory instead of pool buffers */
    bool check;           /* compare answers with payloads */
    uint32_t bytes;       /* of payload, and of answer */
    uint32_t depth;       /* requests at a time */
    uint32_t handles;     /* in turn */
    uint32_t think_us;    /* of the program, between answer and request */
    uint64_t count;       /* requests; 0: no limit */
    uint64_t duration_us; /* 0: no limit */
    uint64_t warmup;      /* requests before it counts */
};

#define HCL_BENCH_MAX_RUNS (2 * HCL_BENCH_MODES)

struct hcl_bench_options {
    const char *device; /* name; with local an item as in hcl.conf */
    const char *worker; /* path of hcl-worker; NULL: it is looked for */
    bool local;
    bool json;
    int timeout_ms; /* to connect, and without any answer */
    struct hcl_bench_run runs[HCL_BENCH_MAX_RUNS];
    unsigned int num_runs;
};

/*
 * Reads the command line.  Returns -1 and fills @ret_options, whose strings
 * are @argv's; or the exit status, after it printed help, version or what is
 * wrong with it and what to do.
 */
int hcl_bench_parse(int argc, char **argv,
                    struct hcl_bench_options *ret_options);

/* "latency", "exchange". */
const char *hcl_bench_mode_name(enum hcl_bench_mode mode);
const char *hcl_bench_opcode_name(uint8_t opcode);

/* The rings and pools that all runs need.  NULL, or a run that needs too much.
 */
const struct hcl_bench_run *
hcl_bench_memory(const struct hcl_bench_options *options,
                 struct hcl_open_options *ret_memory);

/* ---- What was found ---------------------------------------------------- */

/* The difference of two struct hcl_status. */
struct hcl_bench_counters {
    uint64_t requests;
    uint64_t completions;
    uint64_t copied_bytes;
    uint64_t events_out;
    uint64_t events_in;
    uint64_t grant_operations;
    uint32_t reconnects;
};

struct hcl_bench_result {
    uint64_t elapsed_us;
    uint64_t failed;     /* requests that brought an error */
    uint64_t checked;    /* answers that were compared */
    uint64_t mismatched; /* of them */
    uint64_t tx_bytes;
    uint64_t rx_bytes;
    uint64_t user_us; /* CPU time of this process */
    uint64_t system_us;
    bool has_worker;
    uint64_t worker_us;            /* of the other end */
    struct hcl_histogram *latency; /* the caller's: ns of each good request */
    struct hcl_bench_counters counters;
};

/* All about the connection that a report begins with. */
struct hcl_bench_connection {
    bool local;
    uint64_t connect_us; /* hcl_open took */
    uint64_t clock_ns;   /* one look at the clock takes */
    struct hcl_status status;
};

void hcl_bench_text_connection(FILE *out,
                               const struct hcl_bench_connection *connection);
void hcl_bench_text_run(FILE *out, const struct hcl_bench_run *run,
                        const struct hcl_bench_result *result);

/* A report for programs, made in steps. */
struct hcl_bench_json;

/* NULL: no memory. */
struct hcl_bench_json *
hcl_bench_json_new(const struct hcl_bench_connection *connection);
void hcl_bench_json_free(struct hcl_bench_json *json);

/* -ENOMEM. */
__attribute__((warn_unused_result)) int
hcl_bench_json_run(struct hcl_bench_json *json, const struct hcl_bench_run *run,
                   const struct hcl_bench_result *result);
__attribute__((warn_unused_result)) int
hcl_bench_json_print(const struct hcl_bench_json *json, FILE *out);

/* ---- Measuring --------------------------------------------------------- */

/* What one call of hcl_now_ns takes, at best. */
uint64_t hcl_bench_clock_ns(void);

/*
 * Stops the present and all later runs on SIGINT and SIGTERM, and after
 * @timeout_ms (or twice that) without an answer.  Once, before the first run.
 */
__attribute__((warn_unused_result)) int hcl_bench_watch(int timeout_ms,
                                                        struct hcl_err *err);

/* After the last run: no more alarms; SIGINT and SIGTERM end the process. */
void hcl_bench_unwatch(void);

/* The signal that stopped it, or 0. */
int hcl_bench_signal(void);

/*
 * Measures.  @worker is the other end's process, or 0.  @ret_result's latency
 * stands already, and is cleared.  A signal ends it early, which is no error;
 * nothing was measured if elapsed_us is 0.
 *   -ENOBUFS    the pools are too small for it
 *   -ETIMEDOUT  no answer
 *   -EBADMSG    an answer is not what was sent: counted in the result, too
 *   others      of hcl_handle_open and hcl_submit; what the device says
 */
__attribute__((warn_unused_result)) int
hcl_bench_measure(struct hcl_device *device, pid_t worker,
                  const struct hcl_bench_run *run,
                  struct hcl_bench_result *ret_result, struct hcl_err *err);

#endif /* HCL_BENCH_H */
