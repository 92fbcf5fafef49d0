/* SPDX-License-Identifier: MIT */
#include "device_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "settings.h"
#include "share.h"

/* All references must fit into the lists of doc/protocol.md 3.1. */
#define MAX_POOL_PAGES 4096

const char *const hcl_device_keys[] = {
    "name",
    "class",
    "allow",
    "weight",
    "max-requests-per-s",
    "max-kib-per-s",
    "max-pool-pages",
    "max-handles",
    "max-ring-page-order",
    "open-timeout-ms",
    "connect-timeout-ms",
    "alive-interval-ms",
    "poll-us",
    "poll-percent",
    "poll-guests",
    NULL,
};

/* The name of a device or class, which must be there. */
static int get_name(const struct hcl_spec *spec, const char *key, char *buf,
                    size_t size, struct hcl_err *err)
{
    const char *value = hcl_spec_get(spec, key);

    if (!value) {
        return hcl_err_set(err, -EINVAL, "%s= is missing", key);
    }
    if (!hcl_spec_name_ok(value) || strlen(value) >= size) {
        return hcl_err_set(err, -EINVAL,
                           "%s=%s: expected 1 to 31 letters, digits, '_', '.' "
                           "or '-', the first a letter or digit",
                           key, value);
    }
    snprintf(buf, size, "%s", value);
    return 0;
}

static int get_limits(const struct hcl_spec *spec, struct hcl_limits *limits,
                      struct hcl_err *err)
{
    int rc;

    limits->max_queues = 1;
    rc = hcl_spec_get_u32(spec, "max-pool-pages", 0, MAX_POOL_PAGES, 256,
                          &limits->max_pool_pages, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_spec_get_u32(spec, "max-ring-page-order", 0,
                          HCLIF_MAX_RING_PAGE_ORDER, 2,
                          &limits->max_ring_page_order, err);
    if (rc < 0) {
        return rc;
    }
    return hcl_spec_get_u32(spec, "max-handles", 1, UINT16_MAX, 16,
                            &limits->max_handles, err);
}

static int get_times(struct hcl_device_config *config, struct hcl_err *err)
{
    const struct {
        const char *key;
        uint32_t fallback;
        uint32_t *ret_ms;
    } times[] = {
        {"open-timeout-ms", 10000, &config->open_timeout_ms},
        {"connect-timeout-ms", 5000, &config->connect_timeout_ms},
        {"alive-interval-ms", 250, &config->alive_interval_ms},
    };
    int rc = 0;

    for (unsigned int i = 0; i < sizeof(times) / sizeof(times[0]) && rc == 0;
         i++) {
        rc = hcl_spec_get_u32(&config->spec, times[i].key, 1,
                              HCL_SETTINGS_MAX_MS, times[i].fallback,
                              times[i].ret_ms, err);
    }
    return rc;
}

static int get_spin(const struct hcl_spec *spec,
                    struct hcl_spin_settings *settings, struct hcl_err *err)
{
    int rc = hcl_spec_get_u32(spec, "poll-us", 0, HCL_SPIN_LIMIT_US,
                              HCL_SPIN_MAX_US, &settings->max_us, err);

    if (rc < 0) {
        return rc;
    }
    return hcl_spec_get_u32(spec, "poll-percent", 1, 100, HCL_SPIN_PERCENT,
                            &settings->percent, err);
}

int hcl_device_config_parse(struct hcl_device_config *config, const char *text,
                            struct hcl_err *err)
{
    int rc;

    memset(config, 0, sizeof(*config));
    rc = hcl_spec_parse(&config->spec, text, err);
    if (rc < 0) {
        return rc;
    }
    rc = get_name(&config->spec, "name", config->name, sizeof(config->name),
                  err);
    if (rc < 0) {
        return rc;
    }
    rc = get_name(&config->spec, "class", config->class_name,
                  sizeof(config->class_name), err);
    if (rc < 0) {
        return rc;
    }
    config->allow = hcl_spec_get(&config->spec, "allow");
    config->poll_guests = hcl_spec_get(&config->spec, "poll-guests");
    rc = hcl_share_check(&config->spec, err);
    if (rc < 0) {
        return rc;
    }
    rc = get_limits(&config->spec, &config->limits, err);
    if (rc < 0) {
        return rc;
    }
    rc = get_spin(&config->spec, &config->spin, err);
    return rc < 0 ? rc : get_times(config, err);
}

/* Patterns separated by '|'; NULL is all guests. */
static bool matches(const char *pattern, const char *guest)
{
    if (!pattern) {
        return true;
    }
    for (;;) {
        const char *end = strchrnul(pattern, '|');

        if (hcl_share_match(pattern, (size_t)(end - pattern), guest)) {
            return true;
        }
        if (!*end) {
            return false;
        }
        pattern = end + 1;
    }
}

bool hcl_device_config_allows(const struct hcl_device_config *config,
                              const char *guest)
{
    return matches(config->allow, guest);
}

bool hcl_device_config_polls(const struct hcl_device_config *config,
                             const char *guest)
{
    return matches(config->poll_guests, guest);
}
