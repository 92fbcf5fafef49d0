/* SPDX-License-Identifier: MIT */
/*
 * device.c: libhclsim.so, which is preloaded into programs of the simulated
 * host and plays /dev/xen/gntalloc, gntdev, evtchn and xenbus at the level of
 * libc's calls.  Whatever sits on the device nodes runs unmodified: Debian's
 * libxengnttab, libxenevtchn and libxenvchan, HCL's own ioctls, Python's os
 * and mmap.  Without HCL_SIM in the environment it does nothing.
 *
 * What a program gets for a device is a pipe that the host made (wire.h), open
 * for reading and writing.  The kernel itself then does all of this right: a
 * descriptor that is duplicated, inherited by fork and exec, or sent to another
 * process; and for event channels, whose pending port numbers are what stands
 * in the pipe: poll, select and epoll, O_NONBLOCK, a read that blocks and is
 * interrupted.  Only these calls are played:
 *
 *   open of the nodes        asks the host for a descriptor
 *   ioctl                    asks the host; but an event is sent from here,
 *                            with one write into the peer's pipe
 *   read, write of evtchn    whole ports; write unmasks
 *   mmap of gntalloc, gntdev the pages are in memfds of the host; and munmap,
 *                            mremap, madvise, mmap over them (device_memory.c)
 *   close, dup*, fcntl       so that it is known which descriptor is what
 *
 * A descriptor that came from elsewhere is recognised by its inode the first
 * time that it is used.  Each process has one connection to the host, opened
 * when it is first needed; with its end (exit, exec, a kill) the host
 * takes the process's mappings for gone, as a kernel would.
 *
 * What cannot be played: a poll does not report POLLERR after an overflow (it
 * reports POLLIN, and read fails); raw system calls pass by; pages that a saved
 * guest still has do not part from those of its old domain.
 */
#undef _FORTIFY_SOURCE
#include "device.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

/* ---- The real calls ---------------------------------------------------- */

/*
 * Those that can block are libc's, for a thread may be cancelled in them.  They
 * are looked up at start; a call that comes before goes to the kernel at once.
 */
static ssize_t early_read(int fd, void *buffer, size_t bytes)
{
    return syscall(SYS_read, fd, buffer, bytes);
}

static ssize_t early_write(int fd, const void *buffer, size_t bytes)
{
    return syscall(SYS_write, fd, buffer, bytes);
}

static ssize_t early_recvmsg(int fd, struct msghdr *message, int flags)
{
    return syscall(SYS_recvmsg, fd, message, flags);
}

static int early_openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = va_arg(args, mode_t);
    va_end(args);
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static int early_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static int early_fcntl(int fd, int command, ...)
{
    va_list args;
    void *arg;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);
    return (int)syscall(SYS_fcntl, fd, command, arg);
}

struct device_libc device_libc = {
    .read = early_read,
    .write = early_write,
    .recvmsg = early_recvmsg,
    .openat = early_openat,
    .close = early_close,
    .fcntl = early_fcntl,
};

/* ---- open -------------------------------------------------------------- */

static int open_node(enum wire_device kind, int flags)
{
    struct wire_request request = {
        .op = WIRE_OPEN, .device = kind, .flags = (uint32_t)flags};
    struct wire_answer answer;
    int fd, ret = device_ask(&request, NULL, &answer, NULL, 0, &fd);

    if (ret < 0) {
        errno = -ret;
        return -1;
    }
    if (!(flags & O_CLOEXEC)) {
        syscall(SYS_fcntl, fd, F_SETFD, 0L);
    }
    if (!device_add(fd, kind, answer.inode, answer.slot)) {
        syscall(SYS_close, fd);
        errno = EMFILE;
        return -1;
    }
    return fd;
}

static int open_xenbus(int flags)
{
    int fd = device_connect(
        "xenstored", SOCK_STREAM | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0));

    if (fd < 0) {
        errno = -fd;
        return -1;
    }
    if (!(flags & O_CLOEXEC)) {
        syscall(SYS_fcntl, fd, F_SETFD, 0L);
    }
    return fd;
}

static int open_path(int dir, const char *path, int flags, mode_t mode)
{
    static const char folder[] = "/dev/xen/";
    const char *name = path + sizeof(folder) - 1;
    int fd;

    if (device_libc.active && strncmp(path, folder, sizeof(folder) - 1) == 0) {
        if (!strcmp(name, "gntalloc")) {
            return open_node(WIRE_GNTALLOC, flags);
        }
        if (!strcmp(name, "gntdev")) {
            return open_node(WIRE_GNTDEV, flags);
        }
        if (!strcmp(name, "evtchn")) {
            return open_node(WIRE_EVTCHN, flags);
        }
        if (!strcmp(name, "xenbus")) {
            return open_xenbus(flags);
        }
    }
    fd = device_libc.openat(dir, path, flags, mode);
    if (fd >= 0) {
        device_mark_own(fd, false);
    }
    return fd;
}

#define MODE_OF(flags, mode)                                                   \
    do {                                                                       \
        va_list args_;                                                         \
                                                                               \
        va_start(args_, flags);                                                \
        (mode) = __OPEN_NEEDS_MODE(flags) ? va_arg(args_, mode_t) : 0;         \
        va_end(args_);                                                         \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode;

    MODE_OF(flags, mode);
    return open_path(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;

    MODE_OF(flags, mode);
    return open_path(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode;

    MODE_OF(flags, mode);
    return open_path(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    mode_t mode;

    MODE_OF(flags, mode);
    return open_path(dir, path, flags, mode);
}

/* What a compiler makes of them under _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
ssize_t __read_chk(int fd, void *buffer, size_t bytes, size_t size);

int __open_2(const char *path, int flags)
{
    return open_path(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_path(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dir, const char *path, int flags)
{
    return open_path(dir, path, flags, 0);
}

int __openat64_2(int dir, const char *path, int flags)
{
    return open_path(dir, path, flags, 0);
}

/* ---- ioctl, read, write ------------------------------------------------ */

static int device_ioctl(struct device *device, int fd, unsigned long command,
                        void *arg)
{
    int ret;

    switch (device->kind) {
    case WIRE_GNTALLOC:
        ret = device_gntalloc_ioctl(device, command, arg);
        break;
    case WIRE_GNTDEV:
        ret = device_gntdev_ioctl(device, command, arg);
        break;
    default:
        ret = device_evtchn_ioctl(device, fd, command, arg);
        break;
    }
    if (ret < 0) {
        errno = -ret;
        return -1;
    }
    return ret;
}

int ioctl(int fd, unsigned long command, ...)
{
    bool xen = _IOC_DIR(command) == _IOC_NONE &&
               (_IOC_TYPE(command) == 'E' || _IOC_TYPE(command) == 'G');
    struct device *device;
    va_list args;
    void *arg;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);
    device = xen ? device_find(fd, true) : NULL;
    return device ? device_ioctl(device, fd, command, arg)
                  : (int)syscall(SYS_ioctl, fd, command, arg);
}

ssize_t read(int fd, void *buffer, size_t bytes)
{
    struct device *device = device_find(fd, false);

    return device && device->kind == WIRE_EVTCHN
               ? device_evtchn_read(device, fd, buffer, bytes)
               : device_libc.read(fd, buffer, bytes);
}

ssize_t __read_chk(int fd, void *buffer, size_t bytes, size_t size)
{
    if (bytes > size) {
        __builtin_trap();
    }
    return read(fd, buffer, bytes);
}

ssize_t write(int fd, const void *buffer, size_t bytes)
{
    struct device *device = device_find(fd, false);

    return device && device->kind == WIRE_EVTCHN
               ? device_evtchn_write(device, fd, buffer, bytes)
               : device_libc.write(fd, buffer, bytes);
}

/* ---- Start and forks --------------------------------------------------- */

static void before_fork(void)
{
    device_fds_before_fork();
    device_memory_before_fork();
}

static void after_fork(bool child)
{
    device_memory_after_fork(child);
    device_fds_after_fork();
}

static void in_parent(void)
{
    after_fork(false);
}

static void in_child(void)
{
    after_fork(true);
}

/* A call that there is, or keeps going to the kernel. */
#define LOOK_UP(name)                                                          \
    do {                                                                       \
        void *found_ = dlsym(RTLD_NEXT, #name);                                \
                                                                               \
        if (found_) {                                                          \
            memcpy(&device_libc.name, &found_, sizeof(found_));                \
        }                                                                      \
    } while (0)

__attribute__((constructor)) static void start(void)
{
    LOOK_UP(read);
    LOOK_UP(write);
    LOOK_UP(recvmsg);
    LOOK_UP(openat);
    LOOK_UP(close);
    LOOK_UP(fcntl);
    if (device_wire_init()) {
        device_libc.active =
            pthread_atfork(before_fork, in_parent, in_child) == 0;
    }
}
