/* SPDX-License-Identifier: MIT */
#include "hotplug.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "process.h"

/* A script that runs (pid > 0) or waits for the one before it. */
struct script {
    struct script *next;
    struct hcl_hotplug *hotplug; /* whose it is */
    struct hcl_timer timer;      /* while it runs */
    pid_t pid;
    bool late; /* it was killed */
    bool connect;
    uint32_t domid;
    uint32_t devid;
    char device[32];
    char class_name[32];
    char domain[256];
};

struct hcl_hotplug {
    char *path;             /* owned; NULL: none */
    struct script *scripts; /* owned; oldest first */
    struct hcl_loop *loop;  /* not owned */
    uint32_t timeout_ms;
    struct hcl_log_limit log_limit;
};

int hcl_hotplug_new(struct hcl_hotplug **ret_hotplug, const char *script,
                    struct hcl_loop *loop, uint32_t timeout_ms,
                    struct hcl_err *err)
{
    struct hcl_hotplug *hotplug = calloc(1, sizeof(*hotplug));

    if (hotplug && script) {
        hotplug->path = strdup(script);
    }
    if (!hotplug || (script && !hotplug->path)) {
        free(hotplug);
        return hcl_err_set(err, -ENOMEM, "no memory for hotplug scripts");
    }
    hotplug->loop = loop;
    hotplug->timeout_ms = timeout_ms;
    *ret_hotplug = hotplug;
    return 0;
}

void hcl_hotplug_free(struct hcl_hotplug *hotplug)
{
    if (!hotplug) {
        return;
    }
    while (hotplug->scripts) {
        struct script *script = hotplug->scripts;

        hotplug->scripts = script->next;
        hcl_timer_stop(&script->timer);
        free(script);
    }
    free(hotplug->path);
    free(hotplug);
}

static bool same_attachment(const struct script *a, uint32_t domid,
                            uint32_t devid)
{
    return a->domid == domid && a->devid == devid;
}

static void script_free(struct hcl_hotplug *hotplug, struct script *script)
{
    struct script **link = &hotplug->scripts;

    while (*link != script) {
        link = &(*link)->next;
    }
    *link = script->next;
    hcl_timer_stop(&script->timer);
    free(script);
}

/* It is logged, and the next one starts, when it is reaped. */
static void on_timeout(void *arg)
{
    struct script *script = arg;

    script->late = true;
    /* It leads its group, unless it has not come that far. */
    if (kill(-script->pid, SIGKILL) < 0) {
        kill(script->pid, SIGKILL);
    }
}

/* False: one that cannot be started is gone. */
static bool script_start(struct hcl_hotplug *hotplug, struct script *script)
{
    char domid[16];
    char devid[16];
    char class_name[64];
    char domain[300];
    const char *argv[] = {
        hotplug->path,  script->connect ? "connect" : "disconnect",
        script->device, domid,
        devid,          NULL,
    };
    const char *envp[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        class_name,
        domain,
        NULL,
    };
    struct hcl_err err = {0};

    snprintf(domid, sizeof(domid), "%u", script->domid);
    snprintf(devid, sizeof(devid), "%u", script->devid);
    snprintf(class_name, sizeof(class_name), "HCL_CLASS=%s",
             script->class_name);
    snprintf(domain, sizeof(domain), "HCL_DOMAIN=%s", script->domain);
    if (hcl_process_start(&script->pid, argv, envp, -1, &err) < 0) {
        hcl_log_limited(&hotplug->log_limit, HCL_LOG_WARNING, "%s", err.text);
        script_free(hotplug, script);
        return false;
    }
    hcl_timer_start(&script->timer, hotplug->loop,
                    hotplug->timeout_ms * 1000ull, on_timeout, script);
    return true;
}

/* Starts the oldest one of an attachment, of which none runs. */
static void start_next(struct hcl_hotplug *hotplug, uint32_t domid,
                       uint32_t devid)
{
    struct script *next;

    for (struct script *s = hotplug->scripts; s; s = next) {
        next = s->next;
        if (same_attachment(s, domid, devid) && script_start(hotplug, s)) {
            return;
        }
    }
}

/* The newest one of an attachment, or NULL. */
static struct script *find_last(struct hcl_hotplug *hotplug, uint32_t domid,
                                uint32_t devid)
{
    struct script *last = NULL;

    for (struct script *s = hotplug->scripts; s; s = s->next) {
        if (same_attachment(s, domid, devid)) {
            last = s;
        }
    }
    return last;
}

void hcl_hotplug_run(struct hcl_hotplug *hotplug,
                     const struct hcl_hotplug_event *event)
{
    struct script **link = &hotplug->scripts;
    struct script *before;
    struct script *script;

    if (!hotplug->path) {
        return;
    }
    before = find_last(hotplug, event->domid, event->devid);
    if (before && before->pid == 0 && before->connect != event->connect &&
        strcmp(before->device, event->device) == 0) {
        /* A guest that comes and goes faster than scripts fills no queue. */
        script_free(hotplug, before);
        return;
    }
    script = calloc(1, sizeof(*script));
    if (!script) {
        hcl_log(HCL_LOG_WARNING, "no memory for a hotplug script");
        return;
    }
    script->hotplug = hotplug;
    script->connect = event->connect;
    script->domid = event->domid;
    script->devid = event->devid;
    snprintf(script->device, sizeof(script->device), "%s", event->device);
    snprintf(script->class_name, sizeof(script->class_name), "%s",
             event->class_name);
    snprintf(script->domain, sizeof(script->domain), "%s", event->domain);
    while (*link) {
        link = &(*link)->next;
    }
    *link = script;
    if (!before) {
        script_start(hotplug, script);
    }
}

/* A guest makes scripts run by connecting: the limit is theirs together. */
static void log_failure(const struct script *script, int status)
{
    struct hcl_hotplug *hotplug = script->hotplug;
    char how[64];

    if (script->late) {
        snprintf(how, sizeof(how), "killed, not done within %u ms",
                 hotplug->timeout_ms);
    } else {
        hcl_process_status(status, how, sizeof(how));
    }
    hcl_log_limited(&hotplug->log_limit, HCL_LOG_WARNING, "%s %s %s %u %u: %s",
                    hotplug->path, script->connect ? "connect" : "disconnect",
                    script->device, script->domid, script->devid, how);
}

bool hcl_hotplug_reaped(struct hcl_hotplug *hotplug, pid_t pid, int status)
{
    struct script *script = hotplug->scripts;
    uint32_t domid;
    uint32_t devid;

    while (script && script->pid != pid) {
        script = script->next;
    }
    if (!script) {
        return false;
    }
    if (status != 0) {
        log_failure(script, status);
    }
    domid = script->domid;
    devid = script->devid;
    script_free(hotplug, script);
    start_next(hotplug, domid, devid);
    return true;
}
