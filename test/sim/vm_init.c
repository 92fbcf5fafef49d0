/* SPDX-License-Identifier: MIT */
/*
 * The init of a simulated guest; see vm.h.  It is process 1 of its namespace,
 * and an orphan's new parent.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "namespace.h"
#include "vm.h"
#include "vm_wire.h"

#define MAX_PROGRAMS 64

struct init {
    int host;     /* socket to the host */
    int listener; /* exec socket */
    int children; /* signalfd */
    bool frozen;
    struct {
        int fd;    /* to who asked for it; -1: none */
        pid_t pid; /* 0: it has not said yet what to run */
    } programs[MAX_PROGRAMS];
};

/* ---- Freezing ---------------------------------------------------------- */

/* The state letter of a process, or 0. */
static char state_of(const char *pid)
{
    char path[300], line[512], *end;
    FILE *in;
    char state = 0;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    in = fopen(path, "re");
    if (in) {
        if (fgets(line, sizeof(line), in)) {
            end = strrchr(line, ')');
            if (end && end[1]) {
                state = end[2];
            }
        }
        fclose(in);
    }
    return state;
}

static bool all_stopped(void)
{
    DIR *procs = opendir("/proc");
    const struct dirent *entry;
    bool stopped = true;

    if (!procs) {
        return true;
    }
    /* cppcheck-suppress readdirCalled ; a stream of one thread */
    while (stopped && (entry = readdir(procs)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            strcmp(entry->d_name, "1") != 0) {
            char state = state_of(entry->d_name);

            stopped = !state || strchr("TtZX", state);
        }
    }
    closedir(procs);
    return stopped;
}

static void freeze(struct init *init)
{
    init->frozen = true;
    do {
        /* Again, for one that was forked meanwhile. */
        if (kill(-1, SIGSTOP) < 0) {
            break; /* there is none */
        }
        /* No event tells of a stop of others' children. */
        usleep(500);
    } while (!all_stopped());
}

static void thaw(struct init *init)
{
    init->frozen = false;
    (void)kill(-1, SIGCONT);
}

static void on_host(struct init *init)
{
    char letter;

    if (recv(init->host, &letter, 1, 0) != 1) {
        _exit(0); /* the host has ended */
    }
    if (letter == 'f') {
        freeze(init);
    } else if (letter == 't') {
        thaw(init);
    }
    (void)send(init->host, &letter, 1, MSG_NOSIGNAL);
}

/* ---- Programs ---------------------------------------------------------- */

/* The next of @n strings between *@at and @end; NULL if there are fewer. */
static char **take(char **at, const char *end, uint32_t n)
{
    char **strings = calloc(n + 1ul, sizeof(*strings));
    uint32_t i;

    for (i = 0; strings && i < n; i++) {
        size_t bytes = strnlen(*at, (size_t)(end - *at)) + 1;

        if (bytes > (size_t)(end - *at)) {
            return NULL; /* the caller ends the process */
        }
        strings[i] = *at;
        *at += bytes;
    }
    return strings;
}

static void become(char *request, size_t bytes, const int *streams)
{
    struct sim_vm_request head;
    char *at = request + sizeof(head);
    char **folder, **argv, **envp;
    sigset_t none;
    int i;

    memcpy(&head, request, sizeof(head));
    if (head.argc > bytes || head.envc > bytes) {
        _exit(126);
    }
    folder = take(&at, request + bytes, 1);
    argv = folder ? take(&at, request + bytes, head.argc) : NULL;
    envp = argv ? take(&at, request + bytes, head.envc) : NULL;
    if (!envp || !argv[0]) {
        _exit(126);
    }
    setsid();
    for (i = 0; i < 3; i++) {
        if (dup2(streams[i], i) < 0) {
            _exit(126);
        }
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(folder[0]) < 0 && chdir("/") < 0) {
        _exit(126);
    }
    environ = envp;
    execvp(argv[0], argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Receives what to run, with its three streams; 0 if it is none. */
static size_t receive(int fd, char *request, int *streams)
{
    union {
        char space[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {request, SIM_VM_REQUEST};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    if (got < (ssize_t)sizeof(struct sim_vm_request) || !header ||
        header->cmsg_len != CMSG_LEN(3 * sizeof(int))) {
        return 0;
    }
    memcpy(streams, CMSG_DATA(header), 3 * sizeof(int));
    return (size_t)got;
}

static void forget(struct init *init, int i)
{
    close(init->programs[i].fd);
    init->programs[i].fd = -1;
    init->programs[i].pid = 0;
}

static void start(struct init *init, int i)
{
    static char request[SIM_VM_REQUEST];
    int streams[3], k;
    size_t bytes = receive(init->programs[i].fd, request, streams);
    pid_t pid;

    if (bytes == 0) {
        forget(init, i);
        return;
    }
    pid = fork();
    if (pid == 0) {
        become(request, bytes, streams);
    }
    for (k = 0; k < 3; k++) {
        close(streams[k]);
    }
    if (pid < 0) {
        forget(init, i);
        return;
    }
    init->programs[i].pid = pid;
}

static void on_program(struct init *init, int i)
{
    char byte;

    if (init->programs[i].pid == 0) {
        start(init, i);
    } else if (recv(init->programs[i].fd, &byte, 1, MSG_DONTWAIT) == 0) {
        /* Who asked for it has gone. */
        kill(-init->programs[i].pid, SIGTERM);
        forget(init, i);
    }
}

static void on_listener(struct init *init)
{
    int fd = accept4(init->listener, NULL, NULL, SOCK_CLOEXEC), i;

    for (i = 0; fd >= 0 && i < MAX_PROGRAMS; i++) {
        if (init->programs[i].fd < 0) {
            init->programs[i].fd = fd;
            init->programs[i].pid = 0;
            return;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void on_children(struct init *init)
{
    struct signalfd_siginfo info;
    int status, i;
    pid_t pid;

    while (read(init->children, &info, sizeof(info)) > 0) {
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (i = 0; i < MAX_PROGRAMS; i++) {
            if (init->programs[i].fd >= 0 && init->programs[i].pid == pid) {
                uint32_t word = (uint32_t)status;

                (void)send(init->programs[i].fd, &word, sizeof(word),
                           MSG_NOSIGNAL);
                forget(init, i);
            }
        }
    }
}

/* ---- The loop ---------------------------------------------------------- */

static int wait_for_work(struct init *init, struct pollfd *fds)
{
    int i;

    fds[0] = (struct pollfd){init->host, POLLIN, 0};
    fds[1] = (struct pollfd){init->children, POLLIN, 0};
    /* While it is frozen nobody is listened to. */
    fds[2] = (struct pollfd){init->frozen ? -1 : init->listener, POLLIN, 0};
    for (i = 0; i < MAX_PROGRAMS; i++) {
        fds[3 + i] = (struct pollfd){init->frozen ? -1 : init->programs[i].fd,
                                     POLLIN, 0};
    }
    return poll(fds, 3 + MAX_PROGRAMS, -1);
}

static void serve(struct init *init)
{
    struct pollfd fds[3 + MAX_PROGRAMS];
    int i;

    for (;;) {
        if (wait_for_work(init, fds) < 0) {
            continue;
        }
        if (fds[1].revents) {
            on_children(init);
        }
        for (i = 0; i < MAX_PROGRAMS; i++) {
            if (fds[3 + i].revents && init->programs[i].fd == fds[3 + i].fd) {
                on_program(init, i);
            }
        }
        if (fds[2].revents) {
            on_listener(init);
        }
        if (fds[0].revents) {
            on_host(init);
        }
    }
}

static int listen_at(const char *dir, const char *key)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/exec", dir,
             key);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, MAX_PROGRAMS) < 0) {
        return -1;
    }
    return fd;
}

void sim_vm_init(int fd, const char *dir, const char *key)
{
    struct init init = {.host = fd, .frozen = true};
    struct hcl_err err;
    sigset_t signals;
    int i;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sim_namespace_guest(dir, &err) < 0) {
        fprintf(stderr, "hcl-sim: %s\n", err.text);
        _exit(1);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    init.children = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    init.listener = listen_at(dir, key);
    for (i = 0; i < MAX_PROGRAMS; i++) {
        init.programs[i].fd = -1;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (init.children < 0 || init.listener < 0 ||
        send(fd, "r", 1, MSG_NOSIGNAL) != 1) {
        fprintf(stderr, "hcl-sim: a guest cannot start: %s\n", strerror(errno));
        _exit(1);
    }
    serve(&init);
    _exit(0);
}
