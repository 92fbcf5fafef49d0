/* SPDX-License-Identifier: MIT */
/*
 * hcl-bench.c: how fast a guest and the host exchange requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "loop.h"

struct program {
    struct hcl_bench_options options;
    struct hcl_device *device;
    struct hcl_bench_local local;
    struct hcl_bench_json *json; /* NULL: text is printed */
    struct hcl_histogram latency;
};

static int failed(const struct program *program, const struct hcl_err *err)
{
    const char *device = program->options.device;

    fprintf(stderr, "hcl-bench: %s%s%s\n",
            device && !program->options.local ? device : "",
            device && !program->options.local ? ": " : "", err->text);
    switch (err->code) {
    case -ENOENT:
        return program->options.local ? HCL_BENCH_FAILED : HCL_BENCH_NO_DEVICE;
    case -ECONNREFUSED:
        return HCL_BENCH_REFUSED;
    case -ETIMEDOUT:
        return HCL_BENCH_TIMEOUT;
    case -EBUSY:
        return HCL_BENCH_BUSY;
    default:
        return HCL_BENCH_FAILED;
    }
}

static int no_memory(struct hcl_err *err)
{
    return hcl_err_sys(err, -ENOMEM, "JSON");
}

/* Connects, and tells how that went. */
static int open_device(struct program *program, struct hcl_err *err)
{
    const struct hcl_bench_options *options = &program->options;
    struct hcl_bench_connection connection = {.local = options->local};
    struct hcl_open_options memory;
    uint64_t start_ns;
    int ret;

    (void)hcl_bench_memory(options, &memory); /* checked with the options */
    connection.clock_ns = hcl_bench_clock_ns();
    start_ns = hcl_now_ns();
    ret = options->local
              ? hcl_bench_local_start(
                    &program->local, options->worker, options->device, &memory,
                    options->timeout_ms, &program->device, err)
              : hcl_open(options->device, &memory, options->timeout_ms,
                         &program->device, err);
    if (ret < 0) {
        return ret;
    }
    connection.connect_us = (hcl_now_ns() - start_ns) / 1000;
    hcl_status(program->device, &connection.status);
    if (!options->json) {
        hcl_bench_text_connection(stdout, &connection);
        return 0;
    }
    program->json = hcl_bench_json_new(&connection);
    return program->json ? 0 : no_memory(err);
}

/* What could be measured of a run that failed is told, too. */
static int measure(struct program *program, const struct hcl_bench_run *run,
                   struct hcl_err *err)
{
    struct hcl_bench_result result = {.latency = &program->latency};
    int ret = hcl_bench_measure(program->device, program->local.worker.pid, run,
                                &result, err);

    if (!result.elapsed_us) {
        return ret;
    }
    if (!program->json) {
        hcl_bench_text_run(stdout, run, &result);
    } else if (hcl_bench_json_run(program->json, run, &result) < 0) {
        return no_memory(err);
    }
    return ret;
}

static int run(struct program *program, struct hcl_err *err)
{
    int ret = open_device(program, err);
    unsigned int i;

    if (ret == 0) {
        ret = hcl_bench_watch(program->options.timeout_ms, err);
    }
    for (i = 0; ret == 0 && i < program->options.num_runs; i++) {
        if (!hcl_bench_signal()) {
            ret = measure(program, &program->options.runs[i], err);
        }
    }
    hcl_bench_unwatch();
    if (program->json && hcl_bench_json_print(program->json, stdout) < 0 &&
        ret == 0) {
        ret = no_memory(err);
    }
    if (fflush(stdout) != 0 && ret == 0) {
        ret = hcl_err_sys(err, -errno, "standard output");
    }
    return ret;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct hcl_err err = {0};
    int status = hcl_bench_parse(argc, argv, &program.options);

    if (status >= 0) {
        return status;
    }
    status = HCL_BENCH_OK;
    if (run(&program, &err) < 0) {
        status = failed(&program, &err);
    }
    hcl_close(program.device);
    if (program.options.local) {
        hcl_bench_local_stop(&program.local);
    }
    hcl_bench_json_free(program.json);
    if (status == HCL_BENCH_OK && hcl_bench_signal()) {
        status = 128 + hcl_bench_signal();
    }
    return status;
}
