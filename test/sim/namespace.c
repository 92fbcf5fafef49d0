/* SPDX-License-Identifier: MIT */
#include "namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the machine's own folders are still to be seen. */
#define ORIGINALS "/run/hcl-sim-originals"

/* ---- Users ------------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

    if (fd < 0) {
        return -errno;
    }
    if (write(fd, text, strlen(text)) < 0) {
        ret = -errno;
    }
    close(fd);
    return ret;
}

/* An ordinary user becomes root in a user namespace. */
static int become_root(uid_t uid, gid_t gid, struct hcl_err *err)
{
    char map[32];
    int ret;

    snprintf(map, sizeof(map), "0 %u 1", uid);
    ret = write_file("/proc/self/uid_map", map);
    if (ret == 0) {
        ret = write_file("/proc/self/setgroups", "deny");
    }
    if (ret == 0) {
        snprintf(map, sizeof(map), "0 %u 1", gid);
        ret = write_file("/proc/self/gid_map", map);
    }
    return ret < 0 ? hcl_err_sys(err, ret, "cannot map the user to root") : 0;
}

pid_t sim_namespace_fork(struct hcl_err *err)
{
    unsigned long flags = CLONE_NEWPID | CLONE_NEWNS | SIGCHLD;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    pid_t pid;

    if (uid != 0) {
        flags |= CLONE_NEWUSER;
    }
    pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (pid < 0) {
        return hcl_err_sys(err, -errno,
                           "cannot make namespaces (this needs root, or user "
                           "namespaces for everyone: sysctl "
                           "kernel.unprivileged_userns_clone=1)");
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (uid != 0 && become_root(uid, gid, err) < 0) {
            fprintf(stderr, "hcl-sim: %s\n", err->text);
            _exit(125);
        }
    }
    return pid;
}

/* ---- Mounts ------------------------------------------------------------ */

static int mounted(int ret, const char *what, struct hcl_err *err)
{
    return ret < 0 ? hcl_err_sys(err, -errno, "cannot mount %s", what) : 0;
}

static int bind_mount(const char *from, const char *to, struct hcl_err *err)
{
    return mounted(mount(from, to, NULL, MS_BIND | MS_REC, NULL), to, err);
}

static int tmpfs(const char *path, struct hcl_err *err)
{
    return mounted(mount("tmpfs", path, "tmpfs", MS_NOSUID, "mode=1777"), path,
                   err);
}

/* Xen's and HCL's own are not carried over: they are the real host's. */
static bool is_ours(const char *name)
{
    return !strcmp(name, "hcl") || !strcmp(name, "xen");
}

/*
 * Shows the entry @name of @original in @dir: a folder is mounted, a file is
 * linked to, a link is made again, since it may be a relative one.
 */
static void show(const char *original, const char *dir, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX], target[PATH_MAX];
    struct stat st;
    ssize_t len;

    if (snprintf(from, sizeof(from), "%s/%s", original, name) >=
            (int)sizeof(from) ||
        snprintf(to, sizeof(to), "%s/%s", dir, name) >= (int)sizeof(to) ||
        lstat(from, &st) < 0) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(to, 0755) == 0) {
            (void)mount(from, to, NULL, MS_BIND | MS_REC, NULL);
        }
    } else if (S_ISLNK(st.st_mode)) {
        len = readlink(from, target, sizeof(target) - 1);
        if (len > 0) {
            target[len] = '\0';
            (void)symlink(target, to);
        }
    } else {
        (void)symlink(from, to);
    }
}

static int show_all(const char *original, const char *dir, struct hcl_err *err)
{
    DIR *entries = opendir(original);
    const struct dirent *entry;

    if (!entries) {
        return hcl_err_sys(err, -errno, "cannot read %s", original);
    }
    /* cppcheck-suppress readdirCalled ; a stream of one thread */
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 && !is_ours(entry->d_name)) {
            show(original, dir, entry->d_name);
        }
    }
    closedir(entries);
    return 0;
}

/* Replaces @dir by a private folder that shows what was in it. */
static int make_private(const char *dir, struct hcl_err *err)
{
    char original[PATH_MAX], *slash;
    int ret;

    snprintf(original, sizeof(original), "%s/%s", ORIGINALS, dir + 1);
    for (slash = original + strlen(ORIGINALS) + 1; *slash; slash++) {
        if (*slash == '/') {
            *slash = '-';
        }
    }
    if (mkdir(original, 0755) < 0) {
        return hcl_err_sys(err, -errno, "cannot make %s", original);
    }
    ret = bind_mount(dir, original, err);
    if (ret == 0) {
        ret = tmpfs(dir, err);
    }
    if (ret == 0) {
        ret = show_all(original, dir, err);
    }
    return ret;
}

int sim_namespace_host(struct hcl_err *err)
{
    static const char *const private[] = {"/tmp", "/etc", "/var/lib",
                                          "/var/log"};
    size_t i;
    int ret =
        mounted(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "/", err);

    if (ret == 0) {
        ret = mounted(mount("proc", "/proc", "proc", 0, NULL), "/proc", err);
    }
    if (ret == 0) {
        ret = tmpfs("/run", err);
    }
    if (ret == 0 &&
        (mkdir(ORIGINALS, 0755) < 0 || mkdir("/run/lock", 01777) < 0)) {
        ret = hcl_err_sys(err, -errno, "cannot make folders in /run");
    }
    for (i = 0; ret == 0 && i < sizeof(private) / sizeof(private[0]); i++) {
        ret = make_private(private[i], err);
    }
    return ret;
}

/* Mounts a new /run, in which @dir and the originals are those of before. */
static int guest_run(const char *dir, struct hcl_err *err)
{
    static const char *const name[] = {NULL, ORIGINALS};
    char from[2][32];
    int fd[2], i, ret = 0;

    for (i = 0; i < 2; i++) {
        fd[i] = open(name[i] ? name[i] : dir, O_PATH | O_CLOEXEC);
        snprintf(from[i], sizeof(from[i]), "/proc/self/fd/%d", fd[i]);
    }
    ret = tmpfs("/run", err);
    for (i = 0; i < 2; i++) {
        const char *to = name[i] ? name[i] : dir;

        if (ret == 0 && mkdir(to, 0755) < 0) {
            ret = hcl_err_sys(err, -errno, "cannot make %s", to);
        }
        if (ret == 0) {
            ret = bind_mount(from[i], to, err);
        }
        if (fd[i] >= 0) {
            close(fd[i]);
        }
    }
    if (ret == 0) {
        (void)mkdir("/run/lock", 01777);
    }
    return ret;
}

int sim_namespace_dom0(struct hcl_err *err)
{
    return mounted(mount("proc", "/proc", "proc", 0, NULL), "/proc", err);
}

int sim_namespace_guest(const char *dir, struct hcl_err *err)
{
    int ret =
        mounted(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "/", err);

    if (ret == 0) {
        ret = guest_run(dir, err);
    }
    if (ret == 0) {
        ret = mounted(mount("proc", "/proc", "proc", 0, NULL), "/proc", err);
    }
    if (ret == 0) {
        ret = tmpfs("/tmp", err);
    }
    if (ret == 0) {
        ret = show_all(ORIGINALS "/tmp", "/tmp", err);
    }
    return ret;
}
