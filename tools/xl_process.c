/* SPDX-License-Identifier: MIT */
#include "xl_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record.h"
#include "xl_command.h"

#define CONFIG_MAX_BYTES (1u << 20)
#define CMDLINE_MAX_BYTES (128u << 10)

/* ---- Files ------------------------------------------------------------- */

/*
 * All of @fd, at most @max bytes, to be freed by the caller.  NULL if it
 * fails, with the reason, a negative errno, in *@ret_error.
 */
static char *read_all(int fd, size_t max, size_t *ret_bytes, int *ret_error)
{
    char *data = malloc(max + 2);
    size_t used = 0;
    ssize_t got;

    if (!data) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    do {
        got = read(fd, data + used, max + 1 - used);
        if (got > 0) {
            used += (size_t)got;
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0 || used > max) {
        *ret_error = got < 0 ? -errno : -EFBIG;
        free(data);
        return NULL;
    }
    data[used] = '\0';
    *ret_bytes = used;
    return data;
}

/* All of the file @name in @dir; NULL if it fails. */
static char *read_at(int dir, const char *name, size_t max, size_t *ret_bytes)
{
    int error, fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    char *data;

    if (fd < 0) {
        return NULL;
    }
    data = read_all(fd, max, ret_bytes, &error);
    close(fd);
    return data;
}

/*
 * The number of the descriptor that @path is a name of, or -1: what stands
 * behind it is another thing for each process.
 */
static int descriptor_of(const char *path)
{
    static const char *const prefixes[] = {"/dev/fd/", "/proc/self/fd/"};
    size_t i, len;

    if (!strcmp(path, "/dev/stdin")) {
        return 0;
    }
    for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        len = strlen(prefixes[i]);
        if (!strncmp(path, prefixes[i], len) && path[len] &&
            strspn(path + len, "0123456789") == strlen(path + len)) {
            return atoi(path + len);
        }
    }
    return -1;
}

static int stream_error(const char *path, struct hcl_err *err)
{
    return hcl_err_set(err, -ESPIPE,
                       "%s cannot be read a second time; put the "
                       "configuration in a file, or use hclctl attach",
                       path);
}

/* Parses what @fd has; closes it. */
static int load_fd(int fd, const char *path, const char *extra,
                   struct hcl_config **ret_config, struct hcl_err *err)
{
    char *data = NULL, *text = NULL;
    size_t bytes = 0;
    struct stat st;
    int ret = 0;

    if (fstat(fd, &st) < 0) {
        ret = hcl_err_sys(err, -errno, "%s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        ret = stream_error(path, err);
        goto out;
    }
    data = read_all(fd, CONFIG_MAX_BYTES, &bytes, &ret);
    if (!data) {
        hcl_err_sys(err, ret, "cannot read %s", path);
        goto out;
    }
    text = hcl_xl_command_join(data, bytes, extra, &bytes);
    if (!text) {
        ret = hcl_err_sys(err, -ENOMEM, "%s", path);
        goto out;
    }
    ret = hcl_config_parse(ret_config, path, text, (unsigned int)bytes, err);
out:
    close(fd);
    free(text);
    free(data);
    return ret;
}

/* xl's special case: all of the configuration is on the command line. */
static int load_extra(const char *path, const char *extra,
                      struct hcl_config **ret_config, struct hcl_err *err)
{
    const char *text = extra ? extra : "";

    return hcl_config_parse(ret_config, path, text, (unsigned int)strlen(text),
                            err);
}

int hcl_xl_config_load(struct hcl_config **ret_config, const char *path,
                       const char *extra, struct hcl_err *err)
{
    int fd;

    if (!strcmp(path, "/dev/null")) {
        return load_extra(path, extra, ret_config, err);
    }
    /* O_NONBLOCK: a FIFO must not hang us before it is seen to be one. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "cannot open %s", path);
    }
    return load_fd(fd, path, extra, ret_config, err);
}

/* ---- What a process is ------------------------------------------------- */

/* All four user ids are root's.  The owner of /proc/PID would not tell. */
static bool is_root(int proc)
{
    unsigned int ids[4] = {1, 1, 1, 1};
    size_t bytes;
    char *status = read_at(proc, "status", 16384, &bytes), *line;

    if (!status) {
        return false;
    }
    line = strstr(status, "\nUid:");
    if (!line || sscanf(line, "\nUid: %u %u %u %u", &ids[0], &ids[1], &ids[2],
                        &ids[3]) != 4) {
        ids[0] = 1;
    }
    free(status);
    return (ids[0] | ids[1] | ids[2] | ids[3]) == 0;
}

/* The program behind the process is xl, and only root can have put it there. */
static bool is_xl(int proc)
{
    char path[HCL_XL_PATH];
    const char *name;
    struct stat st;
    ssize_t len = readlinkat(proc, "exe", path, sizeof(path) - 1);
    char *deleted;

    if (len <= 0) {
        return false;
    }
    path[len] = '\0';
    /* Xen was upgraded while this xl watched its guest. */
    deleted = strstr(path, " (deleted)");
    if (deleted && !deleted[strlen(" (deleted)")]) {
        *deleted = '\0';
    }
    name = strrchr(path, '/');
    /* Follows the link to the program itself, whatever stands at its path. */
    return name && !strcmp(name, "/xl") && fstatat(proc, "exe", &st, 0) == 0 &&
           S_ISREG(st.st_mode) && st.st_uid == 0 && !(st.st_mode & 022);
}

/* When the process started, in milliseconds since boot; 0: unknown. */
static uint64_t start_ms(int proc)
{
    unsigned long long ticks = 0;
    const char *at;
    size_t bytes;
    char *stat = read_at(proc, "stat", 4096, &bytes);
    int field;

    if (!stat) {
        return 0;
    }
    /* Its name, field 2, can have anything in it but ends at the last ')'. */
    at = strrchr(stat, ')');
    for (field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at) {
        ticks = strtoull(at + 1, NULL, 10);
    }
    free(stat);
    return ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
}

/*
 * It has made its guest and only watches over it: then it is in the background
 * and writes to /var/log/xen/xl-NAME.log.
 */
static bool is_monitor(int proc)
{
    char path[HCL_XL_PATH];
    const char *name;
    ssize_t len = readlinkat(proc, "fd/1", path, sizeof(path) - 1);

    if (len <= 0) {
        return false;
    }
    path[len] = '\0';
    name = strrchr(path, '/');
    return name && !strncmp(name, "/xl-", 4) && strstr(name, ".log");
}

/* ---- Its configuration ------------------------------------------------- */

/* Opens what the process has as its descriptor @number, if it is a file. */
static int open_descriptor(int proc, int number)
{
    char name[24];
    struct stat st;
    int fd;

    snprintf(name, sizeof(name), "fd/%d", number);
    /* Looked at first: to open a device or a pipe could change something. */
    if (fstatat(proc, name, &st, 0) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -ESPIPE;
    }
    fd = openat(proc, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    return fd;
}

/* Opens @path as the process sees it: in its root, from its folder. */
static int open_as(int proc, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    };
    bool absolute = path[0] == '/';
    int number = descriptor_of(path);
    int dir, fd;

    if (number >= 0) {
        return open_descriptor(proc, number);
    }
    dir = openat(proc, absolute ? "root" : "cwd", O_PATH | O_CLOEXEC);
    if (dir < 0) {
        return -errno;
    }
    if (absolute) {
        /* Links in the path lead to where they lead for that process. */
        how.resolve = RESOLVE_IN_ROOT;
    }
    fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS) {
        /* Before Linux 5.6. */
        fd = openat(dir, path + strspn(path, "/"), (int)how.flags);
    }
    fd = fd < 0 ? -errno : fd;
    close(dir);
    return fd;
}

static int load_as(int proc, const struct hcl_xl_command *command,
                   struct hcl_config **ret_config, struct hcl_err *err)
{
    const char *path = command->config;
    int fd;

    if (!strcmp(path, "/dev/null")) {
        return load_extra(path, command->extra, ret_config, err);
    }
    fd = open_as(proc, path);
    if (fd == -ESPIPE) {
        return stream_error(path, err);
    }
    if (fd < 0) {
        return hcl_err_sys(err, fd, "cannot open %s", path);
    }
    return load_fd(fd, path, command->extra, ret_config, err);
}

/* ---- Looking for it ---------------------------------------------------- */

void hcl_xl_process_clear(struct hcl_xl_process *process)
{
    hcl_config_free(process->config);
    process->config = NULL;
}

static bool has_name(const struct hcl_config *config, const char *name)
{
    const char *value;

    return hcl_config_string(config, "name", &value, NULL) == 0 && value &&
           !strcmp(value, name);
}

/* Looks at one process that is xl; takes over its configuration if it fits. */
static void consider(int proc, pid_t pid, const struct hcl_xl_command *command,
                     const char *name, struct hcl_xl_process *found)
{
    uint64_t started = start_ms(proc);
    struct hcl_config *config = NULL;
    struct hcl_err why;

    if (load_as(proc, command, &config, &why) < 0) {
        found->unread++;
        hcl_err_set(&found->unread_why, why.code, "xl process %d: %s", (int)pid,
                    why.text);
        return;
    }
    if (!has_name(config, name) ||
        (found->config && found->started_ms > started)) {
        hcl_config_free(config);
        return;
    }
    hcl_config_free(found->config);
    found->config = config;
    found->pid = pid;
    found->started_ms = started;
    snprintf(found->path, sizeof(found->path), "%s", command->config);
}

/* What is looked for. */
struct wanted {
    const char *name;
    enum hcl_xl_search search;
    uint64_t fresh_ms;
};

/* True if the process can be the one that is looked for. */
static bool may_be(int proc, const struct hcl_xl_command *command,
                   const struct wanted *wanted)
{
    enum hcl_xl_verb verb =
        wanted->search == HCL_XL_RESTORES ? HCL_XL_RESTORE : HCL_XL_CREATE;

    return command->verb == verb && command->config &&
           (wanted->search == HCL_XL_CREATED || !is_monitor(proc) ||
            hcl_record_now_ms() - start_ms(proc) < wanted->fresh_ms);
}

/* Looks at one process, whatever it is. */
static void look_at(int procs, const char *entry, const struct wanted *wanted,
                    struct hcl_xl_process *found)
{
    struct hcl_xl_command command = {HCL_XL_OTHER, NULL, NULL};
    char *line = NULL;
    size_t bytes;
    /* Held open, it is this process and no later one of the same number. */
    int proc = openat(procs, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (proc < 0) {
        return;
    }
    if (is_xl(proc) && is_root(proc)) {
        line = read_at(proc, "cmdline", CMDLINE_MAX_BYTES, &bytes);
    }
    if (line) {
        hcl_xl_command_parse(line, bytes, &command);
        if (may_be(proc, &command, wanted)) {
            consider(proc, (pid_t)strtol(entry, NULL, 10), &command,
                     wanted->name, found);
        }
        hcl_xl_command_clear(&command);
        free(line);
    }
    close(proc);
}

/* Looks at all processes once. */
static int scan(const struct wanted *wanted, struct hcl_xl_process *found,
                struct hcl_err *err)
{
    const struct dirent *entry;
    DIR *procs = opendir("/proc");

    if (!procs) {
        return hcl_err_sys(err, -errno, "cannot read /proc");
    }
    memset(found, 0, sizeof(*found));
    /* cppcheck-suppress readdirCalled ; a stream of one thread */
    while ((entry = readdir(procs)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
            look_at(dirfd(procs), entry->d_name, wanted, found);
        }
    }
    closedir(procs);
    return 0;
}

int hcl_xl_process_find(const char *name, enum hcl_xl_search search,
                        uint64_t fresh_ms, struct hcl_xl_process *ret_found,
                        struct hcl_err *err)
{
    const struct wanted wanted = {name, search, fresh_ms};
    int i, ret;

    /*
     * xl goes into the background by two forks, each parent ending at once: a
     * list of processes can be older than the child, and the parent be gone
     * when its turn comes.  Three lists have one of them for sure.
     */
    for (i = 0; i < 3; i++) {
        ret = scan(&wanted, ret_found, err);
        if (ret < 0 || ret_found->config) {
            return ret < 0 ? ret : 1;
        }
    }
    return 0;
}
