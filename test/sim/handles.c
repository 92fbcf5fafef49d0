/* SPDX-License-Identifier: MIT */
/* Open devices: the descriptors that programs have for them. */
#include "hypervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* ---- The pipe ---------------------------------------------------------- */

/*
 * A pipe that is opened twice, both for reading and writing: ours and the
 * program's.  Neither notices the other, but inotify tells when the program's
 * is closed: the program's alone, since what we give away of ours are copies.
 */
static int pipe_open(struct sim_handle *handle, int flags, int *ret_fd)
{
    char path[32];
    struct stat st;
    int ends[2], ret = 0;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    handle->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    *ret_fd = open(path, O_RDWR | O_CLOEXEC | (flags & O_NONBLOCK));
    if (handle->fd < 0 || *ret_fd < 0) {
        ret = -errno;
    }
    close(ends[0]);
    close(ends[1]);
    if (ret < 0) {
        return ret;
    }
    if (fstat(handle->fd, &st) < 0) {
        return -errno;
    }
    handle->inode = st.st_ino;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", handle->fd);
    handle->watch =
        inotify_add_watch(handle->hypervisor->inotify_fd, path, IN_CLOSE_WRITE);
    return handle->watch < 0 ? -errno : 0;
}

/* ---- A handle ---------------------------------------------------------- */

static int device_open(struct sim_handle *handle)
{
    struct sim_kernel *kernel = handle->machine->hypervisor;

    switch (handle->device) {
    case WIRE_GNTALLOC:
        return sim_gntalloc_new(&handle->gntalloc, &kernel->shared);
    case WIRE_GNTDEV:
        return sim_gntdev_new(&handle->gntdev, &kernel->shared);
    case WIRE_EVTCHN:
        return sim_evtchn_new(&handle->evtchn, handle->hypervisor->table,
                              handle->fd, kernel->slot);
    default:
        return -ENODEV;
    }
}

int sim_handle_open(struct sim_hypervisor *hypervisor,
                    struct sim_machine *machine, enum wire_device device,
                    int flags, struct sim_handle **ret_handle, int *ret_fd)
{
    struct sim_handle *handle = calloc(1, sizeof(*handle));
    int ret;

    if (!handle) {
        return -ENOMEM;
    }
    handle->hypervisor = hypervisor;
    handle->machine = machine;
    handle->device = device;
    handle->fd = -1;
    handle->watch = -1;
    handle->next = hypervisor->handles;
    hypervisor->handles = handle;
    *ret_fd = -1;
    ret = pipe_open(handle, flags, ret_fd);
    if (ret == 0) {
        ret = device_open(handle);
    }
    if (ret < 0) {
        if (*ret_fd >= 0) {
            close(*ret_fd);
            *ret_fd = -1;
        }
        sim_handle_free(handle);
        return ret;
    }
    *ret_handle = handle;
    return 0;
}

static void bug(void *arg, uint32_t number)
{
    struct sim_handle *handle = arg;

    sim_machine_log(handle->hypervisor->host, handle->machine,
                    "BUG: evtchn: device with stale port %u closed "
                    "(drivers/xen/evtchn.c)",
                    number);
}

void sim_handle_free(struct sim_handle *handle)
{
    struct sim_handle **at = &handle->hypervisor->handles;
    struct sim_kernel *kernel = handle->machine->hypervisor;

    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    if (handle->watch >= 0) {
        inotify_rm_watch(handle->hypervisor->inotify_fd, handle->watch);
    }
    sim_gntalloc_free(handle->gntalloc);
    sim_gntdev_free(handle->gntdev);
    sim_evtchn_free(handle->evtchn,
                    sim_shared_quiet(&kernel->shared) ? NULL : bug, handle);
    if (handle->fd >= 0) {
        close(handle->fd);
    }
    free(handle->refs);
    free(handle);
}

struct sim_handle *sim_handle_find(struct sim_hypervisor *hypervisor,
                                   uint64_t inode)
{
    struct sim_handle *handle = hypervisor->handles;

    while (handle && handle->inode != inode) {
        handle = handle->next;
    }
    return handle;
}

static void closed(struct sim_hypervisor *hypervisor, int watch)
{
    struct sim_handle *handle = hypervisor->handles;

    while (handle && handle->watch != watch) {
        handle = handle->next;
    }
    if (handle) {
        sim_handle_free(handle);
    }
}

void sim_handles_settle(struct sim_hypervisor *hypervisor)
{
    char buffer[4096] __attribute__((aligned(8)));
    const struct inotify_event *event;
    ssize_t got, at;

    while ((got = read(hypervisor->inotify_fd, buffer, sizeof(buffer))) > 0) {
        for (at = 0; at < got; at += (ssize_t)(sizeof(*event) + event->len)) {
            event = (const struct inotify_event *)(buffer + at);
            if (event->mask & IN_CLOSE_WRITE) {
                closed(hypervisor, event->wd);
            }
        }
    }
}
