/* SPDX-License-Identifier: MIT */
/*
 * request_devices.h: the devices behind the request target: the classes of the
 * tree over a fake random generator and a fake serial port, and one that holds
 * its jobs until the input says how they end.
 */
#ifndef REQUEST_DEVICES_H
#define REQUEST_DEVICES_H

#include <stdbool.h>

#include "class.h"
#include "fuzz.h"
#include "share.h"

/* An opcode of the holding class, which ends such jobs at once. */
#define CLASS_OPCODE_HELD 200

/* Chooses a class; returns its item of hcl.conf. */
const char *devices_start(struct fuzz_input *in,
                          const struct hcl_class **ret_class);

/* What a guest gets of the device: with some, one of them has caps. */
struct hcl_share devices_share(unsigned int guest);

/*
 * Something happens to the device, and time passes; hcl_device_poll and
 * hcl_loop_poll must follow.
 */
void devices_step(struct fuzz_input *in);

/* The class has lost its helper process: the worker would end now. */
bool devices_crashed(void);

/* After the device was closed: nothing is left. */
void devices_end(void);

#endif /* REQUEST_DEVICES_H */
