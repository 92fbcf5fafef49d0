/* SPDX-License-Identifier: MIT */
/* guests.h: guests by their names, for the command lines of hcl-sim and xl. */
#ifndef SIM_GUESTS_H
#define SIM_GUESTS_H

#include <stdint.h>

#include "err.h"

/* @name is a name or an id.  -ENOENT: there is none. */
__attribute__((warn_unused_result)) int
sim_guests_domid(const char *name, uint32_t *ret_domid, struct hcl_err *err);

#endif /* SIM_GUESTS_H */
