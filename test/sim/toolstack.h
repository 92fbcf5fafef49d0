/* SPDX-License-Identifier: MIT */
/*
 * toolstack.h: what libxl does for a guest, as a program of dom0: its nodes in
 * xenstore, and the domain itself.
 */
#ifndef SIM_TOOLSTACK_H
#define SIM_TOOLSTACK_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define SIM_NAME 64
#define SIM_UUID 37

/* What becomes of a guest that has ended. */
enum sim_action { SIM_ACTION_DESTROY, SIM_ACTION_RESTART, SIM_ACTION_PRESERVE };

struct sim_guest {
    char name[SIM_NAME];
    char uuid[SIM_UUID];
    uint32_t memory_mib;
    enum sim_action on_poweroff;
    enum sim_action on_reboot;
    enum sim_action on_crash;
};

/*
 * Reads xl's configuration @path with the assignments @extra (may be NULL).
 * Keys that make no difference here are ignored.
 */
__attribute__((warn_unused_result)) int
sim_toolstack_read(struct sim_guest *guest, const char *path, const char *extra,
                   struct hcl_err *err);

/* A paused domain with its nodes, introduced to xenstored.  -EEXIST: the name.
 */
__attribute__((warn_unused_result)) int
sim_toolstack_create(const struct sim_guest *guest, uint32_t *ret_domid,
                     struct hcl_err *err);

/* The same from a file that sim_toolstack_save wrote. */
__attribute__((warn_unused_result)) int
sim_toolstack_restore(struct sim_guest *guest, const char *path,
                      uint32_t *ret_domid, struct hcl_err *err);

/*
 * Suspends the guest and writes @path, as xl begins its files; the machine
 * itself stays in the host.  With @checkpoint the guest goes on, and the file
 * cannot be restored; otherwise its domain is destroyed.
 */
__attribute__((warn_unused_result)) int sim_toolstack_save(uint32_t domid,
                                                           const char *path,
                                                           bool checkpoint,
                                                           struct hcl_err *err);

/* Removes the nodes, then the domain. */
__attribute__((warn_unused_result)) int
sim_toolstack_destroy(uint32_t domid, struct hcl_err *err);

/* "" if it has none. */
void sim_toolstack_name(uint32_t domid, char *ret_name);

#endif /* SIM_TOOLSTACK_H */
