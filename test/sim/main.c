/* SPDX-License-Identifier: MIT */
/*
 * hcl-sim: a simulated Xen host, for tests, for developers without Xen, and for
 * measuring at native speed.  This file: the command line.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "control.h"
#include "control_wire.h"
#include "guests.h"
#include "run.h"
#include "vm.h"
#include "vm_wire.h"

static const char usage[] =
    "usage: hcl-sim run [--quota NAME=N]... -- COMMAND [ARGUMENT...]\n"
    "       hcl-sim create CONFIG | destroy GUEST | reboot GUEST | list\n"
    "       hcl-sim pause GUEST | unpause GUEST | crash GUEST\n"
    "       hcl-sim save GUEST FILE | restore FILE\n"
    "       hcl-sim exec DOMAIN COMMAND [ARGUMENT...]\n"
    "       hcl-sim fault SPEC\n"
    "       hcl-sim quota NAME=N\n"
    "       hcl-sim log GUEST\n"
    "       hcl-sim audit\n"
    "\n"
    "run plays a private Xen host (hypervisor and xenstored) for as long as\n"
    "COMMAND runs; the others work below it. Programs run unmodified: with\n"
    "Xen's own libraries, on device nodes that a preloaded library plays. The\n"
    "host has its own processes, and its own /run, /tmp, /etc, /var/lib and\n"
    "/var/log; each guest has its own processes, /run and /tmp.\n"
    "\n"
    "create reads a domU configuration as xl does and prints the domid; ids\n"
    "count from 1 and are never used again. DOMAIN and GUEST are a name or an\n"
    "id; 0 is dom0. In the host there is also xl, with the commands create,\n"
    "destroy, domid, list, pause, unpause, reboot, shutdown, save and "
    "restore:\n"
    "what calls xl works. A saved guest stays in the host's memory; its file\n"
    "only names it.\n"
    "\n"
    "exec ends with COMMAND's status, 128 and more for a signal, 250 if the\n"
    "guest went away.\n"
    "\n"
    "fault makes calls of a domain fail, once or more often:\n"
    "  domain=D,call=CALL[,nth=N][,count=M|all][,error=EXXX][,delay-ms=T]\n"
    "      the Nth of these calls from now (1), and M in all (1), fail with\n"
    "      EXXX, or come T ms late. CALL is grant, map, alloc (of an event\n"
    "      channel), bind, open (of a device node), store (any request).\n"
    "  domain=D,event=drop[,count=N|all]   its next N events are lost; 0: "
    "none\n"
    "  domain=D,cut=1 or cut=0             neither xenstore nor events work\n"
    "  domain=D,clear=1                    no more faults, counts at 0\n"
    "  domain=D                            how often it has made each call,\n"
    "      and how many faults have struck and still wait\n"
    "\n"
    "quota changes a limit of guests: grants (pages shared), ports, nodes,\n"
    "node-bytes, watches, transactions, path-bytes, permissions.\n"
    "\n"
    "audit lists what exists on the host beyond its own: guests, grants,\n"
    "mappings, ports, watches, transactions, nodes, and guests' kernel bugs;\n"
    "status 1 if there is any.\n";

static int bad_usage(const char *what, const char *which)
{
    fprintf(stderr, "hcl-sim: %s%s; see hcl-sim --help\n", what, which);
    return 2;
}

static int failed(const struct hcl_err *err)
{
    fprintf(stderr, "hcl-sim: %s\n", err->text);
    return 125;
}

/* The folder of this program, and the library next to it. */
static int find_own(char *bin, size_t bin_size, char *preload,
                    size_t preload_size)
{
    ssize_t len = readlink("/proc/self/exe", bin, bin_size - 1);
    char *slash;

    if (len <= 0) {
        return -errno;
    }
    bin[len] = '\0';
    slash = strrchr(bin, '/');
    *slash = '\0';
    slash = strrchr(bin, '/');
    if (!slash || snprintf(preload, preload_size, "%.*s/lib/libhclsim.so",
                           (int)(slash - bin), bin) >= (int)preload_size) {
        return -ENAMETOOLONG;
    }
    return access(preload, R_OK) < 0 ? -errno : 0;
}

static int verb_run(char **argv)
{
    char bin[256], preload[300];
    struct sim_limits limits;
    struct hcl_err err;
    int ret;

    sim_limits_init(&limits);
    for (; argv[0] && !strcmp(argv[0], "--quota"); argv += 2) {
        if (!argv[1]) {
            return bad_usage("--quota needs ", "NAME=N");
        }
        if (sim_limits_set(&limits, argv[1], &err) < 0) {
            return failed(&err);
        }
    }
    if (!argv[0] || strcmp(argv[0], "--") != 0 || !argv[1]) {
        return bad_usage("expected -- COMMAND after ", "run");
    }
    ret = find_own(bin, sizeof(bin), preload, sizeof(preload));
    if (ret < 0) {
        hcl_err_sys(&err, ret,
                    "cannot find libhclsim.so in ../lib beside "
                    "hcl-sim");
        return failed(&err);
    }
    ret = sim_run(&limits, bin, preload, argv + 1, &err);
    return ret < 0 ? failed(&err) : ret;
}

/* Asks with the domid of @name; prints the answer. */
static int ask_of(const char *verb, const char *name, const char *more)
{
    char *answer = NULL;
    struct hcl_err err;
    uint32_t domid;
    int ret = sim_guests_domid(name, &domid, &err);

    if (ret == 0) {
        ret = sim_control_ask(&answer, &err, "%s %u%s", verb, domid, more);
    }
    if (ret < 0) {
        return failed(&err);
    }
    fputs(answer, stdout);
    free(answer);
    return 0;
}

static int verb_exec(char **argv)
{
    char *answer = NULL, store[160];
    struct hcl_err err;
    uint32_t domid;
    unsigned int key;
    int ret = sim_guests_domid(argv[0], &domid, &err);

    if (ret == 0 && domid > 0) {
        ret = sim_control_ask(&answer, &err, "machine %u", domid);
    }
    if (ret < 0) {
        return failed(&err);
    }
    if (!answer) { /* dom0 */
        execvp(argv[1], argv + 1);
        fprintf(stderr, "hcl-sim: %s: %s\n", argv[1], strerror(errno));
        return 127;
    }
    key = (unsigned int)strtoul(answer, NULL, 10);
    answer[strcspn(answer, "\n")] = '\0';
    snprintf(store, sizeof(store), "%s/%u/xenstored", getenv(SIM_ENV_DIR), key);
    setenv(SIM_ENV_KEY, answer, 1);
    setenv("XENSTORED_PATH", store, 1);
    free(answer);
    ret = sim_vm_exec(getenv(SIM_ENV_DIR), key, argv + 1, &err);
    return ret < 0 ? failed(&err) : ret;
}

/* The name of the domain in a SPEC becomes its number. */
static int verb_fault(const char *spec)
{
    const char *at = strstr(spec, "domain=");
    char name[64], *answer = NULL;
    struct hcl_err err;
    uint32_t domid;
    int ret;

    if (!at || (at > spec && at[-1] != ',')) {
        return bad_usage("fault needs ", "domain=DOMAIN");
    }
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 7, ","), at + 7);
    ret = sim_guests_domid(name, &domid, &err);
    if (ret == 0) {
        ret = sim_control_ask(&answer, &err, "fault %.*sdomain=%u%s",
                              (int)(at - spec), spec, domid,
                              at + 7 + strlen(name));
    }
    if (ret < 0) {
        return failed(&err);
    }
    fputs(answer, stdout);
    free(answer);
    return 0;
}

static int verb_audit(void)
{
    char *answer = NULL, *lines;
    struct hcl_err err;
    bool any;

    if (sim_control_ask(&answer, &err, "audit") < 0) {
        return failed(&err);
    }
    lines = answer + strcspn(answer, "\n");
    any = strtoul(answer, NULL, 10) > 0;
    fputs(*lines ? lines + 1 : "", stdout);
    free(answer);
    return any ? 1 : 0;
}

static int verb_quota(const char *text)
{
    struct hcl_err err;

    return sim_control_ask(NULL, &err, "quota %s", text) < 0 ? failed(&err) : 0;
}

/* What xl does, it does; with its own options. */
static int verb_of_xl(char **argv)
{
    char bin[256], preload[300], xl[] = "xl";

    if (find_own(bin, sizeof(bin) - 4, preload, sizeof(preload)) < 0) {
        return bad_usage("there is no xl beside ", "hcl-sim");
    }
    strcat(bin, "/xl");
    setenv(SIM_ENV_PRINT, "1", 1);
    argv[0] = xl;
    execv(bin, argv);
    perror(bin);
    return 127;
}

static int dispatch(int argc, char **argv)
{
    const char *verb = argv[1];

    if (!strcmp(verb, "run")) {
        return verb_run(argv + 2);
    }
    if (!strcmp(verb, "exec") && argc >= 4) {
        return verb_exec(argv + 2);
    }
    if (!strcmp(verb, "audit") && argc == 2) {
        return verb_audit();
    }
    if (!strcmp(verb, "fault") && argc == 3) {
        return verb_fault(argv[2]);
    }
    if (!strcmp(verb, "quota") && argc == 3) {
        return verb_quota(argv[2]);
    }
    if (!strcmp(verb, "log") && argc == 3) {
        return ask_of("log", argv[2], "");
    }
    if (!strcmp(verb, "crash") && argc == 3) {
        return ask_of("shutdown", argv[2], " 3");
    }
    if (strstr(" create destroy reboot list pause unpause save restore ",
               verb) &&
        strlen(verb) > 2) {
        return verb_of_xl(argv);
    }
    return bad_usage("cannot make sense of: ", verb);
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], SIM_VM_VERB)) {
        sim_vm_init(atoi(argv[2]), argv[3], argv[4]);
    }
    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    return dispatch(argc, argv);
}
