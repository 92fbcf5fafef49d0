/* SPDX-License-Identifier: MIT */
/* The process's connection to the host, and locks. */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* ---- Locks ------------------------------------------------------------- */

void device_lock(struct device_lock *lock)
{
    uint32_t old = 0;

    if (__atomic_compare_exchange_n(&lock->word, &old, 1, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return;
    }
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE)) {
        syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2L, NULL, NULL, 0L);
    }
}

void device_unlock(struct device_lock *lock)
{
    if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2) {
        syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1L, NULL, NULL, 0L);
    }
}

/* ---- System calls ------------------------------------------------------ */

void *device_mmap(void *at, size_t bytes, int prot, int flags, int fd,
                  off_t offset)
{
    return (void *)syscall(SYS_mmap, at, bytes, (long)prot, (long)flags,
                           (long)fd, offset);
}

void *device_mremap(void *old, size_t old_bytes, size_t bytes, int flags,
                    void *to)
{
    return (void *)syscall(SYS_mremap, old, old_bytes, bytes, (long)flags, to);
}

/* ---- The connection ---------------------------------------------------- */

/* Above what programs count their descriptors up to. */
#define KEEP_ABOVE 800

static struct {
    struct device_lock lock;
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of sockets */
    int fd;                                                /* -1: none yet */
    int child_fd;    /* during a fork, or -1 */
    uint64_t number; /* the connection's, for children */
    uint64_t child_number;
    pid_t pid;
    dev_t pipe_dev;
    struct wire_table *table;
} wire = {.fd = -1, .child_fd = -1};

bool device_wire_init(void)
{
    const char *dir = getenv("HCL_SIM"), *key = getenv("HCL_SIM_KEY");

    if (!dir || !*dir) {
        return false;
    }
    wire.pid = (pid_t)syscall(SYS_getpid);
    return snprintf(wire.dir, sizeof(wire.dir), "%s/%s", dir, key ? key : "0") <
           (int)sizeof(wire.dir);
}

bool device_is_borrowed(void)
{
    return (pid_t)syscall(SYS_getpid) != wire.pid;
}

struct wire_table *device_table(void)
{
    return __atomic_load_n(&wire.table, __ATOMIC_ACQUIRE);
}

bool device_is_pipe_dev(dev_t dev)
{
    return !device_table() || wire.pipe_dev == dev;
}

int device_keep_fd(int fd)
{
    int high = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, (long)KEEP_ABOVE);

    if (high >= 0) {
        syscall(SYS_close, fd);
        fd = high;
    }
    device_mark_own(fd, true);
    return fd;
}

int device_connect(const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, ret;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", wire.dir,
                 name) >= (int)sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    fd = (int)syscall(SYS_socket, AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    do {
        ret = syscall(SYS_connect, fd, &address, sizeof(address)) < 0 ? -errno
                                                                      : 0;
    } while (ret == -EINTR);
    if (ret < 0) {
        syscall(SYS_close, fd);
        return ret == -ENOENT || ret == -ECONNREFUSED ? -ENODEV : ret;
    }
    return fd;
}

static int send_request(int fd, const struct wire_request *request,
                        const struct wire_ref *refs)
{
    struct iovec iov[2] = {
        {(void *)request, sizeof(*request)},
        {(void *)refs, request->num_refs * sizeof(*refs)},
    };
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

    while (syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return errno == EMFILE ? -errno : -ENODEV;
        }
    }
    return 0;
}

static int receive_answer(int fd, struct wire_answer *answer, void *payload,
                          size_t payload_bytes, int *ret_fd)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov[2] = {{answer, sizeof(*answer)}, {payload, payload_bytes}};
    struct msghdr message = {.msg_iov = iov,
                             .msg_iovlen = 2,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *cmsg;
    ssize_t got;

    do {
        got = syscall(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < (ssize_t)sizeof(*answer)) {
        return -ENODEV;
    }
    cmsg = CMSG_FIRSTHDR(&message);
    *ret_fd = -1;
    if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
        memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(*ret_fd));
    } else if (message.msg_flags & MSG_CTRUNC) {
        return -EMFILE; /* a descriptor came, and there was no room for it */
    }
    return answer->error;
}

static int ask(int fd, const struct wire_request *request,
               const struct wire_ref *refs, struct wire_answer *answer,
               void *payload, size_t payload_bytes, int *ret_fd)
{
    int ret;

    answer->delay_us = 0;
    *ret_fd = -1;
    ret = send_request(fd, request, refs);
    if (ret == 0) {
        ret = receive_answer(fd, answer, payload, payload_bytes, ret_fd);
    }
    return ret;
}

/* A new connection, which has been greeted. */
static int greet(uint64_t *ret_number)
{
    struct wire_request request = {.op = WIRE_HELLO};
    struct wire_answer answer = {0};
    struct wire_table *table;
    int table_fd, ret, fd = device_connect("hypervisor", SOCK_SEQPACKET);

    if (fd < 0) {
        return fd;
    }
    fd = device_keep_fd(fd);
    ret = ask(fd, &request, NULL, &answer, NULL, 0, &table_fd);
    if (ret == 0 && !wire.table) {
        table = device_mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
                            MAP_SHARED, table_fd, 0);
        wire.pipe_dev = (dev_t)answer.index;
        if (table == MAP_FAILED) {
            ret = -errno;
        } else {
            __atomic_store_n(&wire.table, table, __ATOMIC_RELEASE);
        }
    }
    if (table_fd >= 0) {
        syscall(SYS_close, table_fd);
    }
    if (ret < 0) {
        device_mark_own(fd, false);
        syscall(SYS_close, fd);
        return ret;
    }
    *ret_number = answer.inode;
    return fd;
}

static void wait_us(uint32_t us)
{
    struct timespec time = {.tv_sec = us / 1000000,
                            .tv_nsec = (long)(us % 1000000) * 1000};

    while (us && syscall(SYS_nanosleep, &time, &time) < 0 && errno == EINTR) {
    }
}

int device_ask(const struct wire_request *request, const struct wire_ref *refs,
               struct wire_answer *answer, void *payload, size_t payload_bytes,
               int *ret_fd)
{
    int fd = -1, ret = 0;

    answer->delay_us = 0;
    device_lock(&wire.lock);
    if (wire.fd < 0) {
        wire.fd = ret = greet(&wire.number);
    }
    if (ret >= 0) {
        ret = ask(wire.fd, request, refs, answer, payload, payload_bytes, &fd);
    }
    device_unlock(&wire.lock);
    wait_us(answer->delay_us);
    if (ret_fd) {
        *ret_fd = fd;
    }
    return ret;
}

/* ---- Forks ------------------------------------------------------------- */

/*
 * A child that inherits mappings has its connection, with them, before it
 * exists: so at no moment does the host believe that nobody has them.
 */
void device_wire_before_fork(bool inherit)
{
    device_lock(&wire.lock);
    wire.child_fd = inherit ? greet(&wire.child_number) : -1;
}

int device_ask_for_child(struct wire_request *request,
                         struct wire_answer *answer)
{
    int fd;

    request->inode = wire.number;
    return wire.child_fd < 0
               ? -ENODEV
               : ask(wire.child_fd, request, NULL, answer, NULL, 0, &fd);
}

void device_wire_after_fork(bool child)
{
    int other = child ? wire.fd : wire.child_fd;

    if (other >= 0) {
        device_mark_own(other, false);
        syscall(SYS_close, other);
    }
    if (child) {
        wire.fd = wire.child_fd >= 0 ? wire.child_fd : -1;
        wire.number = wire.child_number;
        wire.pid = (pid_t)syscall(SYS_getpid);
    }
    wire.child_fd = -1;
    device_unlock(&wire.lock);
}
