/* SPDX-License-Identifier: MIT */
/*
 * vm.h: the processes of a guest's machine.  They live in namespaces of their
 * own (processes, mounts: /tmp and /run are the guest's), below an init, a
 * second program of hcl-sim's binary, that starts, stops and reaps them.  When
 * it is killed the kernel kills them all.
 */
#ifndef SIM_VM_H
#define SIM_VM_H

#include "err.h"

struct sim_vm;

/*
 * Starts the init of machine @key, which listens at @dir/@key/exec; returns
 * once it does.  It is frozen: what connects there waits.
 */
__attribute__((warn_unused_result)) int sim_vm_new(struct sim_vm **ret_vm,
                                                   const char *dir,
                                                   unsigned int key,
                                                   struct hcl_err *err);

/* Kills all processes; returns when they are dead.  Again: nothing. */
void sim_vm_kill(struct sim_vm *vm);

/* Takes NULL. */
void sim_vm_free(struct sim_vm *vm);

/* Stops all processes; returns when they have stopped. */
__attribute__((warn_unused_result)) int sim_vm_freeze(struct sim_vm *vm,
                                                      struct hcl_err *err);

/* Lets them go on, and new ones start. */
__attribute__((warn_unused_result)) int sim_vm_thaw(struct sim_vm *vm,
                                                    struct hcl_err *err);

/* The init's main(): @fd is its socket to the host.  Never returns. */
void sim_vm_init(int fd, const char *dir, const char *key)
    __attribute__((noreturn));

/*
 * Runs @argv in the machine @key as this process's own child would run: with
 * its standard streams, folder and environment.  Returns the exit status,
 * 128 and more for a signal, 250 if the machine has gone, or a negative errno.
 */
int sim_vm_exec(const char *dir, unsigned int key, char *const *argv,
                struct hcl_err *err);

#endif /* SIM_VM_H */
