/* SPDX-License-Identifier: MIT */
/*
 * inguest.c - the lab's process 1 in a guest.
 *
 * Runs the commands that dom0 sends over the console (frame.h), several at a
 * time, and sends their output and exit status back. Shows the kernel's
 * messages too: the kernel itself would write them into the middle of frames.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "frame.h"

#define JOBS 64
#define ARGUMENTS 512

struct job {
    int used;
    uint32_t id;
    pid_t pid; /* 0: ended; what it left running may still write */
    int fd[2]; /* its standard output and error, -1 at their end */
};

static struct job jobs[JOBS];
static int console;

/* A frame is one write, which the tty does not mix with others'. */
static void send_frame(char type, uint32_t id, const void *data, size_t len)
{
    char out[FRAME_BYTES(FRAME_DATA)];
    size_t used = frame_encode(out, type, id, data, len);
    size_t done = 0;

    while (done < used) {
        ssize_t now = write(console, out + done, used - done);

        if (now < 0 && errno != EINTR) {
            return;
        }
        done += now > 0 ? (size_t)now : 0;
    }
}

static void send_here(void)
{
    uint32_t ids[JOBS];
    size_t used = 0;

    for (int i = 0; i < JOBS; i++) {
        if (jobs[i].used && jobs[i].pid) {
            ids[used++] = jobs[i].id;
        }
    }
    send_frame(FRAME_HERE, 0, ids, used * sizeof(ids[0]));
}

static void send_exit(uint32_t id, int status)
{
    unsigned char byte = (unsigned char)status;

    send_frame(FRAME_EXIT, id, &byte, 1);
}

/* The child: a session of its own, so that all of it can be killed at once. */
static void become(char *data, size_t len, int out, int err)
{
    char *argv[ARGUMENTS + 1] = {NULL};
    sigset_t none;
    int argc = 0;

    for (size_t at = 0; at < len && argc < ARGUMENTS;
         at += strlen(data + at) + 1) {
        argv[argc++] = data + at;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out, 1);
    dup2(err, 2);
    if (argc > 0) {
        execvp(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    }
    _exit(errno == ENOENT ? 127 : 126);
}

static void run(uint32_t id, const char *data, size_t len)
{
    static char copy[FRAME_MAX + 1];
    struct job *job = jobs;
    int out[2];
    int err[2];

    while (job < jobs + JOBS && job->used) {
        job++;
    }
    if (job == jobs + JOBS || pipe2(out, O_CLOEXEC) < 0) {
        send_exit(id, 126);
        return;
    }
    if (pipe2(err, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        send_exit(id, 126);
        return;
    }
    memcpy(copy, data, len);
    copy[len] = '\0';
    job->pid = fork();
    if (job->pid == 0) {
        become(copy, len, out[1], err[1]);
    }
    close(out[1]);
    close(err[1]);
    job->used = 1;
    job->id = id;
    job->fd[0] = out[0];
    job->fd[1] = err[0];
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    if (job->pid < 0) {
        job->pid = 0;
        send_exit(id, 126);
    }
}

/* Forwards what one read gives. Returns 0 if there is no more for now. */
static int forward(struct job *job, int which)
{
    char type = which == 0 ? FRAME_OUT : FRAME_ERR;
    char data[FRAME_DATA];
    ssize_t len = read(job->fd[which], data, sizeof(data));

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (len <= 0) {
        close(job->fd[which]);
        job->fd[which] = -1;
        job->used = job->pid || job->fd[0] >= 0 || job->fd[1] >= 0;
        return 0;
    }
    /* Who has ended cannot be written to: the console's log shows the rest. */
    if (!job->pid) {
        type = FRAME_TEXT;
    }
    send_frame(type, job->id, data, (size_t)len);
    return 1;
}

static void ended(struct job *job, int status)
{
    for (int which = 0; which < 2; which++) {
        /* As much as a pipe holds: a child left behind may write for ever. */
        for (int i = 0; i < 65536 / FRAME_DATA && job->fd[which] >= 0 &&
                        forward(job, which);
             i++) {
        }
    }
    send_exit(job->id, WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                           : WEXITSTATUS(status));
    job->pid = 0;
    job->used = job->fd[0] >= 0 || job->fd[1] >= 0;
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < JOBS; i++) {
            if (jobs[i].used && jobs[i].pid == pid) {
                ended(&jobs[i], status);
            }
        }
    }
}

/* Signals other than SIGCHLD are busybox's way to tell its own process 1. */
static void read_signal(int fd)
{
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof(info)) != sizeof(info)) {
        return;
    }
    switch (info.ssi_signo) {
    case SIGCHLD:
        reap();
        break;
    case SIGTERM:
        reboot(RB_AUTOBOOT);
        break;
    case SIGUSR1:
        reboot(RB_HALT_SYSTEM);
        break;
    case SIGUSR2:
        reboot(RB_POWER_OFF);
        break;
    }
}

static void read_console(void)
{
    static struct frame frame;
    unsigned char in[1024];
    ssize_t len = read(console, in, sizeof(in));

    for (ssize_t i = 0; i < len; i++) {
        switch (frame_take(&frame, in[i])) {
        case FRAME_PLAIN:
            if (in[i] == FRAME_ASK) {
                send_here();
            }
            break;
        case FRAME_READY:
            if (frame_type(&frame) == FRAME_RUN) {
                run(frame_id(&frame), frame_data(&frame), frame_len(&frame));
            }
            for (int j = 0; j < JOBS && frame_type(&frame) == FRAME_TERM; j++) {
                if (jobs[j].used && jobs[j].id == frame_id(&frame) &&
                    jobs[j].pid) {
                    kill(-jobs[j].pid, SIGTERM);
                }
            }
            break;
        case FRAME_MORE:
            break;
        }
    }
}

/* A record is "level,sequence,time,flags;text\n" and more lines of data. */
static void read_kernel_log(int fd)
{
    char record[2048];
    ssize_t len = read(fd, record, sizeof(record) - 1);
    char *text;
    char *end;

    if (len <= 0) {
        return;
    }
    record[len] = '\0';
    text = strchr(record, ';');
    end = text ? strchr(text, '\n') : NULL;
    /* Warnings and worse, as a console with "quiet" and some patience. */
    if (end && (atoi(record) & 7) <= 4) {
        len = end - text;
        send_frame(FRAME_TEXT, 0, text + 1,
                   len < FRAME_DATA ? (size_t)len : FRAME_DATA);
    }
}

static int open_console(void)
{
    struct termios raw;

    console = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (console < 0 || tcgetattr(console, &raw) < 0) {
        return -1;
    }
    cfmakeraw(&raw);
    return tcsetattr(console, TCSADRAIN, &raw);
}

int main(void)
{
    struct pollfd wait[3 + 2 * JOBS];
    sigset_t handled;
    int kernel_log;
    int signals;

    if (open_console() < 0) {
        perror("inguest: /dev/console");
        return 1;
    }
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGUSR1);
    sigaddset(&handled, SIGUSR2);
    sigprocmask(SIG_BLOCK, &handled, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    lseek(kernel_log, 0, SEEK_END);
    klogctl(8, NULL, 1);
    send_here();
    for (;;) {
        wait[0] = (struct pollfd){.fd = console, .events = POLLIN};
        wait[1] = (struct pollfd){.fd = signals, .events = POLLIN};
        wait[2] = (struct pollfd){.fd = kernel_log, .events = POLLIN};
        for (int i = 0; i < 2 * JOBS; i++) {
            wait[3 + i].fd = jobs[i / 2].used ? jobs[i / 2].fd[i % 2] : -1;
            wait[3 + i].events = POLLIN;
        }
        if (poll(wait, 3 + 2 * JOBS, -1) < 0) {
            continue;
        }
        for (int i = 0; i < 2 * JOBS; i++) {
            if (wait[3 + i].fd >= 0 && wait[3 + i].revents) {
                forward(&jobs[i / 2], i % 2);
            }
        }
        if (wait[0].revents) {
            read_console();
        }
        if (wait[1].revents) {
            read_signal(signals);
        }
        if (wait[2].revents) {
            read_kernel_log(kernel_log);
        }
    }
}
