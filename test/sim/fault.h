/* SPDX-License-Identifier: MIT */
/*
 * fault.h: faults made on purpose, and the count of what a machine has asked
 * for.  The hypervisor and the store call sim_fault before each such call.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "host.h"

enum sim_call {
    SIM_CALL_GRANT, /* gntalloc: allocate and grant pages */
    SIM_CALL_MAP,   /* gntdev: mmap of registered references */
    SIM_CALL_ALLOC, /* evtchn: allocate an unbound port */
    SIM_CALL_BIND,  /* evtchn: bind to another domain's port */
    SIM_CALL_OPEN,  /* open of a device node */
    SIM_CALL_STORE, /* a request to xenstored, of any kind */
    SIM_CALLS,
};

/*
 * Counts the call.  Returns 0, or the negative errno with which it must fail
 * without having done anything.  *@ret_delay_us is how long to hold back the
 * answer, 0 mostly.
 */
int sim_fault(struct sim_host *host, struct sim_machine *machine,
              enum sim_call call, uint64_t *ret_delay_us);

/*
 * `hcl-sim fault SPEC`: the grammar is in --help.  Prints into @out what was
 * asked for.  -EINVAL says what is wrong with it.
 */
__attribute__((warn_unused_result)) int sim_fault_command(struct sim_host *host,
                                                          const char *spec,
                                                          FILE *out,
                                                          struct hcl_err *err);

/* The machine has ended. */
void sim_fault_forget(struct sim_machine *machine);

#endif /* SIM_FAULT_H */
