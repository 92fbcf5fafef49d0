/* SPDX-License-Identifier: MIT */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* One page, the least there is: what lies in it is read ahead for nobody. */
#define PIPE_BYTES 4096

/* What is read from the device at once. */
#define CHUNK_BYTES 512

/* ---- In the helper ----------------------------------------------------- */

/* Keeps just @file as 0 and @out as 1.  Both are above 1. */
static void keep_two(int file, int out)
{
    int high = fcntl(out, F_DUPFD, file > out ? file + 1 : out + 1);

    dup2(file, 0);
    dup2(high, 1);
    close_range(2, UINT_MAX, 0);
}

/* Its exit status is the errno of the device, 0 at the end of the file. */
static int pump(void)
{
    unsigned char chunk[CHUNK_BYTES];

    for (;;) {
        ssize_t got = read(0, chunk, sizeof(chunk));
        ssize_t put = 0;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : 0;
        }
        for (ssize_t done = 0; done < got && put >= 0; done += put) {
            put = write(1, chunk + done, (size_t)(got - done));
        }
        /* What has been handed out, a random number say, is nowhere else. */
        explicit_bzero(chunk, sizeof(chunk));
        if (put < 0) {
            return EPIPE;
        }
    }
}

/* In lists of processes it shall not look like the worker. */
static void rename_self(void)
{
    char *name = program_invocation_name; /* the memory of argv[0] */
    size_t size = strlen(name) + 1;

    prctl(PR_SET_NAME, "hcl-helper");
    if (size > strlen("hcl-helper")) {
        memset(name, 0, size);
        strcpy(name, "hcl-helper");
    }
}

static void run_helper(pid_t parent, int file, int out)
{
    rename_self();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(0); /* it died before it could be followed */
    }
    signal(SIGPIPE, SIG_IGN);
    keep_two(file, out);
    _exit(pump() & 0xff);
}

/* ---- In the worker ----------------------------------------------------- */

int hcl_helper_start(struct hcl_helper *helper, int file, struct hcl_err *err)
{
    pid_t parent = getpid();
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return hcl_err_sys(err, -errno, "cannot make a pipe");
    }
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid = fork();
    if (pid == 0) {
        run_helper(parent, file, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return hcl_err_sys(err, -EAGAIN, "cannot start a helper process");
    }
    helper->pid = pid;
    helper->fd = ends[0];
    return 0;
}

/* Whoever closes the pipe is exiting: this wait is short. */
int hcl_helper_end(struct hcl_helper *helper)
{
    int status = 0;
    pid_t pid;

    if (helper->pid == 0) {
        return 0; /* said already */
    }
    do {
        pid = waitpid(helper->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    helper->pid = 0;
    if (pid < 0 || !WIFEXITED(status)) {
        return -ECHILD;
    }
    return -WEXITSTATUS(status);
}

ssize_t hcl_helper_read(struct hcl_helper *helper, void *buf, size_t bytes)
{
    ssize_t got;

    do {
        got = read(helper->fd, buf, bytes);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return -errno;
    }
    return got > 0 ? got : hcl_helper_end(helper);
}

void hcl_helper_stop(struct hcl_helper *helper)
{
    if (helper->pid > 0) {
        kill(helper->pid, SIGKILL);
        /* It may hang in the kernel: whoever inherits it reaps it then. */
        waitpid(helper->pid, NULL, WNOHANG);
        helper->pid = 0;
    }
    if (helper->fd >= 0) {
        close(helper->fd);
        helper->fd = -1;
    }
}
