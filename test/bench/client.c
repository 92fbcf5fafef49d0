/* SPDX-License-Identifier: MIT */
/*
 * bench-client OWN SERVER JSON [--rows ID,...] [--seconds N]: the guest's end
 * of `make bench`, which decides what is measured and prints it.  OWN and
 * SERVER are the two ends' domids.  Started by bench-server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pairs.h"
#include "rows.h"

#define DEFAULT_SECONDS 20

const struct bench_transport *const bench_transports[BENCH_NUM_TRANSPORTS] = {
    [BENCH_HCL] = &bench_hcl,
    [BENCH_HCL_RING] = &bench_hcl_ring,
    [BENCH_VCHAN_POLLED] = &bench_vchan_polled,
    [BENCH_VCHAN_BLOCKING] = &bench_vchan_blocking,
    [BENCH_EVENTFD] = &bench_eventfd,
    [BENCH_PIPE] = &bench_pipe,
    [BENCH_UNIX_STREAM] = &bench_unix_stream,
    [BENCH_UNIX_SEQPACKET] = &bench_unix_seqpacket,
    [BENCH_MEMCPY] = &bench_memcpy,
};

struct options {
    const char *rows; /* NULL: all */
    double seconds;   /* of a row */
};

/* Is @id one of "A1,A2"? */
static bool wanted(const struct options *options, const char *id)
{
    const char *at = options->rows;
    size_t length = strlen(id);

    if (!at) {
        return true;
    }
    while ((at = strstr(at, id))) {
        if ((at == options->rows || at[-1] == ',') &&
            (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
        at += length;
    }
    return false;
}

static bool parse(int argc, char **argv, struct options *options)
{
    options->seconds = DEFAULT_SECONDS;
    for (int i = 4; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--rows") == 0) {
            options->rows = argv[i + 1];
        } else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            options->seconds = strtod(argv[i + 1], NULL);
        } else {
            return false;
        }
    }
    return argc >= 4;
}

static void measure_rows(struct bench *bench, const struct options *options)
{
    struct bench_found found = {0};

    for (size_t i = 0; i < bench_num_rows; i++) {
        const struct bench_row *row = &bench_rows[i];

        if (wanted(options, row->id) &&
            (!row->work.job_us || bench_hcl_has_delay(row->work.job_us))) {
            bench_measure(bench, row, options->seconds, &found);
            bench_report_row(row, &found);
            bench_found_clear(&found);
        }
    }
    for (size_t i = 0; bench_counted_ids[i]; i++) {
        if (wanted(options, bench_counted_ids[i])) {
            bench_count_row(bench, bench_counted_ids[i], options->seconds);
        }
    }
    if (wanted(options, "A8")) {
        bench_fair_measure(bench, options->seconds);
    }
    if (wanted(options, "A10")) {
        bench_pairs_measure(options->seconds);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct options options = {0};

    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "usage: bench-client OWN SERVER JSON [--rows ID,...] "
                        "[--seconds N]\n");
        return 2;
    }
    bench_receive_fds(&bench, STDIN_FILENO);
    bench_pairs_start(atoi(argv[2]));
    bench_vchan_connect(atoi(argv[2]));
    bench_hcl_connect();
    bench_pin(0, BENCH_CLIENT_CORE);
    bench_report_begin();
    printf("cost of a notification here: %.0f ns, of a write to an eventfd "
           "%.0f ns\n\n",
           bench_notify_ns(atoi(argv[1])), bench_eventfd_ns(&bench));
    measure_rows(&bench, &options);
    bench_report_end(argv[3]);
    bench_pairs_end();
    bench_hcl_disconnect();
    return 0;
}
