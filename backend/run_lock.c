/* SPDX-License-Identifier: MIT */
#include "run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int locked_by_another(int fd, const char *dir, struct hcl_err *err)
{
    char text[16] = "";
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    long pid = got > 0 ? strtol(text, NULL, 10) : 0;

    return hcl_err_set(err, -EBUSY,
                       "another hcl-backend (pid %ld) runs with %s; give this "
                       "one its own directory with -d",
                       pid, dir);
}

int hcl_run_lock(const char *dir, int *ret_fd, struct hcl_err *err)
{
    char path[PATH_MAX];
    int rc = 0;
    int fd;

    if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
        return hcl_err_sys(err, -errno, "cannot make %s", dir);
    }
    snprintf(path, sizeof(path), "%s/hcl-backend.pid", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "cannot open %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK
                 ? locked_by_another(fd, dir, err)
                 : hcl_err_sys(err, -errno, "cannot lock %s", path);
    } else if (ftruncate(fd, 0) < 0 ||
               dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        rc = hcl_err_sys(err, -errno, "cannot write %s", path);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}
