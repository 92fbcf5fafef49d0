/* SPDX-License-Identifier: MIT */
/*
 * bench-client OWN SERVER JSON [--rows ID,...] [--seconds N]: the guest's end
 * of `make bench`, which decides what is measured and prints it.  OWN and
 * SERVER are the two ends' domids.  Started by bench-server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pairs.h"
#include "rows.h"

/* What HCL and a peer each get of a sample. */
#define PART_NS 1500000

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

static void measure_rows(struct bench *bench,
                         const struct bench_options *options)
{
    struct bench_found found = {0};

    for (size_t i = 0; i < bench_num_rows; i++) {
        const struct bench_row *row = &bench_rows[i];

        if (bench_options_want(options, row->id) &&
            (!row->work.job_us || bench_hcl_has_delay(row->work.job_us))) {
            bench_measure(bench, row, options->seconds, &found);
            bench_report_row(row, &found);
            bench_found_clear(&found);
        }
    }
    for (size_t i = 0; bench_counted_ids[i]; i++) {
        if (bench_options_want(options, bench_counted_ids[i])) {
            bench_count_row(bench, bench_counted_ids[i], options->seconds);
        }
    }
    if (bench_options_want(options, "A8")) {
        bench_fair_measure(bench, options->seconds);
    }
    if (bench_options_want(options, "A10")) {
        bench_pairs_measure(options->seconds);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {.part_ns = PART_NS, .guess_ns = 1000};
    struct bench_options options = {0};

    if (!bench_options_read(&options, argc, argv, 4)) {
        fprintf(stderr, "usage: bench-client OWN SERVER JSON [--rows ID,...] "
                        "[--seconds N]\n");
        return 2;
    }
    bench_receive_fds(&bench, STDIN_FILENO);
    bench_pairs_start(atoi(argv[2]));
    bench_vchan_connect(atoi(argv[2]));
    bench_hcl_connect();
    bench_pin(0, BENCH_CLIENT_CORE);
    bench_report_begin(true);
    printf("cost of a notification here: %.0f ns, of a write to an eventfd "
           "%.0f ns\n\n",
           bench_notify_ns(atoi(argv[1])), bench_eventfd_ns(&bench));
    measure_rows(&bench, &options);
    bench_report_end(argv[3]);
    bench_pairs_end();
    bench_hcl_disconnect();
    return 0;
}
