/* SPDX-License-Identifier: MIT */
#include "settings.h"

int hcl_settings_load(struct hcl_settings *ret_settings,
                      const struct hcl_config *config, struct hcl_err *err)
{
    struct hcl_settings settings = HCL_SETTINGS_DEFAULTS;
    const struct {
        const char *key;
        uint32_t *value;
        uint32_t min, max;
    } keys[] = {
        {"restart_backoff_ms", &settings.restart_backoff_ms, 1,
         HCL_SETTINGS_MAX_MS},
        {"retry_backoff_ms", &settings.retry_backoff_ms, 1,
         HCL_SETTINGS_MAX_MS},
        {"max_backoff_ms", &settings.max_backoff_ms, 1, HCL_SETTINGS_MAX_MS},
        {"stop_timeout_ms", &settings.stop_timeout_ms, 1, HCL_SETTINGS_MAX_MS},
        {"kill_timeout_ms", &settings.kill_timeout_ms, 1, HCL_SETTINGS_MAX_MS},
        {"hotplug_timeout_ms", &settings.hotplug_timeout_ms, 1,
         HCL_SETTINGS_MAX_MS},
        {"connect_burst", &settings.connect_burst, 1, 1000000},
        {"connect_interval_ms", &settings.connect_interval_ms, 0,
         HCL_SETTINGS_MAX_MS},
    };

    for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        int rc = hcl_config_u32(config, keys[i].key, keys[i].min, keys[i].max,
                                *keys[i].value, keys[i].value, err);

        if (rc < 0) {
            return rc;
        }
    }
    *ret_settings = settings;
    return 0;
}
