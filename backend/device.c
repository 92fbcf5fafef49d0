/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connection.h"

/* Sets the bits of "3,4,128". */
static void parse_opcodes(struct hcl_device *device, const char *list)
{
    while (*list) {
        char *end;
        unsigned long opcode = strtoul(list, &end, 10);

        assert(end != list && opcode < 256);
        device->opcodes[opcode / 8] |= (uint8_t)(1u << (opcode % 8));
        list = *end == ',' ? end + 1 : end;
    }
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
    parse_opcodes(device, class->opcodes);
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

void hcl_device_flush(struct hcl_device *device)
{
    while (device->unflushed) {
        hcl_connection_flush(device->unflushed);
    }
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
