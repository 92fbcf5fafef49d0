/* SPDX-License-Identifier: MIT */
/*
 * backend_xen.h: what stands around the supervisor in the backend_nodes target,
 * besides xenstore: grants, event channels, processes and the log.  Nothing is
 * real but the sockets to the workers.
 */
#ifndef BACKEND_XEN_H
#define BACKEND_XEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "layout.h"

/* The guests: this domid and the next. */
#define XEN_FIRST_DOMID 3
#define XEN_DOMIDS 2

#define XEN_CONTROL_REF 8
#define XEN_EXTRA_REF 20 /* and the three after it */
#define XEN_FIRST_REF 100

/* What the guest has granted, and what goes wrong. */
struct xen {
    struct hclif_control control;
    uint32_t extra[HCLIF_MAX_EXTRA_PAGES][HCLIF_EXTRA_REFS];
    uint32_t bad_ref; /* cannot be mapped */
    int fail_open;    /* code of the next gntdev or evtchn that is opened */
    int fail_map;     /* of the next mapping */
    int fail_spawn;   /* of the next process */
    bool unkillable;  /* workers are stuck in the kernel */
    int open_handles; /* gntdevs and ports */
};

extern struct xen xen;

#define PROCESSES 8

/* A worker or a script. */
struct process {
    pid_t pid; /* 0: none */
    int fd;    /* the worker's end of its socket, or -1 */
    bool ended;
    int status; /* as of waitpid */
};

extern struct process processes[PROCESSES];

void xen_reset(void);

/* It ends by itself, or is killed. */
void process_end(struct process *process, int status);

/* A child has ended that was not waited for. */
bool process_any_ended(void);

/* Nothing is left of HCL's. */
void xen_check_end(void);

#endif /* BACKEND_XEN_H */
