/* SPDX-License-Identifier: MIT */
/*
 * device.h: the worker's device: one instance of a class, and what all its
 * connections share.  One thread.
 */
#ifndef HCL_DEVICE_H
#define HCL_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "class.h"

struct hcl_connection;

struct hcl_device {
    const struct hcl_class *class;
    struct hcl_loop *loop; /* the worker's */
    char name[32];
    void *state; /* device_bytes of the class; owned */
    bool opened;
    uint8_t opcodes[256 / 8]; /* bit set: the class serves it */
    void (*failed)(void *arg, const struct hcl_err *err);
    void *failed_arg;
    struct hcl_connection *unflushed; /* completions since the last flush */
};

/*
 * Opens device @name of @class as @spec says.  @failed(@arg, err) is called
 * when the class finds the hardware gone, from within the class: it must not
 * free anything here.  Errors are those of the class: -EINVAL is a mistake in
 * hcl.conf.  -ENOMEM.
 */
__attribute__((warn_unused_result)) int
hcl_device_open(struct hcl_device **ret_device, const struct hcl_class *class,
                const char *name, const struct hcl_spec *spec,
                struct hcl_loop *loop,
                void (*failed)(void *arg, const struct hcl_err *err), void *arg,
                struct hcl_err *err);

/* All connections must have been freed before.  Takes NULL. */
void hcl_device_free(struct hcl_device *device);

/* Whether the class serves @opcode. */
bool hcl_device_serves(const struct hcl_device *device, uint8_t opcode);

/*
 * At the end of each burst of work: rings the doorbell of each connection that
 * has new completions and whose guest sleeps.
 */
void hcl_device_flush(struct hcl_device *device);

#endif /* HCL_DEVICE_H */
