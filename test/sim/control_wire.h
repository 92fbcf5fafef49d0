/* SPDX-License-Identifier: MIT */
/* control_wire.h: what control.c and its clients must agree on. */
#ifndef SIM_CONTROL_WIRE_H
#define SIM_CONTROL_WIRE_H

/* Octets of a packet of an answer, at most. */
#define SIM_CONTROL_PACKET 16384

/* The variables that tell a program its host and its machine. */
#define SIM_ENV_DIR "HCL_SIM"
#define SIM_ENV_KEY "HCL_SIM_KEY"

/* xl create prints the domid, for hcl-sim create. */
#define SIM_ENV_PRINT "HCL_SIM_PRINT_DOMID"

#endif /* SIM_CONTROL_WIRE_H */
