/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "loop.h"

#define LINE_BYTES 1024
#define LIMIT_BURST 10
#define LIMIT_REFILL_US 1000000

static char log_prefix[64] = "hcl";
static enum hcl_log_level log_highest = HCL_LOG_INFO;

void hcl_log_init(const char *prefix, enum hcl_log_level highest)
{
    snprintf(log_prefix, sizeof(log_prefix), "%s", prefix);
    log_highest = highest;
}

static void log_line(enum hcl_log_level level, const char *fmt, va_list args)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    char line[LINE_BYTES];
    size_t used;

    if (level > log_highest) {
        return;
    }
    snprintf(line, sizeof(line), "%s: %s", log_prefix, names[level]);
    used = strlen(line);
    vsnprintf(line + used, sizeof(line) - used, fmt, args);
    hcl_text_clean(line);
    used = strlen(line);
    if (used > LINE_BYTES - 2) {
        used = LINE_BYTES - 2;
    }
    line[used++] = '\n';
    /* Nobody to tell when standard error itself fails. */
    if (write(STDERR_FILENO, line, used) < 0) {
        return;
    }
}

void hcl_log(enum hcl_log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(level, fmt, args);
    va_end(args);
}

/* True if one more line may be printed now. */
static bool limit_take(struct hcl_log_limit *limit)
{
    uint64_t now = hcl_now_us();
    uint64_t refill = (now - limit->last_us) / LIMIT_REFILL_US;

    if (refill) {
        limit->used = refill < limit->used ? limit->used - (uint32_t)refill : 0;
        limit->last_us = now;
    }
    if (limit->used >= LIMIT_BURST) {
        limit->suppressed++;
        return false;
    }
    limit->used++;
    return true;
}

void hcl_log_limited(struct hcl_log_limit *limit, enum hcl_log_level level,
                     const char *fmt, ...)
{
    va_list args;

    if (level > log_highest || !limit_take(limit)) {
        return;
    }
    if (limit->suppressed) {
        hcl_log(level, "(%u lines like the next one were left out)",
                limit->suppressed);
        limit->suppressed = 0;
    }
    va_start(args, fmt);
    log_line(level, fmt, args);
    va_end(args);
}
