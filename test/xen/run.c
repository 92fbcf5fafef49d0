/* SPDX-License-Identifier: MIT */
/*
 * run.c - runs QEMU for test/xen/lab, until dom0's script has ended.
 *
 * usage: run SECONDS QEMU ARGUMENT...
 *
 * QEMU's descriptors 20, 21 and 22 are pipes for three serial ports: Xen's
 * console; dom0's output, with "\001exit STATUS" as its last line; and the
 * guests' output, which has names before its lines already. All of it goes to
 * standard output, line by line, prefixed by who said it. QEMU dies with this
 * program, and this program with its parent, however that ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAMS 3
#define FIRST_FD 20
#define STATUS_TIMEOUT 124
#define STATUS_CRASH 125

enum { XEN, DOM0, GUESTS };

struct stream {
    int fd; /* -1 once it is closed */
    size_t used;
    char line[4096];
};

static struct stream streams[STREAMS];
static int exit_status = -1;

static void write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(1, data, len);

        if (done < 0 && errno != EINTR) {
            return;
        }
        data += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
}

static void end_line(int which)
{
    struct stream *stream = &streams[which];
    const char *who = which == GUESTS ? "" : "dom0: ";
    char out[sizeof(stream->line) + 16];
    int len;

    stream->line[stream->used] = '\0';
    stream->used = 0;
    if (which == DOM0 && sscanf(stream->line, "\001exit %d", &exit_status)) {
        return;
    }
    /* The hypervisor and dom0's kernel share one console. */
    if (which == XEN && strncmp(stream->line, "(XEN)", 5) == 0) {
        who = "xen: ";
    }
    len = snprintf(out, sizeof(out), "%s%s\n", who, stream->line);
    write_all(out, (size_t)len);
}

static void read_stream(int which)
{
    struct stream *stream = &streams[which];
    char in[16384];
    ssize_t len = read(stream->fd, in, sizeof(in));

    if (len <= 0) {
        close(stream->fd);
        stream->fd = -1;
        return;
    }
    for (ssize_t i = 0; i < len; i++) {
        /* The exit status may follow a line that the script has not ended. */
        int ends = in[i] == '\n' || (in[i] == '\001' && stream->used > 0);

        if (ends || stream->used == sizeof(stream->line) - 1) {
            end_line(which);
        }
        if (in[i] != '\n' && in[i] != '\r') {
            stream->line[stream->used++] = in[i];
        }
    }
}

static pid_t start(char **argv)
{
    pid_t self = getpid();
    pid_t child;
    sigset_t none;

    for (int i = 0; i < STREAMS; i++) {
        int ends[2];

        if (pipe(ends) < 0 || dup2(ends[1], FIRST_FD + i) < 0) {
            return -1;
        }
        close(ends[1]);
        streams[i].fd = ends[0];
    }
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != self) {
            _exit(1);
        }
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int i = 0; i < STREAMS; i++) {
            close(streams[i].fd);
        }
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    for (int i = 0; i < STREAMS; i++) {
        close(FIRST_FD + i);
    }
    return child;
}

/* Returns 0 after so long a time without anything to read. */
static int turn(int signals, int timeout_ms, int *ret_signal)
{
    struct pollfd wait[STREAMS + 1];
    struct signalfd_siginfo info;
    int ready;

    for (int i = 0; i < STREAMS; i++) {
        wait[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
    }
    wait[STREAMS] = (struct pollfd){.fd = signals, .events = POLLIN};
    ready = poll(wait, STREAMS + 1, timeout_ms);
    for (int i = 0; i < STREAMS && ready > 0; i++) {
        if (wait[i].revents) {
            read_stream(i);
        }
    }
    if (ready > 0 && signals >= 0 && wait[STREAMS].revents &&
        read(signals, &info, sizeof(info)) == sizeof(info)) {
        *ret_signal = (int)info.ssi_signo;
    }
    return ready;
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns the status to exit with. */
static int follow(int signals, long timeout_s)
{
    long end = now_ms() + timeout_s * 1000;
    int signo = 0;

    while (exit_status < 0) {
        long left = end - now_ms();

        if (left <= 0) {
            fprintf(stderr, "lab: not finished after %ld s\n", timeout_s);
            return STATUS_TIMEOUT;
        }
        turn(signals, left > 60000 ? 60000 : (int)left, &signo);
        if (signo == SIGCHLD) {
            while (turn(-1, 100, &signo) > 0 && streams[XEN].fd >= 0) {
            }
            if (exit_status < 0) {
                fprintf(stderr, "lab: dom0 crashed or QEMU ended "
                                "before the script did\n");
                return STATUS_CRASH;
            }
        } else if (signo) {
            return 128 + signo;
        }
    }
    /* The last lines of the others may still be on their way. */
    end = now_ms() + 500;
    while (turn(-1, 50, &signo) > 0 && now_ms() < end) {
    }
    return exit_status;
}

int main(int argc, char **argv)
{
    sigset_t set;
    int signals;
    int status;
    pid_t child;

    if (argc < 3) {
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    child = start(argv + 2);
    if (child < 0) {
        perror("run");
        return STATUS_CRASH;
    }
    status = follow(signals, atol(argv[1]));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; i < STREAMS; i++) {
        if (streams[i].used > 0) {
            end_line(i);
        }
    }
    return status;
}
