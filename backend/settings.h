/* SPDX-License-Identifier: MIT */
/*
 * settings.h: the times and rates of hcl-backend, each a key of hcl.conf of the
 * same name (doc/manual.md).  Those of one device are keys of its item:
 * device_config.h.
 */
#ifndef HCL_SETTINGS_H
#define HCL_SETTINGS_H

#include <stdint.h>

#include "config.h"
#include "err.h"

/* The longest time that can be set: an hour. */
#define HCL_SETTINGS_MAX_MS 3600000

struct hcl_settings {
    /* Between two lives of a worker that was of no use; doubles each time. */
    uint32_t restart_backoff_ms;
    /*
     * The same of a device that failed; and before what failed on our side of
     * an attachment is tried again, which does not double.
     */
    uint32_t retry_backoff_ms;
    uint32_t max_backoff_ms; /* both stop doubling there */

    /* What closing everything may take, and a worker that was told to end. */
    uint32_t stop_timeout_ms;
    uint32_t kill_timeout_ms;    /* what the end of killed workers may take */
    uint32_t hotplug_timeout_ms; /* what one script may take */

    /* One attachment connects so often at once, then once each interval. */
    uint32_t connect_burst;
    uint32_t connect_interval_ms; /* 0: without a limit */
};

/* What is not in hcl.conf. */
#define HCL_SETTINGS_DEFAULTS                                                  \
    {                                                                          \
        .restart_backoff_ms = 100, .retry_backoff_ms = 1000,                   \
        .max_backoff_ms = 10000, .stop_timeout_ms = 5000,                      \
        .kill_timeout_ms = 2000, .hotplug_timeout_ms = 60000,                  \
        .connect_burst = 10, .connect_interval_ms = 500                        \
    }

/* Reads hcl.conf.  -EINVAL: the text has file, key, value and range. */
__attribute__((warn_unused_result)) int
hcl_settings_load(struct hcl_settings *ret_settings,
                  const struct hcl_config *config, struct hcl_err *err);

#endif /* HCL_SETTINGS_H */
