/* SPDX-License-Identifier: MIT */
/*
 * keeper.h: the supervisor's side of one device: starts its worker, restarts it
 * when it dies, and says whether guests can be served.
 *
 *        start                READY
 *   DOWN -----> STARTING -------------> READY
 *    ^             | FAILED, deadline     | it dies, fails or is stopped
 *    |             v                      v
 *    +--------- STOPPING <----------------+
 *      reaped
 *
 * A worker is always reaped before the next one starts: its end unmaps
 * everything it had mapped.  One thread.
 */
#ifndef HCL_KEEPER_H
#define HCL_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "device_config.h"
#include "loop.h"
#include "message.h"
#include "settings.h"

enum hcl_keeper_state {
    HCL_KEEPER_DOWN, /* no process; the timer, if armed, starts one */
    HCL_KEEPER_STARTING,
    HCL_KEEPER_READY,
    HCL_KEEPER_STOPPING, /* it was told to go, or killed */
};

struct hcl_keeper;

/* What the supervisor is told; none is called from within a call of its own. */
struct hcl_keeper_events {
    /* hcl_keeper_state or a text has changed. */
    void (*changed)(void *arg, struct hcl_keeper *keeper);
    /* The worker has been reaped: its connections are no more. */
    void (*lost)(void *arg, struct hcl_keeper *keeper);
    /* CONNECTED, REFUSED, CLOSED or STATS. */
    void (*message)(void *arg, struct hcl_keeper *keeper,
                    const struct hcl_message *message);
};

struct hcl_keeper {
    const struct hcl_device_config *config; /* not owned */
    const char *spec;                       /* the item; not owned */
    const char *worker;                     /* path; not owned */
    const struct hcl_settings *settings;    /* not owned */
    struct hcl_loop *loop;                  /* not owned */
    const struct hcl_keeper_events *events;
    void *arg;

    enum hcl_keeper_state state;
    pid_t pid; /* 0: none */
    int fd;    /* -1: none */
    struct hcl_source *source;
    struct hcl_timer timer;
    uint64_t generation;
    uint32_t backoff_ms;
    bool settled;  /* was READY, or ended, at least once */
    bool mistake;  /* in hcl.conf: never started again */
    bool served;   /* this worker has answered a request */
    bool expected; /* its end: it was told to go, or killed */
    bool ending;   /* hcl_keeper_stop: not started again */
    char class_name[32];
    char idempotent[HCL_MESSAGE_LIST];
    char failure[HCL_ERR_TEXT]; /* the device cannot be opened; "" if it can */
    char trouble[HCL_ERR_TEXT]; /* why there is no worker just now */
};

/* Fills @keeper, which is zeroed; all arguments must outlive it. */
void hcl_keeper_init(struct hcl_keeper *keeper,
                     const struct hcl_device_config *config, const char *spec,
                     const char *worker, const struct hcl_settings *settings,
                     struct hcl_loop *loop,
                     const struct hcl_keeper_events *events, void *arg);

/* Starts the worker.  What fails is seen in the events. */
void hcl_keeper_start(struct hcl_keeper *keeper);

/*
 * Sends CONNECT (with @fds) or DISCONNECT.  A worker that does not take it is
 * killed; the error is returned, and `lost` follows.
 */
__attribute__((warn_unused_result)) int
hcl_keeper_send(struct hcl_keeper *keeper, struct hcl_message *message,
                const int *fds, struct hcl_err *err);

/* Kills a worker that hangs; `lost` follows.  @why is logged. */
void hcl_keeper_kill(struct hcl_keeper *keeper, const char *why);

/* Ends the worker for good, by STOP, after stop_timeout_ms by force. */
void hcl_keeper_stop(struct hcl_keeper *keeper);

/* Child @pid has ended: true if it was the worker. */
bool hcl_keeper_reaped(struct hcl_keeper *keeper, pid_t pid, int status);

/* Frees what it holds; a worker that is left is killed. */
void hcl_keeper_clear(struct hcl_keeper *keeper);

#endif /* HCL_KEEPER_H */
