/* SPDX-License-Identifier: MIT */
/*
 * hcl-worker NAME: serves one device.  Started by hcl-backend (or hcl-bench
 * --local), which gives it a socket as descriptor 3 and tells it everything
 * over that.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "log.h"
#include "message.h"
#include "worker.h"

/* Whether we were started as we have to be. */
static int check_socket(void)
{
    int type = 0;
    socklen_t bytes = sizeof(type);

    return getsockopt(HCL_MESSAGE_FD, SOL_SOCKET, SO_TYPE, &type, &bytes) ==
               0 &&
           type == SOCK_SEQPACKET;
}

/*
 * What needs no sandbox.  The supervisor ends us by message or by its own end;
 * a signal to the whole group (a terminal, systemd) is meant for it.
 */
static void drop_early(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

/* Each connection takes some; nothing here uses select. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct hcl_worker *worker = NULL;
    struct hcl_err err = {0};
    char prefix[64];
    int rc;

    if (argc != 2 || !check_socket()) {
        fprintf(stderr, "hcl-worker: only hcl-backend starts this program\n");
        return EXIT_FAILURE;
    }
    snprintf(prefix, sizeof(prefix), "hcl-worker %s", argv[1]);
    hcl_log_init(prefix, HCL_LOG_INFO);
    drop_early();
    raise_descriptors();
    rc = hcl_worker_new(&worker, HCL_MESSAGE_FD, &err);
    if (rc < 0) {
        goto out; /* the supervisor has been told, and logs it */
    }
    /* The hardware is open, no guest is connected: a sandbox starts here. */
    rc = hcl_worker_run(worker, &err);
    if (rc < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
    }
out:
    hcl_worker_free(worker);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
