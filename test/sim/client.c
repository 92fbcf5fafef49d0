/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "control_wire.h"

static int connect_to_host(struct hcl_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *dir = getenv(SIM_ENV_DIR);
    int ret, fd;

    if (!dir) {
        return hcl_err_set(err, -ENOTCONN,
                           "there is no simulated host here; begin with: "
                           "hcl-sim run -- COMMAND");
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", dir);
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        ret = hcl_err_sys(err, -errno, "cannot reach the simulated host at %s",
                          address.sun_path);
        if (fd >= 0) {
            close(fd);
        }
        return ret;
    }
    return fd;
}

/* All packets until the host closes; NULL: no memory. */
static char *receive_all(int fd)
{
    char *text = malloc(1), *grown;
    size_t bytes = 0;
    ssize_t got = 1;

    while (text && got > 0) {
        grown = realloc(text, bytes + SIM_CONTROL_PACKET + 1);
        if (!grown) {
            free(text);
            return NULL;
        }
        text = grown;
        got = recv(fd, text + bytes, SIM_CONTROL_PACKET, 0);
        if (got > 0) {
            bytes += (size_t)got;
        } else if (got < 0 && errno == EINTR) {
            got = 1;
        }
    }
    if (text) {
        text[bytes] = '\0';
    }
    return text;
}

/* Reads "error ERRNO TEXT". */
static int refused(const char *text, struct hcl_err *err)
{
    char *end = NULL;
    long code = 0;

    if (!strncmp(text, "error ", 6)) {
        code = strtol(text + 6, &end, 10);
    }
    if (code <= 0) {
        return hcl_err_set(err, -EIO, "the simulated host has ended");
    }
    return hcl_err_set(err, (int)-code, "%.*s", (int)strcspn(end + 1, "\n"),
                       end + 1);
}

int sim_control_ask(char **ret_answer, struct hcl_err *err, const char *fmt,
                    ...)
{
    char line[1024], *text;
    va_list args;
    int len, ret, fd = connect_to_host(err);

    if (fd < 0) {
        return fd;
    }
    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len < 0 || len >= (int)sizeof(line) ||
        send(fd, line, (size_t)len, MSG_NOSIGNAL) < 0) {
        close(fd);
        return hcl_err_set(err, -EMSGSIZE, "cannot ask the simulated host");
    }
    text = receive_all(fd);
    close(fd);
    if (!text) {
        return hcl_err_sys(err, -ENOMEM, "the simulated host's answer");
    }
    ret = strncmp(text, "ok", 2) != 0 ? refused(text, err) : 0;
    if (ret == 0 && ret_answer) {
        memmove(text, text + 3, strlen(text + 2));
        *ret_answer = text;
        return 0;
    }
    free(text);
    return ret;
}
