/* SPDX-License-Identifier: MIT */
#include "lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 256

/* Makes @dir and its parents. */
static int make_dirs(const char *dir, struct hcl_err *err)
{
    char path[PATH_BYTES];
    char *slash;

    snprintf(path, sizeof(path), "%s/", dir);
    for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST) {
            return hcl_err_sys(err, -errno, "cannot make the folder %s", path);
        }
        *slash = '/';
    }
    return 0;
}

static int held(int fd, struct hcl_err *err)
{
    char pid[16] = "";
    ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[got > 0 ? got : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    if (!pid[0]) {
        /* The holder is between taking the lock and writing its number. */
        return hcl_err_set(err, -EBUSY, "in use by another process");
    }
    return hcl_err_set(err, -EBUSY, "in use by process %s", pid);
}

static int lock(int fd, const char *path, struct hcl_err *err)
{
    char pid[16];
    int len;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            return held(fd, err);
        }
        return hcl_err_sys(err, -errno, "cannot lock %s", path);
    }
    len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
        return hcl_err_sys(err, errno ? -errno : -EIO, "cannot write %s", path);
    }
    return 0;
}

int hcl_lock_take(uint32_t devid, int *ret_fd, struct hcl_err *err)
{
    const char *dir = secure_getenv("HCL_RUN");
    char path[PATH_BYTES];
    int fd, ret;

    if (!dir || !*dir) {
        dir = HCL_LOCK_DIR;
    }
    if (snprintf(path, sizeof(path), "%s/%u.lock", dir, devid) >=
        (int)sizeof(path)) {
        return hcl_err_set(err, -ENAMETOOLONG, "HCL_RUN is too long");
    }
    ret = make_dirs(dir, err);
    if (ret < 0) {
        return ret;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "cannot open the lock file %s", path);
    }
    ret = lock(fd, path, err);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    *ret_fd = fd;
    return 0;
}

void hcl_lock_release(int fd)
{
    /* The file stays: removing it would let two processes lock two files. */
    if (fd >= 0) {
        (void)!ftruncate(fd, 0);
        /* A child of another thread may still have to close its own. */
        flock(fd, LOCK_UN);
        close(fd);
    }
}
