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
#include "scheduler.h"

struct hcl_connection;

struct hcl_device {
    const struct hcl_class *class;
    struct hcl_loop *loop; /* the worker's */
    char name[32];
    void *state; /* device_bytes of the class; owned */
    bool opened;
    uint8_t opcodes[256 / 8];   /* bit set: the class serves it */
    struct hcl_service service; /* as open has left it */
    uint8_t scheduled[256 / 8]; /* bit set: occupies the device */
    struct hcl_sched sched;
    uint64_t request_ns; /* see HCL_REQUEST_NS */
    uint64_t request_kib_ns;
    struct hcl_timer timer;
    uint64_t timer_ns; /* when it is due, or HCL_SCHED_NEVER */
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

/* Whether jobs of @opcode occupy the device. */
static inline bool hcl_device_schedules(const struct hcl_device *device,
                                        uint8_t opcode)
{
    return device->scheduled[opcode / 8] & (1u << (opcode % 8));
}

/*
 * At the end of each burst of work: gives the class the jobs whose turn it is,
 * and rings the doorbell of each connection that has new completions and whose
 * guest sleeps.  A timer of the loop ends its sleep when that has to be done
 * again, though nothing else happens.
 */
void hcl_device_flush(struct hcl_device *device);

/*
 * Before the loop sleeps: looks at hardware that sends no events, if the class
 * has such, with hcl_device_flush for what it has completed.
 */
enum hcl_device_due {
    HCL_DUE_NEVER, /* nothing is with the hardware */
    HCL_DUE_LATER, /* a timer of the loop ends the sleep in time */
    HCL_DUE_NOW,   /* do not sleep: call again at once */
};

enum hcl_device_due hcl_device_poll(struct hcl_device *device);

/* job.c: gives the class the jobs whose turn it is. */
void hcl_device_dispatch(struct hcl_device *device);

#endif /* HCL_DEVICE_H */
