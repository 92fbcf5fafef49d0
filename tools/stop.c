/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int held_fd = -1;
static sigset_t old_mask;

int hcl_stop_hold(struct hcl_err *err)
{
    sigset_t held;
    int fd;

    if (held_fd >= 0) {
        return 0;
    }
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    fd = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "signalfd");
    }
    if (sigprocmask(SIG_BLOCK, &held, &old_mask) < 0) {
        close(fd);
        return hcl_err_sys(err, -errno, "cannot hold back signals");
    }
    held_fd = fd;
    return 0;
}

/* It is never read: the signal stays there for all who ask. */
bool hcl_stop_wanted(void)
{
    struct pollfd pollfd = {.fd = held_fd, .events = POLLIN};

    return held_fd >= 0 && poll(&pollfd, 1, 0) > 0;
}

int hcl_stop_fd(void)
{
    return held_fd;
}

const sigset_t *hcl_stop_old_mask(void)
{
    return held_fd >= 0 ? &old_mask : NULL;
}
