/* SPDX-License-Identifier: MIT */
/*
 * hcl.h: libhcl, how a guest's program uses a device of the host.
 *
 *     struct hcl_device *device;
 *     struct hcl_handle *handle;
 *     struct hcl_err err;
 *     uint8_t bytes[32];
 *
 *     if (hcl_open("rng0", NULL, 10000, &device, &err) < 0 ||
 *         hcl_handle_open(device, 1000, &handle, &err) < 0 ||
 *         hcl_read(handle, bytes, sizeof(bytes), 1000, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.text);
 *     }
 *
 * A struct hcl_device is the one connection of this guest to one device; any
 * number of handles share it.  When the backend restarts, pauses, or the guest
 * is saved and restored, the connection is made anew without the program:
 * requests that the device's class calls repeatable are sent again, others
 * that may have been done end with -ECONNRESET, none is lost in silence, none
 * is done twice, and pointers into the pools stay valid.
 *
 * Threads: a device, with its handles and requests, belongs to one thread at a
 * time; nothing here locks.  Different devices are independent.
 *
 * fork: the child has no part in the connection: its calls return -EOWNERDEAD,
 * pool memory is not mapped there, hcl_close frees what is private.
 *
 * A program that does not call the library, or watch hcl_device_fd, for long
 * keeps its memory shared for that long: `hclctl save` and a detach wait for
 * it, and give up in the end.
 *
 * Times: milliseconds; -1 is no limit.  A time-out covers all that happens
 * meanwhile, reconnecting too.  Requests to xenstored, which all but data
 * transfers need, have no limit of their own.
 *
 * Errors: 0 or more, or a negative errno; @err may be NULL.  Nothing prints,
 * and nothing ends the process.
 */
#ifndef HCL_H
#define HCL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct hcl_device;
struct hcl_handle;

/* ---- What there is ----------------------------------------------------- */

#define HCL_NAME_BYTES 32 /* a name of a device or class, NUL included */

/* One device that is attached to this guest. */
struct hcl_info {
    uint32_t devid;
    char name[HCL_NAME_BYTES];
    char class_name[HCL_NAME_BYTES]; /* "" while no backend serves it */
    char state[16];           /* the backend's xenbus state: "Connected" */
    char error[HCL_ERR_TEXT]; /* what the backend says is wrong, or "" */
};

/*
 * Lists the devices of this guest: *@ret_count of them in *@ret_infos, one
 * allocation which the caller frees with free() (NULL if there are none).
 * Asks xenstored only.
 */
__attribute__((warn_unused_result)) int hcl_list(struct hcl_info **ret_infos,
                                                 unsigned int *ret_count,
                                                 struct hcl_err *err);

/* ---- A device ---------------------------------------------------------- */

/*
 * Initialise it with HCL_OPEN_DEFAULTS, and change what is to be different: a
 * later version has more fields.
 */
struct hcl_open_options {
    /* Wishes; the backend's limits may reduce each. */
    uint32_t ring_page_order; /* 0 to 6: 64 << order requests at a time */
    uint32_t tx_pool_bytes;   /* for payloads to the device, at most 16 MiB */
    uint32_t rx_pool_bytes;   /* for payloads from it, at most 16 MiB */

    /* Milliseconds, at most an hour; 0 is the default. */
    uint32_t grace_ms;       /* 1000: what the backend gets to end a handle or
                              * a cancelled request; hcl_close waits three
                              * times that at most */
    uint32_t backoff_ms;     /* 50: before a connection that was lost soon after
                              * it was made is made anew; doubles each time */
    uint32_t max_backoff_ms; /* 5000: stops doubling there; what lasts twice
                              * that was not lost soon */

    /* Waits look for the answer for a while before they sleep: doc/manual.md.
     * Never longer than sleeping costs, and only while it is of use. */
    uint32_t poll_us;      /* at most so long; 0: never */
    uint32_t poll_percent; /* 1 to 100: at most of one processor's time */
};

/* What NULL stands for: 37 of the 1024 pages that a guest may share. */
#define HCL_OPEN_DEFAULTS                                                      \
    {                                                                          \
        .ring_page_order = 0, .tx_pool_bytes = 65536, .rx_pool_bytes = 65536,  \
        .poll_us = 100, .poll_percent = 100                                    \
    }

/*
 * Connects to the device @name, waiting @timeout_ms at most, and then, if that
 * was not enough, as long as hcl_close for the backend to let go.  The caller
 * owns *@ret_device and ends it with hcl_close.  @options may be NULL.  Errors:
 *   -ENOENT        no such device; the text lists those that exist
 *   -EBUSY         held by another process; the text has its number.  Also when
 *                  this process has it open already
 *   -ECONNREFUSED  refused; the text is the backend's
 *   -ENODEV        detached meanwhile
 *   -ETIMEDOUT     the text says what the backend's state is, and what to do
 *   -EINTR         a signal handler ran
 *   -EPROTO        the backend broke the protocol
 *   -EPROTONOSUPPORT  no protocol version in common
 *   -ENOSPC        this guest's limit of shared pages is met, or xenstore's
 *   -ENXIO         not in a Xen domain, or a module is missing
 *   others         of opening Xen's devices and the lock file
 */
__attribute__((warn_unused_result)) int
hcl_open(const char *name, const struct hcl_open_options *options,
         int timeout_ms, struct hcl_device **ret_device, struct hcl_err *err);

/*
 * Ends handles, requests and the connection, in order, and frees the device:
 * pointers to its handles and into its pools are invalid afterwards.  Takes
 * NULL.  Blocks for as long as the backend takes, at most some three times
 * grace_ms of the options.
 */
void hcl_close(struct hcl_device *device);

/* As it is now; filled by hcl_status. */
struct hcl_status {
    char name[HCL_NAME_BYTES];
    char class_name[HCL_NAME_BYTES];
    int connected;         /* 0: being made anew */
    uint32_t reconnects;   /* how often that has happened */
    uint32_t max_requests; /* that can be outstanding or not yet reaped */
    uint32_t max_handles;
    uint32_t tx_pool_bytes;
    uint32_t rx_pool_bytes;

    /* What it has cost since hcl_open, and over all reconnects. */
    uint64_t requests;         /* submitted */
    uint64_t completions;      /* of them: their results are there */
    uint64_t copied_bytes;     /* of tx and rx that lay outside the pools */
    uint64_t events_out;       /* events sent: the backend slept */
    uint64_t events_in;        /* times that an event woke us */
    uint64_t grant_operations; /* calls that shared or unshared pages */
    uint32_t shared_pages;     /* now, of the 1024 or so that a guest has */
};

void hcl_status(const struct hcl_device *device, struct hcl_status *ret_status);

/*
 * A descriptor for poll(): readable when hcl_process has something to do or
 * hcl_reap something to give.  It stays the same for the device's life, and
 * the library's: do not read or close it.  From the first call on each other
 * call asks the backend for an event, as the program may go to sleep after it;
 * a program that sleeps in hcl_wait or hcl_call alone is faster without.
 */
int hcl_device_fd(struct hcl_device *device);

/*
 * Makes progress: reconnects, sends, completes.  Never waits for the backend.
 * 0, or once the connection has ended for good the reason: -ENODEV detached,
 * -ECONNREFUSED, -EPROTO and others as in hcl_open.
 */
int hcl_process(struct hcl_device *device, struct hcl_err *err);

/* ---- Handles ----------------------------------------------------------- */

/*
 * Opens a use of the device.  hcl_close frees it at the latest.  Errors:
 * -EMFILE all of them in use; -EBUSY, -EACCES, -EDQUOT and -EIO as the device
 * says (hcl_result.error); -ETIMEDOUT, -EINTR; the connection's end.
 */
__attribute__((warn_unused_result)) int
hcl_handle_open(struct hcl_device *device, int timeout_ms,
                struct hcl_handle **ret_handle, struct hcl_err *err);

/*
 * Ends the handle, whose pointer is invalid afterwards.  Its requests complete
 * first, as cancelled or as they would have; their results can be reaped.
 * Takes NULL.  Blocks for as long as the backend takes, at most grace_ms of the
 * options.
 */
void hcl_handle_close(struct hcl_handle *handle);

/* ---- Pool memory ------------------------------------------------------- */

enum hcl_pool_kind {
    HCL_TX, /* the backend may read it */
    HCL_RX, /* the backend may write it: may change at any time */
};

/*
 * Memory that the backend reaches directly, so that requests copy nothing:
 * @bytes of it, aligned to 64, or NULL when no piece of the pool is that large.
 * hcl_close takes it back at the latest.
 */
void *hcl_buffer_alloc(struct hcl_device *device, size_t bytes,
                       enum hcl_pool_kind kind);

/* Takes NULL.  No request may still use it. */
void hcl_buffer_free(struct hcl_device *device, void *buffer);

/* ---- Requests ---------------------------------------------------------- */

/* Operations; 128 to 255 belong to the class of the device. */
enum hcl_opcode {
    HCL_READ = 3,     /* rx: up to rx_bytes, waits for the first; 0: ended */
    HCL_WRITE = 4,    /* tx: all of it, in one piece */
    HCL_EXCHANGE = 5, /* tx, then rx, as one transaction */
    HCL_CLASS_OPCODE = 128,
};

/*
 * A request.  Memory in the pools is used in place; other memory is copied:
 * tx when it is submitted, rx when it completes.  rx, and tx in the pool,
 * belong to the request until its result has been reaped.
 */
struct hcl_io {
    uint8_t opcode;
    uint64_t argument; /* meaning by class; 0 where unused */
    const void *tx;
    uint32_t tx_bytes;
    void *rx;
    uint32_t rx_bytes;
    void *user; /* returned in the result */
};

/* What the device said, or libhcl on its behalf. */
enum hcl_result_status {
    HCL_OK = 0,
    HCL_INVALID = 1,     /* -EINVAL: the class cannot make sense of it */
    HCL_UNSUPPORTED = 2, /* -EOPNOTSUPP: the class has no such operation */
    HCL_BAD_HANDLE = 3,  /* -EBADF */
    HCL_BUSY = 4,        /* -EBUSY: another handle or guest has it */
    HCL_DENIED = 5,      /* -EACCES: not allowed for this guest */
    HCL_LIMIT = 6,       /* -EDQUOT: a budget of this guest is used up */
    HCL_IO_ERROR = 7,    /* -EIO: the hardware failed */
    HCL_GONE = 8,        /* -ENXIO: the hardware is not there */
    HCL_CANCELLED = 9,   /* -ECANCELED */
    HCL_TIMEOUT = 10,    /* -ETIME: the hardware did not answer in time */
    /* Not from the device: */
    HCL_OUTCOME_UNKNOWN = 0x10000, /* -ECONNRESET: may have been done or not */
    HCL_ENDED = 0x10001,           /* the connection ended: its error */
};

#define HCL_OVERRUN                                                            \
    0x0001 /* flags: the device lost data before this answer                   \
            */

#define HCL_RESULT_TEXT 64

struct hcl_result {
    uint64_t id;
    void *user;
    int error;       /* 0 or a negative errno, from status */
    uint32_t status; /* enum hcl_result_status */
    uint32_t rx_bytes;
    uint32_t flags;             /* HCL_OVERRUN */
    char text[HCL_RESULT_TEXT]; /* more about a failure, or "" */
};

/*
 * Submits a request; while the connection is being made anew it waits for
 * that.  @ret_id may be NULL.  Never blocks.  Errors: -EAGAIN too many are
 * outstanding or not reaped; -ENOBUFS no pool space now; -EMSGSIZE larger than
 * the pool; -EINVAL; -EBADF the handle could not be opened again after a
 * reconnect, or as the device said; the connection's end.
 */
__attribute__((warn_unused_result)) int hcl_submit(struct hcl_handle *handle,
                                                   const struct hcl_io *io,
                                                   uint64_t *ret_id);

/*
 * Makes progress as hcl_process does, and takes the results of at most @max
 * submitted requests, in order of completion.  Returns how many; 0: none is
 * ready, call hcl_wait or wait for hcl_device_fd; or, when there is no more to
 * come, the reason why the connection ended.  Never blocks.
 */
__attribute__((warn_unused_result)) int hcl_reap(struct hcl_device *device,
                                                 struct hcl_result *results,
                                                 unsigned int max);

/*
 * Waits until hcl_reap has something to give: 0.  -ETIMEDOUT; -EINTR a signal
 * handler ran; or, when there is no more to come, the reason why the connection
 * ended.  Makes progress as hcl_process does.
 */
__attribute__((warn_unused_result)) int
hcl_wait(struct hcl_device *device, int timeout_ms, struct hcl_err *err);

/*
 * Asks for the early end of a request, which then completes as cancelled or as
 * it would have.  -ENOENT: it has completed.  Never blocks.
 */
int hcl_cancel(struct hcl_handle *handle, uint64_t id);

/* ---- Requests that wait ------------------------------------------------ */

/*
 * Submits @io (its user is ignored) and waits for the result.  Returns its
 * error and fills @ret_result (may be NULL) and @err.  After @timeout_ms or a
 * signal handler the request is cancelled: if it completed all the same, the
 * result counts, so that no data is lost; else -ETIMEDOUT or -EINTR.  A backend
 * that does not answer the cancellation within grace_ms of the options loses
 * the result; what lay in the pool stays the request's then.
 */
int hcl_call(struct hcl_handle *handle, const struct hcl_io *io, int timeout_ms,
             struct hcl_result *ret_result, struct hcl_err *err);

/*
 * Reads up to @bytes; waits for the first.  Returns how many, 0 when the
 * device has ended, or an error of hcl_call.  One request: more than the rx
 * pool has room for is not asked for.
 */
__attribute__((warn_unused_result)) ssize_t hcl_read(struct hcl_handle *handle,
                                                     void *buffer, size_t bytes,
                                                     int timeout_ms,
                                                     struct hcl_err *err);

/*
 * Writes all of @bytes in one piece and returns their number.  -EMSGSIZE:
 * larger than the tx pool; otherwise as hcl_call.
 */
__attribute__((warn_unused_result)) ssize_t
hcl_write(struct hcl_handle *handle, const void *data, size_t bytes,
          int timeout_ms, struct hcl_err *err);

/*
 * Sends @tx_bytes and returns how many bytes of the answer came into @rx, at
 * most @rx_bytes.  Errors as hcl_write.
 */
__attribute__((warn_unused_result)) ssize_t
hcl_exchange(struct hcl_handle *handle, const void *tx, size_t tx_bytes,
             void *rx, size_t rx_bytes, int timeout_ms, struct hcl_err *err);

#ifdef __cplusplus
}
#endif

#endif /* HCL_H */
