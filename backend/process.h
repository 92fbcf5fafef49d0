/* SPDX-License-Identifier: MIT */
/* process.h: starting other programs with nothing of ours but what they need.
 */
#ifndef HCL_PROCESS_H
#define HCL_PROCESS_H

#include <sys/types.h>

#include "err.h"

/*
 * Starts @argv[0] (a path) with @argv and @envp, both ended by NULL.  Its
 * standard input and output are /dev/null, standard error is ours, descriptor
 * 3 is a copy of @fd (or nothing, if @fd is -1), all others are closed; no
 * signal is blocked.  Without @fd it leads a process group of its own, so that
 * it can be killed with all that it has started.  -errno.
 */
__attribute__((warn_unused_result)) int
hcl_process_start(pid_t *ret_pid, const char *const *argv,
                  const char *const *envp, int fd, struct hcl_err *err);

/* Writes "signal 11 (Segmentation fault)", "exit status 1" for wait's status.
 */
void hcl_process_status(int status, char *buf, size_t size);

#endif /* HCL_PROCESS_H */
