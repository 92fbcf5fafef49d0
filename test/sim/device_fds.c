/* SPDX-License-Identifier: MIT */
/* Which descriptor is what, and the calls that change that. */
#undef _FORTIFY_SOURCE
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- Descriptors ------------------------------------------------------- */

#define MAX_FDS 65536u
#define MAX_DEVICES 8192u

/* What is known of a descriptor; FIRST + n: it is devices[n]. */
enum { UNKNOWN, PLAIN, OWN, FIRST };

static uint16_t fds[MAX_FDS];
static struct device devices[MAX_DEVICES];
static uint32_t num_devices; /* entries that have been used */
static struct device_lock devices_lock;

static uint16_t what_is(int fd)
{
    return (unsigned int)fd < MAX_FDS
               ? __atomic_load_n(&fds[fd], __ATOMIC_RELAXED)
               : PLAIN;
}

static void remember(int fd, uint16_t what)
{
    if ((unsigned int)fd < MAX_FDS) {
        __atomic_store_n(&fds[fd], what, __ATOMIC_RELAXED);
    }
}

void device_mark_own(int fd, bool own)
{
    remember(fd, own ? OWN : UNKNOWN);
}

/* The entry of the device @inode, or a free one; NULL: all are taken. */
static struct device *entry_of(uint64_t inode)
{
    struct device *entry = NULL;
    uint32_t i;

    for (i = 0; i < num_devices; i++) {
        if (devices[i].fds && devices[i].inode == inode) {
            return &devices[i];
        }
        if (!devices[i].fds && !entry) {
            entry = &devices[i];
        }
    }
    if (!entry && num_devices < MAX_DEVICES) {
        entry = &devices[num_devices++];
    }
    return entry;
}

struct device *device_add(int fd, enum wire_device kind, uint64_t inode,
                          uint32_t slot)
{
    struct device *device = NULL;

    device_lock(&devices_lock);
    if ((unsigned int)fd < MAX_FDS) {
        device = entry_of(inode);
    }
    if (device) {
        device->kind = kind;
        device->inode = inode;
        device->slot = slot;
        device->fds++;
        remember(fd, (uint16_t)(FIRST + (device - devices)));
    }
    device_unlock(&devices_lock);
    return device;
}

/* What is known of the device @inode from another descriptor. */
static bool known(uint64_t inode, enum wire_device *ret_kind,
                  uint32_t *ret_slot)
{
    bool found = false;
    uint32_t i;

    device_lock(&devices_lock);
    for (i = 0; i < num_devices && !found; i++) {
        if (devices[i].fds && devices[i].inode == inode) {
            *ret_kind = devices[i].kind;
            *ret_slot = devices[i].slot;
            found = true;
        }
    }
    device_unlock(&devices_lock);
    return found;
}

/* @fd may be one that was passed to us; else it is a plain one. */
static struct device *recognise(int fd)
{
    struct wire_request request = {.op = WIRE_KIND};
    struct wire_answer answer = {0};
    enum wire_device kind;
    struct stat st;
    uint32_t slot;

    if (fstat(fd, &st) < 0) {
        return NULL;
    }
    if (!S_ISFIFO(st.st_mode) || !device_is_pipe_dev(st.st_dev) ||
        (syscall(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) != O_RDWR) {
        remember(fd, PLAIN);
        return NULL;
    }
    if (known(st.st_ino, &kind, &slot)) {
        return device_add(fd, kind, st.st_ino, slot);
    }
    request.inode = st.st_ino;
    if (device_ask(&request, NULL, &answer, NULL, 0, NULL) < 0) {
        remember(fd, PLAIN);
        return NULL;
    }
    return device_add(fd, (enum wire_device)answer.device, st.st_ino,
                      answer.slot);
}

struct device *device_find(int fd, bool sure)
{
    uint16_t what = what_is(fd);

    if (what >= FIRST) {
        return &devices[what - FIRST];
    }
    if (!device_libc.active || what == OWN || (what == PLAIN && !sure) ||
        fd < 0) {
        return NULL;
    }
    return recognise(fd);
}

/* The program gives up @fd, whatever it is. */
static void forget(int fd)
{
    uint16_t what = what_is(fd);
    struct device *device;

    if (what < FIRST) {
        remember(fd, UNKNOWN);
        return;
    }
    if (device_is_borrowed()) {
        return; /* its parent still has it */
    }
    device_lock(&devices_lock);
    remember(fd, UNKNOWN);
    device = &devices[what - FIRST];
    if (device->fds == 1) {
        device_evtchn_forget(device);
    }
    device->fds--;
    device_unlock(&devices_lock);
}

/* ---- close, dup -------------------------------------------------------- */

int close(int fd)
{
    if (what_is(fd) == OWN && !device_is_borrowed()) {
        errno = EBADF;
        return -1;
    }
    forget(fd);
    return device_libc.close(fd);
}

int dup2(int old, int fd)
{
    return old == fd ? device_libc.fcntl(old, F_GETFD) < 0 ? -1 : fd
                     : dup3(old, fd, 0);
}

int dup3(int old, int fd, int flags)
{
    if (what_is(fd) == OWN && !device_is_borrowed()) {
        errno = EBUSY;
        return -1;
    }
    if (old != fd && device_libc.fcntl(old, F_GETFD) >= 0) {
        forget(fd);
    }
    return (int)syscall(SYS_dup3, old, fd, flags);
}

int dup(int old)
{
    int fd = (int)syscall(SYS_dup, old);

    if (fd >= 0) {
        remember(fd, UNKNOWN);
    }
    return fd;
}

int close_range(unsigned int first, unsigned int last, int flags)
{
    unsigned int fd, end = last < MAX_FDS ? last : MAX_FDS - 1;

    if (!device_libc.active || (flags & ~CLOSE_RANGE_UNSHARE) ||
        device_is_borrowed()) {
        return (int)syscall(SYS_close_range, first, last, flags);
    }
    for (fd = first; fd <= end; fd++) {
        if (what_is((int)fd) != OWN) {
            forget((int)fd);
            continue;
        }
        if (fd > first && syscall(SYS_close_range, first, fd - 1, flags) < 0) {
            return -1;
        }
        first = fd + 1;
    }
    return first > last ? 0 : (int)syscall(SYS_close_range, first, last, flags);
}

void closefrom(int first)
{
    (void)close_range(first > 0 ? (unsigned int)first : 0, ~0u, 0);
}

static int fcntl_any(int fd, int command, void *arg)
{
    int ret = device_libc.fcntl(fd, command, arg);

    if (ret >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
        remember(ret, UNKNOWN);
    }
    return ret;
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    void *arg;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);
    return fcntl_any(fd, command, arg);
}

int fcntl64(int fd, int command, ...)
{
    va_list args;
    void *arg;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);
    return fcntl_any(fd, command, arg);
}

/* Its descriptors may have had numbers of others, closed without our notice. */
ssize_t recvmsg(int socket, struct msghdr *message, int flags)
{
    ssize_t got = device_libc.recvmsg(socket, message, flags);
    struct cmsghdr *cmsg;
    size_t at;
    int fd;

    if (got < 0 || !message->msg_controllen || !device_libc.active) {
        return got;
    }
    for (cmsg = CMSG_FIRSTHDR(message); cmsg;
         cmsg = CMSG_NXTHDR(message, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (at = CMSG_LEN(0); at + sizeof(fd) <= cmsg->cmsg_len;
             at += sizeof(fd)) {
            memcpy(&fd, (const char *)cmsg + at, sizeof(fd));
            remember(fd, UNKNOWN);
        }
    }
    return got;
}

/* ---- Forks ------------------------------------------------------------- */

void device_fds_before_fork(void)
{
    uint32_t i;

    device_lock(&devices_lock);
    for (i = 0; i < num_devices; i++) {
        device_lock(&devices[i].lock);
    }
}

void device_fds_after_fork(void)
{
    uint32_t i;

    for (i = 0; i < num_devices; i++) {
        device_unlock(&devices[i].lock);
    }
    device_unlock(&devices_lock);
}
