/* SPDX-License-Identifier: MIT */
#include "xl.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

int hcl_xl_run(const char *const *argv, struct hcl_err *err)
{
    const char *verb = argv[1] ? argv[1] : "";
    int status;
    pid_t pid;
    /* posix_spawnp changes nothing of the strings, says POSIX. */
    int ret =
        posix_spawnp(&pid, "xl", NULL, NULL, (char *const *)argv, environ);

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
