/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, which has no way back. */
static void become(const char *const *argv, const char *const *envp, int fd)
{
    sigset_t none;
    int nothing = open("/dev/null", O_RDWR);

    if (nothing < 0) {
        _exit(126);
    }
    if (fd < 0) {
        setpgid(0, 0);
    }
    if (fd >= 0 && fd != 3) {
        dup2(fd, 3);
    } else if (fd == 3) {
        fcntl(3, F_SETFD, 0); /* drop close-on-exec */
    }
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    close_range(fd >= 0 ? 4 : 3, UINT_MAX, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execve(argv[0], (char *const *)argv, (char *const *)envp);
    _exit(127);
}

int hcl_process_start(pid_t *ret_pid, const char *const *argv,
                      const char *const *envp, int fd, struct hcl_err *err)
{
    pid_t pid = fork();

    if (pid < 0) {
        return hcl_err_sys(err, -errno, "cannot start %s", argv[0]);
    }
    if (pid == 0) {
        become(argv, envp, fd);
    }
    *ret_pid = pid;
    return 0;
}

void hcl_process_status(int status, char *buf, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(buf, size, "signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else {
        snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
    }
}
