/* SPDX-License-Identifier: MIT */
/*
 * The xl of a simulated host: the commands that HCL's users and tools need,
 * with xl's own syntax.  It is a program of its own, so that it looks like xl
 * from outside (tools/xl_process.c), and like xl it stays in the background to
 * watch over its guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "control_wire.h"
#include "guests.h"
#include "toolstack.h"
#include "xl_command.h"

#define REASON_REBOOT 1
#define REASON_CRASH 3

static int failed(const struct hcl_err *err)
{
    fprintf(stderr, "xl: %s\n", err->text);
    return 1;
}

/* ---- Watching over a guest --------------------------------------------- */

static enum sim_action action_for(const struct sim_guest *guest, int reason)
{
    switch (reason) {
    case REASON_REBOOT:
        return guest->on_reboot;
    case REASON_CRASH:
        return guest->on_crash;
    default:
        return guest->on_poweroff;
    }
}

static int unpause(uint32_t domid, struct hcl_err *err)
{
    return sim_control_ask(NULL, err, "unpause %" PRIu32, domid);
}

/* Until the guest has gone, or is not ours to restart. */
static void watch_over(const struct sim_guest *guest, uint32_t domid)
{
    struct hcl_err err;
    char *answer;
    enum sim_action action;

    while (sim_control_ask(&answer, &err, "wait %" PRIu32, domid) == 0 &&
           strncmp(answer, "gone", 4) != 0) {
        action = action_for(guest, (int)strtol(answer, NULL, 10));
        free(answer);
        if (action == SIM_ACTION_PRESERVE) {
            return;
        }
        if (sim_toolstack_destroy(domid, &err) < 0 ||
            action == SIM_ACTION_DESTROY) {
            return;
        }
        if (sim_toolstack_create(guest, &domid, &err) < 0 ||
            unpause(domid, &err) < 0) {
            fprintf(stderr, "xl: %s\n", err.text);
            return;
        }
    }
}

/* Into the background, with a log where xl has its own. */
static void daemonize(const struct sim_guest *guest, uint32_t domid)
{
    char path[128];
    int log;

    if (fork() != 0) {
        return;
    }
    if (setsid() < 0 || fork() != 0) {
        _exit(0);
    }
    (void)mkdir("/var/log/xen", 0755);
    snprintf(path, sizeof(path), "/var/log/xen/xl-%s.log", guest->name);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
        _exit(1);
    }
    close_range(3, ~0U, 0);
    /*
     * The real one also closes its standard input and goes to /, but not before
     * it has built the guest, which takes long enough for others to look at
     * its configuration; here that would be a race.
     */
    watch_over(guest, domid);
    _exit(0);
}

static int begin(const struct sim_guest *guest, uint32_t domid, bool paused)
{
    struct hcl_err err;

    if (!paused && unpause(domid, &err) < 0) {
        return failed(&err);
    }
    if (getenv(SIM_ENV_PRINT)) {
        printf("%" PRIu32 "\n", domid);
    }
    fflush(stdout);
    daemonize(guest, domid);
    return 0;
}

/* ---- Commands ---------------------------------------------------------- */

/* The flags that matter, among those that xl knows. */
static void read_flags(int argc, char **argv, bool *paused, bool *quiet)
{
    int i;

    for (i = 1; i < argc; i++) {
        *paused = *paused || !strcmp(argv[i], "-p");
        *quiet = *quiet || !strcmp(argv[i], "-q");
    }
}

static int do_create(int argc, char **argv)
{
    struct hcl_xl_command command;
    bool paused = false, quiet = getenv(SIM_ENV_PRINT) != NULL;
    struct sim_guest guest;
    struct hcl_err err;
    uint32_t domid = 0;
    int ret;

    read_flags(argc, argv, &paused, &quiet);
    hcl_xl_command_read(argc, argv, &command);
    if (!command.config) {
        hcl_xl_command_clear(&command);
        fprintf(stderr, "xl: create needs a configuration\n");
        return 2;
    }
    if (!quiet) {
        printf("Parsing config from %s\n", command.config);
    }
    ret = sim_toolstack_read(&guest, command.config, command.extra, &err);
    hcl_xl_command_clear(&command);
    if (ret == 0) {
        ret = sim_toolstack_create(&guest, &domid, &err);
    }
    return ret < 0 ? failed(&err) : begin(&guest, domid, paused);
}

static int do_restore(int argc, char **argv)
{
    bool paused = false, quiet = false;
    struct sim_guest guest;
    struct hcl_err err;
    uint32_t domid = 0;

    read_flags(argc, argv, &paused, &quiet);
    if (sim_toolstack_restore(&guest, argv[argc - 1], &domid, &err) < 0) {
        return failed(&err);
    }
    return begin(&guest, domid, paused);
}

static int do_save(int argc, char **argv)
{
    bool checkpoint = argc == 4 && !strcmp(argv[1], "-c");
    struct hcl_err err;
    uint32_t domid = 0;

    if (argc != 3 && !checkpoint) {
        fprintf(stderr, "xl: save [-c] GUEST FILE\n");
        return 2;
    }
    if (sim_guests_domid(argv[argc - 2], &domid, &err) < 0 ||
        sim_toolstack_save(domid, argv[argc - 1], checkpoint, &err) < 0) {
        return failed(&err);
    }
    return 0;
}

static int do_domid(int argc, char **argv)
{
    struct hcl_err err;
    uint32_t domid = 0;

    if (sim_guests_domid(argv[argc - 1], &domid, &err) < 0) {
        return failed(&err);
    }
    printf("%" PRIu32 "\n", domid);
    return 0;
}

static int do_destroy(int argc, char **argv)
{
    struct hcl_err err;
    uint32_t domid = 0;

    if (sim_guests_domid(argv[argc - 1], &domid, &err) < 0 ||
        sim_toolstack_destroy(domid, &err) < 0) {
        return failed(&err);
    }
    return 0;
}

/* Requests of the host that only need a guest: VERB DOMID MORE. */
static int ask_host(const char *verb, const char *name, const char *more)
{
    struct hcl_err err;
    uint32_t domid = 0;

    if (sim_guests_domid(name, &domid, &err) < 0 ||
        sim_control_ask(NULL, &err, "%s %" PRIu32 "%s", verb, domid, more) <
            0) {
        return failed(&err);
    }
    return 0;
}

static int do_pause(int argc, char **argv)
{
    return ask_host("pause", argv[argc - 1], "");
}

static int do_unpause(int argc, char **argv)
{
    return ask_host("unpause", argv[argc - 1], "");
}

static int do_reboot(int argc, char **argv)
{
    return ask_host("shutdown", argv[argc - 1], " 1");
}

static int do_shutdown(int argc, char **argv)
{
    return ask_host("shutdown", argv[argc - 1], " 0");
}

/* One line as xl prints it; @flags as Xen has them. */
static void print_domain(uint32_t domid, uint32_t flags)
{
    char name[SIM_NAME];
    bool dying = flags & 1, shut = flags & 4, paused = flags & 8;
    uint32_t reason = flags >> 16 & 0xff;

    sim_toolstack_name(domid, name);
    printf("%-40s %5" PRIu32 "   128     1     %s%s%s%s%s%s       0.0\n",
           name[0] ? name : "(null)", domid, "-",
           !dying && !shut && !paused ? "b" : "-", paused ? "p" : "-",
           shut ? "s" : "-", shut && reason == REASON_CRASH ? "c" : "-",
           dying ? "d" : "-");
}

static int do_list(int argc, char **argv)
{
    struct hcl_err err;
    char *answer, *line, uuid[64];
    uint32_t domid, flags;

    (void)argc;
    (void)argv;
    if (sim_control_ask(&answer, &err, "list") < 0) {
        return failed(&err);
    }
    printf("%-40s %5s %5s %5s     %s\t%s\n", "Name", "ID", "Mem", "VCPUs",
           "State", "Time(s)");
    for (line = answer; *line; line += strcspn(line, "\n") + 1) {
        if (sscanf(line, "%" SCNu32 " %63s %" SCNx32, &domid, uuid, &flags) ==
            3) {
            print_domain(domid, flags);
        }
    }
    free(answer);
    return 0;
}

static const struct {
    const char *name;
    int words; /* besides its name, at least */
    int (*fn)(int argc, char **argv);
} commands[] = {
    {"create", 1, do_create},     {"destroy", 1, do_destroy},
    {"domid", 1, do_domid},       {"list", 0, do_list},
    {"pause", 1, do_pause},       {"reboot", 1, do_reboot},
    {"restore", 1, do_restore},   {"save", 2, do_save},
    {"shutdown", 1, do_shutdown}, {"unpause", 1, do_unpause},
};

int main(int argc, char **argv)
{
    size_t i;

    signal(SIGPIPE, SIG_IGN);
    for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (!strcmp(argv[1], commands[i].name) &&
            argc - 2 >= commands[i].words) {
            /* hcl_xl_command_read wants xl's own arguments. */
            if (commands[i].fn == do_create) {
                return do_create(argc, argv);
            }
            return commands[i].fn(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "xl: the simulated host's xl knows create, destroy, "
                    "domid, list, pause, reboot, restore, save, shutdown and "
                    "unpause, with their arguments\n");
    return 2;
}
