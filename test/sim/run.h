/* SPDX-License-Identifier: MIT */
/* run.h: hcl-sim run. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "host.h"

/*
 * Plays a host with @limits for as long as @argv runs as a program of dom0.
 * @bin is the folder of hcl-sim and xl, @preload the library that plays the
 * device nodes.  Returns its exit status, 128 and more for a signal, or a
 * negative errno.
 */
int sim_run(const struct sim_limits *limits, const char *bin,
            const char *preload, char *const *argv, struct hcl_err *err);

#endif /* SIM_RUN_H */
