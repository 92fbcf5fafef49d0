/* SPDX-License-Identifier: MIT */
/* The ioctls of /dev/xen/gntalloc and /dev/xen/gntdev in a program. */
#include "device.h"

#include <errno.h>
#include <xen/xen.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

static int ask(const struct wire_request *request, struct wire_answer *answer)
{
    return device_ask(request, NULL, answer, NULL, 0, NULL);
}

/* SET_UNMAP_NOTIFY of both. */
static int notice(struct device *device, uint64_t index, uint32_t action,
                  uint32_t port)
{
    struct wire_request request = {.op = WIRE_NOTICE,
                                   .inode = device->inode,
                                   .index = index,
                                   .flags = action};
    struct wire_answer answer;

    /* libxengnttab leaves it unset else. */
    if (action & UNMAP_NOTIFY_SEND_EVENT) {
        request.port = port;
    }
    return ask(&request, &answer);
}

/* ---- gntalloc ---------------------------------------------------------- */

static int dealloc(struct device *device, uint64_t index, uint32_t count)
{
    struct wire_request request = {.op = WIRE_DEALLOC,
                                   .inode = device->inode,
                                   .index = index,
                                   .count = count};
    struct wire_answer answer;

    return ask(&request, &answer);
}

static int alloc(struct device *device, struct ioctl_gntalloc_alloc_gref *arg)
{
    struct wire_request request = {.op = WIRE_ALLOC,
                                   .inode = device->inode,
                                   .domid = arg->domid,
                                   .flags = arg->flags,
                                   .count = arg->count};
    struct wire_answer answer;
    int ret = ask(&request, &answer);

    if (ret < 0) {
        return ret;
    }
    request.op = WIRE_REFS;
    request.index = answer.index;
    while (request.first < request.count) {
        ret = device_ask(&request, NULL, &answer, arg->gref_ids + request.first,
                         (request.count - request.first) * sizeof(uint32_t),
                         NULL);
        if (ret < 0) {
            (void)dealloc(device, request.index, request.count);
            return ret;
        }
        request.first += answer.num;
    }
    arg->index = request.index;
    return 0;
}

int device_gntalloc_ioctl(struct device *device, unsigned long command,
                          void *arg)
{
    const struct ioctl_gntalloc_dealloc_gref *gone = arg;
    const struct ioctl_gntalloc_unmap_notify *notify = arg;

    switch (command) {
    case IOCTL_GNTALLOC_ALLOC_GREF:
        return alloc(device, arg);
    case IOCTL_GNTALLOC_DEALLOC_GREF:
        return dealloc(device, gone->index, gone->count);
    case IOCTL_GNTALLOC_SET_UNMAP_NOTIFY:
        return notice(device, notify->index, notify->action,
                      notify->event_channel_port);
    default:
        return -ENOTTY;
    }
}

/* ---- gntdev ------------------------------------------------------------ */

/* The host takes it in parts, each as large as a message can be. */
static int map_refs(struct device *device,
                    struct ioctl_gntdev_map_grant_ref *arg)
{
    struct wire_request request = {
        .op = WIRE_REGISTER, .inode = device->inode, .count = arg->count};
    /* The same two words. */
    const struct wire_ref *refs = (const struct wire_ref *)arg->refs;
    struct wire_answer answer;
    int ret = 0;

    if (arg->count == 0) {
        return -EINVAL;
    }
    device_lock(&device->lock);
    for (; ret == 0 && request.first < request.count;
         request.first += request.num_refs) {
        request.num_refs = request.count - request.first;
        if (request.num_refs > WIRE_MAX_REFS) {
            request.num_refs = WIRE_MAX_REFS;
        }
        ret =
            device_ask(&request, refs + request.first, &answer, NULL, 0, NULL);
    }
    device_unlock(&device->lock);
    if (ret == 0) {
        arg->index = answer.index;
    }
    return ret;
}

static int unmap_refs(struct device *device,
                      const struct ioctl_gntdev_unmap_grant_ref *arg)
{
    struct wire_request request = {.op = WIRE_UNREGISTER,
                                   .inode = device->inode,
                                   .index = arg->index,
                                   .count = arg->count};
    struct wire_answer answer;

    return ask(&request, &answer);
}

int device_gntdev_ioctl(struct device *device, unsigned long command, void *arg)
{
    const struct ioctl_gntdev_unmap_notify *notify = arg;
    struct ioctl_gntdev_get_offset_for_vaddr *where = arg;

    switch (command) {
    case IOCTL_GNTDEV_MAP_GRANT_REF:
        return map_refs(device, arg);
    case IOCTL_GNTDEV_UNMAP_GRANT_REF:
        return unmap_refs(device, arg);
    case IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR:
        return device_memory_find(where->vaddr, &where->offset, &where->count);
    case IOCTL_GNTDEV_SET_UNMAP_NOTIFY:
        return notice(device, notify->index, notify->action,
                      notify->event_channel_port);
    default:
        /* Grant copy and dmabuf are options of Linux, too. */
        return -ENOTTY;
    }
}
