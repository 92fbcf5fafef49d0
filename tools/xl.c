/* SPDX-License-Identifier: MIT */
#include "xl.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stop.h"

/* xl gets the signals that hclctl itself holds back. */
static int spawn(pid_t *pid, const char *const *argv)
{
    posix_spawnattr_t attr;
    int ret = posix_spawnattr_init(&attr);

    if (ret) {
        return ret;
    }
    if (hcl_stop_old_mask()) {
        ret = posix_spawnattr_setsigmask(&attr, hcl_stop_old_mask());
        if (ret == 0) {
            ret = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
        }
    }
    if (ret == 0) {
        /* It changes nothing of the strings, says POSIX. */
        ret =
            posix_spawnp(pid, "xl", NULL, &attr, (char *const *)argv, environ);
    }
    posix_spawnattr_destroy(&attr);
    return ret;
}

int hcl_xl_run(const char *const *argv, struct hcl_err *err)
{
    const char *verb = argv[1] ? argv[1] : "";
    int status;
    pid_t pid;
    int ret = spawn(&pid, argv);

    if (ret) {
        return hcl_err_sys(err, -ret, "cannot run xl");
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return hcl_err_sys(err, -errno, "cannot wait for xl");
        }
    }
    if (!WIFEXITED(status)) {
        return hcl_err_set(err, -EREMOTEIO, "xl %s was ended by signal %d",
                           verb, WTERMSIG(status));
    }
    if (WEXITSTATUS(status)) {
        return hcl_err_set(err, -EREMOTEIO, "xl %s failed with status %d", verb,
                           WEXITSTATUS(status));
    }
    return 0;
}
