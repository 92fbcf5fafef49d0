/* SPDX-License-Identifier: MIT */
/*
 * message.h: what the supervisor and a worker say to each other over their
 * SOCK_SEQPACKET socketpair.
 *
 *   supervisor                                worker
 *     CONFIG --------------------------------> opens the hardware
 *            <------------------ READY, FAILED
 *     CONNECT + descriptors -----------------> maps and binds
 *            <------------- CONNECTED, REFUSED
 *     DISCONNECT ----------------------------> unmaps
 *            <------------------ STATS, CLOSED  (also unasked)
 *            <------------------ DEVICE_FAILED  (unasked)
 *     STOP ----------------------------------> closes everything, exits
 *
 * Both ends check all they get: the supervisor does not trust a worker, which
 * works on what guests write.  A message is a version, a type and one structure
 * of fixed size; both programs come from one build, so the layout is the
 * compiler's.
 */
#ifndef HCL_MESSAGE_H
#define HCL_MESSAGE_H

#include <stdint.h>

#include "err.h"
#include "layout.h"
#include "share.h"
#include "spec.h"

/* Changes whenever a message does. */
#define HCL_MESSAGE_VERSION 2

/* The socket's descriptor in the worker. */
#define HCL_MESSAGE_FD 3

/*
 * Descriptors that come with CONNECT: gntdev, then event channels.  If its
 * domid is HCL_MESSAGE_SELF, those of local.h: the frontend is a process of
 * this domain.
 */
#define HCL_MESSAGE_FDS 3 /* at most */
#define HCL_MESSAGE_XEN_FDS 2
#define HCL_MESSAGE_LOCAL_FDS 3

/* Xen's DOMID_SELF, which is no domain's number. */
#define HCL_MESSAGE_SELF 0x7ff0u

/* Bytes of a list of opcodes, NUL included. */
#define HCL_MESSAGE_LIST 64

enum hcl_message_type {
    HCL_MESSAGE_CONFIG = 1,
    HCL_MESSAGE_CONNECT,
    HCL_MESSAGE_DISCONNECT,
    HCL_MESSAGE_STOP,
    HCL_MESSAGE_READY,
    HCL_MESSAGE_FAILED,
    HCL_MESSAGE_CONNECTED,
    HCL_MESSAGE_REFUSED,
    HCL_MESSAGE_CLOSED,
    HCL_MESSAGE_DEVICE_FAILED,
    HCL_MESSAGE_STATS,
    HCL_MESSAGE_END
};

/* Why a worker refused a connection. */
enum hcl_refusal {
    HCL_REFUSAL_MAP = 1, /* a grant reference cannot be mapped */
    HCL_REFUSAL_PORT,    /* an event channel cannot be bound */
    HCL_REFUSAL_GONE,    /* the guest's program has died: alive is 0 */
    HCL_REFUSAL_OTHER,   /* our own failure */
    HCL_REFUSAL_END
};

/* Why a connection is closed. */
enum hcl_close_reason {
    HCL_CLOSE_ASKED = 1, /* DISCONNECT or STOP */
    HCL_CLOSE_PEER_GONE, /* the guest's program died: alive is 0 */
    HCL_CLOSE_BROKEN,    /* its event channels do not work */
    HCL_CLOSE_FAULT,     /* the guest broke the protocol; text says how */
    HCL_CLOSE_END
};

/* Counters of one connection, since it was made. */
struct hcl_stats {
    uint64_t requests;
    uint64_t completions;
    uint64_t tx_bytes; /* payloads of requests */
    uint64_t rx_bytes; /* answers */
    uint64_t faults;
    uint64_t events_in;
    uint64_t events_out;
    /* Of the scheduler (backend/scheduler.h); 0 for a class that needs none. */
    uint64_t device_ns; /* time that the device spent on its jobs */
    uint64_t queued;    /* jobs that had to wait for their turn */
    uint64_t throttled; /* how often a cap has stopped it */
};

struct hcl_message_config {
    char spec[HCL_SPEC_BYTES]; /* the device's item in hcl.conf */
};

struct hcl_message_connect {
    uint64_t ro_offset; /* of the registrations on the gntdev descriptor */
    uint64_t rw_offset;
    uint64_t incarnation; /* for log lines */
    uint32_t connection;  /* number that names it in all that follows */
    uint32_t domid;
    uint32_t devid;
    uint32_t max_handles;
    uint32_t polls; /* 1: requests may be looked for before sleeping */
    struct hcl_share share;
    struct hcl_layout layout;
    uint32_t remote_port[HCLIF_MAX_QUEUES];
};

struct hcl_message_disconnect {
    uint32_t connection;
};

struct hcl_message_ready {
    char class_name[32];
    char idempotent[HCL_MESSAGE_LIST];
};

struct hcl_message_failed {
    uint32_t mistake; /* 1: in hcl.conf, trying again is useless */
    char text[HCL_ERR_TEXT];
};

struct hcl_message_connected {
    uint32_t connection;
};

struct hcl_message_refused {
    uint32_t connection;
    uint32_t refusal;        /* enum hcl_refusal */
    char text[HCL_ERR_TEXT]; /* not empty: the guest's user reads it */
};

struct hcl_message_closed {
    uint32_t connection;
    uint32_t reason;         /* enum hcl_close_reason */
    char text[HCL_ERR_TEXT]; /* of HCL_CLOSE_FAULT not empty: as above */
};

struct hcl_message_device_failed {
    char text[HCL_ERR_TEXT];
};

struct hcl_message_stats {
    struct hcl_stats stats;
    uint32_t connection;
    uint32_t reserved; /* 0 */
};

struct hcl_message {
    uint32_t version; /* HCL_MESSAGE_VERSION; filled by the encoder */
    uint32_t type;    /* enum hcl_message_type */
    union {
        struct hcl_message_config config;
        struct hcl_message_connect connect;
        struct hcl_message_disconnect disconnect;
        struct hcl_message_ready ready;
        struct hcl_message_failed failed;
        struct hcl_message_connected connected;
        struct hcl_message_refused refused;
        struct hcl_message_closed closed;
        struct hcl_message_device_failed device_failed;
        struct hcl_message_stats stats;
    };
};

/* "CONFIG", ... ; "unknown" for what is none.  Never NULL. */
const char *hcl_message_name(uint32_t type);

/*
 * Fills in the version and returns the bytes of @message that travel; @message
 * must have been zeroed before its fields were set, so that no stale memory
 * travels in the gaps.
 */
size_t hcl_message_encode(struct hcl_message *message);

/*
 * Checks @bytes at @data, which came with @num_fds descriptors, and copies them
 * to @ret_message: version, type, size, number of descriptors, ends of strings,
 * ranges of all that the wire bounds.  Texts come out cleaned.  -EBADMSG.
 */
__attribute__((warn_unused_result)) int
hcl_message_decode(struct hcl_message *ret_message, const void *data,
                   size_t bytes, unsigned int num_fds, struct hcl_err *err);

/* How many descriptors come with @message. */
unsigned int hcl_message_num_fds(const struct hcl_message *message);

/* Closes those of HCL_MESSAGE_FDS descriptors that are not -1. */
void hcl_message_close_fds(int *fds);

/*
 * Sends @message, with its hcl_message_num_fds descriptors @fds if it is
 * CONNECT (they stay the caller's), else NULL.  -EAGAIN: the socket is
 * non-blocking and the other end does not read; -EPIPE: it is gone.
 */
__attribute__((warn_unused_result)) int
hcl_message_send(int fd, struct hcl_message *message, const int *fds,
                 struct hcl_err *err);

/*
 * Takes one message.  1: @ret_message is filled, and @ret_fds (HCL_MESSAGE_FDS
 * entries, close-on-exec, the caller's) with descriptors or -1: for the first
 * of a CONNECT, -1 means that this process has no descriptor left.  0: nothing
 * to read now. -EPIPE: the other end is gone.  -EBADMSG: what came is no
 * message.
 */
__attribute__((warn_unused_result)) int
hcl_message_receive(int fd, struct hcl_message *ret_message, int *ret_fds,
                    struct hcl_err *err);

#endif /* HCL_MESSAGE_H */
