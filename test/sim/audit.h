/* SPDX-License-Identifier: MIT */
/* audit.h: what exists on the host, and the limits of its guests. */
#ifndef SIM_AUDIT_H
#define SIM_AUDIT_H

#include "host.h"

/*
 * Prints "ok COUNT" and a line for each grant, mapping, port, watch,
 * transaction, node beyond the host's own, guest, dying domain and kernel bug.
 */
void sim_audit(struct sim_host *host, FILE *out);

/* Linux's and xenstored's defaults. */
void sim_limits_init(struct sim_limits *limits);

/* "NAME=N". */
__attribute__((warn_unused_result)) int
sim_limits_set(struct sim_limits *limits, const char *text,
               struct hcl_err *err);

/* All names, with blanks between. */
const char *sim_limits_names(void);

#endif /* SIM_AUDIT_H */
