/* SPDX-License-Identifier: MIT */
/*
 * hotplug.h: runs the administrator's script when a guest connects and
 * disconnects:
 *
 *   SCRIPT connect|disconnect DEVICE DOMID DEVID
 *
 * with HCL_CLASS and HCL_DOMAIN (the guest's name) in the environment.  No
 * guest waits for a script; those of one attachment run one after the other, so
 * one that hangs is killed.
 */
#ifndef HCL_HOTPLUG_H
#define HCL_HOTPLUG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "loop.h"

struct hcl_hotplug;

/* What a script is told. */
struct hcl_hotplug_event {
    bool connect; /* or disconnect */
    uint32_t domid;
    uint32_t devid;
    const char *device;
    const char *class_name;
    const char *domain;
};

/*
 * @script is copied; NULL: there is none, and nothing is ever run.  One that
 * takes longer than @timeout_ms is killed, with what it has started.  -ENOMEM.
 */
__attribute__((warn_unused_result)) int
hcl_hotplug_new(struct hcl_hotplug **ret_hotplug, const char *script,
                struct hcl_loop *loop, uint32_t timeout_ms,
                struct hcl_err *err);

/* Scripts that run go on.  Takes NULL. */
void hcl_hotplug_free(struct hcl_hotplug *hotplug);

/*
 * Runs the script, or queues it behind the attachment's last one.  A queued
 * event is dropped together with its opposite of the same device.  Failures
 * are logged, but not more often than hcl_log_limited lets them.
 */
void hcl_hotplug_run(struct hcl_hotplug *hotplug,
                     const struct hcl_hotplug_event *event);

/* A child has ended: true if it was a script.  Failures are logged. */
bool hcl_hotplug_reaped(struct hcl_hotplug *hotplug, pid_t pid, int status);

#endif /* HCL_HOTPLUG_H */
