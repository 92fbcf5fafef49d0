/* SPDX-License-Identifier: MIT */
/*
 * device_config.h: one item of `devices` in hcl.conf.  The supervisor reads the
 * general keys; what belongs to the class is checked by the worker, so that
 * no code of a class runs in the supervisor.
 */
#ifndef HCL_DEVICE_CONFIG_H
#define HCL_DEVICE_CONFIG_H

#include <stdbool.h>

#include "err.h"
#include "layout.h"
#include "spec.h"
#include "spin.h"

/* The general keys; ends with NULL. */
extern const char *const hcl_device_keys[];

/* Must stay where it was parsed: spec points into itself. */
struct hcl_device_config {
    char name[32];
    char class_name[32];
    const char *allow;       /* patterns separated by '|', or NULL; in spec */
    const char *poll_guests; /* the same */
    struct hcl_spin_settings spin;
    struct hcl_limits limits;
    uint32_t open_timeout_ms;    /* what opening the hardware may take */
    uint32_t connect_timeout_ms; /* mapping, and unmapping, of one guest */
    uint32_t alive_interval_ms;  /* between looks at guests' programs */
    struct hcl_spec spec;
};

/* Parses one item.  -EINVAL with a text that says what was expected. */
__attribute__((warn_unused_result)) int
hcl_device_config_parse(struct hcl_device_config *config, const char *text,
                        struct hcl_err *err);

/* Whether the guest of that name may use the device. */
bool hcl_device_config_allows(const struct hcl_device_config *config,
                              const char *guest);

/* Whether requests of that guest may be looked for before sleeping. */
bool hcl_device_config_polls(const struct hcl_device_config *config,
                             const char *guest);

#endif /* HCL_DEVICE_CONFIG_H */
