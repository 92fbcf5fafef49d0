/* SPDX-License-Identifier: MIT */
/*
 * guest.c - runs a command in a guest, from dom0.
 *
 * A client of consoles.c: sends the guest's name and the command, copies what
 * comes back to its own output, and ends with the command's exit status.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"

#define STATUS_GONE 250
#define STATUS_DOWN 251

static const char usage[] =
    "usage: guest [-t SECONDS] NAME COMMAND [ARGUMENT...]\n"
    "\n"
    "Runs a command in the guest NAME, waiting for the guest to be up for\n"
    "60 s or SECONDS. A COMMAND alone is given to the guest's shell, one with\n"
    "arguments runs as it stands. Its standard input is empty.\n"
    "The exit status is the command's, 128 and more for a signal, 250 if the\n"
    "guest went away before the command ended, 251 if it was not up in time.\n"
    "If guest is killed, the command and its children get SIGTERM.\n";

static void fail(const char *what)
{
    fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
    exit(STATUS_DOWN);
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, data, len);

        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            fail("write");
        }
        data += done;
        len -= (size_t)done;
    }
}

static int connect_consoles(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/run/lab/guest");
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fail("/run/lab/guest");
    }
    return fd;
}

static void send_request(int fd, const char *name, char **argv)
{
    static char request[FRAME_MAX / 2];
    static char encoded[FRAME_BYTES(sizeof(request))];
    static char *shell[] = {"sh", "-c", NULL, NULL};
    size_t used = 0;

    if (!argv[1]) {
        shell[2] = argv[0];
        argv = shell;
    }
    for (const char *word = name; word; word = *argv++) {
        size_t len = strlen(word) + 1;

        if (used + len > sizeof(request)) {
            errno = E2BIG;
            fail(name);
        }
        memcpy(request + used, word, len);
        used += len;
    }
    write_all(fd, encoded, frame_encode(encoded, FRAME_RUN, 0, request, used));
}

/* Copies what the guest says until the command has ended. */
static int follow(int fd, const char *name, int timeout_ms)
{
    static struct frame frame;
    unsigned char in[4096];

    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t len;

        if (poll(&wait, 1, timeout_ms) == 0) {
            fprintf(stderr, "guest: %s is not up after %d s\n", name,
                    timeout_ms / 1000);
            return STATUS_DOWN;
        }
        len = read(fd, in, sizeof(in));
        if (len <= 0) {
            fprintf(stderr, "guest: the lab's console reader is gone\n");
            return STATUS_DOWN;
        }
        for (ssize_t i = 0; i < len; i++) {
            if (frame_take(&frame, in[i]) != FRAME_READY) {
                continue;
            }
            switch (frame_type(&frame)) {
            case FRAME_SENT:
                timeout_ms = -1;
                break;
            case FRAME_OUT:
                write_all(1, frame_data(&frame), frame_len(&frame));
                break;
            case FRAME_ERR:
                write_all(2, frame_data(&frame), frame_len(&frame));
                break;
            case FRAME_EXIT:
                return (unsigned char)frame_data(&frame)[0];
            case FRAME_GONE:
                fprintf(stderr, "guest: %s went away\n", name);
                return STATUS_GONE;
            }
        }
    }
}

int main(int argc, char **argv)
{
    int timeout_s = 60;
    int opt;
    int fd;

    while ((opt = getopt(argc, argv, "+t:h")) != -1) {
        if (opt == 't') {
            timeout_s = atoi(optarg);
        } else {
            fputs(usage, opt == 'h' ? stdout : stderr);
            return opt == 'h' ? 0 : 2;
        }
    }
    if (argc - optind < 2) {
        fputs(usage, stderr);
        return 2;
    }
    fd = connect_consoles();
    send_request(fd, argv[optind], argv + optind + 1);
    return follow(fd, argv[optind], timeout_s * 1000);
}
