/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

#include "control.h"
#include "control_wire.h"
#include "domain.h"
#include "hypervisor.h"
#include "namespace.h"
#include "store.h"

#define DIR_OF_HOST "/run/hcl-sim"

struct run {
    struct sim_host host;
    struct sim_control *control; /* owned */
    struct hcl_source *signals;  /* owned */
    sigset_t old_mask;
    pid_t command;
    int status; /* of the command, as wait(2) gives it */
};

/* ---- dom0's program ---------------------------------------------------- */

/* Puts @dir before what is in PATH. */
static void extend_path(const char *dir)
{
    const char *old = getenv("PATH");
    char *path;

    if (asprintf(&path, "%s:%s", dir, old ? old : "/usr/sbin:/usr/bin") >= 0) {
        setenv("PATH", path, 1);
        free(path);
    }
}

/* What xen-init-dom0 does; from now on each other node is somebody's. */
static int init_dom0(struct hcl_err *err)
{
    static const char *const nodes[][2] = {
        {"/local/domain/0/domid", "0"},
        {"/local/domain/0/name", "Domain-0"},
        {"/local/domain/0/vm", "/vm/00000000-0000-0000-0000-000000000000"},
        {"/vm/00000000-0000-0000-0000-000000000000/name", "Domain-0"},
        {"/local/domain/0/backend", ""},
        {"/libxl", ""},
    };
    struct xs_handle *xs = xs_open(0);
    bool ok = xs != NULL;
    size_t i;

    for (i = 0; ok && i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        ok = xs_write(xs, XBT_NULL, nodes[i][0], nodes[i][1],
                      (unsigned int)strlen(nodes[i][1]));
    }
    if (xs) {
        xs_close(xs);
    }
    if (!ok) {
        return hcl_err_sys(err, -errno, "cannot make dom0's nodes");
    }
    return sim_control_ask(NULL, err, "baseline");
}

static void become_command(const struct run *run, const char *bin,
                           const char *preload, char *const *argv)
{
    struct hcl_err err;

    setenv(SIM_ENV_DIR, run->host.dir, 1);
    setenv(SIM_ENV_KEY, "0", 1);
    setenv("XENSTORED_PATH", DIR_OF_HOST "/0/xenstored", 1);
    extend_path(bin);
    if (init_dom0(&err) < 0) {
        fprintf(stderr, "hcl-sim: %s\n", err.text);
        _exit(125);
    }
    setenv("LD_PRELOAD", preload, 1);
    execvp(argv[0], argv);
    fprintf(stderr, "hcl-sim: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/*
 * dom0's process 1, in a namespace of its own: dom0 does not see the guests'
 * processes.  It ends with the command, and all others of dom0 with it.
 */
static void dom0_init(const struct run *run, const char *bin,
                      const char *preload, char *const *argv)
{
    int status = 0;
    pid_t command, pid;
    struct hcl_err err;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
    if (sim_namespace_dom0(&err) < 0) {
        fprintf(stderr, "hcl-sim: %s\n", err.text);
        _exit(125);
    }
    command = fork();
    if (command == 0) {
        become_command(run, bin, preload, argv);
    }
    do {
        pid = waitpid(-1, &status, 0);
    } while (pid != command && (pid > 0 || errno == EINTR));
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void on_signal(void *arg, int number)
{
    struct run *run = arg;
    int status;
    pid_t pid;

    if (number != SIGCHLD) {
        run->status = number; /* as if it had killed the command */
        hcl_loop_stop(run->host.loop);
        return;
    }
    /* Guests' inits are waited for by vm.c. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == run->command) {
            run->status = status;
            hcl_loop_stop(run->host.loop);
        }
    }
}

/* ---- The host ---------------------------------------------------------- */

static int start(struct run *run, struct hcl_err *err)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGHUP, 0};
    struct sim_host *host = &run->host;
    struct rlimit files;
    int ret;

    snprintf(host->dir, sizeof(host->dir), "%s", DIR_OF_HOST);
    if (mkdir(host->dir, 0755) < 0) {
        return hcl_err_sys(err, -errno, "cannot make %s", host->dir);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    sigprocmask(SIG_SETMASK, NULL, &run->old_mask);
    ret = hcl_loop_new(&host->loop, err);
    if (ret == 0) {
        ret = hcl_source_signals(&run->signals, host->loop, signals, on_signal,
                                 run, err);
    }
    if (ret == 0) {
        ret = sim_store_new(&host->store, host, err);
    }
    if (ret == 0) {
        ret = sim_hypervisor_new(&host->hypervisor, host, err);
    }
    if (ret == 0) {
        ret = sim_domain_start(host, err);
    }
    if (ret == 0) {
        ret = sim_control_new(&run->control, host, err);
    }
    return ret;
}

static int host_main(const struct sim_limits *limits, const char *bin,
                     const char *preload, char *const *argv)
{
    struct run run = {.host.limits = *limits};
    struct hcl_err err;
    int ret = sim_namespace_host(&err);

    if (ret == 0) {
        ret = start(&run, &err);
    }
    if (ret < 0) {
        fprintf(stderr, "hcl-sim: %s\n", err.text);
        return 125;
    }
    run.command =
        (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL,
                       NULL, NULL, NULL);
    if (run.command == 0) {
        dom0_init(&run, bin, preload, argv);
    }
    if (run.command < 0) {
        fprintf(stderr, "hcl-sim: cannot start dom0: %s\n", strerror(errno));
        return 125;
    }
    hcl_loop_run(run.host.loop);
    /* The kernel kills all that is left when this process ends. */
    return WIFEXITED(run.status) ? WEXITSTATUS(run.status)
                                 : 128 + WTERMSIG(run.status);
}

int sim_run(const struct sim_limits *limits, const char *bin,
            const char *preload, char *const *argv, struct hcl_err *err)
{
    static const int passed_on[] = {SIGTERM, SIGHUP};
    pid_t pid = sim_namespace_fork(err);
    sigset_t signals;
    int status = 0, number;
    size_t i;

    if (pid < 0) {
        return pid;
    }
    if (pid == 0) {
        _exit(host_main(limits, bin, preload, argv));
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT); /* the terminal tells all of us */
    for (i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        sigaddset(&signals, passed_on[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (sigwait(&signals, &number) == 0 && number != SIGCHLD &&
            number != SIGINT) {
            kill(pid, number);
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
