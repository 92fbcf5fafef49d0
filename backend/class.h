/* SPDX-License-Identifier: MIT */
/*
 * class.h: the contract between a worker and the code that knows one kind of
 * device.  A class is one file in backend/class/ and one line in
 * backend/class_table.c.  It never sees rings, xenstore, grants or domains: it
 * gets jobs and completes them.
 *
 * One thread: the worker's loop calls everything here, and a class calls
 * everything here from within such a call or from a callback of that loop.
 * Nothing may block; a hardware call that can hang runs in a helper process
 * (backend/helper.h).
 */
#ifndef HCL_CLASS_H
#define HCL_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "hclif.h"
#include "loop.h"
#include "spec.h"

/* Changes whenever a field or the meaning of one changes. */
#define HCL_CLASS_ABI 2

struct hcl_device; /* the worker's device */
struct hcl_handle; /* one open use of it by a guest's program */

/*
 * One request, checked: handle open, lengths within the pool and the slot.
 * Owned by the worker; valid from submit to its completion.
 */
struct hcl_job {
    struct hcl_handle *handle;
    uint8_t opcode;    /* HCLIF_OP_READ, _WRITE, _EXCHANGE, or of the class */
    uint64_t argument; /* unchecked */
    /*
     * The payload: a private copy, or, with HCL_CLASS_MOVES_BYTES, perhaps the
     * pool itself, where the guest can change it at any moment: then it may be
     * passed on, once, and never looked at.  Not NULL even if tx_bytes is 0.
     */
    const void *tx;
    uint32_t tx_bytes;
    /*
     * Room for the answer, write-only.  A private buffer, or, with
     * HCL_CLASS_MOVES_BYTES, perhaps the pool: never read it back.
     */
    void *rx;
    uint32_t rx_bytes;
    void *state; /* job_bytes of the class, zeroed at submit */
};

/* ---- What a class provides --------------------------------------------- */

/* The class only moves payloads; it may get views of the pool. */
#define HCL_CLASS_MOVES_BYTES 0x1u

/*
 * How the device works: by this the worker shares it among its guests
 * (backend/scheduler.h).  All 0: every job goes to the class at once.
 */
struct hcl_service {
    /*
     * Jobs that the class gets at a time; the others wait in the worker, and
     * the guests have their turns.  0: no limit, for jobs that complete within
     * submit.  A device that works at one after the other, and is told so by
     * us, needs 2 to have no pause in between.
     */
    uint32_t depth;
    uint32_t units; /* at how many of them it works at a time, 0 is 1 */
    /*
     * What occupies the device; NULL: all opcodes.  Jobs of the others go to
     * the class at once, whatever their number: those that wait for data from
     * outside must not keep anybody from the device.
     */
    const char *opcodes; /* comma-separated */
    /* What a job takes, more or less: job_ns + KiB moved * kib_ns. */
    uint64_t job_ns;
    uint64_t kib_ns;
    /*
     * True: what a job takes is measured, up to its completion, and the
     * estimate is only where that begins.  False: the estimate holds, with the
     * bytes that were moved in the end: of a device behind a buffer, whose
     * completions say nothing about its time.
     */
    bool measured;
};

/* poll: nothing to look for. */
#define HCL_POLL_NEVER UINT64_MAX

struct hcl_class {
    uint32_t abi;           /* HCL_CLASS_ABI */
    uint32_t flags;         /* HCL_CLASS_* */
    const char *name;       /* hcl.conf: class=<name> */
    const char *opcodes;    /* that it serves, comma-separated */
    const char *idempotent; /* opcodes that may run twice unharmed, the same */

    /* Memory the worker allocates, zeroed, at open and at connect. */
    size_t device_bytes;
    size_t handle_bytes;
    size_t job_bytes;

    struct hcl_service service; /* open may change the device's own */

    /* Keys it takes in hcl.conf besides the general ones; ends with NULL. */
    const char *const *keys;

    /*
     * Configures and opens the hardware.  0 or a negative errno with a text
     * that names key, value or path.  -EINVAL is a mistake in hcl.conf and
     * is not tried again; anything else is, later.
     */
    int (*open)(struct hcl_device *device, const struct hcl_spec *spec,
                struct hcl_err *err);
    /* After a successful open, once; all handles are closed before. */
    void (*close)(struct hcl_device *device);

    /* HCLIF_STATUS_OK, or why not (then handle_close is not called). */
    uint16_t (*handle_open)(struct hcl_device *device,
                            struct hcl_handle *handle);
    /* All jobs of the handle have completed before. */
    void (*handle_close)(struct hcl_device *device, struct hcl_handle *handle);

    /*
     * Starts a job.  The class must complete it, now or later, exactly once.
     * Only opcodes in the list above arrive, and of those that occupy the
     * device no more than its depth at a time.  Never called from within
     * hcl_job_complete.
     */
    void (*submit)(struct hcl_device *device, struct hcl_job *job);

    /*
     * Ends a submitted job early: completes it before it returns, as
     * HCLIF_STATUS_CANCELLED or as it stands.  The jobs of a handle that is
     * closed, and of a guest that goes, are cancelled newest first: a class
     * that starts a guest's jobs in their order, when the one before ends,
     * starts none of those that are next to be cancelled.  What still waits in
     * the worker is cancelled there, and the class never sees it.
     */
    void (*cancel)(struct hcl_device *device, struct hcl_job *job);

    /*
     * NULL, or: looks at the hardware without waiting, and completes what is
     * done; called on each pass of the worker.  Returns when it wants to be
     * called again at the latest, in ns of hcl_now_ns: 0 at once, without sleep
     * in between, or HCL_POLL_NEVER.
     */
    uint64_t (*poll)(struct hcl_device *device, uint64_t now_ns);
};

/* All classes; ends with NULL. */
extern const struct hcl_class *const hcl_classes[];

/* NULL if there is none of that name. */
const struct hcl_class *hcl_class_find(const char *name);

/* ---- What the worker provides ------------------------------------------ */

/* device_bytes of the class. */
void *hcl_device_state(struct hcl_device *device);

/* The device's name in hcl.conf, for messages. */
const char *hcl_device_name(const struct hcl_device *device);

/* The service of the class, to be changed within open, as configured. */
struct hcl_service *hcl_device_service(struct hcl_device *device);

/* The worker's loop, for descriptors and timers. */
struct hcl_loop *hcl_device_loop(struct hcl_device *device);

/*
 * The hardware is gone or broken: says so to the supervisor, which closes the
 * device, refuses its guests with this text, and tries again later.  Returns
 * at once; the class goes on completing its jobs (HCLIF_STATUS_GONE or _IO).
 * With -ECHILD it was not the hardware but a process of ours that was killed:
 * the worker ends as if it had crashed itself, its guests connect to the next
 * one and repeat their requests.  The class then leaves its jobs as they are.
 */
void hcl_device_failed(struct hcl_device *device, const struct hcl_err *err);

/* handle_bytes of the class. */
void *hcl_handle_state(struct hcl_handle *handle);

/*
 * Completes a job: with HCLIF_STATUS_OK, @rx_bytes of job->rx are valid (at
 * most job->rx_bytes); with any other status there is no answer.  @flags are
 * HCLIF_OVERRUN or 0.  The job is gone afterwards.
 */
void hcl_job_complete(struct hcl_job *job, uint16_t status, uint32_t rx_bytes,
                      uint16_t flags);

/*
 * Completes a job that failed (@status is not HCLIF_STATUS_OK) with a text for
 * the guest's user, cut at HCLIF_COMPLETION_DATA bytes.
 */
void hcl_job_fail(struct hcl_job *job, uint16_t status, const char *text);

#endif /* HCL_CLASS_H */
