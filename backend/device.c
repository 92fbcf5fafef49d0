/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connection.h"

/*
 * To wake up costs tens of us, more than to look again and again for so long.
 */
#define NEAR_NS 60000

/* Sets the bits of "3,4,128". */
static void parse_opcodes(uint8_t *bits, const char *list)
{
    while (*list) {
        char *end;
        unsigned long opcode = strtoul(list, &end, 10);

        assert(end != list && opcode < 256);
        bits[opcode / 8] |= (uint8_t)(1u << (opcode % 8));
        list = *end == ',' ? end + 1 : end;
    }
}

/* As the class, and what it has read of its item in hcl.conf, wants it. */
static void start_service(struct hcl_device *device)
{
    const struct hcl_service *service = &device->service;
    bool at_once = service->depth == 0 && service->job_ns > 0;

    parse_opcodes(device->scheduled,
                  service->opcodes ? service->opcodes : device->class->opcodes);
    hcl_sched_init(&device->sched, service);
    device->request_ns = at_once ? service->job_ns : HCL_REQUEST_NS;
    device->request_kib_ns = at_once ? service->kib_ns : HCL_REQUEST_KIB_NS;
}

int hcl_device_open(struct hcl_device **ret_device,
                    const struct hcl_class *class, const char *name,
                    const struct hcl_spec *spec, struct hcl_loop *loop,
                    void (*failed)(void *arg, const struct hcl_err *err),
                    void *arg, struct hcl_err *err)
{
    struct hcl_device *device = calloc(1, sizeof(*device));
    int rc;

    assert(class->abi == HCL_CLASS_ABI);
    if (!device) {
        return hcl_err_set(err, -ENOMEM, "no memory for the device");
    }
    device->class = class;
    device->loop = loop;
    snprintf(device->name, sizeof(device->name), "%s", name);
    device->failed = failed;
    device->failed_arg = arg;
    device->timer_ns = HCL_SCHED_NEVER;
    device->service = class->service;
    parse_opcodes(device->opcodes, class->opcodes);
    device->state = calloc(1, class->device_bytes + 1);
    if (!device->state) {
        rc = hcl_err_set(err, -ENOMEM, "no memory for the device");
        goto out;
    }
    rc = class->open(device, spec, err);
    if (rc < 0) {
        goto out;
    }
    device->opened = true;
    start_service(device);
    *ret_device = device;
    device = NULL;
out:
    hcl_device_free(device);
    return rc;
}

void hcl_device_free(struct hcl_device *device)
{
    if (!device) {
        return;
    }
    assert(!device->unflushed);
    hcl_timer_stop(&device->timer);
    if (device->opened) {
        device->class->close(device);
    }
    free(device->state);
    free(device);
}

bool hcl_device_serves(const struct hcl_device *device, uint8_t opcode)
{
    return device->opcodes[opcode / 8] & (1u << (opcode % 8));
}

/* Its end is all that is wanted: what it was for is done on each pass. */
static void on_timer(void *arg)
{
    struct hcl_device *device = arg;

    device->timer_ns = HCL_SCHED_NEVER;
}

/* A timer that ends the sleep too early does no harm. */
static void wake_at(struct hcl_device *device, uint64_t due_ns)
{
    uint64_t now = hcl_now_ns();

    if (due_ns < device->timer_ns) {
        device->timer_ns = due_ns;
        hcl_timer_start(&device->timer, device->loop,
                        due_ns > now ? (due_ns - now + 999) / 1000 : 0,
                        on_timer, device);
    }
}

void hcl_device_flush(struct hcl_device *device)
{
    if (hcl_sched_waiting(&device->sched)) {
        hcl_device_dispatch(device);
        if (hcl_sched_wake_ns(&device->sched) != HCL_SCHED_NEVER) {
            wake_at(device, hcl_sched_wake_ns(&device->sched));
        }
    }
    while (device->unflushed) {
        hcl_connection_flush(device->unflushed);
    }
}

enum hcl_device_due hcl_device_poll(struct hcl_device *device)
{
    uint64_t now, due;

    if (!device->class->poll) {
        return HCL_DUE_NEVER;
    }
    now = hcl_now_ns();
    due = device->class->poll(device, now);
    hcl_sched_not_before(&device->sched,
                         due > now && due != HCL_POLL_NEVER ? due : now);
    if (device->unflushed) {
        hcl_device_flush(device);
        return HCL_DUE_NOW; /* the class may have got new jobs */
    }
    if (due == HCL_POLL_NEVER) {
        return HCL_DUE_NEVER;
    }
    if (due <= now + NEAR_NS) {
        return HCL_DUE_NOW;
    }
    wake_at(device, due - NEAR_NS);
    return HCL_DUE_LATER;
}

struct hcl_service *hcl_device_service(struct hcl_device *device)
{
    return &device->service;
}

void *hcl_device_state(struct hcl_device *device)
{
    return device->state;
}

const char *hcl_device_name(const struct hcl_device *device)
{
    return device->name;
}

struct hcl_loop *hcl_device_loop(struct hcl_device *device)
{
    return device->loop;
}

void hcl_device_failed(struct hcl_device *device, const struct hcl_err *err)
{
    device->failed(device->failed_arg, err);
}
