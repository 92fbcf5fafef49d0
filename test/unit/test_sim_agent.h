/* SPDX-License-Identifier: MIT */
/*
 * test_sim_agent.h: a program on the simulated host that does what a test tells
 * it, call by call, with Debian's libxengnttab and libxenevtchn and with plain
 * system calls.  It is this test program itself, started anew with the library
 * preloaded; its main() begins with agent_main().
 */
#ifndef TEST_SIM_AGENT_H
#define TEST_SIM_AGENT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#define AGENT_BYTES 32768

/* What an agent can be told; @a are the arguments, @data goes both ways. */
enum agent_call {
    A_OPEN,        /* data: path; flags */
    A_CLOSE,       /* fd */
    A_DUP2,        /* fd, fd */
    A_FCNTL,       /* fd, command, arg */
    A_IOCTL,       /* fd, command; data */
    A_READ,        /* fd, bytes; data */
    A_WRITE,       /* fd, bytes; data */
    A_POLL,        /* fd, timeout in ms: revents */
    A_SELECT,      /* fd: readable, at once */
    A_EPOLL,       /* fd: its events in a new epoll, at once */
    A_MMAP,        /* as mmap */
    A_MUNMAP,      /* at, bytes */
    A_MREMAP,      /* as mremap */
    A_MADVISE,     /* at, bytes, advice */
    A_MPROTECT,    /* at, bytes, prot */
    A_PEEK,        /* at, bytes; data; EFAULT instead of a signal */
    A_POKE,        /* at, bytes; data */
    A_CLOSE_RANGE, /* first, last */
    A_COUNT_FDS,
    A_TAKE_FD, /* a descriptor comes along: its number */
    A_GIVE_FD, /* fd: it comes along */
    A_FORK,    /* a socket comes along, which the child serves */
    A_SPAWN,   /* a child that execs and ends at once: its status */
    A_EXEC,
    A_EXIT,
    A_CHURN,   /* shares, allocates and gives back: times; 0: for ever */
    A_THREADS, /* A_CHURN in so many threads, forking meanwhile: times */
    /* libxengnttab */
    A_SHARE_OPEN,
    A_SHARE,        /* handle, domid, count, writable; data: refs */
    A_SHARE_NOTIFY, /* handle, domid, writable, offset, port; data: ref */
    A_UNSHARE,      /* handle, at, count */
    A_SHARE_CLOSE,
    A_MAP_OPEN,
    A_MAP,        /* handle, domid, count, prot; data: refs */
    A_MAP_NOTIFY, /* handle, domid, ref, prot, offset, port */
    A_UNMAP,      /* handle, at, count */
    A_MAP_CLOSE,
    /* libxenevtchn */
    A_EVTCHN_OPEN,
    A_EVTCHN_FD,    /* handle */
    A_ALLOC,        /* handle, domid */
    A_BIND,         /* handle, domid, port */
    A_UNBIND,       /* handle, port */
    A_NOTIFY,       /* handle, port */
    A_PENDING,      /* handle */
    A_UNMASK,       /* handle, port */
    A_RESTRICT,     /* handle, domid */
    A_EVTCHN_CLOSE, /* handle */
};

struct agent_message {
    int64_t call;
    int64_t a[6];
    int64_t ret;
    int64_t error; /* errno, if ret says that it failed */
    uint8_t data[AGENT_BYTES];
};

static inline ssize_t agent_send(int fd, const struct agent_message *message,
                                 int passed)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {(void *)message, sizeof(*message)};
    struct msghdr head = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *cmsg;

    if (passed >= 0) {
        head.msg_control = control;
        head.msg_controllen = sizeof(control);
        cmsg = CMSG_FIRSTHDR(&head);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &passed, sizeof(passed));
    }
    return sendmsg(fd, &head, MSG_NOSIGNAL);
}

/* *@ret_passed is -1 if no descriptor came. */
static inline ssize_t agent_receive(int fd, struct agent_message *message,
                                    int *ret_passed)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {message, sizeof(*message)};
    struct msghdr head = {.msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control,
                          .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fd, &head, MSG_CMSG_CLOEXEC);
    struct cmsghdr *cmsg = got > 0 ? CMSG_FIRSTHDR(&head) : NULL;

    *ret_passed = -1;
    if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
        memcpy(ret_passed, CMSG_DATA(cmsg), sizeof(*ret_passed));
    }
    return got;
}

/* ---- In the agent ------------------------------------------------------ */

static inline int64_t agent_count_fds(void)
{
    int64_t count = 0;
    int fd;

    for (fd = 0; fd < 4096; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static inline int64_t agent_epoll(int fd)
{
    struct epoll_event event = {.events = EPOLLIN}, got = {0};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int num = -1;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) {
        num = epoll_wait(epoll, &got, 1, 0);
    }
    close(epoll);
    return num < 0 ? -1 : (int64_t)got.events;
}

static inline int64_t agent_select(int fd)
{
    struct timeval none = {0};
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &none);
}

static inline int64_t agent_poll(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms) < 0 ? -1 : poll_fd.revents;
}

/* The kernel looks at the protection, and no signal comes. */
static inline int64_t agent_memory(int64_t at, int64_t bytes, uint8_t *data,
                                   int write_it)
{
    struct iovec own = {data, (size_t)bytes};
    struct iovec other = {(void *)at, (size_t)bytes};

    return write_it ? process_vm_writev(getpid(), &own, 1, &other, 1, 0)
                    : process_vm_readv(getpid(), &own, 1, &other, 1, 0);
}

static inline int64_t agent_spawn(void)
{
    char *const argv[] = {"true", NULL};
    pid_t pid = vfork();
    int status;

    if (pid == 0) {
        dup2(2, 1);
        close(0);
        close_range(3, ~0u, 0);
        execv("/bin/true", argv);
        _exit(1);
    }
    return waitpid(pid, &status, 0) < 0 ? -1 : status;
}

static inline int64_t agent_files(struct agent_message *m)
{
    int fd = (int)m->a[0];

    switch (m->call) {
    case A_OPEN:
        return open((const char *)m->data, (int)m->a[0]);
    case A_CLOSE:
        return close(fd);
    case A_DUP2:
        return dup2(fd, (int)m->a[1]);
    case A_FCNTL:
        return fcntl(fd, (int)m->a[1], m->a[2]);
    case A_IOCTL:
        return ioctl(fd, (unsigned long)m->a[1], m->data);
    case A_READ:
        return read(fd, m->data, (size_t)m->a[1]);
    case A_WRITE:
        return write(fd, m->data, (size_t)m->a[1]);
    case A_POLL:
        return agent_poll(fd, (int)m->a[1]);
    case A_SELECT:
        return agent_select(fd);
    case A_EPOLL:
        return agent_epoll(fd);
    case A_CLOSE_RANGE:
        return close_range((unsigned int)m->a[0], (unsigned int)m->a[1], 0);
    case A_COUNT_FDS:
        return agent_count_fds();
    case A_SPAWN:
        return agent_spawn();
    default:
        errno = ENOSYS;
        return -1;
    }
}

static inline int64_t agent_pages(struct agent_message *m)
{
    void *at = (void *)m->a[0];
    size_t bytes = (size_t)m->a[1];

    switch (m->call) {
    case A_MMAP:
        return (int64_t)mmap(at, bytes, (int)m->a[2], (int)m->a[3],
                             (int)m->a[4], (off_t)m->a[5]);
    case A_MUNMAP:
        return munmap(at, bytes);
    case A_MREMAP:
        return (int64_t)mremap(at, bytes, (size_t)m->a[2], (int)m->a[3],
                               (void *)m->a[4]);
    case A_MADVISE:
        return madvise(at, bytes, (int)m->a[2]);
    case A_MPROTECT:
        return mprotect(at, bytes, (int)m->a[2]);
    case A_PEEK:
        return agent_memory(m->a[0], m->a[1], m->data, 0);
    case A_POKE:
        return agent_memory(m->a[0], m->a[1], m->data, 1);
    default:
        return agent_files(m);
    }
}

static inline int64_t agent_grants(struct agent_message *m)
{
    xengntshr_handle *share = (xengntshr_handle *)m->a[0];
    xengnttab_handle *map = (xengnttab_handle *)m->a[0];
    uint32_t *refs = (uint32_t *)m->data;
    uint32_t domid = (uint32_t)m->a[1];

    switch (m->call) {
    case A_SHARE_OPEN:
        return (int64_t)xengntshr_open(NULL, 0);
    case A_SHARE:
        return (int64_t)xengntshr_share_pages(share, domid, (int)m->a[2], refs,
                                              (int)m->a[3]);
    case A_SHARE_NOTIFY:
        return (int64_t)xengntshr_share_page_notify(
            share, domid, refs, (int)m->a[2], (uint32_t)m->a[3],
            (evtchn_port_t)m->a[4]);
    case A_UNSHARE:
        return xengntshr_unshare(share, (void *)m->a[1], (uint32_t)m->a[2]);
    case A_SHARE_CLOSE:
        return xengntshr_close(share);
    case A_MAP_OPEN:
        return (int64_t)xengnttab_open(NULL, 0);
    case A_MAP:
        return (int64_t)xengnttab_map_domain_grant_refs(
            map, (uint32_t)m->a[2], domid, refs, (int)m->a[3]);
    case A_MAP_NOTIFY:
        return (int64_t)xengnttab_map_grant_ref_notify(
            map, domid, (uint32_t)m->a[2], (int)m->a[3], (uint32_t)m->a[4],
            (evtchn_port_t)m->a[5]);
    case A_UNMAP:
        return xengnttab_unmap(map, (void *)m->a[1], (uint32_t)m->a[2]);
    case A_MAP_CLOSE:
        return xengnttab_close(map);
    default:
        return agent_pages(m);
    }
}

static inline int64_t agent_events(struct agent_message *m)
{
    xenevtchn_handle *evtchn = (xenevtchn_handle *)m->a[0];
    uint32_t domid = (uint32_t)m->a[1];
    evtchn_port_t port = (evtchn_port_t)m->a[1];

    switch (m->call) {
    case A_EVTCHN_OPEN:
        return (int64_t)xenevtchn_open(NULL, 0);
    case A_EVTCHN_FD:
        return xenevtchn_fd(evtchn);
    case A_ALLOC:
        return xenevtchn_bind_unbound_port(evtchn, domid);
    case A_BIND:
        return xenevtchn_bind_interdomain(evtchn, domid,
                                          (evtchn_port_t)m->a[2]);
    case A_UNBIND:
        return xenevtchn_unbind(evtchn, port);
    case A_NOTIFY:
        return xenevtchn_notify(evtchn, port);
    case A_PENDING:
        return xenevtchn_pending(evtchn);
    case A_UNMASK:
        return xenevtchn_unmask(evtchn, port);
    case A_RESTRICT:
        return xenevtchn_restrict(evtchn, (domid_t)domid);
    case A_EVTCHN_CLOSE:
        return xenevtchn_close(evtchn);
    default:
        return agent_grants(m);
    }
}

/* By its name: /proc/self/exe is valgrind itself, if that runs us. */
static inline void agent_exec(int socket)
{
    char number[16], *const argv[] = {"agent", "agent", number, NULL};
    char own[256];
    ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);

    own[len > 0 ? len : 0] = '\0';
    snprintf(number, sizeof(number), "%d", socket);
    fcntl(socket, F_SETFD, 0);
    execv(own, argv);
    _exit(1);
}

/* Opens, shares, allocates; all of it is gone at the end.  0: it worked. */
static inline int64_t agent_churn(int64_t times)
{
    xengntshr_handle *share = xengntshr_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    int64_t i, failed = 0;
    uint32_t refs[4];
    void *pages;
    int port;

    for (i = 0; i < times || !times; i++) {
        pages = xengntshr_share_pages(share, 0, 4, refs, 1);
        port = xenevtchn_bind_unbound_port(evtchn, 0);
        failed += !pages || port < 0 || xenevtchn_notify(evtchn, port) < 0 ||
                  xenevtchn_unbind(evtchn, port) < 0 ||
                  xengntshr_unshare(share, pages, 4) < 0;
    }
    return failed + !!xengntshr_close(share) + !!xenevtchn_close(evtchn);
}

static inline void *agent_thread(void *arg)
{
    return (void *)agent_churn((int64_t)arg);
}

static inline int64_t agent_threads(int64_t threads, int64_t times)
{
    int64_t i, failed = 0;
    pthread_t ids[16];
    void *result;
    int status;
    pid_t pid;

    for (i = 0; i < threads; i++) {
        pthread_create(&ids[i], NULL, agent_thread, (void *)times);
    }
    for (i = 0; i < times; i++) {
        pid = fork();
        if (pid == 0) {
            /* Past a sanitizer, which would miss the parent's threads. */
            syscall(SYS_exit_group, agent_churn(1) == 0 ? 0 : 1);
        }
        failed += waitpid(pid, &status, 0) != pid || status;
    }
    for (i = 0; i < threads; i++) {
        pthread_join(ids[i], &result);
        failed += (int64_t)result;
    }
    return failed;
}

/* One call; what it passes is in *@passed, both ways. */
static inline int64_t agent_do(struct agent_message *m, int *socket,
                               int *passed)
{
    int given = *passed;
    pid_t pid;

    *passed = -1;
    switch (m->call) {
    case A_TAKE_FD:
        return given;
    case A_GIVE_FD:
        *passed = (int)m->a[0];
        return 0;
    case A_FORK:
        pid = fork();
        close(pid ? given : *socket);
        *socket = pid ? *socket : given;
        return pid;
    case A_EXEC:
        agent_exec(*socket);
        return -1;
    case A_CHURN:
        return agent_churn(m->a[0]);
    case A_THREADS:
        return agent_threads(m->a[0], m->a[1]);
    case A_EXIT:
        _exit((int)m->a[0]);
    default:
        return agent_events(m);
    }
}

/*
 * To be called first by main(): does not return in an agent, which ends with
 * its socket, and whatever it then still has is left to the kernel.
 */
static inline void agent_main(int argc, char **argv)
{
    static struct agent_message message;
    int socket, passed;

    if (argc != 3 || strcmp(argv[1], "agent") != 0) {
        return;
    }
    socket = atoi(argv[2]);
    fcntl(socket, F_SETFD, FD_CLOEXEC);
    /* "Here I am": after a start, and after an exec, too. */
    passed = -1;
    while (agent_send(socket, &message, passed) > 0 &&
           agent_receive(socket, &message, &passed) > 0) {
        errno = 0;
        message.ret = agent_do(&message, &socket, &passed);
        message.error = errno;
    }
    _exit(0);
}

#endif /* TEST_SIM_AGENT_H */
