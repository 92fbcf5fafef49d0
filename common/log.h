/* SPDX-License-Identifier: MIT */
/*
 * log.h: one line on standard error for each event.  Programs only: libraries
 * return errors and never print.
 */
#ifndef HCL_LOG_H
#define HCL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum hcl_log_level {
    HCL_LOG_ERROR,   /* something does not work */
    HCL_LOG_WARNING, /* a peer misbehaved, something is degraded */
    HCL_LOG_INFO,    /* state changes an administrator wants to see */
    HCL_LOG_DEBUG,   /* off unless asked for */
};

/*
 * Sets the prefix of each line ("hcl-backend", copied) and the highest level
 * that is printed.  Call once, before threads exist.
 */
void hcl_log_init(const char *prefix, enum hcl_log_level highest);

/*
 * Prints "<prefix>: <level>: <text>\n" ("<prefix>: <text>\n" for INFO) with one
 * write(2), so that lines of several processes do not mix; unprintable
 * bytes become '?'.  Longer lines than 1023 bytes are cut.
 */
void hcl_log(enum hcl_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A token bucket against floods: what a peer can provoke is logged through
 * one of these, zero-initialised, one for each peer: 10 lines at once, then 1
 * a second.  Suppressed lines are counted and said with the next one.
 */
struct hcl_log_limit {
    uint64_t last_us; /* monotonic, of the last refill */
    uint32_t used;
    uint32_t suppressed;
};

void hcl_log_limited(struct hcl_log_limit *limit, enum hcl_log_level level,
                     const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* HCL_LOG_H */
