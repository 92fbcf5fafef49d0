/* SPDX-License-Identifier: MIT */
/*
 * watch.c: hclctl watch, the service in dom0 that gives guests the devices of
 * their hcl list when plain xl creates, reboots or restores them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "attachment.h"
#include "command.h"
#include "hclif.h"
#include "log.h"
#include "watch.h"

#define TOKEN "watch"

/* ---- Looking ----------------------------------------------------------- */

static struct hcl_watch_guest *find_guest(const struct hcl_watch *watch,
                                          uint32_t domid)
{
    struct hcl_watch_guest *guest = watch->guests;

    while (guest && guest->guest.domid != domid) {
        guest = guest->next;
    }
    return guest;
}

static struct hcl_watch_guest *add_guest(struct hcl_watch *watch,
                                         const struct hcl_domain *domain)
{
    struct hcl_watch_guest *guest = calloc(1, sizeof(*guest));

    if (!guest) {
        hcl_log(HCL_LOG_ERROR, "domain %u: no memory", domain->domid);
        return NULL;
    }
    guest->guest.domid = domain->domid;
    guest->shutdown = domain->shutdown;
    guest->older = !watch->started;
    guest->found_us = hcl_now_us();
    guest->phase = domain->dying ? HCL_WATCH_SETTLED : HCL_WATCH_LOOKING;
    guest->next = watch->guests;
    watch->guests = guest;
    return guest;
}

bool hcl_watch_reap_due(const struct hcl_watch *watch,
                        const struct hcl_watch_guest *guest, uint64_t now_us)
{
    return guest->dying && !guest->reaped &&
           now_us - guest->dying_us > watch->times.reap_us;
}

/* Compares one line of the hypervisor's list with what is known. */
static void visit(struct hcl_watch *watch, const struct hcl_domain *domain)
{
    struct hcl_watch_guest *guest = find_guest(watch, domain->domid);

    if (!guest) {
        guest = add_guest(watch, domain);
    }
    if (!guest) {
        return;
    }
    guest->listed = true;
    /* A guest that crashed and is preserved gets another uuid. */
    snprintf(guest->guest.uuid, sizeof(guest->guest.uuid), "%s", domain->uuid);
    if (domain->dying && !guest->dying) {
        guest->dying = true;
        guest->dying_us = hcl_now_us();
    }
    if (domain->shutdown != guest->shutdown) {
        hcl_watch_guest_shutdown(watch, guest, domain->shutdown);
    }
    if (hcl_watch_reap_due(watch, guest, hcl_now_us())) {
        hcl_watch_guest_reap(watch, domain->domid);
        guest->reaped = true;
    }
}

static void free_guest(struct hcl_watch_guest *guest)
{
    hcl_items_clear(&guest->items);
    hcl_items_clear(&guest->missing);
    free(guest);
}

/* Those that the list had no more. */
static void sweep(struct hcl_watch *watch)
{
    struct hcl_watch_guest *guest, **at = &watch->guests;

    while ((guest = *at) != NULL) {
        if (guest->listed) {
            at = &guest->next;
            continue;
        }
        *at = guest->next;
        hcl_watch_guest_gone(watch, guest);
        free_guest(guest);
    }
}

static int look_at_domains(struct hcl_watch *watch, struct hcl_err *err)
{
    struct hcl_watch_guest *guest;
    struct hcl_domain *list;
    unsigned int i, count;
    int ret = hcl_domains_list(watch->domains, &list, &count, err);

    if (ret < 0) {
        return ret;
    }
    for (guest = watch->guests; guest; guest = guest->next) {
        guest->listed = false;
    }
    for (i = 0; i < count; i++) {
        if (list[i].domid != 0) {
            visit(watch, &list[i]);
        }
    }
    free(list);
    sweep(watch);
    return 0;
}

static void look(void *arg);

/*
 * A new domain's nodes appear within moments; events tell of the late ones.  No
 * event tells that a guest runs again after a save that was a checkpoint.
 */
static uint64_t guest_step_us(const struct hcl_watch *watch,
                              const struct hcl_watch_guest *guest,
                              uint64_t now_us)
{
    const struct hcl_watch_times *times = &watch->times;

    if (guest->phase != HCL_WATCH_SETTLED &&
        now_us - guest->found_us < times->settle_us) {
        return times->poll_us;
    }
    if (guest->dying && !guest->reaped) {
        return 2 * times->poll_us;
    }
    if (guest->shutdown == HCL_SHUTDOWN_SUSPEND) {
        return 10 * times->poll_us;
    }
    return UINT64_MAX;
}

uint64_t hcl_watch_step_us(const struct hcl_watch *watch, uint64_t now_us)
{
    const struct hcl_watch_departed *departed;
    const struct hcl_watch_guest *guest;
    uint64_t step_us = UINT64_MAX, guest_us;

    for (guest = watch->guests; guest; guest = guest->next) {
        guest_us = guest_step_us(watch, guest, now_us);
        step_us = guest_us < step_us ? guest_us : step_us;
    }
    for (departed = watch->departed; departed; departed = departed->next) {
        if (departed->deadline_us <= now_us) {
            step_us = 0;
        } else if (departed->deadline_us - now_us < step_us) {
            step_us = departed->deadline_us - now_us;
        }
    }
    return step_us;
}

static void start_timer(struct hcl_watch *watch)
{
    uint64_t step_us = hcl_watch_step_us(watch, hcl_now_us());

    if (step_us == UINT64_MAX) {
        hcl_timer_stop(&watch->timer);
    } else {
        hcl_timer_start(&watch->timer, watch->loop, step_us, look, watch);
    }
}

static void look(void *arg)
{
    struct hcl_watch *watch = arg;
    struct hcl_watch_guest *guest;
    struct hcl_err err;

    if (look_at_domains(watch, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
        watch->failed = err.code;
        hcl_loop_stop(watch->loop);
        return;
    }
    watch->recheck = false;
    for (guest = watch->guests; guest; guest = guest->next) {
        if (guest->phase != HCL_WATCH_SETTLED && !guest->dying) {
            hcl_watch_guest_settle(watch, guest);
        }
    }
    for (guest = watch->guests; watch->recheck && guest; guest = guest->next) {
        if (guest->phase == HCL_WATCH_SETTLED && !guest->dying) {
            hcl_watch_guest_recheck(watch, guest);
        }
    }
    hcl_watch_expire(watch, hcl_now_us());
    start_timer(watch);
}

/* ---- Events ------------------------------------------------------------ */

static void on_events(void *arg, uint32_t events)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];
    struct hcl_watch *watch = arg;
    struct hcl_err err;
    bool any = false;
    int ret;

    (void)events;
    while ((ret = hcl_store_next_event(watch->store, path, token, &err)) > 0) {
        any = true;
    }
    if (ret < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
        watch->failed = ret;
        hcl_loop_stop(watch->loop);
    } else if (any) {
        look(watch);
    }
}

static void on_signal(void *arg, int signal)
{
    struct hcl_watch *watch = arg;

    (void)signal;
    hcl_loop_stop(watch->loop);
}

/* ---- Start ------------------------------------------------------------- */

/* Removes what guests have left that ended while nobody watched. */
static int remove_leftovers(struct hcl_watch *watch, struct hcl_err *err)
{
    char dir[HCL_STORE_PATH], uuid[HCL_GUEST_UUID + 1];
    const struct hcl_watch_guest *guest;
    struct hcl_attachment *list;
    unsigned int i, count;
    int ret = hcl_attachment_list(watch->store, HCL_ATTACHMENT_ALL, &list,
                                  &count, err);

    if (ret < 0) {
        return ret;
    }
    for (i = 0; ret == 0 && i < count; i++) {
        if (list[i].frontend == 0) {
            continue;
        }
        guest = find_guest(watch, list[i].frontend);
        if (!guest) {
            hcl_watch_guest_reap(watch, list[i].frontend);
            continue;
        }
        hcl_attachment_backend_dir(&list[i], dir);
        hcl_attachment_text(watch->store, dir, HCLIF_NODE_UUID, uuid,
                            sizeof(uuid));
        if (uuid[0] && strcmp(uuid, guest->guest.uuid) != 0) {
            ret = hcl_attachment_remove(watch->store, &list[i], err);
        }
    }
    free(list);
    return ret;
}

/* A record of a guest that ended, or is being rebooted at this moment. */
static void check_record(void *arg, const char *uuid)
{
    struct hcl_record record = {0};
    struct hcl_watch *watch = arg;
    struct hcl_watch_guest *guest;
    struct hcl_err err;

    for (guest = watch->guests; guest; guest = guest->next) {
        if (!strcmp(guest->guest.uuid, uuid)) {
            return;
        }
    }
    if (hcl_record_load(&record, watch->state_dir, uuid, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
    } else if (!record.saved && hcl_record_older(&record, 0)) {
        /* The host was booted since: nobody reboots that guest any more. */
        hcl_record_remove(watch->state_dir, uuid);
    } else if (!record.saved) {
        hcl_watch_depart(watch, &record);
    }
    hcl_record_clear(&record);
}

static int open_watch(struct hcl_watch *watch, struct hcl_err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};
    static const char *const paths[] = {
        "@introduceDomain",
        "@releaseDomain",
        /*
         * libxl makes /vm/<uuid> when it begins to build a guest: then xl still
         * stands in the folder where it was started, which it leaves once
         * the guest runs.
         */
        "/vm",
    };
    unsigned int i;
    int ret = hcl_loop_new(&watch->loop, err);

    if (ret == 0) {
        ret = hcl_source_signals(&watch->signals, watch->loop, signals,
                                 on_signal, watch, err);
    }
    if (ret == 0) {
        ret = hcl_domains_open(&watch->domains, err);
    }
    if (ret == 0) {
        ret = hcl_store_open(&watch->store, err);
    }
    for (i = 0; ret == 0 && i < sizeof(paths) / sizeof(paths[0]); i++) {
        ret = hcl_store_watch(watch->store, paths[i], TOKEN, err);
    }
    if (ret == 0) {
        ret = hcl_source_new(&watch->events, watch->loop,
                             hcl_store_fd(watch->store), EPOLLIN, on_events,
                             watch, err);
    }
    return ret;
}

static void close_watch(struct hcl_watch *watch)
{
    struct hcl_watch_guest *guest;

    hcl_timer_stop(&watch->timer);
    hcl_source_free(watch->events);
    hcl_source_free(watch->signals);
    hcl_store_free(watch->store);
    hcl_domains_free(watch->domains);
    hcl_loop_free(watch->loop);
    hcl_watch_forget(watch);
    while ((guest = watch->guests) != NULL) {
        watch->guests = guest->next;
        free_guest(guest);
    }
}

static int serve(struct hcl_watch *watch, struct hcl_err *err)
{
    int ret = open_watch(watch, err);

    if (ret == 0) {
        ret = look_at_domains(watch, err);
    }
    if (ret == 0) {
        ret = remove_leftovers(watch, err);
    }
    if (ret < 0) {
        return ret;
    }
    watch->started = true;
    hcl_record_each(watch->state_dir, check_record, watch);
    look(watch);
    puts("ready");
    fflush(stdout);
    if (!watch->failed) {
        hcl_loop_run(watch->loop);
    }
    if (watch->failed) {
        return hcl_err_set(err, watch->failed, "ended by the error above");
    }
    return 0;
}

static int run_watch(const struct hcl_command *command, int argc, char **argv)
{
    struct hcl_options options = {
        .state_dir = HCL_RECORD_DIR,
        .times = HCL_WATCH_TIMES,
    };
    struct hcl_watch watch = {0};
    struct hcl_err err;
    int first,
        status = hcl_command_options(command, argc, argv, &options, &first);

    if (status >= 0) {
        return status;
    }
    hcl_log_init("hclctl watch", options.debug ? HCL_LOG_DEBUG : HCL_LOG_INFO);
    watch.times = options.times;
    watch.state_dir = options.state_dir;
    watch.config_dir = options.config_dir;
    status = HCL_EXIT_OK;
    if (serve(&watch, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
        status = HCL_EXIT_FAILED;
    }
    close_watch(&watch);
    return status;
}

const struct hcl_command hcl_command_watch = {
    .name = "watch",
    .flags = "[-d] [-s STATEDIR] [-C CONFIGDIR] [--poll SECONDS ...]",
    .arguments = "",
    .text =
        "The service in dom0 that gives guests the devices of the hcl list\n"
        "in their configuration when xl creates them, and again when they\n"
        "are rebooted or restored, and that clears up after them.  Runs\n"
        "until SIGTERM; prints \"ready\" once it serves, logs to standard\n"
        "error.\n"
        "\n"
        "  -s STATEDIR   where guests' devices are remembered (default\n"
        "                " HCL_RECORD_DIR ")\n"
        "  -C CONFIGDIR  also look there, in NAME.cfg and NAME, for the\n"
        "                configuration of a guest that xl did not create.\n"
        "                Whoever can make a guest of such a name gets its\n"
        "                devices.\n"
        "  -d            log more\n"
        "\n"
        "Where no event tells, it waits; fractions of seconds are fine:\n"
        "\n"
        "  --poll SECONDS    between looks at a domain that is being made\n"
        "                    (default 0.1), twice that where one dies, ten\n"
        "                    times where one was saved\n"
        "  --settle SECONDS  how long a new domain is looked at (default 30)\n"
        "  --reap SECONDS    how long backends get to let go of a guest that\n"
        "                    was destroyed (default 5)\n"
        "  --return SECONDS  how long a reboot may take: then the guest is\n"
        "                    forgotten (default 120)\n"
        "  --fresh SECONDS   how long an xl that has made its guest still\n"
        "                    counts as the one that makes it (default 60)\n"
        "\n"
        "A configuration that xl reads from a pipe cannot be read again:\n"
        "use hclctl create or hclctl attach.\n",
    .options = "dsC" HCL_OPTIONS_TIMES,
    .min_arguments = 0,
    .max_arguments = 0,
    .run = run_watch,
};
