/* SPDX-License-Identifier: MIT */
/* sink.h: what the classes of bench-worker (sink.c) tell the client. */
#ifndef SINK_H
#define SINK_H

#include <stdint.h>

/* The answer to a READ. */
struct sink_report {
    uint64_t sum;           /* of all words that came in */
    uint64_t notifications; /* sent by the worker */
    uint64_t copied;        /* bytes of payload that the worker has copied */
    uint64_t grants;        /* mappings of a guest's pages by the worker */
};

#endif /* SINK_H */
