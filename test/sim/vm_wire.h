/* SPDX-License-Identifier: MIT */
/*
 * vm_wire.h: what a guest's init is asked for.  By the host, over a socketpair,
 * one letter, which comes back when it is done: f freeze, t thaw; the init
 * sends r first, when it is ready.  By hcl-sim exec, at the machine's exec
 * socket: a struct sim_vm_request, the strings after it, and three descriptors;
 * the answer is the status as wait(2) gives it, 4 octets.
 */
#ifndef SIM_VM_WIRE_H
#define SIM_VM_WIRE_H

#include <stdint.h>

/* The init's own program: hcl-sim SIM_VM_VERB FD DIR KEY. */
#define SIM_VM_VERB "--init"
#define SIM_VM_FD 3

/* Octets of a request at most. */
#define SIM_VM_REQUEST (128u << 10)

struct sim_vm_request {
    uint32_t argc;
    uint32_t envc;
    /* folder, argc arguments, envc variables: strings, each with its NUL */
};

#endif /* SIM_VM_WIRE_H */
