/* SPDX-License-Identifier: MIT */
/*
 * wire.h: what the preloaded device library (device.c) and the host
 * (hypervisor.c) say to each other.
 *
 * - A SOCK_SEQPACKET connection for each process, at
 *   $HCL_SIM/$HCL_SIM_KEY/hypervisor: one request, one answer.
 * - A descriptor for each device that a program opens: a pipe, open for reading
 *   and writing, whose inode number names it in requests.  The host has the
 *   same pipe and sees by inotify when the program's last copy is closed, in
 *   whatever process.  Of an event channel device the pipe is the ring of
 *   pending ports, which programs read and poll as they would the device.
 * - A table of event channels that all processes map, so that an event costs
 *   one write into the peer's pipe and the host has no part in it.
 *
 * Both sides are built from one tree and trust each other: the simulated host
 * keeps programs from what Xen would refuse, not from attacking it.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WIRE_PAGE_BYTES 4096u

enum wire_device {
    WIRE_NONE,
    WIRE_GNTALLOC,
    WIRE_GNTDEV,
    WIRE_EVTCHN,
};

/* ---- The connection ---------------------------------------------------- */

enum wire_op {
    WIRE_HELLO,    /* first: answers with the table's descriptor; @inode is
                      the connection's number, @index st_dev of pipes */
    WIRE_OPEN,     /* @device, @flags: answers with the descriptor */
    WIRE_KIND,     /* what is @inode?  -ENOENT: nothing of ours */
    WIRE_ALLOC,    /* gntalloc, for @domid */
    WIRE_REFS,     /* gntalloc: those of the pages at @index, from @first on */
    WIRE_DEALLOC,  /* gntalloc */
    WIRE_REGISTER, /* gntdev; @refs from @first on; the last one counts */
    WIRE_UNREGISTER, /* gntdev */
    WIRE_NOTICE,     /* gntalloc, gntdev: the ioctl SET_UNMAP_NOTIFY */
    WIRE_MAP,        /* gntalloc, gntdev; answers the first runs */
    WIRE_RUNS,       /* those of @map from page @first on */
    WIRE_UNMAP,      /* @count pages of @map from @first on */
    WIRE_INHERIT,    /* on a child's connection: as UNMAP, but a map of the
                        parent's, whose connection's number is @inode */
    WIRE_PORT_ALLOC, /* for @domid */
    WIRE_PORT_BIND,  /* to @port of @domid */
    WIRE_PORT_CLOSE,
    WIRE_PORT_FIND, /* a port that another process bound on this device */
    WIRE_PEER,      /* the pipe of @port's other end; -ENOTCONN: none */
    WIRE_STRAY,     /* an event was sent on a port from before a restore */
    WIRE_RESTRICT,  /* to @domid */
    WIRE_RESET,
};

#define WIRE_MAX_REFS 2048u
#define WIRE_MAX_RUNS 128u /* on the stack of programs' threads */

struct wire_ref {
    uint32_t domid;
    uint32_t ref;
};

/* With REGISTER, @num_refs of struct wire_ref follow. */
struct wire_request {
    uint32_t op;
    uint32_t device;
    uint64_t inode; /* the device that it is about */
    uint64_t index; /* bytes, as in gntalloc.h and gntdev.h */
    uint32_t domid;
    uint32_t flags; /* O_*, GNTALLOC_FLAG_*, UNMAP_NOTIFY_*, PROT_* */
    uint32_t count; /* pages or references in all */
    uint32_t first;
    uint32_t port;
    uint32_t map;
    uint32_t num_refs; /* in this message */
    uint32_t pad;
};

/* Pages of a mapping that follow each other in the descriptor sent along. */
struct wire_run {
    uint32_t first; /* in the mapping */
    uint32_t pages;
    uint64_t offset; /* bytes, in the descriptor */
};

/* @num references (uint32_t) follow to REFS, or struct wire_run to MAP, RUNS */
struct wire_answer {
    int32_t error;     /* 0 or a negative errno */
    uint32_t delay_us; /* wait so long before going on */
    uint64_t inode;
    uint64_t index;
    uint32_t device;
    uint32_t slot; /* in the table; OPEN, KIND: in evtchns, else in ports */
    uint32_t port;
    uint32_t generation;
    uint32_t map;
    uint32_t num;
};

/* ---- The table --------------------------------------------------------- */

#define WIRE_MACHINES 4096u
#define WIRE_EVTCHNS 8192u
#define WIRE_PORTS 65536u
/* Port numbers are below this: Xen's 2-level ABI on 64 bits. */
#define WIRE_PORT_NUMBERS 4096u

struct wire_machine {
    uint32_t cut;  /* no event comes from it or to it */
    uint32_t drop; /* so many that it sends are lost; UINT32_MAX: all */
} __attribute__((aligned(64)));

/* An open event channel device. */
struct wire_evtchn {
    uint32_t ring_ports; /* the capacity of Linux's ring */
    uint32_t overflow;   /* the ring was full once: reads fail for good */
} __attribute__((aligned(64)));

/*
 * A port's state: its slot's generation << 32, and flags.  With MASKED, the
 * port's number has been put into the pipe and not yet been written back by
 * the program; an event that comes in the meantime is PENDING.
 */
#define WIRE_MASKED 1u
#define WIRE_PENDING 2u
#define WIRE_CROWDED 4u /* numbers of closed ports may be in the pipe */
#define WIRE_STALE 8u   /* from before a restore */

/* A program's end of an event channel.  Slot 0 stays free. */
struct wire_port {
    uint64_t state;
    uint64_t peer; /* generation << 32 | slot of the other end; 0: none */
    uint32_t number;
    uint32_t evtchn;  /* slot */
    uint32_t machine; /* slot */
} __attribute__((aligned(64)));

struct wire_table {
    struct wire_machine machines[WIRE_MACHINES];
    struct wire_evtchn evtchns[WIRE_EVTCHNS];
    struct wire_port ports[WIRE_PORTS];
};

/* Is an event that machine @from sends to @to lost on purpose? */
static inline bool wire_lost(struct wire_table *table, uint32_t from,
                             uint32_t to)
{
    uint32_t *drop = &table->machines[from].drop;
    uint32_t left = __atomic_load_n(drop, __ATOMIC_RELAXED);

    if (__atomic_load_n(&table->machines[from].cut, __ATOMIC_RELAXED) ||
        __atomic_load_n(&table->machines[to].cut, __ATOMIC_RELAXED)) {
        return true;
    }
    while (left && left != UINT32_MAX) {
        if (__atomic_compare_exchange_n(drop, &left, left - 1, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return left != 0;
}

/*
 * An event arrives at @port of @generation.  True if its @number is now to be
 * queued; *@ret_crowded is for wire_queue.
 */
static inline bool wire_raise(struct wire_port *port, uint32_t generation,
                              uint32_t *ret_number, bool *ret_crowded)
{
    uint64_t old = __atomic_load_n(&port->state, __ATOMIC_ACQUIRE), new;

    do {
        if (old >> 32 != generation) {
            return false; /* closed in the meantime */
        }
        *ret_number = port->number;
        new = old | (old & WIRE_MASKED ? WIRE_PENDING : WIRE_MASKED);
        /* Stored even if nothing changes: a hypercall is a full barrier. */
    } while (!__atomic_compare_exchange_n(&port->state, &old, new, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    *ret_crowded = old & WIRE_CROWDED;
    return !(old & WIRE_MASKED);
}

/*
 * Puts @number into the pipe @fd of @evtchn.  Linux's ring has room for each
 * port once; it overflows if ports are closed whose numbers nobody has read.
 * Raw system calls, since the device library plays write and ioctl.
 */
static inline void wire_queue(struct wire_evtchn *evtchn, int fd,
                              uint32_t number, bool crowded)
{
    int bytes = 0;

    if ((crowded && syscall(SYS_ioctl, fd, FIONREAD, &bytes) == 0 &&
         (uint32_t)bytes / sizeof(number) >= evtchn->ring_ports) ||
        syscall(SYS_write, fd, &number, sizeof(number)) < 0) {
        __atomic_store_n(&evtchn->overflow, 1, __ATOMIC_RELEASE);
    }
}

#endif /* SIM_WIRE_H */
