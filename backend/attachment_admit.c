/* SPDX-License-Identifier: MIT */
/* attachment_admit.c: whether a guest may be served now, and why not. */
#include <stdio.h>
#include <string.h>

#include "attachment.h"
#include "supervisor.h"

static enum hcl_admission admit_device(const struct hcl_attachment *a,
                                       char *text)
{
    const struct hcl_keeper *keeper = a->keeper;

    if (a->pause) {
        snprintf(text, HCL_ERR_TEXT, "paused by the administrator");
        return HCL_ADMIT_WAIT;
    }
    if (keeper->failure[0]) {
        memcpy(text, keeper->failure, HCL_ERR_TEXT);
        return HCL_ADMIT_REFUSE;
    }
    if (keeper->state != HCL_KEEPER_READY) {
        memcpy(text, keeper->trouble, HCL_ERR_TEXT);
        return HCL_ADMIT_WAIT;
    }
    if (a->trouble[0]) {
        memcpy(text, a->trouble, HCL_ERR_TEXT);
        return HCL_ADMIT_WAIT;
    }
    return HCL_ADMIT_SERVE;
}

enum hcl_admission hcl_attachment_admit(const struct hcl_attachment *a,
                                        char *text)
{
    char names[160];

    text[0] = '\0';
    if (a->supervisor->stopping) {
        snprintf(text, HCL_ERR_TEXT, "hcl-backend is stopped");
        return HCL_ADMIT_WAIT;
    }
    if (!a->online) {
        snprintf(text, HCL_ERR_TEXT, "detached by the administrator");
        return HCL_ADMIT_REFUSE;
    }
    if (!a->keeper) {
        hcl_supervisor_device_names(a->supervisor, names, sizeof(names));
        snprintf(text, HCL_ERR_TEXT, "no device \"%s\" in hcl.conf; it has: %s",
                 a->device, names);
        return HCL_ADMIT_REFUSE;
    }
    if (!hcl_device_config_allows(a->keeper->config, a->domain)) {
        snprintf(text, HCL_ERR_TEXT,
                 "guest \"%.64s\" may not use device \"%s\" (allow= in "
                 "hcl.conf)",
                 a->domain, a->device);
        return HCL_ADMIT_REFUSE;
    }
    if (a->option[0]) {
        snprintf(text, HCL_ERR_TEXT,
                 "unknown option \"%s\" in the guest's configuration: device "
                 "\"%s\" takes none",
                 a->option, a->device);
        return HCL_ADMIT_REFUSE;
    }
    if (!a->watched) {
        memcpy(text, a->watch_error, HCL_ERR_TEXT);
        return HCL_ADMIT_REFUSE;
    }
    return admit_device(a, text);
}

bool hcl_attachment_may_connect(struct hcl_attachment *a)
{
    const struct hcl_settings *settings = a->supervisor->settings;
    uint64_t now = hcl_now_us();
    uint64_t refill;

    if (settings->connect_interval_ms == 0) {
        return true;
    }
    refill = (now - a->connects_us) / (settings->connect_interval_ms * 1000ull);
    if (refill) {
        a->connects = refill < a->connects ? a->connects - (uint32_t)refill : 0;
        a->connects_us = now;
    }
    if (a->connects >= settings->connect_burst) {
        return false;
    }
    a->connects++;
    return true;
}
